//! `gannet echo` attacked on the wire: it keeps still where it has to, serves its client all the
//! while, needs no more memory, and ends with every packet explained.
//!
//! These tests take root. Without it they print `skipped: NAME: REASON` and pass, but for
//! `CI=true`, where a skip is a failure.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use common::frames::{
    BROADCAST, Mac, Part, UDP, arp, fragment, frame, from_source, group_mac, icmp, packet, ping, udp,
    udp_datagram,
};
use common::program::gannet;
use common::report::{balanced_in, count};
use common::siege::{CLIENTS, ECHO, OURS, Siege, besiege};
use common::{Lab, Program, cpus};

/// A port where nobody listens.
const CLOSED: u16 = 9;
/// A client's port.
const CLIENT_PORT: u16 = 40_000;
/// A station that is not there.
const EVIL: Mac = [2, 0xba, 0xad, 0, 0, 1];

// ---- loops -------------------------------------------------------------------------------

/// The ports that a packet of a loop may have at its ends: the echo's own, those of another
/// service, and another that both echoes listen on.
const LOOPS: [(u16, u16); 6] = [(7, 7), (7, 19), (19, 7), (19, 19), (5000, 7), (5000, 5001)];

#[test]
fn two_echoes_fall_silent_after_one_spoofed_packet() {
    Lab::with("two_echoes_fall_silent_after_one_spoofed_packet", |lab| {
        let (spoofed, after) = two_echoes(lab, "");
        assert_eq!((spoofed, after), (2 * LOOPS.len() as u64, 0), "the spoofed frames, and silence");
    });
}

/// What the guard is there for, and that the test above would see it.
#[test]
fn two_echoes_without_the_guard_never_fall_silent() {
    Lab::with("two_echoes_without_the_guard_never_fall_silent", |lab| {
        let (_, after) = two_echoes(lab, "--guard source-port=off");
        assert!(after > 1000, "{after} frames");
    });
}

/// Two echoes, back to back, and between them a spoofed packet for each pair of ports and both
/// families. Gives the frames that were on the wire at first, and in the second after that.
fn two_echoes(lab: &Lab, guard: &str) -> (u64, u64) {
    lab.far.ip("addr flush dev far0");
    let cpus = cpus();
    let echo = |file: &str, interface: &str, addresses: [IpAddr; 2], cpu: usize| {
        let ports = "--udp-port 7 --udp-port 19 --udp-port 5000 --udp-port 5001";
        gannet(&format!(
            "echo -l {cpu} -- --io af_packet:{interface} --ip {}/24 --ip {}/64 --no-announce {ports} {guard} \
             --json {file}",
            addresses[0], addresses[1]
        ))
    };
    let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
    let mut near = Program::start(&mut lab.engine(&echo("near.json", "near0", OURS, first)));
    let mut far = Program::start(&mut lab.client(&echo("far.json", "far0", CLIENTS, last)));
    near.ready();
    far.ready();
    let before = lab.near.frames("near0");
    let (near_mac, far_mac, wire) = (lab.near.mac("near0"), lab.far.mac("far0"), lab.near.wire("near0"));
    for (from, to) in OURS.into_iter().zip(CLIENTS) {
        for (source, destination) in LOOPS {
            let spoofed =
                udp(SocketAddr::new(from, source), SocketAddr::new(to, destination), b"round and round");
            wire.send(&[frame(near_mac, far_mac, &spoofed)]);
        }
    }
    thread::sleep(Duration::from_millis(100));
    let spoofed = lab.near.frames("near0");
    thread::sleep(Duration::from_secs(1));
    let after = lab.near.frames("near0");
    // Without one of them there is no loop, so that the other can come to its end.
    balanced_in(&lab.scratch, "near.json", &near.stop("TERM"));
    balanced_in(&lab.scratch, "far.json", &far.stop("TERM"));
    (spoofed - before, after - spoofed)
}

// ---- addresses that nobody has -----------------------------------------------------------

#[test]
fn land_is_not_answered() {
    const EACH: usize = 50;
    let attack = |siege: &Siege<'_>| {
        let mut frames = Vec::new();
        for own in OURS {
            let port = |port| SocketAddr::new(own, port);
            let packets = [
                udp(port(CLIENT_PORT), port(ECHO), b"land"),
                udp(port(ECHO), port(ECHO), b"land"),
                udp(port(ECHO), port(CLOSED), b"land"),
                ping(own, own, b"land"),
            ];
            for packet in packets {
                // With the engine's own MAC address as the source, too.
                frames.extend(vec![siege.frame(&packet); EACH]);
                frames.extend(vec![frame(siege.own, siege.own, &packet); EACH]);
            }
        }
        siege.silent(&frames);
    };
    besiege("land_is_not_answered", "", attack, |report| {
        assert_eq!(count(report, "source_ip"), 2 * 4 * 2 * EACH as u64, "{report:#}");
    });
}

/// Pings and datagrams to everybody, from a victim that would have all the answers.
#[test]
fn smurf_is_not_answered() {
    let groups: [IpAddr; 5] = [
        Ipv4Addr::new(10, 77, 0, 255).into(),
        Ipv4Addr::BROADCAST.into(),
        Ipv4Addr::new(224, 0, 0, 1).into(),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1).into(),
    ];
    let attack = |siege: &Siege<'_>| {
        let mut frames = Vec::new();
        for group in groups {
            let victim = CLIENTS[usize::from(group.is_ipv6())];
            for packet in three_questions(victim, group) {
                let macs = [BROADCAST, group_mac(group), siege.own];
                frames.extend(macs.map(|mac| frame(siege.client, mac, &packet)));
            }
        }
        // For the engine alone, in a frame for all.
        for (victim, own) in CLIENTS.into_iter().zip(OURS) {
            let packets = three_questions(victim, own);
            frames.extend(packets.map(|packet| frame(siege.client, BROADCAST, &packet)));
        }
        siege.silent(&frames);
    };
    besiege("smurf_is_not_answered", "", attack, |report| {
        // The client's kernel speaks to groups, too.
        assert!(count(report, "group_ip") >= 5 * 3 * 3, "{report:#}");
        assert_eq!(count(report, "group_mac"), 2 * 3, "{report:#}");
    });
}

/// What is answered if it comes to one host.
fn three_questions(from: IpAddr, to: IpAddr) -> [Vec<u8>; 3] {
    [ping(from, to, b"smurf"), datagram(from, to, ECHO), datagram(from, to, CLOSED)]
}

fn datagram(from: IpAddr, to: IpAddr, port: u16) -> Vec<u8> {
    udp(SocketAddr::new(from, CLIENT_PORT), SocketAddr::new(to, port), b"datagram")
}

// ---- floods ------------------------------------------------------------------------------

/// Sources of the flood, half of them IPv4 addresses and half of them IPv6 /64s.
const SOURCES: u32 = 1_000_000;
/// Frames a second of a flood that is not answered: what an engine of a debug build takes in,
/// on a machine that does something else as well.
const FLOOD: u32 = 40_000;

#[test]
fn a_million_sources_do_not_keep_the_client_from_its_answers() {
    let name = "a_million_sources_do_not_keep_the_client_from_its_answers";
    besiege(name, "", a_million_sources, |report| {
        assert!(count(report, "delivered") >= u64::from(SOURCES), "{report:#}");
    });
}

/// The tables of the guards don't grow, no source of one datagram is refused, and one that sends
/// too much is, though it is the last of a million.
#[test]
fn a_million_sources_do_not_overcome_the_guards() {
    const LOUD: usize = 5_000;
    let attack = |siege: &Siege<'_>| {
        a_million_sources(siege);
        let loud = siege.frame(&datagram(attacker(7, 0), OURS[0], ECHO));
        siege.wire.send_at(FLOOD, vec![loud; LOUD].iter());
    };
    let guards = "--guard rate=1000,amplification=3";
    besiege("a_million_sources_do_not_overcome_the_guards", guards, attack, |report| {
        assert!(count(report, "delivered") >= u64::from(SOURCES), "{report:#}");
        let refused = count(report, "source_rate");
        assert!((LOUD as u64 / 2..=LOUD as u64).contains(&refused), "{report:#}");
    });
}

/// They are answered as fast as the engine can, and so is the client.
fn a_million_sources(siege: &Siege<'_>) {
    let nobody = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let frames = [0, 1].map(|family| siege.frame(&datagram(nobody[family], OURS[family], ECHO)));
    let spoofed = (0..SOURCES).map(|number| from_source(&frames[number as usize % 2], source(number)));
    let (sent, answered) = siege.client_during(100, || siege.wire.send_answered(spoofed));
    assert!(sent > 500 && answered * 100 >= sent * 99, "{answered} of {sent} answers");
}

/// A source that no other number has.
fn source(number: u32) -> IpAddr {
    let [high, low] = [(number >> 17) as u16, (number >> 1) as u16];
    match number % 2 {
        0 => IpAddr::V4((0x0b00_0000 + number / 2).into()),
        _ => IpAddr::from([0x2001, 0xdb8, high, low, 0, 0, 0, 1]),
    }
}

/// Errors are never answered; pings are, one for one.
#[test]
fn an_icmp_flood_is_no_lever() {
    const EACH: u32 = 10_000;
    let attack = |siege: &Siege<'_>| {
        let pings = [0, 1].map(|family| siege.frame(&ping(CLIENTS[family], OURS[family], &[0x5a; 64])));
        let errors = [error(0), error(1)].map(|packet| siege.frame(&packet));
        let kinds = [pings, errors].concat();
        let frames = kinds.iter().cycle().take(kinds.len() * EACH as usize);
        let (sent, answered) = siege.client_during(100, || siege.wire.send_at(FLOOD, frames));
        assert!(answered * 100 >= sent * 95, "{answered} of {sent} answers");
    };
    besiege("an_icmp_flood_is_no_lever", "", attack, |report| {
        let each = u64::from(EACH);
        assert!((each..=2 * each).contains(&count(report, "echo_answered")), "{report:#}");
        assert!((each..).contains(&count(report, "icmp_other")), "{report:#}");
        assert_eq!(count(report, "icmp_error_sent"), 0, "{report:#}");
    });
}

/// "Port unreachable", about a datagram of the engine's to the client.
fn error(family: usize) -> Vec<u8> {
    let (from, to) = (CLIENTS[family], OURS[family]);
    let about = udp(SocketAddr::new(to, ECHO), SocketAddr::new(from, CLIENT_PORT), b"datagram");
    let (kind, code) = if family == 0 { (3, 3) } else { (1, 4) };
    icmp(from, to, kind, code, &[&[0; 4], &about[..]].concat())
}

/// Of what nobody takes, the senders are told a hundred times a second at most.
#[test]
fn a_flood_of_closed_ports_and_protocols_is_told_of_rarely() {
    const EACH: u32 = 10_000;
    let attack = |siege: &Siege<'_>| {
        let strange = |family: usize| packet(CLIENTS[family], OURS[family], 200, &[0; 64]);
        let closed = |family: usize| datagram(CLIENTS[family], OURS[family], CLOSED);
        let kinds = [strange(0), strange(1), closed(0), closed(1)].map(|packet| siege.frame(&packet));
        let frames = kinds.iter().cycle().take(kinds.len() * EACH as usize);
        let (sent, answered) = siege.client_during(100, || siege.wire.send_at(FLOOD, frames));
        assert!(answered * 100 >= sent * 95, "{answered} of {sent} answers");
    };
    besiege("a_flood_of_closed_ports_and_protocols_is_told_of_rarely", "", attack, |report| {
        let refused = count(report, "udp_port_closed") + count(report, "protocol_unknown");
        let told = count(report, "icmp_error_sent");
        assert!(refused >= 2 * u64::from(EACH), "{report:#}");
        assert_eq!(told + count(report, "icmp_error_limited"), refused, "{report:#}");
        let seconds = report["seconds"].as_f64().expect("a number");
        assert!((32.0..=32.0 + 100.0 * seconds).contains(&(told as f64)), "{told} in {seconds} s");
    });
}

// ---- poisoning ---------------------------------------------------------------------------

/// The echo asks nobody for a MAC address: whatever it is told, it believes nothing of it,
/// keeps its addresses and answers to where the question came from. What a program does that
/// asks is tested in the engine's `conformance/neighbours.rs`.
#[test]
fn arp_lies_are_not_believed() {
    const EACH: usize = 20;
    let (own, client) = (Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2));
    let attack = |siege: &Siege<'_>| {
        let lies = [
            // Replies that nobody asked for, to the engine and to all.
            frame(EVIL, siege.own, &arp(2, (EVIL, client), (siege.own, own))),
            frame(EVIL, BROADCAST, &arp(2, (EVIL, client), (siege.own, own))),
            // Announcements for the client's address, as request and as reply.
            frame(EVIL, BROADCAST, &arp(1, (EVIL, client), ([0; 6], client))),
            frame(EVIL, BROADCAST, &arp(2, (EVIL, client), (BROADCAST, client))),
            // "Your address is mine", as request and as reply.
            frame(EVIL, BROADCAST, &arp(1, (EVIL, own), ([0; 6], own))),
            frame(EVIL, siege.own, &arp(2, (EVIL, own), (siege.own, own))),
        ];
        siege.silent(&vec![lies.to_vec(); EACH].concat());
    };
    besiege("arp_lies_are_not_believed", "", attack, |report| {
        assert_eq!((count(report, "arp_learned"), count(report, "arp_shared")), (0, 0), "{report:#}");
        assert_eq!(count(report, "arp_unsolicited"), 2 * EACH as u64, "{report:#}");
        assert_eq!(count(report, "address_conflict"), 2 * EACH as u64, "{report:#}");
    });
}

#[test]
fn ndp_lies_are_not_believed() {
    const EACH: usize = 20;
    let (own, client) = (OURS[1], CLIENTS[1]);
    let all = IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1]);
    let router = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0xbad, 1]);
    let attack = |siege: &Siege<'_>| {
        let lie = |mac: Mac, packet: &[u8]| frame(EVIL, mac, packet);
        let lies = [
            // The client's address is here: solicited or not, always with the override flag.
            lie(siege.own, &advertisement(client, own, client, 0x60)),
            lie(siege.own, &advertisement(client, own, client, 0x20)),
            lie(group_mac(all), &advertisement(client, all, client, 0x20)),
            // Yours, too.
            lie(siege.own, &advertisement(router, own, own, 0x60)),
            lie(group_mac(all), &advertisement(router, all, own, 0x20)),
            // I am the router; and better send by me.
            lie(group_mac(all), &icmp(router, all, 134, 0, &[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0])),
            lie(siege.own, &redirect(router, own, client)),
        ];
        siege.silent(&vec![lies.to_vec(); EACH].concat());
    };
    besiege("ndp_lies_are_not_believed", "", attack, |report| {
        assert_eq!((count(report, "ndp_learned"), count(report, "ndp_shared")), (0, 0), "{report:#}");
        assert_eq!(count(report, "ndp_unsolicited"), 5 * EACH as u64, "{report:#}");
        assert_eq!(count(report, "address_conflict"), 2 * EACH as u64, "{report:#}");
        // The client's kernel looks for a router, too.
        assert!(count(report, "ndp_ignored") >= 2 * EACH as u64, "{report:#}");
        assert_eq!(count(report, "duplicate_address"), 0, "{report:#}");
    });
}

/// "`target` is at the evil station" (RFC 4861, section 4.4). `flags`: solicited 0x40, override 0x20.
fn advertisement(from: IpAddr, to: IpAddr, target: IpAddr, flags: u8) -> Vec<u8> {
    icmp(from, to, 136, 0, &[&[flags, 0, 0, 0], &octets(target)[..], &[2, 1], &EVIL].concat())
}

/// "`target` is here on the link, at the evil station" (RFC 4861, section 4.5).
fn redirect(from: IpAddr, to: IpAddr, target: IpAddr) -> Vec<u8> {
    let target = octets(target);
    icmp(from, to, 137, 0, &[&[0; 4], &target[..], &target, &[2, 1], &EVIL].concat())
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => panic!("{address} is no IPv6 address"),
    }
}

// ---- fragment bombs ----------------------------------------------------------------------

/// A datagram of several fragments at either end.
const LARGE: usize = 8_000;
/// Bombs of each kind and family.
const BOMBS: u16 = 2_000;
/// Bombs a second; each is a fragment or two.
const BOMB_RATE: u32 = 10_000;

/// Datagrams that never become whole, and such as can't: all of a source that is not the
/// client's, for which room is kept.
#[test]
fn fragment_bombs_of_one_source_leave_room_for_the_client() {
    let name = "fragment_bombs_of_one_source_leave_room_for_the_client";
    let attack = |siege: &Siege<'_>| {
        siege.serves(LARGE);
        let attacker = |_: u16, family: usize| attacker(7, family);
        let (sent, answered) =
            siege.client_during(LARGE, || siege.wire.send_at(BOMB_RATE, bombs(siege, attacker)));
        assert!(sent > 50 && answered * 100 >= sent * 95, "{answered} of {sent} answers");
        siege.serves(LARGE);
    };
    besiege(name, "--fragments reassemble", attack, defused);
}

/// From everywhere they may push the client's out while they last, and no longer.
#[test]
fn fragment_bombs_of_many_sources_are_over_with_their_end() {
    let name = "fragment_bombs_of_many_sources_are_over_with_their_end";
    let attack = |siege: &Siege<'_>| {
        siege.serves(LARGE);
        siege.wire.send_at(BOMB_RATE, bombs(siege, attacker));
        siege.serves(LARGE);
    };
    besiege(name, "--fragments reassemble", attack, |report| {
        defused(report);
        assert!(count(report, "fragment_evicted") > u64::from(BOMBS), "{report:#}");
    });
}

fn defused(report: &Value) {
    let kinds = ["fragment_overlap", "fragment_malformed"];
    for kind in kinds {
        assert!(count(report, kind) > u64::from(BOMBS), "{kind}: {report:#}");
    }
}

fn attacker(number: u16, family: usize) -> IpAddr {
    match family {
        0 => IpAddr::from([10, 77, 1 + (number >> 8) as u8, number as u8]),
        _ => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 1, number]),
    }
}

/// The bombs, of all kinds by turns.
fn bombs<'a>(
    siege: &'a Siege<'_>,
    from: impl Fn(u16, usize) -> IpAddr + 'a,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let numbers = (0..BOMBS).flat_map(|number| [0, 1].map(|family| (number, family)));
    let packets = numbers.flat_map(move |(number, family)| bomb(from(number, family), family, number));
    packets.map(|packet| siege.frame(&packet))
}

/// One bomb of each kind.
fn bomb(from: IpAddr, family: usize, number: u16) -> Vec<Vec<u8>> {
    let to = OURS[family];
    let datagram = udp_datagram(SocketAddr::new(from, CLIENT_PORT), SocketAddr::new(to, ECHO), &[0; 2_000]);
    let id = number * 8;
    let part = |id, offset, more, bytes: &[u8]| fragment(from, to, UDP, Part { id, offset, more }, bytes);
    vec![
        // The beginning, the end or the middle, and nothing more.
        part(id, 0, true, &datagram[..1_400]),
        part(id + 1, 1_400, false, &datagram[1_400..]),
        part(id + 2, 32_000, true, &[0; 8]),
        // The second over the first's end, with other bytes (teardrop).
        part(id + 3, 0, true, &datagram[..1_400]),
        part(id + 3, 1_392, false, &[0xff; 616]),
        // The first not even as long as the header.
        part(id + 4, 0, true, &datagram[..0]),
        part(id + 4, 0, true, &datagram[..4]),
        // Beyond the longest packet (ping of death).
        part(id + 5, 65_528, false, &[0; 800]),
    ]
}
