//! The guards: what protects the server, and others from it, against datagrams that are
//! valid. All of one lcore, on the time that it is given, in tables of fixed size.
//!
//! - `source_port`: no loops with other services;
//! - `rate`: so many datagrams a second from a source, and in all; ICMP errors likewise;
//! - `validation`: few bytes to a source that has not shown that it is there, and cookies
//!   (`cookie`) with which it does;
//! - `conversations`: whom we spoke to first, whose answers are not guarded against.

mod config;
mod conversations;
mod cookie;
mod rate;
mod source_port;
mod table;
mod validation;

use std::net::SocketAddr;

pub use config::{GuardConfig, GuardConfigError, Guards, Level};
pub use cookie::Cookie;

use conversations::Conversations;
use rate::{Bucket, Rates};
use source_port::SourcePorts;
pub(crate) use validation::Validation;

use super::siphash::HashKey;
use super::udp_ports::UdpPorts;
use crate::telemetry::Counter;
use crate::time::Time;

/// The guards of one queue.
#[derive(Debug)]
pub(crate) struct Guard {
    reflectors: Option<SourcePorts>,
    /// What costs more than a look at the ports; `None` where all of it is off.
    limits: Option<Limits>,
    pub(crate) validation: Validation,
    /// `None` where nothing is guarded against.
    conversations: Option<Conversations>,
    icmp_errors: Option<Bucket>,
}

#[derive(Debug)]
struct Limits {
    rates: Option<Rates>,
    global: Option<Bucket>,
}

impl Guard {
    /// The guards of a queue that listens on the ports `own`.
    pub(crate) fn new(guards: Guards, own: &UdpPorts, key: HashKey) -> Self {
        let is_limited =
            guards.rate.is_some() || guards.global_rate.is_some() || guards.amplification.is_some();
        let limits = || Limits {
            rates: guards.rate.map(|rate| Rates::new(rate, key)),
            global: guards.global_rate.map(Bucket::new),
        };
        Self {
            reflectors: guards.source_port.then(|| SourcePorts::new(own)),
            limits: is_limited.then(limits),
            validation: Validation::new(guards.amplification, guards.global_rate.is_some(), key),
            conversations: (guards.source_port || is_limited).then(|| Conversations::new(key)),
            icmp_errors: guards.icmp_rate.map(Bucket::new),
        }
    }

    /// Whether it keeps books about the sources of datagrams.
    pub(super) fn is_limiting(&self) -> bool {
        self.limits.is_some()
    }

    /// Whether a datagram between these ports, in host order, needs a closer look.
    #[inline]
    pub(super) fn is_suspect(&self, source_port: u16, own_port: u16) -> bool {
        self.reflectors.as_ref().is_some_and(|ports| ports.is_reflector(source_port, own_port))
    }

    /// Lets a datagram of `bytes` bytes in, or says why not.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        now: Time,
        source: SocketAddr,
        own_port: u16,
        bytes: usize,
    ) -> Result<(), Counter> {
        if self.is_suspect(source.port(), own_port) && !self.is_answer(now, own_port, source) {
            return Err(Counter::ReflectorPort);
        }
        if self.limits.is_some() { self.limit(now, source, own_port, bytes) } else { Ok(()) }
    }

    fn limit(&mut self, now: Time, source: SocketAddr, own_port: u16, bytes: usize) -> Result<(), Counter> {
        let Some(limits) = &mut self.limits else { return Ok(()) };
        let reason = if limits.rates.as_mut().is_some_and(|rates| !rates.take(now, source.ip())) {
            Some(Counter::SourceRate)
        } else if limits.global.as_mut().is_some_and(|bucket| !bucket.take(now)) {
            // Who is known to be there is not made to pay for those who may not be.
            Some(Counter::GlobalRate).filter(|_| !self.validation.is_validated(now, source))
        } else {
            None
        };
        if let Some(reason) = reason.filter(|_| !self.is_answer(now, own_port, source)) {
            return Err(reason);
        }
        self.validation.received(now, source, bytes);
        Ok(())
    }

    /// We sent a datagram of our own accord: what answers it is let in.
    #[inline]
    pub(crate) fn sent(&mut self, now: Time, own_port: u16, to: SocketAddr) {
        let is_guarded_against = self.limits.is_some()
            || self.reflectors.as_ref().is_some_and(|ports| ports.is_reflector(to.port(), own_port));
        if let Some(conversations) = self.conversations.as_mut().filter(|_| is_guarded_against) {
            conversations.sent(now, own_port, to);
        }
    }

    /// Whether it has no say in what is sent, and keeps nothing of it.
    pub(super) fn is_idle_on_send(&self) -> bool {
        self.conversations.is_none() && !self.validation.is_capped()
    }

    fn is_answer(&mut self, now: Time, own_port: u16, remote: SocketAddr) -> bool {
        self.conversations
            .as_mut()
            .is_some_and(|conversations| conversations.is_answer(now, own_port, remote))
    }

    /// Whether one more ICMP error may be sent.
    pub(super) fn may_complain(&mut self, now: Time) -> bool {
        self.icmp_errors.as_mut().is_some_and(|bucket| bucket.take(now))
    }
}
