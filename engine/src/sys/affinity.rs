//! Which CPUs a thread may run on.

use std::io;
use std::mem::MaybeUninit;

/// A set of CPUs, by their kernel numbers (`sched_setaffinity(2)`).
#[derive(Clone, Copy)]
pub struct CpuSet(libc::cpu_set_t);

impl CpuSet {
    /// The highest CPU number that a set can hold, plus one.
    pub const CAPACITY: usize = libc::CPU_SETSIZE as usize;

    /// The CPUs that the calling thread may run on.
    ///
    /// # Errors
    /// The kernel's, on machines with more than [`CAPACITY`](Self::CAPACITY) CPUs.
    pub fn current() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: the kernel writes at most the size that it is told; all zeros is a valid set.
        let (status, set) = unsafe {
            (libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()), set.assume_init())
        };
        if status == 0 { Ok(Self(set)) } else { Err(io::Error::last_os_error()) }
    }

    /// Whether it holds `cpu`.
    pub fn contains(&self, cpu: usize) -> bool {
        // SAFETY: the number is within the set.
        cpu < Self::CAPACITY && unsafe { libc::CPU_ISSET(cpu, &self.0) }
    }

    /// Its CPUs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..Self::CAPACITY).filter(|&cpu| self.contains(cpu))
    }

    /// Lets the calling thread run on these CPUs only.
    ///
    /// # Errors
    /// The kernel's: none of them exists, or is allowed.
    pub fn pin_current_thread(&self) -> io::Result<()> {
        // SAFETY: the pointer and the size are those of a set that we hold.
        let status = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl FromIterator<usize> for CpuSet {
    /// CPUs beyond [`CAPACITY`](Self::CAPACITY) are left out.
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        // SAFETY: all zeros is a valid, empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        for cpu in cpus.into_iter().filter(|&cpu| cpu < Self::CAPACITY) {
            // SAFETY: the number is within the set.
            unsafe { libc::CPU_SET(cpu, &mut set) }
        }
        Self(set)
    }
}

impl PartialEq for CpuSet {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for CpuSet {}

impl std::fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_pinned_and_let_go() {
        std::thread::spawn(|| {
            let all = CpuSet::current().expect("affinity");
            let first = all.iter().next().expect("a CPU");
            CpuSet::from_iter([first]).pin_current_thread().expect("allowed");
            assert_eq!(CpuSet::current().expect("affinity").iter().collect::<Vec<_>>(), [first]);
            all.pin_current_thread().expect("allowed");
        })
        .join()
        .expect("no panic");
    }

    #[test]
    fn no_such_cpu() {
        assert!(CpuSet::from_iter([]).pin_current_thread().is_err());
        assert!(!CpuSet::from_iter([1, 5000]).contains(5000));
    }
}
