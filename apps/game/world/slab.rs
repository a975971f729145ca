//! The players of one lcore, in places that are numbered.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use gannet::host::HashKey;
use hashbrown::HashTable;

use super::player::Player;
use super::tenants::Tenants;
use crate::protocol::PlayerId;

/// Bits of a player's number that say its place in the slab.
const SLOT_BITS: u32 = 20;
/// Bits that say the lcore.
const LCORE_BITS: u32 = 6;
/// What is left counts how often the place was taken, so that a number comes back late. It is
/// never zero: a number of zeros is nobody's.
const GENERATIONS: u32 = 1 << (32 - SLOT_BITS - LCORE_BITS);

/// Players that an lcore can have.
pub(crate) const MAX_PLAYERS: u32 = 1 << SLOT_BITS;
/// Lcores that a world can have.
pub(crate) const MAX_LCORES: u32 = 1 << LCORE_BITS;

/// The lcore whose player that is.
pub(crate) fn lcore_of(id: PlayerId) -> u32 {
    id.0 >> SLOT_BITS & (MAX_LCORES - 1)
}

/// The place in that lcore's slab.
pub(crate) fn slot_of(id: PlayerId) -> usize {
    (id.0 & (MAX_PLAYERS - 1)) as usize
}

/// The places of the whole world, on all lcores.
#[derive(Clone, Debug)]
pub(crate) struct Seats {
    taken: Arc<AtomicU32>,
    all: u32,
}

impl Seats {
    pub(crate) fn new(all: u32) -> Self {
        Self { taken: Arc::default(), all }
    }

    pub(crate) fn all(&self) -> u32 {
        self.all
    }

    /// Takes one, if there is one.
    fn take(&self) -> bool {
        let next = |taken| (taken < self.all).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    /// Those that can be taken on one lcore: all of them, since the NIC may give all players to it.
    pub(crate) fn on_an_lcore(&self) -> usize {
        self.all.min(MAX_PLAYERS) as usize
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug)]
enum Slot {
    /// How often it was taken, and the next free one.
    Free {
        generation: u32,
        next: Option<u32>,
    },
    Taken(Player),
}

/// The players of one lcore.
#[derive(Debug)]
pub(crate) struct Slab {
    lcore: u32,
    seats: Seats,
    slots: Vec<Slot>,
    /// The first of the free ones, which are a list.
    free: Option<u32>,
    len: u32,
    /// Who sends from an address.
    sources: HashTable<u32>,
    pub(crate) tenants: Tenants,
    key: HashKey,
}

impl Slab {
    /// Room for all seats. What is not used takes no memory.
    pub(crate) fn new(lcore: u32, seats: Seats, tenants: Tenants, key: HashKey) -> Self {
        let slots = Vec::with_capacity(seats.on_an_lcore());
        let sources = HashTable::with_capacity(slots.capacity());
        Self { lcore, seats, slots, free: None, len: 0, sources, tenants, key }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// How many there can be, on all lcores.
    pub(crate) fn seats(&self) -> u32 {
        self.seats.all()
    }

    /// A player that was taken out comes to no other place.
    pub(crate) fn give_up_seat(&self) {
        self.seats.give_back();
    }

    /// How many places were ever taken.
    pub(crate) fn places(&self) -> usize {
        self.slots.len()
    }

    /// Who is in that place.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> Option<&Player> {
        match self.slots.get(place) {
            Some(Slot::Taken(player)) => Some(player),
            _ => None,
        }
    }

    /// Who is in that place.
    #[inline]
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Player> {
        match self.slots.get_mut(place) {
            Some(Slot::Taken(player)) => Some(player),
            _ => None,
        }
    }

    /// The player of that number.
    #[inline]
    pub(crate) fn player(&mut self, id: PlayerId) -> Option<&mut Player> {
        self.at_mut(slot_of(id)).filter(|player| player.id == id)
    }

    /// Who sends from that address.
    pub(crate) fn of_source(&self, source: SocketAddr) -> Option<&Player> {
        let is_its = |&place: &u32| self.at(place as usize).is_some_and(|player| player.source == source);
        let place = self.sources.find(self.hash(source), is_its)?;
        self.at(*place as usize)
    }

    /// Takes a seat and a place for a player that `make` makes of its number. `None` if all are taken.
    pub(crate) fn add(&mut self, make: impl FnOnce(PlayerId) -> Player) -> Option<PlayerId> {
        if !self.seats.take() {
            return None;
        }
        let id = self.place(make);
        if id.is_none() {
            self.seats.give_back();
        }
        id
    }

    /// Takes a place for a player that has its seat.
    pub(crate) fn place(&mut self, make: impl FnOnce(PlayerId) -> Player) -> Option<PlayerId> {
        let (place, generation) = self.free_place()?;
        let id = PlayerId(generation << (SLOT_BITS + LCORE_BITS) | self.lcore << SLOT_BITS | place);
        let player = make(id);
        let source = player.source;
        self.slots[place as usize] = Slot::Taken(player);
        self.len += 1;
        self.enter(source, place);
        Some(id)
    }

    fn free_place(&mut self) -> Option<(u32, u32)> {
        if let Some(place) = self.free {
            let Slot::Free { generation, next } = self.slots[place as usize] else { return None };
            self.free = next;
            return Some((place, generation % (GENERATIONS - 1) + 1));
        }
        let place = self.slots.len();
        if place >= self.seats.on_an_lcore() {
            return None;
        }
        self.slots.push(Slot::Free { generation: 1, next: None });
        Some((place as u32, 1))
    }

    /// Gives a player's place and seat back.
    pub(crate) fn remove(&mut self, id: PlayerId) -> Option<Player> {
        let player = self.take_out(id)?;
        self.seats.give_back();
        Some(player)
    }

    /// Gives a player's place back; it keeps its seat.
    pub(crate) fn take_out(&mut self, id: PlayerId) -> Option<Player> {
        let source = self.player(id)?.source;
        self.forget(source);
        let place = slot_of(id);
        let generation = id.0 >> (SLOT_BITS + LCORE_BITS);
        let free = Slot::Free { generation, next: self.free.replace(place as u32) };
        self.len -= 1;
        match std::mem::replace(&mut self.slots[place], free) {
            Slot::Taken(player) => Some(player),
            Slot::Free { .. } => None,
        }
    }

    /// A player sends from another address from now on.
    pub(crate) fn rebind(&mut self, id: PlayerId, source: SocketAddr, own: SocketAddr) {
        let Some(old) = self.player(id).map(|player| player.source) else { return };
        self.forget(old);
        if let Some(player) = self.player(id) {
            player.rebind(source, own);
        }
        self.enter(source, slot_of(id) as u32);
    }

    fn enter(&mut self, source: SocketAddr, place: u32) {
        self.tenants.enter(source.ip());
        let (slots, key) = (&self.slots, self.key);
        let hash = |&place: &u32| match &slots[place as usize] {
            Slot::Taken(player) => hash(key, player.source),
            Slot::Free { .. } => 0,
        };
        self.sources.insert_unique(self::hash(key, source), place, hash);
    }

    fn forget(&mut self, source: SocketAddr) {
        let slots = &self.slots;
        let is_its = |&place: &u32| match &slots[place as usize] {
            Slot::Taken(player) => player.source == source,
            Slot::Free { .. } => false,
        };
        if let Ok(entry) = self.sources.find_entry(hash(self.key, source), is_its) {
            entry.remove();
            self.tenants.leave(source.ip());
        }
    }

    fn hash(&self, source: SocketAddr) -> u64 {
        hash(self.key, source)
    }
}

/// Clients choose their addresses, so the hash is keyed.
fn hash(key: HashKey, source: SocketAddr) -> u64 {
    let [high, low] = match source.ip() {
        IpAddr::V4(address) => [0, address.to_bits().into()],
        IpAddr::V6(address) => [(address.to_bits() >> 64) as u64, address.to_bits() as u64],
    };
    key.hash_words([high, low, source.port().into()])
}
