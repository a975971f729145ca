//! The kernel as the peer: its sockets, `ping` and `arping` are answered, with transmit
//! checksums filled in and not; and tshark finds no fault in what we send.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gannet::Service;
use gannet::port::FrameQueue;
use gannet::telemetry::Counter;

use super::conform::reference;
use super::frames::{ADDRESS, CLIENT, Case, ECHO, LONGEST, RESHAPE, Verdict, pattern, reshaped};
use super::lab::{Folder, Namespace, has_program, read_capture, skip, write_capture};
use super::rig::{Outcome, Rig, Wire, wait_for};

/// Programs that play the peer.
const PROGRAMS: [&str; 5] = ["ping", "arping", "ethtool", "tcpdump", "tshark"];

/// The kernel's end of a port's wire.
pub(crate) struct Peer<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) interface: &'a str,
    /// Whether the interface can leave work to the device: the port then gets the kernel's
    /// datagrams with their checksums unfilled.
    pub(crate) offloads: bool,
    /// What is counted for a datagram that the kernel sends in fragments,
    pub(crate) fragmented: Counted,
    /// and for one that it leaves to the device to cut into four.
    pub(crate) segmented: Counted,
    /// And for one cut into two that together are no longer than the MTU.
    pub(crate) segmented_short: Counted,
}

type Counted = &'static [(&'static str, u64)];

/// Has the kernel talk to the host, or skips it by name.
pub(crate) fn kernel_as_peer<Q: FrameQueue, W: Wire>(name: &str, rig: &mut Rig<Q, W>, peer: &Peer<'_>) {
    if let Some(program) = PROGRAMS.iter().find(|program| !has_program(program)) {
        return skip(name, &format!("the program {program} is not there"));
    }
    let Peer { namespace, interface, offloads, .. } = peer;
    namespace.ip(&format!("link set {interface} mtu 1500"));
    namespace.ip(&format!("addr add {CLIENT}/24 dev {interface}"));
    let states: &[&str] = if *offloads { &["off", "on"] } else { &["off"] };
    for offload in states {
        namespace.run(&format!("ethtool -K {interface} tx {offload}"));
        talk(&format!("{name}, checksum offload {offload}"), rig, peer, *offload == "on");
    }
    longer_than_the_mtu(name, rig, peer);
    assert!(rig.counters().balance().is_exact(), "{name}: {:?}", rig.counters().balance());
}

fn talk<Q: FrameQueue, W: Wire>(name: &str, rig: &mut Rig<Q, W>, peer: &Peer<'_>, offload: bool) {
    let folder = Folder::new();
    let capture = Capture::start(peer, folder.file("sent.pcap"));
    let before = rig.counters();
    served(rig, || {
        datagrams(name, peer.namespace);
        programs(peer);
    });
    let after = rig.counters();
    let grown = |counter| after[counter] - before[counter];
    let unfilled = grown(Counter::ChecksumUnfilled);
    assert_eq!(unfilled > 0, offload, "{name}: {unfilled} unfilled checksums");
    assert!(grown(Counter::EchoAnswered) >= 6 && grown(Counter::ArpAnswered) >= 2, "{name}");
    // All that we sent is there, and right.
    let file = capture.stop(grown(Counter::Sent) as usize);
    expect_no_faults(name, &file, grown(Counter::Sent) as usize, grown(Counter::Replied) as usize);
}

/// Runs `work` on a thread while the host is polled in real time on this one.
pub(crate) fn served<Q, W, S, T>(rig: &mut Rig<Q, W, S>, work: impl FnOnce() -> T + Send) -> T
where
    Q: FrameQueue,
    W: Wire,
    S: Service,
    T: Send,
{
    let (start, began) = (rig.now, Instant::now());
    let mut poll = || {
        rig.now = start + began.elapsed();
        if rig.turn() == 0 {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let work = scope.spawn(work);
        while !work.is_finished() {
            poll();
        }
        work.join().expect("no panic")
    })
}

// ---- what the kernel does --------------------------------------------------------------

fn datagrams(name: &str, namespace: &Namespace) {
    let socket = namespace.udp_socket(&format!("{CLIENT}:0"));
    let lens = [0, 1, 2, 3, 17, 18, 19, 1471, LONGEST].into_iter().chain((0..1470).step_by(49));
    for len in lens {
        for port in [ECHO, RESHAPE] {
            let payload = pattern(len);
            socket.send_to(&payload, (ADDRESS, port)).expect("sent");
            let mut answer = [0; 2000];
            let (answered, from) = socket
                .recv_from(&mut answer)
                .unwrap_or_else(|error| panic!("{name}: {len} bytes to port {port}: {error}"));
            let expected = if port == ECHO { payload } else { reshaped(&payload, LONGEST) };
            assert_eq!(from, (ADDRESS, port).into(), "{name}");
            assert_eq!(answer[..answered], expected, "{name}: {len} bytes to port {port}");
        }
    }
}

fn programs(peer: &Peer<'_>) {
    let Peer { namespace, interface, .. } = peer;
    // One at a time: behind the last of several, ping waits for no more than two round trips.
    for len in [0, 1, 56, 57, 1471, 1472] {
        let text = namespace.run(&format!("ping -n -c 1 -W 5 -M do -s {len} {ADDRESS}"));
        assert!(text.contains(" 1 received, 0% packet loss"), "{text}");
    }
    let text = namespace.run(&format!("arping -c 2 -I {interface} {ADDRESS}"));
    assert!(text.contains("2 packets received") || text.contains("Received 2 response"), "{text}");
}

/// What is longer than the MTU: the kernel sends it in fragments, or has the device cut it
/// into datagrams and hands it over in one piece. What comes behind is answered.
fn longer_than_the_mtu<Q: FrameQueue, W: Wire>(name: &str, rig: &mut Rig<Q, W>, peer: &Peer<'_>) {
    let socket = peer.namespace.udp_socket(&format!("{CLIENT}:0"));
    let mut costs = |len: usize, expected: Counted| {
        let before = rig.counters();
        served(rig, || {
            assert_eq!(socket.send_to(&pattern(len), (ADDRESS, ECHO)).expect("sent"), len);
            thread::sleep(Duration::from_millis(100));
        });
        let counted: Vec<_> = Outcome::counted(&before, &rig.counters()).into_iter().collect();
        assert_eq!(counted, expected, "{name}: {len} bytes");
    };
    costs(3000, peer.fragmented);
    leave_segmentation(&socket, 1000);
    costs(4000, peer.segmented);
    leave_segmentation(&socket, 500);
    costs(1000, peer.segmented_short);
    served(rig, || datagrams(name, peer.namespace));
}

/// Has the kernel, or the device, cut what the socket sends into datagrams of that length.
fn leave_segmentation(socket: &UdpSocket, len: libc::c_int) {
    const UDP_SEGMENT: libc::c_int = 103;
    let (value, size) = ((&raw const len).cast(), size_of_val(&len) as u32);
    // SAFETY: an open socket, and a number that lives through the call.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, UDP_SEGMENT, value, size) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

// ---- what tshark says --------------------------------------------------------------------

/// tcpdump at the kernel's end, writing down what arrives there.
struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    /// Slots for long frames, as it has by default, would be too few.
    fn start(peer: &Peer<'_>, file: PathBuf) -> Self {
        let line = format!(
            "tcpdump -i {} -Q in -Z root -s 2048 -B 4096 --immediate-mode -U -w {}",
            peer.interface,
            file.display()
        );
        let mut tcpdump =
            peer.namespace.command(&line).stderr(Stdio::piped()).spawn().expect("tcpdump starts");
        let mut said = BufReader::new(tcpdump.stderr.take().expect("its standard error"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        assert!(line.contains("listening on"), "{line}");
        // It must not stumble over a closed pipe.
        thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Self { tcpdump, file }
    }

    /// Ends it when it has so many frames.
    fn stop(&self, frames: usize) -> PathBuf {
        let has_all = || {
            std::fs::metadata(&self.file).is_ok_and(|file| file.len() >= 24)
                && read_capture(&self.file).len() >= frames
        };
        assert!(
            wait_for(Duration::from_secs(5), has_all),
            "of {frames} frames that were sent not all arrived"
        );
        self.file.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

/// tshark takes each of so many frames for well-formed, and so many UDP checksums for right.
fn expect_no_faults(name: &str, capture: &Path, frames: usize, datagrams: usize) {
    let faults = tshark(capture, "_ws.malformed || _ws.short || _ws.expert.severity >= warning");
    assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    let count = |filter: &str| tshark(capture, filter).len();
    assert_eq!(count("frame"), frames, "{name}: frames");
    let (udp, icmp) = ("udp.checksum.status == good", "icmp.checksum.status == good");
    let (ipv4, icmpv6) = ("ip.checksum.status == good", "icmpv6 && icmpv6.checksum.status == good");
    // An error is one of ICMP, and quotes a datagram.
    let replies = count(&format!("udp && !icmp && !icmpv6 && {udp} && ({ipv4} || ipv6)"));
    assert_eq!(replies, datagrams, "{name}: datagrams");
    let others = count(&format!("icmp && {icmp} && {ipv4}")) + count(icmpv6) + count("arp");
    assert_eq!(others, frames - datagrams, "{name}: the rest");
}

/// The frames that a filter chooses, a line each.
fn tshark(capture: &Path, filter: &str) -> Vec<String> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args([
        "-n",
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
    ]);
    // What the payload may mean is not ours to check.
    command.args(["-d", "udp.port==1-65535,data"]);
    // The user's own preferences are not asked.
    command.env("WIRESHARK_CONFIG_DIR", capture.parent().expect("a folder"));
    let output = command.args(["-Y", filter]).output().expect("tshark is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Its options are such as tshark warns of.
const ODD_OPTIONS: &str = "to a closed port, with options and padding";

#[test]
fn tshark_finds_no_fault_in_the_answers() {
    if !has_program("tshark") {
        return skip("tshark_finds_no_fault_in_the_answers", "the program tshark is not there");
    }
    let reference = reference();
    // Where it would judge what an error quotes, which is not ours.
    let quotes_oddities =
        |case: &Case| case.verdict == Verdict::Told("protocol_unknown") || case.name == ODD_OPTIONS;
    assert!(reference.iter().any(|(case, _)| case.name == ODD_OPTIONS));
    let judged = || reference.iter().filter(|(case, _)| !quotes_oddities(case));
    let answers: Vec<_> = judged().flat_map(|(_, outcome)| &outcome.answers).collect();
    let datagrams = judged()
        .filter(|(case, outcome)| {
            case.verdict == Verdict::Answered && outcome.counted.contains_key("replied")
        })
        .count();
    let folder = Folder::new();
    let file = folder.file("answers.pcap");
    write_capture(&file, answers.iter().map(|answer| &answer[..]));
    expect_no_faults("the reference", &file, answers.len(), datagrams);
    // And it would find one.
    let mut broken = answers[0].clone();
    *broken.get_mut(45).expect("a payload or padding") ^= 1;
    broken[24] ^= 1;
    write_capture(&file, std::iter::once(&broken[..]));
    assert_eq!(tshark(&file, "_ws.expert.severity >= warning").len(), 1);
}
