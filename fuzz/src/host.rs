//! The whole host: frames of every kind, steps of the clock and a service that does all that a
//! service can, on one port or two, with and without faults.
//!
//! Input: what the rig is, the service's script, then steps of a byte each and what they need.

use std::time::Duration;

use gannet::Role;
use gannet::host::{FragmentPolicy, GuardConfig, Guards, Level};
use gannet::port::FrameQueue;
use gannet::port::fault::{FaultConfig, Probability};
use gannet::port::memory::MemoryOffloads;

use crate::bytes::Bytes;
use crate::repair::{Repair, repair};
use crate::rig::{Plan, Rig};
use crate::seeds;
use crate::services::{STEPS, Scripted};
use crate::vlan::{tags, template};

/// Steps in one run at most.
const LIMIT: usize = 64;

/// The target.
pub fn host(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mode = bytes.byte();
    let service = Scripted::new(bytes.short());
    let plan = Plan {
        ports: 1 + u16::from(mode & 1),
        buffers: if mode & 2 == 0 { 200 } else { 20 },
        ring: if mode & 4 == 0 { 16 } else { 2 },
        offloads: MemoryOffloads { tx_udp_checksum: mode & 8 != 0, ..MemoryOffloads::default() },
        fragments: if mode & 32 == 0 { FragmentPolicy::Drop } else { FragmentPolicy::Reassemble },
        announces: mode & 64 != 0,
        guards: if mode & 128 == 0 { Plan::default().guards } else { strict() },
        ..Plan::default()
    };
    if mode & 16 == 0 {
        run(Rig::new(&plan, service), &plan, &mut bytes);
    } else {
        let faults = faults(&mut bytes);
        run(Rig::faulty(&plan, service, &faults), &plan, &mut bytes);
    }
}

/// Guards that soon have something to do.
pub fn strict() -> Guards {
    let config =
        GuardConfig { rate: Some(Level::At(2)), global_rate: Some(Level::At(3)), ..GuardConfig::default() };
    GuardConfig { icmp_rate: Some(Level::At(1)), ..config }.resolve(Role::Stateful)
}

fn faults(bytes: &mut Bytes<'_>) -> FaultConfig {
    let mut probability = || Probability::per_million(u32::from(bytes.byte()) * 4000);
    FaultConfig {
        loss: probability(),
        duplicate: probability(),
        reorder: probability(),
        truncate: probability(),
        short_tx: probability(),
        seed: bytes.byte().into(),
    }
}

fn run<Q: FrameQueue>(mut rig: Rig<Q, Scripted>, plan: &Plan, bytes: &mut Bytes<'_>) {
    for _ in 0..LIMIT {
        if bytes.is_empty() {
            break;
        }
        let choice = bytes.byte();
        let port = usize::from(choice >> 7) % usize::from(plan.ports);
        match choice & 7 {
            0 => _ = rig.send(port, &template(bytes)),
            1 => _ = rig.send(port, &changed(bytes)),
            2 => _ = rig.send(port, &any(bytes)),
            3 => rig.advance(STEPS[usize::from(choice >> 4 & 7)]),
            4 => rig.turn(),
            5 => {
                rig.receive_all(port);
            }
            _ => answer(&mut rig, port),
        }
    }
    rig.turn();
    rig.advance(Duration::from_millis(1));
    rig.turn();
    rig.close();
}

/// A frame of the seeds with words of it changed, perhaps behind tags, repaired or not.
fn changed(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut frame = template(bytes);
    frame.splice(12..12, tags(bytes));
    repair(&mut frame, Repair(bytes.byte()));
    frame
}

/// Any bytes, repaired or not.
fn any(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let what = Repair(bytes.byte());
    let mut frame = bytes.short().to_vec();
    repair(&mut frame, what);
    frame
}

/// Receives what the host sent, and answers its ARP requests and solicitations.
fn answer<Q: FrameQueue>(rig: &mut Rig<Q, Scripted>, port: usize) {
    for frame in rig.receive_all(port) {
        if let Some(answer) = seeds::answer(&frame) {
            rig.send(port, &answer);
        }
    }
}
