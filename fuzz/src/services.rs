//! What runs on the host under test.

use std::net::SocketAddr;
use std::time::Duration;

use gannet::port::PortId;
use gannet::{Datagram, Outbox, Service, Tick, Time, Verdict};

use crate::rig::LINK_LOCAL;

/// Answers every datagram as it is.
pub struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

/// Steps of time: from none to longer than anything is remembered.
pub const STEPS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_micros(1),
    Duration::from_millis(10),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(31),
    Duration::from_secs(7200),
];

/// Addresses of ours, or so the service says.
pub fn own(choice: u8) -> SocketAddr {
    match choice % 9 {
        0 | 1 => ([10, 77, 0, 1], 7).into(),
        2 => ([10, 78, 0, 1], 9).into(),
        3 => ([0xfd4d, 0, 0, 0, 0, 0, 0, 1], 7).into(),
        4 => ([10, 99, 0, 1], 7).into(),
        5 => ([0xfd50, 0, 0, 0, 0, 0, 0, 1], 7).into(),
        6 => (LINK_LOCAL, 7).into(),
        7 => ([10, 80, 0, 1], 7).into(),
        _ => ([10, 77, 0, 1], 0).into(),
    }
}

/// Receivers: neighbours, groups, hosts far away, nobody.
pub fn peer(choice: u8) -> SocketAddr {
    match choice {
        0..32 => ([10, 77, 0, choice], 5000).into(),
        32..64 => ([10, 78, 0, choice], 5000).into(),
        64..80 => ([0xfd4d, 0, 0, 0, 0, 0, 0, u16::from(choice)], 5000).into(),
        80..96 => ([192, 0, 2, choice], 5000).into(),
        96 => ([10, 77, 0, 255], 5000).into(),
        97 => ([255, 255, 255, 255], 5000).into(),
        98 => ([224, 0, 0, 1], 5000).into(),
        99 => ([0, 0, 0, 0], 5000).into(),
        100 => ([127, 0, 0, 1], 5000).into(),
        101 => ([0xff02, 0, 0, 0, 0, 0, 0, 1], 5000).into(),
        102 => ([0xfe80, 0, 0, 0, 0, 0, 0, 9], 5000).into(),
        103 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 5000).into(),
        105..112 => ([0xfd50, 0, 0, 0, 0, 0, 0, u16::from(choice)], 5000).into(),
        112..120 => ([10, 80, 0, choice], 5000).into(),
        104 => ([0, 0, 0, 0, 0, 0xffff, 0x0a4d, 9], 5000).into(),
        _ => ([10, 77, 0, 9], u16::from(choice)).into(),
    }
}

/// Does what a script says, over and over.
pub struct Scripted {
    script: Vec<u8>,
    at: usize,
}

impl Scripted {
    /// A service whose every choice is the next byte of `script`; an echo if that is empty.
    pub fn new(script: &[u8]) -> Self {
        Self { script: script.to_vec(), at: 0 }
    }

    fn choice(&mut self) -> u8 {
        let choice = self.script.get(self.at).copied().unwrap_or(0);
        self.at = if self.at + 1 < self.script.len() { self.at + 1 } else { 0 };
        choice
    }

    fn send(&mut self, outbox: &mut Outbox<'_>) {
        for _ in 0..self.choice() % 16 {
            let (from, to) = (own(self.choice()), peer(self.choice()));
            let len = usize::from(self.choice()) * 7;
            let free = outbox.free();
            let sent = outbox.send_with(from, to, len, |room| room.fill(0x5a));
            assert_eq!(outbox.free() + usize::from(sent.is_ok()), free, "places in the outbox");
        }
    }
}

impl Service for Scripted {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        match self.choice() % 8 {
            0 | 1 => Verdict::Reply,
            2 => {
                datagram.payload_mut().fill(0xa5);
                Verdict::Reply
            }
            3 => {
                let len = usize::from(self.choice()) * 7;
                let fits = len <= datagram.max_len();
                assert_eq!(datagram.resize(len).is_ok(), fits, "{len} of {}", datagram.max_len());
                Verdict::Reply
            }
            4 => Verdict::Drop,
            5 => {
                let port = PortId(u16::from(self.choice() % 3));
                Verdict::Forward { port, from: own(self.choice()), to: peer(self.choice()) }
            }
            6 => {
                self.send(outbox);
                Verdict::Drop
            }
            _ => {
                let len = datagram.max_len();
                datagram.resize(len).expect("the longest fits");
                self.send(outbox);
                Verdict::Reply
            }
        }
    }

    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        match self.choice() % 4 {
            0 => Tick::Done(Time::NEVER),
            1 => Tick::Done(now + STEPS[usize::from(self.choice() % 8)]),
            2 => {
                self.send(outbox);
                Tick::Done(now + STEPS[usize::from(self.choice() % 8)])
            }
            _ => {
                self.send(outbox);
                Tick::More
            }
        }
    }
}
