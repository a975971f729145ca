//! Raw frames, in and out of an interface, many at a time.

use std::ffi::CString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

/// Frames that one system call sends at most.
const BATCH: usize = 64;
/// Frames that are on their way at a time where each is answered: a quarter of the engine's ring,
/// so that others find room in it.
const WINDOW: usize = 256;
/// An answer that took longer does not come any more.
const LOST: Duration = Duration::from_millis(50);
/// What an interface keeps of what it hears, in bytes.
const BUFFER: libc::c_int = 8 << 20;

/// An interface, frame by frame.
pub(crate) struct Wire(OwnedFd);

impl Wire {
    /// The interface of that name in the calling thread's namespace.
    pub(crate) fn open(interface: &str) -> io::Result<Self> {
        let name = CString::new(interface)?;
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no preconditions.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let wire = Self(unsafe { OwnedFd::from_raw_fd(socket) });
        wire.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        wire.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER)?;
        // SAFETY: zeros are a value of it.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a zero-terminated name.
        address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) }.cast_signed();
        let len = size_of_val(&address) as u32;
        // SAFETY: an address of the family's kind that lives through the call.
        success(unsafe { libc::bind(wire.0.as_raw_fd(), (&raw const address).cast(), len) })?;
        Ok(wire)
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
        let (value, len) = ((&raw const value).cast(), size_of::<libc::c_int>() as u32);
        // SAFETY: a number that lives through the call.
        success(unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, value, len) })
    }

    /// Sends all of these frames.
    pub(crate) fn send<F: AsRef<[u8]>>(&self, frames: &[F]) {
        frames.chunks(BATCH).for_each(|frames| self.send_batch(frames));
    }

    /// Sends all of these frames, so many a second.
    pub(crate) fn send_at<F: AsRef<[u8]>>(&self, rate: u32, frames: impl Iterator<Item = F>) {
        let begin = Instant::now();
        let mut frames = frames.peekable();
        let mut sent = 0;
        while frames.peek().is_some() {
            let batch: Vec<_> = frames.by_ref().take(BATCH).collect();
            let due = begin + Duration::from_secs(1) * sent / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.send_batch(&batch);
            sent += batch.len() as u32;
        }
    }

    /// Sends all of these frames as fast as they are answered. What is heard is forgotten.
    pub(crate) fn send_answered<F: AsRef<[u8]>>(&self, frames: impl Iterator<Item = F>) {
        let mut frames = frames.peekable();
        let (mut waiting, mut heard) = (0, Instant::now());
        while frames.peek().is_some() {
            let answers = (0..WINDOW).take_while(|_| self.skip()).count();
            waiting -= answers.min(waiting);
            if answers > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > LOST {
                (waiting, heard) = (0, Instant::now());
            }
            if waiting >= WINDOW {
                thread::yield_now();
                continue;
            }
            let batch: Vec<_> = frames.by_ref().take(BATCH).collect();
            self.send_batch(&batch);
            waiting += batch.len();
        }
    }

    fn send_batch<F: AsRef<[u8]>>(&self, frames: &[F]) {
        let mut slices: Vec<_> = frames.iter().map(|frame| slice(frame.as_ref())).collect();
        let mut messages: Vec<libc::mmsghdr> = slices.iter_mut().map(message).collect();
        let mut sent = 0;
        while sent < messages.len() {
            let left = &mut messages[sent..];
            // SAFETY: messages with one slice each of a frame that lives through the call.
            let taken =
                unsafe { libc::sendmmsg(self.0.as_raw_fd(), left.as_mut_ptr(), left.len() as u32, 0) };
            match usize::try_from(taken) {
                Ok(taken) => sent += taken,
                Err(_) => wait_for_room(&io::Error::last_os_error()),
            }
        }
    }

    /// The frames that come in until that long from now, and those that came before.
    pub(crate) fn heard(&self, patience: Duration) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + patience;
        let mut frames = Vec::new();
        loop {
            match self.receive() {
                Some(frame) => frames.push(frame),
                None if Instant::now() >= deadline => return frames,
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Forgets the frames that came in so far.
    pub(crate) fn forget(&self) {
        while self.skip() {}
    }

    /// Forgets the next frame that came in; `false` if there is none.
    fn skip(&self) -> bool {
        // SAFETY: an open socket, and no room for anything.
        unsafe { libc::recv(self.0.as_raw_fd(), std::ptr::null_mut(), 0, libc::MSG_TRUNC) >= 0 }
    }

    fn receive(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 2048];
        // SAFETY: an open socket, and a buffer of that length that lives through the call.
        let len = unsafe { libc::recv(self.0.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
        frame.truncate(usize::try_from(len).ok()?);
        Some(frame)
    }
}

fn slice(frame: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }
}

fn message(slice: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: zeros are a value of it.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    (message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen) = (slice, 1);
    message
}

#[track_caller]
fn wait_for_room(error: &io::Error) {
    let is_full = error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS);
    assert!(is_full, "{error}");
    thread::sleep(Duration::from_micros(100));
}

fn success(status: libc::c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
