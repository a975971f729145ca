//! Packets on their way from one port of a worker to another.

use std::net::SocketAddr;

use crate::port::PortId;

/// A packet that leaves by another port than the one it came by or was allocated from.
#[derive(Debug)]
pub struct Forward<P> {
    /// The frame, with whatever headers it came with.
    pub packet: P,
    /// Where in the frame the payload starts, in bytes; the frame ends with it.
    pub payload_start: usize,
    /// The port to leave by; `None`: whichever owns `from`.
    pub port: Option<PortId>,
    /// One of that port's addresses.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
}

/// The forwards of one poll. Empty outside [`Worker::poll_once`](crate::Worker::poll_once).
#[derive(Debug)]
pub struct Forwards<P>(Vec<Forward<P>>);

impl<P> Forwards<P> {
    /// None, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends a forward.
    ///
    /// # Errors
    /// Gives the packet back if there is no room.
    pub fn push(&mut self, forward: Forward<P>) -> Result<(), P> {
        if self.0.len() == self.0.capacity() {
            return Err(forward.packet);
        }
        self.0.push(forward);
        Ok(())
    }

    /// Takes out those that `is_wanted` chooses, in order.
    pub fn take<'a>(
        &'a mut self,
        mut is_wanted: impl FnMut(&Forward<P>) -> bool + 'a,
    ) -> impl Iterator<Item = Forward<P>> + 'a {
        self.0.extract_if(.., move |forward| is_wanted(forward))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_takes_its_own_and_leaves_the_rest() {
        let forward = |packet, port| Forward {
            packet,
            payload_start: 42,
            port: Some(PortId(port)),
            from: ([10, 0, 0, 1], 1).into(),
            to: ([10, 0, 0, 2], 2).into(),
        };
        let mut forwards = Forwards::with_capacity(3);
        for (packet, port) in [(1, 0), (2, 1), (3, 0)] {
            assert!(forwards.push(forward(packet, port)).is_ok());
        }
        assert_eq!(forwards.push(forward(4, 0)), Err(4));
        let taken: Vec<_> =
            forwards.take(|forward| forward.port == Some(PortId(0))).map(|f| f.packet).collect();
        assert_eq!(taken, [1, 3]);
        assert!(!forwards.is_empty());
        assert_eq!(forwards.take(|_| true).count(), 1);
    }
}
