//! The steps of a tick, each in slices: heed the other lcores, look at each player, sort what is new,
//! tell it, and tell what was said.

use std::ops::Range;
use std::time::Duration;

use gannet::{Outbox, SendError, Shared, Tick, Time};

use super::Game;
use super::fan_out::{CellNews, Progress};
use super::nearby::Rows;
use crate::counters::Event;
use crate::map::Dot;
use crate::protocol::{LeftReason, PacketType};
use crate::world::Player;

/// Players that a slice looks at.
const LOOKED_AT_PER_SLICE: usize = 512;
/// News of other lcores that a slice takes in.
const HEARD_PER_SLICE: usize = 4096;
/// Payloads that a slice can share; what else there is to tell waits for the next.
pub(super) const SHARED: usize = 64;

/// Players that are told at once, before the others have to wait for their turn; and so many at a time
/// then.
const TOLD_AT_ONCE: usize = 256;
const TOLD_AT_A_TIME: usize = 32;

/// Where a tick is, and what it keeps from slice to slice.
#[derive(Debug, Default)]
pub(super) struct Round {
    step: Step,
    /// The next player, listener or thing said.
    next: usize,
    update: Option<Telling>,
    said: Option<Saying>,
}

#[cfg(test)]
impl Round {
    pub(super) fn is_under_way(&self) -> bool {
        self.step != Step::Rest
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Rest,
    Heed,
    Clear,
    Look,
    Hear,
    Sum,
    Sort,
    Tell,
    Talk,
}

/// What is new around a cell, on its way to those in it.
#[derive(Debug)]
struct Telling {
    news: CellNews,
    part: usize,
    listeners: Range<usize>,
    /// The next one.
    next: usize,
    /// The present part, where it is for several.
    shared: Option<Shared>,
}

/// Something said, on its way to those around.
#[derive(Debug)]
struct Saying {
    listeners: Rows,
    done: usize,
    shared: Shared,
}

impl Game {
    /// Goes on with the tick, or begins it if it is due.
    #[inline]
    pub(super) fn go_round(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        if self.round.step == Step::Rest {
            if now < self.ticks.due {
                return Tick::Done(self.ticks.due);
            }
            self.ticks.begin(now);
            self.count(Event::Ticks);
            self.talk.turn();
        }
        if let Some(turn) = self.turn_to_tell(now) {
            return Tick::Done(turn);
        }
        match self.go_on(now, outbox) {
            Progress::More => Tick::More,
            Progress::Done => {
                self.counters.add(Event::TicksSkipped, self.ticks.end(now));
                Tick::Done(self.ticks.due)
            }
        }
    }

    /// A slice, and as many steps as end in it while nothing is sent.
    fn go_on(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Progress {
        let (progress, next) = match self.round.step {
            Step::Rest => (Progress::Done, Step::Heed),
            Step::Heed => (self.heed(now, outbox), Step::Clear),
            Step::Clear => (self.fan_out.clear(), Step::Look),
            Step::Look => (self.look(now, outbox), Step::Hear),
            Step::Hear => (self.hear_news(), Step::Sum),
            Step::Sum => (self.fan_out.sum(), Step::Sort),
            Step::Sort => (self.fan_out.sort(), Step::Tell),
            Step::Tell => (self.tell(now, outbox), Step::Talk),
            Step::Talk => (self.repeat(outbox), Step::Rest),
        };
        if progress == Progress::More {
            return Progress::More;
        }
        (self.round.step, self.round.next) = (next, 0);
        if next == Step::Rest { Progress::Done } else { Progress::More }
    }

    /// Looks at some players: who is silent is gone, who was dead long enough is not, and what is new
    /// is to be told.
    fn look(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Progress {
        let end = (self.round.next + LOOKED_AT_PER_SLICE).min(self.world.players.places());
        while self.round.next < end {
            if !self.look_at(now, self.round.next, outbox) {
                return Progress::More;
            }
            self.round.next += 1;
        }
        if end == self.world.players.places() { Progress::Done } else { Progress::More }
    }

    /// Looks at the player in a place, if there is one. `false` if what it is to be sent has to wait.
    #[inline]
    fn look_at(&mut self, now: Time, place: usize, outbox: &mut Outbox<'_>) -> bool {
        let rules = self.world.rules;
        let is_refreshed = (self.ticks.number as usize + place).is_multiple_of(rules.tick_rate as usize);
        let Some(player) = self.world.players.at_mut(place) else {
            self.show(place, None);
            return true;
        };
        if now.since(player.seen) > rules.timeout || player.may_revive(now) {
            return outbox.free() > 0 && self.change(now, place, outbox);
        }
        let dot = player.dot(&rules);
        player.cell = rules.cell_of(player.position);
        let (cell, news) = (player.cell, (player.is_changed || is_refreshed).then(|| player.tell()));
        self.fan_out.add_listener(cell, place as u32);
        self.show(place, Some(dot));
        if let Some(entry) = news {
            if !self.fan_out.add_news(cell, &entry) {
                self.count(Event::EntriesCut);
            }
            if !self.exchange.is_alone() {
                self.counters.add(Event::EntriesLost, self.exchange.tell_news(cell, entry));
            }
        }
        true
    }

    /// Shows who is in a place, if somebody wants to see that.
    #[inline]
    fn show(&self, place: usize, dot: Option<Dot>) {
        if let Some(board) = &self.board {
            board.line(self.lcore as usize).show(place, dot);
        }
    }

    /// A player's time is over, or comes again.
    #[cold]
    fn change(&mut self, now: Time, place: usize, outbox: &mut Outbox<'_>) -> bool {
        let anew = self.world.somewhere();
        let Some(player) = self.world.players.at_mut(place) else { return true };
        if now.since(player.seen) > self.world.rules.timeout {
            let id = player.id;
            if let Some(gone) = self.world.players.remove(id) {
                self.count(Event::TimedOut);
                self.say_farewell(&gone, LeftReason::SILENT, outbox);
            }
            return true;
        }
        player.revive(now, anew);
        let (ends, correction) = (player.ends(), player.correction());
        self.count(Event::Revived);
        self.send(outbox, ends, |message| correction.write(message, PacketType::CORRECTION, 0));
        self.look_at(now, place, outbox)
    }

    /// Takes in some of what other lcores tell of their players.
    fn hear_news(&mut self) -> Progress {
        for _ in 0..HEARD_PER_SLICE {
            let Some((cell, entry)) = self.exchange.hear_news() else { return Progress::Done };
            if !self.fan_out.add_heard(self.ticks.number, cell, &entry) {
                self.count(Event::EntriesCut);
            }
        }
        Progress::More
    }

    /// When the next players are to be told, if not now. All are told in half of the time from tick to tick,
    /// evenly: a burst of so many datagrams would have the answers behind it wait, here and in all queues on
    /// the way, and those overflow.
    fn turn_to_tell(&self, now: Time) -> Option<Time> {
        if self.round.step != Step::Tell {
            return None;
        }
        let told = self.round.update.as_ref().map_or(self.round.next, |telling| telling.next);
        let waiting = (told + TOLD_AT_A_TIME).checked_sub(TOLD_AT_ONCE)?;
        let half = (self.world.rules.period() / 2).as_nanos() as u64;
        let nanos = half * waiting as u64 / self.fan_out.listeners().max(1) as u64;
        let turn = self.ticks.began + Duration::from_nanos(nanos.min(half));
        (now < turn).then_some(turn)
    }

    /// Tells those in each cell what is new around it, as far as the outbox goes, and as many as have their
    /// turn.
    fn tell(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Progress {
        while self.turn_to_tell(now).is_none() {
            let Some(mut telling) = self.round.update.take().or_else(|| self.next_cell()) else {
                return Progress::Done;
            };
            if self.tell_cell(&mut telling, outbox).is_err() {
                self.round.update = Some(telling);
                return Progress::More;
            }
            let cut = self.fan_out.told(&telling.news, self.ticks.number);
            self.counters.add(Event::EntriesCut, cut as u64);
        }
        Progress::More
    }

    /// The next cell with somebody in it who is to hear something.
    fn next_cell(&mut self) -> Option<Telling> {
        loop {
            let cell = self.fan_out.cell_of_listener(self.round.next)?;
            let listeners = self.fan_out.listeners_in(cell);
            self.round.next = listeners.end;
            let news = self.fan_out.news_around(cell, self.ticks.number);
            if news.parts > 0 {
                let next = listeners.start;
                return Some(Telling { news, part: 0, listeners, next, shared: None });
            }
        }
    }

    /// Sends what is left of an update's parts to those who have not had them.
    fn tell_cell(&mut self, telling: &mut Telling, outbox: &mut Outbox<'_>) -> Result<(), Full> {
        let when = (self.ticks.number, self.ticks.began.as_nanos());
        while telling.part < telling.news.parts {
            let (news, part) = (telling.news, telling.part);
            let len = self.fan_out.part_len(&news, part);
            let write = |room: &mut [u8]| self.fan_out.write(&news, when, part, room);
            if telling.listeners.len() > 1 && telling.shared.is_none() {
                telling.shared = share(outbox.share_with(len, write))?;
            }
            while telling.next < telling.listeners.end {
                if let Some(player) = self.listener(telling.next, news.cell) {
                    let (own, source) = player.ends();
                    let sent = match &telling.shared {
                        Some(shared) => outbox.send_shared(own, source, shared),
                        None => outbox.send_with(own, source, len, write),
                    };
                    if self.account(sent)? {
                        self.count(Event::Updates);
                        self.counters.add(Event::UpdateEntries, self.fan_out.entries(&news, part) as u64);
                    }
                }
                telling.next += 1;
            }
            *telling = Telling {
                news,
                part: part + 1,
                listeners: telling.listeners.clone(),
                next: telling.listeners.start,
                shared: None,
            };
        }
        Ok(())
    }

    /// Tells those around what was said, as far as the outbox goes.
    fn repeat(&mut self, outbox: &mut Outbox<'_>) -> Progress {
        while let Some(said) = self.talk.told.get(self.round.next) {
            let saying = match self.round.said.take() {
                Some(saying) => Ok(Some(saying)),
                None => {
                    let listeners = self.fan_out.listeners_around(said.cell as usize);
                    let (chat, timestamp) = (said.chat(), said.timestamp);
                    let write = |room: &mut [u8]| chat.write(room, PacketType::CHAT, timestamp);
                    share(outbox.share_with(chat.len(), write))
                        .map(|shared| shared.map(|shared| Saying { listeners, done: 0, shared }))
                }
            };
            match saying {
                Err(Full) => return Progress::More,
                Ok(None) => self.count(Event::TooLong),
                Ok(Some(mut saying)) => {
                    if self.say(&mut saying, outbox).is_err() {
                        self.round.said = Some(saying);
                        return Progress::More;
                    }
                }
            }
            self.round.next += 1;
        }
        Progress::Done
    }

    /// Sends something said to those who have not had it.
    fn say(&self, saying: &mut Saying, outbox: &mut Outbox<'_>) -> Result<(), Full> {
        for index in saying.listeners.skip(saying.done) {
            let place = self.fan_out.listener(index);
            if let Some(player) = place.and_then(|place| self.world.players.at(place as usize)) {
                let (own, source) = player.ends();
                if self.account(outbox.send_shared(own, source, &saying.shared))? {
                    self.count(Event::Told);
                }
            }
            saying.done += 1;
        }
        Ok(())
    }

    /// The listener that stands there, if it is still in that cell: since it was looked at it may have
    /// left, and another come to its place.
    #[inline]
    fn listener(&self, index: usize, cell: usize) -> Option<&Player> {
        let place = self.fan_out.listener(index)?;
        self.world.players.at(place as usize).filter(|player| player.cell as usize == cell)
    }

    /// Whether it was sent. What does not fit a datagram is counted and left out.
    #[inline]
    fn account(&self, sent: Result<(), SendError>) -> Result<bool, Full> {
        match sent {
            Ok(()) => Ok(true),
            Err(SendError::Full) => Err(Full),
            Err(SendError::TooLong(_)) => {
                self.count(Event::TooLong);
                Ok(false)
            }
        }
    }
}

/// The outbox is full: the rest waits.
#[derive(Clone, Copy, Debug)]
struct Full;

/// A shared payload; `None` for one that no datagram can carry, which is then found out of each.
fn share(shared: Result<Shared, SendError>) -> Result<Option<Shared>, Full> {
    match shared {
        Ok(shared) => Ok(Some(shared)),
        Err(SendError::Full) => Err(Full),
        Err(SendError::TooLong(_)) => Ok(None),
    }
}
