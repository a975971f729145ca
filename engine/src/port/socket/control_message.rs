//! Control messages (cmsg(3)) of datagrams, over bytes: which address of ours one was sent to
//! or leaves from, and how long the datagrams are that are joined in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Headers and data start at multiples of a word.
const WORD: usize = size_of::<usize>();
const LEVEL_AT: usize = WORD;
const KIND_AT: usize = WORD + 4;
const HEADER_LEN: usize = (WORD + 8).next_multiple_of(WORD);
/// Room for everything that is asked for or sent: two messages, and one more of the largest.
const CAPACITY: usize = 3 * (HEADER_LEN + 24);

/// Room for control messages, in the kernel's layout.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer([u8; CAPACITY]);

/// What the kernel says of a received datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What it was sent to, where that was asked for.
    pub(super) destination: Option<Destination>,
    /// The length in bytes of each of the datagrams that are joined in it, but the last,
    /// which may be shorter; `None` if it is one.
    pub(super) segment_len: Option<usize>,
}

/// What a datagram was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The address in its header.
    pub(super) address: IpAddr,
    /// The interface that it came by.
    pub(super) interface: u32,
    /// Whether that is an address of ours, and not a group's that we are in.
    pub(super) is_own: bool,
}

impl Default for ControlBuffer {
    fn default() -> Self {
        Self([0; CAPACITY])
    }
}

impl ControlBuffer {
    /// Its bytes in all.
    pub(super) const CAPACITY: usize = CAPACITY;

    /// Reads the first `len` bytes, which the kernel wrote.
    pub(super) fn read(&self, len: usize) -> Told {
        let mut told = Told::default();
        let mut rest = &self.0[..len.min(CAPACITY)];
        while let Some((level, kind, data, next)) = split(rest) {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => told.destination = destination_v4(data),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => told.destination = destination_v6(data),
                (libc::SOL_UDP, libc::UDP_GRO) => told.segment_len = segment_len(data),
                _ => {}
            }
            rest = next;
        }
        told
    }

    /// Has a datagram leave from `source` by `interface` (0: whichever the route says), and be
    /// cut into datagrams of `segment_len` bytes, as far as that is wanted. Gives the length in
    /// bytes.
    pub(super) fn write(&mut self, source: Option<(IpAddr, u32)>, segment_len: Option<u16>) -> usize {
        let mut at = 0;
        match source {
            Some((IpAddr::V4(source), interface)) => {
                let mut data = [0; 12];
                data[..4].copy_from_slice(&interface.to_ne_bytes());
                data[4..8].copy_from_slice(&source.octets());
                at = self.push(at, libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
            }
            Some((IpAddr::V6(source), interface)) => {
                let mut data = [0; 20];
                data[..16].copy_from_slice(&source.octets());
                data[16..].copy_from_slice(&interface.to_ne_bytes());
                at = self.push(at, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
            }
            None => {}
        }
        if let Some(len) = segment_len {
            at = self.push(at, libc::SOL_UDP, libc::UDP_SEGMENT, &len.to_ne_bytes());
        }
        at
    }

    /// Writes a message at `at`, for which there is room, and gives where the next one starts.
    fn push(&mut self, at: usize, level: i32, kind: i32, data: &[u8]) -> usize {
        let message = &mut self.0[at..][..(HEADER_LEN + data.len()).next_multiple_of(WORD)];
        message.fill(0);
        message[..WORD].copy_from_slice(&(HEADER_LEN + data.len()).to_ne_bytes());
        message[LEVEL_AT..][..4].copy_from_slice(&level.to_ne_bytes());
        message[KIND_AT..][..4].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER_LEN..][..data.len()].copy_from_slice(data);
        at + message.len()
    }
}

/// The level, kind and data of the first message, and what follows it.
fn split(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let len = usize::from_ne_bytes(*bytes.first_chunk()?);
    let message = bytes.get(..len).filter(|_| len >= HEADER_LEN)?;
    let level = i32::from_ne_bytes(*message[LEVEL_AT..].first_chunk()?);
    let kind = i32::from_ne_bytes(*message[KIND_AT..].first_chunk()?);
    let next = bytes.get(len.next_multiple_of(WORD)..).unwrap_or_default();
    Some((level, kind, &message[HEADER_LEN..], next))
}

/// `in_pktinfo`: the interface, the address that would answer, and the one in the header.
fn destination_v4(data: &[u8]) -> Option<Destination> {
    let (interface, rest) = data.split_first_chunk()?;
    let (local, rest) = rest.split_first_chunk::<4>()?;
    let address = rest.first_chunk::<4>()?;
    Some(Destination {
        address: Ipv4Addr::from(*address).into(),
        interface: u32::from_ne_bytes(*interface),
        is_own: local == address,
    })
}

/// `in6_pktinfo`: the address in the header, and the interface.
fn destination_v6(data: &[u8]) -> Option<Destination> {
    let (address, rest) = data.split_first_chunk::<16>()?;
    let address = Ipv6Addr::from(*address);
    let interface = u32::from_ne_bytes(*rest.first_chunk()?);
    Some(Destination { address: address.into(), interface, is_own: !address.is_multicast() })
}

/// Kernels write 4 bytes, udp(7) speaks of 2.
fn segment_len(data: &[u8]) -> Option<usize> {
    let len = match data.first_chunk::<4>() {
        Some(word) => i32::from_ne_bytes(*word),
        None => u16::from_ne_bytes(*data.first_chunk()?).into(),
    };
    usize::try_from(len).ok().filter(|&len| len > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Linux 6.18 wrote for a joined datagram to 127.0.0.1 on a little-endian machine of
    /// 64 bits: `IP_PKTINFO`, then `UDP_GRO` of 100 bytes.
    #[cfg(all(target_endian = "little", target_pointer_width = "64"))]
    const CAPTURED: [u8; 56] = [
        28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0,
        20, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 104, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    #[cfg(all(target_endian = "little", target_pointer_width = "64"))]
    fn what_the_kernel_says_is_read() {
        let mut buffer = ControlBuffer::default();
        buffer.0[..CAPTURED.len()].copy_from_slice(&CAPTURED);
        let own = Destination { address: [127, 0, 0, 1].into(), interface: 1, is_own: true };
        assert_eq!(buffer.read(CAPTURED.len()), Told { destination: Some(own), segment_len: Some(100) });
        assert_eq!(buffer.read(32), Told { destination: Some(own), segment_len: None });
        assert_eq!(buffer.read(31).destination, Some(own), "the padding may be missing");
        assert_eq!(buffer.read(27), Told::default(), "cut short");
        buffer.0[27] = 255;
        assert_eq!(buffer.read(32).destination.map(|to| to.is_own), Some(false), "a broadcast");
    }

    #[test]
    fn what_is_written_is_what_the_kernel_s_macros_make() {
        let mut buffer = ControlBuffer::default();
        let source: IpAddr = "fd00::1".parse().expect("address");
        // SAFETY: the macros count and touch nothing.
        let (v4, v6, segment) = unsafe { (libc::CMSG_SPACE(12), libc::CMSG_SPACE(20), libc::CMSG_SPACE(2)) };
        assert_eq!(buffer.write(None, None), 0);
        assert_eq!(buffer.write(None, Some(1200)), segment as usize);
        assert_eq!(buffer.write(Some(([10, 0, 0, 1].into(), 0)), None), v4 as usize);
        let len = buffer.write(Some((source, 3)), Some(1200));
        assert_eq!(len, (v6 + segment) as usize);
        let own = Destination { address: source, interface: 3, is_own: true };
        assert_eq!(buffer.read(len).destination, Some(own));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..CAPACITY), first in 0..80_u8) {
            let mut buffer = ControlBuffer::default();
            buffer.0[..bytes.len()].copy_from_slice(&bytes);
            buffer.read(bytes.len());
            buffer.0[..8].copy_from_slice(&[first, 0, 0, 0, 0, 0, 0, 0]);
            buffer.read(bytes.len());
        }
    }
}
