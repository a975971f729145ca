//! `--replay`: the payloads of a capture's UDP datagrams, and when they were captured.
//!
//! Payloads are replayed, to the targets and in the generator's own flows, not frames: what
//! stands in front of them is made anew. They go out as they are, without the bytes that
//! measure, so answers are counted and not matched.

use std::ops::Range;
use std::path::Path;

use gannet::port::pcap::{Capture, PcapError};
use gannet::wire::ethernet::{self, EtherType};
use gannet::wire::protocol::Protocol;
use gannet::wire::{ipv4, ipv6, udp};

/// Length of a VLAN tag in bytes.
const TAG_LEN: usize = 4;
/// In nanoseconds.
const MILLISECOND: u64 = 1_000_000;

/// The payloads of a capture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay {
    bytes: Vec<u8>,
    /// Where each payload stands, and when it came, in nanoseconds after the first.
    payloads: Vec<(Range<usize>, u64)>,
}

/// Why there is nothing to replay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Capture(#[from] PcapError),
    #[error("--replay {0}: there is no UDP datagram in it, or only parts of such")]
    Nothing(String),
}

impl Replay {
    /// Those of a capture file.
    pub(crate) fn read(path: &Path) -> Result<Self, ReplayError> {
        let capture = Capture::read(path)?;
        let mut replay = Self::default();
        for (at, frame) in capture.frames() {
            if let Some(payload) = payload(frame) {
                replay.push(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX), payload);
            }
        }
        replay.settle();
        if replay.payloads.is_empty() {
            Err(ReplayError::Nothing(path.display().to_string()))
        } else {
            Ok(replay)
        }
    }

    fn push(&mut self, at: u64, payload: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.payloads.push((start..self.bytes.len(), at));
    }

    /// Counts the times from the first; one that goes back is that of the one before.
    fn settle(&mut self) {
        let first = self.payloads.first().map_or(0, |(_, at)| *at);
        let mut last = 0;
        for (_, at) in &mut self.payloads {
            last = at.saturating_sub(first).max(last);
            *at = last;
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.payloads.len()
    }

    pub(crate) fn payload(&self, number: usize) -> Option<&[u8]> {
        self.bytes.get(self.payloads.get(number)?.0.clone())
    }

    /// When it came, in nanoseconds after the first.
    pub(crate) fn at(&self, number: usize) -> u64 {
        self.payloads.get(number).map_or(0, |(_, at)| *at)
    }

    /// How long a round takes: the last one is followed by the first after a mean gap, and in a
    /// capture that has no times after a millisecond.
    pub(crate) fn period(&self) -> u64 {
        let gaps = self.payloads.len().saturating_sub(1).max(1) as u64;
        let last = self.at(self.payloads.len().saturating_sub(1));
        if last == 0 { MILLISECOND } else { last + last / gaps }
    }

    #[cfg(test)]
    pub(crate) fn of(payloads: &[(u64, &[u8])]) -> Self {
        let mut replay = Self::default();
        payloads.iter().for_each(|(at, payload)| replay.push(*at, payload));
        replay.settle();
        replay
    }
}

/// The payload of the UDP datagram in a frame, which is no fragment.
fn payload(frame: &[u8]) -> Option<&[u8]> {
    let (header, mut rest) = ethernet::Header::split(frame)?;
    let mut ether_type = header.ether_type();
    while matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) {
        let (tag, behind) = rest.split_first_chunk::<TAG_LEN>()?;
        ether_type = EtherType(u16::from_be_bytes([tag[2], tag[3]]));
        rest = behind;
    }
    let datagram = match ether_type {
        EtherType::IPV4 => {
            let packet = ipv4::Packet::parse(rest).ok().filter(|packet| !packet.is_fragment())?;
            (packet.protocol() == Protocol::UDP).then(|| packet.payload())
        }
        EtherType::IPV6 => {
            let packet = ipv6::Packet::parse(rest).ok()?;
            (packet.next_header() == Protocol::UDP).then(|| packet.payload())
        }
        _ => None,
    };
    Some(udp::Datagram::parse(datagram?).ok()?.payload())
}
