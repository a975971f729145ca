//! Network namespaces, wired to each other, with the kernel as the client.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use super::client::{Tally, exchange};
use super::frames::Mac;
use super::wire::Wire;
use super::{Scratch, skip, turn, unique};

/// The wire of a test: `near0` in the engine's namespace, with no address of the kernel's,
/// and `far0` in the client's, which has 10.77.0.2/24.
pub(crate) struct Lab {
    // Dropped in this order: the interfaces, the files, and then it is the next test's turn.
    pub(crate) near: Namespace,
    pub(crate) far: Namespace,
    pub(crate) scratch: Scratch,
    _turn: File,
}

impl Lab {
    /// Runs a test in a lab of its own, or skips it by name.
    pub(crate) fn with(name: &str, test: impl FnOnce(&Self)) {
        let turn = turn();
        let near = match Namespace::new() {
            Ok(near) => near,
            Err(reason) => return skip(name, &reason),
        };
        let far = Namespace::new().expect("a second namespace");
        let lab = Self { near, far, scratch: Scratch::new(), _turn: turn };
        lab.wire(0);
        lab.far.ip("addr add 10.77.0.2/24 dev far0");
        test(&lab);
    }

    /// Joins `nearN` and `farN`.
    pub(crate) fn wire(&self, number: u8) {
        let (near, far) = (&self.near, &self.far);
        near.ip(&format!("link add near{number} type veth peer name far{number} netns {}", far.0));
        near.ip(&format!("link set near{number} up"));
        far.ip(&format!("link set far{number} up"));
    }

    /// A command in the engine's namespace, in the test's folder.
    pub(crate) fn engine(&self, command: &Command) -> Command {
        self.inside(&self.near, command)
    }

    /// A command in the client's namespace, in the test's folder.
    pub(crate) fn client(&self, command: &Command) -> Command {
        self.inside(&self.far, command)
    }

    fn inside(&self, namespace: &Namespace, command: &Command) -> Command {
        let mut inside = namespace.command(command.get_program());
        inside.args(command.get_args());
        self.scratch.run_in(inside)
    }
}

/// A network namespace, gone with its value.
pub(crate) struct Namespace(String);

impl Namespace {
    /// A new one that forwards nothing, and with no IPv6 until [`Self::speak_ipv6`], so that its
    /// kernel says nothing of its own accord.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn new() -> Result<Self, String> {
        let name = unique("space");
        let output = Command::new("ip").args(["netns", "add", &name]).output();
        let output = output.map_err(|error| format!("the program ip: {error}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("it needs root for network namespaces (ip netns add: {})", why.trim()));
        }
        let namespace = Self(name);
        let quiet = "for conf in all default; do echo 1 >/proc/sys/net/ipv6/conf/$conf/disable_ipv6; done \
                     2>/dev/null; echo 0 >/proc/sys/net/ipv4/ip_forward";
        namespace.run("sh", ["-c", quiet]);
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    /// Has its kernel speak IPv6 on an interface and gives it this address at once, with the
    /// prefix length.
    pub(crate) fn speak_ipv6(&self, interface: &str, address: &str) {
        let speak = format!(
            "cd /proc/sys/net/ipv6/conf/{interface} && echo 0 >accept_dad && echo 0 >accept_ra && \
             echo 0 >router_solicitations && echo 0 >disable_ipv6"
        );
        self.run("sh", ["-c", &speak]);
        self.ip(&format!("addr add {address} dev {interface} nodad"));
    }

    /// A command inside. Its process is the program itself, so signals reach that.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    /// Runs a program inside, which has to succeed.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        let mut command = self.command(program);
        succeed(&command.args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    /// `ip` inside.
    pub(crate) fn ip(&self, arguments: &str) {
        succeed(&Command::new("ip").args(["-n", &self.0]).args(arguments.split(' ')).output().expect("ip"));
    }

    /// A UDP socket of its kernel.
    pub(crate) fn socket(&self, address: &str) -> UdpSocket {
        let socket = self.inside(|| UdpSocket::bind(address)).expect(address);
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        socket
    }

    /// The frames of an interface.
    pub(crate) fn wire(&self, interface: &str) -> Wire {
        self.inside(|| Wire::open(interface)).expect(interface)
    }

    /// The MAC address of an interface.
    pub(crate) fn mac(&self, interface: &str) -> Mac {
        let text = self.run("cat", [format!("/sys/class/net/{interface}/address")]);
        let bytes = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a byte"));
        bytes.collect::<Vec<_>>().try_into().expect("six bytes")
    }

    /// As `ip` knows it.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// The number of the interface of that name, if there is one.
    pub(crate) fn index(&self, interface: &str) -> Option<String> {
        let mut command = Command::new("ip");
        let output = command.args(["-n", &self.0, "link", "show", interface]).output().expect("ip");
        let text = String::from_utf8_lossy(&output.stdout);
        text.split_once(':').map(|(index, _)| index.to_owned())
    }

    /// Frames that an interface has received and sent.
    pub(crate) fn frames(&self, interface: &str) -> u64 {
        let files = ["rx", "tx"].map(|way| format!("/sys/class/net/{interface}/statistics/{way}_packets"));
        let text = self.run("cat", files);
        text.lines().map(|line| line.parse::<u64>().expect("a count")).sum()
    }

    /// Sends `count` datagrams of all sizes that fit a frame to `to`.
    pub(crate) fn udp_client(&self, to: &str, count: u64) -> Tally {
        let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        exchange(&self.socket(any), to, count)
    }

    /// Pings once with each of these sizes; every answer has to come.
    pub(crate) fn ping(&self, to: &str, sizes: &[usize]) {
        for size in sizes {
            self.run("ping", ["-c", "1", "-W", "2", "-s", &size.to_string(), to]);
        }
    }

    /// Runs `work` on a thread in the namespace. Sockets that it opens stay there.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.0)).expect("the namespace");
        let run = || {
            // SAFETY: the call takes a descriptor that is open, and moves this thread only.
            let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "setns: {}", io::Error::last_os_error());
            work()
        };
        thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn succeed(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{}: {stdout}{stderr}", output.status);
    stdout.into_owned()
}
