//! A worker that stops is noticed, and said: in the log, in the metrics, and to the service manager.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::notify::Manager;
use common::program::gannet;
use common::scrape::{address, ask, sum, wait_until};
use common::{Program, cpus, skip, turn};

/// A thread that is held by us, and goes on when this is dropped.
struct Held(libc::pid_t);

impl Held {
    /// Stops a thread of one of our children, and none of the others in its process (`ptrace(2)`).
    fn new(thread: libc::pid_t) -> Result<Self, String> {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the calls take numbers.
        let (seized, stopped) = unsafe {
            (
                libc::ptrace(libc::PTRACE_SEIZE, thread, none, none),
                libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none),
            )
        };
        if seized != 0 || stopped != 0 {
            return Err(format!(
                "threads can't be stopped here (ptrace): {}",
                std::io::Error::last_os_error()
            ));
        }
        let mut status = 0;
        // SAFETY: the call fills the number.
        let waited = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        assert!(waited == thread && libc::WIFSTOPPED(status), "{waited} {status}");
        Ok(Self(thread))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the call takes numbers.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}

/// The thread of that name.
fn thread(process: u32, name: &str) -> libc::pid_t {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let named = threads.map(|thread| thread.expect("read")).find(|thread| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    });
    let named = named.unwrap_or_else(|| panic!("there is no thread {name}"));
    named.file_name().to_string_lossy().parse().expect("a number")
}

#[test]
fn a_worker_that_stops_is_noticed_and_told() {
    let _turn = turn();
    let cpus = cpus();
    let manager = Manager::new();
    let free = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let arguments = format!(
        "echo --lcores 0@{},1@{} -- --io socket --ip 127.0.0.1 --udp-port {free} --watchdog 5s \
         --metrics 127.0.0.1:0",
        cpus[0],
        cpus[1 % cpus.len()]
    );
    let mut command = gannet(&arguments);
    let mut program = Program::start(manager.of(&mut command).env("WATCHDOG_USEC", "200000"));
    let metrics = address(&mut program);
    let line = program.ready();
    assert_eq!(manager.hear("READY=1"), format!("READY=1\nSTATUS={line}"));
    manager.hear("WATCHDOG=1");
    // One that waits for packets is not one that stopped. The patience is longer than a busy machine keeps
    // a worker from its CPU.
    std::thread::sleep(Duration::from_secs(6));
    let page = wait_until(&metrics, "gannet_lcore_waits_total{", |waits| waits > 0.0);
    assert_eq!((sum(&page, "gannet_lcore_moving{"), sum(&page, "gannet_lcore_stalls_total{")), (1.0, 0.0));

    let answer = |target: &str| {
        let head = ask(&metrics, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).0;
        head.split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!((answer("/ready").as_deref(), answer("/healthy").as_deref()), (Some("200"), Some("200")));
    let held = match Held::new(thread(program.id(), "lcore-1")) {
        Ok(held) => held,
        Err(reason) => return skip("a_worker_that_stops_is_noticed_and_told", &reason),
    };
    let page = wait_until(&metrics, "gannet_lcore_moving{lcore=\"1\"}", |moving| moving == 0.0);
    assert_eq!(sum(&page, "gannet_lcore_stalls_total{lcore=\"1\"}"), 1.0, "{page}");
    assert_eq!((answer("/ready").as_deref(), answer("/healthy").as_deref()), (Some("200"), Some("503")));
    manager.hear("STATUS=an lcore stands still");
    let later = manager.next(Duration::from_millis(600));
    assert_eq!(later, None, "nobody says that the workers move");

    drop(held);
    wait_until(&metrics, "gannet_lcore_moving{lcore=\"1\"}", |moving| moving == 1.0);
    manager.hear("STATUS=all lcores go on");
    manager.hear("WATCHDOG=1");
    let ended = program.stop("TERM");
    manager.hear("STOPPING=1");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for said in ["lcore 1 has stood still for ", "lcore 1 goes on after "] {
        assert!(ended.stderr.contains(said), "no '{said}': {ended:#?}");
    }
}
