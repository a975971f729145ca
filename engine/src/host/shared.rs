//! Datagrams whose payload is shared: each has headers of its own, and behind them the one payload
//! that all have, or a copy of it.

use std::net::SocketAddr;
use std::str::FromStr;

use super::Host;
use super::classify::Addresses;
use super::outgoing::place_headers;
use super::ways;
use crate::forward::Forwards;
use crate::packet::{Packet, Place, Shares, Tail, Written};
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::ethernet;

/// Payloads of so many bytes and more are sent from one place: shorter ones are copied sooner than they
/// are chained. By `cargo bench -p gannet --bench shared` on an AMD EPYC core (Zen 5 class): from the
/// service to the driver a receiver of 9 to 100 costs 29 to 41 ns either way at 640 bytes, and 37 to 48
/// copied, 31 to 37 chained at 1,200, as on a NIC; docs/services.md has the table.
const SHARED_FROM: usize = 640;

/// What becomes of shared payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Those that are long enough for it are not copied, where the port sends frames of several parts.
    #[default]
    Auto,
    /// None is copied, where the port sends frames of several parts.
    Share,
    /// Each datagram has a copy.
    Copy,
}

impl FromStr for Sharing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "share" => Ok(Self::Share),
            "copy" => Ok(Self::Copy),
            _ => Err("there are auto, share and copy".to_owned()),
        }
    }
}

impl Sharing {
    /// Shorter payloads are copied; `None` if all are. `is_granted`: the port sends frames of several
    /// parts.
    pub(crate) fn least(self, is_granted: bool) -> Option<usize> {
        match self {
            _ if !is_granted => None,
            Self::Auto => Some(SHARED_FROM),
            Self::Share => Some(0),
            Self::Copy => None,
        }
    }
}

/// The payloads that are shared, in packets of the port: of each place its payload, and the edition
/// that it is.
#[derive(Debug)]
pub(super) struct Tails<P>(Vec<Option<(Tail<P>, u64)>>);

impl<P: Packet> Tails<P> {
    /// None yet, of so many places.
    pub(super) fn new(places: usize) -> Self {
        Self(std::iter::repeat_with(|| None).take(places).collect())
    }

    #[inline]
    fn find(&mut self, place: usize) -> Option<&mut Tail<P>> {
        self.0.get_mut(place)?.as_mut().map(|(tail, _)| tail)
    }

    /// Takes all packets out.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = P> + '_ {
        self.0.iter_mut().filter_map(Option::take).map(|(tail, _)| tail.into_packet())
    }
}

impl<Q: FrameQueue> Host<Q> {
    /// Sends a datagram with a shared payload in an empty packet, or passes it on where it leaves by
    /// another port's address. Says whether it was ours to send.
    pub(super) fn post_shared(
        &mut self,
        now: Time,
        packet: Q::Packet,
        (place, shares): (usize, &Shares),
        ends: (SocketAddr, SocketAddr),
        forwards: &mut Forwards<Q::Packet>,
    ) -> bool {
        let Some(shared) = shares.place(place) else {
            debug_assert!(false, "a letter names place {place}, which there is not");
            self.drop_unwritten(packet, Counter::TxNoBuffer);
            return true;
        };
        let len = shared.payload().len();
        if !self.guard.validation.may_send(now, ends.1, len) {
            self.drop_unwritten(packet, Counter::TxAmplification);
            return true;
        }
        let sent = if len > self.whole_payload.to_end(&ends.1) {
            Err(packet)
        } else {
            self.send_ready(now, packet, (place, shares), ends).or_else(|packet| {
                self.make_way(now, ends);
                self.send_ready(now, packet, (place, shares), ends)
            })
        };
        let Err(mut packet) = sent else { return true };
        self.counters.add(Counter::TxCopied, 1);
        copy_behind(&mut packet, 0, shared.payload());
        self.post_permitted(now, packet, ends, forwards)
    }

    /// Makes a way ready, if it is known to whom it leads.
    #[cold]
    fn make_way(&mut self, now: Time, (from, to): (SocketAddr, SocketAddr)) {
        let addresses = Addresses::new(from.ip(), to.ip());
        if let Some((addresses, route)) = addresses.zip(self.rules.addressing.route(from.ip(), to.ip())) {
            self.remember(now, addresses, route);
        }
    }

    /// Sends by a way that is ready. Gives the packet back where there is none.
    #[inline]
    fn send_ready(
        &mut self,
        now: Time,
        mut packet: Q::Packet,
        (place, shares): (usize, &Shares),
        (from, to): (SocketAddr, SocketAddr),
    ) -> Result<(), Q::Packet> {
        let way = self.ways.find(now, &from, &to).zip(shares.place(place));
        let Some((way, shared)) = way else { return Err(packet) };
        self.guard.sent(now, from.port(), to);
        let headers_len = way.headers_len();
        if place_headers(&mut packet, 0, headers_len) {
            let (len, ports) = (shared.payload().len(), (from.port(), to.port()));
            let headers = packet.room_mut().get_mut(..headers_len).unwrap_or_default();
            let written = way.fill(headers, len, ports, || shared.sum());
            self.send_chained(packet, written, place, shares);
        } else {
            self.drop_unwritten(packet, Counter::TxNoBuffer);
        }
        Ok(())
    }

    /// Sends headers that are written, and behind them their payload, or a copy of it.
    #[inline]
    pub(super) fn send_chained(
        &mut self,
        mut packet: Q::Packet,
        written: Written,
        place: usize,
        shares: &Shares,
    ) {
        let Some(shared) = shares.place(place) else {
            return self.drop_unwritten(packet, Counter::TxNoBuffer);
        };
        // A capture is to see whole frames, and short ones have to be filled up.
        let is_chained = shares.are_chained(shared.payload().len())
            && written.frame_len() >= ethernet::MIN_FRAME_LEN
            && !self.egress.tap.is_open()
            && self.renew_tail(place, shared);
        let tail = if is_chained { self.tails.find(place) } else { None };
        if tail.is_some_and(|tail| ways::finish_chained(&mut packet, written, tail)) {
            self.counters.add(Counter::TxShared, 1);
        } else {
            self.counters.add(Counter::TxCopied, 1);
            copy_behind(&mut packet, written.headers_len(), shared.payload());
            ways::finish(&mut packet, written);
        }
        self.egress.send(&mut self.queue, packet, Counter::Originated);
    }

    /// Whether a payload is in a packet of the port, or can be brought there.
    #[inline]
    fn renew_tail(&mut self, place: usize, shared: &Place) -> bool {
        let Some(tail) = self.tails.0.get(place) else { return false };
        let is_there = tail.as_ref().is_some_and(|(_, edition)| *edition == shared.edition());
        is_there || self.make_tail(place, shared)
    }

    /// Puts a payload into a packet of the port. `false` if there is none.
    fn make_tail(&mut self, place: usize, shared: &Place) -> bool {
        if let Some((old, _)) = self.tails.0[place].take() {
            self.egress.discard(&mut self.queue, old.into_packet());
        }
        self.queue.alloc_burst(&mut self.request);
        let packet = self.request.pop();
        self.tails.0[place] = packet.map(|mut packet| {
            copy_behind(&mut packet, 0, shared.payload());
            (Tail::new(packet), shared.edition())
        });
        self.tails.0[place].is_some()
    }

    /// Gives the packets of payloads back that nobody can send any more.
    pub(super) fn settle_shares(&mut self, shares: &mut Shares) {
        self.counters.add(Counter::TxCopied, shares.take_copied());
        let Some(places) = shares.settle() else { return };
        for (tail, place) in self.tails.0.iter_mut().zip(places) {
            if tail.is_some() && place.is_free() {
                let tail = tail.take().map(|(tail, _)| tail.into_packet());
                tail.into_iter().for_each(|packet| self.egress.discard(&mut self.queue, packet));
            }
        }
    }
}

/// Puts a payload behind the first `start` bytes of a frame, which ends there. The outbox saw to it
/// that there is room.
#[inline]
fn copy_behind<P: Packet>(packet: &mut P, start: usize, payload: &[u8]) {
    let end = start + payload.len();
    if let Some(room) = packet.room_mut().get_mut(start..end) {
        room.copy_from_slice(payload);
        packet.set_frame_len(end);
    } else {
        debug_assert!(false, "{end} bytes do not fit the room");
    }
}
