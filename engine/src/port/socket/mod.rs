//! Kernel sockets as a port: datagrams in, datagrams out, with no frames, no host and no
//! privileges.
//!
//! A queue has a UDP socket of its own for each address and UDP port; the queues share those
//! by `SO_REUSEPORT`, and the kernel keeps a flow at the same one. `recvmmsg` takes a burst and
//! `sendmmsg` sends one. Datagrams that the kernel joined (UDP GRO) are split again for the
//! service, and runs of datagrams of one length to one receiver are handed to the kernel as one
//! (UDP GSO). What a socket of the kernel's does not do by itself is done here as by a
//! [`Host`](crate::host::Host): guards, named drops, the books.
//!
//! | file | subject |
//! |---|---|
//! | `config`, `error`, `open` | from what is asked for to bound sockets |
//! | `udp_socket` | the system calls |
//! | `address`, `control_message` | the kernel's formats, over bytes |
//! | `receive`, `transmit` | bursts of messages, laid out for the kernel |
//! | `stash`, `outbound` | free buffers, and those on their way out |
//! | `queue`, `deliver` | the port's [`DatagramQueue`](crate::DatagramQueue) |
//! | `control` | description, statistics, close |
//!
//! A service sends from addresses and UDP ports that the program listens on; from others
//! there is no socket to send by, which counts as
//! [`TxNoRoute`](crate::telemetry::Counter::TxNoRoute). Errors that ICMP reports of earlier
//! datagrams are not asked for (`IP_RECVERR` is off), so they end nothing.

mod address;
mod config;
mod control;
mod control_message;
mod deliver;
mod error;
mod open;
mod outbound;
mod queue;
mod receive;
mod stash;
#[cfg(test)]
mod tests;
mod transmit;
mod udp_socket;

pub use config::{SocketConfig, Switch};
pub use error::SocketError;
pub use open::open;
pub use queue::SocketQueue;
