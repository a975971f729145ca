//! The lab: network namespaces of the tests' own, raw sockets in them, programs, capture files.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use gannet::wire::ethernet::MacAddress;

use super::rig::{Wire, wait_for};

/// Says that a test does not run here; with `CI=true` that is a failure.
pub(crate) fn skip(name: &str, reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} can't run: {reason}");
    // Past the test harness, which keeps what passing tests print to itself, and on a line
    // of its own, whatever the harness is writing.
    writeln!(io::stdout(), "\nskipped: {name}: {reason}").expect("standard output");
}

fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

// ---- namespaces ----------------------------------------------------------------

/// A network namespace, gone with its value.
pub(crate) struct Namespace(String);

impl Namespace {
    /// A new one that forwards nothing and has no IPv6, so that its kernel says nothing of its
    /// own accord.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn new() -> Result<Self, String> {
        let name = format!("gannet-conf-{}-{}", std::process::id(), serial());
        let output = Command::new("ip").args(["netns", "add", &name]).output();
        let output = output.map_err(|error| format!("the program ip: {error}"))?;
        if !output.status.success() {
            return Err(format!("ip netns add: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let namespace = Self(name);
        namespace.inside(|| {
            for conf in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{conf}/disable_ipv6");
                if Path::new(&path).exists() {
                    fs::write(path, "1").expect("root may write this");
                }
            }
            fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("root may write this");
        });
        Ok(namespace)
    }

    /// A pair of interfaces, `near` of this namespace wired to `far` of the other. The far end
    /// has the client's MAC address and an MTU that lets it send too much.
    pub(crate) fn veth(&self, near: &str, mac: MacAddress, far_end: &Self, far: &str) {
        self.ip(&format!("link add {near} type veth peer name {far} netns {}", far_end.0));
        far_end.ip(&format!("link set {far} address {} mtu 2000 up", super::frames::CLIENT_MAC));
        self.ip(&format!("link set {near} address {mac} up"));
        self.wait_for_link(near);
    }

    pub(crate) fn wait_for_link(&self, interface: &str) {
        let is_up = || self.says(&format!("link show {interface}"), "LOWER_UP");
        assert!(wait_for(Duration::from_secs(5), is_up), "{interface} comes up");
    }

    pub(crate) fn ip(&self, arguments: &str) {
        let output = self.ip_output(arguments);
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn ip_output(&self, arguments: &str) -> Output {
        Command::new("ip").args(["-n", &self.0]).args(arguments.split(' ')).output().expect("ip is there")
    }

    fn says(&self, arguments: &str, part: &str) -> bool {
        String::from_utf8_lossy(&self.ip_output(arguments).stdout).contains(part)
    }

    /// A program to be run in the namespace.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).args(line.split(' '));
        command
    }

    /// Runs a program in the namespace. Gives what it printed.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.command(line).output().expect("ip is there");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}:\n{text}");
        text
    }

    /// Runs `work` on a thread in the namespace. Sockets that it opens stay there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let run = || {
            self.enter();
            work()
        };
        thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
    }

    /// Moves the calling thread, and those that it starts from now on, into the namespace.
    pub(crate) fn enter(&self) {
        let namespace = File::open(format!("/run/netns/{}", self.0)).expect("the namespace");
        // SAFETY: the call takes a descriptor that is open, and moves this thread only.
        let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(entered, 0, "setns: {}", io::Error::last_os_error());
    }

    /// A UDP socket of the namespace's kernel.
    pub(crate) fn udp_socket(&self, address: &str) -> UdpSocket {
        let socket = self.inside(|| UdpSocket::bind(address)).expect(address);
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        socket
    }

    pub(crate) fn packet_socket(&self, interface: &str) -> PacketSocket {
        self.inside(|| PacketSocket::bind(interface))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Whether a program is there.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

// ---- raw frames ------------------------------------------------------------------

/// Every frame on an interface, as it is on the wire.
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    fn bind(interface: &str) -> Self {
        let name = CString::new(interface).expect("no zero byte");
        // SAFETY: no preconditions.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0) };
        assert!(socket >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the descriptor is new and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(socket) });
        socket.set(libc::PACKET_AUXDATA);
        socket.set(libc::PACKET_IGNORE_OUTGOING);
        // SAFETY: zeros are a value of it.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a zero-terminated name.
        address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) }.cast_signed();
        let len = size_of_val(&address) as u32;
        // SAFETY: an address of the family's kind that lives through the call.
        let bound = unsafe { libc::bind(socket.0.as_raw_fd(), (&raw const address).cast(), len) };
        assert_eq!(bound, 0, "{interface}: {}", io::Error::last_os_error());
        socket
    }

    fn set(&self, option: libc::c_int) {
        let on: libc::c_int = 1;
        let (value, len) = ((&raw const on).cast(), size_of_val(&on) as u32);
        // SAFETY: a number that lives through the call.
        let set = unsafe { libc::setsockopt(self.0.as_raw_fd(), libc::SOL_PACKET, option, value, len) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }
}

impl Wire for PacketSocket {
    fn inject(&mut self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: an open socket and a buffer of that length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The kernel takes a tag out of the frame: it is put back.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 4096];
        let mut control = [0_u64; 16];
        let mut slice = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
        // SAFETY: zeros are a value of it.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut slice, 1);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: an open socket, and buffers with their lengths that live through the call.
        let len = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) };
        frame.truncate(usize::try_from(len).ok()?);
        // SAFETY: the call filled the message, whose control buffer is aligned for its headers.
        let data = unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (!header.is_null())
                .then(|| libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned())
        };
        let data = data.filter(|data| data.tp_status & libc::TP_STATUS_VLAN_VALID != 0);
        if let Some(data) = data {
            let [a, b] = data.tp_vlan_tpid.to_be_bytes();
            let [c, d] = data.tp_vlan_tci.to_be_bytes();
            frame.splice(12..12, [a, b, c, d]);
        }
        Some(frame)
    }
}

// ---- capture files -----------------------------------------------------------------

/// A folder for a test's files, gone with its value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("gannet-conf-{}-{}", std::process::id(), serial()));
        fs::create_dir(&path).expect("a folder for temporary files");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a capture of Ethernet frames: classic pcap, little-endian, microseconds.
pub(crate) fn write_capture<'a>(path: &Path, frames: impl Iterator<Item = &'a [u8]>) {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut bytes = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for frame in frames {
        let len = frame.len() as u32;
        bytes.extend(words(&[0, 0, len, len]));
        bytes.extend(frame);
    }
    fs::write(path, bytes).expect("a capture");
}

/// The frames of a little-endian classic pcap file.
pub(crate) fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).expect("a capture");
    let (header, mut rest) = bytes.split_at(24);
    assert!(matches!(header[..4], [0xd4 | 0x4d, 0xc3 | 0x3c, 0xb2, 0xa1]), "{:02x?}", &header[..4]);
    let mut frames = Vec::new();
    while let Some((record, tail)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([record[8], record[9], record[10], record[11]]);
        let (frame, tail) = tail.split_at(len as usize);
        frames.push(frame.to_vec());
        rest = tail;
    }
    frames
}
