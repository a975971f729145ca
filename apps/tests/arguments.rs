//! What the program says to a command line that it can't follow: each message names the
//! thing and the way out, and the exit code is 2 for usage and 1 for a failure at run time.

mod common;

use std::process::Command;

use common::network::Namespace;
use common::program::gannet;
use common::{Ended, Lab, Program, Scratch, skip, turn};

/// An interface that need not be there: what is wrong is found before it is opened.
const NATIVE: &str = "-- --io af_packet:near0 --ip 10.77.0.1/24";

/// The arguments are refused, with all of these words in the message and nothing on
/// standard output.
#[track_caller]
fn refused(arguments: &str, code: i32, words: &[&str]) {
    check(Program::start(&mut gannet(arguments)).end(), code, words);
}

#[track_caller]
fn check(ended: Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(ended.stderr.contains("error: "), "{ended:#?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
    assert!(!ended.stdout.contains("ready: "), "{ended:#?}");
}

#[track_caller]
fn printed(arguments: &str) -> String {
    let ended = Program::start(&mut gannet(arguments)).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:#?}");
    ended.stdout
}

// ---- the program ---------------------------------------------------------------

#[test]
fn help_is_printed_at_both_levels() {
    for arguments in ["--help", "-h", "help"] {
        let help = printed(arguments);
        assert!(help.contains("gannet APP [EAL arguments] -- [application arguments]"), "{help}");
        assert!(help.contains("echo "), "{help}");
    }
    for arguments in ["echo --help", "echo -h", "echo -- --help", "echo -l 0 --help -- --ip nonsense"] {
        let help = printed(arguments);
        let what = help.lines().next().unwrap_or_default();
        assert!(what.contains("RFC 862"), "{help}");
        for word in ["--io", "--ip", "--udp-port", "--fault", "--json", "--lcores", "EAL arguments"] {
            assert!(help.contains(word), "no '{word}': {help}");
        }
    }
}

#[test]
fn the_version_is_one_line() {
    for arguments in ["--version", "-V", "version"] {
        let version = printed(arguments);
        assert_eq!(version.lines().count(), 1, "{version}");
        assert!(version.starts_with(concat!("gannet ", env!("CARGO_PKG_VERSION"), " (commit ")), "{version}");
        let dpdk = if cfg!(feature = "dpdk") { "DPDK 2" } else { "no DPDK" };
        assert!(version.contains(dpdk) && version.contains("vector kernel "), "{version}");
    }
}

#[test]
fn a_vector_kernel_is_chosen_by_name() {
    let version = |kernel| Program::start(gannet("--version").env("GANNET_KERNEL", kernel)).end();
    let portable = version("portable");
    assert!(portable.code == Some(0) && portable.stdout.contains("vector kernel portable"), "{portable:?}");
    check(version("mmx"), 2, &["GANNET_KERNEL is 'mmx'", "portable"]);
}

#[test]
fn words_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let word = std::ffi::OsStr::from_bytes(b"--ip=\xff");
    for arguments in ["", "echo", "echo --"] {
        check(Program::start(gannet(arguments).arg(word)).end(), 2, &["not UTF-8", "--ip="]);
    }
}

/// Whoever reads the output may be gone; that is no panic.
#[test]
fn an_output_that_is_full_is_no_panic() {
    let full = || std::fs::File::create("/dev/full").expect("Linux has it");
    let code = |arguments: &str| {
        let status = gannet(arguments).stdout(full()).stderr(full()).status().expect("started");
        status.code()
    };
    assert_eq!((code("--help"), code("echo --help"), code("--version")), (Some(0), Some(0), Some(0)));
    assert_eq!(
        (code("frobnicate"), code("echo --ip 10.77.0.1/24"), code("echo -l 0 --")),
        (Some(2), Some(2), Some(2))
    );
}

#[test]
fn addresses_that_no_host_has_are_refused() {
    refused("echo -l 0 -- --io af_packet:near0 --ip 127.0.0.1/8", 2, &["127.0.0.1", "can't be a host's"]);
    refused("echo -l 0 -- --io af_packet:near0 --ip 10.77.0.1/24 --udp-port 00", 2, &["port 0"]);
}

#[test]
fn an_application_has_to_be_named() {
    refused("", 2, &["no application", "Usage: gannet APP", "echo"]);
    refused("frobnicate", 2, &["'frobnicate'", "Usage: gannet APP", "echo"]);
    refused("--ip 10.77.0.1/24", 2, &["'--ip'", "Usage: gannet APP"]);
}

// ---- application arguments --------------------------------------------------------

#[test]
fn unknown_options_are_named() {
    refused("echo -- --bogus", 2, &["'--bogus'", "--help"]);
    refused("echo -- stray", 2, &["'stray'", "--help"]);
    refused("echo -- --io xdp:eth0", 2, &["'xdp:eth0'", "--io", "af_packet:IFACE"]);
    refused("echo -- --io af_packet", 2, &["name the interface", "af_packet:eth0"]);
    refused("echo -- --io pcap:", 2, &["name the capture", "pcap:in.pcap"]);
}

#[test]
fn an_application_argument_stands_behind_the_dashes() {
    for early in ["echo --ip 10.77.0.1/24", "echo -l 0 --udp-port=7 -- --ip 10.77.0.1/24", "echo --io pcap:x"]
    {
        refused(early, 2, &["application argument", "behind --", "-- --"]);
    }
}

#[test]
fn addresses_are_checked() {
    let with = |address: &str| format!("echo -- --io af_packet:near0 --ip {address}");
    refused(&with("10.77.0.1"), 2, &["--ip 10.77.0.1:", "prefix length is missing", "10.77.0.1/24"]);
    refused(&with("10.77.0.1/33"), 2, &["'33'", "0 to 32"]);
    refused(&with("10.77.0.256/24"), 2, &["'10.77.0.256'", "IP address"]);
    refused(&with("224.0.0.1/4"), 2, &["224.0.0.1", "can't be a host's"]);
    refused(&with("10.77.0.1/24@"), 2, &["behind the @"]);
    refused(&with("fd00::1/129"), 2, &["'129'", "0 to 128"]);
    refused(&with("fd00::1"), 2, &["--ip fd00::1:", "prefix length is missing", "fd00::1/64"]);
    refused(&with("fd00:::1/64"), 2, &["'fd00:::1'", "IP address"]);
    for no_host in ["::/64", "::1/128", "ff02::1/64", "::ffff:10.77.0.1/120"] {
        let (address, _) = no_host.split_once('/').expect("a prefix");
        refused(&with(no_host), 2, &[address, "can't be a host's"]);
    }
    refused("echo -- --io af_packet:near0", 2, &["no address", "--ip ADDR/LEN"]);
    // What is given and missing in either build, whatever its default port.
    refused("echo -l 0", 2, &["--"]);
}

#[test]
fn values_are_checked_and_their_form_is_shown() {
    let with = |argument: &str| format!("echo {NATIVE} {argument}");
    refused(&with("--udp-port 0"), 2, &["--udp-port", "port 0"]);
    refused(&with("--udp-port 65536"), 2, &["'65536'", "1 to 65535", "all"]);
    refused(&with("--duration 5x"), 2, &["'5x'", "--duration", "ms, s, m"]);
    refused(&with("--stats 1ms"), 2, &["'1ms'", "--stats", "10ms"]);
    refused(&with("--idle nap"), 2, &["'nap'", "--idle", "spin, pause, sleep and adaptive"]);
    refused(&with("--ttl 0"), 2, &["--ttl", "1..=255"]);
    refused(&with("--burst 0"), 2, &["--burst", "1..=512"]);
    refused(&with("--rxd 0"), 2, &["--rxd"]);
    refused(&with("--mtu 100"), 2, &["--mtu", "576"]);
    refused(&with("--fault loss=200%"), 2, &["'200%'", "0% to 100%"]);
    refused(&with("--fault lost=1%"), 2, &["'lost'", "loss"]);
    refused(&with("--tx-shared never"), 2, &["'never'", "--tx-shared", "auto, share and copy"]);
    refused(&with("--gateway 10.77.0"), 2, &["'10.77.0'", "--gateway"]);
    refused(&with("--ip"), 2, &["--ip"]);
}

#[test]
fn guards_and_policies_are_checked() {
    let with = |argument: &str| format!("echo {NATIVE} {argument}");
    refused(&with("--guard rat=5"), 2, &["'rat'", "--guard", "global-rate", "icmp-rate"]);
    refused(&with("--guard rate"), 2, &["'rate'", "no value", "rate=5000"]);
    refused(&with("--guard on"), 2, &["'on'", "no value"]);
    refused(&with("--guard rate=fast"), 2, &["'fast'", "whole number", "off"]);
    refused(&with("--guard rate=0"), 2, &["'0'", "whole number from 1", "off"]);
    refused(&with("--guard source-port=5"), 2, &["'5'", "source-port=on"]);
    refused(&with("--guard rate=5,rate=6"), 2, &["'rate'", "twice"]);
    refused(&with("--guard off,rate=5"), 2, &["'off'", "no value"]);
    refused(&with("--fragments keep"), 2, &["'keep'", "--fragments", "drop and reassemble"]);
    refused(&with("--fragments reassemble@"), 2, &["--fragments", "behind the @"]);
}

#[test]
fn ports_are_the_eal_s() {
    refused(&format!("echo {NATIVE} --ports 0"), 2, &["--ports", "EAL", "--io af_packet:near0"]);
}

// ---- EAL arguments on a native port -------------------------------------------------

#[test]
fn a_native_port_takes_some_eal_arguments_only() {
    let with = |eal: &str| format!("echo {eal} {NATIVE}");
    for (eal, name) in [
        ("--vdev=net_tap0", "--vdev"),
        ("-a 0000:03:00.0", "-a"),
        ("--no-huge", "--no-huge"),
        ("-l 0 -m 256", "-m"),
        ("--file-prefix x", "--file-prefix"),
    ] {
        refused(&with(eal), 2, &[name, "DPDK", "leave it out", "--io dpdk"]);
    }
    refused(&with("--bogus"), 2, &["'--bogus'", "unknown", "--lcores", "behind --"]);
    refused(&with("stray"), 2, &["'stray'", "unknown"]);
}

#[test]
fn lcores_have_to_be_there() {
    let with = |eal: &str| format!("echo {eal} {NATIVE}");
    refused(&with("-l 999"), 2, &["lcore 999", "CPU 999", "-l"]);
    refused(&with("--lcores 0@999"), 2, &["lcore 0", "CPU 999"]);
    refused(&with("-l 99999"), 2, &["'99999'", "0-2,5"]);
    refused(&with("-l x"), 2, &["'x'", "numbers and ranges"]);
    refused(&with("-l 1-0"), 2, &["'1-0'", "backwards"]);
    refused(&with("-l"), 2, &["-l", "value"]);
    let cpu = common::cpus()[0];
    refused(&with(&format!("-l {cpu} --main-lcore 999")), 2, &["--main-lcore 999", "-l"]);
    refused(&with(&format!("-l {cpu} --lcores {cpu}")), 2, &["-l", "--lcores", "give one"]);
    refused(&with(&format!("-l {cpu} -l {cpu}")), 2, &["-l", "give one"]);
    refused(&with(&format!("--lcores {cpu}@{cpu},{cpu}@{cpu}")), 2, &["twice"]);
}

// ---- ports ------------------------------------------------------------------------------

#[test]
fn an_interface_has_to_exist_and_be_no_loopback() {
    Lab::with("an_interface_has_to_exist_and_be_no_loopback", |lab| {
        let refused = |io: &str, words: &[&str]| {
            let command = gannet(&format!("echo -- --io {io} --ip 10.77.0.1/24"));
            check(Program::start(&mut lab.engine(&command)).end(), 1, words);
        };
        refused("af_packet:nosuch0", &["'nosuch0'", "no interface", "ip link"]);
        refused("af_packet:lo", &["'lo'", "loopback", "veth"]);
        refused("af_packet:near0,nosuch0", &["'nosuch0'"]);
        refused("af_packet:a-name-longer-than-15", &["'a-name-longer-than-15'"]);
        refused("af_packet:near0 --mtu 9000", &["--mtu 9000", "1500", "ip link set near0 mtu 9000"]);
    });
}

#[test]
fn arguments_that_contradict_the_ports() {
    Lab::with("arguments_that_contradict_the_ports", |lab| {
        let refused = |arguments: &str, words: &[&str]| {
            let command = gannet(&format!("echo {NATIVE}{arguments}"));
            check(Program::start(&mut lab.engine(&command)).end(), 2, words);
        };
        refused("@3", &["'3'", "0 (near0)"]);
        refused("@eth7", &["'eth7'", "0 (near0)"]);
        refused("@eth7.100", &["'eth7'", "0 (near0)"]);
        for vlan in ["0", "4095", "x", ""] {
            refused(&format!("@near0.{vlan}"), &[&format!("'{vlan}'"), "VLAN", "1 to 4094"]);
        }
        refused(" --gateway 10.78.0.1", &["10.78.0.1", "on no link", "--ip"]);
        refused("@near0.100.4095", &["'4095'", "VLAN", "1 to 4094"]);
        refused("@near0.0.100", &["'0'", "VLAN", "1 to 4094"]);
        refused("@eth7.100.200", &["'eth7'", "0 (near0)"]);
        refused(" --fragments reassemble@nosuchport", &["'nosuchport'", "0 (near0)"]);
        refused(" --gateway 10.77.0.1", &["10.77.0.1", "address of ours"]);
        refused(
            " --gateway 10.77.0.254 --gateway 10.77.0.253",
            &["two gateways", "10.77.0.254", "10.77.0.253"],
        );
        let sixth = " --ip fd00::1/64 --gateway";
        refused(&format!("{sixth} fd01::fe"), &["fd01::fe", "on no link", "--ip"]);
        refused(&format!("{sixth} fd00::fe --gateway fe80::fe"), &["two gateways", "fd00::fe", "fe80::fe"]);
        refused(" --gateway fe80::fe", &["fe80::fe", "on no link", "--ip"]);
        refused(" --ip 10.77.0.1/16", &["10.77.0.1", "twice"]);
        refused(" --ip fd00::1/64 --ip fd00::1/48", &["fd00::1", "twice"]);
    });
}

#[test]
fn a_packet_socket_takes_a_right() {
    const NAME: &str = "a_packet_socket_takes_a_right";
    // The right is CAP_NET_RAW alone, so that is what root gives up here: an ordinary user
    // might not even be let near the program's file.
    let without = |command: &Command| {
        let mut stripped = Command::new("setpriv");
        stripped.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"]);
        stripped.arg(command.get_program()).args(command.get_args());
        stripped
    };
    if let Err(why) = Command::new("setpriv").arg("--version").output() {
        return skip(NAME, &format!("the program setpriv: {why}"));
    }
    let words = ["no permission", "packet socket", "CAP_NET_RAW", "root", "setcap"];
    match Namespace::new() {
        Ok(_) => Lab::with(NAME, |lab| {
            let command = lab.engine(&without(&gannet(&format!("echo {NATIVE}"))));
            check(Program::start(&mut { command }).end(), 1, &words);
        }),
        // Without root there is no such right to give up, and every interface will do.
        Err(_) => {
            let interfaces = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
            let mut names = interfaces.filter_map(|entry| entry.file_name().into_string().ok());
            match names.find(|name| name != "lo") {
                Some(name) => {
                    refused(&format!("echo -- --io af_packet:{name} --ip 10.77.0.1/24"), 1, &words);
                }
                None => skip(NAME, "neither root nor an interface"),
            }
        }
    }
}

#[test]
fn captures_have_to_be_there() {
    let folder = Scratch::new();
    let run = |io: &str| {
        let mut command = gannet(&format!("echo -- --io {io} --ip 10.77.0.1/24"));
        Program::start(command.current_dir(folder.path())).end()
    };
    check(run("pcap:missing.pcap"), 1, &["missing.pcap", "No such file", "--io pcap:IN[,OUT]"]);
    std::fs::write(folder.path().join("text.pcap"), "this is no capture, it is a sentence").expect("written");
    check(run("pcap:text.pcap"), 1, &["text.pcap", "pcap"]);
    empty_capture(&folder);
    check(run("pcap:empty.pcap,missing/out.pcap"), 1, &["missing/out.pcap"]);
    check(run("pcap:empty.pcap,empty.pcap"), 1, &["empty.pcap"]);
}

#[test]
fn a_report_that_can_t_be_written_is_said() {
    let _turn = turn();
    let folder = Scratch::new();
    empty_capture(&folder);
    let mut command = gannet("echo -- --io pcap:empty.pcap --ip 10.77.0.1/24 --json missing/report.json");
    let ended = Program::start(command.current_dir(folder.path())).end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    for word in ["missing/report.json", "No such file"] {
        assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
    }
}

/// `empty.pcap`: a capture with no frames.
fn empty_capture(folder: &Scratch) {
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1];
    let bytes: Vec<_> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(folder.path().join("empty.pcap"), bytes).expect("written");
}

// ---- DPDK ----------------------------------------------------------------------------------

#[cfg(not(feature = "dpdk"))]
#[test]
fn without_dpdk_a_native_port_has_to_be_named() {
    for arguments in ["echo", "echo -l 0 -- --ip 10.77.0.1/24", "echo -- --io dpdk --ip 10.77.0.1/24"] {
        refused(arguments, 2, &["no DPDK", "--io af_packet:eth0", "feature dpdk"]);
    }
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use super::*;

    /// No hugepages, no NICs, and nothing left behind.
    const EAL: &str = "--no-huge --no-pci --no-shconf -m 64";
    const HOST: &str = "-- --ip 10.77.0.1/24";

    #[test]
    fn an_address_is_asked_for_before_dpdk_starts() {
        refused("echo -l 999", 2, &["no address", "--ip ADDR/LEN"]);
    }

    #[test]
    fn hugepages_have_to_be_there() {
        let reserved = std::fs::read_to_string("/proc/meminfo").expect("memory's state");
        let has_none =
            reserved.lines().any(|line| line.starts_with("HugePages_Total:") && line.ends_with(" 0"));
        // Where there are some, the program is started where it can't see them.
        let hide = "mount -t tmpfs none /sys/kernel/mm/hugepages && exec \"$@\"";
        let hidden = |command: &Command| {
            let mut hidden = Command::new("unshare");
            hidden.args(["--mount", "sh", "-c", hide, "sh"]).arg(command.get_program());
            hidden.args(command.get_args());
            hidden
        };
        if !has_none && !hidden(&Command::new("true")).status().is_ok_and(|status| status.success()) {
            return skip("hugepages_have_to_be_there", "it needs root to hide this machine's hugepages");
        }
        for eal in ["--no-pci", "--no-pci --in-memory", ""] {
            let command = gannet(&format!("echo {eal} {HOST}"));
            let mut command = if has_none { command } else { hidden(&command) };
            let words = ["no hugepages", "./hugepages.sh reserve", "--no-huge"];
            check(Program::start(&mut command).end(), 1, &words);
        }
    }

    #[test]
    fn options_of_the_eal_that_contradict_each_other() {
        refused(
            &format!("echo --no-huge --in-memory --no-pci {HOST}"),
            2,
            &["--no-huge", "--in-memory", "exclude", "leave one out"],
        );
    }

    #[test]
    fn options_that_nobody_has() {
        refused(&format!("echo {EAL} --bogus {HOST}"), 2, &["--bogus"]);
        refused(&format!("echo {EAL} stray {HOST}"), 2, &["stray"]);
    }

    #[test]
    fn lcores_have_to_be_there() {
        refused(&format!("echo {EAL} -l 120 {HOST}"), 2, &["lcore 120", "CPU 120", "-l"]);
        let cpu = common::cpus()[0];
        refused(&format!("echo {EAL} -l {cpu} --main-lcore 77 {HOST}"), 2, &["--main-lcore 77", "-l"]);
    }

    #[test]
    fn ports_have_to_be_there() {
        let eal = format!("-l {} {EAL}", common::cpus()[0]);
        refused(&format!("echo {eal} {HOST}"), 2, &["no port", "--vdev", "vfio-pci", "--io af_packet"]);
        refused(&format!("echo {eal} --vdev=net_nosuch0 {HOST}"), 1, &["net_nosuch0", "no driver", "--vdev"]);
        let null = format!("{eal} --vdev=net_null0 --vdev=net_null1");
        let known = "0 (net_null0), 1 (net_null1)";
        refused(&format!("echo {null} {HOST} --ports 7"), 2, &["'7'", known]);
        refused(&format!("echo {null} {HOST} --ports net_null0,eth0"), 2, &["'eth0'", known]);
        refused(&format!("echo {null} {HOST}@net_tap0"), 2, &["'net_tap0'", known]);
    }

    #[test]
    fn devices_have_to_have_their_interface() {
        let eal = format!("-l {} {EAL}", common::cpus()[0]);
        let run = |vdev: &str| Program::start(&mut gannet(&format!("echo {eal} --vdev={vdev} {HOST}"))).end();
        check(run("net_af_packet0,iface=nosuch0"), 1, &["net_af_packet0"]);
    }

    #[test]
    fn a_prefix_is_one_program_s() {
        Lab::with("a_prefix_is_one_program_s", |lab| {
            let prefix = common::unique("prefix");
            let eal = format!("-l {} --no-huge --no-pci -m 64 --file-prefix {prefix}", common::cpus()[0]);
            let command = gannet(&format!("echo {eal} --vdev=net_null0 {HOST} --duration 60s"));
            let mut first = Program::start(&mut lab.engine(&command));
            first.ready();
            check(Program::start(&mut lab.engine(&command)).end(), 1, &[&prefix, "--file-prefix"]);
            assert_eq!(first.stop("TERM").code, Some(0));
        });
    }
}

// ---- the bots ------------------------------------------------------------------

#[test]
fn the_bots_have_their_own_help() {
    let help = printed("bots --help");
    for word in ["--to", "--bots", "--rate", "--gather", "--attacks", "--session", "--check-loss", "--io"] {
        assert!(help.contains(word), "no '{word}': {help}");
    }
}

#[test]
fn bots_that_can_t_be_are_refused() {
    let to = format!("bots {NATIVE} --to 10.77.0.2:8080");
    let cases: [(&str, &[&str]); 9] = [
        ("--bots 0", &["--bots"]),
        ("--bots 70000", &["--bots 70000", "--ip"]),
        ("--bots 10 --source-port 65530", &["needs 10 source ports from 65530"]),
        ("--rate 0", &["--rate", "0.1"]),
        ("--rate fast", &["--rate", "0 to 100000"]),
        ("--speed=-1", &["--speed"]),
        ("--check-loss nan", &["--check-loss"]),
        ("--udp-port 7", &["--udp-port", "--source-port"]),
        ("--session soon", &["--session"]),
    ];
    for (arguments, words) in cases {
        refused(&format!("{to} {arguments}"), 2, words);
    }
    refused(&format!("bots {NATIVE}"), 2, &["--to"]);
    refused(&format!("bots {NATIVE} --to [fd00::1]:8080"), 2, &["[fd00::1]:8080", "--ip fd00:77::2/64"]);
}

// ---- the generator -------------------------------------------------------------

#[test]
fn the_generator_has_its_own_help() {
    let help = printed("gen --help");
    for word in ["--to", "--rate", "--gaps", "--size", "--flows", "--replay", "--search", "--hgrm", "--io"] {
        assert!(help.contains(word), "no '{word}': {help}");
    }
}

#[test]
fn loads_that_can_t_be_sent_are_refused() {
    let to = format!("gen {NATIVE} --to 10.77.0.2:7");
    let cases: [(&str, &[&str]); 12] = [
        ("--rate fast", &["--rate", "100k"]),
        ("--size 63", &["--size 63 is too short", "IPv4 has 64 bytes"]),
        ("--size 1500-64", &["shorter length first"]),
        ("--payload ones", &["zeros, random, counting"]),
        ("--flows 70000", &["--flows 70000", "--ip"]),
        ("--to [fd00::1]:7", &["[fd00::1]:7", "--ip fd00:77::2/64"]),
        ("--udp-port 7", &["--udp-port", "--source-port"]),
        ("--search --count 5", &["--search", "--count"]),
        ("--search --duration 1s", &["--duration", "--trial"]),
        ("--trial 1s", &["--search"]),
        ("--replay x.pcap --rate 5", &["--replay", "--rate"]),
        ("--loss 5 --search", &["0.5%"]),
    ];
    for (arguments, words) in cases {
        refused(&format!("{to} {arguments}"), 2, words);
    }
    refused(&format!("gen {NATIVE}"), 2, &["--to"]);
    refused(&format!("{to} --replay /nonexistent.pcap"), 1, &["/nonexistent.pcap"]);
    refused(&format!("{to} --neighbour 10.77.0.2"), 2, &["--neighbour", "ADDR=MAC"]);
}
