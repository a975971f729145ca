use std::fs;
use std::sync::atomic::AtomicUsize;

use super::format::{Timestamp, file_header, record_header};
use super::*;
use crate::telemetry::Snapshot;

/// A file in the temporary folder that goes with the test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("gannet-pcap-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::write(&path, bytes).expect("the temporary folder is writable");
        Self(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const fn at(seconds: u32) -> Timestamp {
    Timestamp { seconds, nanoseconds: 5 }
}

fn frame_to(destination: [u8; 6], fill: u8) -> Vec<u8> {
    [&destination[..], &[2, 0, 0, 0, 0, 9], &[0x08, 0x00], &[fill; 46]].concat()
}

/// A capture of `frames`, one a second.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = file_header().to_vec();
    for (frame, second) in frames.iter().zip(1..) {
        bytes.extend(record_header(at(second), frame.len()));
        bytes.extend(frame);
    }
    bytes
}

fn frames(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|fill| frame_to([2, 0, 0, 0, 0, 7], fill)).collect()
}

fn opened(bytes: &[u8], output: Option<&Path>) -> (PcapQueue, Box<dyn PortControl>) {
    let input = TemporaryFile::new(bytes);
    let port = open(&input.0, output, &PortConfig::default()).expect("a valid capture");
    let OpenPort { mut queues, control } = port;
    (queues.pop().expect("one queue"), control)
}

fn refusal(bytes: &[u8]) -> String {
    let input = TemporaryFile::new(bytes);
    match open(&input.0, None, &PortConfig::default()) {
        Ok(_) => panic!("opened"),
        Err(error) => error.to_string(),
    }
}

/// Replays to the end and gives the frames; what has been received goes back to the pool.
fn replayed(queue: &mut PcapQueue) -> Vec<Vec<u8>> {
    let mut burst = Burst::with_capacity(4);
    let mut all = Vec::new();
    while !queue.is_exhausted() {
        queue.rx_burst(&mut burst);
        all.extend(burst.iter().map(|packet| packet.frame().to_vec()));
        queue.free_burst(&mut burst);
    }
    all
}

fn counted(queue: &PcapQueue) -> Snapshot {
    queue.counters().snapshot()
}

fn statistic(control: &mut Box<dyn PortControl>, name: &str) -> u64 {
    let (_, value) =
        control.extended_statistics().into_iter().find(|(n, _)| n == name).expect("a known name");
    value
}

#[test]
fn a_capture_replays_in_order_and_ends() {
    let frames = frames(10);
    let (mut queue, mut control) = opened(&capture(&frames), None);
    assert_eq!(queue.capabilities().mac, MacAddress([2, 0, 0, 0, 0, 7]));
    assert!(!queue.is_exhausted());
    assert_eq!(replayed(&mut queue), frames);
    let mut burst = Burst::with_capacity(4);
    queue.rx_burst(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(counted(&queue)[Counter::Received], 10);
    assert_eq!(statistic(&mut control, "input_broken_records"), 0);
    drop(queue);
    assert!(control.close().iter().all(PoolBalance::is_balanced));
}

#[test]
fn what_is_sent_is_recorded_with_the_time_of_what_was_received() {
    let frames = frames(6);
    let output = TemporaryFile::new(b"an older file, longer than the new one's header");
    let (mut queue, _control) = opened(&capture(&frames), Some(&output.0));
    let mut burst = Burst::with_capacity(3);
    queue.alloc_burst(&mut burst);
    burst.iter_mut().for_each(|packet| assert!(packet.fill(b"before")));
    queue.tx_burst(&mut burst);
    let mut expected = file_header().to_vec();
    for _ in 0..3 {
        expected.extend(record_header(Timestamp::default(), 6));
        expected.extend(b"before");
    }
    for second in [3, 6] {
        queue.rx_burst(&mut burst);
        for packet in burst.iter() {
            expected.extend(record_header(at(second), packet.frame_len()));
            expected.extend(packet.frame());
        }
        queue.tx_burst(&mut burst);
        assert!(burst.is_empty());
    }
    assert_eq!(fs::read(&output.0).expect("readable"), expected);
    assert_eq!(counted(&queue)[Counter::Sent], 9);
    assert!(queue.pool.balance().is_balanced());
    // What was recorded is itself a capture.
    let (mut again, _control) = opened(&expected, None);
    assert_eq!(replayed(&mut again).len(), 9);
}

#[test]
fn frames_that_are_cut_or_too_long_are_dropped_by_name() {
    let whole = frame_to([2, 0, 0, 0, 0, 7], 1);
    let mut bytes = capture(std::slice::from_ref(&whole));
    let mut cut = record_header(at(2), 40);
    cut[12] = 60;
    bytes.extend(cut);
    bytes.extend([0; 40]);
    bytes.extend(record_header(at(3), 100_000));
    bytes.extend(vec![0; 100_000]);
    bytes.extend(record_header(at(4), whole.len()));
    bytes.extend(&whole);
    let (mut queue, _control) = opened(&bytes, None);
    assert_eq!(replayed(&mut queue), [whole.clone(), whole]);
    let counted = counted(&queue);
    assert_eq!((counted[Counter::Received], counted[Counter::RxTruncated]), (4, 2));
    assert!(queue.pool.balance().is_balanced());
}

#[test]
fn a_broken_record_ends_the_replay() {
    let frames = frames(2);
    let good = capture(&frames);
    let oversized = [&good[..], &record_header(at(3), 300 << 10), &[0; 64]].concat();
    let within_header = [&good[..], &record_header(at(3), 60)[..9]].concat();
    let within_frame = [&good[..], &record_header(at(3), 60), &[0; 59]].concat();
    let within_skipped = [&good[..], &record_header(at(3), 9000), &[0; 59]].concat();
    for bytes in [oversized, within_header, within_frame, within_skipped] {
        let (mut queue, mut control) = opened(&bytes, None);
        assert_eq!(replayed(&mut queue), frames);
        assert_eq!(counted(&queue)[Counter::Received], 2);
        assert_eq!(statistic(&mut control, "input_broken_records"), 1);
        assert!(queue.pool.balance().is_balanced());
    }
}

#[test]
fn every_prefix_of_a_capture_opens_or_says_why_not() {
    let bytes = capture(&frames(3));
    for len in 0..bytes.len() {
        let input = TemporaryFile::new(&bytes[..len]);
        match open(&input.0, None, &PortConfig::default()) {
            Ok(mut port) => {
                assert!(len >= 24);
                let whole = (len - 24) / (16 + 60);
                assert_eq!(replayed(&mut port.queues[0]).len(), whole, "{len} bytes");
            }
            Err(error) => assert!(matches!(error, PcapError::TooShort { .. }) && len < 24, "{error}"),
        }
    }
}

#[test]
fn a_dry_pool_leaves_the_frames_in_the_file() {
    let frames = frames(40);
    let input = TemporaryFile::new(&capture(&frames));
    let config = PortConfig { held: 2, burst: 2, ..PortConfig::default() };
    let mut queue = open(&input.0, None, &config).expect("valid").queues.remove(0);
    let mut burst = Burst::with_capacity(32);
    queue.rx_burst(&mut burst);
    assert_eq!(burst.len(), 10);
    assert_eq!(counted(&queue)[Counter::RxNoBuffer], 1);
    queue.free_burst(&mut burst);
    assert_eq!(replayed(&mut queue), frames[10..]);
}

#[test]
fn the_address_is_a_station_s() {
    let (queue, control) = opened(&capture(&[frame_to([0xff; 6], 0)]), None);
    assert_eq!(queue.capabilities().mac, DEFAULT_MAC);
    assert!(control.description().granted[0].contains("02:00:00:00:00:01"));
    let (queue, _control) = opened(&capture(&[]), None);
    assert_eq!(queue.capabilities().mac, DEFAULT_MAC);
    let (queue, _control) = opened(&capture(&[vec![2; 13]]), None);
    assert_eq!(queue.capabilities().mac, DEFAULT_MAC);
}

#[test]
fn less_than_asked_is_said() {
    let input = TemporaryFile::new(&capture(&frames(1)));
    let config = PortConfig { queues: 3, rx_descriptors: Some(512), ..PortConfig::default() };
    let port = open(&input.0, None, &config).expect("valid");
    assert_eq!(port.queues.len(), 1);
    let granted = port.control.description().granted.join("; ");
    assert!(granted.contains("1 queue of the 3") && granted.contains("no descriptors"), "{granted}");
}

#[test]
fn other_files_are_refused_with_a_way_out() {
    assert!(refusal(b"\x0a\x0d\x0d\x0a and a section header").contains("editcap -F pcap"));
    assert!(refusal(b"#!/bin/sh\necho this is no capture").contains("no pcap file"));
    assert!(refusal(b"short").contains("ends within the pcap header"));
    let Err(error) = open(Path::new("/no/such/file.pcap"), None, &PortConfig::default()) else {
        panic!("opened")
    };
    assert!(error.to_string().contains("/no/such/file.pcap"), "{error}");
}

#[test]
fn the_input_is_not_overwritten() {
    let bytes = capture(&frames(1));
    let input = TemporaryFile::new(&bytes);
    let result = open(&input.0, Some(&input.0), &PortConfig::default());
    assert!(matches!(result, Err(PcapError::SameFile { .. })));
    assert_eq!(fs::read(&input.0).expect("readable"), bytes);
}

#[test]
fn a_full_disk_is_counted_and_reported_once() {
    let input = TemporaryFile::new(&capture(&frames(4)));
    let full = Path::new("/dev/full");
    let result = open(&input.0, Some(full), &PortConfig::default());
    assert!(matches!(result, Err(PcapError::Write { .. })));
    let OpenPort { mut queues, mut control } = open(&input.0, None, &PortConfig::default()).expect("valid");
    let mut queue = queues.remove(0);
    let output = OpenOptions::new().write(true).open(full).expect("Linux has one");
    queue.recorder = Some(Recorder::on_full_disk(output));
    let mut burst = Burst::with_capacity(2);
    for _ in 0..2 {
        queue.rx_burst(&mut burst);
        queue.tx_burst(&mut burst);
        assert!(burst.is_empty());
    }
    let counted = counted(&queue);
    assert_eq!((counted[Counter::Sent], counted[Counter::TxRejected]), (0, 4));
    assert_eq!(statistic(&mut control, "output_write_errors"), 1);
    assert!(queue.pool.balance().is_balanced());
}
