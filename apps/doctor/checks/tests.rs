//! Machines put up as trees of files, and what is said of them.

mod tree;

use std::io;
use std::os::unix::fs::MetadataExt;

use gannet::{Io, LcoreId, Memory, Requested};

use super::super::check::{Check, Status};
use super::{Asked, about};
use tree::{CARD, Tree};

/// `-l 0-1 -a CARD`.
fn nic() -> Asked {
    let requested = Requested {
        io: Io::Dpdk,
        lcores: vec![(LcoreId(0), vec![0]), (LcoreId(1), vec![1])],
        memory: Memory::HugepageFiles,
        vdevs: Vec::new(),
        pci: vec![CARD.to_owned()],
        every_pci: false,
        blocked_pci: Vec::new(),
        drivers: Vec::new(),
        runtime_files: true,
        sockets: Vec::new(),
    };
    Asked {
        requested,
        own: vec!["10.77.0.1/24".parse().expect("valid")],
        metrics: None,
        files: Vec::new(),
        replayed: None,
    }
}

/// `-l 0-1 --no-huge --no-pci --vdev=net_tap0`.
fn tap() -> Asked {
    let mut asked = nic();
    asked.requested.memory = Memory::Ordinary;
    asked.requested.pci.clear();
    asked.requested.vdevs.push("net_tap0,iface=tap0".to_owned());
    asked
}

/// `-l 0-1 -- --io af_packet:eth0`.
fn af_packet() -> Asked {
    let mut asked = tap();
    asked.requested.io = Io::AfPacket(vec!["eth0".to_owned()]);
    asked.requested.vdevs.clear();
    asked.requested.runtime_files = false;
    asked
}

fn errors(checks: &[Check]) -> Vec<&str> {
    checks.iter().filter(|check| check.is_error()).map(|check| check.name.as_str()).collect()
}

fn find<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let found = checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check {name} among {checks:#?}"))
}

#[test]
fn nothing_is_wrong_with_a_whole_machine() {
    let tree = Tree::whole();
    for asked in [nic(), tap(), af_packet()] {
        let checks = tree.say(&asked);
        assert!(checks.iter().all(|c| matches!(c.status, Status::Ok | Status::Unneeded)), "{checks:#?}");
    }
}

#[test]
fn a_fresh_machine_lacks_each_thing_by_name_with_its_cure() {
    let tree = Tree::whole();
    tree.hugepages(0, 0);
    tree.write("proc/mounts", "");
    tree.remove("sys/bus/pci/drivers/vfio-pci");
    tree.remove("dev/vfio");
    tree.card(CARD, "0x020000", "e1000e");
    let checks = tree.say(&nic());
    let nic = format!("NIC {CARD}");
    assert_eq!(errors(&checks), ["hugepages", "hugetlbfs", "vfio", &nic]);
    assert_eq!(find(&checks, "hugepages").mend, ["./hugepages.sh reserve 512M"]);
    assert_eq!(find(&checks, "vfio").mend, ["modprobe -a vfio-pci vfio_iommu_type1"]);
    assert_eq!(find(&checks, &nic).mend, [format!("scripts/bind vfio {CARD}")]);
    // And none of it is in the way of those who do without.
    assert_eq!(errors(&tree.say(&tap())), [""; 0]);
    assert_eq!(errors(&tree.say(&af_packet())), [""; 0]);
}

#[test]
fn hugepages_may_be_few_held_or_out_of_reach() {
    let tree = Tree::whole();
    tree.hugepages(256, 4);
    assert_eq!(find(&tree.say(&nic()), "hugepages").status, Status::Warning);
    tree.hugepages(256, 0);
    assert_eq!(find(&tree.say(&nic()), "hugepages").status, Status::Error);
    tree.remove("dev/hugepages");
    let mut asked = nic();
    assert!(errors(&tree.say(&asked)).contains(&"hugetlbfs"));
    asked.requested.memory = Memory::Hugepages;
    assert!(!errors(&tree.say(&asked)).contains(&"hugetlbfs"));
}

#[test]
fn pages_of_files_that_a_program_left_come_back() {
    let tree = Tree::whole();
    tree.hugepages(256, 0);
    tree.write("dev/hugepages/rtemap_0", "a page");
    let file = tree.machine().path("/dev/hugepages/rtemap_0").metadata().expect("it is there");
    let (device, inode) = (file.dev(), file.ino());
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    let lock = format!("1: FLOCK  ADVISORY  READ 77 {major:02x}:{minor:02x}:{inode} 0 EOF\n");
    tree.write("proc/locks", &lock);
    assert_eq!(find(&tree.say(&nic()), "hugepages").status, Status::Error);
    tree.write("proc/locks", "1: POSIX  ADVISORY  WRITE 77 00:01:1 0 EOF\n");
    assert_eq!(find(&tree.say(&nic()), "hugepages").status, Status::Warning);
}

#[test]
fn a_mount_is_for_pages_of_its_size() {
    let tree = Tree::whole();
    let mounted = |options: &str| {
        tree.write("proc/mounts", &format!("nodev /dev/hugepages hugetlbfs {options} 0 0\n"));
        !errors(&tree.say(&nic())).contains(&"hugetlbfs")
    };
    assert!(!mounted("rw,pagesize=1024M") && !mounted("rw,pagesize=1G") && mounted("rw,pagesize=2M"));
    tree.write("proc/meminfo", "Hugepagesize:       1048576 kB\n");
    assert!(!mounted("rw"));
    tree.write("proc/meminfo", "Hugepagesize:       2048 kB\n");
    assert!(mounted("rw"));
}

#[test]
fn a_kernel_without_nodes_has_hugepages_too() {
    let tree = Tree::whole();
    tree.remove("sys/devices/system/node");
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "256\n");
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256\n");
    assert_eq!(find(&tree.say(&nic()), "hugepages").found, "all memory: 256 of 256 pages of 2 MiB free");
}

#[test]
fn cores_must_be_there_and_allowed() {
    let tree = Tree::whole();
    let mut asked = nic();
    asked.requested.lcores.push((LcoreId(5), vec![5]));
    assert!(find(&tree.say(&asked), "cores").found.contains("lcore 5: CPU 5 is not online"));
    tree.write("proc/self/status", "CapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-5\n");
    tree.remove("sys/devices/system/cpu/online");
    assert!(!find(&tree.say(&asked), "cores").is_error());
    tree.write("sys/devices/system/cpu/online", "0-1\n");
    tree.write("proc/self/status", "CapEff:\t000001ffffffffff\nCpus_allowed_list:\t0\n");
    assert!(find(&tree.say(&nic()), "cores").found.contains("CPU 1 is kept from this process"));
    tree.write("proc/self/status", "Cpus_allowed_list:\t0-1\n");
    tree.write("sys/devices/system/cpu/isolated", "\n");
    assert_eq!(find(&tree.say(&nic()), "cores").status, Status::Warning);
}

#[test]
fn an_old_processor_is_told_from_a_slow_one() {
    let tree = Tree::whole();
    assert_eq!(find(&tree.say(&nic()), "processor").found, "x86-64-v2, AVX2");
    let newest = "pni ssse3 cx16 sse4_1 sse4_2 popcnt avx2 avx512f avx512bw avx512vbmi";
    tree.write("proc/cpuinfo", &format!("flags : {newest}\n"));
    assert_eq!(find(&tree.say(&nic()), "processor").found, "x86-64-v2, AVX2, AVX-512");
    tree.write("proc/cpuinfo", "flags : pni ssse3 cx16 sse4_1 sse4_2 popcnt\n");
    assert_eq!(find(&tree.say(&nic()), "processor").status, Status::Warning);
    tree.write("proc/cpuinfo", "flags : pni ssse3 cx16\n");
    assert!(find(&tree.say(&nic()), "processor").found.contains("sse4_1, sse4_2, popcnt"));
}

#[test]
fn without_an_iommu_vfio_may_do_without() {
    let tree = Tree::whole();
    tree.remove("sys/class/iommu");
    let iommu = |tree: &Tree| find(&tree.say(&nic()), "IOMMU").clone();
    assert!(iommu(&tree).mend[0].contains("intel_iommu=on"));
    tree.write("proc/cpuinfo", "vendor_id : AuthenticAMD\n");
    assert!(iommu(&tree).is_error() && iommu(&tree).mend[0].contains("amd_iommu=on"));
    tree.write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    assert_eq!(iommu(&tree).status, Status::Warning);
}

#[test]
fn vfio_wants_a_module_that_maps_memory() {
    let tree = Tree::whole();
    tree.remove("sys/module/vfio_iommu_type1");
    assert_eq!(errors(&tree.say(&nic())), ["vfio"]);
    tree.write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    assert!(!errors(&tree.say(&nic())).contains(&"vfio"));
}

#[test]
fn a_card_wants_a_pmd_a_viable_group_and_rights() {
    let tree = Tree::whole();
    let name = format!("NIC {CARD}");
    let found = |tree: &Tree| find(&tree.say(&nic()), &name).found.clone();
    tree.remove("dev/vfio/7");
    assert!(found(&tree).ends_with("no right to use /dev/vfio/7"));
    tree.card("0000:03:00.1", "0x020000", "e1000e");
    assert!(found(&tree).contains("not viable: 0000:03:00.1"));
    tree.card("0000:03:00.1", "0x060400", "pcieport");
    assert!(!found(&tree).contains("viable"));
    tree.remove("lib/pmds/librte_net_e1000.so.23");
    assert!(found(&tree).contains("no PMD in /lib/pmds is for it"));
    tree.remove(&format!("sys/bus/pci/devices/{CARD}"));
    assert!(found(&tree).contains("no such PCI device"));
}

#[test]
fn what_is_in_a_card_s_group_is_bound_too_if_it_is_a_card() {
    let tree = Tree::whole();
    let mend = |tree: &Tree| find(&tree.say(&nic()), &format!("NIC {CARD}")).mend.clone();
    let bind = |address: &str| format!("scripts/bind vfio {address}");
    tree.card("0000:03:00.1", "0x020000", "e1000e");
    assert_eq!(mend(&tree), [bind("0000:03:00.1")]);
    tree.card(CARD, "0x020000", "e1000e");
    assert_eq!(mend(&tree), [bind(CARD), bind("0000:03:00.1")]);
    tree.card("0000:03:00.2", "0x010802", "nvme");
    let mend = mend(&tree);
    assert!(mend.len() == 1 && mend[0].starts_with("put the card into another slot"), "{mend:?}");
}

#[test]
fn a_card_that_a_program_has_is_not_to_be_had() {
    let tree = Tree::whole();
    tree.write("proc/77/comm", "testpmd\n");
    tree.write("proc/77/fd/0", "");
    tree.link("proc/77/fd/3", "dev/vfio/8");
    assert_eq!(errors(&tree.say(&nic())), [""; 0]);
    tree.link("proc/77/fd/4", "dev/vfio/7");
    let checks = tree.say(&nic());
    assert!(find(&checks, &format!("NIC {CARD}")).found.ends_with("a program has it: testpmd (77)"));
}

#[test]
fn a_card_that_shares_with_the_kernel_needs_no_vfio() {
    let tree = Tree::whole();
    let known = r#"{"name": "mlx5_eth", "kmod": "* ib_uverbs & mlx5_core & mlx5_ib", "pci_ids": [[32902, 4307, 65535, 65535]]}"#;
    tree.write("lib/pmds/librte_net_e1000.so.23", &format!("PMD_INFO_STRING= {known}\0"));
    tree.card(CARD, "0x020000", "mlx5_core");
    tree.remove("sys/class/iommu");
    tree.remove("dev/vfio");
    assert_eq!(errors(&tree.say(&nic())), [""; 0]);
    let mut every = nic();
    (every.requested.pci, every.requested.every_pci) = (Vec::new(), true);
    assert_eq!(errors(&tree.say(&every)), [""; 0]);
    // Without its PMD it is not taken, and vfio would not mend that.
    tree.remove("lib/pmds/librte_net_e1000.so.23");
    let checks = tree.say(&every);
    assert!(!find(&checks, "NIC").mend[0].contains("vfio"), "{checks:#?}");
}

#[test]
fn without_a_named_port_some_card_must_be_bound() {
    let tree = Tree::whole();
    let mut asked = nic();
    (asked.requested.pci, asked.requested.every_pci) = (Vec::new(), true);
    assert_eq!(errors(&tree.say(&asked)), [""; 0]);
    tree.card(CARD, "0x020000", "e1000e");
    assert_eq!(find(&tree.say(&asked), "NIC").mend, [format!("scripts/bind vfio {CARD}")]);
    asked.requested.blocked_pci.push(CARD.to_owned());
    assert!(find(&tree.say(&asked), "NIC").mend[0].contains("without a card"));
    tree.card(CARD, "0x020000", "vfio-pci");
    assert_eq!(errors(&tree.say(&asked)), ["NIC"]);
    asked.requested.every_pci = false;
    assert!(errors(&tree.say(&asked)).contains(&"port"));
}

#[test]
fn beside_a_vdev_a_card_may_fail() {
    let tree = Tree::whole();
    let mut asked = tap();
    asked.requested.every_pci = true;
    tree.remove("lib/pmds/librte_net_e1000.so.23");
    let checks = tree.say(&asked);
    assert_eq!(errors(&checks), [""; 0]);
    assert_eq!(find(&checks, &format!("NIC {CARD}")).status, Status::Warning);
}

#[test]
fn a_vdev_wants_its_pmd_and_what_that_needs() {
    let tree = Tree::whole();
    tree.remove("dev/net/tun");
    tree.write("proc/self/status", "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-1\n");
    assert_eq!(errors(&tree.say(&tap())), ["/dev/net/tun", "capabilities"]);
    tree.remove("lib/pmds/librte_net_tap.so.23");
    assert!(errors(&tree.say(&tap())).contains(&"net_tap0"));
}

#[test]
fn a_vdev_s_interface_and_capture_must_be_there() {
    let tree = Tree::whole();
    tree.write(
        "lib/pmds/librte_net_more.so.23",
        "PMD_INFO_STRING= {\"name\": \"net_pcap\"}\0PMD_INFO_STRING= {\"name\": \"net_af_packet\"}\0",
    );
    let mut asked = tap();
    asked.requested.vdevs =
        vec!["net_af_packet0,iface=eth0".into(), "net_af_packet1,iface=eth7,qpairs=1".into()];
    assert_eq!(errors(&tree.say(&asked)), ["interface eth7"]);
    asked.requested.vdevs = vec!["net_af_packet0,iface=lo".into()];
    assert_eq!(errors(&tree.say(&asked)), [""; 0]);
    asked.requested.vdevs = vec!["net_pcap0,rx_pcap=/tmp/in.pcap,tx_pcap=/tmp/out.pcap".into()];
    assert_eq!(errors(&tree.say(&asked)), ["capture /tmp/in.pcap"]);
    tree.write("tmp/in.pcap", "");
    assert_eq!(errors(&tree.say(&asked)), [""; 0]);
}

#[test]
fn vfio_wants_memory_to_be_locked() {
    let tree = Tree::whole();
    tree.write("proc/self/status", "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-1\n");
    assert_eq!(errors(&tree.say(&nic())), ["memlock"]);
    tree.write(
        "proc/self/limits",
        "Max locked memory         unlimited            unlimited            bytes\n",
    );
    assert_eq!(errors(&tree.say(&nic())), [""; 0]);
}

#[test]
fn an_interface_is_there_is_up_and_has_no_traps() {
    let tree = Tree::whole();
    tree.write("sys/class/net/eth0/flags", "0x1002\n");
    tree.write("proc/sys/net/ipv4/conf/eth0/forwarding", "1\n");
    tree.write("proc/net/fib_trie", "  |-- 10.77.0.1\n     /32 host LOCAL\n");
    let mut asked = af_packet();
    let checks = tree.say(&asked);
    for name in ["interface eth0", "forwarding", "address 10.77.0.1"] {
        assert_eq!(find(&checks, name).status, Status::Warning, "{name}");
    }
    asked.requested.lcores.push((LcoreId(2), vec![0]));
    assert_eq!(errors(&tree.say(&asked)), ["interface eth0"]);
    asked.requested.io = Io::AfPacket(vec!["lo".into(), "eth9".into()]);
    assert_eq!(errors(&tree.say(&asked)), ["interface lo", "interface eth9"]);
}

#[test]
fn metrics_and_files_want_a_place() {
    let tree = Tree::whole();
    let mut asked = af_packet();
    (asked.metrics, asked.files) = ("127.0.0.1:9".parse().ok(), vec!["/tmp/out.json".into()]);
    assert_eq!(errors(&tree.say(&asked)), [""; 0]);
    asked.files = vec!["/nowhere/out.json".into()];
    let mut machine = tree.machine();
    machine.calls.listen = |_| Err(io::Error::from_raw_os_error(98));
    assert_eq!(errors(&about(&asked, &machine)), ["metrics 127.0.0.1:9", "file /nowhere/out.json"]);
}

#[test]
fn forwarding_is_stopped_where_it_is_in_the_way() {
    let tree = Tree::whole();
    tree.write("proc/sys/net/ipv4/ip_forward", "1\n");
    tree.write("proc/sys/net/ipv4/conf/eth0/forwarding", "0\n");
    assert!(!tree.say(&af_packet()).iter().any(|check| check.name == "forwarding"));
    tree.write("proc/sys/net/ipv4/conf/eth0/forwarding", "1\n");
    let mend = |tree: &Tree| find(&tree.say(&af_packet()), "forwarding").mend.clone();
    assert_eq!(mend(&tree), ["sysctl -w net/ipv4/conf/eth0/forwarding=0"]);
    tree.write("proc/sys/net/ipv6/conf/all/forwarding", "1\n");
    assert!(mend(&tree)[1].contains("network namespace of its own"));
}

#[test]
fn captures_are_read_and_written_where_that_is_possible() {
    let tree = Tree::whole();
    let says = |io: Io| {
        let mut asked = af_packet();
        asked.requested.io = io;
        errors(&tree.say(&asked.with_captures())).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let pcap = |input: &str, output: &str| Io::Pcap { input: input.into(), output: Some(output.into()) };
    assert_eq!(says(pcap("/tmp/in", "/nowhere/out")), ["file /nowhere/out", "capture /tmp/in"]);
    assert_eq!(says(Io::PcapOut("/nowhere/out".into())), ["file /nowhere/out"]);
    tree.write("tmp/in", "");
    assert_eq!(says(pcap("/tmp/in", "/tmp/out")), [""; 0]);
}

#[test]
fn what_the_kernel_refuses_is_told_apart() {
    let tree = Tree::whole();
    let mut machine = tree.machine();
    machine.calls.socket = |_| Err(io::Error::from_raw_os_error(97));
    assert!(find(&about(&af_packet(), &machine), "AF_PACKET").found.contains("lacks"));
    machine.calls.socket = |_| Err(io::Error::from_raw_os_error(1));
    assert!(
        find(&about(&af_packet(), &machine), "AF_PACKET").mend[0].contains("setcap cap_net_raw,cap_bpf+ep")
    );
    machine.calls.bind = |_| Err(io::Error::from_raw_os_error(13));
    let mut asked = af_packet();
    asked.requested.io = Io::Socket;
    asked.requested.sockets = vec!["127.0.0.1:7".parse().expect("valid")];
    let checks = about(&asked, &machine);
    assert!(find(&checks, "socket 127.0.0.1:7").mend[0].contains("cap_net_bind_service"));
}

#[test]
fn one_command_gives_every_capability() {
    let tree = Tree::whole();
    let caps = |asked: &Asked| {
        let checks = tree.say(asked);
        find(&checks, "capabilities").mend[0].split_whitespace().nth(2).unwrap_or_default().to_owned()
    };
    let mut asked = tap();
    // CAP_NET_RAW it has.
    tree.write("proc/self/status", "CapEff:\t0000000000002000\nCpus_allowed_list:\t0-1\n");
    asked.requested.vdevs.push("net_af_packet0,iface=eth0".into());
    assert_eq!(caps(&asked), "cap_net_admin,cap_net_raw+ep");
    asked.requested.pci.push(CARD.to_owned());
    asked.metrics = "127.0.0.1:80".parse().ok();
    assert_eq!(caps(&asked), "cap_net_bind_service,cap_net_admin,cap_net_raw,cap_ipc_lock+ep");
    tree.write("proc/self/status", "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-1\n");
    assert_eq!(caps(&af_packet()), "cap_net_raw,cap_bpf+ep");
}

#[test]
fn a_container_s_limits_are_those_of_its_groups() {
    let tree = Tree::whole();
    tree.write("proc/self/cgroup", "0::/pod/me\n");
    tree.write("sys/fs/cgroup/pod/me/cpu.max", "max 100000\n");
    tree.write("sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
    tree.write("sys/fs/cgroup/pod/me/memory.max", "104857600\n");
    tree.write("sys/fs/cgroup/pod/me/hugetlb.2MB.max", "0\n");
    let checks = tree.say(&nic());
    assert!(find(&checks, "CPU limit").found.starts_with("the time of 0.5 CPUs for 2 lcores"));
    assert!(find(&checks, "memory limit").found.starts_with("100 MiB"));
    assert_eq!(errors(&checks), ["hugepage limit"]);
    assert_eq!(errors(&tree.say(&tap())), [""; 0]);
}

#[test]
fn the_runtime_folder_is_the_user_s() {
    let tree = Tree::whole();
    tree.remove("tmp");
    assert_eq!(errors(&tree.say(&nic())), ["runtime folder"]);
    assert_eq!(errors(&tree.say(&af_packet())), [""; 0]);
    let mut machine = tree.machine();
    machine.calls.environment = |name| (name == "XDG_RUNTIME_DIR").then(|| "/dev".to_owned());
    assert_eq!(find(&about(&nic(), &machine), "runtime folder").found, "/dev/dpdk");
}

#[test]
fn pools_want_a_driver_of_their_own() {
    let tree = Tree::whole();
    tree.remove("lib/pmds/librte_mempool_ring.so.23");
    assert_eq!(errors(&tree.say(&nic())), ["drivers"]);
    assert_eq!(errors(&tree.say(&af_packet())), [""; 0]);
}

#[test]
fn another_dpdk_than_the_one_built_with_is_said() {
    let tree = Tree::whole();
    let mut machine = tree.machine();
    machine.calls.dpdk = Some(("DPDK 23.11.0".into(), "DPDK 22.11.11".into()));
    assert_eq!(find(&about(&nic(), &machine), "DPDK").status, Status::Warning);
    machine.calls.dpdk = None;
    assert!(find(&about(&nic(), &machine), "DPDK").is_error());
}
