//! An interface of the kernel's behind a device: whether it is there, and whether it runs.

use std::ffi::CStr;
use std::fs;
use std::mem;
use std::os::fd::RawFd;
use std::path::Path;

use dpdk_sys as sys;

use super::open;
use crate::port::af_packet::Query;

/// An interface of the kernel's behind a device.
pub(super) struct KernelInterface {
    pub(super) name: String,
    index: i32,
    query: Query,
    tie: Tie,
}

/// What ties a device to its interface.
enum Tie {
    /// The device makes it, and has it by these descriptors, in whatever network namespace it is (`net_tap`).
    Made(Vec<RawFd>),
    /// The device's sockets are bound to it, which ends when it leaves the network namespace.
    Bound,
    /// Nothing: the driver shares a card with the kernel, say, and goes on without the interface.
    Loose,
}

impl KernelInterface {
    /// The one behind the device, if there is one.
    pub(super) fn behind(info: &sys::rte_eth_dev_info) -> Option<Self> {
        let mut name = [0; libc::IF_NAMESIZE];
        // SAFETY: room for the longest name.
        let named = unsafe { libc::if_indextoname(info.if_index, name.as_mut_ptr()) };
        if info.if_index == 0 || named.is_null() {
            return None;
        }
        // SAFETY: the call wrote a zero-terminated name.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        let query = Query::new(&name).ok()?;
        let tie = match open::driver_name(info).as_str() {
            "net_tap" => Tie::Made(descriptors_of(&name)),
            "net_af_packet" | "net_af_xdp" => Tie::Bound,
            _ => Tie::Loose,
        };
        Some(Self { name, index: info.if_index.cast_signed(), query, tie })
    }

    /// Whether the device can't work any more because the interface was removed.
    pub(super) fn is_gone(&self) -> bool {
        match &self.tie {
            Tie::Made(descriptors) if !descriptors.is_empty() => {
                descriptors.iter().all(|&descriptor| tap_of(descriptor).is_none())
            }
            Tie::Made(_) | Tie::Bound => !self.is_here(),
            Tie::Loose => false,
        }
    }

    /// Whether the device makes it, and nobody else.
    pub(super) fn is_made(&self) -> bool {
        matches!(self.tie, Tie::Made(_))
    }

    /// Whether the device can be made anew as far as the interface goes.
    pub(super) fn is_back(&self) -> bool {
        self.is_made() || self.query.index().is_ok()
    }

    /// Whether the device works with it in another network namespace, where it can't be asked.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.is_made() && !self.is_here()
    }

    /// Whether it is in our network namespace, whatever its name.
    fn is_here(&self) -> bool {
        self.query.index().ok() == Some(self.index) || self.query.is_there(self.index)
    }

    /// Whether it is up and has its link, as far as it can be asked by its name.
    pub(super) fn is_running(&self) -> bool {
        self.query.index().ok() != Some(self.index) || self.query.is_running()
    }
}

/// This process's descriptors of the tap of that name.
fn descriptors_of(name: &str) -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let taps = entries
        .filter(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == Path::new("/dev/net/tun")));
    let numbers = taps.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|&descriptor| tap_of(descriptor).is_some_and(|tap| tap == name)).collect()
}

/// The name of the interface that a descriptor of `/dev/net/tun` is attached to. A tap that is deleted
/// leaves its descriptors without one.
fn tap_of(descriptor: RawFd) -> Option<String> {
    // SAFETY: an ifreq is numbers and bytes, for which zeros are values.
    let mut answer: libc::ifreq = unsafe { mem::zeroed() };
    // SAFETY: the question writes an ifreq; of what is no tap, or not open, it is refused.
    if unsafe { libc::ioctl(descriptor, libc::TUNGETIFF, &raw mut answer) } != 0 {
        return None;
    }
    let name = answer.ifr_name.map(libc::c_char::cast_unsigned);
    Some(CStr::from_bytes_until_nul(&name).ok()?.to_string_lossy().into_owned())
}
