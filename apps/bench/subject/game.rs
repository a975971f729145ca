//! The game's server under players that do nothing but move ([`Replayer`]): on ring ports of DPDK's
//! joined crosswise, an lcore for each end, where moves are counted; and on rings in memory, where
//! what a player takes of the machine's memory is.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use gannet::host::{Addressing, GuardConfig, Host, HostConfig, InterfaceAddress, Level};
use gannet::port::FrameQueue;
use gannet::port::memory::{self, MemoryConfig};
use gannet::wire::vlan::Vlans;
use gannet::{Service, Time, Worker};
use gannet_game::protocol::DEFAULT_PORT;
use gannet_game::rules::Rules;
use gannet_game::server::{Game, Setup, Sum};

use super::replayer::{Replayer, addresses};
use crate::bench::failure::Failure;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const PREFIX_LEN: u8 = 16;
/// A cell's side in metres.
const CELL: f32 = 50.0;
/// Players step to and fro as fast as they can: that is no walk.
const TOP_SPEED: f32 = 1_000.0;
/// Nobody is silent for so long.
const TIMEOUT: Duration = Duration::from_secs(3_600);

#[derive(Debug, clap::Args)]
pub(super) struct Memory {
    #[arg(long)]
    players: u32,
}

/// A world for so many, of so many cells each way, or in which twenty others are nearby.
fn setup(players: u32, cells: Option<u32>) -> Result<Setup, Failure> {
    let world = cells.map(|cells| cells as f32 * CELL);
    let mut rules = Rules::new(players, world, CELL).map_err(Failure::of("a world"))?;
    (rules.top_speed, rules.timeout) = (TOP_SPEED, TIMEOUT);
    Ok(Setup { rules, players, seed: [1, 2], lateness: Sum::default() })
}

fn game(setup: &Setup) -> Result<Game, Failure> {
    setup.games(1).pop().ok_or_else(|| Failure::Failed("a world has no lcore".to_owned()))
}

/// The server's address and port.
fn server() -> SocketAddr {
    (SERVER, DEFAULT_PORT).into()
}

/// A host whose guards are those of its service, but for rates: all players send from few addresses.
fn host<Q: FrameQueue, S: Service>(queue: Q, own: impl Iterator<Item = IpAddr>, shared: usize) -> Host<Q> {
    let own = own.map(|address| InterfaceAddress { address, prefix_len: PREFIX_LEN, vlans: Vlans::NONE });
    let addressing =
        Addressing::new(own.collect(), Vec::new()).expect("there is no gateway to be off the link");
    let off = Some(Level::Off);
    let guards = GuardConfig { rate: off, global_rate: off, amplification: off, ..GuardConfig::default() };
    Host::new(queue, HostConfig { guards: guards.resolve(S::ROLE), shared, ..HostConfig::new(addressing) })
}

/// The server on one end of a wire, and players on the other.
fn ends<Q: FrameQueue>(
    [near, far]: [Q; 2],
    (game, replayer): (Game, Replayer),
    players: u32,
) -> (Worker<Host<Q>, Game>, Worker<Host<Q>, Replayer>) {
    let near = host::<_, Game>(near, std::iter::once(SERVER.into()), Game::SHARED);
    let far = host::<_, Replayer>(far, addresses(players), 0);
    (Worker::new(vec![near], game, 0), Worker::new(vec![far], replayer, 0))
}

/// What players take of memory: what the process has when all have joined and were told of each other,
/// and by how much that grew.
pub(super) fn memory(arguments: &Memory) -> Result<(), Failure> {
    const STEP: Duration = Duration::from_micros(20);
    let players = arguments.players;
    let joined = Arc::<AtomicUsize>::default();
    let replayer = Replayer::new(server(), players, false, Arc::clone(&joined));
    let config = MemoryConfig { ring: 4_096, buffers: 16_384, ..MemoryConfig::default() };
    let (near, far) = memory::pair(&config);
    let mut setup = setup(players, None)?;
    // A million are told of each other once a second, which is enough to touch all that it takes.
    setup.rules.tick_rate = 1;
    let before = resident()?;
    let (mut server, mut bots) = ends([near, far], (game(&setup)?, replayer), players);
    let mut now = Time::ZERO;
    let mut turn = || {
        now = now + STEP;
        server.poll_once(now);
        bots.poll_once(now);
        now
    };
    // Virtual time: joins take a fraction of a second of it.
    while joined.load(Relaxed) < players as usize {
        if turn().as_nanos() > 60_000_000_000 {
            return Err(Failure::Failed(format!("{} of {players} joined", joined.load(Relaxed))));
        }
    }
    let end = turn() + Duration::from_secs(2);
    while turn() < end {}
    let after = resident()?;
    println!("{}", serde_json::json!({ "players": players, "resident": after, "grown": after - before }));
    Ok(())
}

/// The memory that this process has touched and still has, in bytes.
fn resident() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status").map_err(Failure::of("/proc/self/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(Failure::of("VmRSS"))?;
    Ok(kibibytes * 1024)
}

#[cfg(feature = "dpdk")]
pub(super) mod rings {
    //! The same between two lcores.

    use std::thread;
    use std::time::Instant;

    use gannet::DatagramQueue as _;
    use gannet::port::dpdk::Eal;
    use gannet::sys::{Clock, StopFlag};
    use gannet_game::counters::{Counters, Event};

    use super::super::ring::{Work, launch, open};
    use super::*;

    /// What is not measured at the start.
    const WARM_UP: Duration = Duration::from_millis(300);
    /// How long joining may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    #[derive(Debug, clap::Args)]
    pub(in super::super) struct Arguments {
        /// Players, each with one move on its way
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=30_000))]
        players: u32,
        /// Cells of the world each way; as many as leave 20 neighbours, if it is not said
        #[arg(long)]
        cells: Option<u32>,
        #[arg(long)]
        seconds: f64,
        /// EAL arguments, with no spaces in any
        #[arg(long, allow_hyphen_values = true)]
        eal: String,
    }

    /// What is watched from outside.
    struct Watch {
        players: usize,
        joined: Arc<AtomicUsize>,
        counters: Arc<Counters>,
    }

    pub(in super::super) fn run(arguments: &Arguments) -> Result<(), Failure> {
        let words: Vec<_> = arguments.eal.split_whitespace().map(str::to_owned).collect();
        let eal = Eal::init(&words).map_err(Failure::of("the EAL"))?;
        let stop = StopFlag::default();
        let players = arguments.players;
        // Room for every move that is on its way, and for updates beside them.
        let (queues, controls) = open(&eal, (2 * players as usize).next_power_of_two().max(1024))?;
        let setup = setup(players, arguments.cells)?;
        let game = game(&setup)?;
        let joined = Arc::<AtomicUsize>::default();
        let counters = Arc::clone(game.counters());
        let watch = Watch { players: players as usize, joined: Arc::clone(&joined), counters };
        let replayer = Replayer::new(server(), players, true, joined);
        let (near, far) = ends(queues, (game, replayer), players);
        let seconds = Duration::from_secs_f64(arguments.seconds);
        let affinity = eal.initial_affinity();
        let timing = {
            let stop = stop.clone();
            thread::spawn(move || {
                affinity.apply();
                let measured = measure(&watch, seconds);
                stop.set();
                measured
            })
        };
        launch(&eal, vec![work(near, &stop), work(far, &stop)])?;
        let measured = timing.join().map_err(|_| Failure::Failed("the timing panicked".to_owned()))?;
        for control in controls {
            control.close();
        }
        println!("{}", measured?);
        Ok(())
    }

    fn work<Q: FrameQueue + 'static, S: Service + 'static>(
        mut worker: Worker<Host<Q>, S>,
        stop: &StopFlag,
    ) -> Work {
        let counters = worker.queues().iter().map(|host| Arc::clone(host.counters())).collect();
        let stop = stop.clone();
        Work { run: Box::new(move || worker.run(&Clock::start(), &stop)), counters }
    }

    /// What the server counted in `seconds`, once all have joined.
    fn measure(watch: &Watch, seconds: Duration) -> Result<serde_json::Value, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let joined = || watch.joined.load(Relaxed);
        while joined() < watch.players {
            if Instant::now() >= deadline {
                return Err(Failure::Failed(format!("{} of {} players joined", joined(), watch.players)));
            }
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(WARM_UP);
        let events = [Event::Moved, Event::Corrected, Event::Updates, Event::UpdateEntries, Event::Ticks];
        let counts = || events.map(|event| watch.counters.count(event));
        let (before, begin) = (counts(), Instant::now());
        thread::sleep(seconds);
        let (after, elapsed) = (counts(), begin.elapsed());
        let grown: serde_json::Map<_, _> = events
            .iter()
            .zip(after.iter().zip(before))
            .map(|(event, (after, before))| (event.name().to_owned(), (after - before).into()))
            .collect();
        let mut said = serde_json::Value::Object(grown);
        said["seconds"] = elapsed.as_secs_f64().into();
        Ok(said)
    }
}
