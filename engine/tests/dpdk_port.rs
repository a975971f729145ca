//! The DPDK port on devices that need no NIC: rings, net_null and net_tap.
//!
//! The EAL starts once per process, so one test goes through everything that one EAL can
//! show. What ends or spoils an EAL runs in a process of its own: this program again.

#![cfg(feature = "dpdk")]

use std::env;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use dpdk_sys as sys;
use gannet::packet::{Burst, Packet, RxChecksum, RxChecksums};
use gannet::port::dpdk::{self, DpdkError, DpdkQueue, Eal, EalError, LaunchError, Mbuf};
use gannet::port::{FrameQueue, OpenPort, PoolBalance, PortConfig};
use gannet::telemetry::{Counter, Kind};

const BURST: usize = 32;
const TAP: &str = "gannet-tap0";
const SHORT_TAP: &str = "gannet-tap1";

fn arguments(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// EAL arguments that need no right and leave no file, on up to two of the CPUs that we may use.
fn base_arguments() -> String {
    // SAFETY: an all-zero set is empty; the call fills it for this thread.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &raw mut set);
        set
    };
    // SAFETY: within the set.
    let allowed = |&cpu: &usize| unsafe { libc::CPU_ISSET(cpu, &set) };
    let cpus: Vec<String> = (0..1024).filter(allowed).take(2).map(|cpu| cpu.to_string()).collect();
    format!("-l {} --no-huge --no-pci --no-shconf -m 256", cpus.join(","))
}

/// Whether net_tap can make its interface here.
fn tap_is_possible() -> bool {
    // SAFETY: no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    root && std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_ok()
}

#[test]
fn one_eal() {
    failures_before_the_start();
    let tap = tap_is_possible();
    let vdevs = if tap {
        format!("--vdev=net_tap0,iface={TAP} --vdev=net_tap1,iface={SHORT_TAP}")
    } else {
        String::new()
    };
    let line = format!("{} --vdev=net_null0 {vdevs}", base_arguments());
    let eal = Eal::init(&arguments(&line)).expect("the EAL starts");
    assert_eq!(Eal::init(&arguments(&line)).expect_err("a second time"), EalError::AlreadyStarted);
    assert!(dpdk::dpdk_version().contains(sys::VERSION), "{} runs", dpdk::dpdk_version());

    devices(&eal, tap);
    launches(&eal);
    rings(&eal);
    echo_on_a_worker(&eal);
    null(&eal);
    if tap {
        tap_with_two_queues(&eal);
        tap_with_a_short_mtu(&eal);
    } else {
        assert!(env::var_os("CI").is_none(), "net_tap wants root and /dev/net/tun");
        eprintln!("skipped: net_tap wants root and /dev/net/tun");
    }
}

fn failures_before_the_start() {
    let fails = |line: &str| Eal::init(&arguments(line)).expect_err(line);
    let error = fails("--no-huge --in-memory");
    assert!(matches!(error, EalError::Contradiction { .. }) && error.is_usage(), "{error}");
    let error = fails("-l 1000 --no-huge");
    assert!(matches!(error, EalError::LcoreTooHigh { lcore: 1000, .. }), "{error}");
    let error = fails("--lcores=0@1000 --no-huge");
    assert!(matches!(error, EalError::NoSuchCpu { lcore: 0, cpu: 1000, .. }), "{error}");
    let error = fails(&format!("{} --main-lcore 99", base_arguments()));
    assert_eq!(error, EalError::MainLcore { main: 99 });
    let error = fails("--no-huge --no-shconf a\0b");
    assert!(matches!(error, EalError::ZeroByte { .. }), "{error}");
    let reserved = std::fs::read_to_string("/proc/sys/vm/nr_hugepages").unwrap_or_default();
    let large = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages");
    if reserved.trim() == "0" && large.unwrap_or_default().trim() != "1" {
        let error = fails("--no-pci --no-shconf");
        assert_eq!(error, EalError::NoHugepages);
        assert!(error.to_string().contains("./hugepages.sh reserve") && !error.is_usage());
    }
}

fn devices(eal: &Eal, tap: bool) {
    let names: Vec<String> = eal.devices().iter().map(ToString::to_string).collect();
    let expected: &[&str] = if tap { &["net_null0", "net_tap0"] } else { &["net_null0"] };
    assert!(expected.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    let error = eal.device("net_nothing7").expect_err("no such device");
    let text = error.to_string();
    assert!(text.contains("'net_nothing7'") && text.contains("net_null0"), "{text}");
}

fn launches(eal: &Eal) {
    let main = eal.lcores().main;
    let error = eal.launch(main, Box::new(|| ())).expect_err("the main lcore");
    assert!(matches!(error, LaunchError::NoWorker { .. }), "{error}");
    let Some(&worker) = eal.lcores().workers.first() else {
        eprintln!("skipped: launching wants two CPUs");
        return;
    };
    let ran_on = Arc::new(AtomicU32::new(u32::MAX));
    let seen = Arc::clone(&ran_on);
    // SAFETY: reads a thread-local variable.
    let work = move || seen.store(unsafe { sys::shim_rte_lcore_id() }, SeqCst);
    eal.launch(worker, Box::new(work)).expect("a worker lcore");
    assert_eq!(eal.launch(worker, Box::new(|| ())).expect_err("twice"), LaunchError::Busy { lcore: worker });
    eal.wait(worker).expect("no panic");
    assert!(!eal.is_running(worker));
    assert_eq!(ran_on.load(SeqCst), worker);

    eal.launch(worker, Box::new(|| panic!("in the work"))).expect("a worker lcore");
    let payload = eal.wait(worker).expect_err("the panic comes back");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"in the work"));
    eal.wait(worker).expect("nothing to wait for");
}

/// An open port with its first queue taken out.
fn opened(eal: &Eal, name: &str, config: &PortConfig) -> (DpdkQueue, OpenPort<DpdkQueue>) {
    let device = eal.device(name).expect("a device");
    let mut port = dpdk::open(eal, device, config).expect("the device opens");
    let description = port.control.description();
    println!("{} {} {} MTU {}", description.name, description.driver, description.mac, description.mtu);
    description.granted.iter().for_each(|line| println!("  {line}"));
    (port.queues.remove(0), port)
}

fn balanced(balances: &[PoolBalance], pools: usize) {
    assert_eq!(balances.len(), pools, "{balances:?}");
    assert!(balances.iter().all(PoolBalance::is_balanced), "{balances:?}");
}

fn received(queue: &mut DpdkQueue, burst: &mut Burst<Mbuf>) -> usize {
    let before = burst.len();
    queue.rx_burst(burst);
    burst.len() - before
}

fn fill(packet: &mut Mbuf, byte: u8, len: usize) {
    packet.room_mut()[..len].fill(byte);
    packet.set_frame_len(len);
}

fn rings(eal: &Eal) {
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
fn echo_on_a_worker(eal: &Eal) {
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

fn null(eal: &Eal) {
    let config = PortConfig { mtu: Some(1400), ..PortConfig::default() };
    let (mut queue, mut port) = opened(eal, "net_null0", &config);
    assert_eq!(queue.capabilities().mtu, 1400);
    let mut burst = Burst::with_capacity(BURST);
    for _ in 0..1000 {
        assert_eq!(received(&mut queue, &mut burst), BURST);
        queue.tx_burst(&mut burst);
        assert!(burst.is_empty());
    }
    let snapshot = queue.counters().snapshot();
    assert_eq!((snapshot.total(Kind::Received), snapshot.total(Kind::Sent)), (32_000, 32_000));
    let statistics = port.control.extended_statistics();
    assert!(statistics.contains(&("rx_good_packets".to_owned(), 32_000)), "{statistics:?}");
    drop(queue);
    balanced(&port.control.close(), 1);
}

fn tap_with_two_queues(eal: &Eal) {
    let config = PortConfig { queues: 2, ..PortConfig::default() };
    let (first, mut port) = opened(eal, "net_tap0", &config);
    let mut queues = [first, port.queues.remove(0)];
    assert_eq!(port.control.description().queues, 2);
    let granted = port.control.description().granted.join("\n");
    assert!(granted.contains("RSS"), "{granted}");

    let socket = PacketSocket::bind(TAP);
    flows_keep_their_queue(&socket, &mut queues);
    if queues[0].capabilities().rx_udp_checksum {
        received_checksums(&socket, &mut queues);
    }
    if queues[0].capabilities().tx_udp_checksum {
        sent_checksum(&socket, &mut queues[1]);
    }
    drop(queues);
    balanced(&port.control.close(), 1);
}

/// Polls all queues until `count` frames came from our station, and gives each with its queue.
/// The kernel's own chatter (IPv6, mostly) is freed.
fn ours(queues: &mut [DpdkQueue; 2], count: usize) -> Vec<(usize, Mbuf)> {
    let mut frames = Vec::new();
    let mut burst = Burst::with_capacity(BURST);
    let mut others = Burst::with_capacity(BURST);
    let deadline = Instant::now() + Duration::from_secs(5);
    while frames.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} frames came", frames.len());
        for (index, queue) in queues.iter_mut().enumerate() {
            queue.rx_burst(&mut burst);
            for packet in burst.drain() {
                if packet.frame()[6..12] == STATION {
                    frames.push((index, packet));
                } else {
                    others.push(packet).expect("room");
                }
            }
            queue.free_burst(&mut others);
        }
    }
    frames
}

fn give_back(queue: &mut DpdkQueue, frames: Vec<(usize, Mbuf)>) {
    let mut burst = Burst::with_capacity(frames.len());
    frames.into_iter().for_each(|(_, packet)| burst.push(packet).expect("room"));
    queue.free_burst(&mut burst);
}

fn flows_keep_their_queue(socket: &PacketSocket, queues: &mut [DpdkQueue; 2]) {
    let mut queue_of = [None; 64];
    for _round in 0..4 {
        for flow in 0..64 {
            socket.send(&datagram(2000 + flow, b"to and fro", true));
        }
        let frames = ours(queues, 64);
        for (queue, packet) in &frames {
            let port = u16::from_be_bytes([packet.frame()[34], packet.frame()[35]]);
            let known = queue_of[usize::from(port) - 2000].get_or_insert(*queue);
            assert_eq!(known, queue, "the flow from port {port}");
        }
        give_back(&mut queues[0], frames);
    }
    let on_first = queue_of.iter().filter(|queue| **queue == Some(0)).count();
    println!("  {on_first} of 64 flows on queue 0");
    assert!((8..56).contains(&on_first), "both queues have their share");
}

fn received_checksums(socket: &PacketSocket, queues: &mut [DpdkQueue; 2]) {
    for (good, expected) in [(true, RxChecksum::Good), (false, RxChecksum::Bad)] {
        socket.send(&datagram(7, b"checked", good));
        let frames = ours(queues, 1);
        assert_eq!(frames[0].1.rx_checksums(), RxChecksums { ipv4: RxChecksum::Good, udp: expected });
        give_back(&mut queues[0], frames);
    }
}

fn sent_checksum(socket: &PacketSocket, queue: &mut DpdkQueue) {
    let expected = datagram(9, b"to be completed", true);
    let mut burst = Burst::with_capacity(1);
    queue.alloc_burst(&mut burst);
    burst[0].room_mut()[..expected.len()].copy_from_slice(&expected);
    burst[0].set_frame_len(expected.len());
    let pseudo = !internet_checksum(&pseudo_header(&expected[14..34], expected.len() - 34));
    burst[0].room_mut()[40..42].copy_from_slice(&pseudo.to_be_bytes());
    burst[0].request_udp_checksum(14, 20);
    queue.tx_burst(&mut burst);
    assert!(burst.is_empty());
    let came = (0..100).find_map(|_| socket.receive().filter(|frame| frame[6..12] == STATION));
    assert_eq!(came.expect("the frame comes out"), expected);
}

const STATION: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// A UDP datagram from a port of 10.99.0.9 to port 7 of 10.99.0.1, in a broadcast frame.
fn datagram(source: u16, payload: &[u8], good: bool) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, (28 + payload.len()) as u8, 0, 0, 0x40, 0, 64, 17, 0, 0];
    ip.extend([10, 99, 0, 9, 10, 99, 0, 1]);
    let sum = internet_checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let len = (8 + payload.len()) as u16;
    let mut udp: Vec<u8> = [source, 7, len, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    udp.extend(payload);
    let sum = internet_checksum(&[&pseudo_header(&ip, udp.len())[..], &udp].concat());
    udp[6..8].copy_from_slice(&if good { sum } else { sum ^ 1 }.to_be_bytes());
    [&[0xff; 6][..], &STATION, &[8, 0], &ip, &udp].concat()
}

fn pseudo_header(ip: &[u8], udp_len: usize) -> Vec<u8> {
    [&ip[12..20], &[0, 17, 0, udp_len as u8]].concat()
}

/// RFC 1071, in the plainest way.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// A tap with another MTU, and the longest frame that it takes.
fn tap_with_a_short_mtu(eal: &Eal) {
    let config = PortConfig { mtu: Some(1400), ..PortConfig::default() };
    let (mut queue, port) = opened(eal, "net_tap1", &config);
    assert_eq!(queue.capabilities().mtu, 1400);
    let kernel = std::fs::read_to_string(format!("/sys/class/net/{SHORT_TAP}/mtu")).expect("an interface");
    assert_eq!(kernel.trim(), "1400");
    let socket = PacketSocket::bind(SHORT_TAP);
    let mut frame = datagram(1, b"", true);
    frame.resize(14 + 1400, 0x5a);
    socket.send(&frame);
    let mut burst = Burst::with_capacity(BURST);
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut came = false;
    while !came {
        assert!(Instant::now() < deadline, "the longest frame did not come");
        queue.rx_burst(&mut burst);
        came = burst.iter().any(|packet| packet.frame() == frame);
        queue.free_burst(&mut burst);
    }
    drop(queue);
    balanced(&port.control.close(), 1);
}

/// The kernel's end of a tap.
struct PacketSocket(OwnedFd);

impl PacketSocket {
    fn bind(interface: &str) -> Self {
        let name = std::ffi::CString::new(interface).expect("no zero byte");
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a zero-terminated name, and an address of the family's kind.
        unsafe {
            let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
            assert!(socket >= 0, "{}", std::io::Error::last_os_error());
            let socket = OwnedFd::from_raw_fd(socket);
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            address.sll_ifindex = libc::if_nametoindex(name.as_ptr()).cast_signed();
            let bound =
                libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32);
            assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
            Self(socket)
        }
    }

    fn send(&self, frame: &[u8]) {
        // SAFETY: an open socket and a buffer of that length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }

    /// The next frame that goes into the kernel; what this socket sends is not among them.
    fn receive(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 2048];
        // SAFETY: an all-zero address is one to be filled.
        let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut from_len = size_of_val(&from) as u32;
        // SAFETY: an open socket, a buffer and an address with their lengths.
        let len = unsafe {
            let (buffer, from) = (frame.as_mut_ptr().cast(), (&raw mut from).cast());
            libc::recvfrom(
                self.0.as_raw_fd(),
                buffer,
                frame.len(),
                libc::MSG_DONTWAIT,
                from,
                &raw mut from_len,
            )
        };
        if len < 0 {
            thread::sleep(Duration::from_millis(10));
        }
        frame.truncate(usize::try_from(len).ok()?);
        (from.sll_pkttype != libc::PACKET_OUTGOING).then_some(frame)
    }
}

// ---- what spoils an EAL, in processes of their own ---------------------------------

const CASE: &str = "GANNET_DPDK_CASE";
const PREFIX: &str = "GANNET_DPDK_PREFIX";

/// Runs a case of [`child`] in a process of its own.
fn in_a_process(case: &str) {
    let program = env::current_exe().expect("this program");
    let output = Command::new(program).args(["--exact", "child", "--nocapture"]).env(CASE, case).output();
    let output = output.expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "case {case}:\n{}\n{text}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn failures_of_the_start() {
    let cases = ["unknown option", "word", "absent device", "unknown driver", "too much memory"];
    cases.into_iter().for_each(in_a_process);
}

#[test]
fn a_missing_buffer_is_told() {
    in_a_process("leak");
}

#[test]
fn a_queue_keeps_its_device_open() {
    in_a_process("queue alive");
}

#[test]
fn a_port_without_memory_says_what_to_do() {
    in_a_process("no memory");
}

#[test]
fn a_file_prefix_in_use_is_told() {
    in_a_process("prefix");
}

#[test]
fn af_packet_hides_what_the_kernel_left_unfilled() {
    // SAFETY: no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        in_a_process("af_packet");
    } else {
        assert!(env::var_os("CI").is_none(), "net_af_packet wants root");
        eprintln!("skipped: net_af_packet wants root");
    }
}

#[test]
fn child() {
    let base = base_arguments();
    let fails = |more: &str| Eal::init(&arguments(&format!("{base} {more}"))).expect_err("it fails");
    match env::var(CASE).unwrap_or_default().as_str() {
        "" => {}
        "unknown option" => assert!(matches!(fails("--bogus"), EalError::Refused { .. })),
        "word" => {
            let error = fails("word");
            assert!(matches!(error, EalError::Leftover { .. }) && error.is_usage(), "{error}");
        }
        "absent device" => {
            let error = fails("--vdev=net_af_packet0,iface=gannet-nowhere");
            assert_eq!(error, EalError::DeviceAbsent { device: "net_af_packet0".to_owned() });
        }
        "unknown driver" => {
            let error = fails("--vdev=net_bogus0").to_string();
            assert!(error.contains("--vdev"), "{error}");
        }
        "too much memory" => {
            let error = fails("-m 99999999").to_string();
            assert!(error.contains("-m"), "{error}");
        }
        "leak" => leak(&base),
        "queue alive" => queue_alive(&base),
        "no memory" => no_memory(&base),
        "prefix" => prefix(&base),
        "same prefix" => {
            let prefix = env::var(PREFIX).expect("the parent's");
            let line = base.replace("--no-shconf", &format!("--file-prefix {prefix}"));
            let error = Eal::init(&arguments(&line)).expect_err("the parent has it");
            assert!(matches!(error, EalError::PrefixInUse { .. }), "{error}");
        }
        "af_packet" => af_packet(&base),
        case => panic!("no case {case}"),
    }
}

fn leak(base: &str) {
    let eal = Eal::init(&arguments(&format!("{base} --vdev=net_null0"))).expect("the EAL starts");
    let (mut queue, port) = opened(&eal, "net_null0", &PortConfig::default());
    let mut burst = Burst::with_capacity(1);
    queue.alloc_burst(&mut burst);
    let mut mbuf = burst.pop().expect("a packet");
    drop(queue);
    let balances = port.control.close();
    assert_eq!(balances.len(), 1);
    assert_eq!(balances[0].free + 1, balances[0].size, "{balances:?}");
    drop(eal);
    // Its memory is still there.
    fill(&mut mbuf, 1, 64);
    assert_eq!(mbuf.frame()[63], 1);
}

fn queue_alive(base: &str) {
    let eal = Eal::init(&arguments(&format!("{base} --vdev=net_null0"))).expect("the EAL starts");
    let (mut queue, port) = opened(&eal, "net_null0", &PortConfig::default());
    assert_eq!(port.control.close(), []);
    drop(eal);
    let mut burst = Burst::with_capacity(4);
    assert_eq!(received(&mut queue, &mut burst), 4);
    queue.free_burst(&mut burst);
}

fn no_memory(base: &str) {
    let eal = Eal::init(&arguments(&format!("{base} --vdev=net_null0"))).expect("the EAL starts");
    let config =
        PortConfig { rx_descriptors: Some(65_000), tx_descriptors: Some(65_000), ..PortConfig::default() };
    let device = eal.device("net_null0").expect("a device");
    let error = dpdk::open(&eal, device, &config).map(|_| ()).expect_err("more than the EAL has");
    assert!(matches!(error, DpdkError::Pool { .. }), "{error}");
    assert!(error.to_string().contains("--rxd"), "{error}");
    let (left, _) = dpdk::crosswise_rings(&eal, 64).expect("the EAL goes on");
    let (queue, port) = opened(&eal, left.name(), &PortConfig::default());
    drop(queue);
    balanced(&port.control.close(), 1);
}

fn prefix(base: &str) {
    let prefix = format!("gannet-test-{}", std::process::id());
    let folder = env::temp_dir().join(&prefix);
    std::fs::create_dir(&folder).expect("a new folder");
    let line = base.replace("--no-shconf", &format!("--file-prefix {prefix}"));
    // The EAL leaves its files behind; here they are easily found again.
    // SAFETY: no other thread reads the environment now.
    unsafe {
        env::set_var("RUNTIME_DIRECTORY", &folder);
        env::set_var(PREFIX, prefix);
    }
    let eal = Eal::init(&arguments(&line)).expect("the EAL starts");
    in_a_process("same prefix");
    drop(eal);
    std::fs::remove_dir_all(folder).expect("our folder");
}

fn af_packet(base: &str) {
    let eal =
        Eal::init(&arguments(&format!("{base} --vdev=net_af_packet0,iface=lo"))).expect("the EAL starts");
    let (mut queue, port) = opened(&eal, "net_af_packet0", &PortConfig::default());
    let capabilities = queue.capabilities();
    assert!(capabilities.unmarked_unfilled_checksums && !capabilities.tx_udp_checksum);
    assert!(capabilities.mac.is_unicast(), "made up, since lo has none");
    let mac = std::fs::read_to_string("/sys/class/net/lo/address").expect("lo");
    assert_eq!(mac.trim(), "00:00:00:00:00:00", "and lo is left alone");
    let mut burst = Burst::with_capacity(BURST);
    for _ in 0..10 {
        queue.rx_burst(&mut burst);
        queue.free_burst(&mut burst);
    }
    drop(queue);
    balanced(&port.control.close(), 1);
}
