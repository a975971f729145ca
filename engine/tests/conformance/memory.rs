//! The memory port, which is the reference, with every offload that it can be granted; and
//! the fault port over it with no fault on.

use std::io;

use gannet::packet::{RxChecksum, RxChecksums};
use gannet::port::fault::{Fault, FaultConfig};
use gannet::port::memory::{self, MemoryConfig, MemoryOffloads, MemoryQueue};

use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet};

use super::build::sum;
use super::conform::{Exceptions, conform, finish_memory};
use super::rig::{Rig, Wire};

impl Wire for MemoryQueue {
    fn inject(&mut self, frame: &[u8]) -> io::Result<()> {
        self.send_frame(frame).map_err(io::Error::other)
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.receive_frame()
    }
}

#[test]
fn memory() {
    let (near, far) = memory::pair(&MemoryConfig::default());
    let mut rig = Rig::new(near, far);
    conform("memory", &mut rig, &[]);
    finish_memory(rig);
}

#[test]
fn memory_with_offloads() {
    let offloads = MemoryOffloads {
        rx_ipv4_checksum: true,
        rx_udp_checksum: true,
        tx_udp_checksum: true,
        ..MemoryOffloads::default()
    };
    let (near, far) = memory::pair(&MemoryConfig { offloads, ..MemoryConfig::default() });
    let mut rig = Rig::new(near, far);
    conform("memory with offloads", &mut rig, &[]);
    finish_memory(rig);
}

/// A device that checks what it receives, and goes by the IP packet's length, as devices do.
struct Device(MemoryQueue);

impl Wire for Device {
    fn inject(&mut self, frame: &[u8]) -> io::Result<()> {
        self.0.set_rx_checksums(said_of(frame).unwrap_or_default());
        self.0.inject(frame)
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.0.receive()
    }
}

impl From<Device> for MemoryQueue {
    fn from(device: Device) -> Self {
        device.0
    }
}

fn word(good: bool) -> RxChecksum {
    if good { RxChecksum::Good } else { RxChecksum::Bad }
}

fn said_of(frame: &[u8]) -> Option<RxChecksums> {
    if frame.get(12..14)? == [0x86, 0xdd] {
        return said_of_ipv6(frame.get(14..)?);
    }
    let packet = Ipv4Packet::new_checked(frame.get(14..)?).ok().filter(|_| frame[12..14] == [8, 0])?;
    let ipv4 = word(packet.verify_checksum());
    let udp = match packet.payload() {
        _ if packet.next_header() != IpProtocol::Udp || packet.more_frags() || packet.frag_offset() > 0 => {
            RxChecksum::Unknown
        }
        // net_tap's word for "there is none".
        [_, _, _, _, _, _, 0, 0, ..] => RxChecksum::Unfilled,
        datagram => {
            let (from, to) = (packet.src_addr().octets(), packet.dst_addr().octets());
            let pseudo = [&from[..], &to, &[0, 17], &(datagram.len() as u16).to_be_bytes()].concat();
            word(sum(&[&pseudo, datagram]) == 0xffff)
        }
    };
    Some(RxChecksums { ipv4, udp })
}

/// Of what is behind extension headers it says "good" whatever is there: it looked elsewhere.
fn said_of_ipv6(packet: &[u8]) -> Option<RxChecksums> {
    let packet = Ipv6Packet::new_checked(packet).ok()?;
    let udp = match packet.payload() {
        _ if packet.next_header() != IpProtocol::Udp => RxChecksum::Good,
        [_, _, _, _, _, _, 0, 0, ..] => RxChecksum::Unfilled,
        datagram => {
            let (from, to) = (packet.src_addr().octets(), packet.dst_addr().octets());
            let pseudo = [&from[..], &to, &[0, 17], &(datagram.len() as u16).to_be_bytes()].concat();
            word(sum(&[&pseudo, datagram]) == 0xffff)
        }
    };
    Some(RxChecksums { ipv4: RxChecksum::Unknown, udp })
}

#[test]
fn memory_with_a_device_that_checks() {
    let offloads =
        MemoryOffloads { rx_ipv4_checksum: true, rx_udp_checksum: true, ..MemoryOffloads::default() };
    let (near, far) = memory::pair(&MemoryConfig { offloads, ..MemoryConfig::default() });
    let mut rig = Rig::new(near, Device(far));
    conform("memory with a device that checks", &mut rig, &[]);
    finish_memory(rig);
}

/// Frames that a port with unmarked unfilled checksums takes for the kernel's.
pub(crate) const UNMARKED: Exceptions = &[
    ("UDP checksum of the pseudo header only", UNFILLED),
    ("IPv6, UDP checksum of the pseudo header only", UNFILLED),
];
const UNFILLED: &str = "taken for one that this machine's kernel left unfilled";

#[test]
fn memory_with_unmarked_unfilled_checksums() {
    let offloads = MemoryOffloads { unmarked_unfilled_checksums: true, ..MemoryOffloads::default() };
    let (near, far) = memory::pair(&MemoryConfig { offloads, ..MemoryConfig::default() });
    let mut rig = Rig::new(near, far);
    conform("memory with unmarked unfilled checksums", &mut rig, UNMARKED);
    finish_memory(rig);
}

#[test]
fn fault_with_faults_off() {
    let (near, far) = memory::pair(&MemoryConfig::default());
    let mut rig = Rig::new(Fault::new(near, FaultConfig::default()), far);
    conform("fault", &mut rig, &[]);
    finish_memory(rig);
}

#[test]
#[should_panic(expected = "TTL 1: listed (as a test), but the same after all")]
fn a_list_that_rots_is_noticed() {
    let (near, far) = memory::pair(&MemoryConfig::default());
    conform("memory", &mut Rig::new(near, far), &[("TTL 1", "as a test")]);
}
