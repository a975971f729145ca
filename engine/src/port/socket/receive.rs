//! Datagrams in: buffers for a burst of them, laid out for `recvmmsg`.

use std::io;
use std::mem::zeroed;
use std::net::SocketAddr;
use std::ops::Range;

use super::address::Name;
use super::control_message::{ControlBuffer, Told};
use super::udp_socket::Socket;
use crate::packet::Packet;
use crate::port::heap::HeapPacket;

/// Buffers for a burst, and where the kernel says what came in them.
pub(super) struct Receiver {
    packets: Vec<HeapPacket>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    names: Vec<Name>,
    controls: Vec<ControlBuffer>,
    /// How many of the first headers have to be written anew before the next call.
    used: usize,
}

// SAFETY: the pointers in the headers and vectors are into the other fields' allocations and the
// packets' buffers, all of which are this value's own and stay where they are when it moves.
unsafe impl Send for Receiver {}

/// What the kernel says of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// Its length in bytes.
    pub(super) len: usize,
    /// Whether its end is missing.
    pub(super) is_truncated: bool,
    /// Who sent it.
    pub(super) source: Option<SocketAddr>,
    pub(super) told: Told,
}

impl Message {
    /// How many datagrams it holds.
    #[inline]
    pub(super) fn datagrams(&self) -> usize {
        self.segment_len().map_or(1, |len| self.len.div_ceil(len).max(1))
    }

    /// Where in the message its datagram of that number lies, from 0.
    pub(super) fn part(&self, index: usize) -> Range<usize> {
        let len = self.segment_len().unwrap_or(self.len);
        index * len..self.len.min((index + 1) * len)
    }

    /// Of a message whose end is missing nobody can tell where its datagrams end.
    fn segment_len(&self) -> Option<usize> {
        self.told.segment_len.filter(|_| !self.is_truncated)
    }
}

impl Receiver {
    /// Receives into these, one datagram each.
    pub(super) fn new(packets: Vec<HeapPacket>) -> Self {
        let count = packets.len();
        Self {
            // SAFETY: both are numbers and pointers, for which zeros are values.
            headers: vec![unsafe { zeroed() }; count],
            // SAFETY: as above.
            vectors: vec![unsafe { zeroed() }; count],
            names: vec![Name::default(); count],
            controls: vec![ControlBuffer::default(); count],
            packets,
            used: count,
        }
    }

    /// Receives a burst. Gives how many messages came.
    ///
    /// # Errors
    /// The kernel's word; `WouldBlock` if there is nothing.
    #[inline]
    pub(super) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        for at in 0..std::mem::take(&mut self.used) {
            self.arm(at);
        }
        // SAFETY: each header was written by `arm` since the kernel or `replace` changed anything
        // that it tells of: pointers to what this value owns, with the lengths there.
        self.used = unsafe { socket.receive(&mut self.headers) }?;
        Ok(self.used)
    }

    /// The message of that number of the last burst.
    #[inline]
    pub(super) fn message(&self, at: usize) -> Message {
        let header = &self.headers[at];
        Message {
            len: header.msg_len as usize,
            is_truncated: header.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
            source: self.names[at].read(),
            told: self.controls[at].read(header.msg_hdr.msg_controllen as _),
        }
    }

    /// The bytes of a message, of which as many count as [`message`](Self::message) says.
    pub(super) fn room(&mut self, at: usize) -> &[u8] {
        self.packets[at].room_mut()
    }

    /// Takes out the packet that a message is in, for another one.
    #[inline]
    pub(super) fn replace(&mut self, at: usize, by: HeapPacket) -> HeapPacket {
        self.used = self.used.max(at + 1);
        std::mem::replace(&mut self.packets[at], by)
    }

    /// Takes all packets out; nothing is received from then on.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = HeapPacket> + '_ {
        self.headers.clear();
        self.used = 0;
        self.packets.drain(..)
    }

    /// Writes what the kernel is told of a buffer.
    fn arm(&mut self, at: usize) {
        let room = self.packets[at].room_mut();
        self.vectors[at] = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        let header = &mut self.headers[at].msg_hdr;
        header.msg_name = (&raw mut self.names[at]).cast();
        header.msg_namelen = Name::CAPACITY as libc::socklen_t;
        header.msg_iov = &raw mut self.vectors[at];
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut self.controls[at]).cast();
        header.msg_controllen = ControlBuffer::CAPACITY as _;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(len: usize, segment_len: Option<usize>, is_truncated: bool) -> Message {
        Message { len, is_truncated, source: None, told: Told { destination: None, segment_len } }
    }

    #[test]
    fn what_is_not_joined_is_one_datagram() {
        for len in [0, 1, 65_507] {
            assert_eq!(message(len, None, false).datagrams(), 1);
            assert_eq!(message(len, None, false).part(0), 0..len);
            assert_eq!(message(len, Some(10), true).datagrams(), 1, "its end is missing");
        }
        assert_eq!(message(0, Some(10), false).datagrams(), 1);
        assert_eq!(message(10, Some(1000), false).part(0), 0..10);
    }

    proptest! {
        #[test]
        fn a_joined_message_is_split_where_it_was_joined(len in 1..65_536_usize, segment_len in 1..2000_usize) {
            let message = message(len, Some(segment_len), false);
            let parts: Vec<_> = (0..message.datagrams()).map(|index| message.part(index)).collect();
            prop_assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, len));
            prop_assert!(parts.windows(2).all(|two| two[0].end == two[1].start && two[0].len() == segment_len));
            prop_assert!((1..=segment_len).contains(&parts[parts.len() - 1].len()));
        }
    }
}
