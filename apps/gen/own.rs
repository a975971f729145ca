//! What the generator itself adds to what it measures: its own round trip, over a wire in
//! memory to an echo in the same thread, before anything else runs.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};
use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress};
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::sys::Clock;
use gannet::wire::vlan::Vlans;
use gannet::{Datagram, Outbox, Service, Time, Verdict, Worker};

use super::board::Board;
use super::flows::{Flow, Turns};
use super::generator::{Generator, Order, Parts};
use super::output::OwnError;
use super::payload::{Codec, STAMP_LEN};
use super::schedule::Gaps;
use super::sizes::Lengths;
use super::trial::{Load, Place, Trial};

/// Round trips, and how many a second: they don't meet.
const COUNT: u64 = 2_000;
const RATE: f64 = 20_000.0;
/// Both ends of the wire.
const NEAR: [u8; 4] = [10, 77, 0, 2];
const FAR: [u8; 4] = [10, 77, 0, 1];

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

fn host(queue: MemoryQueue, address: [u8; 4]) -> Host<MemoryQueue> {
    let own = InterfaceAddress { address: address.into(), prefix_len: 24, vlans: Vlans::NONE };
    let addressing = Addressing::new(vec![own], Vec::new()).unwrap_or_default();
    let mut config = HostConfig::new(addressing);
    config.guards = gannet::GuardConfig::OFF.resolve(gannet::Role::Client);
    Host::new(queue, config)
}

/// Measures it. Takes a tenth of a second.
pub(crate) fn measure() -> OwnError {
    let (near, far) = memory::pair(&MemoryConfig::default());
    let board = Arc::new(Board::new(1));
    let (orders, taken) = bounded(1);
    let (results, tallies) = unbounded();
    let flow = Flow { from: (NEAR, 49_152).into(), to: (FAR, 7).into() };
    let Ok(lengths) = Lengths::new(None, true, 1) else { return OwnError::default() };
    let parts = Parts {
        place: Place { lcore: 0, lcores: 1 },
        board: Arc::clone(&board),
        flows: Turns::new(vec![flow]),
        probes: 1,
        codec: Codec::new(1, vec![0; STAMP_LEN].into()),
        lengths: [lengths.clone(), lengths],
        remotes: vec![flow.to],
        is_replay: false,
    };
    let mut generator = Worker::new(vec![host(near, NEAR)], Generator::new(parts, taken, results), 0);
    let mut echo = Worker::new(vec![host(far, FAR)], Echo, 0);
    let trial = Trial {
        load: Load::Rate(RATE),
        gaps: Gaps::Fixed,
        ramp: Duration::ZERO,
        // Both find each other meanwhile.
        warmup: Duration::from_millis(2),
        duration: Duration::MAX,
        count: Some(COUNT),
        linger: Duration::from_millis(10),
        seed: 1,
    };
    board.begin(1);
    let _ = orders.send(Order::Run(1, Arc::new(trial)));
    let clock = Clock::start();
    let tally = loop {
        generator.poll_once(clock.now());
        echo.poll_once(clock.now());
        if let Ok(tally) = tallies.try_recv() {
            break tally;
        }
    };
    generator.drain();
    echo.drain();
    OwnError { p50: tally.rtt.value_at_quantile(0.5), p99: tally.rtt.value_at_quantile(0.99) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_generator_hears_its_own_echo() {
        let own = super::measure();
        assert!(0 < own.p50 && own.p50 <= own.p99, "{own:?}");
    }
}
