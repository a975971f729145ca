//! The command line: `PROGRAM [EAL arguments] -- [application arguments]`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::capture::CaptureConfig;
use super::error::UsageError;
use super::sockets::SocketArgs;
use crate::host::{FragmentPolicy, GuardConfig, Sharing};
use crate::idle::IdlePolicy;
use crate::port::fault::FaultConfig;
use crate::sys::User;
use crate::wire::ethernet::{MacAddress, MacAddressError};

/// The application arguments that every program has.
#[derive(Clone, Debug, clap::Args)]
pub struct CommonArgs {
    /// Where frames come from: dpdk, af_packet:IFACE,… or pcap:IN,OUT (either may be left out); or
    /// datagrams: socket
    #[arg(long, value_name = "PORT", default_value_t, help_heading = "Ports")]
    pub io: Io,

    /// An address of ours and its link, IPv4 or IPv6 (repeatable); on another port than the first:
    /// ADDR/LEN@PORT, by number or name; in a VLAN: ADDR/LEN@PORT.VLAN; in one VLAN within
    /// another: ADDR/LEN@PORT.OUTER.INNER; on sockets: ADDR, or 0.0.0.0 or :: for all
    #[arg(long, value_name = "ADDR/LEN", help_heading = "Host")]
    pub ip: Vec<AddressArg>,

    /// The router for destinations that are on no link of ours (repeatable: one for IPv4, one for
    /// IPv6)
    #[arg(long = "gateway", value_name = "ADDR", help_heading = "Host")]
    pub gateways: Vec<IpAddr>,

    /// The MAC address of a neighbour, which is then not asked for it (repeatable): a target or
    /// gateway on a wire where nobody answers
    #[arg(long = "neighbour", value_name = "ADDR=MAC", help_heading = "Host")]
    pub neighbours: Vec<NeighbourArg>,

    /// What becomes of fragments: drop, or reassemble (and datagrams longer than the MTU are
    /// cut); for one port: POLICY@PORT (repeatable)
    #[arg(long, value_name = "POLICY", help_heading = "Host")]
    pub fragments: Vec<FragmentsArg>,

    /// Guards against abuse: source-port=on|off, rate=N, global-rate=N, amplification=N, icmp-rate=N,
    /// each a number or off; or off for all. What is not named follows the kind of service
    #[arg(long, value_name = "GUARDS", default_value = "default", help_heading = "Host")]
    pub guard: GuardConfig,

    /// Use all addresses at once: no duplicate address detection, no announcements at the start
    #[arg(long, help_heading = "Host")]
    pub no_announce: bool,

    /// A UDP port that the service listens on, several as in 5000-5999, or "all" (repeatable)
    #[arg(long = "udp-port", value_name = "PORT", help_heading = "Host")]
    pub udp_ports: Vec<UdpPortArg>,

    /// Hops that packets of ours may take
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u8).range(1..), help_heading = "Host")]
    pub ttl: u8,

    /// Serve only these ports of the EAL's, by number or name
    #[arg(long, value_name = "PORT,…", value_delimiter = ',', help_heading = "Ports")]
    pub ports: Vec<String>,

    /// Receive descriptors (ring slots) per queue
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Ports")]
    pub rxd: Option<u16>,

    /// Transmit descriptors per queue
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Ports")]
    pub txd: Option<u16>,

    /// The longest IP packet, in bytes
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(576..), help_heading = "Ports")]
    pub mtu: Option<u16>,

    /// Ask the device for frames to every address
    #[arg(long, help_heading = "Ports")]
    pub promiscuous: bool,

    /// Frames that are taken and sent at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512), help_heading = "Ports")]
    pub burst: u16,

    /// What becomes of a payload that a service sends to many: auto, it is sent from one place if it
    /// is long and the port sends frames of several parts, else copied; share, if it is short too;
    /// copy, always copied
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Ports")]
    pub tx_shared: Sharing,

    /// Do harm to received frames: loss=1%,duplicate=1%,reorder=1%,truncate=1%,short-tx=1%,seed=7
    #[arg(long, value_name = "FAULTS", help_heading = "Ports")]
    pub fault: Option<FaultConfig>,

    /// Read arguments from this file, in TOML, under the names that they have here; those of the
    /// command line count. SIGHUP reads it again
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub config: Option<PathBuf>,

    /// Stop after this time: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = parse_run_time, help_heading = "Run")]
    pub duration: Option<Duration>,

    /// What lcores do while no packets come: spin or pause, which take all of their CPUs; sleep,
    /// until a frame comes where the port can tell (af_packet), else for up to 1 ms; adaptive,
    /// which spins after a packet, then pauses, then sleeps
    #[arg(long, value_name = "POLICY", default_value_t, help_heading = "Run")]
    pub idle: IdlePolicy,

    /// Print a line of statistics this often
    #[arg(long, value_name = "TIME", value_parser = parse_interval, help_heading = "Run")]
    pub stats: Option<Duration>,

    /// Write the end report to this file as JSON
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub json: Option<PathBuf>,

    /// Serve metrics at this address, as http://ADDR:PORT/metrics in OpenMetrics text; port 0 takes
    /// a free one and says which
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_endpoint, help_heading = "Run")]
    pub metrics: Option<SocketAddr>,

    /// Say so when an lcore's loop has stood still for this long
    #[arg(long, value_name = "TIME", value_parser = parse_patience, default_value = "2s", help_heading = "Run")]
    pub watchdog: Duration,

    /// Write dropped frames to this file as pcapng, with the reason as their comment; with
    /// reason=NAME (repeatable) those that are counted so; with reason=all every frame
    #[arg(long, value_name = "FILE[,reason=NAME…]", help_heading = "Run")]
    pub capture: Option<CaptureConfig>,

    /// Become this user when the ports are open (takes root)
    #[arg(long, value_name = "NAME", help_heading = "Run")]
    pub user: Option<User>,

    /// Keep the rights that the program was started with, and refuse no system calls
    #[arg(long, conflicts_with = "user", help_heading = "Run")]
    pub keep_privileges: bool,

    /// Refuse no system calls: the filter takes a little of each
    #[arg(long, help_heading = "Run")]
    pub no_seccomp: bool,

    /// What sockets alone have.
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Where frames or datagrams come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// The ports that the EAL arguments bring.
    #[default]
    Dpdk,
    /// Linux interfaces.
    AfPacket(Vec<String>),
    /// A capture, replayed, and what is sent recorded.
    Pcap {
        /// What is replayed.
        input: PathBuf,
        /// Where what is sent goes.
        output: Option<PathBuf>,
    },
    /// A capture file that what is sent goes to; nothing is received.
    PcapOut(PathBuf),
    /// UDP sockets of the kernel's.
    Socket,
}

impl FromStr for Io {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let rest = rest.filter(|rest| !rest.is_empty());
        match (kind, rest) {
            ("dpdk", None) => Ok(Self::Dpdk),
            ("af_packet", Some(interfaces)) => {
                let interfaces: Vec<_> = interfaces.split(',').map(str::to_owned).collect();
                if interfaces.iter().any(String::is_empty) {
                    return Err("an interface name is empty".to_owned());
                }
                match (1..interfaces.len()).find(|&index| interfaces[..index].contains(&interfaces[index])) {
                    Some(index) => Err(format!("{} is named twice", interfaces[index])),
                    None => Ok(Self::AfPacket(interfaces)),
                }
            }
            ("af_packet", None) => Err("name the interface, as in af_packet:eth0".to_owned()),
            ("pcap", None | Some(",")) => {
                Err("name the capture to replay, as in pcap:in.pcap,out.pcap".to_owned())
            }
            ("pcap", Some(files)) if files.starts_with(',') && files.len() > 1 => {
                Ok(Self::PcapOut(files[1..].into()))
            }
            ("pcap", Some(files)) => {
                let (input, output) =
                    files.split_once(',').map_or((files, None), |(input, output)| (input, Some(output)));
                Ok(Self::Pcap { input: input.into(), output: output.map(PathBuf::from) })
            }
            ("socket", None) => Ok(Self::Socket),
            ("socket", Some(_)) => Err("write socket alone, and its addresses behind --ip".to_owned()),
            _ => Err("there are dpdk, af_packet:IFACE, pcap:IN[,OUT], pcap:,OUT and socket".to_owned()),
        }
    }
}

impl std::fmt::Display for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dpdk => write!(f, "dpdk"),
            Self::AfPacket(interfaces) => write!(f, "af_packet:{}", interfaces.join(",")),
            Self::Pcap { input, output: None } => write!(f, "pcap:{}", input.display()),
            Self::Pcap { input, output: Some(output) } => {
                write!(f, "pcap:{},{}", input.display(), output.display())
            }
            Self::PcapOut(output) => write!(f, "pcap:,{}", output.display()),
            Self::Socket => write!(f, "socket"),
        }
    }
}

/// `ADDR/LEN[@PORT[.VLAN]]`, or `ADDR` on sockets; which port that is shows when the ports are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressArg {
    /// The address.
    pub address: IpAddr,
    /// Leading bits that the link's hosts share; `None` where it is not said.
    pub prefix_len: Option<u8>,
    /// What stands behind the `@`.
    pub place: Option<String>,
}

impl FromStr for AddressArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (prefix, place) =
            text.split_once('@').map_or((text, None), |(prefix, place)| (prefix, Some(place)));
        let (address, len) =
            prefix.split_once('/').map_or((prefix, None), |(address, len)| (address, Some(len)));
        let address: IpAddr = address.parse().map_err(|_| format!("'{address}' is not an IP address"))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = |len: &str| {
            let prefix_len = len.parse().ok().filter(|len| *len <= longest);
            prefix_len.ok_or_else(|| format!("'{len}' is not a prefix length from 0 to {longest}"))
        };
        let prefix_len = len.map(prefix_len).transpose()?;
        if place.is_some_and(str::is_empty) {
            return Err("the port behind the @ is missing".to_owned());
        }
        Ok(Self { address, prefix_len, place: place.map(str::to_owned) })
    }
}

impl AddressArg {
    /// The address and prefix length of a host on a link.
    pub(super) fn on_link(&self) -> Result<(IpAddr, u8), UsageError> {
        let address = self.address;
        let prefix_len = self.prefix_len.ok_or(UsageError::NoPrefix(address))?;
        if can_be_a_hosts(address) { Ok((address, prefix_len)) } else { Err(UsageError::NoHost(address)) }
    }
}

/// Zero, loopback, multicast and class E can't (RFC 1122, section 3.2.1.3), nor their likes of
/// IPv6 (RFC 4291, section 2.5 and 2.7).
fn can_be_a_hosts(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(address.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(address) => {
            !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && address.to_ipv4_mapped().is_none()
        }
    }
}

/// `POLICY[@PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentsArg {
    /// What becomes of fragments.
    pub policy: FragmentPolicy,
    /// On which port, by number or name; on all if it is not said.
    pub port: Option<String>,
}

impl FromStr for FragmentsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (policy, port) =
            text.split_once('@').map_or((text, None), |(policy, port)| (policy, Some(port.to_owned())));
        let policy = match policy {
            "drop" => FragmentPolicy::Drop,
            "reassemble" => FragmentPolicy::Reassemble,
            _ => return Err("there are drop and reassemble".to_owned()),
        };
        if port.as_ref().is_some_and(String::is_empty) {
            return Err("the port behind the @ is missing".to_owned());
        }
        Ok(Self { policy, port })
    }
}

/// `ADDR=MAC`: a neighbour whose address is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourArg {
    /// The neighbour, on whichever link of ours it is.
    pub address: IpAddr,
    /// Its address.
    pub mac: MacAddress,
}

impl FromStr for NeighbourArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let (address, mac) = parts.ok_or("write ADDR=MAC, as in 10.77.0.1=02:00:00:00:00:01")?;
        let address = address.parse().map_err(|_| format!("'{address}' is not an IP address"))?;
        let mac: MacAddress = mac.parse().map_err(|error: MacAddressError| error.to_string())?;
        if mac.is_unicast() {
            Ok(Self { address, mac })
        } else {
            Err(format!("{mac} is no station's address"))
        }
    }
}

/// A UDP port, several, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpPortArg {
    /// This one.
    One(u16),
    /// From this one to that, both included.
    Range(u16, u16),
    /// All but 0.
    All,
}

impl UdpPortArg {
    /// The ports that it stands for.
    pub(super) fn each(&self) -> RangeInclusive<u16> {
        match *self {
            Self::One(port) => port..=port,
            Self::Range(first, last) => first..=last,
            Self::All => 1..=u16::MAX,
        }
    }
}

impl FromStr for UdpPortArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            _ if text.contains('-') => Self::range(text),
            _ => match text.parse() {
                Ok(0) => Err("port 0 is nobody's".to_owned()),
                Ok(port) => Ok(Self::One(port)),
                Err(_) => Err("give a number from 1 to 65535, two as in 5000-5999, or all".to_owned()),
            },
        }
    }
}

impl UdpPortArg {
    fn range(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or_default();
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self::Range(first, last)),
            _ => Err("give the first port and the last, as in 5000-5999".to_owned()),
        }
    }
}

impl std::fmt::Display for UdpPortArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(port) => port.fmt(f),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
            Self::All => write!(f, "all"),
        }
    }
}

/// Reads `10s`, `500ms`, `2m`, `1h`; a plain number is seconds.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("'{unit}' is no unit of time: there are us, ms, s, m and h")),
    };
    let number: f64 =
        number.parse().map_err(|_| "write a number and a unit, as in 10s or 500ms".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| format!("{text} is too long a time"))
}

fn parse_run_time(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    let nothing = "a run of no time does nothing: give more than 0s, or leave it out to run until a signal";
    if time.is_zero() { Err(nothing.to_owned()) } else { Ok(time) }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < Duration::from_millis(10) { Err("10ms is the shortest".to_owned()) } else { Ok(interval) }
}

fn parse_patience(text: &str) -> Result<Duration, String> {
    let patience = parse_duration(text)?;
    let is_long_enough = patience >= Duration::from_millis(100);
    is_long_enough
        .then_some(patience)
        .ok_or_else(|| "100ms is the shortest: to wait for packets is no stall".to_owned())
}

fn parse_endpoint(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an address and a port, as in 127.0.0.1:9464 or [::1]:9464".to_owned())
}

/// The two halves of a command line, without the program's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Halves {
    pub(super) eal: Vec<String>,
    pub(super) application: Vec<String>,
}

impl Halves {
    /// Help is the application's to give, whichever half asks for it.
    pub(super) fn split(args: impl IntoIterator<Item = String>) -> Self {
        let mut args = args.into_iter();
        let eal: Vec<_> = args.by_ref().take_while(|arg| arg != "--").collect();
        if eal.iter().any(|arg| matches!(arg.as_str(), "-h" | "--help")) {
            return Self { eal: Vec::new(), application: vec!["--help".to_owned()] };
        }
        Self { eal, application: args.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_names_a_port() {
        assert_eq!("dpdk".parse(), Ok(Io::Dpdk));
        assert_eq!("af_packet:a,b".parse(), Ok(Io::AfPacket(vec!["a".into(), "b".into()])));
        let pcap = Io::Pcap { input: "in.pcap".into(), output: Some("out.pcap".into()) };
        assert_eq!("pcap:in.pcap,out.pcap".parse(), Ok(pcap.clone()));
        assert_eq!(pcap.to_string(), "pcap:in.pcap,out.pcap");
        let output = Io::PcapOut("out.pcap".into());
        assert_eq!(
            (Ok(output.clone()), output.to_string().as_str()),
            ("pcap:,out.pcap".parse(), "pcap:,out.pcap")
        );
        assert_eq!("socket".parse(), Ok(Io::Socket));
        for bad in [
            "",
            "dpdk:x",
            "af_packet",
            "af_packet:",
            "af_packet:a,,b",
            "af_packet:a,b,a",
            "pcap:",
            "pcap:,",
            "xdp:eth0",
            "socket:127.0.0.1",
        ] {
            assert!(bad.parse::<Io>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_prefix() {
        let plain: AddressArg = "10.77.0.1/24".parse().expect("valid");
        assert_eq!(
            (plain.address, plain.prefix_len, plain.place),
            (IpAddr::from([10, 77, 0, 1]), Some(24), None)
        );
        let sixth: AddressArg = "fd00::1/64@1.100.300".parse().expect("valid");
        assert_eq!(
            (sixth.address, sixth.prefix_len),
            (IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]), Some(64))
        );
        assert_eq!(sixth.place.as_deref(), Some("1.100.300"));
        let placed: AddressArg = "10.77.0.1/24@1.300".parse().expect("valid");
        assert_eq!(placed.place.as_deref(), Some("1.300"));
        for bad in
            ["10.77.0.1/33", "10.77.0/24", "10.77.0.1/24@", "10.77.0.1/", "fd00::1/129", "fd00:::1/64", "/24"]
        {
            assert!(bad.parse::<AddressArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_on_a_link_has_an_address_and_a_prefix() {
        let on_link = |text: &str| text.parse::<AddressArg>().expect("an address").on_link();
        let own = IpAddr::from([10, 77, 0, 1]);
        assert_eq!(on_link("10.77.0.1/24"), Ok((own, 24)));
        assert_eq!(on_link("10.77.0.1"), Err(UsageError::NoPrefix(own)));
        for bad in [
            "224.0.0.1/4",
            "0.0.0.0/0",
            "127.0.0.1/8",
            "240.0.0.1/8",
            "::/0",
            "::1/128",
            "ff02::1/64",
            "::ffff:10.77.0.1/120",
        ] {
            assert!(matches!(on_link(bad), Err(UsageError::NoHost(_))), "{bad}");
        }
    }

    #[test]
    fn neighbours_have_an_address_of_each_kind() {
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        for address in ["10.77.0.1", "fe80::1"] {
            let arg = NeighbourArg { address: address.parse().expect("valid"), mac };
            assert_eq!(format!("{address}={mac}").parse(), Ok(arg));
        }
        for bad in
            ["", "10.77.0.1", "10.77.0.1=", "10.77.0.1=02", "x=02:00:00:00:00:01", "::=ff:ff:ff:ff:ff:ff"]
        {
            assert!(bad.parse::<NeighbourArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn udp_ports_are_one_several_or_all() {
        for (text, ports) in [
            ("7", UdpPortArg::One(7)),
            ("5000-5999", UdpPortArg::Range(5000, 5999)),
            ("all", UdpPortArg::All),
        ] {
            assert_eq!((text.parse(), ports.to_string().as_str()), (Ok(ports), text));
        }
        for bad in ["", "0", "65536", "-", "0-7", "7-", "-7", "8-7", "7-65536", "1-2-3"] {
            assert!(bad.parse::<UdpPortArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn fragment_policies_may_name_a_port() {
        let arg = |policy, port: Option<&str>| FragmentsArg { policy, port: port.map(str::to_owned) };
        assert_eq!("drop".parse(), Ok(arg(FragmentPolicy::Drop, None)));
        assert_eq!("reassemble@eth0".parse(), Ok(arg(FragmentPolicy::Reassemble, Some("eth0"))));
        for bad in ["", "keep", "reassemble@", "@eth0"] {
            assert!(bad.parse::<FragmentsArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_run_time("1us"), Ok(Duration::from_micros(1)));
        assert!(parse_run_time("0s").is_err() && parse_run_time("0.0000000001").is_err());
        for bad in ["", "s", "1d", "-1s", "1e9h", "1..5s", "99999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert!(parse_interval("1ms").is_err());
        assert!(parse_patience("99ms").is_err() && parse_patience("100ms").is_ok());
    }

    #[test]
    fn the_first_double_dash_divides() {
        let args = ["-l", "1", "--", "--ip", "10.0.0.1/8", "--", "x"].map(String::from);
        let halves = Halves::split(args);
        assert_eq!(halves.eal, ["-l", "1"]);
        assert_eq!(halves.application, ["--ip", "10.0.0.1/8", "--", "x"]);
        assert_eq!(Halves::split(["-l", "1", "-h"].map(String::from)).application, ["--help"]);
    }
}
