//! What happens in the game, counted: one writer for each lcore, read while it runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use gannet::telemetry::{Family, FamilyKind};

use crate::protocol::Malformed;

macro_rules! events {
    ($($variant:ident $name:literal $sentence:literal)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Event {
            $(#[doc = $sentence] $variant,)*
        }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in reports: lower case with underscores.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The metric that it is.
            pub const fn family(self) -> Family {
                match self {
                    $(Self::$variant => Family::new(
                        concat!("gannet_game_", $name), FamilyKind::Counter, &["lcore"], $sentence,
                    ),)*
                }
            }

            /// What it counts, in a sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

events! {
    Challenged "challenged" "Joins that were answered with a cookie."
    Joined "joined" "Players that came."
    JoinsPassedOn "joins_passed_on" "Joins with a token that were passed on to the player's lcore."
    Rejoined "rejoined" "Players that came back with their token from another address."
    Forsaken "forsaken" "Players on the way to another lcore that found somebody else at their new address."
    Refused "refused" "Joins that were refused."
    AddressFull "address_full" "Joins that were refused since their address has all the players that it may have."
    Left "left" "Players that left."
    TimedOut "timed_out" "Players that were silent for too long."
    Moved "moved" "Moves that count."
    Corrected "corrected" "Moves that can't be and were answered with where the player is."
    Attacked "attacked" "Attacks that were answered."
    Hit "hit" "Attacks that hurt."
    Killed "killed" "Attacks that killed."
    Revived "revived" "Players that live again."
    Said "said" "What players said and those nearby were told."
    Pinged "pinged" "Pings."
    Updates "updates" "Updates that were sent."
    UpdateEntries "update_entries" "Entries of all updates that were sent."
    Told "told" "What players said, each time that it was sent to one of them."
    Ticks "ticks" "Ticks."
    TicksSkipped "ticks_skipped" "Ticks left out, since the one before took too long."
    DropShort "drop_short" "Datagrams dropped: shorter than a header."
    DropSize "drop_size" "Datagrams dropped: another size than the header or the type says."
    DropNotFinite "drop_not_finite" "Datagrams dropped: a number that is not finite."
    DropText "drop_text" "Datagrams dropped: text that is none, too long or has control characters."
    DropReserved "drop_reserved" "Datagrams dropped: reserved bytes that are not zero."
    DropUnknownType "drop_unknown_type" "Datagrams dropped: no type that a player sends."
    DropUnknownWeapon "drop_unknown_weapon" "Datagrams dropped: an attack with no known weapon."
    DropOvertaken "drop_overtaken" "Datagrams dropped: a move that is older than the player's last, or of the same time and another."
    DropStranger "drop_stranger" "Datagrams dropped: not from the player that it names, or from no player."
    DropTooTalkative "drop_too_talkative" "Datagrams dropped: said too soon behind the last."
    DropChatFull "drop_chat_full" "Datagrams dropped: as much was said in this tick as can be told."
    DropExchangeFull "drop_exchange_full" "Datagrams dropped: the ring to the player's lcore is full."
    DropNoRoom "drop_no_room" "Datagrams dropped: an answer did not fit the buffer."
    TooLong "too_long" "Updates and words that are longer than the port's datagrams."
    OutboxFull "outbox_full" "Messages beside an answer that found the outbox full."
    EntriesLost "entries_lost" "Entries for other lcores that found the ring full."
    EntriesCut "entries_cut" "Entries left out, since more are nearby than updates can name."
    MessagesLost "messages_lost" "Messages for other lcores that found the ring full."
}

impl From<Malformed> for Event {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Short => Self::DropShort,
            Malformed::Size | Malformed::Unknown => Self::DropSize,
            Malformed::NotFinite => Self::DropNotFinite,
            Malformed::Text => Self::DropText,
            Malformed::Reserved => Self::DropReserved,
        }
    }
}

/// The counters of one lcore.
#[derive(Debug)]
#[repr(align(64))]
pub struct Counters([AtomicU64; Event::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Event::ALL.len()])
    }
}

impl Counters {
    /// Counts. Only the lcore whose counters these are may: it is no atomic addition.
    #[inline]
    pub(crate) fn add(&self, event: Event, count: u64) {
        let word = &self.0[event as usize];
        word.store(word.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The present count.
    pub fn count(&self, event: Event) -> u64 {
        self.0[event as usize].load(Relaxed)
    }
}
