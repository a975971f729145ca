//! A UDP socket and its options (udp(7), ip(7), ipv6(7), socket(7)).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void};

use super::address::Name;

/// Words of `SO_MEMINFO` that are read.
const MEMINFO_WORDS: usize = libc::SK_MEMINFO_DROPS as usize + 1;

/// A UDP socket that is never waited for.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// A socket of the family of `address`, and of that family alone.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: the call takes no pointers; what it returns is checked below.
        let fd = unsafe { libc::socket(family, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now and is nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        if address.is_ipv6() {
            socket.set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        Ok(socket)
    }

    /// Lets other sockets of this user have the same address, among which the kernel then
    /// spreads what comes by a hash of both ends.
    pub(super) fn share_address(&self) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
    }

    /// Has the kernel say with each datagram what it was sent to.
    pub(super) fn tell_destination(&self, is_ipv4: bool) -> io::Result<()> {
        match is_ipv4 {
            true => self.set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
            false => self.set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        }
    }

    /// Hops that its packets may take.
    pub(super) fn set_hops(&self, is_ipv4: bool, hops: u8) -> io::Result<()> {
        match is_ipv4 {
            true => self.set(libc::IPPROTO_IP, libc::IP_TTL, hops.into()),
            false => self.set(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, hops.into()),
        }
    }

    /// Takes datagrams that the kernel joined as they are, to be split here.
    pub(super) fn take_joined(&self) -> io::Result<()> {
        self.set(libc::SOL_UDP, libc::UDP_GRO, 1)
    }

    /// Whether the kernel can cut what is sent into datagrams.
    pub(super) fn can_cut(&self) -> bool {
        // 0 is what every socket starts with.
        self.set(libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
    }

    /// Has a poll of the empty socket look at the device for so many microseconds.
    pub(super) fn busy_poll(&self, micros: u32) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_BUSY_POLL, c_int::try_from(micros).unwrap_or(c_int::MAX))
    }

    /// Prefers that to the device's interrupts (Linux 5.11).
    pub(super) fn prefer_busy_poll(&self) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 1)
    }

    /// Sizes both buffers, beyond the system's bound where the rights are there. Gives the size of
    /// the receive buffer in bytes, as the kernel counts it.
    pub(super) fn size_buffers(&self, bytes: c_int) -> io::Result<usize> {
        let size = |forced, plain| {
            self.set(libc::SOL_SOCKET, forced, bytes).or_else(|_| self.set(libc::SOL_SOCKET, plain, bytes))
        };
        size(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)?;
        size(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF)?;
        let [granted] = self.words(libc::SO_RCVBUF)?;
        Ok(granted as usize)
    }

    /// Binds it: from here on datagrams arrive.
    pub(super) fn bind(&self, address: SocketAddr) -> io::Result<()> {
        let (name, len) = Name::of(address);
        let name = (&raw const name).cast();
        // SAFETY: the name lives through the call, and its length is told.
        check(unsafe { libc::bind(self.0.as_raw_fd(), name, len as libc::socklen_t) })
    }

    /// The address and port that it is bound to.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        let mut name = Name::default();
        let mut len = Name::CAPACITY as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes, any of which are a name.
        check(unsafe { libc::getsockname(self.0.as_raw_fd(), (&raw mut name).cast(), &raw mut len) })?;
        name.read().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Datagrams that the kernel has dropped at this socket: its buffer was full, or their checksum
    /// wrong. The count wraps.
    pub(super) fn drops(&self) -> io::Result<u32> {
        let words: [u32; MEMINFO_WORDS] = self.words(libc::SO_MEMINFO)?;
        Ok(words[libc::SK_MEMINFO_DROPS as usize])
    }

    /// `recvmmsg`, without waiting. Gives how many messages were filled.
    ///
    /// # Safety
    /// What the messages point to is the caller's to write, for as long as the call takes.
    #[inline]
    pub(super) unsafe fn receive(&self, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
        let (pointer, count) = (messages.as_mut_ptr(), messages.len() as libc::c_uint);
        let (fd, flags, no_timeout) = (self.0.as_raw_fd(), libc::MSG_DONTWAIT, std::ptr::null_mut());
        // SAFETY: there are that many messages, and the caller vouches for what they point to.
        let received = unsafe { libc::recvmmsg(fd, pointer, count, flags, no_timeout) };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// `sendmmsg`, without waiting. Gives how many messages the kernel took.
    ///
    /// # Errors
    /// What became of the first message, if not even that was taken.
    ///
    /// # Safety
    /// What the messages point to may be read, for as long as the call takes.
    #[inline]
    pub(super) unsafe fn send(&self, messages: &mut [libc::mmsghdr]) -> io::Result<usize> {
        let (pointer, count) = (messages.as_mut_ptr(), messages.len() as libc::c_uint);
        // SAFETY: there are that many messages, and the caller vouches for what they point to.
        let sent = unsafe { libc::sendmmsg(self.0.as_raw_fd(), pointer, count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn set(&self, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
        let value = (&raw const value).cast::<c_void>();
        let len = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the value lives through the call, and its length is told.
        check(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, value, len) })
    }

    /// An option of the socket level that is made of words. Those that the kernel lacks are 0.
    fn words<const N: usize>(&self, option: c_int) -> io::Result<[u32; N]> {
        let mut words = [0_u32; N];
        let mut len = size_of::<[u32; N]>() as libc::socklen_t;
        let (fd, value) = (self.0.as_raw_fd(), words.as_mut_ptr().cast::<c_void>());
        // SAFETY: the kernel writes at most `len` bytes, and any are words.
        check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, value, &raw mut len) })?;
        Ok(words)
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Those of several sockets that have something to receive, and a descriptor that is readable while
/// there are any (epoll(7)).
#[derive(Debug)]
pub(super) struct Readable {
    epoll: OwnedFd,
    events: [libc::epoll_event; Self::AT_A_TIME],
}

impl Readable {
    /// Sockets that are found at a time.
    pub(super) const AT_A_TIME: usize = 64;

    /// Of these, numbered from 0.
    pub(super) fn of<'a>(sockets: impl Iterator<Item = &'a Socket>) -> io::Result<Self> {
        // SAFETY: the call takes no pointers; what it returns is checked below.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now and is nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        for (index, socket) in sockets.enumerate() {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            let (fd, add) = (socket.as_raw_fd(), libc::EPOLL_CTL_ADD);
            // SAFETY: both descriptors are open, and the event lives through the call.
            check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), add, fd, &raw mut event) })?;
        }
        Ok(Self { epoll, events: [libc::epoll_event { events: 0, u64: 0 }; Self::AT_A_TIME] })
    }

    /// Looks, without waiting, and gives how many sockets have something. Those that find no place
    /// now are the first of the next call.
    #[inline]
    pub(super) fn look(&mut self) -> usize {
        let (events, room) = (self.events.as_mut_ptr(), Self::AT_A_TIME as c_int);
        // SAFETY: there is room for that many events, and it lives through the call.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events, room, 0) };
        // A signal may interrupt even that; then there is nothing yet.
        usize::try_from(count).unwrap_or(0)
    }

    /// The number of one of the sockets that [`look`](Self::look) found.
    #[inline]
    pub(super) fn found(&self, at: usize) -> usize {
        self.events[at].u64 as usize
    }
}

impl AsRawFd for Readable {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
