//! IPv6 extension headers: options with each action, routing headers, fragments, chains
//! (RFC 8200 section 4, RFC 5095, RFC 5722, RFC 6946, RFC 7112).

use super::super::build::{
    Carried as _, DESTINATION_OPTIONS, FRAGMENT, Field, HOP_BY_HOP, Ip as _, NO_NEXT_HEADER, ROUTING,
    fragment, options, routing,
};
use super::{CLOSED, HOST6, OTHER6, Suite, group_mac, pattern, v6};

impl Suite {
    pub(super) fn extensions(&mut self) {
        for (name, kind) in [("hop-by-hop", HOP_BY_HOP), ("destination", DESTINATION_OPTIONS)] {
            self.option_kinds(name, kind);
            self.paddings(name, kind);
            self.option_sizes(name, kind);
        }
        self.hop_by_hop_values();
        self.routings();
        self.atomic_fragments();
        self.real_fragments();
        self.chains();
    }

    fn chain(&mut self, name: impl Into<String>, chain: &[(u8, Vec<u8>)]) {
        let name = name.into();
        self.udp6(&name, |frame| frame.ip.chain = chain.to_vec());
        self.icmp6(format!("{name} before a ping"), |frame| frame.ip.chain = chain.to_vec());
    }

    /// Every kind of option; the first two bits say what to do with one that isn't known.
    fn option_kinds(&mut self, name: &str, header: u8) {
        for kind in 2..=255 {
            let bytes = options(&[kind, 4, 0, 0, 0, 0]);
            self.udp6(format!("IPv6 {name} options: kind {kind:#04x}"), |frame| {
                frame.ip.chain = vec![(header, bytes)];
            });
        }
        for action in 0..4 {
            let option = options(&[action << 6 | 0x1e, 4, 0, 0, 0, 0]);
            self.udp6(format!("IPv6 {name} options: action {action} to a group"), |frame| {
                frame.ip.to = v6(0xff02, 0, 0, 1);
                frame.link.to = group_mac(frame.ip.to);
                frame.ip.chain = vec![(header, option.clone())];
            });
            self.udp6(format!("IPv6 {name} options: action {action} from unspecified"), |frame| {
                (frame.ip.from, frame.ip.chain) = ([0; 16], vec![(header, option.clone())]);
            });
            self.udp6(format!("IPv6 {name} options: action {action} to a closed port"), |frame| {
                (frame.carries.to, frame.ip.chain) = (CLOSED, vec![(header, option)]);
            });
        }
    }

    fn paddings(&mut self, name: &str, header: u8) {
        for zeros in 1..=6 {
            let bytes = [&vec![0; zeros][..], &[0x1e, 0]].concat();
            self.chain(format!("IPv6 {name} options: {zeros} of one byte"), &[(header, options(&bytes))]);
        }
        for len in 0..=14 {
            let bytes = [&[1, len][..], &vec![0; usize::from(len)]].concat();
            self.chain(format!("IPv6 {name} options: padding of {len} zeros"), &[(header, options(&bytes))]);
        }
        let bytes = options(&[1, 4, 1, 2, 3, 4]);
        self.chain(format!("IPv6 {name} options: padding that isn't zero"), &[(header, bytes)]);
        let bytes = options(&[1, 0, 1, 0, 1, 0]);
        self.chain(format!("IPv6 {name} options: three paddings in a row"), &[(header, bytes)]);
    }

    fn option_sizes(&mut self, name: &str, header: u8) {
        for len in (0..=8).chain([127, 128, 254, 255]) {
            let bytes = vec![0, 0, 0x1e, len, 0, 0, 0, 0];
            self.chain(format!("IPv6 {name} options: {len} bytes in a room of four"), &[(header, bytes)]);
        }
        for words in (1..=8).chain([31, 32, 127, 254, 255]) {
            let bytes = vec![0, words, 1, 4, 0, 0, 0, 0];
            self.chain(format!("IPv6 {name} options: header of {words} more words"), &[(header, bytes)]);
        }
        for len in [8, 16, 24, 64, 128, 256, 512, 1024] {
            let mut bytes = vec![0, (len / 8 - 1) as u8];
            while len - bytes.len() > 250 {
                bytes.extend([&[0x1e, 200][..], &[0; 200]].concat());
            }
            let rest = len - bytes.len() - 2;
            bytes.extend([&[0x1e, rest as u8][..], &vec![0; rest]].concat());
            self.chain(format!("IPv6 {name} options: {len} bytes in all"), &[(header, bytes)]);
        }
        for count in [1, 2, 4, 7, 8, 9, 16, 32] {
            let bytes = options(&[0x1e, 0].repeat(count));
            self.chain(format!("IPv6 {name} options: {count} unknown ones"), &[(header, bytes)]);
        }
    }

    /// Router alert and the jumbo payload (RFC 2711, RFC 2675).
    fn hop_by_hop_values(&mut self) {
        for len in 0..=4 {
            let bytes = [&[5, len][..], &vec![0; usize::from(len)]].concat();
            self.chain(
                format!("IPv6 hop-by-hop: router alert of {len} bytes"),
                &[(HOP_BY_HOP, options(&bytes))],
            );
        }
        for len in [0, 1, 8, 21, 22, 1500, 65_535, 65_536, 70_000, u32::MAX] {
            let option = [&[0xc2, 4][..], &len.to_be_bytes()].concat();
            let chain = vec![(HOP_BY_HOP, options(&option))];
            self.udp6(format!("IPv6 hop-by-hop: jumbo payload of {len}"), |frame| {
                (frame.ip.chain, frame.ip.payload_len) = (chain.clone(), Field::Is(0));
            });
            self.udp6(format!("IPv6 hop-by-hop: jumbo payload of {len} beside a length"), |frame| {
                frame.ip.chain = chain;
            });
        }
    }

    fn routings(&mut self) {
        for kind in (0..=8).chain([127, 252, 253, 254, 255]) {
            for left in [0, 1, 2, 255] {
                let header = routing(kind, left, &[OTHER6]);
                self.chain(format!("IPv6 routing: type {kind}, {left} left"), &[(ROUTING, header)]);
            }
            let header = routing(kind, 0, &[]);
            self.chain(format!("IPv6 routing: type {kind} without addresses"), &[(ROUTING, header)]);
        }
        for left in 0..=3 {
            let header = routing(0, left, &[OTHER6, HOST6]);
            self.chain(format!("IPv6 routing: type 0 back to the host, {left} left"), &[(ROUTING, header)]);
        }
        for words in [1, 3, 5, 100, 255] {
            let mut header = routing(253, 0, &[OTHER6]);
            header[1] = words;
            self.chain(format!("IPv6 routing: {words} words in place of 2"), &[(ROUTING, header)]);
        }
    }

    fn atomic_fragments(&mut self) {
        let id = u32::from(self.id());
        self.chain("IPv6 fragments: atomic", &[(FRAGMENT, fragment(0, false, id))]);
        for (what, index, bits) in [("byte", 1, 0xff), ("bits", 3, 6), ("first bit", 3, 2)] {
            let mut header = fragment(0, false, id + 1);
            header[index] |= bits;
            self.chain(format!("IPv6 fragments: atomic, reserved {what} set"), &[(FRAGMENT, header)]);
        }
        let header = || (FRAGMENT, fragment(0, false, id + 2));
        let padding = || options(&[]);
        self.chain("IPv6 fragments: atomic twice", &[header(), header()]);
        self.chain("IPv6 fragments: atomic after hop-by-hop", &[(HOP_BY_HOP, padding()), header()]);
        self.chain("IPv6 fragments: atomic before options", &[header(), (DESTINATION_OPTIONS, padding())]);
        self.chain("IPv6 fragments: atomic before hop-by-hop", &[header(), (HOP_BY_HOP, padding())]);
        self.udp6("IPv6 fragments: atomic to a closed port", |frame| {
            (frame.carries.to, frame.ip.chain) = (CLOSED, vec![header()]);
        });
        for bit in 0..13 {
            let id = 0x1_0000 + u32::from(self.id());
            let offset = 8 << bit;
            self.chain(
                format!("IPv6 fragments: alone at {offset}"),
                &[(FRAGMENT, fragment(offset, false, id))],
            );
            let id = id + 0x1_0000;
            self.chain(
                format!("IPv6 fragments: alone at {offset}, more follow"),
                &[(FRAGMENT, fragment(offset, true, id))],
            );
        }
        let id = 0x3_0000 + u32::from(self.id());
        self.chain("IPv6 fragments: a first one alone", &[(FRAGMENT, fragment(0, true, id))]);
    }

    fn real_fragments(&mut self) {
        let orders: [(&str, &[(usize, usize)]); 10] = [
            ("in order", &[(0, 24), (24, 48), (48, 72)]),
            ("the last one first", &[(48, 72), (24, 48), (0, 24)]),
            ("the middle one last", &[(0, 24), (48, 72), (24, 48)]),
            ("one twice", &[(0, 24), (0, 24), (24, 72)]),
            ("one missing", &[(0, 24), (48, 72)]),
            ("overlapping", &[(0, 32), (24, 72)]),
            ("one inside another", &[(0, 48), (8, 16), (48, 72)]),
            ("two", &[(0, 40), (40, 72)]),
            ("of eight bytes each", &[(0, 8), (8, 16), (16, 24), (24, 32), (32, 72)]),
            ("not of whole words", &[(0, 20), (16, 72)]),
        ];
        for (order, parts) in orders {
            let frames = self.cut(parts);
            self.frames(format!("IPv6 fragments: {order}"), frames);
        }
    }

    /// A datagram of 72 bytes in these parts.
    fn cut(&self, parts: &[(usize, usize)]) -> Vec<Vec<u8>> {
        let mut whole = self.hello6();
        whole.carries.payload = pattern(64);
        let (bytes, id) = (whole.carries.bytes(&whole.ip), 0x4_0000 + u32::from(self.id()));
        let part = |&(start, end): &(usize, usize)| {
            whole.ip.chain = vec![(FRAGMENT, fragment(start as u16, end < 72, id))];
            whole.link.frame(&whole.ip.packet(&bytes[start..end]))
        };
        parts.iter().map(part).collect()
    }

    fn chains(&mut self) {
        let padding = |kind| (kind, options(&[]));
        for count in 1..=16 {
            let chain = vec![padding(DESTINATION_OPTIONS); count];
            self.chain(format!("IPv6 chain: {count} of destination options"), &chain);
        }
        let (hops, ends) = (padding(HOP_BY_HOP), padding(DESTINATION_OPTIONS));
        let route = (ROUTING, routing(253, 0, &[]));
        let atomic = (FRAGMENT, fragment(0, false, 0x5_0000));
        for (name, chain) in [
            ("hop-by-hop twice", vec![hops.clone(), hops.clone()]),
            ("hop-by-hop after options", vec![ends.clone(), hops.clone()]),
            ("hop-by-hop after routing", vec![route.clone(), hops.clone()]),
            ("in the recommended order", vec![hops, ends.clone(), route.clone(), atomic, ends.clone()]),
            ("routing twice", vec![route.clone(), route.clone()]),
            ("routing after options", vec![ends, route]),
        ] {
            self.chain(format!("IPv6 chain: {name}"), &chain);
        }
        for (name, kind) in
            [("hop-by-hop", HOP_BY_HOP), ("options", DESTINATION_OPTIONS), ("routing", ROUTING)]
        {
            for len in [0, 1, 2, 4, 7] {
                self.udp6(format!("IPv6 chain: {len} bytes of {name} and no more"), |frame| {
                    frame.ip.protocol = kind;
                    (frame.carries.payload, frame.carries.summed) = (Vec::new(), Some(8));
                    frame.ip.payload_len = Field::Is(len);
                });
            }
        }
        self.udp6("IPv6 chain: no next header", |frame| frame.ip.protocol = NO_NEXT_HEADER);
        self.udp6("IPv6 chain: no next header after options", |frame| {
            frame.ip.protocol = NO_NEXT_HEADER;
            frame.ip.chain = vec![(DESTINATION_OPTIONS, options(&[]))];
        });
    }
}
