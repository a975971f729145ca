//! One payload to many: the frames of `send_shared` are those of `send`, whatever the port makes of
//! them, and no buffer is lost.

use std::net::SocketAddr;
use std::time::Duration;

use gannet::host::{GuardConfig, Host, HostConfig, Sharing};
use gannet::port::FrameQueue;
use gannet::port::fault::{Fault, FaultConfig};
use gannet::port::memory::{self, MemoryConfig, MemoryOffloads};
use gannet::telemetry::Counter;
use gannet::{Datagram, Outbox, Role, Service, Shared, Tick, Time, Verdict, Worker};

use super::conform::finish_memory;
use super::frames::{
    ADDRESS, ADDRESS6, CLIENT, CLIENT_MAC, CLIENT6, QINQ_ADDRESS, QINQ_CLIENT, VLAN_ADDRESS, VLAN_CLIENT,
    pattern,
};
use super::rig::{Rig, Wire, canonical, host_config, wait_for};

/// How long a frame that has to arrive may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Around the shortest frame, and up to the MTU.
const LENGTHS: [usize; 9] = [0, 17, 18, 19, 100, 255, 256, 1001, 1452];
/// A ring of 64 frames takes all of them.
const RECEIVERS: usize = 5;

/// Turns in which each payload is sent to all receivers: once when it is new, and again later.
const ALIKE: usize = 2 * LENGTHS.len();
/// Turns after those in which as much is sent as there is room for.
const GREEDY: usize = 40;

/// Sends payloads, shared or not. Some it keeps to its end.
#[derive(Default)]
pub(crate) struct Crier {
    is_sharing: bool,
    turns: usize,
    kept: Vec<Shared>,
}

fn receivers() -> [(SocketAddr, SocketAddr); RECEIVERS] {
    [
        ((ADDRESS, 7).into(), (CLIENT, 4660).into()),
        ((ADDRESS, 7).into(), (CLIENT, 4661).into()),
        ((VLAN_ADDRESS, 7).into(), (VLAN_CLIENT, 4660).into()),
        ((QINQ_ADDRESS, 7).into(), (QINQ_CLIENT, 4660).into()),
        ((ADDRESS6, 7).into(), (CLIENT6, 4660).into()),
    ]
}

impl Service for Crier {
    const SHARED: usize = LENGTHS.len() + 1;

    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }

    fn on_tick(&mut self, _now: Time, outbox: &mut Outbox<'_>) -> Tick {
        match self.turns {
            0..ALIKE => self.cry(outbox),
            ALIKE.. if self.turns < ALIKE + GREEDY => overflow(outbox),
            _ => {}
        }
        self.turns += 1;
        Tick::More
    }
}

impl Crier {
    fn cry(&mut self, outbox: &mut Outbox<'_>) {
        let len = LENGTHS[self.turns % LENGTHS.len()];
        if self.kept.len() < LENGTHS.len() {
            self.kept.push(outbox.share(&pattern(len)).expect("a place"));
        }
        let shared = &self.kept[self.turns % LENGTHS.len()];
        for (from, to) in receivers() {
            let sent = match self.is_sharing {
                true => outbox.send_shared(from, to, shared),
                false => outbox.send(from, to, &pattern(len)),
            };
            sent.expect("room");
        }
    }
}

fn overflow(outbox: &mut Outbox<'_>) {
    let (from, to) = receivers()[0];
    let shared = outbox.share(&pattern(1000)).expect("a place");
    while outbox.send_shared(from, to, &shared).is_ok() {}
}

fn rig<Q: FrameQueue, W: Wire>(queue: Q, wire: W, is_sharing: bool) -> Rig<Q, W, Crier> {
    let own = queue.capabilities().mac;
    let clients = [CLIENT.into(), VLAN_CLIENT.into(), QINQ_CLIENT.into(), CLIENT6.into()];
    let config = HostConfig {
        guards: GuardConfig::OFF.resolve(Role::Stateful),
        outbox: 2 * RECEIVERS,
        shared: Crier::SHARED,
        sharing: Sharing::Share,
        neighbours: clients.map(|client| (client, CLIENT_MAC)).to_vec(),
        ..host_config(32)
    };
    let service = Crier { is_sharing, ..Crier::default() };
    let worker = Worker::new(vec![Host::new(queue, config)], service, 32);
    Rig { worker, wire, own, now: Time::ZERO, read: 0 }
}

/// What a turn sends, as the reference has it.
fn sent<Q: FrameQueue, W: Wire>(rig: &mut Rig<Q, W, Crier>) -> Vec<Vec<u8>> {
    let before = rig.counter(Counter::Sent);
    rig.turn();
    let expected = (rig.counter(Counter::Sent) - before) as usize;
    let mut frames = Vec::new();
    wait_for(PATIENCE, || {
        frames.extend(rig.wire.receive());
        frames.len() >= expected
    });
    frames.iter().map(|frame| canonical(frame, rig.own)).collect()
}

/// What the memory port sends where nothing is shared, turn by turn.
fn reference() -> Vec<Vec<Vec<u8>>> {
    let (near, far) = memory::pair(&MemoryConfig::default());
    let mut rig = rig(near, far, false);
    let turns: Vec<_> = (0..ALIKE).map(|_| sent(&mut rig)).collect();
    assert!(turns.iter().all(|frames| frames.len() == RECEIVERS));
    assert_eq!((rig.counter(Counter::TxShared), rig.counter(Counter::TxCopied)), (0, 0));
    rig.worker.drain();
    turns
}

/// Has a service share payloads on a port, and with faults its sends come short. At the end frames
/// are on their way whose payload the service still has. `is_bounded` says that what is not read
/// fills the port up.
pub(crate) fn shares<Q: FrameQueue, W: Wire>(
    name: &str,
    (queue, wire): (Q, W),
    faults: FaultConfig,
    is_bounded: bool,
) -> Rig<Fault<Q>, W, Crier> {
    let is_granted = queue.capabilities().tx_shared;
    let is_short = faults != FaultConfig::default();
    let mut rig = rig(Fault::new(queue, faults), wire, true);
    for expected in reference() {
        let found = sent(&mut rig);
        // The port takes the first frames of a burst.
        let len = if is_short { found.len() } else { RECEIVERS };
        assert_eq!(found, expected[..len], "{name}");
    }
    let counters = rig.counters();
    let (shared, copied) = (counters[Counter::TxShared], counters[Counter::TxCopied]);
    let all = (ALIKE * RECEIVERS) as u64;
    assert_eq!((shared + copied, counters[Counter::Originated]), (all, all), "{name}");
    // Only what has to be filled up to a whole frame is copied then.
    assert_eq!((shared > copied, shared > 0), (is_granted, is_granted), "{name}: {shared} shared");
    assert_eq!(counters[Counter::TxFull] > 0, is_short, "{name}");

    (0..GREEDY).for_each(|_| _ = rig.turn());
    let counters = rig.counters();
    assert!(counters.balance().is_exact(), "{name}: {:?}", counters.balance());
    if is_bounded {
        assert!(counters[Counter::TxFull] > 0, "{name}: the ring is full");
    }
    assert!(!rig.worker.service().kept.is_empty());
    rig.worker.drain();
    rig
}

/// Sends come short.
pub(crate) fn short() -> FaultConfig {
    "short-tx=30%,seed=7".parse().expect("valid")
}

#[test]
fn shared_on_memory() {
    for (tx_shared, tx_udp_checksum) in [(false, false), (true, false), (true, true)] {
        for faults in [FaultConfig::default(), short()] {
            let offloads = MemoryOffloads { tx_shared, tx_udp_checksum, ..MemoryOffloads::default() };
            let config = MemoryConfig { ring: 64, offloads, ..MemoryConfig::default() };
            let mut rig = shares("memory", memory::pair(&config), faults, true);
            while rig.wire.receive().is_some() {}
            finish_memory(rig);
        }
    }
}
