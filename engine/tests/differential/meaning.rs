//! What an answer means, in a line of text: what it is, from whom and to whom, and what it
//! says. How it says it (TTL, identification, padding, how much an error quotes) is left out.
//! Checksums and lengths are verified on the way: what is wrong in itself means nothing.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::build::{ARP, FRAGMENT, ICMP, ICMPV6, IPV4, IPV6, TCP, UDP, sum};
use super::frames::{HOST_MAC, TESTER_MAC};
use super::joining::joined;

/// A link header and the MTU.
const MAX_FRAME_LEN: usize = 14 + 1500;

/// The answers to frames.
///
/// # Panics
/// If one of them is wrong in itself.
pub(crate) fn meanings(name: &str, asked: &[Vec<u8>], answers: &[Vec<u8>]) -> String {
    let read = |answer: &Vec<u8>| {
        meaning(asked, answer).unwrap_or_else(|fault| panic!("{name}: {fault}: {answer:02x?}"))
    };
    assert!(answers.iter().all(|answer| answer.len() <= MAX_FRAME_LEN), "{name}: over the link's MTU");
    let lines: Vec<_> = joined(answers).iter().filter_map(read).collect();
    if lines.is_empty() { "silence".to_owned() } else { lines.join(" and ") }
}

/// What a frame quotes that says that a fragment waited in vain for the others.
pub(crate) fn late_quote(frame: &[u8]) -> Option<&[u8]> {
    let packet = frame.get(14..)?;
    let (protocol, message) = match u16::from_be_bytes([frame[12], frame[13]]) {
        IPV4 => (*packet.get(9)?, packet.get(usize::from(packet[0] & 15) * 4..)?),
        IPV6 => (*packet.get(6)?, packet.get(40..)?),
        _ => return None,
    };
    match (protocol, message.first()?) {
        (ICMP, 11) | (ICMPV6, 3) => message.get(8..),
        _ => None,
    }
}

type Fault = &'static str;

/// `None` is chatter: what a host says late, or of its own accord, to groups.
fn meaning(asked: &[Vec<u8>], answer: &[u8]) -> Result<Option<String>, Fault> {
    let (to, rest) = split::<6>(answer)?;
    let (from, rest) = split::<6>(rest)?;
    let (ether_type, packet) = split::<2>(rest)?;
    if from != HOST_MAC {
        return Err("not from the host's MAC address");
    }
    let said = match u16::from_be_bytes(ether_type) {
        ARP => Some(arp(packet)?),
        IPV4 => ipv4(asked, packet)?,
        IPV6 => ipv6(asked, packet)?,
        _ => return Err("an unknown EtherType"),
    };
    let whom = if to == TESTER_MAC { String::new() } else { format!(" at {}", mac(to)) };
    Ok(said.map(|said| said + &whom))
}

fn arp(packet: &[u8]) -> Result<String, Fault> {
    let (preamble, rest) = split::<6>(packet)?;
    let (operation, rest) = split::<2>(rest)?;
    let (sender_mac, rest) = split::<6>(rest)?;
    let (sender, rest) = split::<4>(rest)?;
    let (target_mac, rest) = split::<6>(rest)?;
    let (target, padding) = split::<4>(rest)?;
    expect_zeros(padding)?;
    if preamble != [0, 1, 8, 0, 6, 4] {
        return Err("not ARP for IPv4 over Ethernet");
    }
    let [sender, target] = [sender, target].map(Ipv4Addr::from);
    match operation {
        [0, 1] => Ok(format!("ARP request from {sender} for {target}")),
        [0, 2] => {
            Ok(format!("ARP reply: {sender} is at {}, to {target}, {}", mac(sender_mac), mac(target_mac)))
        }
        _ => Err("an unknown ARP operation"),
    }
}

// ---- IPv4 ------------------------------------------------------------------------------

fn ipv4(asked: &[Vec<u8>], packet: &[u8]) -> Result<Option<String>, Fault> {
    let header = packet.first_chunk::<20>().ok_or("cut short")?;
    let header_len = usize::from(header[0] & 15) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let options = packet.get(20..header_len).ok_or("a header length that isn't right")?;
    let payload = packet.get(header_len..total_len).ok_or("a total length that isn't right")?;
    expect_zeros(&packet[total_len..])?;
    if header[0] >> 4 != 4 || sum(&packet[..header_len]) != 0xffff || header[8] == 0 {
        return Err("an IPv4 version, checksum or TTL that isn't right");
    }
    let [a, b, c, d, e, f, g, h] = *packet[12..20].first_chunk().ok_or("cut short")?;
    let (from, to) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
    let said = if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
        format!("a fragment of protocol {}", header[9])
    } else {
        match header[9] {
            UDP => udp(payload, &[&packet[12..20], &[0, UDP, packet[24], packet[25]]].concat())?,
            ICMP => icmpv4(asked, payload)?,
            TCP => "TCP".to_owned(),
            // Membership reports come late.
            2 => return Ok(None),
            _ => return Err("an unknown protocol"),
        }
    };
    let mut line = format!("{said}, {from} to {to}");
    if !options.is_empty() {
        let _ = write!(line, ", with options");
    }
    Ok(Some(line))
}

fn icmpv4(asked: &[Vec<u8>], message: &[u8]) -> Result<String, Fault> {
    let (&[kind, code, ..], body) = message.split_first_chunk::<4>().ok_or("a short ICMP message")?;
    if sum(message) != 0xffff {
        return Err("an ICMP checksum that isn't right");
    }
    let (rest, data) = split::<4>(body)?;
    match kind {
        0 => Ok(format!("ICMP echo reply {code} {}", digest(body))),
        // But for the times.
        14 => Ok(format!(
            "ICMP timestamp reply {}",
            digest(&[&rest[..], data.get(..4).unwrap_or(data)].concat())
        )),
        3 | 11 => error("ICMP", [kind, code], rest, data, asked),
        12 => error("ICMP", [kind, code], [0, 0, 0, rest[0]], data, asked),
        _ => Ok(format!("ICMP {kind}/{code}")),
    }
}

// ---- IPv6 ------------------------------------------------------------------------------

fn ipv6(asked: &[Vec<u8>], packet: &[u8]) -> Result<Option<String>, Fault> {
    let header = packet.first_chunk::<40>().ok_or("cut short")?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let payload = packet.get(40..40 + len).ok_or("a payload length that isn't right")?;
    expect_zeros(&packet[40 + len..])?;
    if header[0] >> 4 != 6 || header[7] == 0 {
        return Err("an IPv6 version or hop limit that isn't right");
    }
    let (from, to) = (address(&header[8..24])?, address(&header[24..40])?);
    let pseudo =
        |len: usize, next: u8| [&header[8..40], &(len as u32).to_be_bytes(), &[0, 0, 0, next]].concat();
    let said = match header[6] {
        UDP => udp(payload, &pseudo(usize::from(u16::from_be_bytes([packet[44], packet[45]])), UDP))?,
        ICMPV6 => {
            if sum(&[&pseudo(len, ICMPV6), payload].concat()) != 0xffff {
                return Err("an ICMPv6 checksum that isn't right");
            }
            icmpv6(asked, payload, header[7])?
        }
        TCP => "TCP".to_owned(),
        FRAGMENT => "a fragment".to_owned(),
        // Listener reports come late, behind a router alert.
        0 => return Ok(None),
        _ => return Err("an unknown next header"),
    };
    Ok(Some(format!("{said}, {from} to {to}")))
}

fn icmpv6(asked: &[Vec<u8>], message: &[u8], hops: u8) -> Result<String, Fault> {
    let (&[kind, code, ..], body) = message.split_first_chunk::<4>().ok_or("a short ICMPv6 message")?;
    let (rest, data) = split::<4>(body)?;
    match kind {
        1..=4 => error("ICMPv6", [kind, code], rest, data, asked),
        129 => Ok(format!("ICMPv6 echo reply {code} {}", digest(body))),
        135 | 136 if hops != 255 => Err("neighbour discovery with a hop limit under 255"),
        135 => Ok(format!("solicitation of {}", address(data)?)),
        136 => {
            let flags: String = "RSO"
                .chars()
                .enumerate()
                .filter(|(bit, _)| rest[0] << bit & 0x80 != 0)
                .map(|(_, flag)| flag)
                .collect();
            let link = data.get(16..).unwrap_or_default();
            Ok(format!("advertisement of {} flags {flags} link {link:02x?}", address(data)?))
        }
        _ => Ok(format!("ICMPv6 {kind}/{code}")),
    }
}

// ---- both ------------------------------------------------------------------------------

fn udp(datagram: &[u8], pseudo_header: &[u8]) -> Result<String, Fault> {
    let (&[a, b, c, d, e, f, g, h], payload) = datagram.split_first_chunk::<8>().ok_or("a short datagram")?;
    if usize::from(u16::from_be_bytes([e, f])) != datagram.len() {
        return Err("a UDP length that isn't the packet's");
    }
    if [g, h] == [0, 0] || sum(&[pseudo_header, datagram].concat()) != 0xffff {
        return Err("a UDP checksum that isn't right");
    }
    let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Ok(format!("UDP {from} to {to} {}", digest(payload)))
}

/// An error has to quote what was asked: the IP header and eight bytes at least.
fn error(
    version: &str,
    [kind, code]: [u8; 2],
    rest: [u8; 4],
    quote: &[u8],
    asked: &[Vec<u8>],
) -> Result<String, Fault> {
    let is_of = |frame: &Vec<u8>| frame.get(14..).is_some_and(|packet| packet.starts_with(quote));
    // A kernel that answers with options in the header has its quote changed.
    if quote.len() < 28 || !asked.iter().any(is_of) {
        return Ok(format!(
            "{version} error {kind}/{code} value {} about something else",
            u32::from_be_bytes(rest)
        ));
    }
    Ok(format!("{version} error {kind}/{code} value {}", u32::from_be_bytes(rest)))
}

/// What fills a frame up tells nothing of what its memory held before.
fn expect_zeros(padding: &[u8]) -> Result<(), Fault> {
    if padding.iter().all(|&byte| byte == 0) { Ok(()) } else { Err("padding that isn't zero") }
}

/// How many bytes, and which (FNV-1a).
fn digest(bytes: &[u8]) -> String {
    let hash =
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("({} bytes {hash:08x})", bytes.len())
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

fn address(bytes: &[u8]) -> Result<Ipv6Addr, Fault> {
    bytes.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets)).ok_or("cut short")
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Fault> {
    bytes.split_first_chunk().map(|(first, rest)| (*first, rest)).ok_or("cut short")
}
