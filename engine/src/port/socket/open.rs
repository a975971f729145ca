//! From what is asked for to bound sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::config::{SocketConfig, Switch};
use super::control::SocketControl;
use super::error::SocketError;
use super::queue::{Bound, Parts, SocketQueue};
use super::udp_socket::{Readable, Socket};
use crate::host::MaxPayload;
use crate::port::heap::HeapPool;
use crate::port::{OpenPort, PortDescription};
use crate::wire::ethernet::MacAddress;

/// Bytes of a buffer: more than any datagram has, joined ones too, so that none is cut.
const ROOM: usize = 65_536;
/// Bytes asked for as a socket's receive and send buffers.
const SOCKET_BUFFER: i32 = 4 << 20;
/// The longest IP packet in bytes: the kernel cuts those that are longer than the device's.
const MTU: u16 = 65_535;

/// Opens a socket for each queue, address and UDP port.
///
/// # Errors
/// [`SocketError`], with the address and port.
pub fn open(config: &SocketConfig) -> Result<OpenPort<SocketQueue>, SocketError> {
    let mut granted = Granted { joins: config.gso == Switch::On, ..Granted::default() };
    let sockets = bind_all(config, &mut granted)?;
    let per_queue = Parts::buffers(config);
    let pool = HeapPool::new("socket", per_queue * config.queues, ROOM);
    let queue = |bound: &Vec<Bound>| {
        let readable = readable(bound)?;
        Ok(SocketQueue::new(Parts {
            bound: bound.clone(),
            readable,
            joins: granted.joins,
            pool: &pool,
            config,
        }))
    };
    let queues = sockets.iter().map(queue).collect::<Result<_, _>>()?;
    let description = PortDescription {
        name: "socket".to_owned(),
        driver: "socket".to_owned(),
        mac: MacAddress::default(),
        mtu: MTU,
        queues: config.queues,
        numa_node: None,
        granted: granted.lines(config),
    };
    let only_sockets = |bound: &Vec<Bound>| bound.iter().map(|bound| Arc::clone(&bound.socket)).collect();
    let sockets = sockets.iter().map(only_sockets).collect();
    Ok(OpenPort { queues, control: Box::new(SocketControl { description, sockets, pool }) })
}

/// What the kernel gave.
#[derive(Default)]
struct Granted {
    /// The smallest receive buffer, in bytes as the kernel counts them.
    receive_buffer: Option<usize>,
    /// Datagrams come joined.
    takes_joined: bool,
    /// Datagrams leave joined.
    joins: bool,
    prefers_busy_poll: bool,
}

impl Granted {
    fn lines(&self, config: &SocketConfig) -> Vec<String> {
        let word = |is_on| if is_on { "on" } else { "off" };
        let mut lines = vec![format!(
            "UDP GRO {}, UDP GSO {}, {} bytes of receive buffer per socket (net.core.rmem_max bounds it)",
            word(self.takes_joined),
            word(self.joins),
            self.receive_buffer.unwrap_or(0),
        )];
        if config.queues > 1 {
            lines.push(format!("{} queues share each address and port (SO_REUSEPORT)", config.queues));
        }
        if let Some(micros) = config.busy_poll {
            let over = if self.prefers_busy_poll { "over" } else { "beside" };
            lines.push(format!("busy polling for {micros} us, {over} the device's interrupts"));
        }
        lines
    }
}

/// The sockets of each queue. The first of an address and port has to have it alone.
fn bind_all(config: &SocketConfig, granted: &mut Granted) -> Result<Vec<Vec<Bound>>, SocketError> {
    let mut queues: Vec<Vec<Bound>> = vec![Vec::new(); config.queues];
    let endpoints = config.addresses.iter().flat_map(|&address| {
        config.udp_ports.iter().map(move |&udp_port| SocketAddr::new(address, udp_port))
    });
    for mut endpoint in endpoints {
        if is_link_local(endpoint.ip()) {
            return Err(SocketError::LinkLocal { endpoint });
        }
        if is_broadcast(endpoint.ip()) {
            return Err(SocketError::Broadcast { endpoint });
        }
        if config.queues > 1 && endpoint.port() != 0 {
            // Another program that shares its port would share ours without a word.
            let alone = open_socket(endpoint, config)?;
            alone.bind(endpoint).map_err(|source| SocketError::bind(endpoint, source))?;
        }
        for queue in &mut queues {
            let bound = bind(endpoint, config, granted)?;
            // The kernel chose the port for the first.
            endpoint = bound.endpoint;
            queue.push(bound);
        }
    }
    match queues.first() {
        Some(first) if !first.is_empty() => Ok(queues),
        _ => Err(SocketError::Nowhere),
    }
}

fn bind(endpoint: SocketAddr, config: &SocketConfig, granted: &mut Granted) -> Result<Bound, SocketError> {
    let system = |call| SocketError::system(endpoint, call);
    let (is_ipv4, is_wildcard) = (endpoint.is_ipv4(), endpoint.ip().is_unspecified());
    let socket = open_socket(endpoint, config)?;
    if config.queues > 1 {
        socket.share_address().map_err(system("setsockopt SO_REUSEPORT"))?;
    }
    if is_wildcard {
        socket.tell_destination(is_ipv4).map_err(system("setsockopt IP_PKTINFO"))?;
    }
    socket.set_hops(is_ipv4, config.ttl).map_err(system("setsockopt IP_TTL"))?;
    let buffer = socket.size_buffers(SOCKET_BUFFER).map_err(system("setsockopt SO_RCVBUF"))?;
    granted.receive_buffer = Some(granted.receive_buffer.map_or(buffer, |other| other.min(buffer)));
    granted.takes_joined = config.gro == Switch::On && socket.take_joined().is_ok();
    granted.joins &= socket.can_cut();
    if let Some(micros) = config.busy_poll {
        granted.prefers_busy_poll = busy_poll(&socket, endpoint, micros)?;
    }
    socket.bind(endpoint).map_err(|source| SocketError::bind(endpoint, source))?;
    let endpoint = socket.address().map_err(system("getsockname"))?;
    Ok(Bound { socket: Arc::new(socket), endpoint, is_wildcard })
}

fn open_socket(endpoint: SocketAddr, config: &SocketConfig) -> Result<Socket, SocketError> {
    Socket::open(endpoint).map_err(|source| match source.raw_os_error() {
        Some(libc::EMFILE) => {
            let sockets = config.queues * config.addresses.len() * config.udp_ports.len();
            SocketError::TooMany { sockets }
        }
        _ => SocketError::system(endpoint, "socket")(source),
    })
}

/// Whether it is preferred to interrupts.
fn busy_poll(socket: &Socket, endpoint: SocketAddr, micros: u32) -> Result<bool, SocketError> {
    match socket.busy_poll(micros) {
        Ok(()) => Ok(socket.prefer_busy_poll().is_ok()),
        Err(source) if source.raw_os_error() == Some(libc::EPERM) => Err(SocketError::BusyPoll { micros }),
        Err(source) => Err(SocketError::system(endpoint, "setsockopt SO_BUSY_POLL")(source)),
    }
}

/// What is readable while one of several sockets is.
fn readable(bound: &[Bound]) -> Result<Option<Readable>, SocketError> {
    let Some(first) = bound.first().filter(|_| bound.len() > 1) else { return Ok(None) };
    let readable = Readable::of(bound.iter().map(|bound| &*bound.socket));
    readable.map(Some).map_err(SocketError::system(first.endpoint, "epoll_create1"))
}

/// Whether an address names all hosts of a link. The kernel knows its links: it lets nobody send
/// there who did not ask to.
fn is_broadcast(address: IpAddr) -> bool {
    let connected =
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.connect((address, 9)));
    address.is_ipv4() && connected.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The longest datagram fits a buffer.
const _: () = assert!(ROOM > MaxPayload::LONGEST);
