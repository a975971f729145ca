//! System calls that the process makes no more: a filter in the kernel (seccomp(2)).
//!
//! It is a list of what is refused and not of what is allowed: which calls a DPDK driver, the C
//! library or a service makes while it runs is not ours to know, and one that is missing from a
//! list of allowed ones would be found at the worst moment. What is refused here is what turns a
//! hole in a program into one in the machine, and nothing that moves packets needs it.

use std::io;

use super::capabilities::CapabilitySet;
use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long, sock_filter,
};

/// `AUDIT_ARCH_*` of the calls that this program was built to make.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Calls from here on are those of another size of words (x32).
const OTHER_CALLS: u32 = 0x4000_0000;
/// Where `struct seccomp_data` has the call's number, its architecture, and the low word of its first
/// argument (both architectures are little-endian).
const NUMBER: u32 = 0;
const ARCHITECTURE_FIELD: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// The flags with which clone(2) makes namespaces. Those of time it can't make.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Calls that are refused, by what they are for.
const REFUSED: &[c_long] = &[
    // Other programs: started, looked into, compared, driven.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_personality,
    // File systems and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Namespaces.
    libc::SYS_setns,
    libc::SYS_unshare,
    // The kernel: code in it, its keys, and much used ways to attack it.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine: its clock, its name, its log, its end.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_reboot,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Has the kernel refuse (`EPERM`) calls of every thread that a data plane never makes, and all
/// those of another architecture, from now on. Gives how many calls that are; `bpf` is not among
/// them where `kept` has a capability for it. `clone` makes no namespaces any more, and `clone3`, whose
/// flags a filter can't see, is not there (`ENOSYS`): the C library goes back to `clone`. The calling
/// thread must have
/// `PR_SET_NO_NEW_PRIVS`, as [`give_up`](super::give_up) leaves it.
///
/// # Errors
/// The kernel's: it was built without filters, or a thread has one of its own
/// (`SECCOMP_FILTER_FLAG_TSYNC`). Nothing is refused then.
pub fn refuse_calls(kept: CapabilitySet) -> io::Result<usize> {
    let architecture = ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?;
    let calls = refused(kept);
    let mut program = program(architecture, &calls);
    let len = program.len().try_into().map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // Before Linux 5.16 a filter would also have slowed each thread down by default, against
    // speculation (Spectre variant 4).
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: the program lives through the call, which copies it.
    let status =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match status {
        0 => Ok(calls.len()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

fn refused(kept: CapabilitySet) -> Vec<c_long> {
    // Either is enough for the kernel: CAP_SYS_ADMIN is from before CAP_BPF.
    let needs_bpf = kept.has(CapabilitySet::BPF) || kept.has(CapabilitySet::SYS_ADMIN);
    REFUSED.iter().copied().filter(|&call| !(needs_bpf && call == libc::SYS_bpf)).collect()
}

/// The filter. For all calls but `clone` its answer depends on the number alone, so that the kernel
/// knows the allowed ones without running it (Linux 5.11).
fn program(architecture: u32, calls: &[c_long]) -> Vec<sock_filter> {
    let load = |field| instruction(BPF_LD | BPF_W | BPF_ABS, field, 0, 0);
    let equal = BPF_JMP | BPF_JEQ | BPF_K;
    let answer = |answer| instruction(BPF_RET | BPF_K, answer, 0, 0);
    // How far the answers at the end are from an instruction.
    let allowed = 8 + calls.len();
    let [allow, refuse, absent] = [0, 1, 2].map(|answer| move |at| (allowed + answer - at - 1) as u8);
    let mut program = vec![
        load(ARCHITECTURE_FIELD),
        instruction(equal, architecture, 0, refuse(1)),
        load(NUMBER),
        instruction(BPF_JMP | BPF_JGE | BPF_K, OTHER_CALLS, refuse(3), 0),
        instruction(equal, libc::SYS_clone3 as u32, absent(4), 0),
        instruction(equal, libc::SYS_clone as u32, 0, 2),
        load(FIRST_ARGUMENT),
        instruction(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, refuse(7), allow(7)),
    ];
    let check = |(index, &call): (usize, &c_long)| instruction(equal, call as u32, refuse(8 + index), 0);
    program.extend(calls.iter().enumerate().map(check));
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.push(answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    program.push(answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32));
    program
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::super::tests::in_child;
    use super::super::{CapabilitySet, give_up};
    use super::*;

    /// What a call without arguments comes to.
    fn call(number: c_long) -> Result<c_long, Option<i32>> {
        // SAFETY: zeros for pointers are refused by each of the calls that take them.
        result(unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) })
    }

    /// What a clone(2) comes to that makes no thread, since one without its process's memory is refused.
    fn clone(flags: libc::c_int) -> Result<c_long, Option<i32>> {
        // SAFETY: the kernel refuses CLONE_THREAD alone, whatever comes with it.
        result(unsafe { libc::syscall(libc::SYS_clone, flags | libc::CLONE_THREAD, 0, 0, 0, 0) })
    }

    fn result(result: c_long) -> Result<c_long, Option<i32>> {
        if result == -1 { Err(io::Error::last_os_error().raw_os_error()) } else { Ok(result) }
    }

    fn refused_now() -> Vec<c_long> {
        let is_refused = |number: &c_long| call(*number) == Err(Some(libc::EPERM));
        REFUSED.iter().copied().filter(is_refused).collect()
    }

    #[test]
    fn a_port_that_keeps_the_right_to_bpf_may_call_it() {
        let calls = refused(CapabilitySet::XDP);
        assert!(!calls.contains(&libc::SYS_bpf) && calls.len() + 1 == REFUSED.len());
        assert_eq!(refused(CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN), calls);
        assert_eq!(refused(CapabilitySet::NET_ADMIN), REFUSED);
    }

    #[test]
    fn no_namespace_is_made_by_way_of_clone() {
        in_child("calls::tests::no_namespace_is_made_by_way_of_clone", || {
            give_up(None, CapabilitySet::NONE).expect("rights are given up");
            let flags = [0, 17, 25, 26, 27, 28, 29, 30].map(|bit| 1 << bit);
            let namespaces = flags.into_iter().filter(|flag| flag & NAMESPACES as i32 != 0);
            assert_eq!(namespaces.clone().count(), 7);
            let invalid = Err(Some(libc::EINVAL));
            assert!(flags.iter().all(|&flag| clone(flag) == invalid), "the kernel's own answer");
            refuse_calls(CapabilitySet::NONE).expect("a filter");
            for flag in namespaces {
                assert_eq!(clone(flag), Err(Some(libc::EPERM)), "{flag:#x}");
            }
            assert_eq!((clone(0), clone(libc::CLONE_FS)), (invalid, invalid));
            assert_eq!(call(libc::SYS_clone3), Err(Some(libc::ENOSYS)));
            assert_eq!(thread::spawn(|| 7).join().ok(), Some(7));
        });
    }

    #[test]
    fn calls_are_refused_in_every_thread() {
        in_child("calls::tests::calls_are_refused_in_every_thread", || {
            let (go, gone) = channel::<()>();
            let other = thread::spawn(move || gone.recv().map(|()| refused_now()));
            give_up(None, CapabilitySet::NONE).expect("rights are given up");
            assert_eq!(call(libc::SYS_unshare), Ok(0), "with no flags it takes no rights");
            assert_eq!(call(libc::SYS_execve), Err(Some(libc::EFAULT)));
            assert_eq!(refuse_calls(CapabilitySet::NONE).expect("a filter"), REFUSED.len());
            assert_eq!(refused_now(), REFUSED);
            go.send(()).expect("it waits");
            assert_eq!(other.join().expect("no panic").expect("it went"), REFUSED);
            assert_eq!(thread::spawn(refused_now).join().expect("no panic"), REFUSED);
            assert!(std::process::Command::new("true").status().is_err());
            if cfg!(target_arch = "x86_64") {
                let other_words = c_long::from(OTHER_CALLS) | libc::SYS_getpid;
                assert_eq!(call(other_words), Err(Some(libc::EPERM)));
            }
            assert_eq!(call(libc::SYS_getpid), Ok(std::process::id().into()));
            assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
        });
    }
}
