//! What the bots of an lcore count and measure.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::hearing::Heard;

/// The longest time that is told apart from longer ones, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;
/// Digits of each measured time.
const DIGITS: u8 = 3;

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => {
        /// Plain counts.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub(crate) struct Counts {
            $($(#[doc = $doc])+ pub(crate) $name: u64,)*
        }

        impl Counts {
            /// Messages of players.
            pub(crate) fn said(&self) -> u64 {
                self.moves + self.attacks + self.chats
            }

            /// Joins that were refused.
            pub(crate) fn refused(&self) -> u64 {
                self.refused_full + self.refused_address + self.refused_version + self.refused_otherwise
            }

            /// Adds another lcore's.
            fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    /// Joins that were sent, with and without a cookie.
    joins
    /// Joins that made somebody a player.
    joined
    /// Refusals because the server was full.
    refused_full
    /// Refusals because the bot's address has as many players as it may.
    refused_address
    /// Refusals because it speaks another version.
    refused_version
    /// Refusals for other reasons.
    refused_otherwise
    /// Joins with a token that were sent from another address, without a cookie.
    rejoins
    /// Bots that came back from another address.
    rejoined
    /// Those of them that have another number since.
    renumbered
    /// Those whose place was another than they know.
    rejoined_elsewhere
    /// Those who were somebody else.
    rejoined_as_another
    /// Bots that could not come back though they were answered.
    rejoins_failed
    /// Bots that stayed, since the answers to no other address of theirs reach their lcore.
    rejoins_abandoned
    /// Farewells at the address that a bot has left.
    moved_out
    /// Updates that went on at an address which the bot had left.
    updates_left_behind
    /// Moves that were sent.
    moves
    /// Moves that the bots were too slow to send.
    moves_unsent
    /// Moves that were acknowledged as they were.
    acknowledged
    /// Moves that the server corrected.
    corrected
    /// Moves that nothing came for.
    moves_lost
    /// Moves that a run which was cut short knows nothing about.
    moves_pending
    /// Acknowledgements that are not their move byte for byte, or of no move at all.
    wrong_acknowledgements
    /// Answers to moves that were answered before, or so late that the move is forgotten.
    late_acknowledgements
    /// Pings that were sent, since there was nothing else to say.
    pings
    /// Those of them that came back.
    pongs
    /// Places that the server gave after a death.
    respawns
    /// Datagrams of updates.
    updates
    /// Datagrams of updates that were sent to the bots, as far as they know.
    updates_expected
    /// Those of them that never came, at least.
    updates_lost
    /// Datagrams of updates that came twice.
    updates_duplicate
    /// Datagrams of updates behind a later one.
    updates_reordered
    /// Positions in updates.
    entries
    /// Positions that are in no cell around the update's.
    entries_out_of_range
    /// Updates that have an older move of the bot than one before had.
    updates_stepped_back
    /// Updates for a cell that the bot was not in.
    updates_misplaced
    /// Positions of bots of the same lcore, heard of for the first time.
    timed
    /// Those that came later than two ticks and a round trip after the move, and updates for cells left
    /// that long ago.
    late
    /// Attacks that were sent.
    attacks
    /// Results of them.
    attack_results
    /// Attacks that nothing came for.
    attacks_lost
    /// Results that match no attack.
    wrong_attack_results
    /// Attacks that hurt.
    hits
    /// Attacks that killed.
    kills
    /// Hits that bots of ours took.
    hits_taken
    /// Lines that were said.
    chats
    /// Lines that came back to who said them.
    chats_returned
    /// Lines that did not.
    chats_lost
    /// Lines of others that were heard.
    chats_heard
    /// Lines of the bot's own with other words.
    wrong_chats
    /// Bots that left and heard that they had.
    left
    /// Those of them whose place is the one that they know.
    places_agreed
    /// Those whose place is another.
    places_disagreed
    /// Bots that left and never heard that they had.
    left_unheard
    /// Players that the server sent away.
    expelled
    /// Players that a run which was cut short left behind.
    unfinished
    /// Messages from the server that are none.
    malformed
    /// Datagrams of others, and messages that nothing was asked for.
    strays
}

/// What the bots of an lcore count and measure; sums of several are one too.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    /// From the moment that a move was meant to leave to its acknowledgement or correction, in nanoseconds.
    pub(crate) round_trips: Histogram<u64>,
    /// From that moment to the update that has it, in nanoseconds.
    pub(crate) ages: Histogram<u64>,
    /// From that moment to the one when it was sent, in nanoseconds.
    pub(crate) lateness: Histogram<u64>,
    /// Updates a second, by the server.
    pub(crate) tick_rate: u32,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants that are allowed")
}

impl Tally {
    pub(crate) fn new() -> Self {
        let counts = Counts::default();
        let [round_trips, ages, lateness] = [histogram(), histogram(), histogram()];
        Self { counts, round_trips, ages, lateness, tick_rate: 0 }
    }

    /// Adds what is known of updates.
    #[inline]
    pub(crate) fn add_heard(&mut self, heard: &mut Heard) {
        let Heard { expected, lost, duplicates, reordered } = *heard;
        self.counts.updates_expected = expected;
        self.counts.updates_lost = lost;
        self.counts.updates_duplicate = duplicates;
        self.counts.updates_reordered = reordered;
    }

    /// Adds another lcore's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.tick_rate = self.tick_rate.max(other.tick_rate);
        let own = [&mut self.round_trips, &mut self.ages, &mut self.lateness];
        for (sum, other) in own.into_iter().zip([&other.round_trips, &other.ages, &other.lateness]) {
            sum.add(other).expect("all have the same bounds");
        }
    }
}
