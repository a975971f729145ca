//! Sending: a burst in one system call, straight from where the frames lie.

use std::io;

use super::packet::AfPacketPacket;
use super::socket::Socket;

/// The messages of a `sendmmsg` call, allocated once.
pub(super) struct Batch {
    vectors: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers in it are written before each call and are not followed after it.
unsafe impl Send for Batch {}

/// What became of a prefix of a burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Frames at the front that are done with: sent, or refused.
    pub taken: usize,
    /// Those of them that the kernel refused for what they are.
    pub refused: usize,
}

impl Batch {
    /// Room for `frames` frames per call.
    pub(super) fn new(frames: usize) -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: a message is integers and pointers, for which zeros are values.
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Self { vectors: vec![vector; frames].into(), messages: vec![message; frames].into() }
    }

    /// Sends `packets` in order, until the device takes no more.
    pub(super) fn send(&mut self, socket: &Socket, packets: &[AfPacketPacket]) -> Outcome {
        let mut outcome = Outcome::default();
        let mut was_down = false;
        while outcome.taken < packets.len() {
            match self.send_some(socket, &packets[outcome.taken..]) {
                Ok(sent) => outcome.taken += sent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A socket whose link went down says so once more when it is up again.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) && !was_down => was_down = true,
                Err(error) if is_about_the_device(&error) => break,
                Err(_) => {
                    outcome.taken += 1;
                    outcome.refused += 1;
                }
            }
        }
        outcome
    }

    /// One call. A call that sent a part keeps what stopped it to itself; the next call,
    /// which begins with that frame, learns it.
    fn send_some(&mut self, socket: &Socket, packets: &[AfPacketPacket]) -> io::Result<usize> {
        let count = packets.len().min(self.messages.len());
        for (packet, (vector, message)) in
            packets.iter().zip(self.vectors.iter_mut().zip(self.messages.iter_mut()))
        {
            packet.assert_out();
            *vector = packet.vector();
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: those messages were filled just now; each names one vector, whose bytes are
        // a frame of a packet that is borrowed through the call.
        unsafe { socket.send(&mut self.messages[..count]) }
    }
}

/// Whether an error says that the device takes nothing now, rather than that it does not
/// take this frame (too long, too short, filtered).
fn is_about_the_device(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EAGAIN
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENXIO
                | libc::ENODEV
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_about_the_device_or_the_frame() {
        let is_device = |code| is_about_the_device(&io::Error::from_raw_os_error(code));
        assert!([libc::EAGAIN, libc::ENOBUFS, libc::ENETDOWN, libc::ENXIO].into_iter().all(is_device));
        assert!(![libc::EMSGSIZE, libc::EINVAL, libc::EPERM].into_iter().any(is_device));
    }
}
