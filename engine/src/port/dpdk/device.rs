//! A DPDK device: its name, and the calls that configure, start, read and end it.

use std::ffi::{CStr, c_int};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

use dpdk_sys as sys;

use super::negotiate::Plan;
use super::pool::Pool;
use super::{c_string, error_text};
use crate::sys::Script;
use crate::wire::ethernet::MacAddress;

/// A device that the EAL found: its port number in DPDK and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId {
    port: u16,
    name: Arc<str>,
}

impl DeviceId {
    /// The name that DPDK gave it: `net_tap0`, `0000:03:00.0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device of that port number, if there is one (`rte_eth_dev_get_name_by_port`).
    pub(super) fn by_port(port: u16) -> Option<Self> {
        let mut name = [0; sys::RTE_ETH_NAME_MAX_LEN as usize];
        // SAFETY: DPDK writes names shorter than that, zero-terminated.
        let error = unsafe { sys::rte_eth_dev_get_name_by_port(port, name.as_mut_ptr()) };
        // SAFETY: as above; the array is all zeros if nothing was written.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        (error == 0).then(|| Self { port, name: name.to_string_lossy().into() })
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a device could not be made a port.
#[derive(Debug, thiserror::Error)]
pub enum DpdkError {
    /// The EAL has no such device.
    #[error(
        "there is no device '{device}': the EAL has {known}; add one with --vdev={device} or -a PCI-ADDRESS"
    )]
    NoDevice {
        /// The name asked for.
        device: String,
        /// The devices that there are.
        known: String,
    },
    /// The device was opened before and is not closed.
    #[error("the device {device} is open already: name it once")]
    AlreadyOpen {
        /// The device's name.
        device: String,
    },
    /// A name that C can't hold.
    #[error("the name {name:?} has a zero byte in it: leave that out")]
    ZeroByte {
        /// The name.
        name: String,
    },
    /// There is not enough memory for the port's buffers.
    #[error(
        "no memory for {buffers} buffers of {device} ({mebibytes} MiB): {reason}; reserve hugepages \
         ({} reserve 512M), or with --no-huge give the EAL more (-m 512), or ask for \
         fewer descriptors (--rxd, --txd)",
        Script::Hugepages
    )]
    Pool {
        /// The device's name.
        device: String,
        /// Buffers wanted.
        buffers: usize,
        /// Their size together in MiB.
        mebibytes: usize,
        /// DPDK's reason.
        reason: String,
    },
    /// A call that the port can't do without failed.
    #[error("{device}: {call} failed: {reason}; {way_out}")]
    Call {
        /// The device's name.
        device: String,
        /// The DPDK function.
        call: &'static str,
        /// DPDK's reason.
        reason: String,
        /// What to do.
        way_out: &'static str,
    },
}

const RIGHT_MISSING: &str = "this program lacks a right that the device takes: docs/running.md, \"Privileges\", says which, and how to give it";
const SEE_ABOVE: &str = "the driver's own message is above";
const FEWER: &str = "ask for less with --rxd, --txd or fewer lcores; the driver's own message is above";

/// A device that this process has claimed. There is one value per device.
#[derive(Debug)]
pub(super) struct Device(DeviceId);

impl Device {
    /// # Safety
    /// The device was claimed in the registry, by the caller.
    pub(super) unsafe fn new(id: DeviceId) -> Self {
        Self(id)
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    fn check(&self, code: c_int, call: &'static str, way_out: &'static str) -> Result<(), DpdkError> {
        if code >= 0 {
            return Ok(());
        }
        let way_out = if code == -libc::EPERM { RIGHT_MISSING } else { way_out };
        Err(DpdkError::Call { device: self.name().to_owned(), call, reason: error_text(code), way_out })
    }

    /// `rte_eth_dev_info_get`.
    pub(super) fn info(&self) -> Result<sys::rte_eth_dev_info, DpdkError> {
        let mut info = sys::rte_eth_dev_info::default();
        // SAFETY: the call fills the structure.
        let code = unsafe { sys::rte_eth_dev_info_get(self.port(), &raw mut info) };
        self.check(code, "rte_eth_dev_info_get", SEE_ABOVE).map(|()| info)
    }

    /// The longest IP packet in bytes.
    pub(super) fn mtu(&self) -> Result<u16, DpdkError> {
        let mut mtu = 0;
        // SAFETY: the call fills the number.
        let code = unsafe { sys::rte_eth_dev_get_mtu(self.port(), &raw mut mtu) };
        self.check(code, "rte_eth_dev_get_mtu", SEE_ABOVE).map(|()| mtu)
    }

    /// Asks for another MTU.
    ///
    /// # Errors
    /// The negative error number.
    pub(super) fn set_mtu(&self, mtu: u16) -> Result<(), c_int> {
        // SAFETY: no preconditions.
        match unsafe { sys::rte_eth_dev_set_mtu(self.port(), mtu) } {
            0 => Ok(()),
            error => Err(error),
        }
    }

    /// `rte_eth_dev_configure` with what was decided, at that MTU in bytes.
    pub(super) fn configure(&self, plan: &Plan, mtu: u16) -> Result<(), DpdkError> {
        let mut conf = sys::rte_eth_conf::default();
        conf.rxmode.mtu = mtu.into();
        conf.rxmode.offloads = plan.rx_offloads;
        conf.txmode.offloads = plan.tx_offloads;
        conf.intr_conf.set_rxq(plan.rx_interrupts.into());
        if plan.rss_functions != 0 {
            conf.rxmode.mq_mode = sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = plan.rss_functions;
            if !plan.rss_key.is_empty() {
                conf.rx_adv_conf.rss_conf.rss_key = plan.rss_key.as_ptr().cast_mut();
                conf.rx_adv_conf.rss_conf.rss_key_len = plan.rss_key.len() as u8;
            }
        }
        // SAFETY: the configuration and the key outlive the call, which copies them and writes to neither.
        let code =
            unsafe { sys::rte_eth_dev_configure(self.port(), plan.queues, plan.queues, &raw const conf) };
        self.check(code, "rte_eth_dev_configure", FEWER)
    }

    /// The numbers of receive and transmit descriptors that the device takes, near to these.
    pub(super) fn adjust_descriptors(&self, mut rx: u16, mut tx: u16) -> Result<(u16, u16), DpdkError> {
        // SAFETY: the call reads and writes the numbers.
        let code = unsafe { sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.port(), &raw mut rx, &raw mut tx) };
        self.check(code, "rte_eth_dev_adjust_nb_rx_tx_desc", FEWER).map(|()| (rx, tx))
    }

    /// Sets up all queue pairs, on the device's NUMA node, with the driver's defaults. The
    /// port's offloads hold for each queue.
    pub(super) fn set_up_queues(
        &self,
        info: &sys::rte_eth_dev_info,
        plan: &Plan,
        pool: &Pool,
    ) -> Result<(), DpdkError> {
        let (mut receive, mut transmit) = (info.default_rxconf, info.default_txconf);
        receive.offloads = 0;
        transmit.offloads = 0;
        // SAFETY: no preconditions.
        let node = unsafe { sys::rte_eth_dev_socket_id(self.port()) }.cast_unsigned();
        for queue in 0..plan.queues {
            // SAFETY: the configuration outlives the call; the pool outlives the device (see `registry`).
            let code = unsafe {
                sys::rte_eth_rx_queue_setup(
                    self.port(),
                    queue,
                    plan.rx_descriptors,
                    node,
                    &raw const receive,
                    pool.as_ptr(),
                )
            };
            self.check(code, "rte_eth_rx_queue_setup", FEWER)?;
            // SAFETY: as above.
            let code = unsafe {
                sys::rte_eth_tx_queue_setup(
                    self.port(),
                    queue,
                    plan.tx_descriptors,
                    node,
                    &raw const transmit,
                )
            };
            self.check(code, "rte_eth_tx_queue_setup", FEWER)?;
        }
        Ok(())
    }

    /// `rte_eth_dev_start`.
    pub(super) fn start(&self) -> Result<(), DpdkError> {
        // SAFETY: no preconditions.
        let code = unsafe { sys::rte_eth_dev_start(self.port()) };
        self.check(code, "rte_eth_dev_start", SEE_ABOVE)
    }

    /// The NUMA node, where it has one.
    pub(super) fn numa_node(&self) -> Option<u32> {
        // SAFETY: no preconditions.
        u32::try_from(unsafe { sys::rte_eth_dev_socket_id(self.port()) }).ok()
    }

    /// The device's own address; all zeros where it has none.
    pub(super) fn mac(&self) -> MacAddress {
        let mut mac = sys::rte_ether_addr::default();
        // SAFETY: the call fills the address.
        unsafe { sys::rte_eth_macaddr_get(self.port(), &raw mut mac) };
        MacAddress(mac.addr_bytes)
    }

    /// Whether it takes frames to every address.
    pub(super) fn is_promiscuous(&self) -> bool {
        // SAFETY: no preconditions.
        unsafe { sys::rte_eth_promiscuous_get(self.port()) == 1 }
    }

    /// Switches that on or off. Whether the device did it.
    pub(super) fn set_promiscuous(&self, on: bool) -> bool {
        // SAFETY: no preconditions.
        let code = unsafe {
            if on {
                sys::rte_eth_promiscuous_enable(self.port())
            } else {
                sys::rte_eth_promiscuous_disable(self.port())
            }
        };
        code == 0
    }

    /// Asks for frames to every group address. Whether the device does it.
    pub(super) fn receive_all_groups(&self) -> bool {
        // SAFETY: no preconditions.
        unsafe { sys::rte_eth_allmulticast_enable(self.port()) == 0 }
    }

    /// The link's speed in Mbit/s (`u32::MAX` where it is unknown), if it is up.
    pub(super) fn link_speed(&self) -> Option<u32> {
        let mut speed = 0;
        // SAFETY: the call fills the number.
        let up = unsafe { sys::shim_rte_eth_link_get_nowait(self.port(), &raw mut speed) };
        (up == 1).then_some(speed)
    }

    /// `rte_eth_xstats_get`, with names.
    pub(super) fn extended_statistics(&self) -> Vec<(String, u64)> {
        // SAFETY: asks for the count only.
        let count = unsafe { sys::rte_eth_xstats_get_names(self.port(), std::ptr::null_mut(), 0) };
        let Ok(count) = usize::try_from(count) else { return Vec::new() };
        let mut names = vec![sys::rte_eth_xstat_name::default(); count];
        let mut values = vec![sys::rte_eth_xstat::default(); count];
        // SAFETY: arrays of that many entries.
        let (named, valued) = unsafe {
            (
                sys::rte_eth_xstats_get_names(self.port(), names.as_mut_ptr(), count as u32),
                sys::rte_eth_xstats_get(self.port(), values.as_mut_ptr(), count as u32),
            )
        };
        if named != count as c_int || valued != count as c_int {
            return Vec::new();
        }
        let named = |value: &sys::rte_eth_xstat| {
            let name = &names.get(value.id as usize)?.name;
            // SAFETY: DPDK writes zero-terminated names.
            let name = unsafe { CStr::from_ptr(name.as_ptr()) };
            Some((name.to_string_lossy().into_owned(), value.value))
        };
        values.iter().filter_map(named).collect()
    }

    /// `rte_eth_dev_reset`. Gives 0, or the negative error number.
    pub(super) fn reset(&self) -> c_int {
        // SAFETY: the device is ours, and the caller's workers have left its queues.
        unsafe { sys::rte_eth_dev_reset(self.port()) }
    }

    /// `rte_eth_dev_stop`, where it runs.
    pub(super) fn stop(&self) {
        // SAFETY: as above.
        unsafe { sys::rte_eth_dev_stop(self.port()) };
    }

    /// Stops and closes the device, whose workers have left its queues, and has its bus forget it. What is
    /// gone can't be told to stop: errors are the driver's to print.
    pub(super) fn remove(&self, bus: &CStr, name: &CStr) {
        // SAFETY: the device is ours; zero-terminated texts.
        unsafe {
            sys::rte_eth_dev_stop(self.port());
            sys::rte_eth_dev_close(self.port());
            sys::rte_eal_hotplug_remove(bus.as_ptr(), name.as_ptr());
        }
    }

    /// `rte_eth_dev_stop` and `rte_eth_dev_close`: the device gives all its mbufs back.
    pub(super) fn close(self) {
        // SAFETY: no preconditions; the device is ours.
        let (stopped, closed) =
            unsafe { (sys::rte_eth_dev_stop(self.port()), sys::rte_eth_dev_close(self.port())) };
        for (code, call) in [(stopped, "rte_eth_dev_stop"), (closed, "rte_eth_dev_close")] {
            if code < 0 {
                tracing::warn!(device = self.name(), "{call} failed: {}", error_text(code));
            }
        }
    }
}

impl DeviceId {
    /// The device of that name (`rte_eth_dev_get_port_by_name`).
    pub(super) fn by_name(name: &str) -> Result<Option<Self>, DpdkError> {
        let c_name = c_string(name)?;
        let mut port = MaybeUninit::uninit();
        // SAFETY: the name is zero-terminated; the number is written when 0 is returned.
        let port = unsafe {
            match sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), port.as_mut_ptr()) {
                0 => port.assume_init(),
                _ => return Ok(None),
            }
        };
        Ok(Self::by_port(port))
    }

    /// Its port number in DPDK.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}
