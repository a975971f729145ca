//! Many datagrams to one receiver: their way is looked for once, and their headers are made once.

use std::net::SocketAddr;

use super::{Outbox, SendError};
use crate::host::{PLAIN_HEADERS_LEN, Prepared};
use crate::packet::Letter;
use crate::wire::checksum::Sum;

/// Datagrams of one length to one receiver, sent through an [`Outbox`]: for services that send
/// many of them at a time. What leaves is what [`Outbox::send_with`] would send.
#[derive(Debug)]
pub struct Stream<'o, 'a> {
    outbox: &'o mut Outbox<'a>,
    from: SocketAddr,
    to: SocketAddr,
    /// Bytes of payload.
    len: usize,
    /// `None` where each has to find its way.
    prepared: Option<Prepared>,
    /// Rooms that are not written.
    free: usize,
}

impl<'a> Outbox<'a> {
    /// A stream of datagrams with `len` bytes of payload from one of our addresses to `to`.
    #[inline]
    pub fn stream<'o>(&'o mut self, from: SocketAddr, to: SocketAddr, len: usize) -> Stream<'o, 'a> {
        let way = self.limits.ways.and_then(|ways| ways.find(self.now, &from, &to));
        let way = way.filter(|_| len <= self.limits.whole_payload.to_end(&to));
        let prepared = way.map(|way| way.prepare(to.port(), len));
        let free = self.free();
        Stream { outbox: self, from, to, len, prepared, free }
    }
}

impl Stream<'_, '_> {
    /// The next ones leave from another port of the same address.
    #[inline]
    pub fn set_source_port(&mut self, port: u16) {
        self.from.set_port(port);
    }

    /// Sends a datagram whose payload `write` puts in place, all of it.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent and `write` was not called.
    #[inline]
    pub fn send_with(&mut self, write: impl FnOnce(&mut [u8])) -> Result<(), SendError> {
        self.send_summed(|room| {
            write(room);
            Sum::of(room)
        })
    }

    /// Sends a datagram whose payload `write` puts in place, all of it, and whose sum it gives:
    /// who writes the same bytes again and again need not have them read for the checksum each
    /// time. With a wrong sum the receiver drops the datagram; debug builds compare.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent and `write` was not called.
    #[inline]
    pub fn send_summed(&mut self, write: impl FnOnce(&mut [u8]) -> Sum) -> Result<(), SendError> {
        let Some(prepared) = &self.prepared else { return self.send_anew(write) };
        let next = self.free.checked_sub(1).ok_or(SendError::Full)?;
        let headers_len = prepared.headers_len();
        let Some(frame) = self.outbox.rooms[next].whole_frame(headers_len + self.len) else {
            return self.send_anew(write);
        };
        let (headers, payload) = frame.split_at_mut(headers_len);
        let sum = write(payload);
        debug_assert_eq!(sum.fold(), Sum::of(payload).fold(), "the sum is another payload's");
        prepared.write(headers, self.from.port(), sum);
        self.free = next;
        Ok(())
    }

    /// Sends a datagram from each of these ports of the same address, in this order. `write` puts the
    /// payload in place of the one with that number, from 0, and gives its sum, as with
    /// [`send_summed`](Self::send_summed).
    ///
    /// # Errors
    /// [`SendError`]; those before the one that `write` was not called for are sent.
    #[inline]
    pub fn send_each(
        &mut self,
        ports: &[u16],
        write: impl Fn(usize, &mut [u8]) -> Sum + Copy,
    ) -> Result<(), SendError> {
        let written = self.write_plain(ports, write);
        for (number, &port) in ports.iter().enumerate().skip(written) {
            self.set_source_port(port);
            self.send_summed(|room| write(number, room))?;
        }
        Ok(())
    }

    /// Writes as many of them as have headers of the usual kind. Gives how many.
    // On its own the loop keeps in registers what all of them have in common.
    #[inline(never)]
    fn write_plain(&mut self, ports: &[u16], write: impl Fn(usize, &mut [u8]) -> Sum + Copy) -> usize {
        let Some(plain) = self.prepared.as_ref().and_then(Prepared::plain) else { return 0 };
        let most = ports.len().min(self.free);
        let rooms = &mut self.outbox.rooms[self.free - most..self.free];
        let frame_len = PLAIN_HEADERS_LEN + self.len;
        let mut count = 0;
        for &port in &ports[..most] {
            let Some(room) = rooms.get_mut(most - 1 - count) else { break };
            let Some(frame) = room.whole_frame(frame_len) else { break };
            let Some((headers, payload)) = frame.split_first_chunk_mut() else { break };
            let sum = write(count, payload);
            debug_assert_eq!(sum.fold(), Sum::of(payload).fold(), "the sum is another payload's");
            plain.write(headers, port, sum);
            count += 1;
        }
        self.free -= count;
        count
    }

    /// As any other datagram.
    #[cold]
    fn send_anew(&mut self, write: impl FnOnce(&mut [u8]) -> Sum) -> Result<(), SendError> {
        self.note();
        let sent = self.outbox.send_with(self.from, self.to, self.len, |room| _ = write(room));
        self.free = self.outbox.free();
        sent
    }

    /// Has the outbox know what was written.
    #[inline]
    fn note(&mut self) {
        let count = self.outbox.free() - self.free;
        if let Some(prepared) = self.prepared.as_ref().filter(|_| count > 0) {
            self.outbox.mail.push(Letter::Frames(prepared.written(), count as u32));
        }
    }
}

impl Drop for Stream<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.note();
    }
}
