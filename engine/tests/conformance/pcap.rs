//! The pcap port: the suite replayed from a file, the answers recorded to another.

use std::collections::BTreeMap;
use std::path::Path;

use gannet::host::Host;
use gannet::port::{FrameQueue, OpenPort, PortConfig, pcap};
use gannet::telemetry::Snapshot;
use gannet::wire::ethernet::MacAddress;
use gannet::{DatagramQueue as _, Time, Worker};

use super::conform::{compare, reference};
use super::frames::{OWN_MAC, suite};
use super::lab::{Folder, read_capture, write_capture};
use super::rig::{Outcome, Subject, canonical, host_config};

#[test]
fn pcap() {
    let folder = Folder::new();
    let (input, output) = (folder.file("in.pcap"), folder.file("out.pcap"));
    write_suite(&input, OWN_MAC);
    let config = PortConfig { burst: 1, ..PortConfig::default() };
    let OpenPort { mut queues, control } = pcap::open(&input, Some(&output), &config).expect("it opens");
    let queue = queues.remove(0);
    assert_eq!(queue.capabilities().mac, OWN_MAC);
    let replayed = replay(queue);
    let balances = control.close();
    assert!(balances.iter().all(|pool| pool.is_balanced()), "{balances:?}");
    compare("pcap", &reference(), &replayed.outcomes(&output), &[]);
}

/// Writes the suite for a host with that MAC address to a capture.
pub(crate) fn write_suite(path: &Path, own: MacAddress) {
    write_capture(path, suite(own).iter().map(|case| &case.frame[..]));
}

/// What the host counted for each frame of a replay, and its MAC address.
pub(crate) struct Replayed {
    own: MacAddress,
    counted: Vec<BTreeMap<&'static str, u64>>,
}

/// Polls a queue frame by frame until it has given all frames of the suite, and ends it.
pub(crate) fn replay<Q: FrameQueue>(queue: Q) -> Replayed {
    let own = queue.capabilities().mac;
    let mut worker = Worker::new(vec![Host::new(queue, host_config(1))], Subject, 1);
    let counters =
        |worker: &Worker<Host<Q>, Subject>| -> Snapshot { worker.queues()[0].counters().snapshot() };
    let mut counted = Vec::new();
    let mut before = counters(&worker);
    while worker.poll_once(Time::ZERO) > 0 {
        let after = counters(&worker);
        counted.push(Outcome::counted(&before, &after));
        before = after;
    }
    worker.drain();
    assert!(before.balance().is_exact(), "{:?}", before.balance());
    Replayed { own, counted }
}

impl Replayed {
    /// The outcomes, with the answers that were recorded: each frame has as many of them as
    /// the host sent for it.
    pub(crate) fn outcomes(self, output: &Path) -> Vec<Outcome> {
        let mut answers = read_capture(output).into_iter().map(|answer| canonical(&answer, self.own));
        let outcome = |counted: BTreeMap<&'static str, u64>| {
            let sent = counted.get("sent").copied().unwrap_or(0) as usize;
            Outcome { answers: answers.by_ref().take(sent).collect(), counted }
        };
        let outcomes = self.counted.into_iter().map(outcome).collect();
        assert_eq!(answers.next(), None, "an answer that no counter tells of");
        outcomes
    }
}
