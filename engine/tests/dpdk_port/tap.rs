//! net_tap: the one virtual device with RSS and checksum offloads, and the kernel at its other end.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use gannet::packet::{Burst, IpVersion, Packet, RxChecksum, RxChecksums};
use gannet::port::dpdk::{DpdkQueue, Eal, Mbuf};
use gannet::port::{FrameQueue, PortConfig, PortControl, RssKey};

use crate::{BURST, balanced, opened};

/// The kernel's names of net_tap0 and net_tap1.
pub(crate) const TAP: &str = "gannet-tap0";
pub(crate) const SHORT_TAP: &str = "gannet-tap1";

pub(crate) fn two_queues(eal: &Eal) {
    let rss_key = Some(RssKey([0x6d; RssKey::LEN]));
    let config = PortConfig { queues: 2, all_multicast: true, rss_key, ..PortConfig::default() };
    let (first, mut port) = opened(eal, "net_tap0", &config);
    let mut queues = [first, port.queues.remove(0)];
    assert_eq!(port.control.description().queues, 2);
    let granted = port.control.description().granted.join("\n");
    for line in
        ["RSS over ipv4", "RSS key random, 40 bytes", "frames to every group address (all multicast) granted"]
    {
        assert!(granted.contains(line), "{line} is in:\n{granted}");
    }

    let socket = PacketSocket::bind(TAP);
    flows_keep_their_queue(&socket, &mut queues);
    if queues[0].capabilities().rx_udp_checksum {
        received_checksums(&socket, &mut queues);
    }
    if queues[0].capabilities().tx_udp_checksum {
        sent_checksum(&socket, &mut queues[1], IpVersion::V4);
        sent_checksum(&socket, &mut queues[1], IpVersion::V6);
    }
    drop(queues);
    link_state(&mut *port.control);
    balanced(&port.control.close(), 1);
}

/// The device's link is its interface's state.
fn link_state(control: &mut dyn PortControl) {
    assert!(control.is_link_up());
    for (state, up) in [("down", false), ("up", true)] {
        let status = Command::new("ip").args(["link", "set", TAP, state]).status().expect("ip is there");
        assert!(status.success());
        let deadline = Instant::now() + Duration::from_secs(5);
        while control.is_link_up() != up {
            assert!(Instant::now() < deadline, "{state} is not seen");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Polls all queues until `count` frames came from our station, and gives each with its queue.
/// The kernel's own chatter (IPv6, mostly) is freed.
fn ours(queues: &mut [DpdkQueue; 2], count: usize) -> Vec<(usize, Mbuf)> {
    let mut frames = Vec::new();
    let mut burst = Burst::with_capacity(BURST);
    let mut others = Burst::with_capacity(BURST);
    let deadline = Instant::now() + Duration::from_secs(5);
    while frames.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} frames came", frames.len());
        for (index, queue) in queues.iter_mut().enumerate() {
            queue.rx_burst(&mut burst);
            for packet in burst.drain() {
                if packet.frame()[6..12] == STATION {
                    frames.push((index, packet));
                } else {
                    others.push(packet).expect("room");
                }
            }
            queue.free_burst(&mut others);
        }
    }
    frames
}

fn give_back(queue: &mut DpdkQueue, frames: Vec<(usize, Mbuf)>) {
    let mut burst = Burst::with_capacity(frames.len());
    frames.into_iter().for_each(|(_, packet)| burst.push(packet).expect("room"));
    queue.free_burst(&mut burst);
}

fn flows_keep_their_queue(socket: &PacketSocket, queues: &mut [DpdkQueue; 2]) {
    let mut queue_of = [None; 64];
    for _round in 0..4 {
        for flow in 0..64 {
            socket.send(&datagram(2000 + flow, b"to and fro", true));
        }
        let frames = ours(queues, 64);
        for (queue, packet) in &frames {
            let port = u16::from_be_bytes([packet.frame()[34], packet.frame()[35]]);
            let known = queue_of[usize::from(port) - 2000].get_or_insert(*queue);
            assert_eq!(known, queue, "the flow from port {port}");
        }
        give_back(&mut queues[0], frames);
    }
    let on_first = queue_of.iter().filter(|queue| **queue == Some(0)).count();
    println!("  {on_first} of 64 flows on queue 0");
    assert!((8..56).contains(&on_first), "both queues have their share");
}

fn received_checksums(socket: &PacketSocket, queues: &mut [DpdkQueue; 2]) {
    for (good, expected) in [(true, RxChecksum::Good), (false, RxChecksum::Bad)] {
        socket.send(&datagram(7, b"checked", good));
        let frames = ours(queues, 1);
        assert_eq!(frames[0].1.rx_checksums(), RxChecksums { ipv4: RxChecksum::Good, udp: expected });
        give_back(&mut queues[0], frames);
        socket.send(&datagram_v6(b"checked", good));
        let frames = ours(queues, 1);
        assert_eq!(frames[0].1.rx_checksums().udp, expected, "IPv6");
        give_back(&mut queues[0], frames);
    }
    // No checksum at all is a statement of the sender over IPv4 and an error over IPv6 (RFC 8200, 8.1).
    // The driver does not tell the first from one that was left unfilled.
    let without = [
        (datagram(7, b"none", true), 40, RxChecksum::Unfilled),
        (datagram_v6(b"none", true), 60, RxChecksum::Bad),
    ];
    for (mut frame, at, expected) in without {
        frame[at..at + 2].fill(0);
        socket.send(&frame);
        let frames = ours(queues, 1);
        assert_eq!(frames[0].1.rx_checksums().udp, expected, "no checksum");
        give_back(&mut queues[0], frames);
    }
}

/// A datagram whose checksum holds the sum of its pseudo header leaves with the right one.
fn sent_checksum(socket: &PacketSocket, queue: &mut DpdkQueue, version: IpVersion) {
    let (expected, l3_len) = match version {
        IpVersion::V4 => (datagram(9, b"to be completed", true), 20),
        IpVersion::V6 => (datagram_v6(b"to be completed", true), 40),
    };
    let udp_at = 14 + l3_len;
    let pseudo_header = match version {
        IpVersion::V4 => pseudo_header(&expected[14..], expected.len() - udp_at),
        IpVersion::V6 => pseudo_header_v6(&expected[14..], expected.len() - udp_at),
    };
    let mut burst = Burst::with_capacity(1);
    queue.alloc_burst(&mut burst);
    burst[0].room_mut()[..expected.len()].copy_from_slice(&expected);
    burst[0].set_frame_len(expected.len());
    let sum = !internet_checksum(&pseudo_header);
    burst[0].room_mut()[udp_at + 6..][..2].copy_from_slice(&sum.to_be_bytes());
    burst[0].request_udp_checksum(version, 14, l3_len);
    queue.tx_burst(&mut burst);
    assert!(burst.is_empty());
    let came = (0..100).find_map(|_| socket.receive().filter(|frame| frame[6..12] == STATION));
    assert_eq!(came.expect("the frame comes out"), expected);
}

const STATION: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// A UDP datagram from a port of 10.99.0.9 to port 7 of 10.99.0.1, in a broadcast frame.
fn datagram(source: u16, payload: &[u8], good: bool) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, (28 + payload.len()) as u8, 0, 0, 0x40, 0, 64, 17, 0, 0];
    ip.extend([10, 99, 0, 9, 10, 99, 0, 1]);
    let sum = internet_checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let len = (8 + payload.len()) as u16;
    let mut udp: Vec<u8> = [source, 7, len, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    udp.extend(payload);
    let sum = internet_checksum(&[&pseudo_header(&ip, udp.len())[..], &udp].concat());
    udp[6..8].copy_from_slice(&if good { sum } else { sum ^ 1 }.to_be_bytes());
    [&[0xff; 6][..], &STATION, &[8, 0], &ip, &udp].concat()
}

/// The same over IPv6, from port 9 of fd00::9 to port 7 of fd00::1.
fn datagram_v6(payload: &[u8], good: bool) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let mut ip = vec![0x60, 0, 0, 0, 0, len as u8, 17, 64];
    for host in [9, 1] {
        ip.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    let mut udp: Vec<u8> = [9, 7, len, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    udp.extend(payload);
    let sum = internet_checksum(&[&pseudo_header_v6(&ip, udp.len())[..], &udp].concat());
    udp[6..8].copy_from_slice(&if good { sum } else { sum ^ 1 }.to_be_bytes());
    [&[0xff; 6][..], &STATION, &[0x86, 0xdd], &ip, &udp].concat()
}

/// RFC 8200, 8.1.
fn pseudo_header_v6(ip: &[u8], udp_len: usize) -> Vec<u8> {
    [&ip[8..40], &[0, 0, 0, udp_len as u8, 0, 0, 0, 17]].concat()
}

fn pseudo_header(ip: &[u8], udp_len: usize) -> Vec<u8> {
    [&ip[12..20], &[0, 17, 0, udp_len as u8]].concat()
}

/// RFC 1071, in the plainest way.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// A tap with another MTU, and the longest frame that it takes.
pub(crate) fn short_mtu(eal: &Eal) {
    let config = PortConfig { mtu: Some(1400), ..PortConfig::default() };
    let (mut queue, port) = opened(eal, "net_tap1", &config);
    assert_eq!(queue.capabilities().mtu, 1400);
    let kernel = std::fs::read_to_string(format!("/sys/class/net/{SHORT_TAP}/mtu")).expect("an interface");
    assert_eq!(kernel.trim(), "1400");
    let socket = PacketSocket::bind(SHORT_TAP);
    let mut frame = datagram(1, b"", true);
    frame.resize(14 + 1400, 0x5a);
    socket.send(&frame);
    let mut burst = Burst::with_capacity(BURST);
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut came = false;
    while !came {
        assert!(Instant::now() < deadline, "the longest frame did not come");
        queue.rx_burst(&mut burst);
        came = burst.iter().any(|packet| packet.frame() == frame);
        queue.free_burst(&mut burst);
    }
    drop(queue);
    balanced(&port.control.close(), 1);
}

/// The kernel's end of a tap.
struct PacketSocket(OwnedFd);

impl PacketSocket {
    fn bind(interface: &str) -> Self {
        let name = std::ffi::CString::new(interface).expect("no zero byte");
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a zero-terminated name, and an address of the family's kind.
        unsafe {
            let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
            assert!(socket >= 0, "{}", std::io::Error::last_os_error());
            let socket = OwnedFd::from_raw_fd(socket);
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            address.sll_ifindex = libc::if_nametoindex(name.as_ptr()).cast_signed();
            let bound =
                libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32);
            assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
            Self(socket)
        }
    }

    fn send(&self, frame: &[u8]) {
        // SAFETY: an open socket and a buffer of that length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }

    /// The next frame that goes into the kernel; what this socket sends is not among them.
    fn receive(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 2048];
        // SAFETY: an all-zero address is one to be filled.
        let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut from_len = size_of_val(&from) as u32;
        // SAFETY: an open socket, a buffer and an address with their lengths.
        let len = unsafe {
            let (buffer, from) = (frame.as_mut_ptr().cast(), (&raw mut from).cast());
            libc::recvfrom(
                self.0.as_raw_fd(),
                buffer,
                frame.len(),
                libc::MSG_DONTWAIT,
                from,
                &raw mut from_len,
            )
        };
        if len < 0 {
            thread::sleep(Duration::from_millis(10));
        }
        frame.truncate(usize::try_from(len).ok()?);
        (from.sll_pkttype != libc::PACKET_OUTGOING).then_some(frame)
    }
}
