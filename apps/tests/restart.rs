//! A program that is killed at some moment and started again at once on the same device: it serves again,
//! and nothing that the killed one left is in its way, or left at the end.

mod common;

use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use common::client::Tally;
use common::echo::{ADDRESS, TO, balanced, one_lcore, start};
use common::network::Namespace;
use common::{Lab, Program};

/// How long a start may take at most, on a busy machine. How long it took is printed.
const PATIENCE: Duration = Duration::from_secs(10);
/// A killed program has served, or was starting, for less than this.
const LONGEST_LIFE_MILLIS: u64 = 250;

/// Starts, and kills at some moment, and once more at last.
struct Kills<'a> {
    lab: &'a Lab,
    eal: String,
    io: &'a str,
    /// Where the client is, and what it takes for it to be there.
    client: &'a Namespace,
    prepare: fn(&Lab) -> bool,
    times: Vec<Duration>,
}

impl Kills<'_> {
    fn start(&self) -> Program {
        start(self.lab, &self.eal, self.io, ADDRESS)
    }

    /// Waits until it serves, and gives how long after the start that was.
    fn served_after(&self, begin: Instant) -> Duration {
        let mut is_prepared = false;
        while begin.elapsed() < PATIENCE {
            is_prepared = is_prepared || (self.prepare)(self.lab);
            if is_prepared && is_served(self.client) {
                return begin.elapsed();
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("nobody serves {PATIENCE:?} after the start");
    }

    /// Kills it so many times, and has the last one stop as it should. Every other time one more is killed
    /// at some moment of its start.
    fn run(mut self, name: &str, kills: usize) {
        let mut engine = self.start();
        self.served_after(Instant::now());
        for number in 0..kills {
            kill_at_some_moment(engine);
            if number % 2 == 1 {
                kill_at_some_moment(self.start());
            }
            let begin = Instant::now();
            engine = self.start();
            let took = self.served_after(begin);
            self.times.push(took);
        }
        assert_eq!(self.client.udp_client(TO, 500), Tally::all(500));
        balanced(&self.lab.scratch, &engine.stop("TERM"));
        self.times.sort();
        let [median, most] = [self.times[kills / 2], self.times[kills - 1]].map(|time| time.as_millis());
        // Past the test harness, which keeps what passing tests print to itself.
        let line = format!(
            "\n{name}: killed {kills} times and {} more at its start, served again after {median} ms (median), {most} ms (most)",
            kills / 2
        );
        writeln!(io::stdout(), "{line}").expect("standard output");
    }
}

fn kill_at_some_moment(engine: Program) {
    let [random] = gannet::sys::random_bytes::<1>().expect("random bytes");
    thread::sleep(Duration::from_millis(u64::from(random) * LONGEST_LIFE_MILLIS / 256));
    engine.signal("KILL");
    assert_eq!(engine.end().code, None, "it was killed");
}

fn is_served(client: &Namespace) -> bool {
    let socket = client.socket("0.0.0.0:0");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    if socket.send_to(b"there?", TO).is_err() {
        return false;
    }
    socket.recv(&mut [0; 100]).is_ok()
}

#[test]
fn af_packet_serves_again_after_each_kill() {
    Lab::with("af_packet_serves_again_after_each_kill", |lab| {
        let (eal, io) = (one_lcore(), "--io af_packet:near0");
        let kills = Kills { lab, eal, io, client: &lab.far, prepare: |_| true, times: Vec::new() };
        kills.run("af_packet", 50);
    });
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use std::fs;

    use super::*;
    use crate::common::echo::with_tun;
    use crate::common::hugepages::Hugepages;
    use crate::common::{skip, unique};

    const TAP: &str = "--vdev=net_tap0,iface=dtap0";
    const AF_PACKET: &str = "--vdev=net_af_packet0,iface=near0";

    /// The kernel's end of a tap, which was deleted with the program that was killed.
    fn tap_is_there(lab: &Lab) -> bool {
        let is_there = lab.near.index("dtap0").is_some();
        if is_there {
            lab.near.ip("link set dtap0 up");
            lab.near.ip("addr replace 10.77.0.2/24 dev dtap0");
        }
        is_there
    }

    /// Files of hugepages with that prefix, on every mount of hugetlbfs.
    fn pages(prefix: &str) -> usize {
        let mounts = fs::read_to_string("/proc/mounts").expect("the mounts");
        let mut words = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let folders = words.by_ref().filter(|words| words[2] == "hugetlbfs").map(|words| words[1].to_owned());
        let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        files.filter(|file| file.file_name().to_string_lossy().starts_with(prefix)).count()
    }

    /// The names in the EAL's folder of that prefix.
    fn left(lab: &Lab, prefix: &str) -> Vec<String> {
        let folder = lab.scratch.path().join("dpdk").join(prefix);
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Memory of hugepages, in files or not.
    fn eal(device: &str, memory: &str, prefix: &str) -> String {
        format!("{} --no-pci {memory} --file-prefix {prefix} {device}", one_lcore())
    }

    fn killed(name: &str, lab: &Lab, device: &str, client: &Namespace, prepare: fn(&Lab) -> bool) {
        let _pages = match Hugepages::reserve() {
            Ok(pages) => pages,
            Err(why) => return skip(name, &why),
        };
        for (memory, what) in [("", "hugepages in files"), ("--in-memory", "in memory")] {
            let prefix = unique("kill");
            let eal = eal(device, memory, &prefix);
            let kills = Kills { lab, eal, io: "", client, prepare, times: Vec::new() };
            kills.run(&format!("{device}, {what}"), 9);
            assert_eq!((pages(&prefix), left(lab, &prefix)), (0, Vec::new()), "{what}");
        }
    }

    #[test]
    fn net_tap_serves_again_after_each_kill() {
        with_tun("net_tap_serves_again_after_each_kill", |lab| {
            killed("net_tap_serves_again_after_each_kill", lab, TAP, &lab.near, tap_is_there);
        });
    }

    #[test]
    fn net_af_packet_serves_again_after_each_kill() {
        Lab::with("net_af_packet_serves_again_after_each_kill", |lab| {
            killed("net_af_packet_serves_again_after_each_kill", lab, AF_PACKET, &lab.far, |_| true);
        });
    }

    /// What there is after a kill, after the next start and its kill, and after a clean stop.
    #[test]
    fn what_a_killed_program_left_is_taken_over_and_gone_in_the_end() {
        const NAME: &str = "what_a_killed_program_left_is_taken_over_and_gone_in_the_end";
        Lab::with(NAME, |lab| {
            let _pages = match Hugepages::reserve() {
                Ok(pages) => pages,
                Err(why) => return skip(NAME, &why),
            };
            let kill = |memory, prefix: &str| {
                let mut engine = start(lab, &eal(AF_PACKET, memory, prefix), "", ADDRESS);
                engine.ready();
                engine.signal("KILL");
                engine.end();
                (pages(prefix), left(lab, prefix))
            };
            let stop = |memory, prefix: &str| {
                let mut engine = start(lab, &eal(AF_PACKET, memory, prefix), "", ADDRESS);
                engine.ready();
                balanced(&lab.scratch, &engine.stop("TERM"));
                (pages(prefix), left(lab, prefix))
            };
            let prefix = unique("files");
            let first = kill("", &prefix);
            assert!(first.0 > 0 && first.1.contains(&"config".to_owned()), "{first:?}");
            assert_eq!(kill("", &prefix), first, "no more than once");
            assert_eq!(stop("", &prefix), (0, Vec::new()));
            let prefix = unique("memory");
            let socket = vec!["dpdk_telemetry.v2".to_owned()];
            assert_eq!(
                kill("--in-memory", &prefix),
                (0, socket.clone()),
                "a socket of DPDK's, and no memory"
            );
            assert_eq!(kill("--in-memory", &prefix), (0, socket));
            assert_eq!(stop("--in-memory", &prefix), (0, Vec::new()));
        });
    }
}
