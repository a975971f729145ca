//! The `af_packet` port on a veth pair, with a raw socket at the far end.

use gannet::port::af_packet::{self, AfPacketQueue};
use gannet::port::fault::FaultConfig;
use gannet::port::{OpenPort, PortConfig, PortControl};

use super::conform::{Exceptions, conform};
use super::frames::OWN_MAC;
use super::kernel::{Peer, kernel_as_peer};
use super::lab::{Namespace, skip};
use super::ownership::troubles;
use super::rig::Rig;
use super::shared::shares;

/// What a veth pair can't carry or changes.
pub(crate) const VETH: Exceptions = &[
    ("runt of *", RUNT),
    ("tagged frame cut to 14 bytes", SHORT_TAG),
    ("tagged frame cut to 15 bytes", SHORT_TAG),
    ("tagged frame cut to 17 bytes", SHORT_TAG),
    ("tagged frame cut to 18 bytes", SHORT_TAG),
    ("tagged frame cut to 19 bytes", SHORT_TAG),
    ("QinQ frame cut to 18 bytes", SHORT_TAG),
    ("QinQ, a service tag, 1472 *", TWO_TAGS),
    ("QinQ, 802.1Q twice, 1472 *", TWO_TAGS),
];

pub(crate) const RUNT: &str = "the kernel sends no frame without a whole Ethernet header";
pub(crate) const SHORT_TAG: &str =
    "the kernel drops a frame whose EtherType announces a tag, where fewer than 6 bytes are behind it";

pub(crate) const TWO_TAGS: &str =
    "a veth pair has room for one tag beside a packet as long as its MTU, and drops what has two";

#[test]
fn af_packet_on_veth() {
    in_lab("af_packet_on_veth", |lab| {
        let (queue, control) = lab.port(&PortConfig::default());
        let mut rig = Rig::new(queue, lab.far.packet_socket("far0"));
        conform("af_packet", &mut rig, VETH);
        let peer = Peer {
            namespace: &lab.far,
            interface: "far0",
            offloads: true,
            fragmented: &[("fragment", 3), ("received", 3)],
            segmented: &[("received", 1), ("rx_super_frame", 1)],
            segmented_short: &[("received", 1), ("rx_super_frame", 1)],
        };
        kernel_as_peer("af_packet with the kernel", &mut rig, &peer);
        rig.worker.drain();
        drop(rig);
        finish(control);
    });
}

#[test]
fn troubles_on_af_packet() {
    in_lab("troubles_on_af_packet", |lab| {
        let (queue, control) = lab.port(&PortConfig::default());
        drop(troubles("af_packet", queue, lab.far.packet_socket("far0"), false));
        finish(control);
    });
}

#[test]
fn shared_on_af_packet() {
    in_lab("shared_on_af_packet", |lab| {
        let (queue, control) = lab.port(&PortConfig::default());
        let wire = lab.far.packet_socket("far0");
        drop(shares("af_packet", (queue, wire), FaultConfig::default(), false));
        finish(control);
    });
}

/// Closes a port to which everything has come back.
pub(crate) fn finish(control: Box<dyn PortControl>) {
    let balances = control.close();
    assert!(!balances.is_empty());
    assert!(balances.iter().all(|pool| pool.size > 0 && pool.is_balanced()), "{balances:?}");
}

/// Two namespaces, `near0` of the one wired to `far0` of the other.
pub(crate) struct Lab {
    pub(crate) near: Namespace,
    pub(crate) far: Namespace,
}

impl Lab {
    /// The port on `near0`, of one queue.
    pub(crate) fn port(&self, config: &PortConfig) -> (AfPacketQueue, Box<dyn PortControl>) {
        let OpenPort { mut queues, control } = self.open(config);
        (queues.remove(0), control)
    }

    pub(crate) fn open(&self, config: &PortConfig) -> OpenPort<AfPacketQueue> {
        let opened = self.near.inside(|| af_packet::open("near0", config));
        opened.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Runs a test in a lab of its own, or skips it by name.
pub(crate) fn in_lab(name: &str, test: impl FnOnce(&Lab)) {
    let near = match Namespace::new() {
        Ok(near) => near,
        Err(reason) => return skip(name, &reason),
    };
    let far = Namespace::new().expect("a second namespace");
    near.veth("near0", OWN_MAC, &far, "far0");
    test(&Lab { near, far });
}
