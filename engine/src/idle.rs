//! What a worker does while no packets come: spin, pause, wait. It is told of turns and times,
//! and says what to do; it reads no clock and makes no call.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::time::Time;

/// How long the default policy polls without a rest after the last packet.
pub const SPIN: Duration = Duration::from_micros(20);
/// How long after the last packet it polls with pauses in between, before it waits: what a wait
/// costs in CPU and in the lateness of the next packet, so that at most twice the best is spent.
pub const PAUSE: Duration = Duration::from_micros(100);
/// The longest wait where descriptors end it, and so how late a worker looks at what comes by no
/// descriptor: a channel, a link that came up, a setting.
pub const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// The longest sleep where nothing ends it.
pub const LONGEST_SLEEP: Duration = Duration::from_millis(1);
/// The shortest wait: what a wait takes by itself.
const SHORTEST: Duration = Duration::from_micros(20);
/// How long before a deadline a wait ends: the kernel wakes a thread so much too late, mostly.
const MARGIN: Duration = Duration::from_micros(100);
/// A sleep is this part of the time without packets, so that a packet is late by no more than
/// that part of the gap in front of it.
const SLEEP_SHARE: u32 = 4;

/// What workers do while no packets come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdlePolicy {
    /// Poll without a rest: the lowest latency, all of the CPU.
    Spin,
    /// Poll with pauses, which leave the core to its other hyperthread.
    Pause,
    /// Wait at once.
    Sleep,
    /// Poll for [`SPIN`] after a packet, with pauses until [`PAUSE`], then wait.
    #[default]
    Adaptive,
}

impl IdlePolicy {
    const ALL: [Self; 4] = [Self::Spin, Self::Pause, Self::Sleep, Self::Adaptive];
}

impl FromStr for IdlePolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|policy| policy.to_string() == text);
        named.ok_or_else(|| "there are spin, pause, sleep and adaptive".to_owned())
    }
}

impl fmt::Display for IdlePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spin => "spin",
            Self::Pause => "pause",
            Self::Sleep => "sleep",
            Self::Adaptive => "adaptive",
        })
    }
}

/// What to do before the next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Nothing: poll again.
    None,
    /// A few pause instructions.
    Relax,
    /// Wait until a frame comes, or for this long where nothing tells of one.
    Wait(Duration),
}

/// Where a worker is on its way from the last packet to its rest.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// How long after the last packet it begins to pause, and to wait.
    pause_after: Duration,
    wait_after: Duration,
    longest_sleep: Duration,
    /// The first turn without packets; [`Time::NEVER`] behind one with some.
    since: Time,
}

impl Idle {
    /// At the start, by this policy.
    pub fn new(policy: IdlePolicy) -> Self {
        match policy {
            IdlePolicy::Spin => Self::after(Duration::MAX, Duration::MAX),
            IdlePolicy::Pause => Self::after(Duration::ZERO, Duration::MAX),
            IdlePolicy::Sleep => Self::after(Duration::ZERO, Duration::ZERO),
            IdlePolicy::Adaptive => Self::after(SPIN, PAUSE),
        }
    }

    /// A worker that begins to pause and to wait so long after the last packet.
    pub fn after(pause: Duration, wait: Duration) -> Self {
        Self { pause_after: pause, wait_after: wait, longest_sleep: LONGEST_SLEEP, since: Time::NEVER }
    }

    /// With another bound of sleeps that nothing ends.
    pub fn with_longest_sleep(self, longest_sleep: Duration) -> Self {
        Self { longest_sleep, ..self }
    }

    /// Whether it ever waits.
    pub fn waits(&self) -> bool {
        self.wait_after < Duration::MAX
    }

    /// What to do after a turn that began at `now` and received so many frames.
    #[inline]
    pub fn after_turn(&mut self, received: usize, now: Time) -> Pause {
        if received > 0 {
            self.since = Time::NEVER;
            return Pause::None;
        }
        if self.since == Time::NEVER {
            self.since = now;
        }
        let idle = now.since(self.since);
        if idle >= self.wait_after {
            Pause::Wait((idle / SLEEP_SHARE).clamp(SHORTEST.min(self.longest_sleep), self.longest_sleep))
        } else if idle >= self.pause_after {
            Pause::Relax
        } else {
            Pause::None
        }
    }
}

/// How long to wait at `now`, for `longest` at most, so as to be awake at `deadline`; `None` if
/// that is too near.
pub(crate) fn wait_before(deadline: Time, now: Time, longest: Duration) -> Option<Duration> {
    let left = deadline.since(now).saturating_sub(MARGIN);
    (left >= SHORTEST).then(|| left.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Time {
        Time::from_nanos(micros * 1000)
    }

    #[test]
    fn policies_have_names() {
        assert!(IdlePolicy::ALL.into_iter().all(|policy| policy.to_string().parse() == Ok(policy)));
        assert_eq!(IdlePolicy::default(), IdlePolicy::Adaptive);
        for bad in ["", "Spin", "poll", "sleep:1ms"] {
            assert!(bad.parse::<IdlePolicy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn adaptive_spins_then_pauses_then_waits_and_begins_anew_with_each_packet() {
        let mut idle = Idle::new(IdlePolicy::Adaptive);
        for begin in [0, 1_000_000] {
            assert_eq!(idle.after_turn(3, at(begin)), Pause::None);
            assert_eq!(idle.after_turn(0, at(begin + 1)), Pause::None);
            assert_eq!(idle.after_turn(0, at(begin + 20)), Pause::None);
            assert_eq!(idle.after_turn(0, at(begin + 21)), Pause::Relax);
            assert_eq!(idle.after_turn(0, at(begin + 100)), Pause::Relax);
            assert_eq!(idle.after_turn(0, at(begin + 101)), Pause::Wait(Duration::from_micros(25)));
        }
    }

    #[test]
    fn a_sleep_is_a_share_of_the_gap_and_bounded() {
        let mut idle = Idle::new(IdlePolicy::Sleep);
        assert_eq!(idle.after_turn(0, at(0)), Pause::Wait(SHORTEST));
        assert_eq!(idle.after_turn(0, at(2_000)), Pause::Wait(Duration::from_micros(500)));
        assert_eq!(idle.after_turn(0, at(60_000_000)), Pause::Wait(LONGEST_SLEEP));
        let mut brief = Idle::new(IdlePolicy::Sleep).with_longest_sleep(Duration::from_micros(5));
        assert_eq!(brief.after_turn(0, at(0)), Pause::Wait(Duration::from_micros(5)));
    }

    #[test]
    fn spin_and_pause_never_wait() {
        for (policy, pause) in [(IdlePolicy::Spin, Pause::None), (IdlePolicy::Pause, Pause::Relax)] {
            let mut idle = Idle::new(policy);
            assert!(!idle.waits());
            for now in [at(0), at(1000), Time::ZERO + Duration::from_secs(86_400)] {
                assert_eq!(idle.after_turn(0, now), pause);
            }
        }
        assert!(
            [IdlePolicy::Sleep, IdlePolicy::Adaptive].into_iter().all(|policy| Idle::new(policy).waits())
        );
    }

    #[test]
    fn a_wait_ends_before_the_deadline() {
        let longest = Duration::from_millis(10);
        assert_eq!(wait_before(Time::NEVER, at(0), longest), Some(longest));
        assert_eq!(wait_before(at(1000), at(0), longest), Some(Duration::from_micros(900)));
        assert_eq!(wait_before(at(119), at(0), longest), None);
        assert_eq!(wait_before(at(0), at(5), longest), None);
    }
}
