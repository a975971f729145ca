use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::host::fragment::Pieces;

mod soup;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
const PEER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2));
const OWN6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1));
const UDP: u8 = 17;
const BYTES: [u8; 256] = [7; 256];

fn reassembly(datagrams: usize, fragments: usize) -> Reassembly {
    Reassembly::new(ReassemblyConfig { datagrams, fragments, timeout: Duration::from_secs(30) })
}

fn fragment(offset: usize, more: bool, payload: &[u8]) -> Fragment<'_> {
    Fragment {
        link: 0,
        source: PEER,
        destination: OWN,
        protocol: UDP,
        identification: 1,
        differentiated_services: 0,
        offset,
        more,
        header: &[0x45; 20],
        payload,
    }
}

fn fragment6(offset: usize, more: bool, payload: &[u8]) -> Fragment<'_> {
    Fragment { source: PEER6, destination: OWN6, header: &[0x60; 48], ..fragment(offset, more, payload) }
}

fn from(bits: u32, identification: u32) -> Fragment<'static> {
    Fragment { source: Ipv4Addr::from_bits(bits).into(), identification, ..fragment(0, true, &BYTES[..8]) }
}

/// Inserts at time zero; nothing may be evicted.
fn insert(reassembly: &mut Reassembly, fragment: Fragment<'_>) -> Outcome {
    let insertion = reassembly.insert(Time::ZERO, &fragment);
    assert_eq!(insertion.evicted, 0);
    insertion.outcome
}

fn dropped(reason: Reason, fragments: usize) -> Outcome {
    Outcome::Dropped { reason, fragments }
}

#[test]
fn fragments_in_any_order_become_the_datagram() {
    let bytes: Vec<u8> = (0..20).collect();
    let mut reassembly = reassembly(4, 8);
    let last = Fragment { differentiated_services: 0x10, ..fragment(16, false, &bytes[16..]) };
    let first = Fragment { differentiated_services: 0xb8, ..fragment(0, true, &bytes[..8]) };
    assert_eq!(insert(&mut reassembly, last), Outcome::Held);
    assert_eq!(insert(&mut reassembly, first), Outcome::Held);
    assert_eq!(reassembly.held(), 2);
    let outcome = insert(&mut reassembly, fragment(8, true, &bytes[8..16]));
    let Outcome::Complete(joined) = outcome else { panic!("{outcome:?}") };
    assert_eq!((joined.len, joined.fragments, joined.differentiated_services), (20, 3, 0xb8));
    assert_eq!((joined.link, joined.source, joined.destination, joined.protocol), (0, PEER, OWN, UDP));
    let room = reassembly.room_mut(&joined);
    assert_eq!((&room[..20], room.len()), (&bytes[..], 65_535));
    assert_eq!(reassembly.held(), 0);
}

#[test]
fn datagrams_are_told_apart_by_every_part_of_their_key() {
    let bytes = &BYTES[..8];
    let alike = [
        fragment(8, false, bytes),
        Fragment { link: 1, ..fragment(8, false, bytes) },
        Fragment { source: OWN, ..fragment(8, false, bytes) },
        Fragment { destination: PEER, ..fragment(8, false, bytes) },
        Fragment { identification: 2, ..fragment(8, false, bytes) },
        Fragment { protocol: 1, ..fragment(8, false, bytes) },
    ];
    let mut reassembly = reassembly(32, 8);
    for other in alike {
        assert_eq!(insert(&mut reassembly, other), Outcome::Held, "{other:?}");
    }
    assert!(matches!(insert(&mut reassembly, fragment(0, true, bytes)), Outcome::Complete(_)));
    assert_eq!(reassembly.held(), alike.len() - 1);
}

#[test]
fn on_ipv6_the_first_fragment_says_what_the_datagram_carries() {
    let mut reassembly = reassembly(4, 8);
    let last = Fragment { protocol: 99, ..fragment6(8, false, &BYTES[..8]) };
    assert_eq!(insert(&mut reassembly, last), Outcome::Held);
    let outcome = insert(&mut reassembly, fragment6(0, true, &BYTES[..8]));
    assert!(matches!(outcome, Outcome::Complete(Joined { protocol: UDP, .. })), "{outcome:?}");
}

#[test]
fn a_duplicate_is_dropped_alone() {
    let mut reassembly = reassembly(4, 8);
    assert_eq!(insert(&mut reassembly, fragment(0, true, &BYTES[..16])), Outcome::Held);
    assert_eq!(insert(&mut reassembly, fragment(0, true, &BYTES[..16])), dropped(Reason::Duplicate, 0));
    assert_eq!(insert(&mut reassembly, fragment(24, false, &BYTES[..1])), Outcome::Held);
    assert_eq!(insert(&mut reassembly, fragment(24, false, &BYTES[..1])), dropped(Reason::Duplicate, 0));
    assert!(matches!(insert(&mut reassembly, fragment(16, true, &BYTES[..8])), Outcome::Complete(_)));
}

#[test]
fn an_overlap_takes_the_datagram_and_what_still_comes_of_it() {
    // Teardrop, and every other way to overlap 16..32; the last has its range, with other bytes.
    let overlaps = [(8, 16), (24, 8), (24, 16), (16, 8), (8, 32), (0, 64), (16, 24)];
    let overlaps = overlaps.map(|(offset, len)| fragment(offset, true, &BYTES[..len]));
    for overlap in overlaps.into_iter().chain([fragment(16, true, &[8; 16])]) {
        for make in [
            |fragment| fragment,
            |fragment: Fragment<'static>| Fragment { header: &[0x60; 48], source: PEER6, ..fragment },
        ] {
            let mut reassembly = reassembly(4, 8);
            assert_eq!(insert(&mut reassembly, make(fragment(64, true, &BYTES[..8]))), Outcome::Held);
            assert_eq!(insert(&mut reassembly, make(fragment(16, true, &BYTES[..16]))), Outcome::Held);
            assert_eq!(insert(&mut reassembly, make(overlap)), dropped(Reason::Overlap, 2), "{overlap:?}");
            assert_eq!(reassembly.held(), 0);
            let other = make(fragment(128, true, &BYTES[..8]));
            assert_eq!(insert(&mut reassembly, other), dropped(Reason::Condemned, 0));
            assert_eq!(insert(&mut reassembly, make(overlap)), dropped(Reason::Condemned, 0));
            // Its time is over silently, and its number free for another datagram.
            let end = reassembly.next_deadline();
            reassembly.step(end, |expired| panic!("{expired:?}"));
            assert_eq!(reassembly.insert(end, &other).outcome, Outcome::Held);
        }
    }
}

#[test]
fn fragments_that_disagree_about_the_end_take_the_datagram() {
    let bytes = |len: usize| &BYTES[..len];
    let disagreements = [
        // Two ends, in both orders; more beyond the end; the same bytes, now as the end and now not.
        [fragment(16, false, bytes(8)), fragment(24, false, bytes(8))],
        [fragment(24, false, bytes(8)), fragment(16, false, bytes(8))],
        [fragment(16, false, bytes(8)), fragment(24, true, bytes(8))],
        [fragment(24, true, bytes(8)), fragment(16, false, bytes(8))],
        [fragment(16, false, bytes(8)), fragment(16, true, bytes(8))],
        [fragment(16, true, bytes(8)), fragment(16, false, bytes(8))],
    ];
    for [first, second] in disagreements {
        let mut reassembly = reassembly(4, 8);
        assert_eq!(insert(&mut reassembly, first), Outcome::Held);
        assert_eq!(
            insert(&mut reassembly, second),
            dropped(Reason::Contradiction, 1),
            "{first:?} {second:?}"
        );
    }
}

#[test]
fn a_fragment_that_cannot_be_one_is_dropped_alone() {
    let mut reassembly = reassembly(4, 8);
    assert_eq!(insert(&mut reassembly, fragment(0, true, &BYTES[..8])), Outcome::Held);
    let malformed = dropped(Reason::Malformed, 0);
    for wrong in [(8, true, 7), (8, true, 0), (8, false, 0), (9, false, 8)] {
        let wrong = fragment(wrong.0, wrong.1, &BYTES[..wrong.2]);
        assert_eq!(insert(&mut reassembly, wrong), malformed, "{wrong:?}");
    }
    assert_eq!(reassembly.held(), 1);
    assert!(matches!(insert(&mut reassembly, fragment(8, false, &BYTES[..1])), Outcome::Complete(_)));
}

#[test]
fn no_packet_gets_longer_than_its_length_field_says() {
    let mut reassembly = reassembly(32, 8);
    let bytes = |len: usize| &BYTES[..len];
    // 20 + 65,512 + 3 = 65,535: the ping of death was longer.
    assert_eq!(insert(&mut reassembly, fragment(65_512, false, bytes(3))), Outcome::Held);
    let too_long = dropped(Reason::TooLong, 0);
    assert_eq!(insert(&mut reassembly, fragment(65_512, false, bytes(4))), too_long);
    assert_eq!(insert(&mut reassembly, fragment(65_528, false, bytes(100))), too_long);
    let options = Fragment { header: &[0x46; 24], identification: 2, ..fragment(65_512, false, bytes(3)) };
    assert_eq!(insert(&mut reassembly, options), too_long);
    // IPv6 counts neither its own header nor the fragment header.
    assert_eq!(insert(&mut reassembly, fragment6(65_528, false, bytes(8))), too_long);
    assert_eq!(insert(&mut reassembly, fragment6(65_528, false, bytes(7))), Outcome::Held);
    let extended = Fragment { header: &[0x60; 56], ..fragment6(65_528, false, bytes(7)) };
    assert_eq!(insert(&mut reassembly, extended), too_long);
}

#[test]
fn a_first_fragment_reaches_into_the_upper_header() {
    let first = |protocol: u8, payload: &[u8]| {
        let first = Fragment { protocol, ..fragment6(0, true, payload) };
        insert(&mut reassembly(4, 8), first)
    };
    let too_short = dropped(Reason::HeaderChain, 0);
    let options = [UDP, 0, 1, 4, 0, 0, 0, 0];
    let udp = [1; 8];
    assert_eq!(first(UDP, &udp), Outcome::Held);
    assert_eq!(first(60, &[options, udp].concat()), Outcome::Held);
    assert_eq!(first(60, &options), too_short, "nothing behind the options");
    assert_eq!(first(60, &[UDP, 1, 1, 4, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0]), too_short);
    assert_eq!(
        first(60, &[[UDP, 200, 1, 4, 0, 0, 0, 0], udp].concat()),
        too_short,
        "longer than the fragment"
    );
    assert_eq!(first(44, &[options, udp].concat()), too_short, "a fragment of a fragment");
    assert_eq!(first(51, &[[UDP, 0, 0, 0, 0, 0, 0, 0], udp].concat()), Outcome::Held, "authentication");
    let signed = [&[UDP, 4][..], &[0; 22], &udp].concat();
    assert_eq!(first(51, &signed), Outcome::Held, "authentication counts in other units");
    assert_eq!(first(51, &signed[..24]), too_short);
    let endless = [[60, 0, 1, 4, 0, 0, 0, 0]; 30].concat();
    assert_eq!(first(60, &endless), too_short, "a chain without end");
    // A first and last fragment at once, shorter than a header.
    assert_eq!(insert(&mut reassembly(4, 8), fragment(0, false, &BYTES[..7])), too_short);
}

#[test]
fn a_datagram_has_so_many_fragments() {
    let mut reassembly = reassembly(4, 8);
    for index in 0..8 {
        assert_eq!(insert(&mut reassembly, fragment(index * 16, true, &BYTES[..8])), Outcome::Held);
    }
    assert_eq!(insert(&mut reassembly, fragment(0, true, &BYTES[..8])), dropped(Reason::Duplicate, 0));
    assert_eq!(insert(&mut reassembly, fragment(8, true, &BYTES[..8])), dropped(Reason::TooMany, 8));
    assert_eq!(insert(&mut reassembly, fragment(24, true, &BYTES[..8])), dropped(Reason::Condemned, 0));
}

#[test]
fn what_stays_incomplete_expires_with_what_an_error_message_quotes() {
    let mut reassembly = reassembly(8, 8);
    let header: Vec<u8> = (0..20).collect();
    let whole = Fragment { link: 5, header: &header, ..fragment(0, true, &BYTES[..256]) };
    insert(&mut reassembly, whole);
    insert(&mut reassembly, Fragment { link: 5, ..fragment(256, true, &BYTES[..8]) });
    let second = Time::ZERO + Duration::from_secs(1);
    reassembly.insert(second, &Fragment { identification: 2, ..fragment(8, true, &BYTES[..8]) });
    let deadline = reassembly.next_deadline();
    assert_eq!(deadline, Time::ZERO + Duration::from_secs(30));
    let before = Time::from_nanos(deadline.as_nanos() - 1);
    reassembly.step(before, |expired| panic!("{expired:?}"));
    let mut count = 0;
    reassembly.step(deadline, |expired| {
        count += 1;
        let quote = [&header[..], &BYTES[..108]].concat();
        assert_eq!(expired.quote, Some(&quote[..]));
        assert_eq!((expired.link, expired.source, expired.destination), (5, PEER, OWN));
        assert_eq!(expired.fragments, 2);
    });
    assert_eq!((count, reassembly.held()), (1, 1));
    assert_eq!(reassembly.next_deadline(), deadline + Duration::from_secs(1));
    reassembly.step(deadline + Duration::from_secs(1), |expired| {
        assert_eq!((expired.quote, expired.fragments), (None, 1), "the first fragment never came");
        count += 1;
    });
    assert_eq!((count, reassembly.held(), reassembly.next_deadline()), (2, 0, Time::NEVER));
}

#[test]
fn a_datagram_is_not_quoted_with_another_ones_first_fragment() {
    let mut reassembly = reassembly(1, 8);
    assert_eq!(insert(&mut reassembly, fragment(0, true, &BYTES[..8])), Outcome::Held);
    let other = Fragment { identification: 2, ..fragment(8, true, &BYTES[..8]) };
    assert_eq!(reassembly.insert(Time::ZERO, &other).evicted, 1);
    let mut quotes = Vec::new();
    reassembly.step(reassembly.next_deadline(), |expired| quotes.push(expired.quote.map(<[u8]>::to_vec)));
    assert_eq!(quotes, [None]);
}

#[test]
fn the_oldest_gives_way_when_all_are_in_use() {
    let mut reassembly = reassembly(8, 8);
    let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
    for n in 0..8 {
        let insertion = reassembly.insert(at(n), &from(n as u32, 1));
        assert_eq!(insertion, Insertion { evicted: 0, outcome: Outcome::Held });
    }
    let second_of_oldest = Fragment { offset: 8, ..from(0, 1) };
    assert_eq!(reassembly.insert(at(8), &second_of_oldest).evicted, 0);
    assert_eq!(reassembly.insert(at(9), &from(100, 1)), Insertion { evicted: 2, outcome: Outcome::Held });
    assert_eq!(reassembly.held(), 8);
    let mut expired = Vec::new();
    reassembly.step(at(100), |datagram| expired.push(datagram.source));
    expired.sort();
    assert_eq!(expired, [1, 2, 3, 4, 5, 6, 7, 100].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))));
}

#[test]
fn one_source_holds_a_quarter_and_evicts_itself() {
    let mut reassembly = reassembly(16, 8);
    assert_eq!(insert(&mut reassembly, from(1, 0)), Outcome::Held);
    let evicted: usize =
        (0..1000).map(|n| reassembly.insert(Time::from_nanos(n), &from(2, n as u32)).evicted).sum();
    assert_eq!((evicted, reassembly.held()), (996, 5));
    let rest = Fragment { offset: 8, more: false, ..from(1, 0) };
    assert!(
        matches!(insert(&mut reassembly, rest), Outcome::Complete(_)),
        "the other source's is still there"
    );
    let newest = Fragment { offset: 8, more: false, ..from(2, 999) };
    assert!(matches!(insert(&mut reassembly, newest), Outcome::Complete(_)));
}

#[test]
fn addresses_of_one_ipv6_network_are_one_source() {
    let mut reassembly = reassembly(16, 8);
    let from = |bits: u128| Fragment { source: IpAddr::V6(bits.into()), ..fragment6(8, true, &BYTES[..8]) };
    let mut evicted = |source: u128| reassembly.insert(Time::ZERO, &from(source)).evicted;
    assert_eq!((0..100).map(|n| evicted(n << 10 | 0xfd << 120)).sum::<usize>(), 96);
    assert_eq!((0..12).map(|n| evicted(n << 64 | 0xfe << 120)).sum::<usize>(), 0);
    assert_eq!(reassembly.held(), 16);
}

#[test]
fn the_smallest_reassembly_works_and_a_cleared_one_is_empty() {
    let mut reassembly = reassembly(0, 2);
    assert_eq!(insert(&mut reassembly, from(1, 1)), Outcome::Held);
    assert_eq!(reassembly.insert(Time::ZERO, &from(2, 1)), Insertion { evicted: 1, outcome: Outcome::Held });
    assert_eq!((reassembly.clear(), reassembly.held()), (1, 0));
    assert_eq!(reassembly.next_deadline(), Time::NEVER);
}

/// A payload of `len` bytes that says at every place where it is.
fn payload(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8) as u8 ^ seed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_was_cut_and_shuffled_is_the_same_again(
        sizes in vec(8..65_516_usize, 1..4),
        is_ipv6: bool,
        mtu in 0..7721_usize,
        order in vec(any::<u32>(), 512),
        copies in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let make = if is_ipv6 { fragment6 } else { fragment };
        let (mtu, header_len) = if is_ipv6 { (1280 + mtu, 48) } else { (576 + mtu, 20) };
        let payloads: Vec<_> = sizes.iter().zip(0..).map(|(&len, seed)| payload(len, seed)).collect();
        let mut fragments = Vec::new();
        for (bytes, identification) in payloads.iter().zip(0..) {
            for piece in Pieces::new(bytes.len(), mtu, header_len).expect("room") {
                let bytes = &bytes[piece.offset..piece.offset + piece.len];
                fragments.push(Fragment { identification, ..make(piece.offset, piece.more, bytes) });
            }
        }
        let copies: Vec<_> = copies.iter().map(|index| fragments[index.index(fragments.len())]).collect();
        let count = fragments.len();
        fragments.extend(copies);
        let mut shuffled: Vec<_> = fragments.iter().zip(order.iter().cycle()).collect();
        shuffled.sort_by_key(|(_, place)| **place);

        let mut reassembly = reassembly(16, 128);
        let (mut joined_frames, mut duplicates, mut done) = (0, 0, [false; 4]);
        for (fragment, _) in shuffled {
            let identification = fragment.identification as usize;
            match insert(&mut reassembly, *fragment) {
                Outcome::Complete(joined) => {
                    joined_frames += joined.fragments;
                    prop_assert!(reassembly.room_mut(&joined)[..joined.len] == payloads[identification]);
                    // Only a duplicate of all its fragments could complete it again.
                    done[identification] = true;
                }
                Outcome::Dropped { reason, .. } => {
                    prop_assert_eq!(reason, Reason::Duplicate);
                    duplicates += 1;
                }
                Outcome::Held => {}
            }
        }
        prop_assert!(done[..sizes.len()].iter().all(|&done| done));
        prop_assert!(joined_frames >= count);
        prop_assert_eq!(joined_frames + duplicates + reassembly.held(), fragments.len());
    }
}
