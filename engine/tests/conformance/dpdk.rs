//! The DPDK port on every driver that needs no NIC: net_ring, net_pcap, net_tap and
//! net_af_packet.
//!
//! The EAL starts once per process, so one test goes through all of them.

use std::io;

use gannet::packet::{Burst, Packet};
use gannet::port::dpdk::{self, DpdkQueue, Eal, Mbuf};
use gannet::port::fault::FaultConfig;
use gannet::port::{FrameQueue, OpenPort, PoolBalance, PortConfig, PortControl};
use gannet::wire::ethernet::MacAddress;

use super::af_packet::{RUNT, SHORT_TAG, TWO_TAGS};
use super::conform::{Exceptions, compare, conform, reference};
use super::frames::OWN_MAC;
use super::kernel::{Peer, kernel_as_peer};
use super::lab::{Folder, Namespace, skip};
use super::neighbours::{both_queues, two_hosts};
use super::ownership::troubles;
use super::pcap::{replay, write_suite};
use super::rig::{Rig, Wire};
use super::shared::{shares, short};

/// What net_pcap calls its first device: its capture has to be made before it is there.
const PCAP_MAC: MacAddress = MacAddress([0x02, 0x70, 0x63, 0x61, 0x70, 0x00]);
const TAPS: [&str; 4] = ["gannet0", "gannet1", "gannet2", "gannet3"];

#[test]
fn dpdk() {
    let folder = Folder::new();
    let (input, output) = (folder.file("in.pcap"), folder.file("out.pcap"));
    write_suite(&input, PCAP_MAC);
    let mut arguments = base_arguments();
    arguments.push(format!("--vdev=net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display()));
    let lab = Lab::new();
    match &lab {
        Ok(lab) => {
            // What the EAL opens, it opens in the namespace of its thread.
            lab.near.enter();
            for (number, tap) in TAPS.iter().enumerate() {
                arguments.push(format!("--vdev=net_tap{number},iface={tap}"));
            }
            for number in 0..3 {
                arguments.push(format!("--vdev=net_af_packet{number},iface=near{number}"));
            }
        }
        Err(reason) => {
            ["net_tap", "net_af_packet"].iter().for_each(|name| skip(&format!("dpdk {name}"), reason))
        }
    }
    let eal = Eal::init(&arguments).expect("the EAL starts");

    rings(&eal);
    ring_troubles(&eal);
    ring_neighbours(&eal);
    ring_shares(&eal);
    pcap(&eal, &output);
    if let Ok(lab) = &lab {
        tap(&eal, lab);
        tap_troubles(&eal, lab);
        tap_neighbours(&eal, lab);
        af_packet(&eal, lab);
        af_packet_troubles(&eal, lab);
        tap_and_af_packet_share(&eal, lab);
    }
}

/// EAL arguments that need no right and leave no file, on a CPU that we may use.
fn base_arguments() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let allowed =
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("a list of CPUs");
    let first = allowed.trim().split([',', '-']).next().expect("a CPU");
    ["-l", first, "--no-huge", "--no-pci", "--no-shconf", "-m", "512"].map(str::to_owned).to_vec()
}

/// The namespace of the EAL's interfaces, and the far end of its veth pair.
struct Lab {
    near: Namespace,
    far: Namespace,
}

impl Lab {
    fn new() -> Result<Self, String> {
        let tun = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
        tun.map_err(|error| format!("/dev/net/tun: {error}"))?;
        let (near, far) = (Namespace::new()?, Namespace::new()?);
        near.veth("near0", OWN_MAC, &far, "far0");
        near.veth("near1", OWN_MAC, &far, "far1");
        near.veth("near2", OWN_MAC, &far, "far2");
        Ok(Self { near, far })
    }
}

// ---- the ports -------------------------------------------------------------------

fn rings(eal: &Eal) {
    with_rings(eal, |near, far| {
        let mut rig = Rig::new(near, RingEnd::new(far));
        conform("dpdk net_ring", &mut rig, &[]);
        rig.worker.drain();
    });
}

fn ring_troubles(eal: &Eal) {
    with_rings(eal, |near, far| drop(troubles("dpdk net_ring", near, RingEnd::new(far), true)));
}

fn ring_shares(eal: &Eal) {
    for (shares_there, faults) in [(true, FaultConfig::default()), (true, short()), (false, short())] {
        let config = PortConfig { shares: shares_there, ..PortConfig::default() };
        joined(eal, &config, |near, far| {
            assert_eq!(near.capabilities().tx_shared, shares_there);
            let end = RingEnd::new(far);
            drop(shares("dpdk net_ring", (near, end), faults.clone(), true));
        });
    }
}

fn ring_neighbours(eal: &Eal) {
    with_rings(eal, |near, far| two_hosts("dpdk net_ring", near, far));
}

/// Runs `test` on two queues that are joined, and counts the buffers.
fn with_rings(eal: &Eal, test: impl FnOnce(DpdkQueue, DpdkQueue)) {
    joined(eal, &PortConfig::default(), test);
}

fn joined(eal: &Eal, config: &PortConfig, test: impl FnOnce(DpdkQueue, DpdkQueue)) {
    let (near, far) = dpdk::crosswise_rings(eal, 64).expect("rings");
    let (near, near_control) = open(eal, near.name(), config);
    let (far, far_control) = open(eal, far.name(), config);
    test(near, far);
    // The first is not the last of the process: the second tells of both pools.
    balanced(&near_control.close(), 0);
    balanced(&far_control.close(), 2);
}

fn pcap(eal: &Eal, output: &std::path::Path) {
    let (queue, control) = open(eal, "net_pcap0", &PortConfig { burst: 1, ..PortConfig::default() });
    assert_eq!(queue.capabilities().mac, PCAP_MAC, "the capture was made for another address");
    let replayed = replay(queue);
    balanced(&control.close(), 1);
    compare("dpdk net_pcap", &reference(), &replayed.outcomes(output), &[]);
}

/// The kernel's end of the tap hands frames over as they are.
const TAP_EXCEPTIONS: Exceptions = &[("runt of *", RUNT)];

fn tap(eal: &Eal, lab: &Lab) {
    let (queue, control) = open(eal, "net_tap0", &PortConfig::default());
    lab.near.ip(&format!("link set {} mtu 2000 up", TAPS[0]));
    let mut rig = Rig::new(queue, lab.near.packet_socket(TAPS[0]));
    conform("dpdk net_tap", &mut rig, TAP_EXCEPTIONS);
    let peer = Peer {
        namespace: &lab.near,
        interface: TAPS[0],
        offloads: false,
        fragmented: &[("fragment", 3), ("received", 3)],
        segmented: &[("delivered", 4), ("received", 4), ("replied", 4), ("sent", 4)],
        segmented_short: &[("delivered", 2), ("received", 2), ("replied", 2), ("sent", 2)],
    };
    kernel_as_peer("dpdk net_tap with the kernel", &mut rig, &peer);
    rig.worker.drain();
    drop(rig);
    balanced(&control.close(), 1);
}

fn tap_troubles(eal: &Eal, lab: &Lab) {
    let (queue, control) = open(eal, "net_tap1", &PortConfig::default());
    drop(troubles("dpdk net_tap", queue, lab.near.packet_socket(TAPS[1]), false));
    balanced(&control.close(), 1);
}

fn tap_neighbours(eal: &Eal, lab: &Lab) {
    let device = eal.device("net_tap2").expect("a device");
    let config = PortConfig { queues: 2, ..PortConfig::default() };
    let OpenPort { queues, control } = dpdk::open(eal, device, &config).expect("the device opens");
    both_queues("dpdk net_tap", queues, &lab.near, TAPS[2]);
    balanced(&control.close(), 1);
}

/// Beside what a veth pair can't carry: see [`super::af_packet::VETH`].
const AF_PACKET: Exceptions = &[
    ("runt of *", RUNT),
    ("tagged frame cut to 1*", SHORT_TAG),
    ("service tag of our number", SERVICE_TAG),
    ("service tag 0", SERVICE_TAG),
    ("QinQ, a service tag*", SERVICE_TAG),
    ("solicitation in QinQ", SERVICE_TAG),
    ("QinQ, 802.1Q twice, 1472 *", TWO_TAGS),
    ("QinQ frame cut to 18 bytes", SHORT_TAG),
    ("first fragment*", REASSEMBLY),
    ("middle fragment", REASSEMBLY),
    ("last fragment*", REASSEMBLY),
    ("UDP checksum of the pseudo header only", UNFILLED),
    ("IPv6, UDP checksum of the pseudo header only", UNFILLED),
];
const SERVICE_TAG: &str =
    "the kernel takes the outer tag out, and the driver puts it back as 802.1Q's, whatever it was";
const UNFILLED: &str = "as if this machine's kernel had left it unfilled";
const REASSEMBLY: &str =
    "the driver's socket has the kernel reassemble packets, so a lone fragment never comes";

fn af_packet(eal: &Eal, lab: &Lab) {
    let (queue, control) = open(eal, "net_af_packet0", &PortConfig::default());
    let mut rig = Rig::new(queue, lab.far.packet_socket("far0"));
    conform("dpdk net_af_packet", &mut rig, AF_PACKET);
    let peer = Peer {
        namespace: &lab.far,
        interface: "far0",
        offloads: true,
        fragmented: &[("ipv4_malformed", 1), ("received", 1)],
        segmented: &[("ipv4_malformed", 1), ("received", 1)],
        // Two datagrams taken for one: the driver does not tell, and nothing in the bytes does.
        segmented_short: &[
            ("checksum_unfilled", 1),
            ("delivered", 1),
            ("received", 1),
            ("replied", 1),
            ("sent", 1),
        ],
    };
    kernel_as_peer("dpdk net_af_packet with the kernel", &mut rig, &peer);
    rig.worker.drain();
    drop(rig);
    balanced(&control.close(), 1);
}

fn af_packet_troubles(eal: &Eal, lab: &Lab) {
    let config = PortConfig { all_multicast: true, ..PortConfig::default() };
    let (queue, control) = open(eal, "net_af_packet1", &config);
    let granted = control.description().granted.join("\n");
    assert!(granted.contains("refused: promiscuous mode on in its place"), "{granted}");
    drop(troubles("dpdk net_af_packet", queue, lab.far.packet_socket("far1"), false));
    balanced(&control.close(), 1);
}

fn tap_and_af_packet_share(eal: &Eal, lab: &Lab) {
    let config = PortConfig { shares: true, ..PortConfig::default() };
    let (queue, control) = open(eal, "net_tap3", &config);
    lab.near.ip(&format!("link set {} mtu 2000 up", TAPS[3]));
    let granted = control.description().granted.join("\n");
    assert!(granted.contains("several segments on transmit granted"), "{granted}");
    let wire = lab.near.packet_socket(TAPS[3]);
    drop(shares("dpdk net_tap", (queue, wire), FaultConfig::default(), false));
    balanced(&control.close(), 1);
    let (queue, control) = open(eal, "net_af_packet2", &config);
    let wire = lab.far.packet_socket("far2");
    drop(shares("dpdk net_af_packet", (queue, wire), FaultConfig::default(), false));
    balanced(&control.close(), 1);
}

// ---- what they have in common --------------------------------------------------------

fn open(eal: &Eal, name: &str, config: &PortConfig) -> (DpdkQueue, Box<dyn PortControl>) {
    let device = eal.device(name).expect("a device");
    let OpenPort { mut queues, control } = dpdk::open(eal, device, config).expect("the device opens");
    (queues.remove(0), control)
}

fn balanced(balances: &[PoolBalance], pools: usize) {
    assert_eq!(balances.len(), pools, "{balances:?}");
    assert!(balances.iter().all(PoolBalance::is_balanced), "{balances:?}");
}

/// The other end of crosswise rings, by hand.
struct RingEnd {
    queue: DpdkQueue,
    burst: Burst<Mbuf>,
}

impl RingEnd {
    fn new(queue: DpdkQueue) -> Self {
        Self { queue, burst: Burst::with_capacity(1) }
    }
}

impl Wire for RingEnd {
    fn inject(&mut self, frame: &[u8]) -> io::Result<()> {
        self.queue.alloc_burst(&mut self.burst);
        let Some(packet) = self.burst.first_mut() else { return Err(io::Error::other("no buffer")) };
        packet.room_mut()[..frame.len()].copy_from_slice(frame);
        packet.set_frame_len(frame.len());
        self.queue.tx_burst(&mut self.burst);
        let refused = !self.burst.is_empty();
        self.queue.free_burst(&mut self.burst);
        if refused { Err(io::Error::other("the ring is full")) } else { Ok(()) }
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.queue.rx_burst(&mut self.burst);
        let frame = self.burst.first().map(|packet| packet.frame().to_vec());
        // What it has is its own to change: nobody else's frame is.
        self.burst.iter_mut().for_each(|packet| packet.frame_mut().fill(0xee));
        self.queue.free_burst(&mut self.burst);
        frame
    }
}
