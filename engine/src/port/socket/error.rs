//! Why sockets could not be opened, and what to do about it.

use std::io;
use std::net::SocketAddr;

/// Why a port of sockets did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Neither an address nor a port may be missing.
    #[error("a port of sockets needs an address and a UDP port: pass --ip 127.0.0.1 --udp-port 9000")]
    Nowhere,
    /// Somebody has the port.
    #[error(
        "{endpoint} is in use: `ss -lunp sport = :{}` says by whom; stop that program, or give another --udp-port",
        endpoint.port()
    )]
    InUse {
        /// The address and port.
        endpoint: SocketAddr,
    },
    /// Ports below 1024 are for programs with the right to them.
    #[error(
        "no permission for {endpoint}: a port below 1024 takes CAP_NET_BIND_SERVICE (`setcap \
         cap_net_bind_service+ep PROGRAM`, once) or `sysctl -w net.ipv4.ip_unprivileged_port_start={}`; or give a \
         --udp-port from 1024 on", endpoint.port()
    )]
    NoPermission {
        /// The address and port.
        endpoint: SocketAddr,
    },
    /// The address is none of this machine's.
    #[error(
        "{} is no address of this network namespace: `ip address` lists those that are; give one of them, or \
         0.0.0.0 or :: for all", endpoint.ip()
    )]
    NotOurs {
        /// The address and port.
        endpoint: SocketAddr,
    },
    /// Many hosts have the address.
    #[error("{} is the broadcast address of a link, and no host's: give the address of an interface", endpoint.ip())]
    Broadcast {
        /// The address and port.
        endpoint: SocketAddr,
    },
    /// A link-local address says nothing without its interface.
    #[error(
        "{} is on every link, and a socket needs to know on which: give --ip ::, which takes in all addresses",
        endpoint.ip()
    )]
    LinkLocal {
        /// The address and port.
        endpoint: SocketAddr,
    },
    /// Each lcore has a socket for each address and port.
    #[error(
        "{sockets} sockets, one per lcore, address and port, are more than this process may open: raise that with \
         `ulimit -n {}`, or give fewer", sockets + 64
    )]
    TooMany {
        /// Sockets asked for.
        sockets: usize,
    },
    /// More busy polling than this program may ask for.
    #[error(
        "no permission for --busy-poll {micros}: that takes CAP_NET_ADMIN (`setcap cap_net_admin+ep PROGRAM`, \
         once) or `sysctl -w net.core.busy_read={micros}`; or leave it out"
    )]
    BusyPoll {
        /// Microseconds asked for.
        micros: u32,
    },
    /// A system call failed in a way that has no name of its own here.
    #[error("the socket of {endpoint}: {call} failed: {source}")]
    System {
        /// The address and port.
        endpoint: SocketAddr,
        /// The call, and which option of it.
        call: &'static str,
        /// The kernel's word.
        source: io::Error,
    },
}

impl SocketError {
    pub(super) fn bind(endpoint: SocketAddr, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EADDRINUSE) => Self::InUse { endpoint },
            Some(libc::EACCES) => Self::NoPermission { endpoint },
            Some(libc::EADDRNOTAVAIL) => Self::NotOurs { endpoint },
            _ => Self::System { endpoint, call: "bind", source },
        }
    }

    pub(super) fn system(endpoint: SocketAddr, call: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { endpoint, call, source }
    }
}
