//! What an application implements: [`Service`], and what it is given.

mod share;
mod stream;

use std::net::SocketAddr;

pub use stream::Stream;

use crate::host::{Cookie, MaxPayload, Validation, Ways};
use crate::packet::{Letter, Mail, Room};
use crate::port::PortId;
use crate::time::Time;
use crate::wire::checksum::Sum;
use crate::wire::vlan::Vlans;

/// A UDP service. One value runs on each worker lcore and is that lcore's alone.
///
/// ```
/// use gannet::{Datagram, Outbox, Service, Time, Verdict};
///
/// struct Shout;
///
/// impl Service for Shout {
///     fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
///         datagram.payload_mut().make_ascii_uppercase();
///         Verdict::Reply
///     }
/// }
/// ```
///
/// A service must not block: its lcore does nothing else meanwhile. A panic stops the
/// program.
pub trait Service: Send {
    /// What kind of service it is: which guards are on by themselves depends on it
    /// ([`GuardConfig`](crate::GuardConfig) has the table).
    const ROLE: Role = Role::Stateless;

    /// How many payloads it may have shared at a time ([`Outbox::share`]), of each of its ports:
    /// those that it keeps, and those that it sends in one call. Each has a buffer.
    const SHARED: usize = 0;

    /// A datagram arrived for one of the program's addresses and ports.
    fn on_datagram(&mut self, now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict;

    /// The deadline that the last call named has come; the first call is at the start.
    /// The default wants no further tick.
    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        let _ = (now, outbox);
        Tick::Done(Time::NEVER)
    }
}

/// What kind of service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server that keeps nothing about its clients: an echo.
    Stateless,
    /// A server that keeps something about its clients: a game.
    Stateful,
    /// It sends first and is answered: a traffic generator.
    Client,
}

/// What becomes of a datagram when the service has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes back to its source, with the payload as it is now, in the same buffer.
    Reply,
    /// It leaves by a port of the same worker, with the payload as it is now.
    Forward {
        /// The port to leave by.
        port: PortId,
        /// One of that port's addresses.
        from: SocketAddr,
        /// The receiver.
        to: SocketAddr,
    },
    /// It is dropped.
    Drop,
}

/// When a service wants its next tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Not before this moment.
    Done(Time),
    /// As soon as received datagrams have had a turn: there is more to do or to send.
    More,
    /// At once, when what is in the outbox is sent; every second time received datagrams have a
    /// turn, as with [`More`](Self::More). Few datagrams at a time are still in the processor's
    /// nearest cache when they are sent.
    Again,
}

/// Ticks at a time of a service that wants to go on at once.
pub(crate) const ROUNDS: usize = 2;

/// A received datagram, in the buffer that it came in.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// All writable bytes from the frame's start.
    room: &'a mut [u8],
    start: usize,
    len: usize,
    /// The longest payload that a reply may have.
    max_len: usize,
    source: SocketAddr,
    destination: SocketAddr,
    port: PortId,
    vlans: Vlans,
    touched: bool,
}

impl<'a> Datagram<'a> {
    /// A datagram whose payload is `room[start..start + len]` and may grow to `max_len`.
    #[inline]
    pub(crate) fn new(room: &'a mut [u8], start: usize, len: usize, max_len: usize, from: Arrival) -> Self {
        let max_len = max_len.min(room.len() - start);
        let Arrival { source, destination, port, vlans } = from;
        Self { room, start, len, max_len, source, destination, port, vlans, touched: false }
    }

    /// Who sent it.
    #[inline]
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// Which of our addresses and ports it was sent to.
    #[inline]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// The port that it came by.
    #[inline]
    pub fn port(&self) -> PortId {
        self.port
    }

    /// The VLANs that it came in.
    #[inline]
    pub fn vlans(&self) -> Vlans {
        self.vlans
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.room[self.start..self.start + self.len]
    }

    /// The payload, to be changed in place. Its checksum will be renewed.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.touched = true;
        &mut self.room[self.start..self.start + self.len]
    }

    /// The longest payload that [`resize`](Self::resize) allows, in bytes: what the buffer
    /// and the port's MTU leave. A payload that arrived longer keeps its length.
    #[inline]
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// Cuts the payload, or lengthens it with zeros, to `len` bytes.
    ///
    /// # Errors
    /// [`TooLong`], and nothing changes, if `len` is over [`max_len`](Self::max_len).
    pub fn resize(&mut self, len: usize) -> Result<(), TooLong> {
        if len > self.max_len {
            return Err(TooLong { len, max: self.max_len });
        }
        if len > self.len {
            self.room[self.start + self.len..self.start + len].fill(0);
        }
        self.touched |= len != self.len;
        self.len = len;
        Ok(())
    }

    /// The payload's length in bytes and whether its checksum has to be renewed.
    #[inline]
    pub(crate) fn outcome(&self) -> (usize, bool) {
        (self.len, self.touched)
    }
}

/// Where a datagram comes from and by what way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) port: PortId,
    pub(crate) vlans: Vlans,
}

/// A payload that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payload of {len} bytes does not fit: {max} is the most that the buffer and the MTU leave")]
pub struct TooLong {
    /// Bytes asked for.
    pub len: usize,
    /// Bytes that there are.
    pub max: usize,
}

/// Why the outbox did not take a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no room left before the next transmission. Send the rest on the next tick
    /// ([`Tick::More`]) or drop it. Of what is to be shared: all places for it
    /// ([`Service::SHARED`]) are taken.
    #[error("the outbox is full")]
    Full,
    /// The payload is longer than a room.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Datagrams that the service sends of its own accord, written straight into buffers of
/// the port. Bounded; what it takes is sent when the call returns.
#[derive(Debug)]
pub struct Outbox<'a> {
    rooms: &'a mut [Room],
    mail: &'a mut Mail,
    limits: Limits<'a>,
    now: Time,
    validation: &'a mut Validation,
}

/// What an outbox takes, and what it writes at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    /// The longest payloads.
    pub(crate) payload: MaxPayload,
    /// The longest ones that need not be cut.
    pub(crate) whole_payload: MaxPayload,
    /// The ways that are ready, where no guard has a say in what is sent.
    pub(crate) ways: Option<&'a Ways>,
}

impl<'a> Limits<'a> {
    /// Those of a host, whose ways count where no guard has a say.
    #[inline]
    pub(crate) fn of_host(
        payload: MaxPayload,
        whole: MaxPayload,
        is_unguarded: bool,
        ways: &'a Ways,
    ) -> Self {
        Self { payload, whole_payload: whole, ways: is_unguarded.then_some(ways) }
    }

    /// Payloads of that length, whose headers are somebody else's to write.
    pub(crate) fn plain(payload: MaxPayload) -> Self {
        Self { payload, whole_payload: payload, ways: None }
    }
}

impl<'a> Outbox<'a> {
    #[inline]
    pub(crate) fn new(
        now: Time,
        (rooms, mail): (&'a mut [Room], &'a mut Mail),
        limits: Limits<'a>,
        validation: &'a mut Validation,
    ) -> Self {
        Self { rooms, mail, limits, now, validation }
    }

    /// How many more datagrams it takes.
    pub fn free(&self) -> usize {
        self.rooms.len() - self.mail.written()
    }

    /// Sends `payload` from one of our addresses to `to`. Where the amplification cap is on, a
    /// receiver that is not validated ([`validate`](Self::validate)) and has sent too little is
    /// sent nothing, which is counted as `tx_amplification`.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent.
    #[inline]
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<(), SendError> {
        self.send_with(from, to, payload.len(), |room| room.copy_from_slice(payload))
    }

    /// Sends `len` bytes that `write` puts in place, from one of our addresses to `to`. The
    /// room holds whatever was there before; all of it is sent, so write all of it.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent and `write` was not called.
    #[inline]
    pub fn send_with(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<(), SendError> {
        let (room, max) = self.next_room(&to)?;
        let room = &mut self.rooms[room];
        let headroom = room.headroom();
        let bytes = room.bytes();
        let payload = bytes[headroom..].get_mut(..len).filter(|_| len <= max);
        write(payload.ok_or(TooLong { len, max })?);
        let way = self.limits.ways.and_then(|ways| ways.find(self.now, &from, &to));
        let way =
            way.filter(|way| len <= self.limits.whole_payload.to_end(&to) && way.headers_len() <= headroom);
        self.mail.push(match way {
            None => Letter::Payload { from, to, len },
            Some(way) => {
                let (headers, payload) =
                    bytes[headroom - way.headers_len()..headroom + len].split_at_mut(way.headers_len());
                Letter::Frame(way.fill(headers, len, (from.port(), to.port()), || Sum::of(payload)))
            }
        });
        Ok(())
    }

    /// The number of the next room, and the longest payload to such an end that fits it.
    #[inline]
    fn next_room(&mut self, to: &SocketAddr) -> Result<(usize, usize), SendError> {
        let next = self.rooms.len().checked_sub(self.mail.written() + 1).ok_or(SendError::Full)?;
        let room = &mut self.rooms[next];
        let headroom = room.headroom();
        Ok((next, self.limits.payload.to_end(to).min(room.bytes().len() - headroom)))
    }
}

impl Outbox<'_> {
    /// A cookie for `source`, who sent a datagram to our address and port `own`. Who sends it
    /// back receives what is sent to that address and port: it is no forged source.
    ///
    /// It is made anew each time and nothing is kept, so that forged sources cost nothing:
    /// SipHash over both ends and a secret that changes every minute.
    pub fn cookie(&self, source: SocketAddr, own: SocketAddr) -> Cookie {
        self.validation.cookie(self.now, source, own)
    }

    /// Whether `cookie` is one that `source` was given for `own`, in this minute or the last.
    pub fn is_cookie(&self, source: SocketAddr, own: SocketAddr, cookie: &[u8]) -> bool {
        self.validation.is_valid(self.now, source, own, cookie)
    }

    /// Takes it that `source` is no forged one: the amplification cap and the rate of all sources
    /// together are off for it, until nothing has come from it for ten minutes. A reply to the present datagram counts already.
    pub fn validate(&mut self, source: SocketAddr) {
        self.validation.validate(self.now, source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival() -> Arrival {
        Arrival {
            source: ([10, 77, 0, 2], 4660).into(),
            destination: ([10, 77, 0, 1], 7).into(),
            port: PortId(0),
            vlans: Vlans::NONE,
        }
    }

    #[test]
    fn reading_does_not_touch() {
        let mut room = *b"....hello.....";
        let datagram = Datagram::new(&mut room, 4, 5, 100, arrival());
        assert_eq!(datagram.payload(), b"hello");
        assert_eq!(datagram.outcome(), (5, false));
    }

    #[test]
    fn a_payload_grows_with_zeros_as_far_as_there_is_room() {
        let mut room = *b"....hello.....";
        let mut datagram = Datagram::new(&mut room, 4, 5, 100, arrival());
        assert_eq!(datagram.max_len(), 10);
        assert_eq!(datagram.resize(11), Err(TooLong { len: 11, max: 10 }));
        assert_eq!(datagram.resize(2), Ok(()));
        assert_eq!(datagram.resize(4), Ok(()));
        assert_eq!(datagram.payload(), b"he\0\0");
        assert_eq!(datagram.outcome(), (4, true));
    }
}
