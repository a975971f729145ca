//! A port's device as the control plane looks after it: its link, its loss, its return.

use std::sync::atomic::Ordering::Relaxed;

use super::status::PortStatus;
use crate::host::LinkUp;
use crate::port::{Found, PortControl};

/// A port's link.
pub(super) struct Link<'a> {
    name: String,
    control: &'a mut dyn PortControl,
    hosts: Vec<LinkUp>,
    is_up: bool,
}

/// A port that will not serve again in this process.
#[derive(Clone, Debug)]
pub(super) struct LostPort {
    pub(super) port: String,
    /// Why, and what to do.
    pub(super) reason: String,
}

impl<'a> Link<'a> {
    pub(super) fn new(control: &'a mut dyn PortControl, hosts: Vec<LinkUp>) -> Self {
        let (name, is_up) = (control.description().name.clone(), control.is_link_up());
        Self { name, control, hosts, is_up }
    }

    /// Looks after the device, and says what changed: here, on the link where that came up, and in the
    /// port's figures.
    pub(super) fn look(&mut self, status: &PortStatus) -> Result<(), LostPort> {
        self.look_after(status)?;
        let was_up = std::mem::replace(&mut self.is_up, self.control.is_link_up());
        status.is_link_up.store(self.is_up, Relaxed);
        if was_up == self.is_up {
            return Ok(());
        }
        status.link_changes.fetch_add(1, Relaxed);
        if self.is_up {
            tracing::info!("{}: the link is up", self.name);
            self.hosts.iter().for_each(LinkUp::raise);
        } else {
            tracing::warn!("{}: the link is down", self.name);
        }
        Ok(())
    }

    fn look_after(&mut self, status: &PortStatus) -> Result<(), LostPort> {
        match self.control.look_after() {
            Found::Same => {}
            Found::Gone(reason) => {
                status.losses.fetch_add(u64::from(!status.is_gone.swap(true, Relaxed)), Relaxed);
                tracing::error!("{}: {reason}", self.name);
            }
            Found::Renewed(mac) => {
                status.is_gone.store(false, Relaxed);
                status.renewals.fetch_add(1, Relaxed);
                status.set_mac(mac);
                tracing::info!("{}: it is there again, with the address {mac}", self.name);
                self.hosts.iter().for_each(|host| host.raise_as(mac));
            }
            Found::Lost(reason) => return Err(LostPort { port: self.name.clone(), reason }),
        }
        Ok(())
    }

    /// The device's own statistics.
    pub(super) fn extended_statistics(&mut self) -> Vec<(String, u64)> {
        self.control.extended_statistics()
    }
}
