//! The kernel's monotonic clock as other programs read it.

/// Microseconds of `CLOCK_MONOTONIC`, which every program on the machine reads alike.
pub fn monotonic_micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the time; every Linux has that clock.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_with_the_library_s() {
        let begin = (std::time::Instant::now(), monotonic_micros());
        while monotonic_micros() == begin.1 {}
        assert!(begin.0.elapsed().as_nanos() > 0 && monotonic_micros() > begin.1);
    }
}
