//! The loop of one lcore: poll every queue, hand datagrams to the service, send, tick.

use std::sync::Arc;

use crate::forward::Forwards;
use crate::port::PortId;
use crate::service::{Service, Tick};
use crate::sys::{Clock, StopFlag};
use crate::telemetry::Counters;
use crate::time::Time;

/// A queue that carries datagrams: a [`Host`](crate::host::Host) on a frame queue, or a
/// kernel socket. A service can't tell the difference.
pub trait DatagramQueue: Send {
    /// What a datagram is in while it is forwarded.
    type Packet: Send;

    /// The port that it is a queue of.
    fn port(&self) -> PortId;

    /// Its counters.
    fn counters(&self) -> &Arc<Counters>;

    /// Receives a burst, has the service answer it and sends what it answers. Datagrams for
    /// other ports go into `forwards`. Gives how many frames were received.
    fn poll<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Self::Packet>,
    ) -> usize;

    /// Calls the service's [`on_tick`](Service::on_tick) and sends what it has to send.
    fn tick<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<Self::Packet>)
    -> Tick;

    /// Sends those of `forwards` that leave by this port.
    fn take_forwards(&mut self, now: Time, forwards: &mut Forwards<Self::Packet>);

    /// Drops and counts all of `forwards`: no port of the worker took them.
    fn discard_forwards(&mut self, forwards: &mut Forwards<Self::Packet>);

    /// Whether nothing will ever be received again.
    fn is_exhausted(&self) -> bool;

    /// Gives every packet back that is held or waits to be received. The last call.
    fn drain(&mut self);
}

/// One lcore's queues and its service.
#[derive(Debug)]
pub struct Worker<Q: DatagramQueue, S> {
    queues: Vec<Q>,
    service: S,
    forwards: Forwards<Q::Packet>,
    next_tick: Time,
}

impl<Q: DatagramQueue, S: Service> Worker<Q, S> {
    /// A worker on its queue of each port. `forwards` is how many datagrams a poll can
    /// forward from port to port.
    pub fn new(queues: Vec<Q>, service: S, forwards: usize) -> Self {
        Self { queues, service, forwards: Forwards::with_capacity(forwards), next_tick: Time::ZERO }
    }

    /// Polls until `stop` is set or no queue can receive again, then gives every packet back.
    pub fn run(&mut self, clock: &Clock, stop: &StopFlag) {
        while !stop.is_set() {
            let received = self.poll_once(clock.now());
            if received == 0 {
                if self.queues.iter().all(Q::is_exhausted) {
                    break;
                }
                std::hint::spin_loop();
            }
        }
        self.drain();
    }

    /// One turn at the time `now`: a burst of every queue, and the service's tick if it is
    /// due. Gives how many frames were received.
    #[inline]
    pub fn poll_once(&mut self, now: Time) -> usize {
        let mut received = 0;
        for queue in &mut self.queues {
            received += queue.poll(now, &mut self.service, &mut self.forwards);
        }
        if now >= self.next_tick {
            self.tick(now);
        }
        if !self.forwards.is_empty() {
            self.forward(now);
        }
        received
    }

    /// Gives every packet back that its queues hold.
    pub fn drain(&mut self) {
        self.discard_forwards();
        self.queues.iter_mut().for_each(Q::drain);
    }

    /// Its service.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Its queues.
    pub fn queues(&self) -> &[Q] {
        &self.queues
    }

    fn tick(&mut self, now: Time) {
        let Some(queue) = self.queues.first_mut() else { return };
        self.next_tick = match queue.tick(now, &mut self.service, &mut self.forwards) {
            Tick::Done(deadline) => deadline,
            Tick::More => now,
        };
    }

    fn forward(&mut self, now: Time) {
        for queue in &mut self.queues {
            queue.take_forwards(now, &mut self.forwards);
        }
        self.discard_forwards();
    }
}

impl<Q: DatagramQueue, S> Worker<Q, S> {
    /// Drops and counts what no port took.
    fn discard_forwards(&mut self) {
        if let Some(queue) = self.queues.first_mut() {
            queue.discard_forwards(&mut self.forwards);
        }
    }
}

impl<Q: DatagramQueue, S> Drop for Worker<Q, S> {
    /// Where a service panicked, packets may be on their way from port to port.
    fn drop(&mut self) {
        self.discard_forwards();
    }
}
