//! A service manager's side of `$NOTIFY_SOCKET`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::unique;

/// How long a message may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever is told how the program does.
pub(crate) struct Manager {
    name: String,
    messages: Receiver<String>,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let name = unique("notify");
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        // The kernel keeps ten messages, and what is sent while nobody reads is lost.
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 1000];
            while let Ok(len) = socket.recv(&mut bytes) {
                let Ok(()) = sender.send(String::from_utf8_lossy(&bytes[..len]).into_owned()) else { break };
            }
        });
        Self { name, messages }
    }

    /// A command that tells it.
    pub(crate) fn of<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("NOTIFY_SOCKET", format!("@{}", self.name))
    }

    /// Waits for a message that begins so, and gives it.
    #[track_caller]
    pub(crate) fn hear(&self, beginning: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        while let Some(said) = self.next(deadline.saturating_duration_since(Instant::now())) {
            if said.starts_with(beginning) {
                return said;
            }
            others.push(said);
        }
        panic!("nothing said '{beginning}…', but {others:?}");
    }

    /// The next message, if one comes in that time.
    pub(crate) fn next(&self, patience: Duration) -> Option<String> {
        self.messages.recv_timeout(patience).ok()
    }
}
