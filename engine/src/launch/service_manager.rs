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
        Self { socket, interval: interval.map(|interval| interval / 2), told: None, moved: true }
    }

    /// The program serves, as the line says.
    pub(super) fn ready(&self, line: &str) {
        self.tell(&format!("READY=1\nSTATUS={line}"));
    }

    /// The program reads its configuration again; [`ready`](Self::ready) ends that.
    pub(super) fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()));
    }

    /// The program is about to end.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    /// Says that the workers move when that is due, and nothing while one does not.
    pub(super) fn look(&mut self, now: Instant, all_move: bool) {
        if std::mem::replace(&mut self.moved, all_move) != all_move {
            self.tell(if all_move { "STATUS=all lcores go on" } else { "STATUS=an lcore stands still" });
        }
        let is_due = |interval| self.told.is_none_or(|told| now - told >= interval);
        if all_move && self.interval.is_some_and(is_due) {
            self.told = Some(now);
            self.tell("WATCHDOG=1");
        }
    }

    /// Whoever does not listen is not waited for.
    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
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
        let (socket, manager) = pair(None);
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
