//! Payloads that are shared leave in the frames that they would leave in otherwise.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::{FAR, OVER_MTU, PEER, PEER6, finish, names};
use crate::host::{Addressing, FragmentPolicy, HostConfig, InterfaceAddress, Sharing};
use crate::port::memory::MemoryOffloads;
use crate::telemetry::{Counter, Snapshot};
use crate::wire::ethernet::MacAddress;
use crate::wire::vlan::{VlanId, Vlans};
use crate::{
    Datagram, GuardConfig, Lab, Outbox, Role, SendError, Service, Shared, Tick, Time, TooLong, Verdict,
};

/// Sends each payload to its receivers, a payload a tick; and when there is no other, those that it
/// kept.
struct Crier {
    is_sharing: bool,
    cries: Vec<Cry>,
    kept: Vec<(Cry, Option<Shared>)>,
    refused: usize,
}

/// A payload of so many bytes for those of [`receivers`].
#[derive(Clone, Debug)]
struct Cry {
    len: usize,
    receivers: Vec<usize>,
    is_kept: bool,
}

/// One place is for those that are not kept.
const KEPT: usize = Crier::SHARED - 1;

impl Crier {
    fn new(is_sharing: bool, cries: &[Cry]) -> Self {
        Self { is_sharing, cries: cries.iter().rev().cloned().collect(), kept: Vec::new(), refused: 0 }
    }

    fn cry(&mut self, cry: &Cry, outbox: &mut Outbox<'_>) -> Option<Shared> {
        let payload = payload(cry.len);
        match outbox.share(&payload) {
            Ok(shared) if self.is_sharing => {
                self.send(cry, outbox, |outbox, (from, to)| outbox.send_shared(from, to, &shared));
                Some(shared)
            }
            Err(SendError::Full) => panic!("there is a place"),
            Ok(_) | Err(SendError::TooLong(_)) => {
                self.send(cry, outbox, |outbox, (from, to)| outbox.send(from, to, &payload));
                None
            }
        }
    }

    fn send(
        &mut self,
        cry: &Cry,
        outbox: &mut Outbox<'_>,
        mut send: impl FnMut(&mut Outbox<'_>, (SocketAddr, SocketAddr)) -> Result<(), SendError>,
    ) {
        let sent = cry.receivers.iter().map(|&receiver| send(outbox, receivers()[receiver]));
        self.refused += sent.filter(Result::is_err).count();
    }

    fn cry_again(&mut self, outbox: &mut Outbox<'_>) {
        for (cry, shared) in std::mem::take(&mut self.kept) {
            match &shared {
                Some(shared) => {
                    self.send(&cry, outbox, |outbox, (from, to)| outbox.send_shared(from, to, shared));
                }
                None => _ = self.cry(&cry, outbox),
            }
            self.kept.push((cry, shared));
        }
    }
}

/// Our ends and theirs: neighbours of both families, some of which share a way, one behind a router,
/// a group, addresses that are not ours, a family that does not fit.
fn receivers() -> [(SocketAddr, SocketAddr); 10] {
    let own: SocketAddr = (Lab::<Crier>::ADDRESS, 7).into();
    let own6: SocketAddr = (Lab::<Crier>::ADDRESS_V6, 7).into();
    [
        (own, PEER.into()),
        (own6, PEER6.parse().expect("valid")),
        (own, ([10, 77, 0, 9], 5001).into()),
        (SocketAddr::new(own.ip(), 8), ([10, 77, 0, 10], 5000).into()),
        (own6, "[fd00:77::a]:5000".parse().expect("valid")),
        (own, FAR.into()),
        (own, "239.1.2.3:5000".parse().expect("valid")),
        (([10, 99, 0, 1], 7).into(), PEER.into()),
        (own, PEER6.parse().expect("valid")),
        (own, ([198, 51, 100, 7], 5000).into()),
    ]
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8) ^ (len as u8).rotate_left(3)).collect()
}

impl Service for Crier {
    const SHARED: usize = 4;

    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }

    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        let Some(cry) = self.cries.pop() else {
            self.cry_again(outbox);
            return Tick::Done(now + Duration::from_millis(1));
        };
        let shared = self.cry(&cry, outbox);
        if cry.is_kept && self.kept.len() < KEPT {
            self.kept.push((cry, shared));
        }
        Tick::Done(now + Duration::from_millis(1))
    }
}

/// What the port and the host are.
#[derive(Clone, Copy, Debug)]
struct Scene {
    tx_shared: bool,
    tx_udp_checksum: bool,
    sharing: Sharing,
    guards: GuardConfig,
    fragments: FragmentPolicy,
    is_tagged: bool,
}

const PLAIN: Scene = Scene {
    tx_shared: true,
    tx_udp_checksum: false,
    sharing: Sharing::Share,
    guards: GuardConfig::OFF,
    fragments: FragmentPolicy::Drop,
    is_tagged: false,
};

fn lab(scene: Scene, service: Crier) -> Lab<Crier> {
    let Scene { tx_shared, tx_udp_checksum, sharing, guards, fragments, is_tagged } = scene;
    let offloads = MemoryOffloads { tx_shared, tx_udp_checksum, ..MemoryOffloads::default() };
    let change = |config: &mut HostConfig| {
        config.guards = guards.resolve(Role::Stateful);
        (config.sharing, config.fragments) = (sharing, fragments);
        // The others are asked for.
        config.neighbours = vec![(PEER.0.into(), MacAddress([2, 0, 0, 0, 0, 9]))];
        if is_tagged {
            let vlans = Vlans::one(VlanId::new(5).expect("valid"));
            let own = |address, prefix_len| InterfaceAddress { address, prefix_len, vlans };
            let own = vec![own(Lab::<Crier>::ADDRESS.into(), 24), own(Lab::<Crier>::ADDRESS_V6.into(), 64)];
            config.addressing = Addressing::new(own, vec![[10, 77, 0, 254].into()]).expect("on the link");
        }
    };
    Lab::granted(offloads, service, change, |host| host)
}

/// The frames that a lab sends within so many ticks, its questions answered; and what it counted
/// beside what became of shared payloads.
fn run(mut lab: Lab<Crier>, ticks: usize) -> (Run, Snapshot) {
    let mut frames = Vec::new();
    for _ in 0..ticks {
        lab.advance(Duration::from_millis(1));
        let sent: Vec<_> = std::iter::from_fn(|| lab.receive_frame()).collect();
        let answers: Vec<_> = sent.iter().filter_map(|frame| crate::lab::answer(frame)).collect();
        answers.iter().for_each(|answer| assert!(lab.send_frame(answer)));
        frames.extend(sent);
    }
    let refused = lab.service().refused;
    let counters = finish(lab);
    let is_told = |counter| !matches!(counter, Counter::TxShared | Counter::TxCopied);
    let counted = counters.non_zero().filter(|&(counter, _)| is_told(counter)).collect();
    (Run { frames, counted, refused }, counters)
}

/// What is the same however a payload is sent.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    frames: Vec<Vec<u8>>,
    counted: Vec<(Counter, u64)>,
    refused: usize,
}

fn compare(scene: Scene, cries: &[Cry]) -> Snapshot {
    let run = |is_sharing| run(lab(scene, Crier::new(is_sharing, cries)), cries.len() + 3);
    let ((expected, _), (found, counters)) = (run(false), run(true));
    assert_eq!(found, expected, "{scene:?}");
    counters
}

fn to_all(len: usize) -> Cry {
    Cry { len, receivers: (0..receivers().len()).collect(), is_kept: false }
}

#[test]
fn a_ready_way_shares_and_the_first_datagram_to_a_neighbour_is_a_copy() {
    // Of the first of three payloads all go by ways that have to be found: one neighbour is known,
    // and to one group there is always a way.
    let counters = compare(PLAIN, &[to_all(1000), to_all(1000), to_all(1000)]);
    // Two who have no way and two whose neighbour is asked for in each round, and three more in the first.
    let (shared, copied) = (counters[Counter::TxShared], counters[Counter::TxCopied]);
    assert_eq!(shared + copied, 30, "{:?}", names(&counters));
    assert!(shared > 15 && copied >= 6, "{shared} shared, {copied} copied");
    let counters = compare(Scene { tx_shared: false, ..PLAIN }, &[to_all(1000), to_all(1000)]);
    assert_eq!((counters[Counter::TxShared], counters[Counter::TxCopied]), (0, 20));
}

#[test]
fn short_payloads_are_copied_unless_all_are_to_be_shared() {
    let is_shared = |sharing, len| {
        let cry = Cry { len, receivers: vec![0], is_kept: false };
        compare(Scene { sharing, ..PLAIN }, &[cry])[Counter::TxShared] == 1
    };
    let least = Sharing::Auto.least(true).expect("some are shared");
    let docs = include_str!("../../../../docs/services.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(docs.contains(&format!("a payload of {least} bytes or more is in one mbuf")), "{least}");
    assert!(is_shared(Sharing::Auto, least) && !is_shared(Sharing::Auto, least - 1));
    assert!(is_shared(Sharing::Share, 18), "the shortest frame");
    assert!(!is_shared(Sharing::Share, 17), "a frame that has to be filled up");
    assert!(!is_shared(Sharing::Share, 0) && !is_shared(Sharing::Copy, 1472));
}

#[test]
fn an_unvalidated_receiver_is_sent_nothing() {
    let scene = Scene { guards: GuardConfig::default(), ..PLAIN };
    let counters = compare(scene, &[to_all(1000)]);
    assert_eq!(counters[Counter::TxAmplification], 10);
}

#[test]
fn a_payload_is_kept_and_sent_again() {
    struct Keeper(Option<Shared>);
    impl Service for Keeper {
        const SHARED: usize = 2;

        fn on_datagram(
            &mut self,
            _now: Time,
            datagram: &mut Datagram<'_>,
            outbox: &mut Outbox<'_>,
        ) -> Verdict {
            let (own, to) = (datagram.destination(), datagram.source());
            let kept = self.0.get_or_insert_with(|| outbox.share(&payload(700)).expect("a place"));
            outbox.send_shared(own, to, kept).expect("room");
            // The other place is free again every time.
            let other = outbox.share(&payload(600)).expect("a place");
            assert!(matches!(outbox.share(b"no more"), Err(SendError::Full)));
            outbox.send_shared(own, to, &other).expect("room");
            drop(other);
            assert!(matches!(outbox.share(b"it is not sent yet"), Err(SendError::Full)));
            Verdict::Drop
        }
    }
    let mut lab = Lab::granted(
        MemoryOffloads { tx_shared: true, ..MemoryOffloads::default() },
        Keeper(None),
        |config| (config.guards, config.sharing) = (GuardConfig::OFF.resolve(Role::Stateful), Sharing::Share),
        |host| host,
    );
    for _ in 0..5 {
        lab.send("10.77.0.2:4660", 7, b"again");
        lab.turn();
        for len in [700, 600] {
            assert_eq!(lab.receive().map(|received| received.payload), Some(payload(len)));
        }
    }
    let counters = finish(lab);
    assert_eq!((counters[Counter::TxShared], counters[Counter::TxCopied]), (8, 2), "the first wait for ARP");
}

#[test]
fn a_place_that_is_written_anew_is_sent_anew() {
    struct Reviser(Option<Shared>, usize);
    impl Service for Reviser {
        const SHARED: usize = 1;

        fn on_datagram(
            &mut self,
            _now: Time,
            datagram: &mut Datagram<'_>,
            outbox: &mut Outbox<'_>,
        ) -> Verdict {
            self.1 += 100;
            // The last one was kept until now, and what is sent has its place.
            self.0 = None;
            let shared = self.0.insert(outbox.share(&payload(self.1)).expect("a place"));
            outbox.send_shared(datagram.destination(), datagram.source(), shared).expect("room");
            Verdict::Drop
        }
    }
    let mut lab = Lab::granted(
        MemoryOffloads { tx_shared: true, ..MemoryOffloads::default() },
        Reviser(None, 0),
        |config| (config.guards, config.sharing) = (GuardConfig::OFF.resolve(Role::Stateful), Sharing::Share),
        |host| host,
    );
    for turn in 1..5 {
        assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"and now?"), Some(payload(100 * turn)));
    }
    assert_eq!(finish(lab)[Counter::TxShared], 3);
}

#[test]
fn too_long_is_said_before_anything_is_sent() {
    struct Long;
    impl Service for Long {
        const SHARED: usize = 1;

        fn on_datagram(
            &mut self,
            _now: Time,
            datagram: &mut Datagram<'_>,
            outbox: &mut Outbox<'_>,
        ) -> Verdict {
            let refused = |len| SendError::TooLong(TooLong { len, max: 1472 });
            assert_eq!(outbox.share(&[0; OVER_MTU]).err(), Some(refused(OVER_MTU)));
            let whole = outbox.share_with(1472, |room| room.fill(1)).expect("a place");
            let (own, to) = (datagram.destination(), datagram.source());
            let sent = outbox.send_shared(own, to, &whole);
            assert_eq!(sent, outbox.send(own, to, whole.payload()));
            assert_eq!(sent.is_ok(), own.is_ipv4(), "{sent:?}");
            Verdict::Drop
        }
    }
    let mut lab = Lab::new(Long);
    for from in ["10.77.0.2:4660", "[fd00:77::2]:4660"] {
        lab.send(from, 7, b"go");
        lab.turn();
    }
    finish(lab);
}

#[test]
fn a_service_that_shares_nothing_has_no_places() {
    struct None;
    impl Service for None {
        fn on_datagram(
            &mut self,
            _now: Time,
            _datagram: &mut Datagram<'_>,
            outbox: &mut Outbox<'_>,
        ) -> Verdict {
            assert!(matches!(outbox.share(b""), Err(SendError::Full)));
            Verdict::Reply
        }
    }
    let mut lab = Lab::new(None);
    assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"hello").as_deref(), Some(&b"hello"[..]));
    finish(lab);
}

fn cry() -> impl Strategy<Value = Cry> {
    let len = prop_oneof![0..64_usize, 200..300_usize, 1440..1480_usize, 1473..1900_usize];
    let receivers = prop::collection::vec(0..receivers().len(), 0..12);
    (len, receivers, any::<bool>()).prop_map(|(len, receivers, is_kept)| Cry { len, receivers, is_kept })
}

fn scene() -> impl Strategy<Value = Scene> {
    let sharing = prop_oneof![Just(Sharing::Auto), Just(Sharing::Share), Just(Sharing::Copy)];
    let guarded = GuardConfig { source_port: Some(true), ..GuardConfig::OFF };
    let guards = prop_oneof![Just(GuardConfig::OFF), Just(guarded)];
    let fragments = prop_oneof![Just(FragmentPolicy::Drop), Just(FragmentPolicy::Reassemble)];
    (any::<[bool; 3]>(), sharing, guards, fragments).prop_map(|(bits, sharing, guards, fragments)| {
        let [tx_shared, tx_udp_checksum, is_tagged] = bits;
        Scene { tx_shared, tx_udp_checksum, sharing, guards, fragments, is_tagged }
    })
}

proptest! {
    #[test]
    fn what_leaves_is_what_would_leave_otherwise(
        scene in scene(),
        cries in prop::collection::vec(cry(), 1..8),
    ) {
        compare(scene, &cries);
    }
}
