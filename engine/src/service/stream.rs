//! Many datagrams to one receiver: their way is looked for once, and their headers are made once.

use std::net::SocketAddr;

use super::{Outbox, SendError};
use crate::host::Prepared;
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
}

impl<'a> Outbox<'a> {
    /// A stream of datagrams with `len` bytes of payload from one of our addresses to `to`.
    #[inline]
    pub fn stream<'o>(&'o mut self, from: SocketAddr, to: SocketAddr, len: usize) -> Stream<'o, 'a> {
        let way = self.limits.ways.and_then(|ways| ways.find(self.now, &from, &to));
        let way = way.filter(|_| len <= self.limits.whole_payload.to_end(&to));
        let prepared = way.map(|way| way.prepare(from.port(), to.port(), len));
        Stream { outbox: self, from, to, len, prepared }
    }
}

impl Stream<'_, '_> {
    /// The next ones leave from another port of the same address.
    #[inline]
    pub fn set_source_port(&mut self, port: u16) {
        self.from.set_port(port);
        if let Some(prepared) = &mut self.prepared {
            prepared.set_source_port(port);
        }
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
        let Outbox { rooms, mail, .. } = &mut *self.outbox;
        let next = rooms.len().checked_sub(mail.letters.len() + 1).ok_or(SendError::Full)?;
        let headers_len = prepared.headers_len();
        let Some(frame) = rooms[next].frame(headers_len, self.len) else { return self.send_anew(write) };
        let (headers, payload) = frame.split_at_mut(headers_len);
        let sum = write(payload);
        debug_assert_eq!(sum.fold(), Sum::of(payload).fold(), "the sum is another payload's");
        mail.letters.push(Letter::Frame(prepared.write(headers, sum)));
        Ok(())
    }

    /// As any other datagram.
    #[cold]
    fn send_anew(&mut self, write: impl FnOnce(&mut [u8]) -> Sum) -> Result<(), SendError> {
        self.outbox.send_with(self.from, self.to, self.len, |room| _ = write(room))
    }
}
