//! The control plane's side of an open interface.

use std::sync::Arc;

use super::home::Home;
use super::interface::{Interface, Query};
use super::renewal::{Gone, Mailbox};
use super::socket::Socket;
use crate::port::{Found, PoolBalance, PortConfig, PortControl, PortDescription};

/// An open interface's description, statistics and end.
pub(super) struct AfPacketControl {
    pub(super) interface: Interface,
    pub(super) query: Query,
    pub(super) description: PortDescription,
    /// What it was opened with.
    pub(super) config: PortConfig,
    pub(super) queues: Vec<QueueControl>,
    /// It does not serve; `None` while it does.
    pub(super) gone: Option<Gone>,
}

/// What control keeps of a queue.
pub(super) struct QueueControl {
    pub(super) socket: Arc<Socket>,
    /// The last one is in use.
    pub(super) homes: Vec<Arc<Home>>,
    pub(super) mailbox: Arc<Mailbox>,
    /// Sums of what the kernel counted between one look and the next.
    ring_packets: u64,
    ring_drops: u64,
}

impl QueueControl {
    pub(super) fn new(socket: Arc<Socket>, home: Arc<Home>, mailbox: Arc<Mailbox>) -> Self {
        Self { socket, homes: vec![home], mailbox, ring_packets: 0, ring_drops: 0 }
    }

    fn refresh(&mut self) {
        if let Ok(statistics) = self.socket.take_statistics() {
            self.ring_packets += u64::from(statistics.packets);
            self.ring_drops += u64::from(statistics.drops);
        }
    }
}

impl PortControl for AfPacketControl {
    fn description(&self) -> &PortDescription {
        &self.description
    }

    fn is_link_up(&mut self) -> bool {
        self.query.is_running()
    }

    fn look_after(&mut self) -> Found {
        self.look()
    }

    /// The interface's statistics by their names in sysfs, then per queue `rx_qN_ring_packets`,
    /// the frames meant for the ring, and `rx_qN_ring_drops`, those that found it full.
    fn extended_statistics(&mut self) -> Vec<(String, u64)> {
        let mut statistics = self.interface.statistics();
        for (index, queue) in self.queues.iter_mut().enumerate() {
            queue.refresh();
            statistics.push((format!("rx_q{index}_ring_packets"), queue.ring_packets));
            statistics.push((format!("rx_q{index}_ring_drops"), queue.ring_drops));
        }
        statistics
    }

    fn close(self: Box<Self>) -> Vec<PoolBalance> {
        let mut sums: Vec<PoolBalance> = Vec::new();
        let homes = self.queues.iter().flat_map(|queue| &queue.homes);
        for balance in homes.flat_map(|home| home.balances(&self.interface.name)) {
            match sums.iter_mut().find(|sum| sum.name == balance.name) {
                Some(sum) => {
                    sum.size += balance.size;
                    sum.free += balance.free;
                }
                None => sums.push(balance),
            }
        }
        sums
    }
}
