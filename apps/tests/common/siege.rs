//! A `gannet echo` under attack, with a well-behaved client beside the attacker.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::frames::{Mac, frame};
use super::program::gannet;
use super::report::balanced;
use super::wire::Wire;
use super::{Lab, Program, one_lcore, skip};

/// The engine's addresses, and the client's, in IPv4 and IPv6.
pub(crate) const OURS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1))];
pub(crate) const CLIENTS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2))];
/// The engine's UDP port.
pub(crate) const ECHO: u16 = 7;
/// By what its memory may have grown, in bytes: its tables are of fixed size, but the kernel
/// gives their pages one by one, as they are first used.
const FLAT: u64 = 8 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(250);

/// An engine with all that is around it.
pub(crate) struct Siege<'a> {
    pub(crate) lab: &'a Lab,
    /// The attacker's, and the client's: it hears both.
    pub(crate) wire: Wire,
    /// The engine's MAC address, and the client's.
    pub(crate) own: Mac,
    pub(crate) client: Mac,
}

impl Siege<'_> {
    /// A frame to the engine with that packet.
    pub(crate) fn frame(&self, packet: &[u8]) -> Vec<u8> {
        frame(self.client, self.own, packet)
    }

    /// Sends frames, which are not answered at all.
    #[track_caller]
    pub(crate) fn silent(&self, frames: &[Vec<u8>]) {
        self.wire.forget();
        self.wire.send(frames);
        let mut answers = self.wire.heard(Duration::from_millis(300));
        answers.retain(|answer| answer.get(6..12) == Some(&self.own));
        assert!(answers.is_empty(), "{} answers, the first {:02x?}", answers.len(), answers[0]);
    }

    /// A well-behaved client: it waits for its answer before it asks again, and a moment.
    /// Gives how many datagrams of `len` bytes it sent and how many came back, over `family`.
    pub(crate) fn client(&self, family: usize, len: usize, go_on: impl Fn(u64) -> bool) -> (u64, u64) {
        let socket = self.lab.far.socket(&SocketAddr::new(CLIENTS[family], 0).to_string());
        socket.connect(SocketAddr::new(OURS[family], ECHO)).expect("a way there");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (mut sent, mut answered) = (0, 0);
        while go_on(sent) {
            sent += 1;
            answered += u64::from(ask(&socket, sent, len));
            thread::sleep(Duration::from_millis(2));
        }
        (sent, answered)
    }

    /// The client asks while the attack goes on.
    pub(crate) fn client_during(&self, len: usize, attack: impl FnOnce() + Send) -> (u64, u64) {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                attack();
                is_over.store(true, Relaxed);
            });
            self.client(0, len, |_| !is_over.load(Relaxed))
        })
    }

    /// All that a client asks is answered.
    #[track_caller]
    pub(crate) fn serves(&self, len: usize) {
        for family in [0, 1] {
            assert_eq!(self.client(family, len, |sent| sent < 30), (30, 30), "{}", OURS[family]);
        }
    }
}

/// Whether the datagram with that number comes back as it is.
fn ask(socket: &UdpSocket, number: u64, len: usize) -> bool {
    let mut datagram = vec![number as u8; len];
    datagram[..8].copy_from_slice(&number.to_be_bytes());
    socket.send(&datagram).expect("sent");
    let mut answer = vec![0; len + 1];
    // What comes late belongs to a number before.
    while let Ok(len) = socket.recv(&mut answer) {
        if answer[..len] == datagram {
            return true;
        }
    }
    false
}

/// Starts `gannet echo` with these arguments, and attacks it. After the attack a client is still
/// served, the memory is what it was, and the program stops and balances its books, which
/// `verdict` has a look at.
pub(crate) fn besiege(
    name: &str,
    arguments: &str,
    attack: impl FnOnce(&Siege<'_>),
    verdict: impl FnOnce(&Value),
) {
    with_both_families(name, |lab| {
        let arguments = format!(
            "echo {} -- --io af_packet:near0 --ip {}/24 --ip {}/64 --no-announce --udp-port {ECHO} \
             {arguments} --json report.json",
            one_lcore(),
            OURS[0],
            OURS[1]
        );
        let mut engine = Program::start(&mut lab.engine(&gannet(&arguments)));
        engine.ready();
        let (own, client) = (lab.near.mac("near0"), lab.far.mac("far0"));
        let siege = Siege { lab, wire: lab.far.wire("far0"), own, client };
        siege.serves(100);
        let before = engine.resident();
        attack(&siege);
        siege.serves(100);
        let after = engine.resident();
        assert!(after <= before + FLAT, "from {before} to {after} bytes");
        verdict(&balanced(&lab.scratch, &engine.stop("TERM")));
    });
}

/// A lab whose client has IPv6, too.
pub(crate) fn with_both_families(name: &str, test: impl FnOnce(&Lab)) {
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return skip(name, "this kernel has no IPv6");
    }
    Lab::with(name, |lab| {
        lab.far.speak_ipv6("far0", &format!("{}/64", CLIENTS[1]));
        test(lab);
    });
}
