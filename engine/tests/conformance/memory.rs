//! The memory port, which is the reference, with every offload that it can be granted; and
//! the fault port over it with no fault on.

use std::io;

use gannet::port::fault::{Fault, FaultConfig};
use gannet::port::memory::{self, MemoryConfig, MemoryOffloads, MemoryQueue};

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

/// Frames that a port with unmarked unfilled checksums takes for the kernel's.
pub(crate) const UNMARKED: Exceptions =
    &[("UDP checksum of the pseudo header only", "taken for one that this machine's kernel left unfilled")];

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
