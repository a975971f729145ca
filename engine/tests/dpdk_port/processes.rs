//! What ends or spoils an EAL, in processes of their own: this program again.

use std::env;
use std::process::Command;

use gannet::packet::{Burst, Packet};
use gannet::port::dpdk::{self, DpdkError, Eal, EalError};
use gannet::port::{FrameQueue, PortConfig};

use crate::{BURST, arguments, balanced, base_arguments, fill, opened, received};

const CASE: &str = "GANNET_DPDK_CASE";
const PREFIX: &str = "GANNET_DPDK_PREFIX";

/// Runs a case of [`child`] in a process of its own.
fn in_a_process(case: &str) {
    let program = env::current_exe().expect("this program");
    let output =
        Command::new(program).args(["--exact", "processes::child", "--nocapture"]).env(CASE, case).output();
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
