//! One payload to many: what a receiver costs, from the service's call to the driver's, by what
//! becomes of the payload; and what the mbufs alone cost.
//!
//! ```text
//! cargo bench -p gannet --bench shared [-- NAME]
//! ```
//!
//! The device is played: one that gives every frame back at once, so that few buffers are used and all
//! of them are in cache; and one that gives them back when 512 others have been sent, as a NIC does.
//! docs/services.md has what came out, and `SHARED_FROM` in the engine goes by it.

#[cfg(feature = "dpdk")]
mod dpdk {
    use std::collections::VecDeque;
    use std::fmt;
    use std::hint::black_box;
    use std::net::SocketAddr;
    use std::sync::{Arc, mpsc};

    use criterion::{BenchmarkId, Criterion, Throughput};
    use dpdk_sys as sys;
    use gannet::host::{Addressing, GuardConfig, Host, HostConfig, InterfaceAddress, Sharing};
    use gannet::packet::{Burst, Packet, Tail};
    use gannet::port::dpdk::{self, DpdkQueue, Eal, Mbuf};
    use gannet::port::{Capabilities, FrameQueue, OpenPort, PortConfig};
    use gannet::telemetry::{Counter, Counters};
    use gannet::wire::ethernet::MacAddress;
    use gannet::wire::vlan::Vlans;
    use gannet::{Datagram, Outbox, Role, Service, Tick, Time, Verdict, Worker};

    const OWN: [u8; 4] = [10, 77, 0, 1];
    const LENGTHS: [usize; 6] = [100, 200, 400, 512, 640, 1200];
    const RECEIVERS: [usize; 3] = [9, 20, 100];
    /// Descriptors of a NIC's ring.
    const RING: usize = 512;
    const HEADERS_LEN: usize = 42;

    /// How a payload is sent.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Way {
        /// By `send`, which copies and sums it for each receiver.
        Sent,
        /// Shared, and copied by the host.
        Copied,
        /// Shared, and in one place.
        Shared,
    }

    const WAYS: [Way; 3] = [Way::Sent, Way::Copied, Way::Shared];

    impl fmt::Display for Way {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Sent => "sent",
                Self::Copied => "copied",
                Self::Shared => "shared",
            })
        }
    }

    struct Crier {
        way: Way,
        payload: Vec<u8>,
        receivers: Vec<SocketAddr>,
    }

    impl Service for Crier {
        const SHARED: usize = 1;

        fn on_datagram(
            &mut self,
            _now: Time,
            _datagram: &mut Datagram<'_>,
            _outbox: &mut Outbox<'_>,
        ) -> Verdict {
            Verdict::Drop
        }

        fn on_tick(&mut self, _now: Time, outbox: &mut Outbox<'_>) -> Tick {
            let from = SocketAddr::from((OWN, 8080));
            match self.way {
                Way::Sent => {
                    self.receivers.iter().for_each(|&to| outbox.send(from, to, &self.payload).expect("room"))
                }
                Way::Copied | Way::Shared => {
                    let shared = outbox.share(&self.payload).expect("a place");
                    for &to in &self.receivers {
                        outbox.send_shared(from, to, &shared).expect("room");
                    }
                }
            }
            Tick::More
        }
    }

    /// A queue that only sends, and that to nowhere, on its way through the cases.
    struct Sending {
        inner: Option<DpdkQueue>,
        /// Where it goes at the end of a case.
        home: mpsc::Sender<DpdkQueue>,
        counters: Arc<Counters>,
        /// Frames that are not given back yet, and how many those are at most between two bursts.
        sent: VecDeque<Mbuf>,
        in_flight: usize,
        done: Burst<Mbuf>,
    }

    impl Sending {
        fn new(inner: DpdkQueue, home: mpsc::Sender<DpdkQueue>, in_flight: usize) -> Self {
            let sent = VecDeque::with_capacity(2 * RING);
            let counters = Arc::clone(inner.counters());
            Self { inner: Some(inner), home, counters, sent, in_flight, done: Burst::with_capacity(64) }
        }

        fn inner(&mut self) -> &mut DpdkQueue {
            self.inner.as_mut().expect("until the end")
        }

        /// Gives back what was sent before the last so many.
        fn complete(&mut self, left: usize) {
            let Self { inner: Some(inner), sent, done, .. } = self else { return };
            while sent.len() > left {
                for mbuf in sent.drain(..done.free().min(sent.len() - left)) {
                    done.push(mbuf).expect("room");
                }
                inner.free_burst(done);
            }
        }
    }

    impl FrameQueue for Sending {
        type Packet = Mbuf;

        fn capabilities(&self) -> &Capabilities {
            self.inner.as_ref().expect("until the end").capabilities()
        }

        fn counters(&self) -> &Arc<Counters> {
            &self.counters
        }

        fn rx_burst(&mut self, _into: &mut Burst<Mbuf>) {}

        fn tx_burst(&mut self, from: &mut Burst<Mbuf>) {
            self.counters.add(Counter::Sent, from.len() as u64);
            self.sent.extend(from.drain());
            self.complete(self.in_flight);
        }

        fn alloc_burst(&mut self, into: &mut Burst<Mbuf>) {
            self.inner().alloc_burst(into);
        }

        fn free_burst(&mut self, from: &mut Burst<Mbuf>) {
            self.inner().free_burst(from);
        }
    }

    impl Drop for Sending {
        fn drop(&mut self) {
            self.complete(0);
            self.inner.take().into_iter().for_each(|inner| self.home.send(inner).expect("a home"));
        }
    }

    fn worker<Q: FrameQueue>(queue: Q, way: Way, len: usize, receivers: usize) -> Worker<Host<Q>, Crier> {
        let own = InterfaceAddress { address: OWN.into(), prefix_len: 16, vlans: Vlans::NONE };
        let receivers: Vec<_> = (0..receivers)
            .map(|number| SocketAddr::from(([10, 77, 1, 1 + (number % 16) as u8], 40_000 + number as u16)))
            .collect();
        let mac = MacAddress([2, 0, 0, 0, 0, 2]);
        let config = HostConfig {
            guards: GuardConfig::OFF.resolve(Role::Stateful),
            shared: Crier::SHARED,
            sharing: if matches!(way, Way::Shared) { Sharing::Share } else { Sharing::Copy },
            neighbours: receivers.iter().map(|to| (to.ip(), mac)).collect(),
            ..HostConfig::new(Addressing::new(vec![own], Vec::new()).expect("no gateway"))
        };
        let payload = (0..len).map(|at| at as u8).collect();
        let mut worker = Worker::new(vec![Host::new(queue, config)], Crier { way, payload, receivers }, 1);
        // The ways are ready then.
        (0..20).for_each(|_| _ = worker.poll_once(Time::ZERO));
        worker
    }

    /// Measures all cases, and gives the queue back.
    fn fan_out(criterion: &mut Criterion, mut queue: DpdkQueue, in_flight: usize) -> DpdkQueue {
        let (home, back) = mpsc::channel();
        for receivers in RECEIVERS {
            let mut group =
                criterion.benchmark_group(format!("{receivers} receivers, {in_flight} in flight"));
            group.throughput(Throughput::Elements(receivers as u64));
            for (len, way) in LENGTHS.iter().flat_map(|&len| WAYS.map(|way| (len, way))) {
                let counters = Arc::clone(queue.counters());
                let shared = || counters.snapshot()[Counter::TxShared];
                let before = shared();
                let mut worker = worker(Sending::new(queue, home.clone(), in_flight), way, len, receivers);
                group.bench_function(BenchmarkId::new(way.to_string(), len), |bencher| {
                    bencher.iter(|| worker.poll_once(black_box(Time::ZERO)));
                });
                assert_eq!(shared() > before, way == Way::Shared);
                drop(worker);
                queue = back.recv().expect("it comes back");
            }
        }
        queue
    }

    /// Frames of a header and a payload of `len` bytes, as mbufs, made in three ways and given back.
    fn mbufs(criterion: &mut Criterion, queue: &mut DpdkQueue) {
        let mut group = criterion.benchmark_group("mbufs");
        let mut frames = Burst::with_capacity(20);
        group.throughput(Throughput::Elements(frames.capacity() as u64));
        for len in LENGTHS {
            let mut tail = Burst::with_capacity(1);
            queue.alloc_burst(&mut tail);
            tail.iter_mut().for_each(|packet| packet.set_frame_len(len));
            let mut tail = Tail::new(tail.pop().expect("a buffer"));
            group.bench_function(BenchmarkId::new("copied", len), |bencher| {
                bencher.iter(|| {
                    queue.alloc_burst(&mut frames);
                    for packet in frames.iter_mut() {
                        let room = &mut packet.room_mut()[..HEADERS_LEN + len];
                        room[..HEADERS_LEN].fill(1);
                        room[HEADERS_LEN..].copy_from_slice(tail.payload());
                        packet.set_frame_len(HEADERS_LEN + len);
                    }
                    queue.free_burst(&mut frames);
                });
            });
            group.bench_function(BenchmarkId::new("chained", len), |bencher| {
                bencher.iter(|| {
                    queue.alloc_burst(&mut frames);
                    for packet in frames.iter_mut() {
                        headers(packet);
                        assert!(packet.chain(&mut tail));
                    }
                    queue.free_burst(&mut frames);
                });
            });
            let mut indirect = Burst::with_capacity(frames.capacity());
            group.bench_function(BenchmarkId::new("indirect", len), |bencher| {
                bencher.iter(|| {
                    queue.alloc_burst(&mut frames);
                    queue.alloc_burst(&mut indirect);
                    for (packet, indirect) in frames.iter_mut().zip(indirect.drain()) {
                        headers(packet);
                        attach(packet, indirect, &tail);
                    }
                    queue.free_burst(&mut frames);
                });
            });
            let last = tail.packet().as_raw().as_ptr();
            // SAFETY: all frames that had it are gone, so all references are ours to give up.
            unsafe {
                let references = sys::shim_rte_mbuf_refcnt_update(last, 0);
                sys::shim_rte_mbuf_refcnt_update(last, 1 - references.cast_signed());
                sys::shim_rte_pktmbuf_free(last);
            }
        }
    }

    fn headers(packet: &mut Mbuf) {
        packet.room_mut()[..HEADERS_LEN].fill(1);
        packet.set_frame_len(HEADERS_LEN);
    }

    /// Has a frame end with an indirect mbuf, which refers to the payload (`rte_pktmbuf_attach`).
    fn attach(packet: &Mbuf, indirect: Mbuf, tail: &Tail<Mbuf>) {
        let field = |mbuf: &Mbuf, offset: usize| mbuf.as_raw().as_ptr().cast::<u8>().wrapping_add(offset);
        let second = indirect.into_raw();
        // SAFETY: three live mbufs: the first two are ours, and the third is only referred to.
        unsafe {
            sys::shim_rte_pktmbuf_attach(second.as_ptr(), tail.packet().as_raw().as_ptr());
            field(packet, sys::DPDK_SYS_MBUF_next).cast::<*mut sys::rte_mbuf>().write(second.as_ptr());
            field(packet, sys::DPDK_SYS_MBUF_nb_segs).cast::<u16>().write(2);
            let len = field(packet, sys::DPDK_SYS_MBUF_pkt_len).cast::<u32>();
            len.write(HEADERS_LEN as u32 + tail.payload().len() as u32);
        }
    }

    pub(super) fn run() {
        let words = "-l 1 --no-huge --no-pci --no-shconf -m 256";
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        let eal = Eal::init(&words).expect("the EAL starts");
        let (device, other) = dpdk::crosswise_rings(&eal, RING).expect("rings");
        let config = PortConfig { shares: true, held: 4 * RING, ..PortConfig::default() };
        let OpenPort { mut queues, control } = dpdk::open(&eal, device, &config).expect("it opens");
        let OpenPort { control: other, .. } = dpdk::open(&eal, other, &config).expect("it opens");
        let mut queue = queues.remove(0);
        assert!(queue.capabilities().tx_shared, "net_ring takes several segments");
        let mut criterion = Criterion::default().configure_from_args();
        mbufs(&mut criterion, &mut queue);
        queue = fan_out(&mut criterion, queue, 0);
        queue = fan_out(&mut criterion, queue, RING);
        drop(queue);
        assert!(control.close().is_empty());
        assert!(other.close().iter().all(|pool| pool.is_balanced()));
        criterion.final_summary();
    }
}

fn main() {
    #[cfg(feature = "dpdk")]
    dpdk::run();
    #[cfg(not(feature = "dpdk"))]
    println!("skipped: it is the dpdk port that shares payloads");
}
