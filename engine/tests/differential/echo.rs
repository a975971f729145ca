//! A UDP echo on the kernel's sockets, one for each version of IP.

use std::io;
use std::mem::size_of_val;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a server takes to see that it is to stop.
const PAUSE: Duration = Duration::from_millis(100);

/// The servers, gone with their value.
pub(crate) struct Echo {
    servers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Echo {
    /// Servers on a port of all addresses of the calling thread's namespace, on threads that
    /// share its processors.
    pub(crate) fn start(port: u16) -> Self {
        let four = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the echo port");
        let six = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).expect("the echo port over IPv6");
        ask_for_destinations(&six);
        let stop = Arc::<AtomicBool>::default();
        let servers = [serve(four, &stop, echo), serve(six, &stop, echo6)].into();
        Self { servers, stop }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.servers.drain(..).for_each(|server| server.join().expect("no panic"));
    }
}

fn serve(socket: UdpSocket, stop: &Arc<AtomicBool>, echo: fn(&UdpSocket)) -> JoinHandle<()> {
    socket.set_read_timeout(Some(PAUSE)).expect("a timeout");
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            echo(&socket);
        }
    })
}

/// The host has one IPv4 address, from which all answers leave.
fn echo(socket: &UdpSocket) {
    let mut payload = [0; 4096];
    if let Ok((len, from)) = socket.recv_from(&mut payload) {
        // Some sources can't be answered: that is an answer too.
        let _ = socket.send_to(&payload[..len], from);
    }
}

/// Says with each datagram to which address it came.
fn ask_for_destinations(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    let (option, value) = (libc::IPV6_RECVPKTINFO, (&raw const on).cast());
    let len = size_of_val(&on) as u32;
    // SAFETY: a number that lives through the call.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IPV6, option, value, len) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Answers from the address that was asked, or from the one that the kernel chooses where a
/// group was.
fn echo6(socket: &UdpSocket) {
    let (mut payload, mut control) = ([0_u8; 4096], [0_u64; 16]);
    let mut slice = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
    // SAFETY: zeros are values of both.
    let (mut from, mut message): (libc::sockaddr_in6, libc::msghdr) = unsafe { std::mem::zeroed() };
    (message.msg_name, message.msg_namelen) = ((&raw mut from).cast(), size_of_val(&from) as u32);
    (message.msg_iov, message.msg_iovlen) = (&raw mut slice, 1);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
    // SAFETY: an open socket, and buffers with their lengths that live through the call.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let Ok(len) = usize::try_from(received) else { return };
    slice.iov_len = len;
    (message.msg_iov, message.msg_flags) = (&raw mut slice, 0);
    // SAFETY: the call filled the message, whose control buffer is aligned for its headers.
    let asked = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        assert!(!header.is_null(), "the address that was asked");
        &mut *libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>()
    };
    if asked.ipi6_addr.s6_addr[0] == 0xff {
        asked.ipi6_addr.s6_addr = [0; 16];
    }
    // SAFETY: the same buffers.
    unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) };
}
