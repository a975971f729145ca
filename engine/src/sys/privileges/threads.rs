//! Every thread of the process takes on another user and lets go of its capabilities.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;
use std::time::Duration;

use super::capabilities::{CapabilitySet, set};
use super::status::{Look, Status};
use super::user::User;

/// What tells a thread to obey. One that comes too late does nothing: that is its default.
const SIGNAL: libc::c_int = libc::SIGURG;
/// How long to wait between looks at the threads, and how often to look.
const NAP: Duration = Duration::from_millis(1);
const LOOKS: usize = 1_000;

/// Why rights could not be given up. Some threads may have lost theirs: the program should end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegesError {
    /// The kernel refused.
    #[error("{call} failed: {source}")]
    Refused {
        /// What was asked of it.
        call: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// What threads may do can't be seen.
    #[error("/proc does not say what the program's threads may do: {0}")]
    Unseen(io::Error),
    /// A thread did not give them up.
    #[error("the thread '{thread}' keeps its rights (it may block SIGURG)")]
    Kept {
        /// The thread's name.
        thread: String,
    },
}

/// What every thread has to come to.
struct Order {
    user: Option<User>,
    capabilities: CapabilitySet,
}

/// The order for threads that get the signal. It stays for ever, as they may be late.
static ORDER: AtomicPtr<Order> = AtomicPtr::new(ptr::null_mut());

/// Has every thread of the process become `user`, if one is given, and let go of all capabilities
/// but those in `keep`, of which it gives those that the process has. What it starts from now on
/// has no more than itself (`PR_SET_NO_NEW_PRIVS`). There is no way back.
///
/// # Errors
/// [`PrivilegesError`]. Threads are then in different states.
pub fn give_up(user: Option<&User>, keep: CapabilitySet) -> Result<CapabilitySet, PrivilegesError> {
    let own = Status::of_this_thread().map_err(PrivilegesError::Unseen)?;
    let order = Order { user: user.cloned(), capabilities: keep & own.permitted };
    order.obey().map_err(|(call, source)| PrivilegesError::Refused { call, source })?;
    let order: &'static Order = Box::leak(Box::new(order));
    ORDER.store(ptr::from_ref(order).cast_mut(), Ordering::Release);
    let before = catch_signal().map_err(|source| PrivilegesError::Refused { call: "sigaction", source })?;
    let obeyed = order.pass_on(Status::of_all_threads);
    // SAFETY: an action that the kernel gave us.
    unsafe { libc::sigaction(SIGNAL, &raw const before, ptr::null_mut()) };
    obeyed.map(|()| order.capabilities)
}

impl Order {
    /// Tells all threads, those that one of them starts meanwhile too, and sees to it that they
    /// have obeyed. One that started while the others were read is there at the next look, so it
    /// takes two in a row at which all have, and none was missed.
    fn pass_on(&self, mut look: impl FnMut() -> io::Result<Look>) -> Result<(), PrivilegesError> {
        let (mut told, mut good_looks, mut left) = (Vec::new(), 0, None);
        for _ in 0..LOOKS {
            let Look { threads, has_missed } = look().map_err(PrivilegesError::Unseen)?;
            let mut others = threads.into_iter().filter(|(_, status)| !self.is_met(status)).peekable();
            left = others.peek().map(|(_, status)| status.name.clone());
            good_looks = if left.is_none() && !has_missed { good_looks + 1 } else { 0 };
            if good_looks == 2 {
                return Ok(());
            }
            for (thread, _) in others {
                if !told.contains(&thread) {
                    tell(thread);
                    told.push(thread);
                }
            }
            thread::sleep(NAP);
        }
        Err(match left {
            Some(thread) => PrivilegesError::Kept { thread },
            None => PrivilegesError::Unseen(io::Error::other("threads end before they can be looked at")),
        })
    }

    fn is_met(&self, status: &Status) -> bool {
        let is_user = |user: &User| {
            status.uids == [user.uid; 4] && status.gids == [user.gid; 4] && status.groups == user.groups
        };
        self.user.as_ref().is_none_or(is_user)
            && status.permitted == self.capabilities
            && status.effective == self.capabilities
            && status.inheritable == CapabilitySet::NONE
            && status.no_new_privileges
    }

    /// For the calling thread. System calls and nothing else: the C library's own would have
    /// all threads change their user, and a signal's handler may not allocate or lock.
    fn obey(&self) -> Result<(), (&'static str, io::Error)> {
        if let Some(user) = &self.user {
            let (uid, gid, groups) = (user.uid, user.gid, &user.groups);
            // SAFETY: numbers, and an array of that many numbers.
            unsafe {
                // Becoming somebody other than root would clear what is to be kept.
                check("PR_SET_KEEPCAPS", libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0).into())?;
                check("setgroups", libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
                check("setresgid", libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
                check("setresuid", libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
            }
        }
        set(self.capabilities, CapabilitySet::NONE).map_err(|error| ("capset", error))?;
        // SAFETY: numbers.
        check("PR_SET_NO_NEW_PRIVS", unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into() })
    }
}

fn check(call: &'static str, status: libc::c_long) -> Result<(), (&'static str, io::Error)> {
    if status == 0 { Ok(()) } else { Err((call, io::Error::last_os_error())) }
}

/// A thread that has ended needs not be told.
fn tell(thread: libc::pid_t) {
    // SAFETY: numbers. A thread of this process, or none.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
}

fn catch_signal() -> io::Result<libc::sigaction> {
    // SAFETY: all zeros is a valid action, with an empty mask.
    let (mut action, mut before): (libc::sigaction, libc::sigaction) =
        unsafe { (MaybeUninit::zeroed().assume_init(), MaybeUninit::zeroed().assume_init()) };
    action.sa_sigaction = told as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: both actions are ours; the handler makes system calls only.
    match unsafe { libc::sigaction(SIGNAL, &raw const action, &raw mut before) } {
        0 => Ok(before),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Its thread may be anywhere, so that it leaves `errno` as it was.
extern "C" fn told(_signal: libc::c_int) {
    // SAFETY: the order is never freed. `errno` is the thread's own.
    unsafe {
        let errno = *libc::__errno_location();
        if let Some(order) = ORDER.load(Ordering::Acquire).as_ref() {
            // Whether it worked is seen in what the kernel says of the thread.
            let _ = order.obey();
        }
        *libc::__errno_location() = errno;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;

    use super::super::tests::in_child;
    use super::*;

    fn is_root() -> bool {
        CapabilitySet::effective()
            .expect("capabilities")
            .has(CapabilitySet::SET_USER | CapabilitySet::NET_ADMIN)
    }

    fn statuses() -> Vec<Status> {
        Status::of_all_threads().expect("threads").threads.into_iter().map(|(_, status)| status).collect()
    }

    #[test]
    fn every_thread_becomes_another_user_and_keeps_what_is_named() {
        in_child("threads::tests::every_thread_becomes_another_user_and_keeps_what_is_named", || {
            let (stop, stopped) = channel::<()>();
            let other = thread::spawn(move || stopped.recv());
            if is_root() {
                let nobody: User = "nobody".parse().expect("every Linux has nobody");
                let kept = give_up(Some(&nobody), CapabilitySet::NET_ADMIN).expect("rights are given up");
                assert_eq!(kept, CapabilitySet::NET_ADMIN);
                let all = statuses();
                assert!(all.len() >= 3, "{all:#?}");
                for status in all {
                    assert_eq!((status.uids, status.gids), ([nobody.uid; 4], [nobody.gid; 4]));
                    assert_eq!(status.groups, nobody.groups);
                    assert_eq!((status.permitted, status.effective), (kept, kept));
                }
            }
            assert_eq!(give_up(None, CapabilitySet::NONE).expect("rights are given up"), CapabilitySet::NONE);
            let is_bare =
                |status: &Status| status.permitted == CapabilitySet::NONE && status.no_new_privileges;
            assert!(statuses().iter().all(is_bare));
            let back = give_up(None, CapabilitySet::NET_ADMIN).expect("there is nothing more to give up");
            assert_eq!(back, CapabilitySet::NONE, "there is no way back");
            drop(stop);
            let _ = other.join().expect("no panic");
        });
    }

    #[test]
    fn a_thread_that_was_missed_may_have_started_another() {
        let order = Order { user: None, capabilities: CapabilitySet::NONE };
        let mut obedient = Status::of_this_thread().expect("a status");
        obedient.no_new_privileges = true;
        (obedient.permitted, obedient.effective) = (CapabilitySet::NONE, CapabilitySet::NONE);
        obedient.inheritable = CapabilitySet::NONE;
        let other = Status { no_new_privileges: false, ..obedient.clone() };
        // There is no thread 0 that a signal would reach.
        let look = |status: &Status, has_missed| Look { threads: vec![(0, status.clone())], has_missed };
        let missed = look(&obedient, true);
        let (good, bad) = (look(&obedient, false), look(&other, false));
        let looks = [missed.clone(), good.clone(), bad, good.clone(), missed, good.clone(), good];
        let mut looks = looks.into_iter();
        let next = || looks.next().ok_or_else(|| io::Error::other("two good looks are enough"));
        order.pass_on(next).expect("it is met");
        assert_eq!(looks.count(), 0, "it was not content before");
        let endless = order.pass_on(|| Ok(look(&obedient, true))).expect_err("never seen").to_string();
        assert!(endless.contains("threads end before they can be looked at"), "{endless}");
    }

    #[test]
    fn threads_that_start_meanwhile_are_found() {
        in_child("threads::tests::threads_that_start_meanwhile_are_found", || {
            static IS_OVER: AtomicBool = AtomicBool::new(false);
            // Each starts the next and ends, so that there is always one that is new.
            fn next() {
                thread::sleep(Duration::from_micros(100));
                if !IS_OVER.load(Ordering::Relaxed) {
                    thread::spawn(next);
                }
            }
            thread::spawn(next);
            give_up(None, CapabilitySet::NONE).expect("rights are given up");
            assert!(statuses().iter().all(|status| status.permitted == CapabilitySet::NONE));
            IS_OVER.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_thread_that_does_not_hear_is_named() {
        in_child("threads::tests::a_thread_that_does_not_hear_is_named", || {
            let (ready, is_ready) = channel();
            let deaf = move || {
                // SAFETY: a set that is made empty, and then has one signal in it.
                unsafe {
                    let mut set = MaybeUninit::<libc::sigset_t>::zeroed().assume_init();
                    libc::sigaddset(&raw mut set, SIGNAL);
                    libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
                }
                ready.send(()).expect("it waits");
                loop {
                    thread::park();
                }
            };
            thread::Builder::new().name("deaf".to_owned()).spawn(deaf).expect("a thread");
            is_ready.recv().expect("it sends");
            let error = give_up(None, CapabilitySet::NONE).expect_err("one is left").to_string();
            assert!(error.contains("'deaf'") && error.contains("SIGURG"), "{error}");
        });
    }
}
