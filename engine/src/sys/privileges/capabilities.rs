//! CapabilitySet, by their kernel numbers (capabilities(7)).

use std::fmt;
use std::io;
use std::ops::{BitAnd, BitOr};

use super::status::Status;

/// The numbers and names of those that are asked for or kept here (`linux/capability.h`).
const NAMES: [(u32, &str); 7] = [
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
    (12, "CAP_NET_ADMIN"),
    (13, "CAP_NET_RAW"),
    (14, "CAP_IPC_LOCK"),
    (21, "CAP_SYS_ADMIN"),
    (39, "CAP_BPF"),
];

/// `_LINUX_CAPABILITY_VERSION_3`: the low words of the three sets, then the high ones.
const VERSION_3: u32 = 0x2008_0522;

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(pub(super) u64);

impl CapabilitySet {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// To take on another user and its groups.
    pub const SET_USER: Self = Self(1 << 6 | 1 << 7);
    /// To set up and change interfaces.
    pub const NET_ADMIN: Self = Self(1 << 12);
    /// To attach XDP programs to interfaces, to find them again, and to take them off.
    pub const XDP: Self = Self(1 << 12 | 1 << 21 | 1 << 39);
    /// To call bpf(2): either of them.
    pub(super) const SYS_ADMIN: Self = Self(1 << 21);
    pub(super) const BPF: Self = Self(1 << 39);

    /// Those that the calling thread has in effect.
    ///
    /// # Errors
    /// `/proc` is not there, or says nothing of them.
    pub fn effective() -> io::Result<Self> {
        Status::of_this_thread().map(|status| status.effective)
    }

    /// Puts in effect, for the calling thread, all that it is permitted. A program whose file has
    /// its capabilities as permitted only (`setcap cap_net_raw+p`) starts wherever some of them are
    /// not to be had, as in a container, and has none in effect at first.
    ///
    /// # Errors
    /// The kernel's, and those of [`effective`](Self::effective).
    pub fn put_in_effect() -> io::Result<()> {
        let own = Status::of_this_thread()?;
        if own.effective == own.permitted {
            return Ok(());
        }
        set(own.permitted, own.inheritable)
    }

    /// Whether it has all of these.
    pub fn has(self, others: Self) -> bool {
        self & others == others
    }
}

/// Gives the calling thread these, permitted and in effect (capset(2)). It makes one system call
/// and nothing else, as a signal's handler has to.
pub(super) fn set(permitted: CapabilitySet, inheritable: CapabilitySet) -> io::Result<()> {
    let halves: [fn(u64) -> u32; 2] = [|set| set as u32, |set| (set >> 32) as u32];
    let sets = halves.map(|half| [half(permitted.0), half(permitted.0), half(inheritable.0)]);
    let header = [VERSION_3, 0];
    // SAFETY: a header of two words, 0 for the calling thread, and six words, as that version has them.
    match unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl BitOr for CapabilitySet {
    type Output = Self;

    fn bitor(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl BitAnd for CapabilitySet {
    type Output = Self;

    fn bitand(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("no capabilities");
        }
        let name = |number: u32| {
            let known = NAMES.iter().find(|(known, _)| *known == number);
            known.map_or_else(|| format!("capability {number}"), |(_, name)| (*name).to_owned())
        };
        let names: Vec<_> = (0..u64::BITS).filter(|number| self.0 >> number & 1 == 1).map(name).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_named() {
        assert_eq!(CapabilitySet::NONE.to_string(), "no capabilities");
        assert_eq!(CapabilitySet::SET_USER.to_string(), "CAP_SETGID, CAP_SETUID");
        assert_eq!(
            (CapabilitySet::NET_ADMIN | CapabilitySet(1 << 40)).to_string(),
            "CAP_NET_ADMIN, capability 40"
        );
    }

    #[test]
    fn a_set_has_what_is_in_it() {
        let both = CapabilitySet::NET_ADMIN | CapabilitySet::SET_USER;
        assert!(both.has(CapabilitySet::SET_USER) && both.has(CapabilitySet::NONE));
        assert!(!CapabilitySet::NET_ADMIN.has(both));
    }
}
