//! Opening an interface: sockets, rings, fanout, and what was granted.

use std::io;
use std::sync::Arc;

use super::control::{AfPacketControl, QueueControl};
use super::filter::SuperFrameFilter;
use super::geometry::RESERVE;
use super::home::{Home, HomeOwner};
use super::interface::Interface;
use super::mapping::page_size;
use super::plan::Plan;
use super::pool::{FreeList, Pool};
use super::renewal::Mailbox;
use super::ring::RxRing;
use super::socket::Socket;
use super::spread;
use super::transmit::Batch;
use super::{AfPacketError, AfPacketQueue};
use crate::port::{Capabilities, OpenPort, PortConfig, PortDescription, RssFields};

/// Opens an interface of the calling thread's network namespace.
///
/// An interface that is down, or without a link, is opened with a warning: frames flow as
/// soon as it is up. `tx_descriptors` sizes the socket's send buffer, in frames.
///
/// # Errors
/// Each [`AfPacketError`] says what to do about it.
pub fn open(interface: &str, config: &PortConfig) -> Result<OpenPort<AfPacketQueue>, AfPacketError> {
    let (interface, query) = Interface::open(interface)?;
    let plan = Plan::new(&interface, config, page_size())?;
    let mut opener = Opener::new(&interface, &plan);
    opener.describe_sizes(config);
    let parts = opener.open_queues(config)?;
    let granted = opener.granted;
    let capabilities = Capabilities {
        mac: interface.mac,
        mtu: plan.mtu,
        rx_ipv4_checksum: false,
        rx_udp_checksum: true,
        tx_udp_checksum: false,
        tx_shared: false,
        unmarked_unfilled_checksums: false,
    };
    let description = PortDescription {
        name: interface.name.clone(),
        driver: "af_packet".to_owned(),
        mac: interface.mac,
        mtu: plan.mtu,
        queues: parts.len(),
        numa_node: interface.numa_node(),
        granted,
    };
    let (mut queues, mut controls) = (Vec::new(), Vec::new());
    for Parts { socket, home, free } in parts {
        let mailbox = Arc::new(Mailbox::default());
        controls.push(QueueControl::new(Arc::clone(&socket), Arc::clone(&home), Arc::clone(&mailbox)));
        let (name, batch) = (interface.name.clone(), Batch::new(plan.batch));
        let home = HomeOwner::new(home);
        let queue = AfPacketQueue::new(name, socket, home, free, batch, capabilities.clone());
        queues.push(queue.renewed_by(mailbox));
    }
    let control = AfPacketControl {
        interface,
        query,
        description,
        config: config.clone(),
        queues: controls,
        gone: None,
    };
    let control = Box::new(control);
    Ok(OpenPort { queues, control })
}

/// What a queue is made of.
pub(super) struct Parts {
    pub(super) socket: Arc<Socket>,
    pub(super) home: Arc<Home>,
    pub(super) free: FreeList,
}

/// Opens queues of an interface as planned, and notes what was granted.
pub(super) struct Opener<'a> {
    interface: &'a Interface,
    plan: &'a Plan,
    granted: Vec<String>,
}

impl<'a> Opener<'a> {
    pub(super) fn new(interface: &'a Interface, plan: &'a Plan) -> Self {
        Self { interface, plan, granted: Vec::new() }
    }

    /// Binds an open socket, whose interface was deleted, to the one that took its place.
    pub(super) fn bind_again(&mut self, socket: &Socket, config: &PortConfig) -> Result<(), AfPacketError> {
        socket.bind(self.interface.index).map_err(self.failed("bind"))?;
        self.receive_more(socket, config)
    }

    /// Opens the queues. No frame gets in before all are there: a flow then stays where its
    /// first frame went, and none is received twice.
    pub(super) fn open_queues(&mut self, config: &PortConfig) -> Result<Vec<Parts>, AfPacketError> {
        let parts = (0..self.plan.queues).map(|_| self.open_queue()).collect::<Result<Vec<_>, _>>()?;
        let sockets: Vec<&Socket> = parts.iter().map(|parts| &*parts.socket).collect();
        self.fan_out(&sockets, config)?;
        self.receive_more(sockets[0], config)?;
        self.try_options(&sockets);
        self.warn_of_no_link();
        self.let_frames_in(&sockets)?;
        Ok(parts)
    }

    /// A queue with its ring, bound to the interface behind a filter that lets nothing in.
    fn open_queue(&self) -> Result<Parts, AfPacketError> {
        let Plan { geometry, buffers, .. } = *self.plan;
        let no_memory = |what, bytes| {
            move |source: io::Error| {
                let interface = self.interface.name.clone();
                AfPacketError::NoMemory { interface, what, bytes, source }
            }
        };
        let socket = Socket::open().map_err(self.failed("socket AF_PACKET"))?;
        socket.use_version_2().map_err(self.failed("PACKET_VERSION TPACKET_V2"))?;
        socket.reserve(RESERVE).map_err(self.failed("PACKET_RESERVE"))?;
        socket.reject_all().map_err(self.failed("SO_ATTACH_FILTER"))?;

        let ring_len = geometry.ring_len().unwrap_or(usize::MAX);
        let too_big = || no_memory("the receive ring", ring_len)(io::Error::from_raw_os_error(libc::ENOMEM));
        let request = geometry.request().ok_or_else(too_big)?;
        let mapping = socket.map_rx_ring(&request, ring_len).map_err(|error| {
            let is_memory = matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN));
            if is_memory {
                no_memory("the receive ring", ring_len)(error)
            } else {
                self.failed("PACKET_RX_RING")(error)
            }
        })?;
        let ring = RxRing::new(mapping, &geometry).ok_or_else(too_big)?;
        let (pool, free) = Pool::new(buffers, geometry.slot_size)
            .map_err(no_memory("the buffers", buffers.saturating_mul(geometry.slot_size)))?;

        socket.bind(self.interface.index).map_err(self.failed("bind"))?;
        Ok(Parts { socket: Arc::new(socket), home: Arc::new(Home::new(ring, pool)), free })
    }

    /// Asks for frames that are not to the interface's own address.
    fn receive_more(&mut self, socket: &Socket, config: &PortConfig) -> Result<(), AfPacketError> {
        let index = self.interface.index;
        if config.promiscuous {
            let done = socket.receive_all_addresses(index);
            done.map_err(self.failed("PACKET_ADD_MEMBERSHIP PACKET_MR_PROMISC"))?;
            self.granted.push("promiscuous: frames to every address".to_owned());
        }
        if config.all_multicast {
            let done = socket.receive_all_groups(index);
            done.map_err(self.failed("PACKET_ADD_MEMBERSHIP PACKET_MR_ALLMULTI"))?;
            self.granted.push("all multicast: frames to every group address".to_owned());
        }
        Ok(())
    }

    /// Has the kernel split the frames among several sockets.
    fn fan_out(&mut self, sockets: &[&Socket], config: &PortConfig) -> Result<(), AfPacketError> {
        let [first, others @ ..] = sockets else { return Ok(()) };
        if others.is_empty() {
            return Ok(());
        }
        let (split_by, what) = match config.rss {
            RssFields::Flow => (libc::PACKET_FANOUT_HASH, "the hash of their flow"),
            RssFields::Addresses => (libc::PACKET_FANOUT_CBPF, "a hash of their addresses alone"),
        };
        let group = first.found_group(split_by).map_err(|error| self.fanout_failed(error))?;
        if config.rss == RssFields::Addresses {
            let mut program = spread::program(sockets.len(), config.rss_key.as_ref());
            first.split_by_program(&mut program).map_err(self.failed("PACKET_FANOUT_DATA"))?;
        }
        others
            .iter()
            .try_for_each(|socket| socket.join_group(group))
            .map_err(|error| self.fanout_failed(error))?;
        self.granted.push(format!("{} queues: the kernel splits frames by {what}", sockets.len()));
        Ok(())
    }

    fn fanout_failed(&self, error: io::Error) -> AfPacketError {
        match error.raw_os_error() {
            Some(libc::EINVAL) if !self.interface.is_up => {
                AfPacketError::NotUp { interface: self.interface.name.clone() }
            }
            _ => self.failed("PACKET_FANOUT")(error),
        }
    }

    /// Sets what the port can do without, and says what it has to do without.
    fn try_options(&mut self, sockets: &[&Socket]) {
        if sockets.iter().any(|socket| socket.ignore_outgoing().is_err()) {
            self.granted.push("own frames: skipped here, this kernel can't leave them out".to_owned());
        }
        if sockets.iter().any(|socket| socket.bypass_queueing().is_err()) {
            self.granted
                .push("sending: through the queueing discipline, this kernel can't bypass it".to_owned());
        }
        let wanted = self.plan.send_buffer;
        let sizes = sockets.iter().map(|socket| socket.size_send_buffer(wanted));
        match sizes.collect::<io::Result<Vec<_>>>() {
            Ok(sizes) => {
                let least = sizes.into_iter().min().unwrap_or(0);
                let less = if least < wanted {
                    format!(", less than the {wanted} asked for")
                } else {
                    String::new()
                };
                self.granted.push(format!("send buffer: {least} bytes per queue{less}"));
            }
            Err(error) => self.granted.push(format!("send buffer: as it was ({error})")),
        }
    }

    /// Has the kernel mark super-frames, or says that it can't, and opens the door.
    fn let_frames_in(&mut self, sockets: &[&Socket]) -> Result<(), AfPacketError> {
        let marked = SuperFrameFilter::load()
            .and_then(|filter| sockets.iter().try_for_each(|socket| socket.accept_marked(&filter)));
        let Err(error) = marked else { return Ok(()) };
        self.granted.push(format!(
            "super-frames (UDP_SEGMENT of a sender on this machine): not told from datagrams, that takes \
             CAP_BPF and a kernel from 5.7 on ({error})"
        ));
        sockets.iter().try_for_each(|socket| socket.accept_all()).map_err(self.failed("SO_DETACH_FILTER"))
    }

    fn describe_sizes(&mut self, config: &PortConfig) {
        let Plan { queues, geometry, buffers, .. } = self.plan;
        self.granted.push(format!(
            "receive ring: {} slots of {} bytes per queue, TPACKET_V2; {buffers} buffers",
            geometry.slots, geometry.slot_size
        ));
        if config.queues > *queues {
            self.granted.push(format!("queues: {queues} of the {} asked for", config.queues));
        }
    }

    fn warn_of_no_link(&mut self) {
        let name = &self.interface.name;
        let warning = match (self.interface.is_up, self.interface.has_link) {
            (false, _) => format!("interface {name} is down; no frame comes before `ip link set {name} up`"),
            (true, false) => {
                format!("interface {name} has no link; no frame comes before its other end is up")
            }
            (true, true) => return,
        };
        tracing::warn!("{warning}");
        self.granted.push(warning);
    }

    /// Names the call that failed, or what is behind it.
    fn failed(&self, call: &'static str) -> impl Fn(io::Error) -> AfPacketError {
        let interface = self.interface.name.clone();
        move |source| {
            let interface = interface.clone();
            match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => AfPacketError::NoPermission { interface },
                Some(libc::ENODEV | libc::ENXIO) => AfPacketError::NoSuchInterface { interface },
                Some(libc::EAFNOSUPPORT | libc::ENOPROTOOPT) => {
                    AfPacketError::KernelTooOld { interface, what: call }
                }
                _ => AfPacketError::System { interface, call, source },
            }
        }
    }
}
