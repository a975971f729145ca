//! The DPDK port on devices that need no NIC: rings, net_null and net_tap.
//!
//! The EAL starts once per process, so one test goes through everything that one EAL can
//! show. What ends or spoils an EAL runs in a process of its own: this program again.

#![cfg(feature = "dpdk")]

mod processes;
mod rings;
mod tap;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use dpdk_sys as sys;
use gannet::packet::{Burst, Packet};
use gannet::port::dpdk::{self, DpdkQueue, Eal, EalError, LaunchError, Mbuf};
use gannet::port::{FrameQueue, OpenPort, PoolBalance, PortConfig};
use gannet::telemetry::Kind;

const BURST: usize = 32;

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
    let tap_possible = tap_is_possible();
    let vdevs = if tap_possible {
        format!("--vdev=net_tap0,iface={} --vdev=net_tap1,iface={}", tap::TAP, tap::SHORT_TAP)
    } else {
        String::new()
    };
    let line = format!("{} --vdev=net_null0 {vdevs}", base_arguments());
    let eal = Eal::init(&arguments(&line)).expect("the EAL starts");
    assert_eq!(Eal::init(&arguments(&line)).expect_err("a second time"), EalError::AlreadyStarted);
    assert!(dpdk::dpdk_version().contains(sys::VERSION), "{} runs", dpdk::dpdk_version());

    devices(&eal, tap_possible);
    launches(&eal);
    rings::by_hand(&eal);
    rings::jumbo(&eal);
    rings::echo_on_a_worker(&eal);
    null(&eal);
    if tap_possible {
        tap::two_queues(&eal);
        tap::short_mtu(&eal);
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

fn null(eal: &Eal) {
    let config = PortConfig { mtu: Some(1400), all_multicast: true, ..PortConfig::default() };
    let (mut queue, mut port) = opened(eal, "net_null0", &config);
    let granted = port.control.description().granted.join("\n");
    assert!(granted.contains("frames to every group address (all multicast) granted"), "{granted}");
    assert!(port.control.is_link_up());
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
