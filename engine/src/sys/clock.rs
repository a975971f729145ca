//! The clock of the run loop: the time-stamp counter where it can be trusted.

use std::time::{Duration, Instant};

use crate::time::Time;

/// How long the counter is compared with the kernel's clock to learn its rate. The error of
/// two clock reads, some 50 ns, is then a few parts in a million.
const CALIBRATION: Duration = Duration::from_millis(20);
/// Reads of both clocks, of which the best counts.
const TRIES: usize = 10;

/// A monotonic clock that starts at [`Time::ZERO`] when it is made. Copies tell the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The x86 time-stamp counter: invariant, one read of some 20 ticks.
    #[cfg(target_arch = "x86_64")]
    Tsc { origin: u64, nanos_per_tick_q32: u64 },
    /// `CLOCK_MONOTONIC`, where there is no invariant counter.
    Kernel(Instant),
}

impl Clock {
    /// Starts a clock. Takes 20 ms where the counter's rate has to be measured.
    pub fn start() -> Self {
        #[cfg(target_arch = "x86_64")]
        if has_invariant_tsc() {
            let (begin, origin) = read_both();
            std::thread::sleep(CALIBRATION);
            let (end, now) = read_both();
            let (nanos, ticks) = ((end - begin).as_nanos(), u128::from(now.saturating_sub(origin)));
            let nanos_per_tick_q32 = u64::try_from((nanos << 32) / ticks.max(1)).unwrap_or(1 << 32);
            return Self(Source::Tsc { origin, nanos_per_tick_q32 });
        }
        Self(Source::Kernel(Instant::now()))
    }

    /// Ticks of the time-stamp counter in a second, as they were measured at the start; `None`
    /// where the clock is the kernel's.
    pub fn ticks_per_second(&self) -> Option<f64> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Source::Tsc { nanos_per_tick_q32, .. } => {
                Some((1_u64 << 32) as f64 * 1e9 / nanos_per_tick_q32.max(1) as f64)
            }
            Source::Kernel(_) => None,
        }
    }

    /// The time now.
    #[inline]
    pub fn now(&self) -> Time {
        self.time(self.ticks())
    }

    /// Ticks since it was made: those of the time-stamp counter, or nanoseconds where that
    /// can't be trusted.
    #[inline]
    pub fn ticks(&self) -> u64 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Source::Tsc { origin, .. } => rdtsc().saturating_sub(origin),
            Source::Kernel(origin) => u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// The time at which it has so many ticks.
    #[inline]
    pub fn time(&self, ticks: u64) -> Time {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Source::Tsc { nanos_per_tick_q32, .. } => {
                Time::from_nanos(((u128::from(ticks) * u128::from(nanos_per_tick_q32)) >> 32) as u64)
            }
            Source::Kernel(_) => Time::from_nanos(ticks),
        }
    }
}

/// Both clocks at one moment: of several tries the one in which least time passed between
/// two reads of the counter, so that a thread that is interrupted does not spoil the rate.
#[cfg(target_arch = "x86_64")]
fn read_both() -> (Instant, u64) {
    let read = || {
        let (before, kernel, after) = (rdtsc(), Instant::now(), rdtsc());
        let gap = after.saturating_sub(before);
        (gap, kernel, before + gap / 2)
    };
    let best =
        (1..TRIES).map(|_| read()).fold(read(), |best, next| if next.0 < best.0 { next } else { best });
    (best.1, best.2)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn rdtsc() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction, and Linux lets user programs use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Whether the counter ticks at one rate in every power state (CPUID 8000_0007h, EDX bit 8).
#[cfg(target_arch = "x86_64")]
fn has_invariant_tsc() -> bool {
    use std::arch::x86_64::__cpuid;
    const POWER_MANAGEMENT: u32 = 0x8000_0007;
    __cpuid(0x8000_0000).eax >= POWER_MANAGEMENT && __cpuid(POWER_MANAGEMENT).edx & 1 << 8 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward_at_the_kernel_clock_s_rate() {
        let clock = Clock::start();
        let (begin, start) = (Instant::now(), clock.now());
        std::thread::sleep(Duration::from_millis(50));
        let (elapsed, end) = (begin.elapsed(), clock.now());
        let error = (end - start).as_secs_f64() / elapsed.as_secs_f64() - 1.0;
        assert!(error.abs() < 0.01, "off by {error}");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn its_rate_is_that_of_the_counter() {
        let clock = Clock::start();
        let Some(rate) = clock.ticks_per_second() else { return };
        let (start, ticks) = (clock.now(), rdtsc());
        std::thread::sleep(Duration::from_millis(20));
        let (end, ticks) = (clock.now(), rdtsc() - ticks);
        let error = ticks as f64 / (rate * (end - start).as_secs_f64()) - 1.0;
        assert!(error.abs() < 0.01, "off by {error}");
    }
}
