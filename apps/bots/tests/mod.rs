//! Bots on the virtual clock, with a server whose every message the test makes by hand; in [`play`]
//! with the real one.

mod acting;
mod coming;
mod leaving;
mod moves;
mod play;
mod returning;
mod updates;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use gannet::Lab;
use gannet_game::protocol::{
    Attack, AttackResult, Challenge, Chat, Entry, EntryFlags, ErrorCode, Header, Join, Left, LeftReason,
    Move, Outcome, PacketType, PlayerId, Refusal, Token, Update, UpdateHead, VERSION, Vector, Welcome,
    set_type,
};

use super::addresses::Addresses;
use super::board::Board;
use super::books::Habits;
use super::output::Limits;
use super::swarm::{Parts, Swarm};
use super::tally::{Counts, Tally};

const SERVER: &str = "10.77.0.2:8080";
const PORT: u16 = 49_152;
const PLAYER: PlayerId = PlayerId(77);
const TOKEN: Token = Token(5);
/// Where the server puts the player: in the cell [1, 1].
const START: Vector = Vector { x: 75.0, y: 1.0, z: 75.0 };
const MS: u64 = 1_000_000;
const STRICT: Limits = Limits { loss: 0.0, late: 0.0 };

fn habits() -> Habits {
    Habits {
        to: SERVER.parse().expect("valid"),
        rate: 10.0,
        speed: 5.0,
        gather: Some(10.0),
        attacks: 0.0,
        chats: 0.0,
        rejoins: 0.0,
        session: None,
        ramp: 0,
        seed: 1,
    }
}

/// A bot, and its server in the test's hands.
struct Stage {
    lab: Lab<Swarm>,
    board: Arc<Board>,
    results: Receiver<Box<Tally>>,
    /// What was acknowledged last.
    last_move: Option<Vec<u8>>,
}

impl Stage {
    fn new(habits: Habits) -> Self {
        let board = Arc::new(Board::new(1, 1));
        let own = [Lab::<Swarm>::ADDRESS.into()];
        let addresses = Addresses::new(habits.to, &own, (1, habits.homes()), Some(PORT)).expect("room");
        let parts = Parts {
            lcore: 0,
            lcores: 1,
            board: Arc::clone(&board),
            addresses: Arc::new(addresses),
            habits: Arc::new(habits),
        };
        let (sender, results) = unbounded();
        let mut stage = Self { lab: Lab::new(Swarm::new(parts, sender)), board, results, last_move: None };
        stage.board.begins.store(true, Relaxed);
        stage.wait(1);
        // The server's MAC address was asked for.
        stage.said();
        stage
    }

    /// One that plays, at 1 ms of the clock and a turn of the wheel each 100 ms.
    fn playing(habits: Habits) -> Self {
        let mut stage = Self::new(habits);
        stage.say(&challenge(0));
        stage.said();
        stage.say(&welcome());
        stage
    }

    fn wait(&mut self, milliseconds: u64) {
        self.lab.advance(Duration::from_millis(milliseconds));
        self.lab.turn();
    }

    fn say(&mut self, message: &[u8]) {
        assert!(self.lab.send(SERVER, PORT, message));
        self.lab.turn();
    }

    /// What the bot has said.
    fn said(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.lab.receive()).map(|received| received.payload).collect()
    }

    /// The next move, 100 ms later.
    fn next_move(&mut self) -> Vec<u8> {
        self.wait(100);
        let said = self.said();
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(packet_type(&said[0]), PacketType::PLAYER_MOVE);
        said[0].clone()
    }

    fn acknowledge(&mut self, message: &[u8]) {
        let mut answer = message.to_vec();
        set_type(&mut answer, PacketType::MOVE_ACK);
        self.last_move = Some(message.to_vec());
        self.say(&answer);
    }

    /// Has it leave, and gives what it says last.
    fn close(&mut self) -> Vec<u8> {
        self.board.closes.store(true, Relaxed);
        // One round to hear of it, one to leave.
        (0..3).for_each(|_| self.wait(100));
        self.said().into_iter().find(|message| packet_type(message) == PacketType::LEAVE).expect("a leave")
    }

    fn end(self) -> Tally {
        let Self { lab, results, .. } = self;
        let (counters, pool) = lab.close();
        assert!(counters.balance().is_exact() && pool.is_balanced());
        *results.try_recv().expect("a tally")
    }

    fn counts(self) -> Counts {
        self.end().counts
    }
}

fn packet_type(message: &[u8]) -> PacketType {
    Header::parse(message).expect("a header").packet_type
}

fn challenge(timestamp: u64) -> [u8; Challenge::LEN] {
    let mut message = [0; Challenge::LEN];
    Challenge { cookie: *b"a cookie" }.write(&mut message, timestamp);
    message
}

fn welcome() -> [u8; Welcome::LEN] {
    let mut message = [0; Welcome::LEN];
    let welcome = Welcome {
        version: VERSION,
        player: PLAYER,
        token: TOKEN,
        tick_rate: 20,
        position: START,
        world: 150.0,
        cell: 50.0,
        top_speed: 10.0,
        timeout: 10_000,
    };
    welcome.write(&mut message, 0);
    message
}

fn head(tick: u32, previous: u32) -> UpdateHead {
    UpdateHead { tick, previous, cell: [1, 1], part: 0, parts: 1 }
}

fn entry(player: PlayerId, stamp: u32, position: Vector) -> Entry {
    Entry { player, stamp, position, health: 100, ..Entry::default() }
}

fn update(head: UpdateHead, entries: &[Entry]) -> Vec<u8> {
    let mut message = vec![0; UpdateHead::message_len(entries.len())];
    let (front, rest) = message.split_first_chunk_mut().expect("a head");
    head.write(front, entries.len(), 0);
    rest.as_chunks_mut().0.iter_mut().zip(entries).for_each(|(place, entry)| entry.write(place));
    assert!(Update::parse(&message).is_ok());
    message
}

fn left(position: Vector, reason: LeftReason) -> [u8; Left::LEN] {
    let mut message = [0; Left::LEN];
    Left { player: PLAYER, position, reason }.write(&mut message, 0);
    message
}

/// What the strictest checks say of a tally.
fn violations(tally: &Tally) -> String {
    STRICT.violations(tally).join("; ")
}
