//! The game in memory, on a clock that moves by hand.

mod joining;
mod lcores;
mod playing;
mod ticking;

use std::time::Duration;

use gannet::{Lab, Received};

use super::*;
use crate::protocol::{
    Attack, AttackResult, Challenge, Chat, Entry, Header, Join, Leave, Left, Move, PacketType, Ping,
    PlayerId, Refusal, Token, Update, VERSION, Vector, Welcome,
};

const PORT: u16 = 8080;
const TICK: Duration = Duration::from_nanos(33_333_334);

fn setup(players: u32, world: f32) -> Setup {
    let rules = Rules::new(players, Some(world), 50.0).expect("a world");
    Setup { rules, players, seed: [1, 2], lateness: Sum::default() }
}

fn lab(players: u32, world: f32) -> Lab<Game> {
    Lab::with(setup(players, world).games(1).remove(0), unguarded)
}

/// One in which players are anywhere at once.
fn fast_lab(players: u32, world: f32) -> Lab<Game> {
    let mut setup = setup(players, world);
    setup.rules.top_speed = 1e5;
    Lab::with(setup.games(1).remove(0), unguarded)
}

/// As `gannet game` has it: the join is the game's own cap, and tests are faster than any rate.
fn unguarded(config: &mut gannet::host::HostConfig) {
    config.guards = gannet::GuardConfig::OFF.resolve(Role::Stateful);
}

fn message<const N: usize>(write: impl FnOnce(&mut [u8; N])) -> [u8; N] {
    let mut message = [0; N];
    write(&mut message);
    message
}

fn join_message(cookie: [u8; 8], player: PlayerId, token: Token) -> [u8; Join::LEN] {
    let join = Join { version: VERSION, player, token, cookie };
    message(|into| join.write(into, 77))
}

fn packet_type(payload: &[u8]) -> PacketType {
    Header::parse(payload).expect("a header").packet_type
}

/// What came out of the lab, oldest first.
fn everything(lab: &mut Lab<Game>) -> Vec<Received> {
    std::iter::from_fn(|| lab.receive()).collect()
}

/// Sends a datagram and gives the answer, without the updates that come meanwhile.
fn ask(lab: &mut Lab<Game>, from: &str, payload: &[u8]) -> Option<Vec<u8>> {
    lab.send(from, PORT, payload);
    lab.turn();
    let to = from.parse().expect("an address");
    let is_answer = |sent: &Received| sent.to == to && packet_type(&sent.payload) != PacketType::UPDATE;
    everything(lab).into_iter().find(is_answer).map(|sent| sent.payload)
}

/// The cookie of a source.
fn cookie(lab: &mut Lab<Game>, from: &str) -> [u8; 8] {
    let first = join_message([0; 8], PlayerId::NOBODY, Token::default());
    let challenge = ask(lab, from, &first).expect("an answer");
    assert_eq!(packet_type(&challenge), PacketType::CHALLENGE);
    Challenge::parse(&challenge).expect("a challenge").cookie
}

/// Joins from an address, with or without having been a player.
fn join_as(lab: &mut Lab<Game>, from: &str, player: PlayerId, token: Token) -> Vec<u8> {
    let cookie = cookie(lab, from);
    ask(lab, from, &join_message(cookie, player, token)).expect("an answer")
}

fn join(lab: &mut Lab<Game>, from: &str) -> Welcome {
    let welcome = join_as(lab, from, PlayerId::NOBODY, Token::default());
    assert_eq!(packet_type(&welcome), PacketType::WELCOME);
    Welcome::parse(&welcome).expect("a welcome")
}

fn move_message(player: PlayerId, position: Vector, timestamp: u64) -> [u8; Move::LEN] {
    let step = Move { player, position, velocity: Vector::default() };
    message(|into| step.write(into, PacketType::PLAYER_MOVE, timestamp))
}

/// Lets a tick begin and end. Gives what was sent, by receiver.
fn tick(lab: &mut Lab<Game>) -> Vec<Received> {
    lab.advance(TICK);
    let mut received = everything(lab);
    for _ in 0..200 {
        lab.turn();
        received.extend(everything(lab));
    }
    received
}

fn updates<'a>(received: &'a [Received], to: &str) -> Vec<Update<'a>> {
    let to = to.parse().expect("an address");
    let of = received.iter().filter(|received| received.to == to);
    let updates = of.filter(|received| packet_type(&received.payload) == PacketType::UPDATE);
    updates.map(|received| Update::parse(&received.payload).expect("an update")).collect()
}

fn entries(received: &[Received], to: &str) -> Vec<Entry> {
    let updates = updates(received, to);
    updates.iter().flat_map(|update| update.entries().map(|entry| entry.expect("an entry"))).collect()
}

/// Goes to a place at once, in a fast lab.
fn go(lab: &mut Lab<Game>, from: &str, player: PlayerId, to: Vector) {
    lab.advance(Duration::from_millis(40));
    everything(lab);
    let now = lab.now().as_nanos();
    let ack = ask(lab, from, &move_message(player, to, now)).expect("an answer");
    assert_eq!(packet_type(&ack), PacketType::MOVE_ACK);
}

fn place(x: f32, z: f32) -> Vector {
    Vector { x, y: 0.0, z }
}

fn count(lab: &Lab<Game>, event: Event) -> u64 {
    lab.service().counters().count(event)
}

fn close(lab: Lab<Game>) {
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact(), "{counters:?}");
    assert!(pool.is_balanced(), "{pool:?}");
}
