//! Guards: datagrams from a few sources, at any pace, to a service that answers with more than it
//! was asked. However they come, the bounds hold that the guards promise.
//!
//! Input: which guards, then steps of a byte each and what they need.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gannet::host::{GuardConfig, Guards, Level};
use gannet::port::memory::MemoryQueue;
use gannet::{Datagram, Outbox, Role, Service, Time, Verdict};

use crate::bytes::Bytes;
use crate::layout::Layout;
use crate::layout::number::{ICMP, ICMPV6, UDP};
use crate::rig::{Plan, Rig};
use crate::seeds;
use crate::services::STEPS;

/// Source ports: of clients, of reflectors and our own.
const PORTS: [u16; 8] = [12_345, 5000, 7, 9, 53, 4660, 123, 40_000];
/// Those of reflectors and our own.
const REFLECTORS: [u16; 11] = [7, 9, 13, 17, 19, 37, 53, 69, 123, 4660, 0];
/// What a bucket holds at least.
const BURST: u32 = 32;
/// Nanoseconds.
const SECOND: i128 = 1_000_000_000;

/// Does what a datagram's first byte says, and remembers it.
#[derive(Default)]
struct Amplifier {
    /// When the datagrams came and from whom.
    delivered: Vec<(Time, SocketAddr)>,
    /// Bytes of payload from each, an empty one as 1.
    received: HashMap<SocketAddr, u64>,
    /// Whom it took for validated.
    validated: HashSet<SocketAddr>,
    /// Whom it sent to of its own accord.
    spoken_to: HashSet<SocketAddr>,
}

impl Service for Amplifier {
    const ROLE: Role = Role::Stateful;

    fn on_datagram(&mut self, now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (source, own) = (datagram.source(), datagram.destination());
        let payload = datagram.payload();
        let (what, len) = match *payload {
            [] => (0, 0),
            [what] => (what, 0),
            [what, len, ..] => (what, usize::from(len) * 5),
        };
        self.delivered.push((now, source));
        *self.received.entry(source).or_default() += (payload.len() as u64).max(1);
        match what % 6 {
            0 => Verdict::Reply,
            1 => {
                let _ = datagram.resize(len);
                Verdict::Reply
            }
            2 => {
                outbox.validate(source);
                self.validated.insert(source);
                Verdict::Reply
            }
            3 => {
                self.spoken_to.insert(source);
                let _ = outbox.send_with(own, source, len, |room| room.fill(7));
                Verdict::Drop
            }
            4 => {
                let cookie = outbox.cookie(source, own);
                assert!(outbox.is_cookie(source, own, &cookie.0), "the cookie of {source}");
                let other = SocketAddr::new(source.ip(), source.port() ^ 1);
                assert!(!outbox.is_cookie(other, own, &cookie.0), "the cookie of another");
                Verdict::Reply
            }
            _ => Verdict::Drop,
        }
    }
}

/// The guards, and what came out.
struct Bounds {
    guards: Guards,
    /// Since the start.
    passed: Duration,
    /// Bytes of payload to each, an empty one as 1.
    sent: HashMap<SocketAddr, u64>,
    /// ICMP errors.
    errors: u64,
    /// How many of the delivered have been held against the rates.
    seen: usize,
    /// Those that a rate counts, by network and all together.
    networks: HashMap<u64, Admitted>,
    all: Admitted,
}

/// What one rate has let through.
#[derive(Default)]
struct Admitted {
    count: i128,
    /// The least that the count was above the rate, in datagrams times a second's nanoseconds.
    least: Option<i128>,
}

/// The target.
pub fn guards(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let guards = config(&mut bytes).resolve(Role::Stateful);
    let plan = Plan { buffers: 60, guards, ..Plan::default() };
    let mut rig = Rig::new(&plan, Amplifier::default());
    let mut bounds = Bounds::new(guards);
    for _ in 0..96 {
        if bytes.is_empty() {
            break;
        }
        step(&mut bytes, &mut rig, &mut bounds);
        bounds.hold(rig.service());
    }
    rig.close();
}

fn config(bytes: &mut Bytes<'_>) -> GuardConfig {
    let mut level = || match bytes.byte() {
        0 => None,
        255 => Some(Level::Off),
        level => Some(Level::At(u32::from(level))),
    };
    GuardConfig {
        rate: level(),
        global_rate: level(),
        amplification: level(),
        icmp_rate: level(),
        source_port: [None, Some(true), Some(false)][bytes.below(3)],
    }
}

fn step(bytes: &mut Bytes<'_>, rig: &mut Rig<MemoryQueue, Amplifier>, bounds: &mut Bounds) {
    let choice = bytes.byte();
    if choice & 3 == 3 {
        let by = STEPS[usize::from(choice >> 5)];
        rig.advance(by);
        bounds.passed += by;
        rig.turn();
    } else {
        let source = SocketAddr::new(address(choice >> 2 & 7), PORTS[usize::from(choice >> 5)]);
        let port = if choice & 3 == 2 { 99 } else { 7 };
        let count = 1 + bytes.below(16);
        let frame = seeds::udp_from(source, port, bytes.short());
        for _ in 0..count {
            rig.send(0, &frame);
            rig.turn();
            bounds.take_in(rig);
        }
    }
    bounds.take_in(rig);
}

/// Four of IPv4, and of IPv6 two of one network and two of others.
fn address(choice: u8) -> IpAddr {
    let host = u16::from(choice) + 2;
    match choice {
        0..4 => IpAddr::from([10, 77, 0, host as u8]),
        4 | 5 => IpAddr::from([0xfd4d, 0, 0, 0, 0, 0, 0, host]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, host, 0, 0, 0, 1]),
    }
}

impl Bounds {
    fn new(guards: Guards) -> Self {
        Self {
            guards,
            passed: Duration::ZERO,
            sent: HashMap::new(),
            errors: 0,
            seen: 0,
            networks: HashMap::new(),
            all: Admitted::default(),
        }
    }

    fn take_in(&mut self, rig: &mut Rig<MemoryQueue, Amplifier>) {
        for frame in rig.receive_all(0) {
            if let Some(answer) = seeds::answer(&frame) {
                rig.send(0, &answer);
                rig.turn();
            }
            let Some(ip) = Layout::of(&frame).and_then(|layout| layout.ip) else { continue };
            let message = &frame[ip.payload.clone()];
            match (ip.protocol, message) {
                (ICMP, [3, ..]) | (ICMPV6, [1, ..]) => self.errors += 1,
                (UDP, [_, _, high, low, ..]) => {
                    let to = match *ip.destination(&frame) {
                        [a, b, c, d] => IpAddr::from([a, b, c, d]),
                        ref other => IpAddr::from(<[u8; 16]>::try_from(other).expect("an address")),
                    };
                    let to = SocketAddr::new(to, u16::from_be_bytes([*high, *low]));
                    *self.sent.entry(to).or_default() += (message.len() as u64 - 8).max(1);
                }
                _ => {}
            }
        }
    }

    /// Everything that is promised, after each step.
    fn hold(&mut self, service: &Amplifier) {
        for &(at, source) in &service.delivered[self.seen..] {
            if !service.spoken_to.contains(&source) {
                self.hold_arrival(at, source, service.validated.contains(&source));
            }
        }
        self.seen = service.delivered.len();
        if let Some(factor) = self.guards.amplification {
            for (to, &bytes) in self.sent.iter().filter(|(to, _)| !service.validated.contains(to)) {
                let received = service.received.get(to).copied().unwrap_or(0);
                assert!(
                    bytes <= received * u64::from(factor),
                    "{bytes} bytes to {to} for {received} from it"
                );
            }
        }
        let most =
            self.guards.icmp_rate.map_or(0, |rate| (burst(rate) + earned(rate, self.passed)) / SECOND) as u64;
        assert!(self.errors <= most, "{} ICMP errors in {:?}", self.errors, self.passed);
    }

    /// That a datagram may be let in, from a source that we did not speak to.
    fn hold_arrival(&mut self, at: Time, source: SocketAddr, is_validated: bool) {
        let is_reflector = REFLECTORS.contains(&source.port());
        assert!(!(self.guards.source_port && is_reflector), "from the port of a reflector, {source}");
        if let Some(rate) = self.guards.rate {
            self.networks.entry(network(source.ip())).or_default().add(at, rate);
        }
        if let (Some(rate), false) = (self.guards.global_rate, is_validated) {
            self.all.add(at, rate);
        }
    }
}

impl Admitted {
    /// One more. Between any two of these moments there are no more than the rate allows: how far the
    /// count is above the rate never rises by more than a full bucket.
    fn add(&mut self, at: Time, rate: u32) {
        let above = self.count * SECOND - earned(rate, at - Time::ZERO);
        let least = self.least.map_or(above, |least| least.min(above));
        assert!(
            above - least <= burst(rate),
            "the {}th at {at:?} is too much for {rate} a second",
            self.count + 1
        );
        self.least = Some(least);
        self.count += 1;
    }
}

fn network(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

/// What a full bucket holds, in datagrams times [`SECOND`].
fn burst(rate: u32) -> i128 {
    i128::from(BURST.max(rate / 10)) * SECOND
}

/// What flows into a bucket in this time, in datagrams times [`SECOND`].
fn earned(rate: u32, passed: Duration) -> i128 {
    passed.as_nanos() as i128 * i128::from(rate)
}
