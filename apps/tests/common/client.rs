//! A client on a socket of the kernel's.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

/// Unanswered datagrams at a time: what a socket's buffer holds however late the client
/// gets a CPU, so that a loss is the engine's.
const IN_FLIGHT: usize = 32;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of the datagrams that a client sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Answers that came again.
    pub(crate) duplicates: u64,
    /// Payloads that were never sent.
    pub(crate) wrong: u64,
}

impl Tally {
    /// All of these were answered, once and whole.
    pub(crate) fn all(datagrams: u64) -> Self {
        Self { sent: datagrams, answered: datagrams, ..Self::default() }
    }
}

/// Sends `count` datagrams of one byte to all that an MTU of 1,500 lets through, all sizes equally
/// often, each when there is room among those in flight, and takes what comes back.
pub(crate) fn exchange(socket: &UdpSocket, to: &str, count: u64) -> Tally {
    socket.connect(to).expect("a way there");
    let longest = if to.starts_with('[') { 1452 } else { 1472 };
    let mut tally = Tally::default();
    let mut waiting = Waiting::default();
    for number in 0..count {
        let payload = payload(number, longest);
        assert_eq!(socket.send(&payload).expect("sent"), payload.len());
        tally.sent += 1;
        waiting.add(payload);
        while waiting.total >= IN_FLIGHT {
            waiting.receive(socket, PATIENCE, &mut tally);
        }
    }
    while waiting.total > 0 {
        waiting.receive(socket, PATIENCE, &mut tally);
    }
    // What comes now was not asked for.
    while waiting.receive(socket, Duration::from_millis(50), &mut tally) {}
    tally
}

/// One datagram there and back, of so many bytes.
///
/// # Errors
/// Nothing came back in time.
pub(crate) fn exchange_one(socket: &UdpSocket, to: &str, len: usize) -> std::io::Result<()> {
    let payload: Vec<_> = (0..len).map(|index| (index * 7 + index / 256) as u8).collect();
    assert_eq!(socket.send_to(&payload, to).expect("sent"), len);
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = vec![0; 65536];
    let received = socket.recv(&mut answer)?;
    assert!(answer[..received] == payload, "{received} bytes came back of {len}, or others");
    Ok(())
}

/// `number` in the low bytes, as far as they fit, and a pattern; 1 to `longest` bytes.
fn payload(number: u64, longest: u64) -> Vec<u8> {
    // 977 is prime, so every size comes once in `longest` datagrams.
    let len = 1 + (number * 977) % longest;
    let pattern = (4..).map(|index: u64| (index * 7 + number * 13) as u8);
    (number as u32).to_le_bytes().into_iter().chain(pattern).take(len as usize).collect()
}

/// Payloads in flight, and those that were answered or given up.
#[derive(Default)]
struct Waiting {
    payloads: HashMap<Vec<u8>, u64>,
    total: usize,
    lost: HashMap<Vec<u8>, u64>,
    finished: HashSet<Vec<u8>>,
}

impl Waiting {
    fn add(&mut self, payload: Vec<u8>) {
        *self.payloads.entry(payload).or_default() += 1;
        self.total += 1;
    }

    /// Takes the next answer; `false` if none came, and whatever is in flight is given up.
    fn receive(&mut self, socket: &UdpSocket, patience: Duration, tally: &mut Tally) -> bool {
        socket.set_read_timeout(Some(patience)).expect("a timeout");
        let mut answer = [0; 2000];
        let answer = match socket.recv(&mut answer) {
            Ok(len) => answer[..len].to_vec(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.lost.extend(self.payloads.drain());
                self.total = 0;
                return false;
            }
            Err(error) => panic!("{error}"),
        };
        if take(&mut self.payloads, &answer) {
            self.total -= 1;
            tally.answered += 1;
            self.finished.insert(answer);
        } else if take(&mut self.lost, &answer) {
            tally.answered += 1;
            self.finished.insert(answer);
        } else if self.finished.contains(&answer) {
            tally.duplicates += 1;
        } else {
            tally.wrong += 1;
        }
        true
    }
}

fn take(payloads: &mut HashMap<Vec<u8>, u64>, payload: &[u8]) -> bool {
    let Some(count) = payloads.get_mut(payload) else { return false };
    *count -= 1;
    if *count == 0 {
        payloads.remove(payload);
    }
    true
}
