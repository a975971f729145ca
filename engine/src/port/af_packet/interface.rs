//! The interface: what the kernel says of it.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

use super::AfPacketError;
use crate::wire::ethernet::MacAddress;

/// An Ethernet interface, as it was when it was looked at.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    /// Its name.
    pub name: String,
    /// Its number in its network namespace.
    pub index: i32,
    /// Its own address.
    pub mac: MacAddress,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// Someone set it up.
    pub is_up: bool,
    /// Its link is up too.
    pub has_link: bool,
}

impl Interface {
    /// Looks at the interface `name` of the calling thread's network namespace
    /// (netdevice(7)), and gives what to look again with. This takes no rights.
    pub(super) fn open(name: &str) -> Result<(Self, Query), AfPacketError> {
        let failed = |call| {
            move |source: io::Error| match source.raw_os_error() {
                Some(libc::ENODEV) => AfPacketError::NoSuchInterface { interface: name.to_owned() },
                _ => AfPacketError::System { interface: name.to_owned(), call, source },
            }
        };
        let query = Query::new(name).map_err(failed("socket"))?;
        let index = query.index().map_err(failed("ioctl SIOCGIFINDEX"))?;
        let flags = query.flags().map_err(failed("ioctl SIOCGIFFLAGS"))?;
        let (hardware_type, mac) = query.hardware_address().map_err(failed("ioctl SIOCGIFHWADDR"))?;
        let mtu = query.mtu().map_err(failed("ioctl SIOCGIFMTU"))?;
        match hardware_type {
            libc::ARPHRD_ETHER => {}
            libc::ARPHRD_LOOPBACK => return Err(AfPacketError::Loopback { interface: name.to_owned() }),
            _ => return Err(AfPacketError::NotEthernet { interface: name.to_owned(), hardware_type }),
        }
        let interface = Self {
            name: name.to_owned(),
            index,
            mac,
            mtu: u16::try_from(mtu.max(0)).unwrap_or(u16::MAX),
            is_up: flags & libc::IFF_UP != 0,
            has_link: flags & libc::IFF_RUNNING != 0,
        };
        Ok((interface, query))
    }

    /// The device's own statistics, by their names in sysfs; none where sysfs shows another
    /// network namespace than ours.
    pub(super) fn statistics(&self) -> Vec<(String, u64)> {
        let Some(folder) = self.sysfs() else { return Vec::new() };
        let Ok(entries) = fs::read_dir(folder.join("statistics")) else { return Vec::new() };
        let mut statistics: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let value = fs::read_to_string(entry.path()).ok()?.trim().parse().ok()?;
                Some((entry.file_name().into_string().ok()?, value))
            })
            .collect();
        statistics.sort();
        statistics
    }

    /// The NUMA node of the device, where it has one.
    pub(super) fn numa_node(&self) -> Option<u32> {
        fs::read_to_string(self.sysfs()?.join("device/numa_node")).ok()?.trim().parse().ok()
    }

    /// The interface's folder in sysfs. Which namespace sysfs shows depends on who mounted
    /// it, so the number and the address have to be ours.
    fn sysfs(&self) -> Option<PathBuf> {
        let folder = PathBuf::from("/sys/class/net").join(&self.name);
        let says = |file: &str, expected: String| {
            fs::read_to_string(folder.join(file)).is_ok_and(|text| text.trim() == expected)
        };
        let is_ours = says("ifindex", self.index.to_string()) && says("address", self.mac.to_string());
        is_ours.then_some(folder)
    }
}

/// Questions about an interface by name, in the network namespace in which the first was asked.
pub(in crate::port) struct Query {
    socket: OwnedFd,
    /// Zeros end it.
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Query {
    pub(in crate::port) fn new(name: &str) -> io::Result<Self> {
        let mut bytes = [0; libc::IFNAMSIZ];
        // One byte stays zero: it ends the name.
        if name.is_empty() || name.len() >= bytes.len() || name.contains('\0') {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from.cast_signed());
        // SAFETY: the call takes no pointers; what it returns is checked below.
        let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now and is nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { socket, name: bytes })
    }

    fn ask(&self, what: libc::Ioctl) -> io::Result<libc::ifreq> {
        // SAFETY: an ifreq is numbers and bytes, for which zeros are values.
        let mut answer: libc::ifreq = unsafe { std::mem::zeroed() };
        answer.ifr_name = self.name;
        // SAFETY: the SIOCGIF* questions read the name of an ifreq and write its union.
        match unsafe { libc::ioctl(self.socket.as_raw_fd(), what, &raw mut answer) } {
            0 => Ok(answer),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The number of the interface that has the name now.
    pub(in crate::port) fn index(&self) -> io::Result<i32> {
        let answer = self.ask(libc::SIOCGIFINDEX)?;
        // SAFETY: the answer to this question is in this field.
        Ok(unsafe { answer.ifr_ifru.ifru_ifindex })
    }

    fn mtu(&self) -> io::Result<i32> {
        let answer = self.ask(libc::SIOCGIFMTU)?;
        // SAFETY: the answer to this question is in this field.
        Ok(unsafe { answer.ifr_ifru.ifru_mtu })
    }

    fn flags(&self) -> io::Result<i32> {
        let answer = self.ask(libc::SIOCGIFFLAGS)?;
        // SAFETY: the answer to this question is in this field.
        Ok(unsafe { answer.ifr_ifru.ifru_flags }.into())
    }

    /// Whether the interface is up and has its link. One that is gone has none.
    pub(in crate::port) fn is_running(&self) -> bool {
        const BOTH: i32 = libc::IFF_UP | libc::IFF_RUNNING;
        self.flags().is_ok_and(|flags| flags & BOTH == BOTH)
    }

    /// Whether an interface has this number, whatever its name.
    pub(in crate::port) fn is_there(&self, index: i32) -> bool {
        // SAFETY: an ifreq is numbers and bytes, for which zeros are values.
        let mut question: libc::ifreq = unsafe { std::mem::zeroed() };
        question.ifr_ifru.ifru_ifindex = index;
        // SAFETY: the question reads the number of an ifreq and writes its name.
        unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCGIFNAME, &raw mut question) == 0 }
    }

    fn hardware_address(&self) -> io::Result<(u16, MacAddress)> {
        let answer = self.ask(libc::SIOCGIFHWADDR)?;
        // SAFETY: the answer to this question is in this field.
        let address = unsafe { answer.ifr_ifru.ifru_hwaddr };
        let mac = std::array::from_fn(|index| address.sa_data[index].cast_unsigned());
        Ok((address.sa_family, MacAddress(mac)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_are_refused() {
        for name in ["", "no-such-iface0", "a-name-of-sixteen", "lo\0", "../lo"] {
            let error = Interface::open(name).map(|_| ()).expect_err(name);
            assert!(matches!(error, AfPacketError::NoSuchInterface { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn loopback_is_refused_with_the_way_out() {
        let error = Interface::open("lo").map(|_| ()).expect_err("loopback").to_string();
        assert!(error.contains("'lo'") && error.contains("veth peer"), "{error}");
    }
}
