//! Packets over the link's MTU: in fragments, and answered in fragments (RFC 791 section 3.2,
//! RFC 8200 section 4.5).

use super::super::build::{Carried, FRAGMENT, Frame, Ip as _, Ipv4, Ipv6, Message, fragment};
use super::{PING, PING6, Suite, pattern};

/// Lengths of payloads in bytes: each side of what one frame holds, and of two of them.
const LENS: [usize; 12] = [1400, 1452, 1453, 1464, 1472, 1473, 1480, 1481, 2000, 2953, 2960, 4000];
/// Bytes in each fragment but the last.
const SIZES: [usize; 4] = [104, 512, 1280, 1448];

impl Suite {
    pub(super) fn large(&mut self) {
        for len in LENS {
            for size in SIZES {
                let what = format!("{len} bytes by {size}");
                let mut frame = self.hello();
                frame.carries.payload = pattern(len);
                self.frames(format!("IPv4 large: a datagram of {what}"), cut4(&frame, size));
                let mut frame = self.ping();
                frame.carries = Message::echo(PING, &pattern(len));
                self.frames(format!("IPv4 large: a ping of {what}"), cut4(&frame, size));
                let (mut frame, id) = (self.hello6(), self.long_id());
                frame.carries.payload = pattern(len);
                self.frames(format!("IPv6 large: a datagram of {what}"), cut6(&frame, size, id));
                let (mut frame, id) = (self.ping6(), self.long_id());
                frame.carries = Message::echo(PING6, &pattern(len));
                self.frames(format!("IPv6 large: a ping of {what}"), cut6(&frame, size, id));
            }
        }
        self.closed();
    }

    /// Nobody is told of what came in fragments and is not taken.
    fn closed(&mut self) {
        let mut frame = self.hello();
        (frame.carries.to, frame.carries.payload) = (super::CLOSED, pattern(2000));
        self.frames("IPv4 large: a datagram to a closed port", cut4(&frame, 1280));
        let (mut frame, id) = (self.hello6(), self.long_id());
        (frame.carries.to, frame.carries.payload) = (super::CLOSED, pattern(2000));
        self.frames("IPv6 large: a datagram to a closed port", cut6(&frame, 1280, id));
    }

    fn long_id(&self) -> u32 {
        0x6_0000 + u32::from(self.id())
    }
}

fn cut4(whole: &Frame<Ipv4, impl Carried>, size: usize) -> Vec<Vec<u8>> {
    let (bytes, mut ip) = (whole.carries.bytes(&whole.ip), whole.ip.clone());
    let count = bytes.chunks(size).count();
    let part = |(index, part): (usize, &[u8])| {
        ip.fragment = (index * size / 8) as u16 | if index + 1 < count { 0x2000 } else { 0 };
        whole.link.frame(&ip.packet(part))
    };
    bytes.chunks(size).enumerate().map(part).collect()
}

fn cut6(whole: &Frame<Ipv6, impl Carried>, size: usize, id: u32) -> Vec<Vec<u8>> {
    let (bytes, mut ip) = (whole.carries.bytes(&whole.ip), whole.ip.clone());
    let count = bytes.chunks(size).count();
    let part = |(index, part): (usize, &[u8])| {
        ip.chain = vec![(FRAGMENT, fragment((index * size) as u16, index + 1 < count, id))];
        whole.link.frame(&ip.packet(part))
    };
    bytes.chunks(size).enumerate().map(part).collect()
}
