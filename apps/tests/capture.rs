//! `--capture`: what the program writes down of a replay, read back by a reader of our own
//! and by tshark.

mod common;

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use common::program::gannet;
use common::{Ended, Program, Scratch, cpus, skip, turn};
use gannet::wire::checksum::Sum;

/// A packet of a capture.
#[derive(Debug)]
struct Packet {
    nanos: u64,
    /// 1 is inbound, 2 outbound.
    flags: u32,
    comment: String,
    frame: Vec<u8>,
}

// ---- what is sent ------------------------------------------------------------------

/// A datagram for the echo, without a UDP checksum; `change` has its way with the IPv4 header
/// before that one's checksum is made.
fn datagram(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1];
    change(&mut ip);
    let checksum = Sum::of(&ip).checksum();
    ip[10..12].copy_from_slice(&checksum);
    let link = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    [&link[..], &ip, &[0x12, 0x34, 0, 7, 0, 26, 0, 0], b"eighteen bytes, ok"].concat()
}

fn good() -> Vec<u8> {
    datagram(|_| ())
}

fn fragment() -> Vec<u8> {
    datagram(|ip| ip[6] = 0x20)
}

fn wrong_checksum() -> Vec<u8> {
    let mut frame = good();
    frame[40] = 1;
    frame
}

fn runt() -> Vec<u8> {
    good()[..13].to_vec()
}

/// `in.pcap`: these frames, a second apart.
fn requests(folder: &Scratch, frames: &[Vec<u8>]) {
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1];
    let mut file: Vec<_> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    for (second, frame) in (0..).zip(frames) {
        let len = frame.len() as u32;
        file.extend([second, 0, len, len].iter().flat_map(|word: &u32| word.to_le_bytes()));
        file.extend(frame);
    }
    std::fs::write(folder.path().join("in.pcap"), file).expect("written");
}

/// Replays `in.pcap` to its end.
fn replay(folder: &Scratch, capture: &str) -> Ended {
    let cpu = cpus().last().copied().expect("a CPU");
    let arguments = format!(
        "echo -l {cpu} -- --io pcap:in.pcap,out.pcap --ip 10.77.0.1/24 --json report.json --capture {capture}"
    );
    Program::start(&mut folder.run_in(gannet(&arguments))).end()
}

/// Replays these frames and gives what the capture and the report say.
fn captured(folder: &Scratch, frames: &[Vec<u8>], reasons: &str) -> Vec<Packet> {
    requests(folder, frames);
    let ended = replay(folder, &format!("x.pcapng{reasons}"));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let packets = read(&std::fs::read(folder.path().join("x.pcapng")).expect("a capture"));
    let report = folder.json("report.json");
    assert_eq!(report["capture"]["captured"], packets.len(), "{report:#}");
    assert_eq!(report["capture"]["missed"], 0, "{report:#}");
    assert_eq!(report["balanced"], true, "{report:#}");
    let line = format!("capture x.pcapng: {} frames, 0 missed", packets.len());
    assert!(ended.stdout.contains(&line), "{ended:#?}");
    packets
}

// ---- a reader ------------------------------------------------------------------------

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The packets of a file with one interface.
fn read(mut file: &[u8]) -> Vec<Packet> {
    let mut types = Vec::new();
    let mut packets = Vec::new();
    while !file.is_empty() {
        let len = word(file, 4) as usize;
        assert_eq!(word(file, len - 4) as usize, len, "the length stands at both ends");
        types.push(word(file, 0));
        if word(file, 0) == 6 {
            packets.push(packet(&file[8..len - 4]));
        }
        file = &file[len..];
    }
    assert_eq!(types[..2], [0x0a0d_0d0a, 1], "a section and its interface");
    assert!(types[2..].iter().all(|&block| block == 6), "{types:?}");
    packets
}

fn packet(body: &[u8]) -> Packet {
    let len = word(body, 12) as usize;
    assert_eq!((word(body, 0), word(body, 16) as usize), (0, len));
    let mut options = &body[20 + len.next_multiple_of(4)..];
    let (mut flags, mut comment) = (0, String::new());
    while options[0] != 0 {
        let len = usize::from(options[2]);
        match options[0] {
            1 => comment = String::from_utf8_lossy(&options[4..4 + len]).into_owned(),
            2 => flags = word(options, 4),
            other => panic!("option {other}"),
        }
        options = &options[4 + len.next_multiple_of(4)..];
    }
    let nanos = u64::from(word(body, 4)) << 32 | u64::from(word(body, 8));
    Packet { nanos, flags, comment, frame: body[20..20 + len].to_vec() }
}

fn comments(packets: &[Packet]) -> Vec<&str> {
    packets.iter().map(|packet| packet.comment.as_str()).collect()
}

// ---- the tests ---------------------------------------------------------------------------

#[test]
fn what_is_dropped_is_written_down_with_its_reason() {
    let _turn = turn();
    let folder = Scratch::new();
    let dropped = [fragment(), wrong_checksum(), runt()];
    let [a, b, c] = dropped.clone();
    let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let before = since_1970();
    let packets = captured(&folder, &[good(), a, b, good(), c], "");
    let after = since_1970();
    assert_eq!(comments(&packets), ["fragment", "udp_checksum", "runt"]);
    for (packet, frame) in packets.iter().zip(&dropped) {
        assert_eq!((packet.flags, &packet.frame), (1, frame), "{}", packet.comment);
        assert!((before..=after).contains(&packet.nanos.into()), "{packet:?}");
    }
}

#[test]
fn only_what_has_a_named_reason_is_written_down() {
    let _turn = turn();
    let folder = Scratch::new();
    let frames = [good(), fragment(), wrong_checksum(), runt()];
    let packets = captured(&folder, &frames, ",reason=runt,reason=fragment");
    assert_eq!(comments(&packets), ["fragment", "runt"]);
    // The file of before is gone, though it was longer.
    assert_eq!(captured(&folder, &frames, ",reason=tx_full").len(), 0);
}

#[test]
fn everything_is_written_down_both_ways() {
    let _turn = turn();
    let folder = Scratch::new();
    let packets = captured(&folder, &[good(), runt(), good()], ",reason=all");
    let said: Vec<_> = packets.iter().map(|packet| (packet.comment.as_str(), packet.flags)).collect();
    assert_eq!(said, [("delivered", 1), ("replied", 2), ("runt", 1), ("delivered", 1), ("replied", 2)]);
    assert_eq!(packets[0].frame, good());
    let sent = std::fs::read(folder.path().join("out.pcap")).expect("what was sent");
    assert_eq!(sent[24 + 16..][..packets[1].frame.len()], packets[1].frame);
}

/// More than all chunks hold at a time, so that they go round.
#[test]
fn a_long_capture_is_whole() {
    let _turn = turn();
    let folder = Scratch::new();
    let frames: Vec<_> = (0..20_000_u32)
        .map(|number| {
            let mut frame = [fragment(), vec![0; 900]].concat();
            frame[42..46].copy_from_slice(&number.to_be_bytes());
            frame
        })
        .collect();
    requests(&folder, &frames);
    let ended = replay(&folder, "x.pcapng");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let packets = read(&std::fs::read(folder.path().join("x.pcapng")).expect("a capture"));
    let capture = &folder.json("report.json")["capture"];
    // A replay is faster than any wire, and this disk may be slower: nothing is lost unsaid.
    assert_eq!(capture["captured"], packets.len(), "{capture}");
    let missed = capture["missed"].as_u64().expect("a number");
    assert_eq!(packets.len() as u64 + missed, 20_000);
    assert!(packets.len() > 4000, "{capture}");
    let mut wanted = frames.iter();
    assert!(packets.iter().all(|packet| wanted.any(|frame| *frame == packet.frame)), "in order and whole");
}

#[test]
fn tshark_reads_the_reasons() {
    let _turn = turn();
    let folder = Scratch::new();
    captured(&folder, &[good(), fragment(), runt()], ",reason=all");
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-r", "x.pcapng", "-T", "fields", "-E", "separator=,"]);
    ["frame.comment", "frame.packet_flags", "frame.interface_name", "frame.len"]
        .iter()
        .for_each(|field| _ = tshark.args(["-e", field]));
    let Ok(output) = tshark.current_dir(folder.path()).output() else {
        return skip("tshark_reads_the_reasons", "the program tshark is not there");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = "delivered,0x00000001,in.pcap,60\n\
                    replied,0x00000002,in.pcap,60\n\
                    fragment,0x00000001,in.pcap,60\n\
                    runt,0x00000001,in.pcap,13\n";
    assert_eq!(said, expected);
}

#[test]
fn what_can_t_be_captured_is_said() {
    let _turn = turn();
    let folder = Scratch::new();
    requests(&folder, &[good()]);
    for (capture, code, words) in [
        ("x.pcapng,reason=rx_truncated", 2, ["rx_truncated", "udp_checksum, "]),
        ("x.pcapng,reason=bogus", 2, ["bogus", "udp_checksum, "]),
        ("x.pcapng,fragment", 2, ["'fragment'", "reason=NAME"]),
        ("in.pcap", 2, ["in.pcap", "another file"]),
        ("./out.pcap,reason=all", 2, ["out.pcap", "another file"]),
        ("report.json", 2, ["report.json", "another file"]),
        ("missing/x.pcapng", 1, ["missing/x.pcapng", "No such file"]),
        ("/dev/full", 1, ["/dev/full", "No space left"]),
    ] {
        let ended = replay(&folder, capture);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert!(words.iter().all(|word| ended.stderr.contains(word)), "{ended:#?}");
        assert!(!ended.stdout.contains("ready: ") && !ended.stderr.contains("panicked"), "{ended:#?}");
    }
    let input = std::fs::read(folder.path().join("in.pcap")).expect("still there");
    assert_eq!(input.len(), 24 + 16 + good().len());
}
