//! The loop by hand with the engine's vector kernels: frames of one flow are turned as they are alike,
//! others are judged eight at a time, and only what is not plain is looked at one by one. No loop on
//! them is shorter.

use gannet::host::UdpPorts;
use gannet::packet::Packet;
use gannet::telemetry::Counters;
use gannet::wire::checksum::Sum;
use gannet::wire::plain::{
    AT_A_TIME, Alike, AlikeKind, Expected, Frames, HEADERS_LEN, Head, Headers, Judged, NO_HEAD, Station,
};
use gannet::wire::{ethernet, ipv4, udp};

use super::frames::Endpoint;
use super::plain::{Rules, Turn, keep};

const UDP_AT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
/// As many ports are compared at once; more are looked up.
const COMPARED_PORTS: usize = 4;

/// All of the frames that are judged at a time.
const ALL: u32 = (1 << AT_A_TIME) - 1;

/// What is ours, as rules and as patterns of columns.
pub(super) struct Vectors {
    rules: Rules,
    expected: Expected,
    /// What the frames of one flow look like.
    alike: Option<Alike>,
    looks_ports_up: bool,
}

impl Vectors {
    /// As [`Rules::new`].
    pub(super) fn new(own: Endpoint, ports: UdpPorts) -> Self {
        let all: Vec<u16> = (1..=u16::MAX).filter(|&port| ports.contains(port)).collect();
        let looks_ports_up = all.len() > COMPARED_PORTS;
        let station = Station {
            mac: own.mac,
            addresses: &[own.ip],
            impossible_sources: &[own.ip],
            ports: if looks_ports_up { &[] } else { &all },
            mtu: 1_500,
            ttl: 64,
        };
        let expected = Expected::new(&station);
        let alike = expected.alike(AlikeKind::new(size_of::<Head>(), 0));
        Self { expected, alike, rules: Rules::new(own, ports), looks_ports_up }
    }

    #[inline]
    fn judge<P: Packet>(&self, packets: &[P], judged: &mut Judged) {
        let mut frames = Frames::default();
        for (index, packet) in packets.iter().take(AT_A_TIME).enumerate() {
            frames.heads[index] = packet.head(NO_HEAD);
            frames.lens.0[index] = packet.frame_len() as u32;
        }
        self.expected.judge(&frames, judged);
    }

    /// Makes frames at the front their replies, as long as they are of one flow, and says how many.
    #[inline]
    fn turn_front<P: Packet>(&mut self, frames: &mut [P]) -> usize {
        self.alike.as_mut().map_or(0, |alike| {
            alike.turn_front(frames, |frame| {
                (frame.frame_len() == size_of::<Head>())
                    .then(|| frame.frame_mut().first_chunk_mut())
                    .flatten()
            })
        })
    }

    /// Makes frames their replies, all of which are known to be right and as long as they are to be.
    #[inline]
    fn turn_all<P: Packet>(&self, frames: &mut [P], judged: &Judged) {
        for (frame, &checksum) in frames.iter_mut().zip(&judged.checksums.0) {
            if let Some(headers) = frame.frame_mut().first_chunk_mut() {
                self.expected.turn(headers, checksum);
            }
        }
    }

    /// Makes a frame that was judged plain, the `index`-th of its eight, its reply, if the rest of it
    /// is right too.
    #[inline]
    fn turn_plain<P: Packet>(&self, frame: &mut P, judged: &Judged, index: usize) -> bool {
        let Some(headers) = frame.frame().first_chunk::<HEADERS_LEN>() else { return false };
        let end = UDP_AT + usize::from(word(headers, 38));
        let is_right = judged.plain >> index & 1 == 1
            && (judged.verified >> index & 1 == 1 || is_summed_right(frame.frame(), end, judged, index))
            && (!self.looks_ports_up || self.rules.takes(word(headers, 34), word(headers, 36)));
        if !is_right {
            return false;
        }
        if let Some(headers) = frame.frame_mut().first_chunk_mut() {
            self.expected.turn(headers, judged.checksums.0[index]);
        }
        let len = end.max(ethernet::MIN_FRAME_LEN);
        if frame.frame_len() != len {
            frame.set_frame_len(len);
        }
        true
    }
}

/// Whether the UDP checksum of a longer frame, whose packet ends at `end`, is there and right.
#[inline]
fn is_summed_right(frame: &[u8], end: usize, judged: &Judged, index: usize) -> bool {
    let payload = frame.get(HEADERS_LEN..end);
    payload.is_some_and(|payload| {
        frame[40..HEADERS_LEN] != [0, 0] && (judged.udp_sum(index) + Sum::of(payload)).is_valid()
    })
}

impl Turn for Vectors {
    #[inline]
    fn turn<P: Packet>(&mut self, frames: &mut [P], counters: &Counters) -> usize {
        let mut judged = Judged::default();
        let mut valid = self.turn_front(frames);
        let mut begin = valid;
        while begin < frames.len() {
            self.judge(&frames[begin..], &mut judged);
            let end = frames.len().min(begin + AT_A_TIME);
            let is_ready = judged.verified & judged.whole == ALL && !self.looks_ports_up && valid == begin;
            if is_ready {
                self.turn_all(&mut frames[begin..end], &judged);
                (valid, begin) = (end, end);
                continue;
            }
            for at in begin..end {
                let frame = &mut frames[at];
                let answered = self.turn_plain(frame, &judged, at - begin);
                match if answered { Ok(()) } else { self.rules.answer(frame) } {
                    Ok(()) => {
                        keep(frames, valid, at);
                        valid += 1;
                    }
                    Err(reason) => counters.add(reason, 1),
                }
            }
            begin = end;
        }
        valid
    }
}

#[inline(always)]
fn word(headers: &Headers, at: usize) -> u16 {
    u16::from_be_bytes([headers[at], headers[at + 1]])
}

const _: () = assert!(UDP_AT + udp::HEADER_LEN == HEADERS_LEN);
