//! What lcores tell each other: rings with one writer and one reader, bounded, with no lock.

use std::net::SocketAddr;

use rtrb::{Consumer, Producer, RingBuffer};

use super::talk::Said;
use crate::protocol::{AttackResult, Entry, PlayerId, Token};
use crate::world::{Player, Strike};

/// Messages to one lcore that wait to be read.
const MESSAGES: usize = if cfg!(fuzzing) { 8 } else { 1024 };

/// What one lcore tells another, beside the news of its players.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a ring holds them in place")]
pub(super) enum Message {
    /// A player said something.
    Said(Said),
    /// One of your players is attacked.
    Strike(Strike),
    /// What came of your player's attack, whose timestamp that was.
    Struck(AttackResult, u64),
    /// Somebody wants to be your player again, here.
    Claim(Claim),
    /// It is yours now.
    Handover(Player, Claim),
    /// There is no such player.
    Unknown(Claim),
}

/// A player's wish to come back from another address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) player: PlayerId,
    pub(super) token: Token,
    pub(super) source: SocketAddr,
    pub(super) own: SocketAddr,
    /// Of the join.
    pub(super) timestamp: u64,
    /// The lcore that heard it.
    pub(super) lcore: u32,
}

/// Both directions between this lcore and another.
#[derive(Debug)]
struct Peer {
    lcore: u32,
    news_to: Producer<(u32, Entry)>,
    news_from: Consumer<(u32, Entry)>,
    to: Producer<Message>,
    from: Consumer<Message>,
}

/// An lcore's ends of the rings to all others.
#[derive(Debug, Default)]
pub(super) struct Exchange(Vec<Peer>);

impl Exchange {
    /// The ends of `lcores` lcores, with room for `news` of players in each ring.
    pub(super) fn wire(lcores: u32, news: usize) -> Vec<Self> {
        let mut all: Vec<Self> = (0..lcores).map(|_| Self::default()).collect();
        for low in 0..lcores {
            for high in low + 1..lcores {
                let (up, from_low) = (RingBuffer::new(news), RingBuffer::new(MESSAGES));
                let (down, from_high) = (RingBuffer::new(news), RingBuffer::new(MESSAGES));
                let peer = |lcore, news_to, news_from, to, from| Peer { lcore, news_to, news_from, to, from };
                all[low as usize].0.push(peer(high, up.0, down.1, from_low.0, from_high.1));
                all[high as usize].0.push(peer(low, down.0, up.1, from_high.0, from_low.1));
            }
        }
        all
    }

    /// Whether there is nobody else.
    pub(super) fn is_alone(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all others of one of our players. Gives how many had no room for it.
    pub(super) fn tell_news(&mut self, cell: u32, entry: Entry) -> u64 {
        let lost = |peer: &mut Peer| u64::from(peer.news_to.push((cell, entry)).is_err());
        self.0.iter_mut().map(lost).sum()
    }

    /// The next that others tell of their players.
    pub(super) fn hear_news(&mut self) -> Option<(u32, Entry)> {
        self.0.iter_mut().find_map(|peer| peer.news_from.pop().ok())
    }

    /// Whether another lcore has room for a message.
    pub(super) fn has_room(&self, lcore: u32) -> bool {
        self.0.iter().any(|peer| peer.lcore == lcore && peer.to.slots() > 0)
    }

    /// Tells another lcore something. `false` if there is none of that number, or no room.
    pub(super) fn tell(&mut self, lcore: u32, message: Message) -> bool {
        let peer = self.0.iter_mut().find(|peer| peer.lcore == lcore);
        peer.is_some_and(|peer| peer.to.push(message).is_ok())
    }

    /// Tells all others what was said. Gives how many had no room for it.
    pub(super) fn tell_all(&mut self, said: &Said) -> u64 {
        let lost = |peer: &mut Peer| u64::from(peer.to.push(Message::Said(said.clone())).is_err());
        self.0.iter_mut().map(lost).sum()
    }

    /// The next message of another lcore.
    pub(super) fn hear(&mut self) -> Option<Message> {
        self.0.iter_mut().find_map(|peer| peer.from.pop().ok())
    }

    /// Whether there is an lcore of that number beside this one.
    pub(super) fn knows(&self, lcore: u32) -> bool {
        self.0.iter().any(|peer| peer.lcore == lcore)
    }
}
