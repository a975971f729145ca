//! Randomness from the kernel, drawn at start and handed down.

use std::io;

/// The kernel gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the kernel gave no random bytes for the secret keys: {0}")]
pub struct RandomError(#[from] io::Error);

/// `N` random bytes, from `getrandom(2)`.
///
/// # Errors
/// [`RandomError`], on kernels before 3.17.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and the length are those of a slice that we hold mutably.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => filled += count,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error.into());
                }
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ() {
        assert_ne!(random_bytes::<16>().expect("random"), random_bytes::<16>().expect("random"));
    }
}
