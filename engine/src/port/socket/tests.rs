//! Sockets of the kernel's on loopback, and a worker on them whose clock the test moves.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::{SocketConfig, SocketError, SocketQueue, Switch, open};
use crate::host::{GuardConfig, Level};
use crate::packet::Shared;
use crate::port::{PortControl, PortId};
use crate::service::{Datagram, Outbox, Role, Service, Tick, Verdict};
use crate::telemetry::{Counter, Snapshot};
use crate::time::Time;
use crate::worker::{DatagramQueue, Worker};

const V4: &str = "127.0.0.1";
const V6: &str = "::1";
/// How long a worker turns for what loopback has not yet handed over: a busy kernel leaves that to a
/// thread of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Workers on the queues of one port, one after the other in this thread.
struct Rig<S: Service> {
    workers: Vec<Worker<SocketQueue, S>>,
    control: Box<dyn PortControl>,
    now: Time,
}

impl<S: Service> Rig<S> {
    fn new(address: &str, make: impl Fn() -> S) -> Self {
        Self::with(&[address], make, |_| ())
    }

    fn with(addresses: &[&str], make: impl Fn() -> S, change: impl FnOnce(&mut SocketConfig)) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().expect("address")).collect();
        let mut config = SocketConfig::new(addresses, vec![0]);
        config.guards = GuardConfig::default().resolve(S::ROLE);
        change(&mut config);
        let port = open(&config).expect("loopback has these addresses");
        let workers = port.queues.into_iter().map(|queue| Worker::new(vec![queue], make(), 300)).collect();
        Self { workers, control: port.control, now: Time::ZERO }
    }

    fn endpoint(&self, index: usize) -> SocketAddr {
        self.workers[0].queues()[0].endpoints().nth(index).expect("a socket")
    }

    fn turn(&mut self) -> usize {
        self.workers.iter_mut().map(|worker| worker.poll_once(self.now)).sum()
    }

    /// Turns until so many datagrams have been received.
    fn take(&mut self, count: usize) {
        let begin = Instant::now();
        let mut received = self.turn();
        while received < count && begin.elapsed() < PATIENCE {
            std::thread::yield_now();
            received += self.turn();
        }
        assert_eq!(received, count);
    }

    fn counters(&self) -> Snapshot {
        let mut totals = Snapshot::default();
        let queues = self.workers.iter().flat_map(|worker| worker.queues());
        queues.for_each(|queue| totals += &queue.counters().snapshot());
        totals
    }

    fn count(&self, counter: Counter) -> u64 {
        self.counters()[counter]
    }

    /// Ends the run: the books have to balance and every buffer has to be back.
    fn close(mut self) -> Snapshot {
        self.workers.iter_mut().for_each(Worker::drain);
        let counters = self.counters();
        self.workers.clear();
        assert!(counters.balance().is_exact(), "{:?}", counters.non_zero().collect::<Vec<_>>());
        let pools = self.control.close();
        assert!(!pools.is_empty() && pools.iter().all(|pool| pool.is_balanced()), "{pools:?}");
        counters
    }
}

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

/// A client on a socket of its own, to a rig's first socket.
fn client<S: Service>(rig: &Rig<S>) -> UdpSocket {
    client_of(rig.endpoint(0))
}

fn client_of(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    socket.connect(server).expect("a way there");
    socket
}

fn payload(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + index / 256 + seed) as u8).collect()
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut answer = vec![0; 65_536];
    let len = socket.recv(&mut answer).expect("an answer");
    answer.truncate(len);
    answer
}

fn nothing_comes(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).expect("it can");
    let is_nothing =
        socket.recv(&mut [0; 16]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).expect("it can");
    is_nothing
}

/// Has the kernel cut what a client sends into datagrams of so many bytes.
fn cut_into(socket: &UdpSocket, len: i32) {
    let (value, size) = ((&raw const len).cast(), size_of::<i32>() as libc::socklen_t);
    // SAFETY: the value lives through the call, and its length is told.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, size) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn datagrams_of_all_sizes_come_back() {
    let mut rig = Rig::new(V4, || Echo);
    let client = client(&rig);
    let all = payload(65_507, 0);
    for len in 0..=all.len() {
        assert_eq!(client.send(&all[..len]).expect("sent"), len);
        rig.take(1);
        assert!(receive(&client) == all[..len], "{len} bytes");
    }
    let counters = rig.close();
    assert_eq!(counters[Counter::Delivered], 65_508);
    assert_eq!(counters[Counter::Sent], 65_508);
}

#[test]
fn datagrams_of_ipv6_come_back() {
    let mut rig = Rig::new(V6, || Echo);
    let client = client(&rig);
    for len in (0..1500).chain([9000, 65_487, 65_488, 65_507, 65_508, 65_527]) {
        let payload = payload(len, len);
        assert_eq!(client.send(&payload).expect("sent"), len);
        rig.take(1);
        assert!(receive(&client) == payload, "{len} bytes");
    }
    assert_eq!(rig.close()[Counter::TxOversize], 0);
}

#[test]
fn joined_datagrams_are_split_and_answered_joined() {
    for (gro, gso) in [(Switch::On, Switch::On), (Switch::On, Switch::Off), (Switch::Off, Switch::On)] {
        let mut rig = Rig::with(&[V4], || Echo, |config| (config.gro, config.gso) = (gro, gso));
        let client = client(&rig);
        cut_into(&client, 1000);
        let payload = payload(64 * 1000 - 300, 3);
        client.send(&payload).expect("sent");
        rig.take(64);
        let answers: Vec<_> = (0..64).map(|_| receive(&client)).collect();
        assert!(answers.iter().map(Vec::as_slice).eq(payload.chunks(1000)), "each whole, and in order");
        let counters = rig.close();
        assert_eq!(counters[Counter::RxJoined], u64::from(gro == Switch::On));
        assert_eq!(counters[Counter::TxJoined] > 0, gso == Switch::On);
        assert_eq!((counters[Counter::Delivered], counters[Counter::Sent]), (64, 64));
    }
}

/// Answers with as much as there is room for, zeros behind what came.
struct Grow;

impl Service for Grow {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        let all = datagram.max_len();
        assert!(datagram.resize(all + 1).is_err() && datagram.resize(all).is_ok());
        Verdict::Reply
    }
}

#[test]
fn a_reply_may_grow_wherever_it_came_in() {
    let mut rig = Rig::new(V4, || Grow);
    let client = client(&rig);
    let grown = |part: &[u8]| {
        let mut grown = part.to_vec();
        grown.resize(65_507, 0);
        grown
    };
    client.send(b"alone").expect("sent");
    rig.take(1);
    assert!(receive(&client) == grown(b"alone"));
    cut_into(&client, 100);
    client.send(&payload(150, 1)).expect("sent");
    rig.take(2);
    for part in payload(150, 1).chunks(100) {
        assert!(receive(&client) == grown(part));
    }
    rig.close();
}

#[test]
fn datagrams_too_long_to_be_joined_leave_one_by_one() {
    let lens = [40_000, 33_000, 33_000, 100, 0, 0, 100];
    let mut rig = Rig::new(V4, || Echo);
    let client = client(&rig);
    for len in lens {
        client.send(&payload(len, len)).expect("sent");
    }
    rig.take(lens.len());
    for len in lens {
        assert!(receive(&client) == payload(len, len), "{len} bytes");
    }
    rig.close();
}

/// Says where datagrams come from and go to.
struct Mirror;

impl Service for Mirror {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        let said = format!("{} {}", datagram.source(), datagram.destination());
        datagram.resize(said.len()).expect("room");
        datagram.payload_mut().copy_from_slice(said.as_bytes());
        Verdict::Reply
    }
}

#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    for (wildcard, own) in [("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.1.2.3"), ("::", V6)] {
        let mut rig = Rig::with(&[wildcard], || Mirror, |_| ());
        let asked = SocketAddr::new(own.parse().expect("address"), rig.endpoint(0).port());
        let client = client_of(asked);
        client.send(b"?").expect("sent");
        rig.take(1);
        let said = format!("{} {asked}", client.local_addr().expect("an address"));
        // The client is connected, so only what leaves from there comes.
        assert_eq!(String::from_utf8(receive(&client)), Ok(said));
        rig.close();
    }
}

#[test]
fn a_broadcast_is_not_answered() {
    let mut rig = Rig::new("0.0.0.0", || Echo);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.set_broadcast(true).expect("it can");
    client.send_to(b"anybody?", ("127.255.255.255", rig.endpoint(0).port())).expect("sent");
    rig.take(1);
    assert!(nothing_comes(&client));
    let counters = rig.close();
    assert_eq!((counters[Counter::GroupIp], counters[Counter::Delivered]), (1, 0));
}

#[test]
fn addresses_and_udp_ports_have_a_socket_each() {
    let mut rig = Rig::with(&[V4, "127.0.0.2", V6], || Mirror, |config| config.udp_ports = vec![0, 0]);
    assert_eq!(rig.workers[0].queues()[0].endpoints().count(), 6);
    for index in 0..6 {
        let endpoint = rig.endpoint(index);
        let client = client_of(endpoint);
        client.send(b"?").expect("sent");
        rig.take(1);
        let said = format!("{} {endpoint}", client.local_addr().expect("an address"));
        assert_eq!(String::from_utf8(receive(&client)), Ok(said));
    }
    assert_eq!(rig.close()[Counter::Delivered], 6);
}

#[test]
fn many_sockets_are_served_in_turns() {
    let mut rig = Rig::with(&[V4], || Mirror, |config| config.udp_ports = vec![0; 200]);
    let clients: Vec<_> = (0..200).map(|index| client_of(rig.endpoint(index))).collect();
    for round in 0..3 {
        for client in &clients {
            (0..=round).for_each(|_| assert_eq!(client.send(b"?").expect("sent"), 1));
        }
        rig.take(200 * (round + 1));
        for client in &clients {
            let said = format!("{} {}", client.local_addr().expect("own"), client.peer_addr().expect("its"));
            (0..=round).for_each(|_| assert_eq!(String::from_utf8(receive(client)), Ok(said.clone())));
        }
    }
    assert_eq!(rig.turn(), 0);
    rig.close();
}

#[test]
fn queues_share_a_port_and_a_flow_keeps_its_queue() {
    let mut rig = Rig::with(&[V4], || Echo, |config| config.queues = 2);
    let clients: Vec<_> = (0..100).map(|_| client(&rig)).collect();
    let delivered = |rig: &Rig<Echo>| -> Vec<u64> {
        let of = |worker: &Worker<SocketQueue, Echo>| worker.queues()[0].counters().snapshot();
        rig.workers.iter().map(|worker| of(worker)[Counter::Delivered]).collect()
    };
    let mut before = vec![0, 0];
    let mut shares = Vec::new();
    for round in 0..3_usize {
        for (index, client) in clients.iter().enumerate() {
            client.send(&payload(1 + index, round)).expect("sent");
        }
        rig.take(100);
        for (index, client) in clients.iter().enumerate() {
            assert!(receive(client) == payload(1 + index, round));
        }
        let now = delivered(&rig);
        shares.push(now.iter().zip(&before).map(|(now, before)| now - before).collect::<Vec<_>>());
        before = now;
    }
    assert!(shares[0].iter().all(|&share| share >= 10), "{shares:?}");
    assert!(shares.iter().all(|share| share == &shares[0]), "{shares:?}");
    rig.close();
}

#[test]
fn guards_are_the_host_s() {
    let mut rig = Rig::with(
        &[V4],
        || Echo,
        |config| {
            config.guards =
                GuardConfig { rate: Some(Level::At(1)), ..GuardConfig::default() }.resolve(Role::Stateless);
        },
    );
    let client = client(&rig);
    for _ in 0..50 {
        client.send(b"again").expect("sent");
    }
    rig.take(50);
    assert_eq!((rig.count(Counter::Delivered), rig.count(Counter::SourceRate)), (32, 18));
    // From our own port: what answers everything would answer that for ever.
    let reflector = UdpSocket::bind(("127.0.0.9", rig.endpoint(0).port())).expect("a socket");
    reflector.send_to(b"loop", rig.endpoint(0)).expect("sent");
    rig.take(1);
    assert!(nothing_comes(&reflector));
    assert_eq!(rig.close()[Counter::ReflectorPort], 1);
}

/// Answers with ten times what came, unless it has a cookie of the asker's in front.
struct Generous;

impl Service for Generous {
    const ROLE: Role = Role::Stateful;

    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (source, own) = (datagram.source(), datagram.destination());
        if outbox.is_cookie(source, own, datagram.payload()) {
            outbox.validate(source);
        }
        if datagram.payload() == b"cookie" {
            let cookie = outbox.cookie(source, own);
            datagram.resize(cookie.0.len()).expect("room");
            datagram.payload_mut().copy_from_slice(&cookie.0);
        } else {
            datagram.resize(10 * datagram.payload().len()).expect("room");
        }
        Verdict::Reply
    }
}

#[test]
fn an_unvalidated_source_is_sent_little_and_a_cookie_validates_it() {
    let mut rig = Rig::new(V4, || Generous);
    let client = client(&rig);
    client.send(&payload(100, 0)).expect("sent");
    rig.take(1);
    assert!(nothing_comes(&client) && rig.count(Counter::TxAmplification) == 1);
    client.send(b"cookie").expect("sent");
    rig.take(1);
    let cookie = receive(&client);
    for payload in [&cookie, &payload(100, 0)] {
        client.send(payload).expect("sent");
        rig.take(1);
        assert_eq!(receive(&client).len(), 10 * payload.len());
    }
    assert_eq!(rig.close()[Counter::Replied], 4);
}

/// Sends these of its own accord, on its first tick.
struct Herald(Vec<(SocketAddr, SocketAddr, usize)>);

impl Service for Herald {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }

    fn on_tick(&mut self, _now: Time, outbox: &mut Outbox<'_>) -> Tick {
        for (from, to, len) in self.0.drain(..) {
            outbox.send(from, to, &payload(len, 5)).expect("there is room");
        }
        Tick::Done(Time::NEVER)
    }
}

#[test]
fn what_a_service_sends_leaves_by_the_socket_of_its_address() {
    let listener = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = listener.local_addr().expect("an address");
    // A port that is free now, so that the service knows from where to send before it is opened.
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let at = |ip: &str| SocketAddr::new(ip.parse().expect("address"), free.port());
    let letters = vec![
        (at("127.0.0.1"), to, 100),
        (at("127.0.0.2"), to, 65_507),
        (at("127.0.0.3"), to, 1),
        (SocketAddr::new(at("127.0.0.1").ip(), free.port().wrapping_add(1)), to, 1),
        (at("127.0.0.1"), at(V6), 1),
        (at("127.0.0.1"), SocketAddr::new(to.ip(), 0), 1),
    ];
    let mut rig = Rig::with(
        &[V4, "127.0.0.2"],
        || Herald(letters.clone()),
        |config| {
            config.udp_ports = vec![free.port()];
        },
    );
    rig.turn();
    let mut buffer = vec![0; 65_536];
    for (from, _, len) in &letters[..2] {
        let received = listener.recv_from(&mut buffer).expect("a datagram");
        assert_eq!(received, (*len, *from));
        assert!(buffer[..*len] == payload(*len, 5));
    }
    let counters = rig.close();
    assert_eq!((counters[Counter::Originated], counters[Counter::Sent]), (5, 2));
    assert_eq!(counters[Counter::ForwardNoPort], 1, "no port has 127.0.0.3");
    assert_eq!(counters[Counter::TxNoRoute], 3);
}

/// Sends every datagram to all of these, sharing its payload; and the first of all, which it keeps.
struct Publisher(Vec<SocketAddr>, Option<Shared>);

impl Service for Publisher {
    const SHARED: usize = 2;

    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let shared = outbox.share(datagram.payload()).expect("a place");
        let first = self.1.get_or_insert_with(|| shared.clone());
        for &reader in &self.0 {
            outbox.send_shared(datagram.destination(), reader, &shared).expect("room");
            outbox.send_shared(datagram.destination(), reader, first).expect("room");
        }
        Verdict::Drop
    }
}

#[test]
fn a_shared_payload_is_copied_for_each_receiver() {
    let readers: Vec<_> = (0..9).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
    let to: Vec<_> = readers.iter().map(|reader| reader.local_addr().expect("an address")).collect();
    let config = |config: &mut SocketConfig| config.shared = Publisher::SHARED;
    let mut rig = Rig::with(&[V4], || Publisher(to.clone(), None), config);
    let client = client(&rig);
    let sent: Vec<_> = [0, 1, 300, 65_507].map(|len| payload(len, 3)).into();
    for payload in &sent {
        client.send(payload).expect("sent");
        rig.take(1);
        for reader in &readers {
            assert!(receive(reader) == *payload && receive(reader) == sent[0]);
        }
    }
    let counters = rig.close();
    assert_eq!((counters[Counter::TxCopied], counters[Counter::TxShared]), (72, 0));
}

/// Sends what comes on to another address, from ours.
struct Relay(SocketAddr, PortId);

impl Service for Relay {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Forward { port: self.1, from: datagram.destination(), to: self.0 }
    }
}

#[test]
fn forwards_leave_by_the_port_that_they_name() {
    let listener = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = listener.local_addr().expect("an address");
    for (port, arrives) in [(PortId(0), true), (PortId(1), false)] {
        let mut rig = Rig::new(V4, || Relay(to, port));
        let client = client(&rig);
        for _ in 0..40 {
            client.send(&payload(300, 9)).expect("sent");
        }
        rig.take(40);
        for _ in 0..if arrives { 40 } else { 0 } {
            assert!(receive(&listener) == payload(300, 9));
        }
        assert!(nothing_comes(&listener));
        let counters = rig.close();
        assert_eq!(counters[Counter::ForwardedAway], 40);
        let (on, off) = (counters[Counter::Forwarded], counters[Counter::ForwardNoPort]);
        assert_eq!((on, off), if arrives { (40, 0) } else { (0, 40) });
    }
}

#[test]
fn a_forward_changes_over_to_another_port_of_the_worker() {
    let listener = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = listener.local_addr().expect("an address");
    let port = |number| {
        let mut config = SocketConfig::new(vec![[127, 0, 0, 1 + number as u8].into()], vec![0]);
        config.port = PortId(number);
        open(&config).expect("a port")
    };
    let (mut first, mut second) = (port(0), port(1));
    let queues = vec![first.queues.remove(0), second.queues.remove(0)];
    let (asked, leaves_from) =
        (queues[0].endpoints().next().expect("one"), queues[1].endpoints().next().expect("one"));
    struct Across(SocketAddr, SocketAddr);
    impl Service for Across {
        fn on_datagram(&mut self, _: Time, _: &mut Datagram<'_>, _: &mut Outbox<'_>) -> Verdict {
            Verdict::Forward { port: PortId(1), from: self.0, to: self.1 }
        }
    }
    let mut worker = Worker::new(queues, Across(leaves_from, to), 300);
    let client = client_of(asked);
    // More than a queue has buffers, so that they have to come back.
    for _ in 0..1000 {
        client.send(b"across").expect("sent");
        while worker.poll_once(Time::ZERO) == 0 {}
        let mut buffer = [0; 16];
        assert_eq!(listener.recv_from(&mut buffer).expect("a datagram"), (6, leaves_from));
    }
    worker.drain();
    drop(worker);
    let pools = first.control.close().into_iter().chain(second.control.close());
    let balanced: Vec<_> = pools.map(|pool| pool.is_balanced()).collect();
    assert_eq!(balanced, [true, true]);
}

#[test]
fn nobody_s_port_is_no_reason_to_stop() {
    let mut rig = Rig::new(V4, || Echo);
    for _ in 0..200 {
        let gone = client(&rig);
        gone.send(b"asks and leaves").expect("sent");
        drop(gone);
    }
    // Each answer is itself answered by an ICMP error.
    rig.take(200);
    let client = client(&rig);
    client.send(b"stays").expect("sent");
    rig.take(1);
    assert_eq!(receive(&client), b"stays");
    let counters = rig.close();
    assert_eq!((counters[Counter::Sent], counters[Counter::SocketError]), (201, 0));
}

#[test]
fn what_the_kernel_dropped_is_counted() {
    const SENT: u64 = 300;
    let mut rig = Rig::new(V4, || Echo);
    let client = client(&rig);
    let payload = payload(60_000, 0);
    // Far fewer than the queue that all of the kernel's loopback shares (`netdev_max_backlog`): what is lost
    // there, this test's or another's, no socket counts.
    for _ in 0..SENT {
        client.send(&payload).expect("sent");
    }
    let begin = Instant::now();
    let (mut received, mut missed) = (0, 0);
    // A busy kernel brings the last of them a little later.
    while received + missed < SENT && begin.elapsed() < PATIENCE {
        while rig.turn() > 0 {}
        rig.now = rig.now + Duration::from_secs(2);
        rig.turn();
        (received, missed) = (rig.count(Counter::Received), rig.count(Counter::RxMissed));
    }
    assert!(missed > 0 && received > 0, "{received} received, {missed} missed");
    assert_eq!(received + missed, SENT);
    let said = rig.control.extended_statistics();
    assert_eq!(said, [(format!("rx_q0_{}_drops", rig.endpoint(0)), missed)]);
    rig.close();
}

#[test]
fn what_waits_at_the_end_is_counted() {
    let rig = Rig::new(V4, || Echo);
    let client = client(&rig);
    cut_into(&client, 10);
    client.send(&[7; 95]).expect("sent");
    let counters = rig.close();
    assert_eq!((counters[Counter::Received], counters[Counter::Stopping]), (10, 10));
}

/// Panics at a datagram that says so.
struct Fragile;

impl Service for Fragile {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        assert_ne!(datagram.payload(), b"panic", "as it was told");
        Verdict::Reply
    }
}

#[test]
fn a_panic_of_the_service_loses_no_buffer_and_no_count() {
    let mut rig = Rig::new(V4, || Fragile);
    let client = client(&rig);
    for payload in [b"first", b"panic", b"third", b"forth"] {
        client.send(payload).expect("sent");
    }
    let turn = std::panic::AssertUnwindSafe(|| rig.take(4));
    assert!(std::panic::catch_unwind(turn).is_err());
    let counters = rig.close();
    assert_eq!((counters[Counter::Delivered], counters[Counter::Stopping]), (2, 2));
    assert_eq!(receive(&client), b"first");
}

fn is_readable(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: there is one entry, and it lives through the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

#[test]
fn what_is_waited_for_is_readable_while_there_are_datagrams() {
    for addresses in [&[V4][..], &[V4, V6, "127.0.0.2"]] {
        let mut rig = Rig::with(addresses, || Echo, |_| ());
        let fd = rig.workers[0].queues()[0].wait_fd().expect("a descriptor");
        for index in 0..addresses.len() {
            assert!(!is_readable(fd));
            let client = client_of(rig.endpoint(index));
            client.send(b"wake up").expect("sent");
            assert!(is_readable(fd), "{}", rig.endpoint(index));
            rig.take(1);
        }
        rig.close();
    }
}

#[test]
fn errors_name_the_address_and_the_way_out() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let endpoint = taken.local_addr().expect("an address");
    let open_on = |address: &str, queues| {
        let mut config = SocketConfig::new(vec![address.parse().expect("address")], vec![endpoint.port()]);
        config.queues = queues;
        open(&config).map(drop)
    };
    for queues in [1, 2] {
        let error = open_on(V4, queues).expect_err("it is in use");
        assert!(
            matches!(error, SocketError::InUse { .. }) && error.to_string().contains(&endpoint.to_string())
        );
    }
    let error = open_on("192.0.2.1", 1).expect_err("it is none of ours");
    assert!(matches!(error, SocketError::NotOurs { .. }) && error.to_string().contains("192.0.2.1"));
    assert!(matches!(open_on("fe80::1", 1), Err(SocketError::LinkLocal { .. })));
    assert!(matches!(open_on("127.255.255.255", 1), Err(SocketError::Broadcast { .. })));
    let nowhere: Vec<IpAddr> = Vec::new();
    assert!(matches!(open(&SocketConfig::new(nowhere, vec![9000])).map(drop), Err(SocketError::Nowhere)));
}

#[test]
fn two_programs_of_several_queues_do_not_share_a_port() {
    let mut config = SocketConfig::new(vec![[127, 0, 0, 1].into()], vec![0]);
    config.queues = 2;
    let first = open(&config).expect("the kernel chooses a port");
    config.udp_ports = vec![first.queues[0].endpoints().next().expect("a socket").port()];
    assert!(matches!(open(&config).map(drop), Err(SocketError::InUse { .. })));
}

/// Answers twice: in place, and of its own accord.
struct Twice;

impl Service for Twice {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (own, asker) = (datagram.destination(), datagram.source());
        outbox.send(own, asker, datagram.payload()).expect("there is room");
        Verdict::Reply
    }
}

#[test]
fn buffers_that_held_something_before_are_lent_again() {
    let mut rig = Rig::new(V4, || Twice);
    let client = client(&rig);
    // More than the queue has buffers.
    for round in 0..1000 {
        let payload = payload(1 + round * 7 % 500, round);
        client.send(&payload).expect("sent");
        rig.take(1);
        assert!(receive(&client) == payload && receive(&client) == payload, "round {round}");
    }
    assert_eq!(rig.close()[Counter::Originated], 1000);
}
