//! What a service manager is told, where one listens (`sd_notify(3)`): that the program is ready, that its
//! workers move, that it stops. A datagram each to the socket that `$NOTIFY_SOCKET` names.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::sys::monotonic_micros;

/// Whoever started the program, if that is to be told.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that the workers move.
    interval: Option<Duration>,
    told: Option<Instant>,
    moved: bool,
    /// What it has not taken yet, the oldest first: one of each kind.
    owed: Vec<String>,
}

impl ServiceManager {
    /// The one that the environment names.
    pub(super) fn from_environment() -> Self {
        let pid = env::var("WATCHDOG_PID").ok();
        let is_for_us = pid.is_none_or(|pid| pid == std::process::id().to_string());
        let interval = env::var("WATCHDOG_USEC").ok().filter(|_| is_for_us);
        Self::new(env::var_os("NOTIFY_SOCKET").as_deref(), interval.as_deref())
    }

    /// One that listens at a path, or behind an `@` at an abstract name, and wants to hear of the workers
    /// once in so many microseconds.
    fn new(name: Option<&OsStr>, micros: Option<&str>) -> Self {
        let name = name.filter(|name| !name.is_empty());
        let socket = name.and_then(|name| {
            open(name)
                .inspect_err(|error| {
                    tracing::warn!("NOTIFY_SOCKET {}: {error}; it is told nothing", name.display())
                })
                .ok()
        });
        let interval = micros.and_then(|micros| micros.parse().ok()).map(Duration::from_micros);
        // Twice in its time, so that one that is late is no failure.
        Self {
            socket,
            interval: interval.map(|interval| interval / 2),
            told: None,
            moved: true,
            owed: Vec::new(),
        }
    }

    /// The program serves, as the line says.
    pub(super) fn ready(&mut self, line: &str) {
        self.tell(format!("READY=1\nSTATUS={line}"));
    }

    /// The program reads its configuration again; [`ready`](Self::ready) ends that.
    pub(super) fn reloading(&mut self) {
        self.tell(format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()));
    }

    /// The program is about to end.
    pub(super) fn stopping(&mut self) {
        self.tell("STOPPING=1\nSTATUS=stopping".to_owned());
    }

    /// Says what is owed, and that the workers move when that is due, and nothing while one does not.
    pub(super) fn look(&mut self, now: Instant, all_move: bool) {
        if std::mem::replace(&mut self.moved, all_move) != all_move {
            let line = if all_move { "all lcores go on" } else { "an lcore stands still" };
            self.tell(format!("STATUS={line}"));
        } else {
            self.pay();
        }
        let is_due = |interval| self.told.is_none_or(|told| now - told >= interval);
        if all_move && self.interval.is_some_and(is_due) && self.send("WATCHDOG=1") {
            self.told = Some(now);
        }
    }

    /// Says it now, or, where the manager's queue is full, at one of the next looks, unless there is
    /// something newer of its kind to say by then.
    fn tell(&mut self, state: String) {
        let kind = |state: &str| state.split('=').next().map(str::to_owned);
        self.owed.retain(|owed| kind(owed) != kind(&state));
        self.owed.push(state);
        self.pay();
    }

    /// Says what is owed, as far as it is taken.
    fn pay(&mut self) {
        let sent = self.owed.iter().take_while(|state| self.send(state)).count();
        self.owed.drain(..sent);
    }

    /// Whether it was sent, or there is nobody to be told. Whoever does not listen is not waited for.
    fn send(&self, state: &str) -> bool {
        let send =
            |(socket, address): &(UnixDatagram, SocketAddr)| socket.send_to_addr(state.as_bytes(), address);
        self.socket.as_ref().is_none_or(|socket| send(socket).is_ok())
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service manager, and the program's side of it.
    fn pair(micros: Option<&str>) -> (UnixDatagram, ServiceManager) {
        let name = format!("gannet-notify-{}-{:?}", std::process::id(), std::thread::current().id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        socket.set_nonblocking(true).expect("set");
        (socket, ServiceManager::new(Some(OsStr::new(&format!("@{name}"))), micros))
    }

    fn heard(socket: &UnixDatagram) -> Option<String> {
        let mut bytes = [0; 500];
        let len = socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }

    #[test]
    fn an_abstract_socket_hears_of_the_program() {
        let (socket, mut manager) = pair(None);
        manager.ready("ready: echo");
        assert_eq!(heard(&socket).as_deref(), Some("READY=1\nSTATUS=ready: echo"));
        manager.reloading();
        assert!(heard(&socket).is_some_and(|said| said.starts_with("RELOADING=1\nMONOTONIC_USEC=")));
        manager.stopping();
        assert_eq!(heard(&socket).as_deref(), Some("STOPPING=1\nSTATUS=stopping"));
    }

    #[test]
    fn it_hears_that_workers_move_at_twice_the_rate_and_only_then() {
        let (socket, mut manager) = pair(Some("1000000"));
        let begin = Instant::now();
        let mut look = |millis: u64, all_move| {
            manager.look(begin + Duration::from_millis(millis), all_move);
            heard(&socket)
        };
        assert_eq!(look(0, true).as_deref(), Some("WATCHDOG=1"));
        assert_eq!(look(499, true), None);
        assert_eq!(look(500, true).as_deref(), Some("WATCHDOG=1"));
        assert_eq!(look(1000, false).as_deref(), Some("STATUS=an lcore stands still"));
        assert_eq!(look(5000, false), None);
        assert_eq!(look(5001, true).as_deref(), Some("STATUS=all lcores go on"));
        assert_eq!(heard(&socket).as_deref(), Some("WATCHDOG=1"));
    }

    /// Sends until the queue takes no more, from sockets of which each has bounds of its own.
    fn fill(manager: &ServiceManager) {
        let (_, address) = manager.socket.as_ref().expect("it has one");
        let burst = || {
            let socket = UnixDatagram::unbound().expect("a socket");
            socket.set_nonblocking(true).expect("set");
            std::iter::from_fn(|| socket.send_to_addr(b"full", address).ok()).count()
        };
        while burst() > 0 {}
    }

    fn all_heard(socket: &UnixDatagram) -> Vec<String> {
        let all = std::iter::from_fn(|| heard(socket)).filter(|said| said != "full");
        all.map(|said| said.split('\n').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn what_a_full_queue_did_not_take_is_said_later() {
        let (socket, mut manager) = pair(Some("1000000"));
        let begin = Instant::now();
        let millis = Duration::from_millis;
        fill(&manager);
        manager.ready("ready: echo");
        manager.look(begin, true);
        assert_eq!(all_heard(&socket), Vec::<String>::new());
        manager.look(begin + millis(1), true);
        assert_eq!(all_heard(&socket), ["READY=1", "WATCHDOG=1"]);
        manager.look(begin + millis(2), true);
        assert_eq!(all_heard(&socket), Vec::<String>::new(), "once is enough");
        fill(&manager);
        for step in 0..100 {
            manager.reloading();
            manager.ready(&format!("ready: {step}"));
            manager.look(begin + millis(3 + step), step % 2 == 1);
        }
        assert_eq!(manager.owed.len(), 3, "the newest of each kind");
        assert_eq!(manager.owed[1], "READY=1\nSTATUS=ready: 99");
        assert_eq!(all_heard(&socket), Vec::<String>::new());
        manager.look(begin + millis(103), true);
        assert_eq!(all_heard(&socket), ["RELOADING=1", "READY=1", "STATUS=all lcores go on"]);
        assert!(manager.owed.is_empty());
    }

    #[test]
    fn a_socket_in_the_file_system_hears_too() {
        let path = env::temp_dir().join(format!("gannet-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).expect("a socket");
        ServiceManager::new(Some(path.as_os_str()), None).stopping();
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!(heard(&socket).as_deref(), Some("STOPPING=1\nSTATUS=stopping"));
    }

    #[test]
    fn without_one_nothing_is_said() {
        let mut manager = ServiceManager::new(None, Some("nonsense"));
        manager.ready("ready");
        manager.look(Instant::now(), true);
        assert!(manager.socket.is_none() && manager.interval.is_none());
    }
}
