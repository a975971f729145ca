//! Players of the game that do nothing but move, each as soon as its last move is acknowledged: the
//! acknowledgement is turned into the next move where it lies. They join as the page says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use gannet::{Datagram, Outbox, Role, Service, Tick, Time, Verdict};
use gannet_game::protocol::{
    Challenge, Header, Join, Move, PacketType, PlayerId, Token, VERSION, Vector, Welcome, set_type,
};

/// Players of an address, and the first port of each: above the ports of services, which guards refuse.
const PORTS: u32 = 40_000;
const FIRST_PORT: u32 = 20_000;
/// The first address; there are as many as players want.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
/// Messages of a tick, and the time to the next.
const AT_ONCE: usize = 32;
const PAUSE: Duration = Duration::from_micros(20);
/// A join that was not answered for so long is sent again; and a move, which is lost then: a second one
/// of a player on its way beside the first would never end.
const PATIENCE: Duration = Duration::from_millis(50);
const LONG_PATIENCE: Duration = Duration::from_secs(2);
/// Metres of a step, there and back.
const STEP: f32 = 0.01;

/// One of the players.
#[derive(Clone, Copy, Debug, Default)]
struct Bot {
    player: PlayerId,
    place: Vector,
    /// It was answered since it was looked at.
    is_answered: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Replayer {
    server: SocketAddr,
    bots: Vec<Bot>,
    moves: bool,
    /// All were looked at since the last of them joined.
    is_moving: bool,
    /// The next to be looked at.
    next: usize,
    joined: Arc<AtomicUsize>,
}

/// The addresses that so many players send from.
pub(super) fn addresses(players: u32) -> impl Iterator<Item = IpAddr> {
    let count = players.div_ceil(PORTS);
    (0..count).map(|number| IpAddr::V4((FIRST_ADDRESS.to_bits() + number).into()))
}

/// Where a player sends from.
fn source(number: usize) -> SocketAddr {
    let number = number as u32;
    let address = Ipv4Addr::from(FIRST_ADDRESS.to_bits() + number / PORTS);
    (address, (FIRST_PORT + number % PORTS) as u16).into()
}

/// The player that sends from there.
fn number(source: SocketAddr) -> Option<usize> {
    let IpAddr::V4(address) = source.ip() else { return None };
    let address = address.to_bits().checked_sub(FIRST_ADDRESS.to_bits())?;
    let port = u32::from(source.port()).checked_sub(FIRST_PORT)?;
    Some((address * PORTS + port) as usize)
}

impl Replayer {
    /// So many players of `server`, that move once all of them have joined, or only join. How many have
    /// is told in `joined`.
    pub(super) fn new(server: SocketAddr, players: u32, moves: bool, joined: Arc<AtomicUsize>) -> Self {
        let bots = vec![Bot::default(); players as usize];
        Self { server, bots, moves, is_moving: false, next: 0, joined }
    }

    fn have_all_joined(&self) -> bool {
        self.joined.load(Relaxed) == self.bots.len()
    }

    /// Sends for the next player, if there is something to send. `false` if there is no room.
    fn prompt(&mut self, now: Time, outbox: &mut Outbox<'_>) -> bool {
        let (from, moves) = (source(self.next), self.have_all_joined());
        let bot = &mut self.bots[self.next];
        let sent = if bot.player == PlayerId::NOBODY {
            let join = join([0; 8]);
            outbox.send_with(from, self.server, Join::LEN, |room| {
                if let Some(message) = room.first_chunk_mut() {
                    join.write(message, 0);
                }
            })
        } else if moves && !bot.is_answered {
            let step = Move { player: bot.player, position: bot.place, velocity: Vector::default() };
            outbox.send_with(from, self.server, Move::LEN, |room| {
                if let Some(message) = room.first_chunk_mut() {
                    // Later than all that it sent: each answer makes a move one nanosecond later only.
                    step.write(message, PacketType::PLAYER_MOVE, now.as_nanos());
                }
            })
        } else {
            Ok(())
        };
        bot.is_answered = false;
        sent.is_ok()
    }

    fn welcome(&mut self, number: usize, welcome: &Welcome) {
        let Some(bot) = self.bots.get_mut(number) else { return };
        if bot.player == PlayerId::NOBODY {
            self.joined.store(self.joined.load(Relaxed) + 1, Relaxed);
        }
        (bot.player, bot.place) = (welcome.player, welcome.position);
    }
}

fn join(cookie: [u8; 8]) -> Join {
    Join { version: VERSION, player: PlayerId::NOBODY, token: Token::default(), cookie }
}

/// Makes an answer to a move the next and later one: there and back.
#[inline]
fn move_on(message: &mut [u8; Move::LEN]) {
    const TIMESTAMP: usize = 8;
    const EAST: usize = 20;
    let timestamp = u64::from_le_bytes(std::array::from_fn(|index| message[TIMESTAMP + index]));
    let east = f32::from_le_bytes([message[EAST], message[EAST + 1], message[EAST + 2], message[EAST + 3]]);
    let next = if timestamp & 1 == 0 { east + STEP } else { east - STEP };
    message[EAST..EAST + 4].copy_from_slice(&next.to_le_bytes());
    message[TIMESTAMP..TIMESTAMP + 8].copy_from_slice(&timestamp.wrapping_add(1).to_le_bytes());
    set_type(message, PacketType::PLAYER_MOVE);
}

impl Service for Replayer {
    const ROLE: Role = Role::Client;

    #[inline]
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        let Some(number) = number(datagram.destination()) else { return Verdict::Drop };
        let Ok(header) = Header::parse(datagram.payload()) else { return Verdict::Drop };
        match header.packet_type {
            PacketType::MOVE_ACK | PacketType::CORRECTION => {
                if let Some(bot) = self.bots.get_mut(number) {
                    bot.is_answered = true;
                }
                let Some(message) = datagram.payload_mut().first_chunk_mut() else { return Verdict::Drop };
                move_on(message);
                Verdict::Reply
            }
            PacketType::CHALLENGE => {
                let Ok(Challenge { cookie }) = Challenge::parse(datagram.payload()) else {
                    return Verdict::Drop;
                };
                if datagram.resize(Join::LEN).is_err() {
                    return Verdict::Drop;
                }
                let Some(message) = datagram.payload_mut().first_chunk_mut() else { return Verdict::Drop };
                join(cookie).write(message, 0);
                Verdict::Reply
            }
            PacketType::WELCOME => {
                if let Ok(welcome) = Welcome::parse(datagram.payload()) {
                    self.welcome(number, &welcome);
                }
                Verdict::Drop
            }
            _ => Verdict::Drop,
        }
    }

    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        if self.have_all_joined() && !self.moves {
            return Tick::Done(Time::NEVER);
        }
        for _ in 0..AT_ONCE {
            if !self.prompt(now, outbox) {
                break;
            }
            self.next += 1;
            if self.next == self.bots.len() {
                self.next = 0;
                let patience =
                    if self.have_all_joined() && self.is_moving { LONG_PATIENCE } else { PATIENCE };
                self.is_moving = self.have_all_joined();
                return Tick::Done(now + patience);
            }
        }
        Tick::Done(now + PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_are_known_by_where_they_send_from() {
        for player in [0, 1, 39_999, 40_000, 999_999] {
            assert_eq!(number(source(player)), Some(player));
        }
        assert_eq!(source(40_000), ([10, 77, 1, 2], 20_000).into());
        assert_eq!(addresses(40_001).count(), 2);
        assert_eq!(number("10.77.0.9:20000".parse().expect("an address")), None);
    }

    #[test]
    fn a_move_goes_there_and_back() {
        let position = Vector { x: 5.0, y: 0.0, z: 7.0 };
        let step = Move { player: PlayerId(3), position, velocity: Vector::default() };
        let mut message = [0; Move::LEN];
        // A carry goes through all bytes but one.
        let first = (1 << 56) - 2;
        step.write(&mut message, PacketType::MOVE_ACK, first);
        let mut places = Vec::new();
        for number in 1..=4 {
            move_on(&mut message);
            let header = Header::parse(&message).expect("a header");
            assert_eq!((header.packet_type, header.timestamp), (PacketType::PLAYER_MOVE, first + number));
            places.push(Move::parse(&message).expect("a move").position.x);
        }
        assert!(places.iter().all(|x| (x - 5.0).abs() < 0.02) && places[0] > 5.0 && places[1] < places[0]);
    }
}
