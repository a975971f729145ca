//! Frames written down for `--capture`: what the host drops, or all that it sees.
//!
//! A host writes the blocks of a pcapng file into a [`Chunk`] of memory. Chunks travel in two
//! bounded channels: full ones to the control plane's [`TapEnd`], empty ones back. None is
//! ever waited for: where no chunk is free the frame is counted as `capture_missed`.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use crate::telemetry::pcapng::{self, Direction, SNAP_LEN};
use crate::telemetry::{Counter, Counters, Kind};
use crate::time::Time;

/// Chunks of a queue.
const CHUNKS: usize = 16;
/// Bytes of a chunk: several of the longest frames.
const CHUNK_LEN: usize = 4 * SNAP_LEN;
/// How long a frame waits in a chunk for others.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why frames are written down: a set of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reasons([bool; Counter::ALL.len()]);

impl Reasons {
    /// Frames for which the host counts one of these. Those that it never sees make no
    /// difference.
    pub(crate) fn of(counters: impl IntoIterator<Item = Counter>) -> Self {
        let mut reasons = [false; Counter::ALL.len()];
        counters.into_iter().for_each(|counter| reasons[counter as usize] = true);
        Self(reasons)
    }

    /// Whatever is received or sent.
    pub(crate) fn all() -> Self {
        Self([true; Counter::ALL.len()])
    }

    /// Every drop that the host sees.
    pub(crate) fn drops() -> Self {
        Self::of(Self::visible().filter(|counter| matches!(counter.kind(), Kind::RxDrop | Kind::TxDrop)))
    }

    /// The counters with which the host has a whole frame in its hands.
    pub(crate) fn visible() -> impl Iterator<Item = Counter> {
        Counter::ALL.iter().copied().filter(|&counter| is_visible(counter))
    }

    #[inline]
    fn contains(&self, counter: Counter) -> bool {
        self.0[counter as usize]
    }
}

/// Whether the host has a whole frame in its hands when it counts this.
fn is_visible(counter: Counter) -> bool {
    match counter {
        // Dropped inside the port.
        Counter::FaultLost | Counter::RxTruncated | Counter::RxSuperFrame | Counter::RxSegmented => false,
        Counter::TxRejected => false,
        // Its buffer went back when it was taken in, or it never was one frame.
        Counter::FragmentTimeout | Counter::FragmentEvicted | Counter::FragmentsAdded => false,
        // Given back in bulk at the stop.
        Counter::Stopping | Counter::TxStopping => false,
        // No headers were written yet.
        Counter::TxNoRoute => false,
        Counter::SentLate | Counter::FragmentHeld => true,
        other => matches!(other.kind(), Kind::Handled | Kind::RxDrop | Kind::Emitted | Kind::TxDrop),
    }
}

/// Which way a frame went that was counted so.
fn direction(reason: Counter) -> Direction {
    match reason {
        // An answer that is too long is not written: the frame is the one that it was to answer.
        Counter::TxOversize | Counter::TxAmplification | Counter::FragmentHeld => Direction::Inbound,
        other if matches!(other.kind(), Kind::Handled | Kind::RxDrop) => Direction::Inbound,
        _ => Direction::Outbound,
    }
}

/// What the frames of a queue are written down as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TapConfig {
    /// Which frames.
    pub(crate) reasons: Reasons,
    /// The queue's port, in the file's order of interfaces.
    pub(crate) interface: u32,
    /// [`Time::ZERO`], in nanoseconds since 1970.
    pub(crate) epoch_nanos: u64,
}

/// Blocks of a pcapng file, a whole number of them.
#[derive(Debug)]
pub(crate) struct Chunk {
    blocks: Vec<u8>,
    frames: u64,
}

impl Chunk {
    fn new() -> Self {
        Self { blocks: Vec::with_capacity(CHUNK_LEN), frames: 0 }
    }

    fn has_room(&self, len: usize) -> bool {
        self.blocks.capacity() - self.blocks.len() >= len
    }

    /// Its bytes.
    pub(crate) fn blocks(&self) -> &[u8] {
        &self.blocks
    }

    /// The frames in it.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }
}

/// The place in a host past which its frames come. Without a capture it is nothing.
#[derive(Debug, Default)]
pub(crate) struct Tap(Option<Box<OpenTap>>);

#[derive(Debug)]
struct OpenTap {
    config: TapConfig,
    now: Time,
    /// What is written into, and since when.
    chunk: Option<(Chunk, Time)>,
    free: Receiver<Chunk>,
    filled: Sender<Chunk>,
    counters: Arc<Counters>,
}

impl Tap {
    /// A tap for the queue with these counters, and its other end.
    pub(crate) fn open(config: TapConfig, counters: Arc<Counters>) -> (Self, TapEnd) {
        let (give_back, free) = bounded(CHUNKS);
        let (filled, full) = bounded(CHUNKS);
        // There is room for all of them in either channel.
        (0..CHUNKS).for_each(|_| _ = give_back.try_send(Chunk::new()));
        let tap = OpenTap { config, now: Time::ZERO, chunk: None, free, filled, counters };
        (Self(Some(Box::new(tap))), TapEnd { full, give_back })
    }

    /// Whether there is a capture.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// A turn of the host begins at the time `now`.
    #[inline]
    pub(super) fn turn(&mut self, now: Time) {
        if let Some(tap) = &mut self.0 {
            tap.turn(now);
        }
    }

    /// Writes the frame down if frames that are counted so are asked for.
    #[inline]
    pub(crate) fn record(&mut self, reason: Counter, frame: &[u8]) {
        if let Some(tap) = &mut self.0
            && tap.config.reasons.contains(reason)
        {
            tap.record(reason, frame);
        }
    }
}

impl OpenTap {
    #[cold]
    fn turn(&mut self, now: Time) {
        self.now = now;
        if self.chunk.as_ref().is_some_and(|&(_, since)| now >= since + PATIENCE) {
            self.pass_on();
        }
    }

    #[cold]
    fn record(&mut self, reason: Counter, frame: &[u8]) {
        let nanos = self.config.epoch_nanos.saturating_add(self.now.as_nanos());
        let packet = pcapng::Packet {
            interface: self.config.interface,
            nanos,
            direction: direction(reason),
            comment: reason.name(),
            frame,
        };
        match self.chunk_with_room(packet.block_len()) {
            Some(chunk) => {
                packet.write(&mut chunk.blocks);
                chunk.frames += 1;
            }
            None => self.counters.add(Counter::CaptureMissed, 1),
        }
    }

    fn chunk_with_room(&mut self, len: usize) -> Option<&mut Chunk> {
        if self.chunk.as_ref().is_some_and(|(chunk, _)| !chunk.has_room(len)) {
            self.pass_on();
        }
        if self.chunk.is_none() {
            self.chunk = self.free.try_recv().ok().map(|chunk| (chunk, self.now));
        }
        // Any block fits into an empty chunk; were it not so, writing would allocate.
        self.chunk.as_mut().map(|(chunk, _)| chunk).filter(|chunk| chunk.has_room(len))
    }

    /// Hands what was written to the control plane.
    fn pass_on(&mut self) {
        if let Some((chunk, _)) = self.chunk.take() {
            // There is room for as many as there are. Where nobody reads any more, the end
            // of the channel said so.
            let frames = chunk.frames;
            if self.filled.try_send(chunk).is_err() {
                self.counters.add(Counter::CaptureMissed, frames);
            }
        }
    }
}

impl Drop for OpenTap {
    fn drop(&mut self) {
        self.pass_on();
    }
}

/// The control plane's end of a tap.
#[derive(Debug)]
pub(crate) struct TapEnd {
    full: Receiver<Chunk>,
    give_back: Sender<Chunk>,
}

impl TapEnd {
    /// The next chunk that was filled, if there is one.
    ///
    /// # Errors
    /// [`TapClosed`] when the host is gone and everything that it wrote was taken.
    pub(crate) fn take(&self) -> Result<Option<Chunk>, TapClosed> {
        match self.full.try_recv() {
            Ok(chunk) => Ok(Some(chunk)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(TapClosed),
        }
    }

    /// Gives a chunk back to be filled again.
    pub(crate) fn give_back(&self, mut chunk: Chunk) {
        chunk.blocks.clear();
        chunk.frames = 0;
        // A host that is gone needs none.
        let _ = self.give_back.try_send(chunk);
    }
}

/// A tap's host is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TapClosed;

#[cfg(test)]
mod tests {
    use super::super::tests::answers::{ping, ping_with};
    use super::super::tests::{Obedient, arp, frame, hello};
    use super::super::{Addressing, Host, HostConfig, InterfaceAddress};
    use super::*;
    use crate::forward::Forwards;
    use crate::port::memory::{self, MemoryConfig, MemoryQueue};
    use crate::telemetry::pcapng::tests::{Read, read_packets};
    use crate::wire::ethernet::MacAddress;
    use crate::wire::vlan::Vlans;
    use crate::worker::DatagramQueue as _;

    const EPOCH: u64 = 1_700_000_000_000_000_000;

    fn open(reasons: Reasons) -> (Tap, TapEnd, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        let config = TapConfig { reasons, interface: 3, epoch_nanos: EPOCH };
        let (tap, end) = Tap::open(config, Arc::clone(&counters));
        (tap, end, counters)
    }

    fn missed(counters: &Counters) -> u64 {
        counters.snapshot()[Counter::CaptureMissed]
    }

    fn read(chunk: &Chunk) -> Vec<Read> {
        let packets = read_packets(chunk.blocks());
        assert_eq!(packets.len() as u64, chunk.frames());
        packets
    }

    #[test]
    fn a_frame_is_written_with_its_reason_time_and_direction() {
        let (mut tap, end, _) = open(Reasons::all());
        tap.turn(Time::from_nanos(7));
        tap.record(Counter::Runt, b"short");
        tap.record(Counter::Replied, b"answer");
        drop(tap);
        let chunk = end.take().expect("there is more").expect("a chunk");
        let read_of = |comment: &str, flags, frame: &[u8]| Read {
            interface: 3,
            nanos: EPOCH + 7,
            flags,
            comment: comment.to_owned(),
            original_len: frame.len(),
            frame: frame.to_vec(),
        };
        assert_eq!(read(&chunk), [read_of("runt", 1, b"short"), read_of("replied", 2, b"answer")]);
        assert_eq!(end.take().expect_err("closed"), TapClosed);
    }

    #[test]
    fn other_reasons_are_let_through() {
        let (mut tap, end, counters) = open(Reasons::of([Counter::Runt]));
        tap.record(Counter::Fragment, b"fragment");
        tap.record(Counter::Runt, b"runt");
        drop(tap);
        let chunk = end.take().expect("there is more").expect("a chunk");
        assert_eq!(read(&chunk).len(), 1);
        assert_eq!(missed(&counters), 0);
        let drops = Reasons::drops();
        assert!(drops.contains(Counter::TxFull) && drops.contains(Counter::UdpChecksum));
        assert!(!drops.contains(Counter::Delivered) && !drops.contains(Counter::Replied));
    }

    #[test]
    fn what_was_written_is_passed_on_in_time() {
        let (mut tap, end, _) = open(Reasons::all());
        let start = Time::ZERO + Duration::from_secs(1);
        tap.turn(start);
        tap.record(Counter::Runt, b"one");
        tap.turn(start + PATIENCE / 2);
        tap.record(Counter::Runt, b"two");
        assert!(end.take().expect("open").is_none(), "it waits for others");
        tap.turn(start + PATIENCE);
        let chunk = end.take().expect("open").expect("a chunk");
        assert_eq!(read(&chunk).len(), 2);
        tap.turn(start + PATIENCE * 9);
        assert!(end.take().expect("open").is_none(), "nothing was written");
    }

    #[test]
    fn without_a_free_chunk_frames_are_missed_and_counted() {
        let (mut tap, end, counters) = open(Reasons::all());
        let frame = vec![1; SNAP_LEN];
        let each = CHUNK_LEN / (SNAP_LEN + 64);
        for _ in 0..each * CHUNKS {
            tap.record(Counter::Runt, &frame);
        }
        assert_eq!(missed(&counters), 0);
        (0..5).for_each(|_| tap.record(Counter::Runt, &frame));
        assert_eq!(missed(&counters), 5);
        // A chunk that comes back is filled again, and only what is new is in it.
        let chunk = end.take().expect("open").expect("a chunk");
        assert_eq!(read(&chunk).len(), each);
        end.give_back(chunk);
        tap.record(Counter::Fragment, &frame);
        drop(tap);
        let rest: Vec<_> = std::iter::from_fn(|| end.take().ok().flatten()).collect();
        assert_eq!(rest.len(), CHUNKS);
        let last = read(&rest[CHUNKS - 1]);
        assert_eq!((last.len(), last[0].comment.as_str()), (1, "fragment"));
        assert_eq!(missed(&counters), 5);
    }

    #[test]
    fn chunks_never_grow() {
        let (mut tap, end, _) = open(Reasons::all());
        for len in (0..4000).map(|number| number * 37 % (SNAP_LEN + 100)) {
            tap.record(Counter::Delivered, &vec![0; len]);
            while let Ok(Some(chunk)) = end.take() {
                assert_eq!(chunk.blocks.capacity(), CHUNK_LEN);
                end.give_back(chunk);
            }
        }
    }

    #[test]
    fn where_nobody_reads_any_more_frames_are_missed() {
        let (mut tap, end, counters) = open(Reasons::all());
        tap.record(Counter::Runt, b"in a chunk");
        drop(end);
        tap.turn(Time::ZERO + PATIENCE);
        tap.record(Counter::Runt, b"into one that was left");
        drop(tap);
        assert_eq!(missed(&counters), 2);
    }

    #[test]
    fn reasons_are_what_the_host_sees() {
        let visible: Vec<_> = Reasons::visible().collect();
        for counter in [Counter::Delivered, Counter::Replied, Counter::SentLate, Counter::TxFull] {
            assert!(visible.contains(&counter), "{}", counter.name());
        }
        for counter in [Counter::Received, Counter::RxTruncated, Counter::Stopping, Counter::Polls] {
            assert!(!visible.contains(&counter), "{}", counter.name());
        }
    }

    // ---- the host's frames ---------------------------------------------------------

    /// A host on a memory port, with a tap.
    struct Rig {
        host: Host<MemoryQueue>,
        wire: MemoryQueue,
        end: TapEnd,
        now: Time,
    }

    impl Rig {
        fn new(reasons: Reasons) -> Self {
            let macs = [1, 2].map(|last| MacAddress([2, 0, 0, 0, 0, last]));
            let (queue, wire) = memory::pair(&MemoryConfig { macs, ..MemoryConfig::default() });
            let address = [10, 77, 0, 1].into();
            let own = InterfaceAddress { address, prefix_len: 24, vlans: Vlans::NONE };
            let addressing = Addressing::new(vec![own], vec![]).expect("valid");
            let config = HostConfig { burst: 8, outbox: 8, ..HostConfig::new(addressing) };
            let mut host = Host::new(queue, config);
            let config = TapConfig { reasons, interface: 0, epoch_nanos: EPOCH };
            let (tap, end) = Tap::open(config, Arc::clone(host.counters()));
            host.capture(tap);
            Self { host, wire, end, now: Time::ZERO }
        }

        fn turn(&mut self) {
            let mut forwards = Forwards::with_capacity(16);
            self.host.poll(self.now, &mut Obedient::default(), &mut forwards);
            self.host.discard_forwards(&mut forwards);
        }

        /// Sends a frame and gives what came back.
        fn exchange(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
            self.wire.send_frame(frame).expect("room");
            self.turn();
            self.wire.receive_frame()
        }

        /// What was written down since the last time: reasons, directions and frames.
        fn captured(&mut self) -> Vec<(String, u32, Vec<u8>)> {
            self.now = self.now + PATIENCE;
            self.turn();
            let mut all = Vec::new();
            while let Ok(Some(chunk)) = self.end.take() {
                let packets = read_packets(chunk.blocks()).into_iter();
                all.extend(packets.map(|read| (read.comment, read.flags, read.frame)));
                self.end.give_back(chunk);
            }
            all
        }
    }

    fn inbound(reason: &str, frame: &[u8]) -> (String, u32, Vec<u8>) {
        (reason.to_owned(), 1, frame.to_vec())
    }

    fn outbound(reason: &str, frame: &[u8]) -> (String, u32, Vec<u8>) {
        (reason.to_owned(), 2, frame.to_vec())
    }

    #[test]
    fn a_host_writes_down_what_it_drops_as_it_came() {
        let mut rig = Rig::new(Reasons::drops());
        let mut broken = hello();
        broken[45] = b'L';
        let stranger = arp(1, [10, 77, 0, 2], [10, 77, 0, 3]);
        assert!(rig.exchange(&hello()).is_some());
        for frame in [&broken, &stranger, &broken[..13].to_vec()] {
            assert_eq!(rig.exchange(frame), None);
        }
        let expected = [
            inbound("udp_checksum", &broken),
            inbound("arp_not_ours", &stranger),
            inbound("runt", &broken[..13]),
        ];
        assert_eq!(rig.captured(), expected);
    }

    #[test]
    fn a_host_writes_down_everything_before_and_after() {
        let mut rig = Rig::new(Reasons::all());
        let shout = frame(b"upper", |_| ());
        for (sent, received, answered) in [
            (shout, "delivered", "replied"),
            (ping(), "echo_answered", "host_replied"),
            (arp(1, [10, 77, 0, 2], [10, 77, 0, 1]), "arp_answered", "host_replied"),
        ] {
            let answer = rig.exchange(&sent).expect("an answer");
            assert_eq!(rig.captured(), [inbound(received, &sent), outbound(answered, &answer)]);
        }
    }

    #[test]
    fn what_waits_for_a_neighbour_is_written_down_as_it_leaves() {
        let mut rig = Rig::new(Reasons::all());
        let order = frame(b"s", |_| ());
        let request = rig.exchange(&order).expect("an ARP request");
        assert_eq!(rig.captured(), [inbound("delivered", &order), outbound("arp_requested", &request)]);
        let reply = arp(2, [10, 77, 0, 9], [10, 77, 0, 1]);
        let late = rig.exchange(&reply).expect("a datagram");
        assert_eq!(rig.captured(), [outbound("sent_late", &late), inbound("arp_learned", &reply)]);
        let next = rig.exchange(&order).expect("a datagram");
        assert_eq!(rig.captured(), [inbound("delivered", &order), outbound("originated", &next)]);
    }

    #[test]
    fn what_is_dropped_on_the_way_out_is_written_down_where_there_is_a_frame() {
        let mut rig = Rig::new(Reasons::drops());
        let long = ping_with(&[7; 1473]);
        assert!(rig.exchange(&long).is_some(), "the sender is told");
        assert_eq!(rig.captured(), [inbound("tx_oversize", &long)]);
        // No route: a payload without headers is no frame.
        assert_eq!(rig.exchange(&frame(b"f", |_| ())), None);
        assert_eq!(rig.host.counters().snapshot()[Counter::TxNoRoute], 1);
        assert_eq!(rig.captured(), []);
        rig.wire.send_frame(&hello()).expect("room");
        while rig.host.counters().snapshot()[Counter::TxFull] == 0 {
            rig.turn();
            rig.wire.send_frame(&hello()).expect("room");
        }
        let (reason, flags, frame) = rig.captured().remove(0);
        assert_eq!((reason.as_str(), flags, frame.len()), ("tx_full", 2, 60));
    }

    #[test]
    fn a_stopped_host_hands_over_the_rest() {
        let mut rig = Rig::new(Reasons::drops());
        assert_eq!(rig.exchange(&[0; 13]), None);
        let Rig { mut host, end, .. } = rig;
        host.drain();
        drop(host);
        let chunk = end.take().expect("there is more").expect("a chunk");
        assert_eq!(chunk.frames(), 1);
        assert!(end.take().is_err());
    }
}
