//! Hugepages for a test.

use std::fs;
use std::process::Command;

use super::script;

/// Hugepages of this test's own, so many of 2 MiB; given back with the value.
pub(crate) struct Hugepages(usize);

impl Hugepages {
    /// Has 128 MiB free.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn reserve() -> Result<Self, String> {
        let before = Self::reserved();
        let output = Self::run(&["reserve", "128M"])?;
        let pages = Self(Self::reserved() - before);
        if output.status.success() {
            return Ok(pages);
        }
        Err(format!("hugepages.sh reserve: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    fn reserved() -> usize {
        let text = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn run(arguments: &[&str]) -> Result<std::process::Output, String> {
        let output = Command::new(script("../hugepages.sh")).args(arguments).output();
        output.map_err(|why| format!("hugepages.sh: {why}"))
    }
}

impl Drop for Hugepages {
    fn drop(&mut self) {
        if self.0 > 0 {
            let _ = Self::run(&["release", &format!("{}M", 2 * self.0)]);
        }
    }
}
