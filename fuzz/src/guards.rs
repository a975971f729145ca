//! Guards: datagrams from a few sources, at any pace, to a service that answers with more than it
//! was asked. However they come, the bounds hold that the guards promise.
//!
//! Input: which guards, then steps of a byte each and what they need.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gannet::host::{GuardConfig, Level};
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
const BURST: u64 = 32;

/// Does what a datagram's first byte says, and remembers it.
#[derive(Default)]
struct Amplifier {
    /// When the datagrams came, from whom, and how long they were.
    delivered: Vec<(Time, SocketAddr, usize)>,
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
        self.delivered.push((now, source, payload.len()));
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
    config: GuardConfig,
    /// Since the start.
    passed: Duration,
    /// Bytes of payload to each, an empty one as 1.
    sent: HashMap<SocketAddr, u64>,
    /// ICMP errors.
    errors: u64,
}

/// The target.
pub fn guards(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let config = config(&mut bytes);
    let plan = Plan { buffers: 60, guards: config.resolve(Role::Stateful), ..Plan::default() };
    let mut rig = Rig::new(&plan, Amplifier::default());
    let mut bounds = Bounds { config, passed: Duration::ZERO, sent: HashMap::new(), errors: 0 };
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

    /// Everything that is promised.
    fn hold(&self, service: &Amplifier) {
        let guards = self.config.resolve(Role::Stateful);
        let is_exempt = |source| service.spoken_to.contains(&source);
        if guards.source_port {
            let is_reflector = |source: SocketAddr| REFLECTORS.contains(&source.port());
            let found =
                service.delivered.iter().find(|(_, source, _)| is_reflector(*source) && !is_exempt(*source));
            assert_eq!(found, None, "the port of a reflector");
        }
        if let Some(factor) = guards.amplification {
            for (to, &bytes) in self.sent.iter().filter(|(to, _)| !service.validated.contains(to)) {
                let from = service.delivered.iter().filter(|(_, source, _)| source == to);
                let received: u64 = from.map(|(_, _, len)| (*len as u64).max(1)).sum();
                assert!(
                    bytes <= received * u64::from(factor),
                    "{bytes} bytes to {to} for {received} from it"
                );
            }
        }
        let guarded = service.delivered.iter().filter(|(_, source, _)| !is_exempt(*source));
        let guarded: Vec<_> = guarded.map(|&(at, source, _)| (at, source)).collect();
        if let Some(rate) = guards.rate {
            let mut networks: HashMap<u64, Vec<Time>> = HashMap::new();
            guarded
                .iter()
                .for_each(|(at, source)| networks.entry(network(source.ip())).or_default().push(*at));
            networks.values().for_each(|times| within(times, rate));
        }
        if let Some(rate) = guards.global_rate {
            let unknown = guarded.iter().filter(|(_, source)| !service.validated.contains(source));
            within(&unknown.map(|(at, _)| *at).collect::<Vec<_>>(), rate);
        }
        let passed = self.passed;
        let most = guards.icmp_rate.map_or(0, |rate| allowed(rate, passed));
        assert!(self.errors <= most, "{} ICMP errors in {passed:?}", self.errors);
    }
}

fn network(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

/// How many a bucket lets through in this time.
fn allowed(rate: u32, passed: Duration) -> u64 {
    let rate = u64::from(rate);
    BURST.max(rate / 10) + (passed.as_nanos() * u128::from(rate) / 1_000_000_000) as u64
}

/// Between any two of these moments there are no more than a rate allows.
fn within(times: &[Time], rate: u32) {
    for (first, &start) in times.iter().enumerate() {
        let counted = times[first..].iter().zip(1..);
        for (end, count) in counted {
            let passed = *end - start;
            assert!(count <= allowed(rate, passed) + 1, "{count} in {passed:?} at {rate} a second");
        }
    }
}
