//! The moves that a bot has sent, as far back as an answer may come.

use gannet_game::protocol::{Move, PacketType, PlayerId, Vector};

/// A move that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// When it was meant to leave, in nanoseconds; what the message has, too.
    pub(crate) timestamp: u64,
    pub(crate) position: Vector,
    pub(crate) velocity: Vector,
    pub(crate) fate: Fate,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing is known.
    Waiting,
    /// It was acknowledged or corrected.
    Answered,
}

impl Sent {
    /// Whether `answer` is this move byte for byte, as its acknowledgement.
    #[inline]
    pub(crate) fn is_acknowledged_by(&self, player: PlayerId, answer: &[u8]) -> bool {
        let mut expected = [0; Move::LEN];
        let sent = Move { player, position: self.position, velocity: self.velocity };
        sent.write(&mut expected, PacketType::MOVE_ACK, self.timestamp);
        expected == answer
    }
}

/// The last moves of a bot, oldest first, in a ring.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    ring: Vec<Sent>,
    capacity: usize,
    /// How many were sent in all.
    count: usize,
}

impl Moves {
    /// Room for the last `capacity` moves, at least one; taken with the first of them.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { ring: Vec::new(), capacity: capacity.max(1), count: 0 }
    }

    /// Keeps a move. Gives the one that it takes the place of.
    #[inline]
    pub(crate) fn push(&mut self, sent: Sent) -> Option<Sent> {
        let place = self.count % self.capacity;
        self.count += 1;
        match self.ring.get_mut(place) {
            Some(old) => Some(std::mem::replace(old, sent)),
            None => {
                self.ring.reserve_exact(self.capacity - place);
                self.ring.push(sent);
                None
            }
        }
    }

    /// The move of that time.
    #[inline]
    pub(crate) fn find(&mut self, timestamp: u64) -> Option<&mut Sent> {
        let place = self.places().find(|&place| self.ring[place].timestamp <= timestamp)?;
        Some(&mut self.ring[place]).filter(|sent| sent.timestamp == timestamp)
    }

    /// Whether an answer to a move of that time can't be told from one to no move any more.
    pub(crate) fn is_forgotten(&self, timestamp: u64) -> bool {
        self.count > self.capacity && self.newest_first().last().is_some_and(|old| timestamp < old.timestamp)
    }

    /// All of them, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Sent> {
        self.places().map(|place| &self.ring[place])
    }

    /// How many have no answer.
    pub(crate) fn waiting(&self) -> u64 {
        self.ring.iter().filter(|sent| sent.fate == Fate::Waiting).count() as u64
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.ring.clear();
        self.count = 0;
    }

    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        let (count, capacity) = (self.count, self.capacity);
        (1..=self.ring.len()).map(move |back| (count - back) % capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(timestamp: u64) -> Sent {
        let position = Vector { x: timestamp as f32, y: 0.0, z: 1.0 };
        Sent { timestamp, position, velocity: Vector::default(), fate: Fate::Waiting }
    }

    #[test]
    fn the_last_moves_are_found_and_older_ones_are_handed_back() {
        let mut moves = Moves::new(4);
        assert!(moves.find(10).is_none() && !moves.is_forgotten(10));
        let displaced: Vec<_> =
            (1..=6).filter_map(|time| moves.push(sent(time * 10))).map(|old| old.timestamp).collect();
        assert_eq!(displaced, [10, 20]);
        assert!([10, 20, 35, 70].iter().all(|&time| moves.find(time).is_none()));
        assert!(moves.is_forgotten(20) && !moves.is_forgotten(35));
        moves.find(40).expect("kept").fate = Fate::Answered;
        assert_eq!(moves.waiting(), 3);
        let times: Vec<_> = moves.newest_first().map(|sent| sent.timestamp).collect();
        assert_eq!(times, [60, 50, 40, 30]);
        moves.clear();
        assert_eq!((moves.waiting(), moves.newest_first().count()), (0, 0));
    }

    #[test]
    fn an_acknowledgement_has_every_byte() {
        let sent = sent(7);
        let mut answer = [0; Move::LEN];
        let message = Move { player: PlayerId(9), position: sent.position, velocity: sent.velocity };
        message.write(&mut answer, PacketType::MOVE_ACK, 7);
        assert!(sent.is_acknowledged_by(PlayerId(9), &answer));
        for at in 0..Move::LEN {
            let mut other = answer;
            other[at] ^= 1;
            assert!(!sent.is_acknowledged_by(PlayerId(9), &other), "{at}");
        }
        assert!(!sent.is_acknowledged_by(PlayerId(9), &answer[..43]));
    }
}
