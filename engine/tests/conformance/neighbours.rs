//! Hosts of ours that find each other with ARP.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use gannet::host::{Addressing, HashKey, Host, HostConfig, InterfaceAddress};
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::port::{FrameQueue, OpenPort, PortConfig};
use gannet::telemetry::{Counter, Snapshot};
use gannet::wire::vlan::Vlans;
use gannet::{Datagram, DatagramQueue as _, Outbox, Service, Tick, Time, Verdict, Worker};

use super::af_packet::{finish, in_lab};
use super::build::{Arp, Link};
use super::frames::{ADDRESS, CLIENT, CLIENT_MAC, ECHO, OWN_MAC};
use super::lab::Namespace;
use super::rig::wait_for;

/// Datagrams that a caller sends.
const CALLS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn host<Q: FrameQueue>(queue: Q, address: impl Into<IpAddr>) -> Host<Q> {
    let address = InterfaceAddress { address: address.into(), prefix_len: 24, vlans: Vlans::NONE };
    let addressing = Addressing::new(vec![address], vec![]).expect("no gateway");
    let config = HostConfig { outbox: 8, hash_key: HashKey([1, 2]), ..HostConfig::new(addressing) };
    Host::new(queue, config)
}

pub(crate) fn counters<Q: FrameQueue, S: Service>(worker: &Worker<Host<Q>, S>) -> Snapshot {
    worker.queues()[0].counters().snapshot()
}

/// Sends datagrams of its own accord, as many as there are rooms for at a time, and counts
/// the answers.
pub(crate) struct Caller {
    from: SocketAddr,
    to: SocketAddr,
    calls: usize,
    called: usize,
    answered: usize,
}

impl Caller {
    pub(crate) fn new(from: impl Into<IpAddr>, to: impl Into<IpAddr>, calls: usize) -> Self {
        let (from, to) = (SocketAddr::new(from.into(), 5000), SocketAddr::new(to.into(), ECHO));
        Self { from, to, calls, called: 0, answered: 0 }
    }
}

impl Service for Caller {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        assert_eq!((datagram.source(), datagram.destination()), (self.to, self.from));
        assert_eq!(datagram.payload(), b"call");
        self.answered += 1;
        Verdict::Drop
    }

    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        while self.called < self.calls && outbox.send(self.from, self.to, b"call").is_ok() {
            self.called += 1;
        }
        Tick::Done(now + Duration::from_millis(1))
    }
}

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

/// A host calls another: it asks for its address once, and all is answered.
pub(crate) fn two_hosts<Q: FrameQueue>(name: &str, left: Q, right: Q) {
    let mut caller = Worker::new(vec![host(left, ADDRESS)], Caller::new(ADDRESS, CLIENT, CALLS), 1);
    let mut callee = Worker::new(vec![host(right, CLIENT)], Echo, 1);
    let mut now = Time::ZERO;
    while caller.service().answered < CALLS {
        caller.poll_once(now);
        callee.poll_once(now);
        now = now + Duration::from_millis(1);
        assert!(now < Time::ZERO + PATIENCE, "{name}: {} of {CALLS} answers", caller.service().answered);
    }
    caller.drain();
    callee.drain();
    let (left, right) = (counters(&caller), counters(&callee));
    assert_eq!(
        (left[Counter::ArpRequested], left[Counter::ArpLearned], right[Counter::ArpAnswered]),
        (1, 1, 1)
    );
    assert_eq!((left[Counter::Originated], left[Counter::Delivered]), (CALLS as u64, CALLS as u64));
    assert!(left[Counter::SentLate] > 0, "{name}: the first waited");
    assert_eq!((right[Counter::Delivered], right[Counter::Replied]), (CALLS as u64, CALLS as u64));
    assert!(left.balance().is_exact() && right.balance().is_exact(), "{name}");
}

#[test]
fn two_hosts_on_memory() {
    let (port, peer) = memory::open(&MemoryConfig::default());
    let OpenPort { mut queues, control } = port;
    two_hosts("memory", queues.remove(0), peer);
    assert!(control.close().iter().all(|pool| pool.is_balanced()));
}

/// Two queues of one port, each with a wire of its own: the test decides which a frame comes by.
#[test]
fn an_arp_answer_reaches_the_queue_that_asked() {
    let (first, mut first_wire) = memory::pair(&MemoryConfig::default());
    let (second, mut second_wire) = memory::pair(&MemoryConfig::default());
    let mut hosts = [host(first, ADDRESS), host(second, ADDRESS)];
    Host::join(&mut hosts);
    let [first, second] = hosts;
    let mut asker = Worker::new(vec![first], Caller::new(ADDRESS, CLIENT, 1), 1);
    let mut other = Worker::new(vec![second], Caller::new(ADDRESS, CLIENT, 0), 1);
    asker.poll_once(Time::ZERO);
    let request = first_wire.receive_frame().expect("a request");
    assert_eq!((&request[..6], &request[38..42]), (&[0xff; 6][..], &CLIENT.octets()[..]));
    let mut answer = Arp::request(OWN_MAC);
    answer.link = Link::new(OWN_MAC, super::build::ARP);
    (answer.operation, answer.target) = (2, (OWN_MAC.0, ADDRESS.octets()));
    second_wire.send_frame(&answer.frame()).expect("room");
    other.poll_once(Time::ZERO);
    asker.poll_once(Time::ZERO);
    let datagram = first_wire.receive_frame().expect("the datagram that waited");
    assert_eq!((&datagram[..6], &datagram[42..46]), (&CLIENT_MAC.0[..], &b"call"[..]));
    assert_eq!(second_wire.receive_frame(), None);
    asker.drain();
    other.drain();
    let (asker, other) = (end(asker, first_wire), end(other, second_wire));
    assert_eq!((asker[Counter::ArpRequested], asker[Counter::SentLate]), (1, 1));
    assert_eq!((other[Counter::ArpShared], other[Counter::ArpLearned]), (1, 0));
}

/// An answer that another queue heard before anybody asked is not believed: it may be old, or forged.
#[test]
fn an_arp_answer_from_before_the_question_is_not_believed() {
    let (first, mut first_wire) = memory::pair(&MemoryConfig::default());
    let (second, mut second_wire) = memory::pair(&MemoryConfig::default());
    let mut hosts = [host(first, ADDRESS), host(second, ADDRESS)];
    Host::join(&mut hosts);
    let [first, second] = hosts;
    let mut asker = Worker::new(vec![first], Caller::new(ADDRESS, CLIENT, 1), 1);
    let mut other = Worker::new(vec![second], Caller::new(ADDRESS, CLIENT, 0), 1);
    let mut answer = Arp::request(OWN_MAC);
    answer.link = Link::new(OWN_MAC, super::build::ARP);
    (answer.operation, answer.target) = (2, (OWN_MAC.0, ADDRESS.octets()));
    second_wire.send_frame(&answer.frame()).expect("room");
    other.poll_once(Time::ZERO);
    (0..3).for_each(|_| _ = asker.poll_once(Time::ZERO));
    assert_eq!(first_wire.receive_frame().expect("a request")[..6], [0xff; 6]);
    assert_eq!(first_wire.receive_frame(), None, "the datagram waits for an answer to it");
    asker.drain();
    other.drain();
    let (asker, other) = (end(asker, first_wire), end(other, second_wire));
    assert_eq!((asker[Counter::ArpRequested], asker[Counter::TxStopping]), (1, 1));
    assert_eq!(other[Counter::ArpShared], 1);
}

fn end(worker: Worker<Host<MemoryQueue>, Caller>, wire: MemoryQueue) -> Snapshot {
    let counters = counters(&worker);
    drop(worker);
    assert!(counters.balance().is_exact() && wire.pool_balance().is_balanced());
    counters
}

#[test]
fn both_queues_of_an_interface_find_the_kernel() {
    in_lab("both_queues_of_an_interface_find_the_kernel", |lab| {
        let OpenPort { queues, control } = lab.open(&PortConfig { queues: 2, ..PortConfig::default() });
        let shared = both_queues("af_packet", queues, &lab.far, "far0");
        // By one and the same queue, whoever asked.
        assert!(shared >= 1, "one was told by the other");
        finish(control);
    });
}

/// Joined hosts on the queues of a port call the kernel. It decides by which queue its answers
/// come. Gives how many of them one host told the other of.
pub(crate) fn both_queues<Q: FrameQueue>(
    name: &str,
    queues: Vec<Q>,
    namespace: &Namespace,
    interface: &str,
) -> u64 {
    namespace.ip(&format!("addr add {CLIENT}/24 dev {interface}"));
    let socket = namespace.udp_socket(&format!("{CLIENT}:{ECHO}"));
    assert_eq!(queues.len(), 2, "{name}");
    let mut hosts: Vec<_> = queues.into_iter().map(|queue| host(queue, ADDRESS)).collect();
    Host::join(&mut hosts);
    let worker = |host| Worker::new(vec![host], Caller::new(ADDRESS, CLIENT, CALLS), 1);
    let mut workers: Vec<_> = hosts.into_iter().map(worker).collect();
    let start = Instant::now();
    let called = wait_for(PATIENCE, || {
        let now = Time::ZERO + start.elapsed();
        workers.iter_mut().for_each(|worker| {
            worker.poll_once(now);
        });
        let sent = |worker: &Worker<_, Caller>| counters(worker)[Counter::Sent] > CALLS as u64;
        workers.iter().all(sent)
    });
    assert!(called, "{name}: each sends a request and its datagrams");
    for _ in 0..2 * CALLS {
        let mut call = [0; 9];
        let (len, from) = socket.recv_from(&mut call).expect("a call");
        assert_eq!((&call[..len], from), (&b"call"[..], (ADDRESS, 5000).into()), "{name}");
    }
    workers.iter_mut().for_each(Worker::drain);
    let total = |counter| workers.iter().map(|worker| counters(worker)[counter]).sum::<u64>();
    assert!(total(Counter::ArpLearned) >= 1 && total(Counter::SentLate) >= 2, "{name}");
    assert!(workers.iter().all(|worker| counters(worker).balance().is_exact()), "{name}");
    total(Counter::ArpShared)
}
