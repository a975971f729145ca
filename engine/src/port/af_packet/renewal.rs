//! An interface that was deleted while it was served, and is there again under the same name.
//!
//! The kernel leaves a packet socket without its interface (`ENODEV`, `ENXIO`). One alone is bound to the
//! new interface, with its ring, which takes no rights. Those of a fanout group can't leave it, so the
//! queues of a port with several get new sockets, in the place of the old ones' descriptors, and rings,
//! which takes `CAP_NET_RAW`. Workers find these in a [`Mailbox`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::AfPacketError;
use super::control::{AfPacketControl, QueueControl};
use super::home::Home;
use super::interface::Interface;
use super::mapping::page_size;
use super::open::{Opener, Parts};
use super::plan::Plan;
use super::pool::FreeList;
use crate::port::Found;

/// What lies between two attempts to serve an interface that is refused.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a queue finds a new ring and pool.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    is_full: AtomicBool,
    parts: Mutex<Option<(Arc<Home>, FreeList)>>,
}

impl Mailbox {
    fn put(&self, home: Arc<Home>, free: FreeList) {
        *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = Some((home, free));
        self.is_full.store(true, Ordering::Release);
    }

    /// Whether there is something in it.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Takes out what is in it.
    pub(super) fn take(&self) -> Option<(Arc<Home>, FreeList)> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_full.store(false, Ordering::Release);
        parts.take()
    }
}

/// An interface that is gone.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// When the one that took its place was refused last, and why, as was said.
    refused: Option<(Instant, String)>,
}

impl Gone {
    /// Whether it was tried just now.
    fn waits(&self) -> bool {
        self.refused.as_ref().is_some_and(|(moment, _)| moment.elapsed() < PAUSE)
    }
}

impl AfPacketControl {
    /// Looks whether the interface is there, and serves the one that took its place.
    pub(super) fn look(&mut self) -> Found {
        let index = self.query.index();
        if self.gone.is_none() {
            let own = self.interface.index;
            if index.is_ok_and(|index| index == own) || self.query.is_there(own) {
                return Found::Same;
            }
            self.gone = Some(Gone::default());
            let wait = format!(
                "the interface was deleted; it is served again when there is a new '{}'",
                self.interface.name
            );
            return Found::Gone(wait);
        }
        if index.is_err() || self.gone.as_ref().is_some_and(Gone::waits) {
            return Found::Same;
        }
        match self.open_again() {
            Ok(true) => {
                self.gone = None;
                Found::Renewed(self.interface.mac)
            }
            Ok(false) => Found::Same,
            Err(AfPacketError::NoPermission { .. }) => Found::Lost(
                "its interface is there again, but to open several queues takes CAP_NET_RAW, which was given up \
                 after the start: start the program again, or keep the right with --keep-privileges"
                    .to_owned(),
            ),
            Err(error) => self.refused(error.to_string()),
        }
    }

    /// Says once why the new interface can't be served.
    fn refused(&mut self, reason: String) -> Found {
        let gone = Gone { refused: Some((Instant::now(), reason.clone())) };
        match self.gone.replace(gone).and_then(|gone| gone.refused) {
            Some((_, said)) if said == reason => Found::Same,
            _ => Found::Gone(reason),
        }
    }

    /// Opens the interface that has the name now. `false` if that is to wait.
    fn open_again(&mut self) -> Result<bool, AfPacketError> {
        let (interface, _) = Interface::open(&self.interface.name)?;
        let plan = Plan::new(&interface, &self.config, page_size())?;
        let mut opener = Opener::new(&interface, &plan);
        match self.queues.as_mut_slice() {
            [queue] => opener.bind_again(&queue.socket, &self.config)?,
            // Most kernels split only an interface that is up into queues.
            _ if !interface.is_up => return Ok(false),
            queues => {
                let parts = opener.open_queues(&self.config)?;
                let replaced = queues.iter_mut().zip(parts).try_for_each(|(queue, parts)| queue.renew(parts));
                replaced.map_err(|source| AfPacketError::System {
                    interface: interface.name.clone(),
                    call: "dup3",
                    source,
                })?;
            }
        }
        if interface.mtu != self.interface.mtu {
            tracing::warn!(
                "{}: its MTU was {} and is {}, which takes a restart",
                interface.name,
                self.interface.mtu,
                interface.mtu
            );
        }
        self.interface = interface;
        Ok(true)
    }
}

impl QueueControl {
    /// Gives the queue another socket and ring.
    fn renew(&mut self, parts: Parts) -> io::Result<()> {
        let Parts { socket, home, free } = parts;
        self.socket.become_another(&socket)?;
        // Those that nobody else knows any more are whole.
        self.homes.retain(|home| Arc::strong_count(home) > 1);
        self.homes.push(Arc::clone(&home));
        self.mailbox.put(home, free);
        Ok(())
    }
}
