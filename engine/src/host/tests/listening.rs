//! Which groups we listen to, said and asked for.

use std::time::Duration;

use super::packets::{Frame, HOP_BY_HOP, ICMPV6, Seen, read};
use super::{Obedient, exchange, finish, sent};
use crate::Lab;
use crate::telemetry::Counter;

const GROUPS: [&str; 2] = ["ff02::1:ff00:1", "ff02::1:ff00:2"];
const LINK_LOCAL: &str = "fe80::ff:fe00:1";
const ROUTERS: &str = "ff02::16";
const ASKER: &str = "fe80::77";
const OBJECTION: Duration = Duration::from_secs(1);
const VERSION_1: u8 = 131;
const VERSION_2: u8 = 143;
const NEW: u8 = 4;
const AS_BEFORE: u8 = 2;

/// Whether it says who listens.
pub(super) fn is_report(seen: &Seen) -> bool {
    seen.protocol == ICMPV6 && matches!(seen.icmp().0, VERSION_1 | VERSION_2)
}

/// A report as it left: its type, who sent it, to whom, about which group, and what is said of it.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    version: u8,
    from: String,
    to: String,
    group: String,
    what: u8,
}

fn reports(frames: &[Vec<u8>]) -> Vec<Report> {
    let ip = |frame: &&Vec<u8>| frame[12..14] != [8, 6];
    frames.iter().filter(ip).map(|frame| read(frame)).filter(is_report).map(report).collect()
}

fn report(seen: Seen) -> Report {
    let (version, code, rest, body) = seen.icmp();
    let (what, group) = match version {
        VERSION_1 => (0, body),
        _ => {
            assert_eq!((rest, &body[1..4]), ([0, 0, 0, 1], &[0; 3][..]), "one record, no sources");
            (body[0], &body[4..])
        }
    };
    assert_eq!((code, seen.hops), (0, 1));
    let group = std::net::Ipv6Addr::from(<[u8; 16]>::try_from(group).expect("an address")).to_string();
    let (from, to) = (seen.source.to_string(), seen.destination.to_string());
    Report { version, from, to, group, what }
}

fn all(from: &str, what: u8) -> Vec<Report> {
    let report = |group: &str| Report {
        version: VERSION_2,
        from: from.to_owned(),
        to: ROUTERS.to_owned(),
        group: group.to_owned(),
        what,
    };
    GROUPS.map(report).into()
}

/// A lab with addresses of two groups, some of which have two addresses.
fn two_groups(announces: bool) -> Lab<Obedient> {
    Lab::with(Obedient::default(), |config| {
        config.announces = announces;
        let mut own = config.addressing.addresses().to_vec();
        let mut other = own[own.len() - 1];
        other.address = "fd00:77::2".parse().expect("an address");
        own.push(other);
        config.addressing = crate::host::Addressing::new(own, Vec::new()).expect("no gateway");
        config.addressing.add_link_locals(crate::wire::ethernet::MacAddress([2, 0, 0, 0, 0, 1]));
    })
}

/// A query of version 2, or of version 1 without its last four bytes.
fn query(to: &str, group: &str, millis: u16) -> Frame {
    let [high, low] = millis.to_be_bytes();
    let mut frame = Frame::ndp(ASKER, to, 130, group, &[2, 125, 0, 0]);
    frame.body[4..6].copy_from_slice(&[high, low]);
    frame.hops = 1;
    frame.extensions = vec![(HOP_BY_HOP, vec![0, 0, 5, 2, 0, 0, 1, 0])];
    frame.fill_icmp_checksum();
    frame
}

fn general(millis: u16) -> Frame {
    query("ff02::1", "::", millis)
}

#[test]
fn groups_are_reported_at_the_start_and_again_from_an_address() {
    let mut lab = two_groups(true);
    lab.turn();
    assert_eq!(reports(&sent(&mut lab)), all("::", NEW), "before it is asked who has the addresses");
    lab.advance(OBJECTION);
    assert_eq!(reports(&sent(&mut lab)), all(LINK_LOCAL, NEW));
    lab.advance(Duration::from_secs(100));
    assert_eq!(reports(&sent(&mut lab)), []);
    assert_eq!(finish(lab)[Counter::ListenerReported], 4);
}

#[test]
fn a_query_is_answered_in_its_time_and_once() {
    let mut lab = two_groups(false);
    assert!(exchange(&mut lab, &[general(1000), general(1000)]).is_empty(), "not at once");
    let begin = lab.now();
    while reports_now(&mut lab).is_empty() {
        lab.advance(Duration::from_millis(10));
        assert!(lab.now() - begin <= Duration::from_millis(1010), "it takes too long");
    }
    lab.advance(Duration::from_secs(10));
    assert_eq!(reports(&sent(&mut lab)), []);
    let counters = finish(lab);
    assert_eq!((counters[Counter::ListenerQueried], counters[Counter::ListenerReported]), (2, 2));
}

fn reports_now(lab: &mut Lab<Obedient>) -> Vec<Report> {
    let reports = reports(&sent(lab));
    assert!(reports.is_empty() || reports == all(LINK_LOCAL, AS_BEFORE), "{reports:?}");
    reports
}

#[test]
fn queries_with_no_time_and_for_one_group_are_answered_at_once() {
    let mut lab = two_groups(false);
    for frame in [general(0), query(GROUPS[0], GROUPS[0], 0)] {
        lab.send_frame(&frame.bytes());
        lab.turn();
        assert_eq!(reports(&sent(&mut lab)), all(LINK_LOCAL, AS_BEFORE));
        lab.advance(Duration::from_secs(1));
    }
    finish(lab);
}

#[test]
fn a_flood_of_queries_makes_no_flood_of_reports() {
    let mut lab = two_groups(false);
    let mut count = 0;
    for _ in 0..1000 {
        lab.send_frame(&general(0).bytes());
        lab.advance(Duration::from_millis(10));
        count += reports(&sent(&mut lab)).len();
    }
    assert_eq!(count, 2 * 10);
    assert_eq!(finish(lab)[Counter::ListenerQueried], 1000);
}

#[test]
fn who_asks_in_version_1_is_answered_in_it() {
    let mut lab = two_groups(false);
    let mut frame = general(0);
    frame.body.truncate(24);
    frame.fill_icmp_checksum();
    lab.send_frame(&frame.bytes());
    lab.turn();
    let expected = |group: &str| Report {
        version: VERSION_1,
        from: LINK_LOCAL.to_owned(),
        to: group.to_owned(),
        group: group.to_owned(),
        what: 0,
    };
    assert_eq!(reports(&sent(&mut lab)), GROUPS.map(expected));
    finish(lab);
}

#[test]
fn queries_that_break_the_rules_are_not_answered() {
    let changed = |change: fn(&mut Frame)| {
        let mut frame = general(0);
        change(&mut frame);
        frame.fill_icmp_checksum();
        frame
    };
    let mut wrong_sum = general(0);
    wrong_sum.body[2] ^= 1;
    for (frame, reason) in [
        (changed(|frame| frame.hops = 2), Counter::GroupIp),
        (changed(|frame| frame.extensions.clear()), Counter::GroupIp),
        (changed(|frame| frame.extensions[0].1 = vec![0, 0, 1, 4, 0, 0, 0, 0]), Counter::IcmpMalformed),
        (changed(|frame| frame.source = "fd00:77::9".parse().expect("valid")), Counter::IcmpMalformed),
        (changed(|frame| frame.body.truncate(25)), Counter::IcmpMalformed),
        (changed(|frame| frame.body[0] = VERSION_2), Counter::GroupIp),
        (query("ff02::1", GROUPS[0], 0), Counter::IcmpMalformed),
        (query(GROUPS[1], GROUPS[0], 0), Counter::IcmpMalformed),
        (query("ff02::1:ff00:9", "ff02::1:ff00:9", 0), Counter::GroupIp),
        (wrong_sum, Counter::IcmpMalformed),
    ] {
        let mut lab = two_groups(false);
        lab.send_frame(&frame.bytes());
        lab.turn();
        lab.advance(Duration::from_secs(20));
        assert!(sent(&mut lab).is_empty(), "{frame:?}");
        let counters = finish(lab);
        assert_eq!((counters[reason], counters[Counter::ListenerQueried]), (1, 0), "{frame:?}");
    }
}

#[test]
fn the_group_of_an_address_that_is_anothers_is_not_listened_to() {
    let mut lab = two_groups(true);
    lab.turn();
    sent(&mut lab);
    exchange(&mut lab, &[Frame::ndp("fd00:77::2", "ff02::1", 136, "fd00:77::2", &[2, 1, 2, 0, 0, 0, 0, 2])]);
    lab.advance(OBJECTION);
    let groups: Vec<_> = reports(&sent(&mut lab)).into_iter().map(|report| report.group).collect();
    assert_eq!(groups, [GROUPS[0]]);
    assert_eq!(finish(lab)[Counter::DuplicateAddress], 1);
}
