//! The parts of a packet's way, one by one, with all in cache.
//!
//! ```text
//! cargo bench -p gannet --no-default-features --bench micro [-- NAME]
//! ```
//!
//! `gannet bench micro` times the same operations without cargo and without criterion's
//! statistics; see docs/performance.md.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gannet::host::HashKey;
use gannet::telemetry::{Counter, Counters};
use gannet::wire::checksum::{Sum, udp_checksum};
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::{ipv4, udp};

const MACS: [MacAddress; 2] = [MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2])];
const IPS: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];
const FRAME_LEN: usize = 64;
const UDP_AT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
const UDP_LEN: u16 = (FRAME_LEN - UDP_AT) as u16;

type Frame = [u8; FRAME_LEN];

/// The headers of a datagram from one host to the other.
fn write(frame: &mut Frame, from: usize, to: usize, ports: [u16; 2], checksum: [u8; 2]) {
    let (link, rest) = frame.split_at_mut(ethernet::HEADER_LEN);
    let (ip, datagram) = rest.split_at_mut(ipv4::HEADER_LEN);
    if let (Some(link), Some(ip), Some(datagram)) =
        (link.first_chunk_mut(), ip.first_chunk_mut(), datagram.first_chunk_mut())
    {
        ethernet::write(link, MACS[to], MACS[from], EtherType::IPV4);
        let header = ipv4::Header {
            differentiated_services: 0,
            ttl: 64,
            protocol: Protocol::UDP,
            source: IPS[from].into(),
            destination: IPS[to].into(),
            payload_len: UDP_LEN,
        };
        header.write(ip);
        udp::write(datagram, ports[0], ports[1], UDP_LEN, checksum);
    }
}

/// A datagram with a right UDP checksum.
fn datagram() -> Frame {
    let mut frame = [0; FRAME_LEN];
    write(&mut frame, 0, 1, [40_000, 9_000], [0, 0]);
    let pseudo_header = Sum::pseudo_header_v4(IPS[0], IPS[1], Protocol::UDP.0, UDP_LEN);
    let checksum = udp_checksum(pseudo_header + Sum::of(&frame[UDP_AT..]));
    write(&mut frame, 0, 1, [40_000, 9_000], checksum);
    frame
}

/// The three headers in place, with their lengths checked.
fn parsed(frame: &[u8]) -> Option<(ethernet::Header<'_>, ipv4::Packet<'_>, udp::Datagram<'_>)> {
    let (link, rest) = ethernet::Header::split(frame)?;
    let packet = ipv4::Packet::parse(rest).ok()?;
    let datagram = udp::Datagram::parse(packet.payload()).ok()?;
    Some((link, packet, datagram))
}

/// Both checksums too.
fn is_valid(frame: &[u8]) -> bool {
    parsed(frame).is_some_and(|(link, packet, datagram)| {
        let (source, destination) = (packet.source(), packet.destination());
        let pseudo_header = ipv4::pseudo_header(source, destination, Protocol::UDP, datagram.len());
        link.source().is_unicast() && packet.is_checksum_valid() && datagram.is_checksum_valid(pseudo_header)
    })
}

fn headers(criterion: &mut Criterion) {
    let mut frame = datagram();
    assert!(is_valid(&frame), "or the short way out is what is measured");
    criterion.bench_function("parse", |bencher| bencher.iter(|| parsed(black_box(&frame)).is_some()));
    criterion.bench_function("validate", |bencher| bencher.iter(|| is_valid(black_box(&frame))));
    criterion.bench_function("swap", |bencher| {
        bencher.iter(|| write(black_box(&mut frame), 1, 0, [9_000, 40_000], [0, 0]));
    });
}

fn checksums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    let bytes: Vec<_> = (0..1_500_u32).map(|at| (at * 7 % 251) as u8).collect();
    for len in [64, 576, 1_500] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(BenchmarkId::from_parameter(len), &bytes[..len], |bencher, bytes| {
            bencher.iter(|| Sum::of(black_box(bytes)).fold());
        });
    }
}

fn tables(criterion: &mut Criterion) {
    let key = HashKey([0x0123_4567, 0x89ab_cdef]);
    criterion
        .bench_function("hash", |bencher| bencher.iter(|| key.hash_words(black_box([0x0a00_0001, 9_001]))));
    let counters = Counters::default();
    criterion.bench_function("counter", |bencher| {
        bencher.iter(|| black_box(&counters).add(Counter::Received, black_box(1)));
    });
    criterion
        .bench_function("counters, snapshot", |bencher| bencher.iter(|| black_box(&counters).snapshot()));
}

criterion_group!(micro, headers, checksums, tables);
criterion_main!(micro);
