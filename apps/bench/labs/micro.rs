//! `micro`: the parts of a packet's way, one by one, in this process and with all in cache.
//!
//! `cargo bench -p gannet --bench micro` measures the same with criterion, and what is private
//! to the engine; this lab needs no source code.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use gannet::host::HashKey;
use gannet::packet::{Burst, Packet};
use gannet::port::FrameQueue;
use gannet::port::memory::{self, MemoryConfig};
use gannet::sys::CpuSet;
use gannet::telemetry::{Counter, Counters};
use gannet::wire::checksum::Sum;
use gannet::wire::ethernet::{self, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::{ipv4, udp};

use super::Bench;
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::pairs::{Case, Subject, Values};
use crate::bench::subject::frames::{self, Endpoint};

const OURS: &str = "gannet";
const NAIVE: &str = "RFC 1071, word by word";
/// Operations between two looks at the clock.
const BATCH: u32 = 256;
/// Nothing here needs longer.
const LONGEST: Duration = Duration::from_millis(250);

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    let ours = |name, operation: fn(&Frame)| Case {
        name,
        subjects: vec![Subject::new(OURS, move || time(bench, operation))],
        ratios: Vec::new(),
        noise: None,
        times: 1,
    };
    let checksum = |name, of: fn(&Frame), naive: fn(&Frame)| Case {
        name,
        subjects: vec![
            Subject::new(OURS, move || time(bench, of)),
            Subject::new(NAIVE, move || time(bench, naive)),
        ],
        ratios: vec![(OURS, NAIVE)],
        noise: Some(NAIVE),
        times: 1,
    };
    Ok(vec![
        ours("parse", parse),
        ours("validate", validate),
        ours("swap", swap),
        checksum("checksum, 64 bytes", sum::<64>, naive::<64>),
        checksum("checksum, 576 bytes", sum::<576>, naive::<576>),
        checksum("checksum, 1500 bytes", sum::<1500>, naive::<1500>),
        ours("hash", hash),
        ours("counter", count),
    ])
}

/// What the operations work on.
struct Frame {
    /// A frame of 64 bytes, with UDP checksum.
    short: Vec<u8>,
    long: Vec<u8>,
    counters: Counters,
}

impl Frame {
    fn new() -> Result<Self, Failure> {
        let (mut queue, _other) = memory::pair(&MemoryConfig::default());
        let mut burst = Burst::with_capacity(1);
        queue.alloc_burst(&mut burst);
        let end = |host| Endpoint {
            mac: MacAddress([2, 0, 0, 0, 0, host]),
            ip: [10, 0, 0, host].into(),
            port: 9_000 + u16::from(host),
        };
        let packet = burst.last_mut().ok_or_else(|| Failure::Failed("no buffer".to_owned()))?;
        frames::write(packet, end(1), end(2), 64);
        let short = packet.frame().to_vec();
        queue.free_burst(&mut burst);
        let long = (0..1_500_u32).map(|at| (at * 7 % 251) as u8).collect();
        Ok(Self { short, long, counters: Counters::default() })
    }
}

/// Nanoseconds of an operation, on the CPU that is measured.
fn time(bench: &Bench, operation: fn(&Frame)) -> Result<Values, Failure> {
    let (cpu, budget) = (bench.cpus.worker, bench.seconds.min(LONGEST));
    let measured = thread::spawn(move || {
        CpuSet::from_iter([cpu]).pin_current_thread().map_err(Failure::of("pinning a thread"))?;
        let frame = Frame::new()?;
        let batch = || (0..BATCH).for_each(|_| operation(black_box(&frame)));
        batch();
        let (begin, mut operations) = (Instant::now(), 0.0);
        while begin.elapsed() < budget {
            batch();
            operations += f64::from(BATCH);
        }
        Ok(begin.elapsed().as_nanos() as f64 / operations)
    });
    let nanos = measured.join().map_err(|_| Failure::Failed("the measurement panicked".to_owned()))??;
    Ok(vec![(Measure::Time, nanos)])
}

/// The three headers in place, with their lengths checked.
fn parsed(frame: &[u8]) -> Option<(ethernet::Header<'_>, ipv4::Packet<'_>, udp::Datagram<'_>)> {
    let (link, rest) = ethernet::Header::split(frame)?;
    let packet = ipv4::Packet::parse(rest).ok()?;
    let datagram = udp::Datagram::parse(packet.payload()).ok()?;
    Some((link, packet, datagram))
}

fn parse(frame: &Frame) {
    black_box(parsed(black_box(&frame.short)));
}

/// The headers, both checksums, and the addresses that a host looks at.
fn validate(frame: &Frame) {
    let is_valid = parsed(black_box(&frame.short)).is_some_and(|(link, packet, datagram)| {
        let (source, destination) = (packet.source(), packet.destination());
        let pseudo_header = ipv4::pseudo_header(source, destination, Protocol::UDP, datagram.len());
        link.source().is_unicast() && packet.is_checksum_valid() && datagram.is_checksum_valid(pseudo_header)
    });
    black_box(is_valid);
}

/// The headers of the reply, written into a copy of the datagram's.
fn swap(frame: &Frame) {
    let Some(mut bytes) = black_box(&frame.short).first_chunk::<64>().copied() else { return };
    let (link, rest) = bytes.split_at_mut(ethernet::HEADER_LEN);
    let (ip, datagram) = rest.split_at_mut(ipv4::HEADER_LEN);
    if let (Some(link), Some(ip), Some(datagram)) =
        (link.first_chunk_mut(), ip.first_chunk_mut(), datagram.first_chunk_mut())
    {
        ethernet::write_reply(link, MacAddress([2, 0, 0, 0, 0, 2]));
        let header = ipv4::Header {
            differentiated_services: 0,
            ttl: 64,
            protocol: Protocol::UDP,
            source: [10, 0, 0, 2].into(),
            destination: [10, 0, 0, 1].into(),
            payload_len: 30,
        };
        header.write(ip);
        udp::write(datagram, 9_002, 9_001, 30, [0, 0]);
    }
    black_box(&bytes);
}

fn sum<const LEN: usize>(frame: &Frame) {
    black_box(Sum::of(black_box(&frame.long[..LEN])).fold());
}

fn naive<const LEN: usize>(frame: &Frame) {
    let words = black_box(&frame.long[..LEN]).chunks_exact(2);
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    black_box(sum as u16);
}

/// Of a source address and its port, as the tables of the guards are asked.
fn hash(_frame: &Frame) {
    let key = black_box(HashKey([0x0123_4567, 0x89ab_cdef]));
    black_box(key.hash_words(black_box([0x0a00_0001, 9_001])));
}

fn count(frame: &Frame) {
    black_box(&frame.counters).add(Counter::Received, black_box(1));
}
