use super::*;
use crate::packet::RxChecksums;
use crate::port::PortConfig;
use crate::port::memory::{self, MemoryConfig, MemoryQueue};
use crate::telemetry::Snapshot;

/// A queue with faults, and the far end of its wire.
fn faulty(text: &str) -> (Fault<MemoryQueue>, MemoryQueue) {
    let (near, far) = memory::pair(&MemoryConfig::default());
    (Fault::new(near, text.parse().expect(text)), far)
}

/// Sends `count` numbered frames in batches, receives them through the faults to the end,
/// checks the books and the pool, and gives what came out and the counters.
fn run(text: &str, count: u32) -> (Vec<Vec<u8>>, Snapshot) {
    let (mut near, mut far) = faulty(text);
    let mut received = Vec::new();
    let mut burst = Burst::with_capacity(32);
    let mut receive = |near: &mut Fault<MemoryQueue>| {
        near.rx_burst(&mut burst);
        received.extend(burst.iter().map(|packet| packet.frame().to_vec()));
        let came = !burst.is_empty();
        near.free_burst(&mut burst);
        came
    };
    for number in 0..count {
        let frame = [&number.to_be_bytes()[..], &[0xaa; 56]].concat();
        far.send_frame(&frame).expect("room");
        if number % 100 == 99 {
            receive(&mut near);
            receive(&mut near);
        }
        while number % 200 == 199 && receive(&mut near) {}
    }
    while receive(&mut near) {}
    assert_eq!(near.counters().snapshot()[Counter::Received], u64::from(count), "the drain was complete");
    drop(far);
    assert!(!receive(&mut near) && near.is_exhausted());
    assert!(near.inner.pool_balance().is_balanced(), "{:?}", near.inner.pool_balance());
    let counters = Arc::clone(near.counters());
    counters.add(Counter::Delivered, received.len() as u64);
    let snapshot = counters.snapshot();
    assert!(snapshot.balance().is_exact(), "{:?}", snapshot.balance());
    (received, snapshot)
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame.first_chunk().expect("a whole number"))
}

#[test]
fn without_faults_it_is_the_queue_below() {
    let (frames, counters) = run("seed=3", 1000);
    assert!(frames.iter().zip(0..).all(|(frame, n)| number(frame) == n && frame.len() == 60));
    assert_eq!(counters.non_zero().count(), 2);
    let (mut near, mut far) = faulty("seed=3");
    let mut burst = Burst::with_capacity(4);
    near.alloc_burst(&mut burst);
    burst.iter_mut().for_each(|packet| packet.set_frame_len(60));
    near.tx_burst(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(std::iter::from_fn(|| far.receive_frame()).count(), 4);
}

#[test]
fn lost_frames_are_counted() {
    let (frames, counters) = run("loss=10%,seed=1", 2000);
    let lost = counters[Counter::FaultLost];
    assert!((120..280).contains(&lost), "{lost}");
    assert_eq!(frames.len() as u64, 2000 - lost);
    assert!(frames.is_sorted_by_key(|frame| number(frame)));
}

#[test]
fn a_drain_goes_on_where_a_whole_burst_is_lost() {
    let (frames, counters) = run("loss=100%", 1000);
    assert!(frames.is_empty());
    assert_eq!(counters[Counter::FaultLost], 1000);
}

#[test]
fn doubled_frames_come_twice() {
    let (frames, counters) = run("duplicate=10%,seed=2", 2000);
    let doubled = counters[Counter::FaultDuplicated];
    assert!((120..280).contains(&doubled), "{doubled}");
    assert_eq!(frames.len() as u64, 2000 + doubled);
    let mut numbers: Vec<_> = frames.iter().map(|frame| number(frame)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.into_iter().eq(0..2000));
    // All at once: each poll is full, and the copies still come through.
    let (_, counters) = run("duplicate=100%", 1000);
    assert!(counters[Counter::FaultDuplicated] > 500, "{}", counters[Counter::FaultDuplicated]);
}

#[test]
fn no_buffer_no_copy() {
    let (near, mut far) = memory::pair(&MemoryConfig { buffers: 1, ..MemoryConfig::default() });
    let mut near = Fault::new(near, "duplicate=100%".parse().expect("valid"));
    far.send_frame(b"alone").expect("sent");
    let mut burst = Burst::with_capacity(4);
    near.rx_burst(&mut burst);
    assert_eq!(burst.len(), 1);
    assert_eq!(near.counters().snapshot()[Counter::FaultDuplicated], 0);
    near.free_burst(&mut burst);
}

#[test]
fn a_datagram_with_an_unfilled_checksum_is_not_doubled() {
    let (mut near, mut far) = faulty("duplicate=100%");
    far.set_rx_checksums(RxChecksums { udp: RxChecksum::Unfilled, ..RxChecksums::default() });
    far.send_frame(b"unfilled").expect("sent");
    let mut burst = Burst::with_capacity(4);
    near.rx_burst(&mut burst);
    assert_eq!(burst.len(), 1);
    near.free_burst(&mut burst);
}

#[test]
fn reordered_frames_all_come_and_not_much_later() {
    let (frames, counters) = run("reorder=10%,seed=4", 2000);
    let reordered = counters[Counter::FaultReordered];
    assert!((120..280).contains(&reordered), "{reordered}");
    let numbers: Vec<_> = frames.iter().map(|frame| number(frame)).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq(0..2000));
    assert_ne!(numbers, sorted);
    let overtaken =
        |(place, &n): (usize, &u32)| numbers[..place].iter().filter(|&&earlier| earlier > n).count();
    let furthest = numbers.iter().enumerate().map(overtaken).max();
    // Beside those that it waits for, others that were held back may come first.
    assert!(furthest.is_some_and(|count| count <= REORDER_DISTANCE + HELD), "{furthest:?}");
}

#[test]
fn a_held_frame_comes_with_the_next_empty_poll() {
    let (mut near, mut far) = faulty("reorder=100%");
    far.send_frame(b"held back").expect("sent");
    drop(far);
    let mut burst = Burst::with_capacity(4);
    near.rx_burst(&mut burst);
    assert_eq!(burst.len(), 1);
    assert_eq!(near.counters().snapshot()[Counter::FaultReordered], 0, "nothing overtook it");
    near.free_burst(&mut burst);
    assert!(near.is_exhausted());
}

#[test]
fn what_is_held_is_not_lost_with_the_queue() {
    let (near, mut far) = memory::pair(&MemoryConfig::default());
    let mut near = Fault::new(near, "duplicate=100%".parse().expect("valid"));
    far.send_frame(b"twice").expect("sent");
    let mut burst = Burst::with_capacity(1);
    near.rx_burst(&mut burst);
    near.free_burst(&mut burst);
    assert!(!near.is_exhausted());
    let counters = Arc::clone(near.counters());
    drop(near);
    assert!(far.pool_balance().is_balanced());
    counters.add(Counter::Delivered, 1);
    assert_eq!(counters.snapshot()[Counter::Stopping], 1);
    assert!(counters.snapshot().balance().is_exact());
}

#[test]
fn truncated_frames_are_shorter() {
    let (mut near, mut far) = faulty("truncate=50%,seed=5");
    (0..32).for_each(|_| far.send_frame(&[7; 60]).expect("sent"));
    let mut burst = Burst::with_capacity(32);
    near.rx_burst(&mut burst);
    let shorter = burst.iter().filter(|packet| packet.frame_len() < 60).count() as u64;
    assert_eq!(burst.len(), 32);
    assert!((5..28).contains(&shorter));
    assert_eq!(near.counters().snapshot()[Counter::FaultTruncated], shorter);
    near.free_burst(&mut burst);
}

#[test]
fn a_short_burst_leaves_its_rest_in_order() {
    let (mut near, mut far) = faulty("short-tx=100%,seed=6");
    let mut burst = Burst::with_capacity(32);
    near.alloc_burst(&mut burst);
    for (packet, byte) in burst.iter_mut().zip(0..) {
        packet.room_mut()[0] = byte;
        packet.set_frame_len(1);
    }
    near.tx_burst(&mut burst);
    let sent = 32 - burst.len();
    assert!(sent < 32);
    assert!(burst.iter().map(|packet| usize::from(packet.frame()[0])).eq(sent..32));
    // The last one always stays, as a short burst is never the whole.
    let mut bursts = 1;
    while burst.len() > 1 {
        near.tx_burst(&mut burst);
        bursts += 1;
    }
    near.free_burst(&mut burst);
    let arrived: Vec<_> = std::iter::from_fn(|| far.receive_frame()).flatten().collect();
    assert!(arrived.iter().copied().eq(0..31));
    let counters = near.counters().snapshot();
    assert_eq!(counters[Counter::Sent], 31);
    assert_eq!(counters[Counter::FaultShortTx], bursts);
    assert!(far.pool_balance().is_balanced());
}

#[test]
fn a_seed_makes_the_same_faults() {
    let all = "loss=5%,duplicate=5%,reorder=5%,truncate=5%,seed=";
    let (first, first_counters) = run(&format!("{all}7"), 1000);
    let (again, again_counters) = run(&format!("{all}7"), 1000);
    let (other, _) = run(&format!("{all}8"), 1000);
    assert_eq!(first, again);
    assert_eq!(first_counters, again_counters);
    assert_ne!(first, other);
    for counter in
        [Counter::FaultLost, Counter::FaultDuplicated, Counter::FaultReordered, Counter::FaultTruncated]
    {
        assert!(first_counters[counter] > 0, "{}", counter.name());
    }
}

#[test]
fn a_wrapped_port_says_so() {
    let (port, _far) = memory::open(&MemoryConfig::default());
    let wrapped = wrap(port, &"loss=1%,seed=7".parse().expect("valid"));
    assert_eq!(wrapped.queues.len(), PortConfig::default().queues);
    let granted = &wrapped.control.description().granted;
    assert!(granted.iter().any(|line| line.contains("loss=1%,seed=7")), "{granted:?}");
    drop(wrapped.queues);
    assert!(wrapped.control.close().iter().all(PoolBalance::is_balanced));
}
