//! Reading a capture: any bytes as the file that is replayed through a host. What is received is
//! held against a reader of its own.
//!
//! Input: flags, the file.

use std::path::PathBuf;

use gannet::host::Host;
use gannet::port::{PortConfig, PortId, pcap as port};
use gannet::telemetry::{Counter, Snapshot};
use gannet::{DatagramQueue, Time, Worker};

use crate::rig::{Plan, host_config};
use crate::services::Echo;

/// The file that this thread replays.
fn path() -> PathBuf {
    let folder = PathBuf::from("/dev/shm");
    let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
    folder.join(format!("gannet-fuzz-{}-{:?}.pcap", std::process::id(), std::thread::current().id()))
}

/// Bytes of a frame that a buffer of the port has room for.
const ROOM: usize = 1500 + 14 + 8;
/// Bytes of a record that is none (libpcap's `MAXIMUM_SNAPLEN`).
const LONGEST: usize = 256 << 10;

/// The target.
pub fn pcap(data: &[u8]) {
    let Some((&flags, file)) = data.split_first() else { return };
    let path = path();
    std::fs::write(&path, file).expect("a file in memory");
    let expected = read(file);
    let output = PathBuf::from("/dev/null");
    let config = PortConfig { held: 16, burst: 8, ..PortConfig::default() };
    let opened = port::open(&path, (flags & 1 != 0).then_some(&*output), &config);
    // It is open now, and nobody is to find it.
    std::fs::remove_file(&path).expect("it was written");
    match (opened, expected) {
        (Err(error), None) => assert!(!error.to_string().is_empty()),
        (Ok(mut opened), Some(expected)) => {
            let queue = opened.queues.remove(0);
            let counted = replay(queue);
            assert_eq!((counted[Counter::Received], counted[Counter::RxTruncated]), expected);
            for pool in opened.control.close() {
                assert!(pool.is_balanced(), "{pool:?}");
            }
        }
        (opened, expected) => panic!("opened: {:?}, expected: {expected:?}", opened.err()),
    }
}

fn replay(queue: port::PcapQueue) -> Snapshot {
    let mut worker = Worker::new(vec![Host::new(queue, host_config(PortId(0), &Plan::default()))], Echo, 8);
    for turn in 0.. {
        worker.poll_once(Time::from_nanos(turn));
        if worker.queues()[0].is_exhausted() {
            break;
        }
    }
    worker.drain();
    let counted = worker.queues()[0].counters().snapshot();
    assert!(counted.balance().is_exact(), "{:?}", counted.balance());
    counted
}

/// How many frames the file has and how many of them are cut or too long; `None` if it is no
/// capture of Ethernet frames.
fn read(file: &[u8]) -> Option<(u64, u64)> {
    let (header, mut rest) = file.split_first_chunk::<24>()?;
    let big_endian = match header[..4] {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => false,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => true,
        _ => return None,
    };
    let number = |bytes: &[u8]| {
        let fold = |number: usize, &byte: &u8| number << 8 | usize::from(byte);
        if big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    };
    if number(&header[4..6]) != 2 || number(&header[20..]) != 1 {
        return None;
    }
    let (mut frames, mut cut) = (0, 0);
    while let Some((header, behind)) = rest.split_first_chunk::<16>() {
        let (len, whole) = (number(&header[8..12]), number(&header[12..]));
        if len > LONGEST || len > behind.len() {
            break;
        }
        frames += 1;
        cut += u64::from(len < whole || len > ROOM);
        rest = &behind[len..];
    }
    Some((frames, cut))
}
