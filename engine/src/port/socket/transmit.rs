//! Datagrams out: bursts of them, laid out for `sendmmsg`; runs of them as one message.

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};

use super::address::Name;
use super::control_message::ControlBuffer;
use super::udp_socket::Socket;
use crate::packet::Packet;
use crate::port::heap::HeapPacket;

/// Datagrams in a run at most (`UDP_MAX_SEGMENTS` of kernels before 6.9).
const MAX_SEGMENTS: usize = 64;
/// Bytes in a run at most: what one datagram over IPv4 may have.
const MAX_RUN: usize = 65_507;

/// A datagram on its way out.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its payload.
    pub(super) packet: HeapPacket,
    /// Which of the queue's sockets it leaves by.
    pub(super) socket: usize,
    /// The address that it leaves from and the interface that it leaves by, 0 for any; `None` where
    /// the socket has one address.
    pub(super) source: Option<(IpAddr, u32)>,
    /// The receiver.
    pub(super) to: SocketAddr,
}

impl Parcel {
    /// The length of its payload in bytes.
    pub(super) fn packet_len(&self) -> usize {
        self.packet.frame_len()
    }

    fn way(&self) -> (usize, Option<(IpAddr, u32)>, SocketAddr) {
        (self.socket, self.source, self.to)
    }
}

/// Where the kernel is told what to send.
pub(super) struct Transmitter {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    names: Vec<Name>,
    controls: Vec<ControlBuffer>,
    /// How many datagrams each message is.
    runs: Vec<usize>,
}

// SAFETY: the pointers in the headers and vectors are written anew for each call and used in no
// other.
unsafe impl Send for Transmitter {}

impl Transmitter {
    /// For so many datagrams at a time.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            // SAFETY: both are numbers and pointers, for which zeros are values.
            headers: vec![unsafe { zeroed() }; capacity],
            // SAFETY: as above.
            vectors: vec![unsafe { zeroed() }; capacity],
            names: vec![Name::default(); capacity],
            controls: vec![ControlBuffer::default(); capacity],
            runs: Vec::with_capacity(capacity),
        }
    }

    /// Sends what begins `parcels`, all of one socket and at most as many as there is room for,
    /// in one call. Datagrams of up to `longest_segment` bytes are joined. Gives how many messages
    /// the kernel took.
    ///
    /// # Errors
    /// What became of the first message, if not even that was taken.
    pub(super) fn send(
        &mut self,
        socket: &Socket,
        parcels: &mut [Parcel],
        longest_segment: usize,
    ) -> io::Result<usize> {
        self.runs.clear();
        let mut rest = &mut parcels[..];
        let mut at = 0;
        while !rest.is_empty() {
            let way = rest[0].way();
            let same_way = rest.iter().take_while(|parcel| parcel.way() == way);
            let count = run_len(same_way.map(Parcel::packet_len), longest_segment);
            let (run, others) = rest.split_at_mut(count);
            self.lay_out(at, run);
            at += count;
            rest = others;
        }
        // SAFETY: the headers of all runs were laid out just now, and tell of this value's names,
        // controls and vectors, and of the packets that `parcels` borrows.
        unsafe { socket.send(&mut self.headers[..self.runs.len()]) }
    }

    /// How many datagrams each message of the last call was, of which some may not have been taken.
    pub(super) fn runs(&self) -> &[usize] {
        &self.runs
    }

    /// Lays a run out as the next message, with vectors from `at` on.
    fn lay_out(&mut self, at: usize, run: &mut [Parcel]) {
        let vectors = &mut self.vectors[at..at + run.len()];
        for (vector, parcel) in vectors.iter_mut().zip(&mut *run) {
            let len = parcel.packet_len();
            *vector = libc::iovec { iov_base: parcel.packet.room_mut().as_mut_ptr().cast(), iov_len: len };
        }
        let (index, first) = (self.runs.len(), &run[0]);
        let segment_len = (run.len() > 1).then_some(first.packet_len() as u16);
        let control_len = self.controls[index].write(first.source, segment_len);
        let (name, name_len) = Name::of(first.to);
        self.names[index] = name;
        let header = &mut self.headers[index].msg_hdr;
        header.msg_name = (&raw mut self.names[index]).cast();
        header.msg_namelen = name_len as libc::socklen_t;
        header.msg_iov = vectors.as_mut_ptr();
        header.msg_iovlen = run.len() as _;
        header.msg_control = (&raw mut self.controls[index]).cast();
        header.msg_controllen = control_len as _;
        self.runs.push(run.len());
    }
}

/// How many datagrams, of these lengths and all by one way, the kernel can be handed as one: they
/// are of one length, but the last, which may be shorter, and none is empty.
fn run_len(lens: impl IntoIterator<Item = usize>, longest_segment: usize) -> usize {
    let mut lens = lens.into_iter();
    let Some(first) = lens.next() else { return 0 };
    if first == 0 || first > longest_segment {
        return 1;
    }
    let (mut count, mut total) = (1, first);
    for len in lens.take(MAX_SEGMENTS - 1) {
        if len == 0 || len > first || total + len > MAX_RUN {
            break;
        }
        count += 1;
        total += len;
        if len < first {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(lens: &[usize], longest_segment: usize) -> usize {
        run_len(lens.iter().copied(), longest_segment)
    }

    #[test]
    fn runs_are_of_one_length_but_their_last() {
        assert_eq!(run(&[100, 100, 100], 65_507), 3);
        assert_eq!(run(&[100, 100, 60, 60], 65_507), 3, "the shorter one ends it");
        assert_eq!(run(&[100, 101], 65_507), 1);
        assert_eq!(run(&[100, 0], 65_507), 1);
        assert_eq!(run(&[0, 0], 65_507), 1);
        assert_eq!(run(&[], 65_507), 0);
        assert_eq!(run(&[1000, 1000], 999), 1, "too long to be joined");
        assert_eq!(run(&[1; 100], 65_507), 64);
        assert_eq!(run(&[30_000; 3], 65_507), 2);
    }

    /// As udp(7) says that the kernel cuts: every `len` bytes.
    fn cut(total: usize, len: usize) -> Vec<usize> {
        (0..total).step_by(len).map(|at| len.min(total - at)).collect()
    }

    proptest! {
        #[test]
        fn the_kernel_cuts_a_run_into_what_it_was(
            lens in prop::collection::vec(prop_oneof![Just(700_usize), 0..2000_usize], 1..200),
            longest_segment in 0..2000_usize,
        ) {
            let count = run(&lens, longest_segment);
            prop_assert!((1..=MAX_SEGMENTS).contains(&count));
            let run = &lens[..count];
            if count > 1 {
                let total: usize = run.iter().sum();
                prop_assert!(total <= MAX_RUN && run[0] <= longest_segment);
                prop_assert_eq!(cut(total, run[0]), run);
            }
        }
    }
}
