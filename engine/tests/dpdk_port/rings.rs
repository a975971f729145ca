//! Two ring ports joined crosswise: whatever may happen to a buffer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};

use dpdk_sys as sys;
use gannet::packet::{Burst, Packet};
use gannet::port::dpdk::{self, DpdkError, DpdkQueue, Eal, Mbuf};
use gannet::port::{FrameQueue, PortConfig};
use gannet::telemetry::Counter;

use crate::{BURST, balanced, fill, opened, received};

pub(crate) fn by_hand(eal: &Eal) {
    let (left, right) = dpdk::crosswise_rings(eal, 100).expect("rings");
    let config = PortConfig { burst: BURST, held: 64, queues: 2, ..PortConfig::default() };
    let (mut a, left_port) = opened(eal, left.name(), &config);
    let again = dpdk::open(eal, left.clone(), &config).map(|_| ()).expect_err("opened twice");
    assert!(matches!(again, DpdkError::AlreadyOpen { .. }), "{again}");
    let (mut b, right_port) = opened(eal, right.name(), &config);
    assert!(a.capabilities().mac.is_unicast() && a.capabilities().mac != b.capabilities().mac);
    assert!(left_port.queues.is_empty(), "a ring has one queue, whatever is asked for");

    echo(&mut a, &mut b);
    short_transmit(&mut a, &mut b);
    exhausted_pool(&mut a);
    segmented(&mut a, &mut b);
    shared(&mut a, &mut b);
    segmented_and_shared(&mut a, &mut b);
    if cfg!(debug_assertions) {
        double_free(&mut a);
    }
    for queue in [&a, &b] {
        let snapshot = queue.counters().snapshot();
        println!("{:?}", snapshot.non_zero().collect::<Vec<_>>());
    }
    // One frame stays in a ring: it comes back when the last port closes.
    let mut burst = Burst::with_capacity(1);
    a.alloc_burst(&mut burst);
    a.tx_burst(&mut burst);
    drop((a, b));
    balanced(&left_port.control.close(), 0);
    balanced(&right_port.control.close(), 2);
    eal.device(left.name()).expect_err("a closed device is gone");
}

fn echo(a: &mut DpdkQueue, b: &mut DpdkQueue) {
    let mut burst = Burst::with_capacity(BURST);
    for round in 0..100 {
        a.alloc_burst(&mut burst);
        assert_eq!(burst.len(), BURST);
        assert!(burst.iter().all(|packet| packet.frame_len() == 0));
        burst.iter_mut().for_each(|packet| fill(packet, round, 60 + usize::from(round)));
        a.tx_burst(&mut burst);
        assert!(burst.is_empty());
        assert_eq!(received(b, &mut burst), BURST);
        burst.iter_mut().for_each(|packet| packet.room_mut()[0] = 0xee);
        b.tx_burst(&mut burst);
        assert_eq!(received(a, &mut burst), BURST);
        assert!(burst.iter().all(|packet| packet.frame()[..2] == [0xee, round]));
        assert!(burst.iter().all(|packet| packet.frame_len() == 60 + usize::from(round)));
        a.free_burst(&mut burst);
    }
    let (a, b) = (a.counters().snapshot(), b.counters().snapshot());
    assert_eq!([a[Counter::Sent], a[Counter::Received]], [100 * BURST as u64; 2]);
    assert_eq!([b[Counter::Sent], b[Counter::Received]], [100 * BURST as u64; 2]);
}

/// One queue echoes on a worker lcore while the other sends from here as fast as it can.
pub(crate) fn echo_on_a_worker(eal: &Eal) {
    let Some(&worker) = eal.lcores().workers.first() else {
        eprintln!("skipped: an echo on a worker lcore wants two CPUs");
        return;
    };
    const FRAMES: usize = 200_000;
    let (left, right) = dpdk::crosswise_rings(eal, 256).expect("rings");
    let (mut a, left_port) = opened(eal, left.name(), &PortConfig::default());
    let (mut b, right_port) = opened(eal, right.name(), &PortConfig::default());
    let (stop, back) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
    let stopped = Arc::clone(&stop);
    let work = move || {
        let mut burst = Burst::with_capacity(BURST);
        while !stopped.load(SeqCst) || received(&mut b, &mut burst) > 0 {
            b.rx_burst(&mut burst);
            b.tx_burst(&mut burst);
            b.free_burst(&mut burst);
        }
        back.0.send(b).expect("the test waits");
    };
    eal.launch(worker, Box::new(work)).expect("a worker lcore");
    let mut burst = Burst::with_capacity(BURST);
    let mut sent = 0;
    while sent < FRAMES {
        a.alloc_burst(&mut burst);
        let offered = burst.len();
        a.tx_burst(&mut burst);
        sent += offered - burst.len();
        a.free_burst(&mut burst);
        received(&mut a, &mut burst);
        a.free_burst(&mut burst);
    }
    stop.store(true, SeqCst);
    eal.wait(worker).expect("no panic");
    let b = back.1.recv().expect("the queue comes back");
    while received(&mut a, &mut burst) > 0 {
        a.free_burst(&mut burst);
    }
    let (there, here) = (b.counters().snapshot(), a.counters().snapshot());
    assert_eq!((here[Counter::Sent], there[Counter::Received]), (sent as u64, sent as u64));
    assert_eq!(there[Counter::Sent], here[Counter::Received]);
    drop((a, b));
    balanced(&right_port.control.close(), 0);
    balanced(&left_port.control.close(), 2);
}

fn short_transmit(a: &mut DpdkQueue, b: &mut DpdkQueue) {
    let mut burst = Burst::with_capacity(150);
    a.alloc_burst(&mut burst);
    for (number, packet) in burst.iter_mut().enumerate() {
        fill(packet, number as u8, 64);
    }
    a.tx_burst(&mut burst);
    assert_eq!(burst.len(), 50, "the ring holds 100");
    assert_eq!(burst[0].frame()[0], 100, "the rest, in order");
    a.tx_burst(&mut burst);
    assert_eq!(burst.len(), 50, "and no more");
    let mut there = Burst::with_capacity(200);
    assert_eq!(received(b, &mut there), 100);
    a.tx_burst(&mut burst);
    assert!(burst.is_empty(), "traffic resumes");
    assert_eq!(received(b, &mut there), 50);
    assert!(there.iter().enumerate().all(|(number, packet)| packet.frame()[0] == number as u8));
    b.free_burst(&mut there);
}

fn exhausted_pool(a: &mut DpdkQueue) {
    let mut all = Burst::with_capacity(100_000);
    a.alloc_burst(&mut all);
    assert!(all.len() > 1000 && !all.is_full());
    let mut more = Burst::with_capacity(4);
    a.alloc_burst(&mut more);
    assert!(more.is_empty());
    let mut last = Burst::with_capacity(3);
    last.append(&mut all);
    a.free_burst(&mut last);
    a.alloc_burst(&mut more);
    assert_eq!(more.len(), 3, "a smaller bulk where there is no full one");
    a.free_burst(&mut more);
    a.free_burst(&mut all);
}

/// Frames of the longest MTU that jumbo frames have: in one segment, and put together from two.
pub(crate) fn jumbo(eal: &Eal) {
    let (left, right) = dpdk::crosswise_rings(eal, 64).expect("rings");
    let config = PortConfig { mtu: Some(9000), ..PortConfig::default() };
    let ((mut a, left_port), (mut b, right_port)) =
        (opened(eal, left.name(), &config), opened(eal, right.name(), &config));
    assert_eq!((a.capabilities().mtu, b.capabilities().mtu), (9000, 9000));
    let mut burst = Burst::with_capacity(3);
    a.alloc_burst(&mut burst);
    for (packet, (byte, len)) in burst.iter_mut().zip([(1, 9014), (2, 8942), (3, 2000)]) {
        fill(packet, byte, len);
    }
    append_segment(&burst[2], 4, 7014);
    a.tx_burst(&mut burst);
    assert_eq!(received(&mut b, &mut burst), 3);
    let (lengths, last): (Vec<_>, _) = (burst.iter().map(Mbuf::frame_len).collect(), burst[2].frame());
    assert_eq!((lengths, last[1999], last[2000], last[9013]), (vec![9014, 8942, 9014], 3, 4, 4));
    b.tx_burst(&mut burst);
    assert_eq!(received(&mut a, &mut burst), 3);
    assert!(burst[0].frame() == [1; 9014] && burst[1].frame() == [2; 8942]);
    a.free_burst(&mut burst);
    assert_eq!(b.counters().snapshot()[Counter::RxLinearised], 1);
    assert_eq!(a.counters().snapshot()[Counter::RxLinearised], 0, "it went back as one");
    drop((a, b));
    balanced(&left_port.control.close(), 0);
    balanced(&right_port.control.close(), 2);
}

fn field<T>(mbuf: NonNull<sys::rte_mbuf>, offset: usize) -> *mut T {
    // SAFETY: offsets of rte_mbuf's fields.
    unsafe { mbuf.as_ptr().cast::<u8>().add(offset).cast() }
}

/// A buffer straight from the pool of another, behind the ledger's back.
fn raw_buffer(like: &Mbuf) -> NonNull<sys::rte_mbuf> {
    let mut mbuf = std::ptr::null_mut();
    // SAFETY: a live mbuf's pool; room for one.
    let error = unsafe {
        let pool = field::<*mut sys::rte_mempool>(like.as_raw(), sys::DPDK_SYS_MBUF_pool).read();
        sys::shim_rte_pktmbuf_alloc_bulk(pool, &raw mut mbuf, 1)
    };
    assert_eq!(error, 0);
    NonNull::new(mbuf).expect("a buffer")
}

/// Appends a segment of `len` bytes to a packet.
fn append_segment(packet: &Mbuf, byte: u8, len: u16) {
    let (head, tail) = (packet.as_raw(), raw_buffer(packet));
    // SAFETY: two live mbufs of ours; the lengths are within their buffers.
    unsafe {
        let data = field::<*mut u8>(tail, sys::DPDK_SYS_MBUF_buf_addr).read();
        data.add(sys::RTE_PKTMBUF_HEADROOM as usize).write_bytes(byte, len.into());
        field::<u16>(tail, sys::DPDK_SYS_MBUF_data_len).write(len);
        field::<NonNull<sys::rte_mbuf>>(head, sys::DPDK_SYS_MBUF_next).write(tail);
        field::<u16>(head, sys::DPDK_SYS_MBUF_nb_segs).write(2);
        *field::<u32>(head, sys::DPDK_SYS_MBUF_pkt_len) += u32::from(len);
    }
}

fn segmented(a: &mut DpdkQueue, b: &mut DpdkQueue) {
    let before = b.counters().snapshot();
    let mut burst = Burst::with_capacity(4);
    a.alloc_burst(&mut burst);
    for (number, packet) in burst.iter_mut().enumerate() {
        fill(packet, number as u8, 1000);
    }
    append_segment(&burst[1], 0xaa, 500);
    append_segment(&burst[2], 0xbb, 2000);
    a.tx_burst(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(received(b, &mut burst), 3, "one does not fit a buffer");
    assert_eq!(burst.iter().map(|packet| packet.frame()[0]).collect::<Vec<_>>(), [0, 1, 3], "in order");
    assert_eq!(burst[1].frame_len(), 1500);
    assert_eq!((burst[1].frame()[999], burst[1].frame()[1000]), (1, 0xaa));
    b.free_burst(&mut burst);
    let after = b.counters().snapshot();
    let grown = |counter| after[counter] - before[counter];
    assert_eq!((grown(Counter::RxLinearised), grown(Counter::RxSegmented)), (1, 1));
    assert_eq!(grown(Counter::Received), 4, "three are handled, one is dropped by name");
}

fn shared(a: &mut DpdkQueue, b: &mut DpdkQueue) {
    let before = b.counters().snapshot();
    let mut burst = Burst::with_capacity(1);
    a.alloc_burst(&mut burst);
    fill(&mut burst[0], 7, 100);
    let other = burst[0].as_raw();
    // SAFETY: a live mbuf; the second reference is `other`.
    unsafe { sys::shim_rte_mbuf_refcnt_update(other.as_ptr(), 1) };
    a.tx_burst(&mut burst);
    assert_eq!(received(b, &mut burst), 1);
    assert_ne!(burst[0].as_raw(), other, "a copy");
    burst[0].room_mut()[0] = 9;
    // SAFETY: `other` is a reference of ours, to an mbuf with the default headroom.
    let byte = unsafe {
        let data = field::<*mut u8>(other, sys::DPDK_SYS_MBUF_buf_addr).read();
        data.add(sys::RTE_PKTMBUF_HEADROOM as usize).read()
    };
    assert_eq!((burst[0].frame()[1], byte), (7, 7));
    b.free_burst(&mut burst);

    // The same, with no buffer for the copy: a frame that never came.
    a.alloc_burst(&mut burst);
    let third = burst[0].as_raw();
    // SAFETY: as above.
    unsafe { sys::shim_rte_mbuf_refcnt_update(third.as_ptr(), 1) };
    a.tx_burst(&mut burst);
    let mut all = Burst::with_capacity(100_000);
    b.alloc_burst(&mut all);
    assert_eq!(received(b, &mut burst), 0);
    b.free_burst(&mut all);
    // SAFETY: the last references, and ours.
    unsafe {
        sys::shim_rte_pktmbuf_free(other.as_ptr());
        sys::shim_rte_pktmbuf_free(third.as_ptr());
    }
    let after = b.counters().snapshot();
    let grown = |counter| after[counter] - before[counter];
    assert_eq!((grown(Counter::RxCopied), grown(Counter::RxNoBuffer)), (1, 1));
    assert_eq!(grown(Counter::Received), 1);
}

/// Someone else has the first of two segments: both are copied, into one buffer.
fn segmented_and_shared(a: &mut DpdkQueue, b: &mut DpdkQueue) {
    let before = b.counters().snapshot();
    let mut burst = Burst::with_capacity(1);
    a.alloc_burst(&mut burst);
    fill(&mut burst[0], 5, 1000);
    append_segment(&burst[0], 6, 500);
    let other = burst[0].as_raw();
    // SAFETY: a live mbuf; the second reference is `other`.
    unsafe { sys::shim_rte_mbuf_refcnt_update(other.as_ptr(), 1) };
    a.tx_burst(&mut burst);
    assert_eq!(received(b, &mut burst), 1);
    assert_ne!(burst[0].as_raw(), other, "a copy");
    assert_eq!(burst[0].frame_len(), 1500);
    assert_eq!((burst[0].frame()[999], burst[0].frame()[1000]), (5, 6));
    b.free_burst(&mut burst);
    let after = b.counters().snapshot();
    let grown = |counter| after[counter] - before[counter];
    assert_eq!((grown(Counter::RxCopied), grown(Counter::RxLinearised)), (1, 0));
    // SAFETY: the last reference, and ours; the second segment goes with it.
    unsafe { sys::shim_rte_pktmbuf_free(other.as_ptr()) };
}

fn double_free(a: &mut DpdkQueue) {
    let mut burst = Burst::with_capacity(1);
    a.alloc_burst(&mut burst);
    let mbuf = burst[0].as_raw();
    a.free_burst(&mut burst);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: none: this is the mistake that the ledger is to catch, before the pool sees it.
        let second = unsafe { Mbuf::from_raw(mbuf) };
        let mut burst = Burst::with_capacity(1);
        burst.push(second).expect("room");
        a.free_burst(&mut burst);
    }))
    .expect_err("noticed");
    let text = panic.downcast_ref::<String>().expect("a message");
    assert!(text.contains("from Host to Port, but its owner was Port already"), "{text}");
    assert!(text.contains(&format!("{:#x}", mbuf.addr())), "{text}");
}
