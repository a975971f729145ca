//! IPv4 options: each kind, well-formed and not (RFC 791, RFC 7126).

use super::super::build::{ICMP, Message};
use super::{HOST, OTHER, PING, Suite, TESTER};

const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_ROUTE: u8 = 131;
const STRICT_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;

impl Suite {
    pub(super) fn options(&mut self) {
        for kind in 2..=255 {
            self.option(format!("IPv4 options: kind {kind} of four bytes"), &[kind, 4, 0, 0]);
        }
        for (name, kind) in [
            ("record route", RECORD_ROUTE),
            ("timestamp", TIMESTAMP),
            ("loose source route", LOOSE_ROUTE),
            ("strict source route", STRICT_ROUTE),
            ("security", 130),
            ("stream", 136),
            ("router alert", ROUTER_ALERT),
            ("commercial security", 134),
            ("an unknown kind", 222),
        ] {
            self.option_lengths(name, kind);
        }
        self.ends();
        self.routes();
        self.timestamps();
    }

    /// In a datagram and in an echo request.
    fn option(&mut self, name: String, options: &[u8]) {
        let mut padded = options.to_vec();
        padded.resize(options.len().next_multiple_of(4), 0);
        self.udp4(&name, |frame| frame.ip.options.clone_from(&padded));
        self.ping4(format!("{name} in a ping"), |frame| frame.ip.options = padded);
    }

    fn option_lengths(&mut self, name: &str, kind: u8) {
        for len in [0, 1, 2, 3, 5, 7, 8, 9, 11, 12, 13, 39, 40, 41, 255] {
            let bytes = [&[kind, len, 4][..], &[0; 9]].concat();
            self.option(format!("IPv4 options: {name} said to be {len} bytes of 12"), &bytes);
        }
        for pointer in [0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 255] {
            let bytes = [&[kind, 11, pointer][..], &[0; 8], &[0]].concat();
            self.option(format!("IPv4 options: {name} with pointer {pointer}"), &bytes);
        }
        self.option(format!("IPv4 options: {name} without a length"), &[1, 1, 1, kind]);
        self.option(format!("IPv4 options: {name} twice"), &[kind, 7, 4, 0, 0, 0, 0, kind, 7, 4, 0, 0, 0, 0]);
    }

    fn ends(&mut self) {
        self.option("IPv4 options: an end at once".into(), &[0, 0, 0, 0]);
        self.option("IPv4 options: garbage behind the end".into(), &[0, 0xff, 0xff, 0xff, 7, 0, 0, 0]);
        self.option("IPv4 options: an end between".into(), &[1, 0, 1, 1]);
        self.option("IPv4 options: forty of no operation".into(), &[1; 40]);
        self.option("IPv4 options: forty ends".into(), &[0; 40]);
    }

    fn routes(&mut self) {
        for (name, kind) in [("loose", LOOSE_ROUTE), ("strict", STRICT_ROUTE)] {
            for (way, pointer) in [("to be travelled", 4), ("half travelled", 8), ("travelled", 12)] {
                for (whom, last) in [("the host", HOST), ("the tester", TESTER), ("another", OTHER)] {
                    let bytes = [&[kind, 11, pointer][..], &OTHER, &last].concat();
                    self.option(format!("IPv4 options: {name} route {way} to {whom}"), &bytes);
                }
            }
            let bytes = [kind, 3, 4];
            self.option(format!("IPv4 options: {name} route without addresses"), &bytes);
        }
        for room in 0..=9 {
            let len = 3 + 4 * room;
            let bytes = [&[RECORD_ROUTE, len as u8, 4][..], &vec![0; 4 * room]].concat();
            self.option(format!("IPv4 options: record route with room for {room}"), &bytes);
        }
        self.udp4("IPv4 options: router alert in a datagram to a closed port", |frame| {
            frame.ip.options = vec![ROUTER_ALERT, 4, 0, 0];
            frame.carries.to = super::CLOSED;
        });
    }

    fn timestamps(&mut self) {
        for flags in 0..=15 {
            let bytes = [&[TIMESTAMP, 12, 5, flags][..], &[0; 8]].concat();
            self.option(format!("IPv4 options: timestamp with flags {flags}"), &bytes);
            let bytes = [&[TIMESTAMP, 12, 13, flags][..], &[0; 8]].concat();
            self.option(format!("IPv4 options: timestamp with flags {flags}, full"), &bytes);
        }
        let overflown = [&[TIMESTAMP, 12, 13, 0xf0][..], &[0; 8]].concat();
        self.option("IPv4 options: timestamp whose overflow is full".into(), &overflown);
        for (whom, address) in [("the host", HOST), ("another", OTHER)] {
            let bytes = [&[TIMESTAMP, 12, 5, 3][..], &address, &[0; 4]].concat();
            self.option(format!("IPv4 options: timestamp of {whom}"), &bytes);
        }
        self.udp4("IPv4 options: record route in an unreachable", |frame| {
            frame.ip.options = vec![RECORD_ROUTE, 7, 4, 0, 0, 0, 0, 0];
            frame.carries.to = super::CLOSED;
        });
        self.ping4("IPv4 options: record route in a timestamp request", |frame| {
            frame.ip.options = vec![RECORD_ROUTE, 7, 4, 0, 0, 0, 0, 0];
            frame.ip.protocol = ICMP;
            frame.carries = Message { kind: 13, ..Message::echo(PING, &[0; 12]) };
        });
    }
}
