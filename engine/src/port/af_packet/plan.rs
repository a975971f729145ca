//! What is to be opened: the user's wishes held against the interface, all sizes checked.

use super::AfPacketError;
use super::geometry::Geometry;
use super::interface::Interface;
use crate::port::PortConfig;

/// Most bytes that a port's rings and buffers may take together.
pub(super) const MEMORY_LIMIT: u64 = 4 << 30;

/// Most queues that share an interface: the kernel's default bound of a fanout group.
const MAX_QUEUES: usize = 256;
const DEFAULT_SLOTS: u16 = 1024;
const DEFAULT_SENDS: u16 = 512;
/// The kernel's own bytes for a frame that waits to leave, roughly (`SKB_TRUESIZE`).
const SEND_OVERHEAD: usize = 1024;
/// The smallest MTU of IPv4 (RFC 791, 3.2).
const MIN_MTU: u16 = 68;

/// Sizes of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Queues to open.
    pub queues: usize,
    /// The longest IP packet in bytes that the port promises to send.
    pub mtu: u16,
    /// Each queue's receive ring.
    pub geometry: Geometry,
    /// Buffers per queue, for packets that are held or originated.
    pub buffers: usize,
    /// Frames per system call.
    pub batch: usize,
    /// Bytes wanted for a socket's send buffer.
    pub send_buffer: usize,
}

impl Plan {
    /// Checks `config` against the interface. `page_size` is in bytes.
    pub(super) fn new(
        interface: &Interface,
        config: &PortConfig,
        page_size: usize,
    ) -> Result<Self, AfPacketError> {
        let descriptors = |wanted: Option<u16>, default, option| match wanted {
            Some(0) => Err(AfPacketError::NoDescriptors { interface: interface.name.clone(), option }),
            wanted => Ok(wanted.unwrap_or(default)),
        };
        let slots = descriptors(config.rx_descriptors, DEFAULT_SLOTS, "--rxd")?;
        let sends = descriptors(config.tx_descriptors, DEFAULT_SENDS, "--txd")?;
        // The interface's MTU, not the smaller one of the user: longer frames still come in.
        let geometry = Geometry::new(interface.mtu, slots, page_size);
        let batch = config.burst.max(1);
        let plan = Self {
            queues: config.queues.clamp(1, MAX_QUEUES),
            mtu: mtu(interface, config.mtu)?,
            geometry,
            buffers: batch.saturating_mul(2).saturating_add(config.held),
            batch,
            send_buffer: usize::from(sends) * (geometry.slot_size + SEND_OVERHEAD),
        };
        match plan.memory() {
            Some(bytes) if bytes <= MEMORY_LIMIT => Ok(plan),
            _ => Err(AfPacketError::TooMuchMemory {
                interface: interface.name.clone(),
                queues: plan.queues,
                slots: geometry.slots,
                buffers: plan.buffers,
                slot_size: geometry.slot_size,
            }),
        }
    }

    /// Bytes of all rings and buffers; `None` if that is beyond counting.
    fn memory(&self) -> Option<u64> {
        let cells = self.geometry.slots.checked_add(self.buffers)?;
        let bytes = cells.checked_mul(self.geometry.slot_size)?.checked_mul(self.queues)?;
        bytes.try_into().ok()
    }
}

fn mtu(interface: &Interface, asked: Option<u16>) -> Result<u16, AfPacketError> {
    let has = interface.mtu;
    match asked {
        None => Ok(has),
        Some(asked) if asked > has => {
            Err(AfPacketError::MtuTooBig { interface: interface.name.clone(), asked, has })
        }
        Some(asked) if asked < MIN_MTU => Err(AfPacketError::MtuTooSmall { asked }),
        Some(asked) => Ok(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ethernet::MacAddress;

    fn interface(mtu: u16) -> Interface {
        Interface {
            name: "veth0".to_owned(),
            index: 2,
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            mtu,
            is_up: true,
            has_link: true,
        }
    }

    fn plan(mtu: u16, config: &PortConfig) -> Result<Plan, AfPacketError> {
        Plan::new(&interface(mtu), config, 4096)
    }

    #[test]
    fn defaults_are_moderate() {
        let plan = plan(1500, &PortConfig::default()).expect("sane");
        assert_eq!((plan.queues, plan.mtu, plan.geometry.slots), (1, 1500, 1024));
        assert_eq!((plan.buffers, plan.batch), (320, 32));
        assert!(plan.memory().expect("counted") < 4 << 20);
    }

    #[test]
    fn a_smaller_mtu_is_a_limit_and_a_bigger_one_an_error() {
        let config = |mtu| PortConfig { mtu: Some(mtu), ..PortConfig::default() };
        let smaller = plan(9000, &config(1200)).expect("smaller");
        assert_eq!((smaller.mtu, smaller.geometry.slot_size), (1200, 16384));
        let bigger = plan(1500, &config(9000)).expect_err("bigger").to_string();
        assert!(
            bigger.contains("9000")
                && bigger.contains("1500")
                && bigger.contains("ip link set veth0 mtu 9000")
        );
        assert!(plan(1500, &config(67)).is_err());
    }

    #[test]
    fn absurd_sizes_are_refused_by_name() {
        let refused = |config: PortConfig| plan(9000, &config).expect_err("absurd").to_string();
        let base = PortConfig::default;
        assert!(refused(PortConfig { rx_descriptors: Some(0), ..base() }).contains("--rxd 0"));
        assert!(refused(PortConfig { tx_descriptors: Some(0), ..base() }).contains("--txd 0"));
        for config in [
            PortConfig { held: usize::MAX, ..base() },
            PortConfig { burst: usize::MAX, ..base() },
            PortConfig { queues: 256, rx_descriptors: Some(u16::MAX), ..base() },
        ] {
            assert!(refused(config).contains("4096 MiB"));
        }
        assert_eq!(plan(1500, &PortConfig { queues: usize::MAX, ..base() }).expect("fewer").queues, 256);
        assert_eq!(plan(1500, &PortConfig { queues: 0, ..base() }).expect("one").queues, 1);
    }
}
