//! What is measured: its name, its unit, and which of two values is the better one.

/// What a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// Time-stamp counter ticks for a packet, of a loop that always has some.
    Ticks,
    /// Ticks for a packet of the turns of the loop that had packets.
    BusyTicks,
    /// Ticks of a core for a packet: what its loop and the kernel's interrupts on it used.
    CoreTicks,
    /// Packets in a second, in millions.
    Rate,
    /// Round trip time, half of them faster.
    RttP50,
    /// Round trip time, 99 % of them faster.
    RttP99,
    /// Round trip time, 99.9 % of them faster.
    RttP999,
    /// Time of one operation.
    Time,
    /// How late a datagram leaves, half of them earlier.
    LatenessP50,
    /// How late a datagram leaves, 99 % of them earlier.
    LatenessP99,
    /// How late something is done, 99.9 % of the times earlier.
    LatenessP999,
    /// How late something is over, behind the moment at which it was due, 99.9 % of the times earlier.
    EndP999,
    /// What did not arrive.
    Loss,
    /// Memory that is taken.
    Memory,
    /// Share of a CPU that is used while nothing comes.
    Cpu,
    /// Time from a packet's sending to its service, half of them faster.
    WakeupP50,
    /// Time from a packet's sending to its service, 99 % of them faster.
    WakeupP99,
}

impl Measure {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ticks => "ticks",
            Self::BusyTicks => "busy ticks",
            Self::CoreTicks => "core ticks",
            Self::Rate => "rate",
            Self::RttP50 => "RTT p50",
            Self::RttP99 => "RTT p99",
            Self::RttP999 => "RTT p99.9",
            Self::Time => "time",
            Self::LatenessP50 => "lateness p50",
            Self::LatenessP99 => "lateness p99",
            Self::LatenessP999 => "lateness p99.9",
            Self::EndP999 => "end p99.9",
            Self::Loss => "lost updates",
            Self::Memory => "memory",
            Self::Cpu => "idle CPU",
            Self::WakeupP50 => "wake-up p50",
            Self::WakeupP99 => "wake-up p99",
        }
    }

    /// The unit of its values.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Ticks | Self::BusyTicks | Self::CoreTicks => "ticks/packet",
            Self::Rate => "Mpps",
            Self::RttP50 | Self::RttP99 | Self::RttP999 => "us",
            Self::LatenessP50 | Self::LatenessP99 | Self::WakeupP50 | Self::WakeupP99 => "us",
            Self::LatenessP999 | Self::EndP999 => "us",
            Self::Memory => "MiB",
            Self::Time => "ns",
            Self::Cpu | Self::Loss => "%",
        }
    }

    /// For the percentiles that a machine's jitter can make by itself, the share of the values that are above.
    pub(crate) fn share_above(self) -> Option<f64> {
        match self {
            Self::RttP99 | Self::LatenessP99 => Some(0.01),
            Self::RttP999 | Self::LatenessP999 => Some(0.001),
            _ => None,
        }
    }

    /// Whether a value makes sense. Of nothing that is measured there is none, but of rest.
    pub(crate) fn is_sane(self, value: f64) -> bool {
        let may_be_none = matches!(
            self,
            Self::Cpu | Self::Loss | Self::LatenessP50 | Self::LatenessP99 | Self::LatenessP999
        );
        value.is_finite() && (value > 0.0 || (may_be_none && value == 0.0))
    }

    /// How many times better `of` is than `to`.
    pub(crate) fn ratio(self, of: f64, to: f64) -> f64 {
        if self == Self::Rate { of / to } else { to / of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_rate_is_better() {
        assert_eq!(Measure::Rate.ratio(4.0, 2.0), 2.0);
        assert_eq!(Measure::RttP99.ratio(4.0, 2.0), 0.5);
    }
}
