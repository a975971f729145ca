//! Streams send the frames that their outbox would, and ticks that want to go on at once do.

use std::net::SocketAddr;
use std::time::Duration;

use super::{PEER6, finish, sent};
use crate::telemetry::Counter;
use crate::wire::checksum::Sum;
use crate::{Datagram, GuardConfig, Lab, Outbox, Role, SendError, Service, Tick, Time, Verdict};

/// Sends datagrams of several lengths, from several ports, with a stream or without.
struct Speaker {
    how: How,
    rounds: usize,
}

/// How datagrams of one length are sent.
#[derive(Clone, Copy)]
enum How {
    /// Each by itself.
    Alone,
    /// One by one through a stream.
    Stream,
    /// All at once through a stream.
    Each,
}

const LENGTHS: [usize; 7] = [0, 1, 17, 18, 22, 777, 1472];
const LENGTHS_V6: [usize; 7] = [0, 1, 17, 18, 22, 777, 1452];
const PORTS: [u16; 3] = [7, 8, 0xfff0];

fn ends(own: SocketAddr) -> (SocketAddr, SocketAddr, [usize; 7]) {
    if own.is_ipv4() {
        (own, ([10, 77, 0, 9], 5000).into(), LENGTHS)
    } else {
        (own, PEER6.parse().expect("valid"), LENGTHS_V6)
    }
}

fn fill(room: &mut [u8], port: u16) {
    room.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at as u8) ^ port as u8);
}

impl Service for Speaker {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (from, to, lengths) = ends(datagram.destination());
        for len in lengths {
            match self.how {
                How::Alone => {
                    for port in PORTS {
                        let from = SocketAddr::new(from.ip(), port);
                        outbox.send_with(from, to, len, |room| fill(room, port)).expect("room");
                    }
                }
                How::Stream => {
                    let mut stream = outbox.stream(from, to, len);
                    for port in PORTS {
                        stream.set_source_port(port);
                        stream.send_with(|room| fill(room, port)).expect("room");
                    }
                }
                How::Each => {
                    let write = |number: usize, room: &mut [u8]| {
                        fill(room, PORTS[number]);
                        Sum::of(room)
                    };
                    outbox.stream(from, to, len).send_each(&PORTS, write).expect("room");
                }
            }
        }
        Verdict::Drop
    }

    fn on_tick(&mut self, _now: Time, _outbox: &mut Outbox<'_>) -> Tick {
        self.rounds += 1;
        Tick::Again
    }
}

fn frames(how: How, guards: GuardConfig, from: &str) -> Vec<Vec<u8>> {
    let mut lab = Lab::with(Speaker { how, rounds: 0 }, |config| {
        config.guards = guards.resolve(Role::Client);
        config.neighbours = vec![
            ([10, 77, 0, 9].into(), crate::wire::ethernet::MacAddress([2, 0, 0, 0, 0, 9])),
            (
                PEER6.parse::<SocketAddr>().expect("valid").ip(),
                crate::wire::ethernet::MacAddress([2, 0, 0, 0, 0, 9]),
            ),
        ];
    });
    let mut all = Vec::new();
    for _ in 0..3 {
        lab.send(from, 7, b"go");
        lab.turn();
        all.extend(sent(&mut lab));
    }
    assert_eq!(finish(lab)[Counter::Originated], all.len() as u64);
    all
}

#[test]
fn a_stream_sends_the_frames_that_the_outbox_would() {
    let guarded = GuardConfig { source_port: Some(true), ..GuardConfig::OFF };
    for from in ["10.77.0.2:4660", "[fd00:77::2]:4660"] {
        let expected = frames(How::Alone, GuardConfig::OFF, from);
        assert_eq!(expected.len(), 3 * LENGTHS.len() * PORTS.len());
        for how in [How::Stream, How::Each] {
            assert_eq!(frames(how, GuardConfig::OFF, from), expected);
            assert_eq!(frames(how, guarded, from), expected, "where the host writes the headers");
        }
    }
}

/// Sends more than there is room for.
struct Greedy;

impl Service for Greedy {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (from, to, _) = ends(datagram.destination());
        let free = outbox.free();
        let mut stream = outbox.stream(from, to, 4);
        let sent = (0..).take_while(|_| stream.send_with(|room| room.fill(1)).is_ok()).count();
        assert_eq!((sent, stream.send_summed(|_| unreachable!())), (free, Err(SendError::Full)));
        drop(stream);
        let mut long = outbox.stream(from, to, 1473);
        assert!(long.send_with(|_| unreachable!()).is_err());
        Verdict::Drop
    }
}

#[test]
fn a_stream_ends_where_its_outbox_does() {
    let mut lab = Lab::with(Greedy, |config| {
        config.guards = GuardConfig::OFF.resolve(Role::Client);
        config.outbox = 10;
    });
    for turn in 0..3 {
        lab.exchange("10.77.0.2:4660", 7, b"go");
        lab.advance(Duration::from_millis(1));
        assert_eq!(lab.counters()[Counter::Originated], 10 * (turn + 1));
        while lab.receive_frame().is_some() {}
    }
    finish(lab);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "the sum is another payload's")]
fn a_wrong_sum_is_noticed() {
    struct Wrong;
    impl Service for Wrong {
        fn on_datagram(
            &mut self,
            _now: Time,
            datagram: &mut Datagram<'_>,
            outbox: &mut Outbox<'_>,
        ) -> Verdict {
            let (from, _, _) = ends(datagram.destination());
            let to = datagram.source();
            let _ = outbox.stream(from, to, 2).send_summed(|room| {
                room.fill(1);
                Sum::ZERO
            });
            Verdict::Drop
        }
    }
    let mut lab = Lab::with(Wrong, |config| config.guards = GuardConfig::OFF.resolve(Role::Client));
    (0..3).for_each(|_| _ = lab.exchange("10.77.0.2:4660", 7, b"go"));
}

#[test]
fn a_service_goes_on_at_once_once_between_two_turns() {
    let mut lab = Lab::new(Speaker { how: How::Stream, rounds: 0 });
    let rounds = |lab: &Lab<Speaker>| lab.service().rounds;
    lab.turn();
    let before = rounds(&lab);
    lab.turn();
    assert_eq!(rounds(&lab) - before, crate::service::ROUNDS);
    finish(lab);
}
