//! The control plane's side of an open DPDK port.

use std::sync::Arc;

use super::device::Device;
use super::registry;
use super::renewal::Renewal;
use crate::port::{Found, PoolBalance, PortControl, PortDescription};
use crate::sys::CapabilitySet;

/// The control plane's side of a DPDK port. Dropped without [`close`](PortControl::close),
/// it leaves the device open.
pub(super) struct DpdkControl {
    device: Arc<Device>,
    description: PortDescription,
    renewal: Renewal,
}

impl DpdkControl {
    pub(super) fn new(device: Arc<Device>, description: PortDescription, renewal: Renewal) -> Self {
        Self { device, description, renewal }
    }
}

impl PortControl for DpdkControl {
    fn description(&self) -> &PortDescription {
        &self.description
    }

    fn is_link_up(&mut self) -> bool {
        self.renewal.is_serving() && self.renewal.has_link(&self.device)
    }

    fn look_after(&mut self) -> Found {
        self.renewal.look(&self.device)
    }

    fn extended_statistics(&mut self) -> Vec<(String, u64)> {
        if self.renewal.is_serving() { self.device.extended_statistics() } else { Vec::new() }
    }

    /// libxdp looks its program up and takes it off when the device is closed; without the rights
    /// the program stays on the interface.
    fn keeps(&self) -> CapabilitySet {
        if self.description.driver == "dpdk net_af_xdp" { CapabilitySet::XDP } else { CapabilitySet::NONE }
    }

    /// Stops and closes the device. Gives the balances of all DPDK pools if it was the last
    /// open port, else none: another port's rings may still hold buffers of this one's pool.
    fn close(self: Box<Self>) -> Vec<PoolBalance> {
        let port = self.device.port();
        let is_there = self.renewal.is_open();
        // Its share of the pool goes before the pool is measured.
        drop(self.renewal);
        match Arc::try_unwrap(self.device) {
            Ok(device) => {
                if is_there {
                    device.close();
                }
                // SAFETY: closed, and a queue would have a share of the device.
                unsafe { registry::closed(port) }
            }
            Err(device) => {
                tracing::error!(device = device.name(), "left open: a queue of it is still in use");
                Vec::new()
            }
        }
    }
}
