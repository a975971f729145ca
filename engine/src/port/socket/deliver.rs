//! From messages to datagrams in the service's hands, and what becomes of them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;

use super::queue::{Bound, SocketQueue};
use super::receive::Message;
use crate::forward::{Forward, Forwards};
use crate::host::MaxPayload;
use crate::packet::Packet;
use crate::port::PortId;
use crate::port::heap::HeapPacket;
use crate::service::{Arrival, Datagram, Limits, Outbox, Service, Verdict};
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::vlan::Vlans;

/// A datagram that a socket received.
struct Part<'a> {
    /// The socket's number.
    socket: usize,
    /// The number of its message in the burst.
    at: usize,
    /// Its bytes there.
    range: Range<usize>,
    /// It has the message's buffer to itself.
    is_whole: bool,
    arrival: &'a Arrival,
}

impl SocketQueue {
    /// Receives a burst of one socket and has the service answer it. Gives how many datagrams
    /// there were.
    #[inline]
    pub(super) fn take_in<S: Service>(
        &mut self,
        now: Time,
        socket: usize,
        service: &mut S,
        forwards: &mut Forwards<HeapPacket>,
    ) -> usize {
        let count = match self.receiver.receive(&self.bound[socket].socket) {
            Ok(count) => count,
            Err(error) => {
                self.counters.add(Counter::SocketError, u64::from(error.kind() != ErrorKind::WouldBlock));
                return 0;
            }
        };
        let received = (0..count).map(|at| self.receiver.message(at).datagrams()).sum();
        self.counters.add(Counter::Received, received as u64);
        self.undelivered = received;
        self.lend();
        for at in 0..count {
            self.open(now, (socket, at), service, forwards);
        }
        self.post(now, forwards);
        received
    }

    /// A message of the burst: a datagram, or several that the kernel joined.
    #[inline]
    fn open<S: Service>(
        &mut self,
        now: Time,
        (socket, at): (usize, usize),
        service: &mut S,
        forwards: &mut Forwards<HeapPacket>,
    ) {
        let message = self.receiver.message(at);
        let count = message.datagrams();
        let arrival = match arrival(self.port, &self.bound[socket], &message) {
            Ok(arrival) => arrival,
            Err(reason) => {
                self.undelivered -= count;
                return self.counters.add(reason, count as u64);
            }
        };
        if count == 1 {
            let part = Part { socket, at, range: 0..message.len, is_whole: true, arrival: &arrival };
            return self.deliver(now, &part, service, forwards);
        }
        self.counters.add(Counter::RxJoined, 1);
        for index in 0..count {
            let part = Part { socket, at, range: message.part(index), is_whole: false, arrival: &arrival };
            self.deliver(now, &part, service, forwards);
        }
    }

    #[inline]
    fn deliver<S: Service>(
        &mut self,
        now: Time,
        part: &Part<'_>,
        service: &mut S,
        forwards: &mut Forwards<HeapPacket>,
    ) {
        self.undelivered -= 1;
        let &Part { arrival: &arrival, ref range, .. } = part;
        let Arrival { source, destination, .. } = arrival;
        if let Err(reason) = self.guard.admit(now, source, destination.port(), range.len()) {
            return self.counters.add(reason, 1);
        }
        let Some(packet) = self.packet(part) else { return self.counters.add(Counter::RxNoRoom, 1) };
        self.counters.add(Counter::Delivered, 1);
        // The packet stays here meanwhile, where it is found if the service panics.
        let packet = self.delivering.insert(packet);
        let max_len = MaxPayload::DATAGRAM.to(source.ip());
        let mut datagram = Datagram::new(packet.room_mut(), 0, range.len(), max_len, arrival);
        let parts = self.lent.parts();
        let mut outbox =
            Outbox::new(now, parts, Limits::plain(MaxPayload::DATAGRAM), &mut self.guard.validation);
        let verdict = service.on_datagram(now, &mut datagram, &mut outbox);
        let (len, _) = datagram.outcome();
        let Some(mut packet) = self.delivering.take() else { return };
        packet.set_frame_len(len);
        match verdict {
            Verdict::Reply if !self.guard.validation.may_send(now, source, len) => {
                self.counters.add(Counter::Replied, 1);
                self.drop_unsent(packet, Counter::TxAmplification);
            }
            Verdict::Reply => {
                self.counters.add(Counter::Replied, 1);
                self.send(part.socket, packet, destination, source);
            }
            Verdict::Forward { port, from, to } if port == self.port => {
                self.counters.add(Counter::ForwardedAway, 1);
                self.emit(now, Counter::Forwarded, packet, from, to);
            }
            Verdict::Forward { port, from, to } => {
                self.forward(Forward { packet, payload_start: 0, port: Some(port), from, to }, forwards);
            }
            Verdict::Drop => {
                self.counters.add(Counter::ServiceDropped, 1);
                self.stash.put(packet);
            }
        }
    }

    /// A packet that is a datagram's alone, so that it may grow: the one that it came in, or a
    /// copy where others came in the same.
    #[inline]
    fn packet(&mut self, part: &Part<'_>) -> Option<HeapPacket> {
        let mut packet = self.spare()?;
        if part.is_whole {
            return Some(self.receiver.replace(part.at, packet));
        }
        let bytes = self.receiver.room(part.at).get(part.range.clone());
        if bytes.is_some_and(|bytes| packet.fill(bytes)) {
            return Some(packet);
        }
        self.stash.put(packet);
        None
    }
}

/// Where a message comes from and by what way, or why it is dropped.
#[inline]
fn arrival(port: PortId, bound: &Bound, message: &Message) -> Result<Arrival, Counter> {
    if message.is_truncated {
        return Err(Counter::RxTruncated);
    }
    let source = message.source.ok_or(Counter::SourceIp)?;
    if source.port() == 0 {
        return Err(Counter::SourcePort);
    }
    let destination = if bound.is_wildcard { told(bound, message)? } else { bound.endpoint };
    Ok(Arrival { source, destination, port, vlans: Vlans::NONE })
}

/// What the kernel says that a message was sent to.
fn told(bound: &Bound, message: &Message) -> Result<SocketAddr, Counter> {
    let told = message.told.destination.ok_or(Counter::RxTruncated)?;
    if !told.is_own {
        return Err(Counter::GroupIp);
    }
    let mut destination = SocketAddr::new(told.address, bound.endpoint.port());
    if let SocketAddr::V6(address) = &mut destination
        && address.ip().is_unicast_link_local()
    {
        // Such an address is on every link; the reply leaves by that of the request.
        address.set_scope_id(told.interface);
    }
    Ok(destination)
}
