//! Socket addresses as the kernel writes them: `sockaddr_in` and `sockaddr_in6`, over bytes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// `sockaddr_in` (ip(7)): the family and, in network order, the port.
const PORT_AT: usize = 2;
const V4_ADDRESS_AT: usize = 4;
const V4_LEN: usize = 16;
/// `sockaddr_in6` (ipv6(7)): the flow information lies before the address, the scope behind it.
const V6_ADDRESS_AT: usize = 8;
const SCOPE_AT: usize = 24;
const V6_LEN: usize = 28;

/// Room for a socket address of either family, in the kernel's layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub(super) struct Name([u8; V6_LEN]);

impl Name {
    /// Its bytes in all.
    pub(super) const CAPACITY: usize = V6_LEN;

    /// The name of an address and port, and its length in bytes.
    pub(super) fn of(address: SocketAddr) -> (Self, usize) {
        let mut name = [0; V6_LEN];
        let (family, len) = match address {
            SocketAddr::V4(address) => {
                name[V4_ADDRESS_AT..][..4].copy_from_slice(&address.ip().octets());
                (libc::AF_INET, V4_LEN)
            }
            SocketAddr::V6(address) => {
                name[V6_ADDRESS_AT..][..16].copy_from_slice(&address.ip().octets());
                name[SCOPE_AT..].copy_from_slice(&address.scope_id().to_ne_bytes());
                (libc::AF_INET6, V6_LEN)
            }
        };
        name[..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
        name[PORT_AT..][..2].copy_from_slice(&address.port().to_be_bytes());
        (Self(name), len)
    }

    /// The address and port that the kernel wrote; `None` for a family that is neither IP's.
    pub(super) fn read(&self) -> Option<SocketAddr> {
        let Self(name) = self;
        let port = u16::from_be_bytes([name[PORT_AT], name[PORT_AT + 1]]);
        match i32::from(libc::sa_family_t::from_ne_bytes([name[0], name[1]])) {
            libc::AF_INET => {
                let address = Ipv4Addr::from(*name[V4_ADDRESS_AT..].first_chunk::<4>()?);
                Some(SocketAddrV4::new(address, port).into())
            }
            libc::AF_INET6 => {
                let address = Ipv6Addr::from(*name[V6_ADDRESS_AT..].first_chunk::<16>()?);
                let scope = u32::from_ne_bytes(*name[SCOPE_AT..].first_chunk()?);
                Some(SocketAddrV6::new(address, port, 0, scope).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_the_kernel_s() {
        assert_eq!((V4_LEN, V6_LEN), (size_of::<libc::sockaddr_in>(), size_of::<libc::sockaddr_in6>()));
        assert_eq!(PORT_AT, std::mem::offset_of!(libc::sockaddr_in, sin_port));
        assert_eq!(V4_ADDRESS_AT, std::mem::offset_of!(libc::sockaddr_in, sin_addr));
        assert_eq!(PORT_AT, std::mem::offset_of!(libc::sockaddr_in6, sin6_port));
        assert_eq!(V6_ADDRESS_AT, std::mem::offset_of!(libc::sockaddr_in6, sin6_addr));
        assert_eq!(SCOPE_AT, std::mem::offset_of!(libc::sockaddr_in6, sin6_scope_id));
    }

    #[test]
    fn other_families_have_no_address() {
        assert_eq!(Name::default().read(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ip: std::net::IpAddr, port: u16, scope: u32) {
            let mut address = SocketAddr::new(ip, port);
            if let SocketAddr::V6(address) = &mut address {
                address.set_scope_id(scope);
            }
            let (name, len) = Name::of(address);
            prop_assert_eq!(name.read(), Some(address));
            prop_assert_eq!(len, if ip.is_ipv4() { V4_LEN } else { V6_LEN });
        }
    }
}
