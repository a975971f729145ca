//! The lab: network namespaces of the tests' own and raw sockets in them.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

/// Says that a test does not run here; with `CI=true` that is a failure.
pub(crate) fn skip(name: &str, reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} can't run: {reason}");
    say(&format!("skipped: {name}: {reason}"));
}

/// Past the test harness, which keeps what passing tests print to itself, and on a line of
/// its own, whatever the harness is writing.
pub(crate) fn say(line: &str) {
    writeln!(io::stdout(), "\n{line}").expect("standard output");
}

/// A network namespace, gone with its value.
pub(crate) struct Namespace(String);

impl Namespace {
    /// A new one.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn new(role: &str) -> Result<Self, String> {
        let name = format!("gannet-diff-{}-{role}", std::process::id());
        let output = Command::new("ip").args(["netns", "add", &name]).output();
        let output = output.map_err(|error| format!("the program ip: {error}"))?;
        if !output.status.success() {
            return Err(format!("ip netns add: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(Self(name))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    pub(crate) fn ip(&self, arguments: &str) {
        let output = self.ip_output(arguments);
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn ip_output(&self, arguments: &str) -> Output {
        Command::new("ip").args(["-n", &self.0]).args(arguments.split(' ')).output().expect("ip is there")
    }

    pub(crate) fn says(&self, arguments: &str, part: &str) -> bool {
        String::from_utf8_lossy(&self.ip_output(arguments).stdout).contains(part)
    }

    /// Runs a program in the namespace.
    pub(crate) fn run(&self, line: &str) {
        let output = Command::new("ip").args(["netns", "exec", &self.0]).args(line.split(' ')).output();
        let output = output.expect("ip is there");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sets values under `/proc/sys/net`, those that this kernel has.
    pub(crate) fn set(&self, values: &[(&str, &str)]) {
        self.inside(|| {
            for (name, value) in values {
                let path = format!("/proc/sys/net/{name}");
                if fs::exists(&path).unwrap_or(false) {
                    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
                }
            }
        });
    }

    /// Runs `work` on a thread in the namespace. Sockets that it opens stay there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.0)).expect("the namespace");
        let run = || {
            // SAFETY: the call takes a descriptor that is open, and moves this thread only.
            let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "setns: {}", io::Error::last_os_error());
            work()
        };
        thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Whether a program is there.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Keeps the calling thread on one processor, the first that it may use.
///
/// A packet that the kernel receives and what it answers then pass in order.
pub(crate) fn stay_on_one_processor() {
    // SAFETY: zeros are a value of it.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let len = size_of_val(&set);
    // SAFETY: a set of that length that lives through the call.
    assert_eq!(unsafe { libc::sched_getaffinity(0, len, &raw mut set) }, 0);
    // SAFETY: the index is within the set.
    let first = (0..1024).find(|&index| unsafe { libc::CPU_ISSET(index, &set) }).expect("a processor");
    // SAFETY: zeros are a value of it.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the index is within the set.
    unsafe { libc::CPU_SET(first, &mut one) };
    // SAFETY: a set of that length that lives through the call, for this thread only.
    assert_eq!(unsafe { libc::sched_setaffinity(0, len, &raw const one) }, 0);
}

/// Every frame that arrives at an interface, as it is on the wire.
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    pub(crate) fn bind(interface: &str) -> Self {
        let name = CString::new(interface).expect("no zero byte");
        // SAFETY: no preconditions.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0) };
        assert!(socket >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the descriptor is new and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(socket) });
        socket.ignore_outgoing();
        // SAFETY: zeros are a value of it.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a zero-terminated name.
        address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) }.cast_signed();
        let len = size_of_val(&address) as u32;
        // SAFETY: an address of the family's kind that lives through the call.
        let bound = unsafe { libc::bind(socket.0.as_raw_fd(), (&raw const address).cast(), len) };
        assert_eq!(bound, 0, "{interface}: {}", io::Error::last_os_error());
        socket
    }

    fn ignore_outgoing(&self) {
        let (on, option): (libc::c_int, _) = (1, libc::PACKET_IGNORE_OUTGOING);
        let (value, len) = ((&raw const on).cast(), size_of_val(&on) as u32);
        // SAFETY: a number that lives through the call.
        let set = unsafe { libc::setsockopt(self.0.as_raw_fd(), libc::SOL_PACKET, option, value, len) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }

    /// # Errors
    /// The kernel's, `EINVAL` for a frame that is shorter than a link header.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: an open socket and a buffer of that length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The next frame, if it comes in time.
    pub(crate) fn receive(&self, wait: Duration) -> Option<Vec<u8>> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor that lives through the call.
        unsafe { libc::poll(&raw mut poll, 1, wait.as_millis() as libc::c_int) };
        let mut frame = vec![0; 4096];
        // SAFETY: an open socket and a buffer of that length.
        let len = unsafe { libc::recv(self.0.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
        frame.truncate(usize::try_from(len).ok()?);
        Some(frame)
    }
}
