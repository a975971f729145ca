//! What sockets are asked for when they are opened.

use std::net::IpAddr;
use std::str::FromStr;

use crate::host::{GuardConfig, Guards, HashKey};
use crate::port::PortId;
use crate::service::Role;

/// What sockets are asked for when they are opened.
#[derive(Clone, Debug)]
pub struct SocketConfig {
    /// The port that they are.
    pub port: PortId,
    /// Queues wanted, one per worker lcore.
    pub queues: usize,
    /// Messages that are taken at a time; at least one.
    pub burst: usize,
    /// Datagrams that the service can send per call.
    pub outbox: usize,
    /// Payloads that it may have shared at a time. Each datagram has a copy.
    pub shared: usize,
    /// The addresses to listen on; 0.0.0.0 and :: stand for all of their family.
    pub addresses: Vec<IpAddr>,
    /// The UDP ports to listen on, on each address; 0 has the kernel choose one.
    pub udp_ports: Vec<u16>,
    /// Hops that packets may take.
    pub ttl: u8,
    /// Whether datagrams may come joined (UDP GRO).
    pub gro: Switch,
    /// Whether runs of datagrams are sent joined (UDP GSO).
    pub gso: Switch,
    /// For how many microseconds a poll of an empty socket looks at the device; `None` for what
    /// the system has.
    pub busy_poll: Option<u32>,
    /// What is guarded against.
    pub guards: Guards,
    /// Secret key of the guards' tables.
    pub hash_key: HashKey,
}

impl SocketConfig {
    /// Port 0 with one queue and what is on by itself for a stateless service; for tests and
    /// tools, which change what they want otherwise.
    pub fn new(addresses: Vec<IpAddr>, udp_ports: Vec<u16>) -> Self {
        Self {
            port: PortId(0),
            queues: 1,
            burst: 32,
            outbox: 128,
            shared: 0,
            addresses,
            udp_ports,
            ttl: 64,
            gro: Switch::On,
            gso: Switch::On,
            busy_poll: None,
            guards: GuardConfig::default().resolve(Role::Stateless),
            hash_key: HashKey::default(),
        }
    }
}

/// Whether something is used where the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is used.
    On,
    /// It is not.
    Off,
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("there are on and off".to_owned()),
        }
    }
}
