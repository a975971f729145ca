//! Why a port could not be opened, and what to do about it.

use std::io;

use super::plan::MEMORY_LIMIT;

/// Why an interface could not be opened as a port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AfPacketError {
    /// No interface has this name.
    #[error("there is no interface '{interface}' in this network namespace: `ip link` lists those that are")]
    NoSuchInterface {
        /// The name asked for.
        interface: String,
    },
    /// A loopback interface. What is sent there comes back to the sender.
    #[error(
        "'{interface}' is a loopback interface: what is sent there comes back to its sender, and it has no MAC \
         address; use one end of a pair (`ip link add veth0 type veth peer name veth1`)"
    )]
    Loopback {
        /// The interface.
        interface: String,
    },
    /// The frames of this interface are not Ethernet's.
    #[error(
        "interface '{interface}' carries no Ethernet frames (its ARP hardware type is {hardware_type}, Ethernet's \
         is 1): name an Ethernet, veth, bridge or TAP interface"
    )]
    NotEthernet {
        /// The interface.
        interface: String,
        /// What it is instead (`ARPHRD_*`).
        hardware_type: u16,
    },
    /// The process may not open packet sockets.
    #[error(
        "no permission to open a packet socket on '{interface}': that takes CAP_NET_RAW; run as root, or give the \
         program the right once with `setcap cap_net_raw+ep PROGRAM`"
    )]
    NoPermission {
        /// The interface.
        interface: String,
    },
    /// The kernel lacks what the port can't do without.
    #[error(
        "the kernel lacks {what}, without which '{interface}' can't be opened: load the module af_packet, or run \
         a kernel from 4.20 on with CONFIG_PACKET"
    )]
    KernelTooOld {
        /// The interface.
        interface: String,
        /// What is missing.
        what: &'static str,
    },
    /// This kernel lets several queues share an interface only while it is up.
    #[error(
        "interface '{interface}' is down, and this kernel splits only an interface that is up into queues: \
         `ip link set {interface} up`, or use one lcore"
    )]
    NotUp {
        /// The interface.
        interface: String,
    },
    /// A longer packet was asked for than the interface sends.
    #[error(
        "--mtu {asked} is more than the {has} bytes of interface '{interface}': raise it with \
         `ip link set {interface} mtu {asked}`, or ask for {has} or less"
    )]
    MtuTooBig {
        /// The interface.
        interface: String,
        /// Bytes asked for.
        asked: u16,
        /// Bytes that the interface has.
        has: u16,
    },
    /// Not even every IPv4 header would fit (RFC 791, 3.2).
    #[error("--mtu {asked} is too small for IPv4: ask for 68 bytes or more, or leave it out")]
    MtuTooSmall {
        /// Bytes asked for.
        asked: u16,
    },
    /// A ring of no slots.
    #[error("{option} 0 leaves '{interface}' no room for a frame: ask for 1 or more, or leave it out")]
    NoDescriptors {
        /// The interface.
        interface: String,
        /// `--rxd` or `--txd`.
        option: &'static str,
    },
    /// Rings and buffers would be beyond all measure.
    #[error(
        "{queues} queues with {slots} receive slots and {buffers} buffers each, of {slot_size} bytes, are more \
         than the {} MiB that a port may take on '{interface}': ask for fewer slots with --rxd, for fewer \
         queues, or lower the interface's MTU", MEMORY_LIMIT >> 20
    )]
    TooMuchMemory {
        /// The interface.
        interface: String,
        /// Queues asked for.
        queues: usize,
        /// Receive slots per queue.
        slots: usize,
        /// Buffers per queue.
        buffers: usize,
        /// Bytes of a slot and of a buffer.
        slot_size: usize,
    },
    /// The machine has not the memory for a ring or its buffers.
    #[error(
        "no memory for {what} of '{interface}', {bytes} bytes ({source}): ask for fewer slots with --rxd, or \
         lower the interface's MTU"
    )]
    NoMemory {
        /// The interface.
        interface: String,
        /// The receive ring, or the buffers.
        what: &'static str,
        /// Bytes asked for.
        bytes: usize,
        /// The kernel's word.
        source: io::Error,
    },
    /// A system call failed in a way that has no name of its own here.
    #[error("interface '{interface}': {call} failed: {source}; `dmesg` may say more")]
    System {
        /// The interface.
        interface: String,
        /// The call, and which option of it.
        call: &'static str,
        /// The kernel's word.
        source: io::Error,
    },
}
