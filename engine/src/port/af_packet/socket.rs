//! The packet socket and its options (packet(7)).

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void};

use super::filter::SuperFrameFilter;
use super::mapping::Mapping;

/// Every protocol, in the order of the wire.
const ETH_P_ALL: u16 = (libc::ETH_P_ALL as u16).to_be();
/// A classic BPF program of one instruction, `ret #0`: no frame passes.
const REJECT: libc::sock_filter =
    libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };

/// A packet socket.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// A group of sockets among which the kernel splits an interface's frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct FanoutGroup {
    id: u16,
    /// How it splits them, and flags.
    mode: u32,
}

/// What the kernel counted for a socket since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    /// Frames that were meant for the ring.
    pub packets: u32,
    /// Those of them that found it full.
    pub drops: u32,
}

impl Socket {
    /// A socket that receives nothing before it is bound. Takes CAP_NET_RAW.
    pub(super) fn open() -> io::Result<Self> {
        // SAFETY: the call takes no pointers; what it returns is checked below.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Chooses the layout of the ring's slots.
    pub(super) fn use_version_2(&self) -> io::Result<()> {
        self.set_packet(libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V2 as c_int))
    }

    /// Has the kernel leave `bytes` free in front of each frame.
    pub(super) fn reserve(&self, bytes: usize) -> io::Result<()> {
        self.set_packet(libc::PACKET_RESERVE, &c_int::try_from(bytes).map_err(io::Error::other)?)
    }

    /// Creates the receive ring and maps its `len` bytes.
    pub(super) fn map_rx_ring(&self, request: &libc::tpacket_req, len: usize) -> io::Result<Mapping> {
        self.set_packet(libc::PACKET_RX_RING, request)?;
        Mapping::of_socket(&self.0, len)
    }

    /// Has the kernel keep frames that leave by the interface, ours among them, out of the ring.
    pub(super) fn ignore_outgoing(&self) -> io::Result<()> {
        self.set_packet(libc::PACKET_IGNORE_OUTGOING, &1)
    }

    /// Hands frames to the driver directly, past the queueing discipline.
    pub(super) fn bypass_queueing(&self) -> io::Result<()> {
        self.set_packet(libc::PACKET_QDISC_BYPASS, &1)
    }

    /// Lets no frame into the ring, until one of the two below.
    pub(super) fn reject_all(&self) -> io::Result<()> {
        let mut filter = REJECT;
        let program = libc::sock_fprog { len: 1, filter: &raw mut filter };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// Lets every frame into the ring, but of super-frames no more than their mark.
    pub(super) fn accept_marked(&self, filter: &SuperFrameFilter) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_BPF, &filter.descriptor())
    }

    /// Lets every frame into the ring.
    pub(super) fn accept_all(&self) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0)
    }

    /// Binds to an interface: from here on its frames arrive.
    pub(super) fn bind(&self, index: i32) -> io::Result<()> {
        // SAFETY: a sockaddr_ll is numbers and bytes, for which zeros are values.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETH_P_ALL;
        address.sll_ifindex = index;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address lives through the call, and its length is told.
        check(unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), len) })
    }

    /// Becomes another socket, under the same descriptor.
    pub(super) fn become_another(&self, other: &Self) -> io::Result<()> {
        // SAFETY: both descriptors are open, and each is a packet socket before and after.
        let fd = unsafe { libc::dup3(other.0.as_raw_fd(), self.0.as_raw_fd(), libc::O_CLOEXEC) };
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Asks the interface for frames to every address, as long as the socket lives.
    pub(super) fn receive_all_addresses(&self, index: i32) -> io::Result<()> {
        self.add_membership(index, libc::PACKET_MR_PROMISC)
    }

    /// Asks the interface for frames to every group, as long as the socket lives.
    pub(super) fn receive_all_groups(&self, index: i32) -> io::Result<()> {
        self.add_membership(index, libc::PACKET_MR_ALLMULTI)
    }

    fn add_membership(&self, index: i32, kind: c_int) -> io::Result<()> {
        let membership =
            libc::packet_mreq { mr_ifindex: index, mr_type: kind as u16, mr_alen: 0, mr_address: [0; 8] };
        self.set_packet(libc::PACKET_ADD_MEMBERSHIP, &membership)
    }

    /// Starts a group that no other program is in, and joins it. Frames are split by
    /// `PACKET_FANOUT_HASH` or `PACKET_FANOUT_CBPF`.
    pub(super) fn found_group(&self, split_by: u32) -> io::Result<FanoutGroup> {
        let ignoring = split_by | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
        // A kernel that does not know that flag shows outgoing frames; the ring skips them.
        let mode = match self.join(0, libc::PACKET_FANOUT_FLAG_UNIQUEID | ignoring) {
            Ok(()) => ignoring,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                self.join(0, libc::PACKET_FANOUT_FLAG_UNIQUEID | split_by)?;
                split_by
            }
            Err(error) => return Err(error),
        };
        let group: u32 = self.get_packet(libc::PACKET_FANOUT)?;
        Ok(FanoutGroup { id: (group & 0xffff) as u16, mode })
    }

    /// Gives the socket's group the program that splits its frames.
    pub(super) fn split_by_program(&self, program: &mut [libc::sock_filter]) -> io::Result<()> {
        let len = program.len().try_into().map_err(io::Error::other)?;
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        self.set_packet(libc::PACKET_FANOUT_DATA, &program)
    }

    /// Joins a group that another socket founded.
    pub(super) fn join_group(&self, group: FanoutGroup) -> io::Result<()> {
        self.join(group.id, group.mode)
    }

    fn join(&self, id: u16, mode: u32) -> io::Result<()> {
        let value = u32::from(id) | mode << 16;
        self.set_packet(libc::PACKET_FANOUT, &value)
    }

    /// Sizes the send buffer, beyond the system's bound where the rights are there.
    /// Gives the size in bytes that it has then, as the kernel counts it.
    pub(super) fn size_send_buffer(&self, bytes: usize) -> io::Result<usize> {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX / 2);
        self.set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &bytes)
            .or_else(|_| self.set(libc::SOL_SOCKET, libc::SO_SNDBUF, &bytes))?;
        let granted: c_int = self.get(libc::SOL_SOCKET, libc::SO_SNDBUF)?;
        usize::try_from(granted).map_err(io::Error::other)
    }

    /// The descriptor.
    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes the error that the kernel has noted for the socket, which is then none any more.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        let code: c_int = self.get(libc::SOL_SOCKET, libc::SO_ERROR).ok()?;
        (code != 0).then(|| io::Error::from_raw_os_error(code))
    }

    /// What was counted since the last call: the kernel starts anew each time.
    pub(super) fn take_statistics(&self) -> io::Result<Statistics> {
        let counted: [u32; 2] = self.get_packet(libc::PACKET_STATISTICS)?;
        Ok(Statistics { packets: counted[0], drops: counted[1] })
    }

    /// Sends a frame per message, without waiting, in one call; gives how many went out.
    ///
    /// # Errors
    /// What became of the first message, if not even that went out.
    ///
    /// # Safety
    /// The messages name no address and no control data, and the bytes that their vectors
    /// point to may be read.
    pub(super) unsafe fn send(&self, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
        let count = libc::c_uint::try_from(messages.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: there are that many messages, and the caller vouches for what they point to.
        let sent =
            unsafe { libc::sendmmsg(self.0.as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn set_packet<T: Plain>(&self, option: c_int, value: &T) -> io::Result<()> {
        self.set(libc::SOL_PACKET, option, value)
    }

    fn set<T: Plain>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let value = std::ptr::from_ref(value).cast::<c_void>();
        let len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the value lives through the call, and its length is told.
        check(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, value, len) })
    }

    fn get_packet<T: Plain>(&self, option: c_int) -> io::Result<T> {
        self.get(libc::SOL_PACKET, option)
    }

    fn get<T: Plain>(&self, level: c_int, option: c_int) -> io::Result<T> {
        // SAFETY: `Plain` promises that zeros are a value.
        let mut value: T = unsafe { std::mem::zeroed() };
        let mut len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes, and `Plain` promises that any are a value.
        check(unsafe {
            let value = (&raw mut value).cast::<c_void>();
            libc::getsockopt(self.0.as_raw_fd(), level, option, value, &raw mut len)
        })?;
        Ok(value)
    }
}

/// The value of a socket option.
///
/// # Safety
/// Any bytes are a value of the type, and it has the layout of C.
unsafe trait Plain {}

// SAFETY: an integer.
unsafe impl Plain for c_int {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: two integers.
unsafe impl Plain for [u32; 2] {}
// SAFETY: a C struct of integers.
unsafe impl Plain for libc::tpacket_req {}
// SAFETY: a C struct of integers and bytes.
unsafe impl Plain for libc::packet_mreq {}
// SAFETY: a C struct of an integer and a raw pointer.
unsafe impl Plain for libc::sock_fprog {}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
