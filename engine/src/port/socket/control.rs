//! The control plane's side of open sockets.

use std::sync::Arc;

use super::udp_socket::Socket;
use crate::port::heap::HeapPool;
use crate::port::{PoolBalance, PortControl, PortDescription};

/// The description, statistics and end of a port of sockets.
pub(super) struct SocketControl {
    pub(super) description: PortDescription,
    /// Of each queue.
    pub(super) sockets: Vec<Vec<Arc<Socket>>>,
    pub(super) pool: HeapPool,
}

impl PortControl for SocketControl {
    fn description(&self) -> &PortDescription {
        &self.description
    }

    /// A socket's devices come and go without it.
    fn is_link_up(&mut self) -> bool {
        true
    }

    /// Per queue and socket `rx_qN_ADDRESS:PORT_drops`, what the kernel dropped there
    /// (`SO_MEMINFO`).
    fn extended_statistics(&mut self) -> Vec<(String, u64)> {
        let queues = self.sockets.iter().enumerate();
        let sockets = queues.flat_map(|(index, sockets)| sockets.iter().map(move |socket| (index, socket)));
        let statistic = |(index, socket): (usize, &Arc<Socket>)| {
            let (address, drops) = socket.address().ok().zip(socket.drops().ok())?;
            Some((format!("rx_q{index}_{address}_drops"), drops.into()))
        };
        sockets.filter_map(statistic).collect()
    }

    fn close(self: Box<Self>) -> Vec<PoolBalance> {
        vec![self.pool.balance()]
    }
}
