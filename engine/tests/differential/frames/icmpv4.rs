//! ICMP for IPv4: every type and code, lengths, checksums, errors and what they quote
//! (RFC 792, RFC 1122 section 3.2.2).

use super::super::build::{Carried as _, Field, Ip as _, Message, Udp};
use super::{CLIENT, CLOSED, ECHO, FAR, HOST, PING, Suite, TESTER, pattern};

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const QUENCH: u8 = 4;
const REDIRECT: u8 = 5;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER: u8 = 12;
const TIMESTAMP: u8 = 13;

impl Suite {
    pub(super) fn icmpv4(&mut self) {
        let lens = (0..=40).chain([56, 63, 64, 65, 127, 255, 256, 511, 512, 1000, 1400, 1471, 1472]);
        for len in lens {
            self.ping4(format!("IPv4 ICMP: echo of {len} bytes"), |frame| {
                frame.carries = Message::echo(PING, &pattern(len));
            });
        }
        for code in (1..=16).chain([127, 128, 255]) {
            self.ping4(format!("IPv4 ICMP: echo of code {code}"), |frame| frame.carries.code = code);
            self.ping4(format!("IPv4 ICMP: echo reply of code {code}"), |frame| {
                (frame.carries.kind, frame.carries.code) = (ECHO_REPLY, code);
            });
        }
        self.icmp_checksums();
        for kind in (0..=255).filter(|&kind| kind != PING) {
            self.ping4(format!("IPv4 ICMP: type {kind}"), |frame| frame.carries.kind = kind);
            self.ping4(format!("IPv4 ICMP: type {kind} in a fragment that waits in vain"), |frame| {
                frame.carries = Message::new(kind, 0, &pattern(252));
                frame.ip.fragment = 0x2000;
            });
        }
        for len in 0..=4 {
            self.ping4(format!("IPv4 ICMP: echo with a header of {} bytes", 4 + len), |frame| {
                frame.carries.body.truncate(len);
            });
        }
        self.requests();
        self.errors();
    }

    fn icmp_checksums(&mut self) {
        for kind in [PING, TIMESTAMP, ECHO_REPLY, UNREACHABLE] {
            let values = [0, 0xffff].map(Field::Is);
            let offs = [-256, -1, 1, 256].map(Field::Off);
            for (what, checksum) in
                ["0", "0xffff", "-256", "-1", "+1", "+256"].into_iter().zip(values.into_iter().chain(offs))
            {
                self.ping4(format!("IPv4 ICMP: type {kind} with checksum {what}"), |frame| {
                    frame.carries = Message::echo(kind, &[0; 28]);
                    frame.carries.checksum = checksum;
                });
            }
        }
    }

    /// What asks for more than an echo: the time, a mask, a router (RFC 792, 950, 1256, 8335).
    fn requests(&mut self) {
        for len in 0..=24 {
            self.ping4(format!("IPv4 ICMP: timestamp of {len} bytes"), |frame| {
                frame.carries = Message::new(TIMESTAMP, 0, &pattern(len));
            });
        }
        for code in [1, 2, 255] {
            self.ping4(format!("IPv4 ICMP: timestamp of code {code}"), |frame| {
                frame.carries = Message::new(TIMESTAMP, code, &[0; 16]);
            });
        }
        for (what, kind) in [
            ("router advertisement", 9),
            ("router solicitation", 10),
            ("information request", 15),
            ("address mask request", 17),
            ("traceroute", 30),
            ("extended echo", 42),
        ] {
            for len in [0, 4, 8, 12] {
                self.ping4(format!("IPv4 ICMP: {what} of {len} bytes"), |frame| {
                    frame.carries = Message::new(kind, 0, &pattern(len));
                });
            }
        }
    }

    fn errors(&mut self) {
        let codes = [
            (UNREACHABLE, 0..=17),
            (QUENCH, 0..=1),
            (REDIRECT, 0..=4),
            (TIME_EXCEEDED, 0..=2),
            (PARAMETER, 0..=3),
        ];
        for (kind, codes) in codes {
            for code in codes {
                for (what, quote) in self.quotes() {
                    self.ping4(format!("IPv4 ICMP: error {kind}/{code} about {what}"), |frame| {
                        frame.carries = Message::new(kind, code, &[&[0, 0, 5, 0], &quote[..]].concat());
                    });
                }
            }
        }
        let quote = self.quote(FAR, Udp::new(ECHO, CLIENT, b"hello"));
        for len in 0..quote.len() {
            self.ping4(format!("IPv4 ICMP: error about {len} bytes"), |frame| {
                frame.carries = Message::new(UNREACHABLE, 3, &[&[0; 4], &quote[..len]].concat());
            });
        }
        for mtu in [0, 1, 67, 68, 551, 552, 1499, 1500, 0xffff_u16] {
            self.ping4(format!("IPv4 ICMP: fragmentation needed, MTU {mtu}"), |frame| {
                let [a, b] = mtu.to_be_bytes();
                frame.carries = Message::new(UNREACHABLE, 4, &[&[0, 0, a, b], &quote[..]].concat());
            });
        }
    }

    /// What an error can be about: what the host sent to another host, and what it did not.
    fn quotes(&self) -> [(&'static str, Vec<u8>); 4] {
        let mut echo = self.ping();
        (echo.ip.from, echo.ip.to) = (HOST, FAR);
        [
            ("a reply", self.quote(FAR, Udp::new(ECHO, CLIENT, b"hello"))),
            ("what was not sent", self.quote(FAR, Udp::new(CLOSED, CLIENT, b"hello"))),
            ("a ping", echo.ip.packet(&echo.carries.bytes(&echo.ip))),
            ("nonsense", pattern(28)),
        ]
    }

    fn quote(&self, to: [u8; 4], udp: Udp) -> Vec<u8> {
        let mut frame = self.hello();
        (frame.ip.from, frame.ip.to) = (HOST, to);
        debug_assert_ne!(to, TESTER, "the kernel would believe it");
        frame.ip.packet(&udp.bytes(&frame.ip))
    }
}
