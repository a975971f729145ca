//! What the kernel lets this process do, found by trying.

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A kind of socket that takes a kernel feature or a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// Frames of an interface (packet(7)); takes `CAP_NET_RAW`.
    AfPacket,
    /// Frames in memory that is shared with the driver (`AF_XDP`); takes `CAP_NET_RAW`.
    AfXdp,
}

/// Opens a socket of this kind and closes it again. It is bound to nothing and receives nothing.
///
/// # Errors
/// The kernel's: `EAFNOSUPPORT` where it lacks the kind, `EPERM` where the right is missing.
pub fn try_socket(kind: SocketKind) -> io::Result<()> {
    let family = match kind {
        SocketKind::AfPacket => libc::AF_PACKET,
        SocketKind::AfXdp => libc::AF_XDP,
    };
    // SAFETY: the call takes no pointers; what it returns is checked below.
    let fd = unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened just now and is nobody else's.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// Whether this process, with the rights that count when it opens files, may read and write
/// what is at `path` (`faccessat(2)`).
pub fn may_use(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let rights = libc::R_OK | libc::W_OK;
    // SAFETY: a zero-terminated path.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), rights, libc::AT_EACCESS) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_to_be_used_or_not() {
        assert!(may_use(Path::new("/dev/null")));
        assert!(!may_use(Path::new("/dev/null/nothing")) && !may_use(Path::new("a\0b")));
    }

    #[test]
    fn a_socket_opens_or_the_kernel_says_why() {
        for kind in [SocketKind::AfPacket, SocketKind::AfXdp] {
            if let Err(error) = try_socket(kind) {
                let known = [libc::EPERM, libc::EAFNOSUPPORT];
                assert!(error.raw_os_error().is_some_and(|code| known.contains(&code)), "{kind:?}: {error}");
            }
        }
    }
}
