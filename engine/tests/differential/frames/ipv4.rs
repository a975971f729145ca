//! IPv4: version, lengths, flags and offsets, TTL, protocol and checksum; fragments.

use super::super::build::{Carried as _, Field, Ip as _, UDP};
use super::{Datagram, Suite, pattern};

/// Protocols that a kernel answers by how it was configured, so that none stands for all:
/// tunnels, security, and the transports that are modules. IGMP (2) is answered late.
const CONFIGURED: [u8; 17] = [2, 4, 33, 41, 46, 47, 50, 51, 55, 89, 94, 103, 108, 112, 115, 132, 136];

impl Suite {
    pub(super) fn ipv4(&mut self) {
        self.udp4("IPv4: hello", |_| {});
        self.ping4("IPv4: ping", |_| {});
        for version in (0..=15).filter(|&version| version != 4) {
            self.udp4(format!("IPv4: version {version}"), |frame| frame.ip.version = version);
        }
        self.header_lengths();
        self.total_lengths();
        self.ipv4_fields();
        self.flags();
        self.fragments();
    }

    fn header_lengths(&mut self) {
        for words in (0..=15).filter(|&words| words != 5) {
            self.udp4(format!("IPv4: header length {words} words in place of 5"), |frame| {
                frame.ip.header_len = Field::Is(words);
            });
            self.udp4(format!("IPv4: header length {words} words in place of 5, a long payload"), |frame| {
                frame.ip.header_len = Field::Is(words);
                frame.carries.payload = pattern(100);
            });
        }
        for words in 1..=10 {
            let name = format!("IPv4: {} bytes of options", words * 4);
            let options = vec![1; words * 4];
            self.udp4(&name, |frame| frame.ip.options.clone_from(&options));
            for off in [-1, 1] {
                self.udp4(format!("{name}, header length off by {off}"), |frame| {
                    frame.ip.options.clone_from(&options);
                    frame.ip.header_len = Field::Off(off);
                });
            }
        }
    }

    fn total_lengths(&mut self) {
        let offs = (-33..=-1).chain(1..=20).map(|off| (format!("off by {off}"), Field::Off(off)));
        let values = [0, 1, 19, 20, 21, 27, 28, 29, 576, 1500, 1501, 9000, 0x7fff, 0x8000, 0xfffe, 0xffff];
        let values = values.map(|value| (format!("said to be {value}"), Field::Is(value)));
        for (what, len) in offs.chain(values) {
            self.udp4(format!("IPv4: total length {what}"), |frame| frame.ip.total_len = len);
            self.udp4(format!("IPv4: total length {what}, bytes behind it"), |frame| {
                (frame.ip.total_len, frame.padding) = (len, vec![0; 20]);
            });
            self.ping4(format!("IPv4: total length of a ping {what}"), |frame| frame.ip.total_len = len);
        }
    }

    fn ipv4_fields(&mut self) {
        for tos in [1, 2, 3, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xb8, 0xe0, 0xfc, 0xff] {
            self.udp4(format!("IPv4: type of service {tos:#04x}"), |frame| frame.ip.tos = tos);
        }
        for id in [0, 1, 0x7fff, 0x8000, 0xffff] {
            self.udp4(format!("IPv4: identification {id}"), |frame| frame.ip.id = id);
        }
        for ttl in [0, 1, 2, 63, 64, 65, 127, 128, 254, 255] {
            self.udp4(format!("IPv4: TTL {ttl}"), |frame| frame.ip.ttl = ttl);
            self.ping4(format!("IPv4: TTL {ttl} of a ping"), |frame| frame.ip.ttl = ttl);
        }
        let checksums = [("zero", Field::Is(0)), ("all ones", Field::Is(0xffff))];
        let offs = [-256, -2, -1, 1, 2, 256, i16::MIN];
        let named = checksums.map(|(what, field)| (what.to_owned(), field)).into_iter();
        for (what, checksum) in named.chain(offs.map(|off| (format!("off by {off}"), Field::Off(off)))) {
            self.udp4(format!("IPv4: header checksum {what}"), |frame| frame.ip.checksum = checksum);
            self.ping4(format!("IPv4: header checksum of a ping {what}"), |frame| {
                frame.ip.checksum = checksum;
            });
        }
        for protocol in (0..=255).filter(|protocol| !CONFIGURED.contains(protocol) && *protocol != UDP) {
            self.udp4(format!("IPv4: protocol {protocol} over a datagram"), |frame| {
                frame.ip.protocol = protocol;
            });
        }
        self.ping4("IPv4: a ping said to be UDP", |frame| frame.ip.protocol = UDP);
    }

    /// Every bit of flags and offset alone and with each flag, over a whole datagram.
    fn flags(&mut self) {
        for flags in 0..8_u16 {
            for offset in [0].into_iter().chain((0..13).map(|bit| 1 << bit)).chain([3, 0x1fff]) {
                if flags | offset != 0 {
                    self.udp4(format!("IPv4: flags {flags:03b}, offset {}", offset * 8), |frame| {
                        frame.ip.fragment = flags << 13 | offset;
                    });
                }
            }
        }
    }

    fn fragments(&mut self) {
        let orders: [(&str, &[(usize, usize)]); 9] = [
            ("in order", &[(0, 24), (24, 48), (48, 72)]),
            ("the last one first", &[(48, 72), (24, 48), (0, 24)]),
            ("the middle one last", &[(0, 24), (48, 72), (24, 48)]),
            ("one twice", &[(0, 24), (0, 24), (24, 72)]),
            ("one missing", &[(0, 24), (48, 72)]),
            ("overlapping", &[(0, 32), (24, 72)]),
            ("one inside another", &[(0, 48), (8, 16), (48, 72)]),
            ("two", &[(0, 40), (40, 72)]),
            ("of eight bytes each", &[(0, 8), (8, 16), (16, 24), (24, 32), (32, 72)]),
        ];
        for (order, parts) in orders {
            let whole = self.hello();
            self.frames(format!("IPv4 fragments: {order}"), cut(whole, parts, 72));
        }
        let (first, last) = (self.hello(), self.hello());
        let frames = [cut(first, &[(0, 24)], 72), cut(last, &[(24, 72)], 70)].concat();
        self.frames("IPv4 fragments: the last one ends elsewhere", frames);
    }
}

/// A datagram of `len` bytes in these parts.
fn cut(mut whole: Datagram, parts: &[(usize, usize)], len: usize) -> Vec<Vec<u8>> {
    whole.carries.payload = pattern(len - 8);
    let bytes = whole.carries.bytes(&whole.ip);
    let part = |&(start, end): &(usize, usize)| {
        let end = end.min(len);
        whole.ip.fragment = (start / 8) as u16 | if end < len { 0x2000 } else { 0 };
        whole.link.frame(&whole.ip.packet(&bytes[start..end]))
    };
    parts.iter().map(part).collect()
}
