//! The hosts on the queues of one port tell each other what they learn: a neighbour's answer arrives
//! on whichever queue the device chooses, and not always on that of the lcore that asked.

use crossbeam_channel::{Receiver, Sender, bounded};

use super::neighbours::Neighbour;
use crate::wire::ethernet::MacAddress;

/// Answers that wait for another lcore of the port at most.
const LEARNED: usize = 64;

/// A neighbour's answer to ARP or to a solicitation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learned {
    pub(super) neighbour: Neighbour,
    pub(super) mac: MacAddress,
}

/// The hosts on the other queues of the same port.
#[derive(Debug)]
pub(super) struct Peers {
    outboxes: Vec<Sender<Learned>>,
    inbox: Receiver<Learned>,
}

impl Peers {
    /// The peers of each of `count` hosts.
    pub(super) fn of_each(count: usize) -> Vec<Self> {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| bounded(LEARNED)).unzip();
        let peers = |(index, inbox)| {
            let others = senders.iter().enumerate().filter(|&(other, _)| other != index);
            Self { outboxes: others.map(|(_, sender): (usize, &Sender<_>)| sender.clone()).collect(), inbox }
        };
        receivers.into_iter().enumerate().map(peers).collect()
    }

    /// The next answer that another host took in.
    pub(super) fn hear(&self) -> Option<Learned> {
        self.inbox.try_recv().ok()
    }

    /// Tells every other host. One whose inbox is full does not listen: it asked for nothing.
    pub(super) fn tell(&self, learned: Learned) {
        self.outboxes.iter().for_each(|outbox| {
            let _ = outbox.try_send(learned);
        });
    }
}
