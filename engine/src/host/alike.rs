//! The fastest lane: eight frames alike at a time, turned round before the service has seen them.
//!
//! A flood of short frames is alike but for its sources ([`Alike`]), and mostly every datagram of
//! it goes back as it came. So the headers of a reply are made at once when they are judged, and
//! the service is asked afterwards; where it wants something else they are turned back.

use super::Host;
use super::classify::UdpChecksum;
use super::lane::{Lane, Stop, Wanted, plain_udp};
use crate::forward::Forwards;
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::service::{Datagram, Limits, Outbox, Service, Verdict};
use crate::time::Time;
use crate::wire::plain::{ALIKE_LENS, Alike, AlikeKind, HEADERS_LEN, Head, Headers};

impl<Q: FrameQueue> Host<Q> {
    /// Answers those at the front of what is not answered yet that are alike, eight at a time.
    /// Gives how many they were.
    #[inline]
    pub(super) fn run_alike<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) -> usize {
        let turned =
            self.lane.as_mut().map_or(0, |lane| lane.turn_alike(&mut self.received[self.answered..]));
        let mut left = turned;
        while left > 0 {
            self.is_delivering = true;
            let (delivered, stop) = self.deliver_turned(now, left, service);
            self.is_delivering = false;
            left -= delivered;
            if let Stop::Wanted(wanted) = stop {
                self.turn_back();
                self.conclude(now, wanted, forwards);
            }
        }
        turned
    }

    /// Has the service see frames that were turned, the first `count` that are not answered yet.
    /// Says how many it saw, and what it wants of the last one if that is not its reply.
    #[inline]
    fn deliver_turned<S: Service>(&mut self, now: Time, count: usize, service: &mut S) -> (usize, Stop) {
        let begin = self.answered;
        let mut delivered = 0;
        for packet in &mut self.received[begin..begin + count] {
            let headers = packet.frame().first_chunk().unwrap_or(&[0; HEADERS_LEN]);
            // What was the destination is now the source.
            let mut arrival = plain_udp(headers, UdpChecksum::Right).arrival(self.port);
            std::mem::swap(&mut arrival.source, &mut arrival.destination);
            let payload_len = packet.frame_len() - HEADERS_LEN;
            let max_payload = self.max_payload.to(arrival.source.ip());
            let mut datagram =
                Datagram::new(packet.room_mut(), HEADERS_LEN, payload_len, max_payload, arrival);
            let limits = Limits::of_host(self.max_payload, self.whole_payload, self.is_unguarded, &self.ways);
            let mut outbox = Outbox::new(now, self.lent.parts(), limits, &mut self.guard.validation);
            let verdict = service.on_datagram(now, &mut datagram, &mut outbox);
            let (len, touched) = datagram.outcome();
            delivered += 1;
            if verdict != Verdict::Reply || len != payload_len || touched {
                let checksum = UdpChecksum::Right;
                return (delivered, Stop::Wanted(Wanted { checksum, verdict, len, touched }));
            }
            self.answered = begin + delivered;
        }
        (delivered, Stop::End)
    }

    /// Makes the headers of the first frame that is not answered yet those of a datagram to us again.
    fn turn_back(&mut self) {
        let packet = self.received.get_mut(self.answered);
        let Some(headers) = packet.and_then(|packet| packet.frame_mut().first_chunk_mut()) else { return };
        let headers: &mut Headers = headers;
        headers[..12].rotate_left(6);
        headers[26..34].rotate_left(4);
        headers[34..38].rotate_left(2);
    }
}

impl Lane {
    /// What frames of a kind look like. To make a template costs as much as some frames do, so that is done
    /// when the kind came twice running.
    #[inline]
    fn template(&mut self, kind: AlikeKind) -> Option<&mut Alike> {
        let last = std::mem::replace(&mut self.last_kind, kind);
        if !self.alike.as_ref().is_some_and(|alike| alike.kind() == kind) {
            if last != kind {
                return None;
            }
            self.renew(kind);
        }
        self.alike.as_mut()
    }

    /// Not inlined: its room on the stack would be made for every burst.
    #[inline(never)]
    fn renew(&mut self, kind: AlikeKind) {
        self.alike = self.expected.alike(kind);
    }

    /// Turns frames at the front of `packets` that are alike into their replies, eight at a time.
    /// Gives how many they were.
    #[inline]
    fn turn_alike<P: Packet>(&mut self, packets: &mut [P]) -> usize {
        let Some(first) = packets.first() else { return 0 };
        let len = first.frame_len();
        if !ALIKE_LENS.contains(&len) || !self.turns_alike {
            return 0;
        }
        let class = first.frame().get(15).copied().unwrap_or(0);
        let Some(alike) = self.template(AlikeKind::new(len, class)) else { return 0 };
        if len == size_of::<Head>() {
            // All of a head is the frame's.
            alike.turn_front(packets, |packet| {
                (packet.frame_len() == size_of::<Head>())
                    .then(|| packet.frame_mut().first_chunk_mut())
                    .flatten()
            })
        } else {
            alike.turn_front(packets, |packet| {
                (packet.frame_len() == len).then(|| packet.room_mut().first_chunk_mut()).flatten()
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ethernet::MacAddress;
    use crate::wire::plain::{Expected, Station};

    #[test]
    fn a_template_is_made_for_what_came_twice_running() {
        let own = [[10, 77, 0, 1].into()];
        let station = Station {
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            addresses: &own,
            impossible_sources: &own,
            ports: &[7],
            mtu: 1500,
            ttl: 64,
        };
        let expected = Expected::new(&station);
        let (one, other) = (*ALIKE_LENS.start(), *ALIKE_LENS.end());
        // Not every processor has the instructions.
        let has = expected.alike(AlikeKind::new(one, 0)).is_some();
        let last_kind = AlikeKind::default();
        let mut lane = Lane { expected, looks_ports_up: false, alike: None, last_kind, turns_alike: true };
        let mut looks = |len| lane.template(AlikeKind::new(len, 0)).is_some();
        assert_eq!([one, one, one].map(&mut looks), [false, has, has]);
        assert_eq!([other, one, other, one].map(&mut looks), [false, has, false, has], "it is kept");
        assert_eq!([other, other, one, one].map(&mut looks), [false, has, false, has]);
    }
}
