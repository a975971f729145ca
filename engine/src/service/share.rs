//! One payload to many receivers.

use std::net::SocketAddr;

use super::{Outbox, SendError, TooLong};
use crate::packet::{Letter, Shared};
use crate::wire::ethernet;

impl Outbox<'_> {
    /// A payload that is sent to many ([`send_shared`](Self::send_shared)): it is written once, and
    /// summed once for its checksums. It may be kept and sent again later. A service says in
    /// [`SHARED`](super::Service::SHARED) how many it has at a time.
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// # use std::time::Duration;
    /// use gannet::{Datagram, Lab, Outbox, Service, Tick, Time, Verdict};
    ///
    /// struct News(Vec<(SocketAddr, SocketAddr)>);
    ///
    /// impl Service for News {
    ///     const SHARED: usize = 1;
    ///
    ///     fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
    ///         self.0.push((datagram.destination(), datagram.source()));
    ///         Verdict::Drop
    ///     }
    ///
    ///     fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
    ///         if let Ok(news) = outbox.share(b"nothing new") {
    ///             for &(own, reader) in &self.0 {
    ///                 // What does not fit is this reader's loss.
    ///                 let _ = outbox.send_shared(own, reader, &news);
    ///             }
    ///         }
    ///         Tick::Done(now + Duration::from_secs(1))
    ///     }
    /// }
    ///
    /// let mut lab = Lab::new(News(Vec::new()));
    /// lab.send("10.77.0.2:4660", 7, b"subscribe");
    /// lab.send("[fd00:77::3]:4661", 7, b"subscribe");
    /// lab.turn();
    /// lab.advance(Duration::from_secs(1));
    /// assert_eq!(lab.receive().expect("the first one's").payload, b"nothing new");
    /// assert_eq!(lab.receive().expect("the second one's").payload, b"nothing new");
    /// ```
    ///
    /// # Errors
    /// [`SendError::Full`] if all places are taken: by what the service keeps, and by what was sent
    /// in this call. [`SendError::TooLong`] for what no datagram can carry.
    #[inline]
    pub fn share(&mut self, payload: &[u8]) -> Result<Shared, SendError> {
        self.share_with(payload.len(), |room| room.copy_from_slice(payload))
    }

    /// As [`share`](Self::share), with `len` bytes that `write` puts in place, all of them: what was
    /// there before would be sent.
    ///
    /// # Errors
    /// As for [`share`](Self::share); `write` was not called.
    #[inline]
    pub fn share_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Result<Shared, SendError> {
        let shares = &mut self.mail.shares;
        let max = shares.longest();
        if len > max && max > 0 {
            return Err(TooLong { len, max }.into());
        }
        shares.share(len, write).ok_or(SendError::Full)
    }

    /// Sends a shared payload from one of our addresses to `to`: what leaves is what
    /// [`send`](Self::send) would send. Where the port sends frames of several parts, the payload is
    /// not copied, if it is long enough for that to be worth while (docs/services.md).
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent.
    #[inline]
    pub fn send_shared(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        shared: &Shared,
    ) -> Result<(), SendError> {
        let (room, max) = self.next_room(&to)?;
        let len = shared.payload().len();
        if len > max {
            return Err(TooLong { len, max }.into());
        }
        let Some(place) = self.mail.shares.post(shared) else {
            self.mail.shares.count_copy();
            return self.send(from, to, shared.payload());
        };
        let way = self.limits.ways.and_then(|ways| ways.find(self.now, &from, &to));
        let way = way.filter(|_| len <= self.limits.whole_payload.to_end(&to));
        let headers = way.and_then(|way| Some((way, self.rooms[room].frame(way.headers_len(), len)?)));
        let Some((way, frame)) = headers else {
            self.mail.push(Letter::Shared { from, to, place });
            return Ok(());
        };
        let is_chained = self.mail.shares.are_chained(len) && frame.len() >= ethernet::MIN_FRAME_LEN;
        let (headers, payload) = frame.split_at_mut(way.headers_len());
        let written = way.fill(headers, len, (from.port(), to.port()), || shared.sum());
        let letter = if is_chained {
            Letter::Chained(written, place as u32)
        } else {
            payload.copy_from_slice(shared.payload());
            self.mail.shares.count_copy();
            Letter::Frame(written)
        };
        self.mail.push(letter);
        Ok(())
    }
}
