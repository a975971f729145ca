//! The set of UDP ports that a service listens on.

use std::fmt;

/// The UDP ports that the service listens on: a bit each.
#[derive(Clone)]
pub struct UdpPorts(Box<[u64; 1024]>);

impl UdpPorts {
    /// All ports but 0.
    pub fn all() -> Self {
        let mut ports = Self(Box::new([u64::MAX; 1024]));
        ports.0[0] &= !1;
        ports
    }

    /// Whether it is all ports but 0.
    pub(super) fn is_all(&self) -> bool {
        (1..=u16::MAX).all(|port| self.contains(port))
    }

    /// The ports from the lowest on.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let words = (0..=u16::MAX).step_by(64).zip(self.0.iter()).filter(|&(_, &word)| word != 0);
        words.flat_map(|(first, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit)
        })
    }

    /// Whether the service listens on `port`.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] >> (port & 63) & 1 == 1
    }
}

impl FromIterator<u16> for UdpPorts {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut all = Self(Box::new([0; 1024]));
        all.extend(ports);
        all
    }
}

impl Extend<u16> for UdpPorts {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, ports: I) {
        for port in ports {
            self.0[usize::from(port >> 6)] |= 1 << (port & 63);
        }
    }
}

impl fmt::Debug for UdpPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..=u16::MAX).filter(|&port| self.contains(port))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_sets() {
        let ports: UdpPorts = [7, 63, 64, 65535].into_iter().collect();
        assert!([7, 63, 64, 65535].iter().all(|&port| ports.contains(port)));
        assert!([0, 8, 62, 66, 65534].iter().all(|&port| !ports.contains(port)));
        assert_eq!(ports.iter().collect::<Vec<_>>(), [7, 63, 64, 65535]);
        assert_eq!(UdpPorts::all().iter().count(), 65_535);
        assert!(UdpPorts::all().is_all() && !ports.is_all());
        assert!(UdpPorts::all().contains(1) && !UdpPorts::all().contains(0));
    }
}
