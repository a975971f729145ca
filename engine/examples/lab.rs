//! An echo and its client in one process, on two ports joined crosswise. No rights are
//! needed, and nothing is in the way but the engine itself.
//!
//! ```text
//! lab memory --count 4000 --json lab.json
//! ```
//!
//! `memory` are rings of this program's own, `net_ring` are DPDK's. Each port has a host of its
//! own, and one thread polls both in turn. The client sends a datagram when the one before
//! was answered, of 1 to 1472 bytes, all sizes equally often. The report:
//!
//! ```text
//! {"port", "sent", "answered", "p50_us", "p99_us", "max_us", "balanced"}
//! ```

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress};
use gannet::port::{FrameQueue, PoolBalance};
use gannet::sys::Clock;
use gannet::telemetry::Balance;
use gannet::wire::vlan::Vlans;
use gannet::{Datagram, DatagramQueue, Outbox, Role, SendError, Service, Tick, Time, Verdict, Worker};

const BURST: usize = 32;
const OUTBOX: usize = 4;
const ECHO: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 77, 0, 1), 7);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// How long an answer may take: ten times what ARP and a busy machine need.
const PATIENCE: Duration = Duration::from_secs(1);

/// An echo and its client in one process, on two ports joined crosswise
#[derive(Parser)]
struct Arguments {
    /// What joins them
    port: Port,
    /// Datagrams
    #[arg(long, default_value_t = 4000)]
    count: u32,
    /// Write the report to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Port {
    Memory,
    #[cfg(feature = "dpdk")]
    NetRing,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match report(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was answered and is accounted for.
fn report(arguments: &Arguments) -> Result<bool, Failure> {
    let &Arguments { port, count, .. } = arguments;
    let (name, outcome) = match port {
        Port::Memory => ("memory", memory(count)),
        #[cfg(feature = "dpdk")]
        Port::NetRing => ("net_ring", net_ring(count)?),
    };
    let Outcome { client, balanced } = outcome;
    let report = serde_json::json!({
        "port": name,
        "sent": client.sent,
        "answered": client.answered(),
        "p50_us": client.microseconds(0.50),
        "p99_us": client.microseconds(0.99),
        "max_us": client.microseconds(1.0),
        "balanced": balanced,
    });
    println!("{report}");
    if let Some(path) = &arguments.json {
        fs::write(path, format!("{report}\n")).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(client.answered() == count as usize && balanced)
}

// ---- the ports -----------------------------------------------------------------

fn memory(count: u32) -> Outcome {
    use gannet::port::memory::{self, MemoryConfig};
    let config = MemoryConfig { buffers: 2 * held() + 4 * BURST, ..MemoryConfig::default() };
    let (near, far) = memory::open(&config);
    run(near.queues, vec![far], count, || near.control.close())
}

#[cfg(feature = "dpdk")]
fn net_ring(count: u32) -> Result<Outcome, Failure> {
    use gannet::port::PortConfig;
    use gannet::port::dpdk::{self, Eal};
    let cpu = gannet::sys::CpuSet::current()?.iter().next().unwrap_or(0).to_string();
    let words = ["-l", &cpu, "--no-huge", "--no-pci", "--no-shconf", "-m", "256"];
    let eal = Eal::init(&words.map(str::to_owned))?;
    let (echo, client) = dpdk::crosswise_rings(&eal, 256)?;
    let config = PortConfig { burst: BURST, held: held(), ..PortConfig::default() };
    let (echo, client) = (dpdk::open(&eal, echo, &config)?, dpdk::open(&eal, client, &config)?);
    // The last port to close measures all pools.
    let close = || [echo.control.close(), client.control.close()].concat();
    Ok(run(echo.queues, client.queues, count, close))
}

// ---- the run -------------------------------------------------------------------

struct Outcome {
    client: Client,
    balanced: bool,
}

/// Polls an echo and a client in turn, until the client is through or its time is.
fn run<Q: FrameQueue>(
    echo: Vec<Q>,
    client: Vec<Q>,
    count: u32,
    close: impl FnOnce() -> Vec<PoolBalance>,
) -> Outcome {
    let mut echo = worker(echo, ECHO.0, Echo);
    let mut client = worker(client, CLIENT, Client::new(count));
    let clock = Clock::start();
    while !client.service().is_over() {
        client.poll_once(clock.now());
        echo.poll_once(clock.now());
    }
    // What one still sends, the other takes back.
    client.drain();
    echo.drain();
    let counters = client.queues().iter().chain(echo.queues()).map(DatagramQueue::counters);
    let explained = counters.map(|counters| counters.snapshot().balance()).all(Balance::is_exact);
    let service = client.service().clone();
    drop((client, echo));
    let balanced = explained && close().iter().all(PoolBalance::is_balanced);
    Outcome { client: service, balanced }
}

fn worker<Q: FrameQueue, S: Service>(queues: Vec<Q>, address: Ipv4Addr, service: S) -> Worker<Host<Q>, S> {
    let hosts = queues.into_iter().map(|queue| Host::new(queue, config(address))).collect();
    Worker::new(hosts, service, 0)
}

fn config(address: Ipv4Addr) -> HostConfig {
    let own = InterfaceAddress { address: address.into(), prefix_len: 24, vlans: Vlans::NONE };
    let addressing = Addressing::new(vec![own], vec![]).unwrap_or_default();
    HostConfig { burst: BURST, outbox: OUTBOX, ..HostConfig::new(addressing) }
}

/// Packets that a host may hold.
fn held() -> usize {
    config(CLIENT).held()
}

// ---- the two services ------------------------------------------------------------

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

/// Sends datagrams one after the other and times the answers.
#[derive(Clone)]
struct Client {
    count: u32,
    sent: u32,
    /// When the last datagram left, if it is not answered yet.
    waiting: Option<Time>,
    is_lost: bool,
    round_trips: Vec<Duration>,
}

impl Client {
    fn new(count: u32) -> Self {
        let round_trips = Vec::with_capacity(count as usize);
        Self { count, sent: 0, waiting: None, is_lost: false, round_trips }
    }

    fn answered(&self) -> usize {
        self.round_trips.len()
    }

    /// Every datagram was answered, or one never was.
    fn is_over(&self) -> bool {
        self.is_lost || self.answered() == self.count as usize
    }

    /// What the given share of the round trips does not exceed (nearest rank).
    fn microseconds(&self, share: f64) -> Option<f64> {
        let mut trips = self.round_trips.clone();
        trips.sort_unstable();
        let rank = (trips.len() as f64 * share).ceil() as usize;
        let trip = trips.get(rank.checked_sub(1)?)?;
        Some(trip.as_nanos() as f64 / 1000.0)
    }
}

impl Service for Client {
    const ROLE: Role = Role::Client;

    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        match self.waiting {
            Some(since) => self.is_lost = now - since > PATIENCE,
            None if self.sent < self.count => {
                let number = self.sent + 1;
                let from = SocketAddr::from((CLIENT, source_port(number)));
                let sent = outbox.send_with(from, ECHO.into(), len(number), |room| {
                    room.iter_mut().zip(payload(number)).for_each(|(to, byte)| *to = byte);
                });
                match sent {
                    Ok(()) => (self.sent, self.waiting) = (number, Some(now)),
                    // Next time.
                    Err(SendError::Full) => {}
                    Err(SendError::TooLong(_)) => self.is_lost = true,
                }
            }
            None => {}
        }
        Tick::More
    }

    fn on_datagram(&mut self, now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        let number = self.sent;
        let is_answer = datagram.source() == ECHO.into()
            && datagram.destination().port() == source_port(number)
            && datagram.payload().iter().copied().eq(payload(number));
        if let Some(since) = self.waiting.take_if(|_| is_answer) {
            self.round_trips.push(now - since);
        }
        Verdict::Drop
    }
}

// ---- datagrams by their number, from 1 -------------------------------------------

/// The number is in the source port, since a payload of one byte has no room for it.
fn source_port(number: u32) -> u16 {
    (1024 + number % 64_000) as u16
}

/// 1 to 1472 bytes. 977 shares no factor with 1472, so every size has its turn.
fn len(number: u32) -> usize {
    1 + number as usize * 977 % 1472
}

fn payload(number: u32) -> impl Iterator<Item = u8> {
    (number..).map(|word| (word.wrapping_mul(0x9e37_79b9) >> 24) as u8).take(len(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datagram_in_memory_is_answered() {
        let Outcome { client, balanced } = memory(2000);
        assert_eq!((client.sent, client.answered(), balanced), (2000, 2000, true));
        assert!(client.microseconds(0.5) <= client.microseconds(1.0));
    }

    #[test]
    fn every_size_has_its_turn() {
        let mut lengths: Vec<_> = (1..=1472).map(len).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, (1..=1472).collect::<Vec<_>>());
    }
}
