//! Datagrams on their way out, and what the kernel says of those that it does not take.

use std::io;
use std::ops::Range;

use super::queue::Bound;
use super::stash::Stash;
use super::transmit::{Parcel, Transmitter};
use crate::telemetry::{Counter, Counters};

/// Datagrams that wait for the end of the burst, and then leave by as few calls as possible.
pub(super) struct Outbound {
    parcels: Vec<Parcel>,
    capacity: usize,
    transmitter: Transmitter,
    /// Longer datagrams are not joined.
    longest_segment: usize,
}

impl Outbound {
    /// With room for `capacity` datagrams, of which those of up to `longest_segment` bytes are
    /// joined.
    pub(super) fn new(capacity: usize, longest_segment: usize) -> Self {
        Self {
            parcels: Vec::with_capacity(capacity),
            capacity,
            transmitter: Transmitter::new(capacity),
            longest_segment,
        }
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.parcels.len() == self.capacity
    }

    /// Adds a datagram. There has to be room.
    #[inline]
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.parcels.push(parcel);
    }

    /// Sends all of it; what the kernel does not take is dropped and counted.
    #[inline]
    pub(super) fn flush(&mut self, sockets: &[Bound], stash: &mut Stash, counters: &Counters) {
        if self.parcels.is_empty() {
            return;
        }
        // Why a run is refused may lie in its receiver, the way to whom takes no packets of that
        // length or none at all: it is forgotten with this burst.
        let (mut at, mut longest) = (0, self.longest_segment);
        while let Some(socket) = self.parcels.get(at).map(|parcel| parcel.socket) {
            let count = self.parcels[at..].iter().take_while(|parcel| parcel.socket == socket).count();
            at += self.send(&sockets[socket], at..at + count, &mut longest, counters);
        }
        self.parcels.drain(..).for_each(|parcel| stash.put(parcel.packet));
    }

    /// Sends a part of these, which are of one socket; those of up to `longest` bytes are joined.
    /// Gives how many datagrams are done with.
    fn send(&mut self, by: &Bound, range: Range<usize>, longest: &mut usize, counters: &Counters) -> usize {
        let parcels = &mut self.parcels[range];
        match self.transmitter.send(&by.socket, parcels, *longest) {
            Ok(messages) => {
                let runs = &self.transmitter.runs()[..messages];
                let sent = runs.iter().sum();
                counters.add(Counter::Sent, sent as u64);
                counters.add(Counter::TxJoined, runs.iter().filter(|&&run| run > 1).count() as u64);
                sent
            }
            Err(error) => {
                let run = self.transmitter.runs().first().copied().unwrap_or(1);
                let segment_len = parcels[0].packet_len();
                if run > 1 && is_about_joining(&error) {
                    // The next try joins no datagrams as long as these.
                    *longest = segment_len - 1;
                    return 0;
                }
                let reason = reason(&error);
                let dropped = if reason == Counter::TxFull { parcels.len() } else { run };
                counters.add(reason, dropped as u64);
                dropped
            }
        }
    }
}

/// Whether the kernel may take the datagrams of a run one by one: they are too long for the
/// device's MTU with their headers, or it cuts nothing for this device.
fn is_about_joining(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE | libc::EIO | libc::EOPNOTSUPP))
}

/// The name of a datagram's end that the kernel did not take.
fn reason(error: &io::Error) -> Counter {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Counter::TxFull,
        Some(libc::EMSGSIZE) => Counter::TxOversize,
        Some(libc::ENETUNREACH | libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EINVAL | libc::ENODEV) => {
            Counter::TxNoRoute
        }
        Some(libc::EHOSTUNREACH | libc::EHOSTDOWN | libc::ECONNREFUSED) => Counter::TxUnreachable,
        _ => Counter::TxRejected,
    }
}
