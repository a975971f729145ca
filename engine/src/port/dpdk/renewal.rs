//! A device that serves no more, and what is done that it serves again: reset where its driver asks for
//! that, waited for while its driver mends it, and made anew where it, or the interface of the kernel's
//! behind it, was removed. The workers leave its queues alone meanwhile.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use dpdk_sys as sys;

use super::arguments::Arguments;
use super::device::{Device, DeviceId, DpdkError};
use super::error_text;
use super::events::{self, Event};
use super::gate::Gate;
use super::kernel_interface::KernelInterface;
use super::negotiate::Plan;
use super::open;
use super::pool::{MAX_MTU, Pool};
use crate::port::Found;

/// What a device was configured with, and is again.
pub(super) struct Settings {
    pub(super) plan: Plan,
    /// The longest IP packet in bytes.
    pub(super) mtu: u16,
    /// It was asked for, and is not just what the device had.
    pub(super) sets_mtu: bool,
    pub(super) promiscuous: bool,
    pub(super) all_multicast: bool,
    pub(super) pool: Arc<Pool>,
}

/// Where a device comes from: what the EAL takes to make it anew.
#[derive(Debug)]
pub(super) struct Origin {
    bus: &'static CStr,
    name: CString,
    arguments: CString,
}

impl Origin {
    /// Of a device that the EAL arguments bring; `None` for others.
    pub(super) fn of(name: &str, arguments: &[String]) -> Option<Self> {
        let (bus, value) = Arguments(arguments).origin(name)?;
        let bus = if bus == "pci" { c"pci" } else { c"vdev" };
        let arguments = value.split_once(',').map_or("", |(_, arguments)| arguments);
        Some(Self { bus, name: CString::new(name).ok()?, arguments: CString::new(arguments).ok()? })
    }
}

/// Why a device does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Reset,
    Recovering,
    Removed,
}

/// Where a device is on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Workers are to leave it.
    Leaving(Cause),
    /// They have: what is to be done is done when it can be.
    Left(Cause),
    /// It is closed, and not there again.
    Closed,
}

/// A device's way back to service.
pub(super) struct Renewal {
    settings: Settings,
    gates: Vec<Arc<Gate>>,
    origin: Option<Origin>,
    interface: Option<KernelInterface>,
    stage: Stage,
}

/// What can't be mended.
enum Failure {
    /// Later, perhaps.
    Later,
    Never(String),
}

impl From<DpdkError> for Failure {
    fn from(error: DpdkError) -> Self {
        let way_out = "start the program again, or keep its rights with --keep-privileges";
        Self::Never(format!("{error}; {way_out}"))
    }
}

impl Renewal {
    /// Of a device that serves.
    pub(super) fn new(
        settings: Settings,
        gates: Vec<Arc<Gate>>,
        origin: Option<Origin>,
        interface: Option<KernelInterface>,
    ) -> Self {
        Self { settings, gates, origin, interface, stage: Stage::Serving }
    }

    /// Whether the device serves, so that it may be asked.
    pub(super) fn is_serving(&self) -> bool {
        self.stage == Stage::Serving
    }

    /// Whether the device and the interface behind it have their link. Of an interface in another network
    /// namespace neither can say that: it counts as up.
    pub(super) fn has_link(&self, device: &Device) -> bool {
        let has_link = || device.link_speed().is_some();
        self.interface.as_ref().map_or_else(has_link, |interface| {
            interface.is_elsewhere() || interface.is_running() && has_link()
        })
    }

    /// Whether there is a device to be closed.
    pub(super) fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    /// Takes the next step, if it can be taken now.
    pub(super) fn look(&mut self, device: &Device) -> Found {
        if self.stage == Stage::Serving {
            let Some(cause) = self.cause(device.port()) else { return Found::Same };
            self.gates.iter().for_each(|gate| gate.shut());
            self.stage = Stage::Leaving(cause);
            return Found::Gone(self.explanation(cause));
        }
        if let Stage::Leaving(cause) = self.stage
            && self.gates.iter().all(|gate| gate.is_parked())
        {
            self.stage = Stage::Left(cause);
        }
        let Stage::Left(cause) = self.stage else { return Found::Same };
        if cause != Cause::Removed && self.is_removed(device.port()) {
            self.stage = Stage::Left(Cause::Removed);
            return Found::Gone(self.explanation(Cause::Removed));
        }
        match self.mend(device, cause) {
            Ok(()) => self.serve_again(device),
            Err(Failure::Later) => Found::Same,
            Err(Failure::Never(reason)) => Found::Lost(reason),
        }
    }

    /// Why the device does not serve any more, if that is so.
    fn cause(&self, port: u16) -> Option<Cause> {
        if self.is_removed(port) {
            return Some(Cause::Removed);
        }
        let causes = [(Event::Recovering, Cause::Recovering), (Event::Reset, Cause::Reset)];
        causes.into_iter().find(|(event, _)| events::take(port, *event)).map(|(_, cause)| cause)
    }

    fn is_removed(&self, port: u16) -> bool {
        self.interface.as_ref().is_some_and(KernelInterface::is_gone) || events::take(port, Event::Removed)
    }

    fn explanation(&self, cause: Cause) -> String {
        match (cause, &self.interface) {
            (Cause::Reset, _) => "its driver asks for a reset".to_owned(),
            (Cause::Recovering, _) => "its driver found an error and mends it".to_owned(),
            (Cause::Removed, Some(interface)) if interface.is_made() => {
                format!("its interface '{}' was deleted, and is made anew", interface.name)
            }
            (Cause::Removed, Some(KernelInterface { name, .. })) => {
                format!("the interface '{name}' was deleted; it is served again when there is a new one")
            }
            (Cause::Removed, None) => "it was removed".to_owned(),
        }
    }

    fn mend(&mut self, device: &Device, cause: Cause) -> Result<(), Failure> {
        match cause {
            Cause::Reset => self.reset(device),
            Cause::Recovering if events::take(device.port(), Event::RecoveryFailed) => {
                let reason = "its driver could not mend it; start the program again";
                Err(Failure::Never(reason.to_owned()))
            }
            // The driver has set it up as it was.
            Cause::Recovering if events::take_recovered(device.port()) => Ok(()),
            Cause::Recovering => Err(Failure::Later),
            Cause::Removed => self.make_anew(device),
        }
    }

    /// `rte_eth_dev_reset`, and all that is to be set up after it.
    fn reset(&mut self, device: &Device) -> Result<(), Failure> {
        // What is asked for from now on is another one.
        events::take(device.port(), Event::Reset);
        match device.reset() {
            0 => {}
            // A driver that has no reset of its own is stopped and started.
            error if error == -libc::ENOTSUP => device.stop(),
            error if error == -libc::EAGAIN => return Err(Failure::Later),
            error => {
                let reason = error_text(error);
                return Err(Failure::Never(format!("its reset failed: {reason}; start the program again")));
            }
        }
        self.start(device)
    }

    /// Has the EAL remove the device and make it again.
    fn make_anew(&mut self, device: &Device) -> Result<(), Failure> {
        if !self.interface.as_ref().is_none_or(KernelInterface::is_back) {
            return Err(Failure::Later);
        }
        let Some(origin) = &self.origin else {
            let reason = "it was removed, and no EAL argument says how to make it; start the program again";
            return Err(Failure::Never(reason.to_owned()));
        };
        device.remove(origin.bus, &origin.name);
        self.stage = Stage::Closed;
        // What was told until now is about what was there before.
        events::forget(device.port());
        let (bus, name, arguments) = (origin.bus.as_ptr(), origin.name.as_ptr(), origin.arguments.as_ptr());
        // SAFETY: zero-terminated texts that live through the call.
        let error = unsafe { sys::rte_eal_hotplug_add(bus, name, arguments) };
        let is_there = matches!(DeviceId::by_name(device.name()), Ok(Some(id)) if id.port() == device.port());
        if error != 0 || !is_there {
            return Err(Failure::Never(format!(
                "it was removed and can't be made again ({}; DPDK's message is above): start the program again, \
                 or keep the rights that this takes with --keep-privileges",
                error_text(error)
            )));
        }
        self.stage = Stage::Left(Cause::Removed);
        events::listen(device.port());
        self.start(device)
    }

    /// Sets a stopped device up as it was, and starts it.
    fn start(&mut self, device: &Device) -> Result<(), Failure> {
        let Settings { plan, mtu, promiscuous, all_multicast, pool, .. } = &self.settings;
        let info = device.info()?;
        let own = device.mtu()?.min(MAX_MTU);
        device.configure(plan, *mtu)?;
        self.set_mtu(device, own);
        device.set_up_queues(&info, plan, pool)?;
        device.start()?;
        let mut granted = Vec::new();
        open::set_promiscuous(device, *promiscuous, &mut granted);
        if *all_multicast {
            open::receive_all_groups(device, &mut granted);
        }
        self.interface = KernelInterface::behind(&info);
        Ok(())
    }

    /// Gives the device the MTU that was asked for. Warns where that fails, and where none was asked for and
    /// the device has `own` now and had another.
    fn set_mtu(&self, device: &Device, own: u16) {
        let Settings { mtu, sets_mtu, .. } = self.settings;
        if sets_mtu {
            match device.set_mtu(mtu) {
                // Some drivers have no call for it, and take it from the configuration.
                Err(error) if error != -libc::ENOTSUP => {
                    tracing::warn!("{}: MTU {mtu} is refused now: {}", device.name(), error_text(error));
                }
                _ => {}
            }
        } else if own != mtu {
            tracing::warn!("{}: its MTU was {mtu} and is {own}, which takes a restart", device.name());
        }
    }

    fn serve_again(&mut self, device: &Device) -> Found {
        self.stage = Stage::Serving;
        self.gates.iter().for_each(|gate| gate.ready());
        Found::Renewed(open::station_address(device, &mut Vec::new()))
    }
}
