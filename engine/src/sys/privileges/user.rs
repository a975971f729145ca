//! A user of this machine, with its groups (getpwnam_r(3), getgrouplist(3)).

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::str::FromStr;

/// The longest entry of the user database that is read, in bytes.
const LONGEST_ENTRY: usize = 1 << 20;
/// The most groups that a user can have (`NGROUPS_MAX`).
const MOST_GROUPS: usize = 65_536;

/// A user that a process can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    pub(super) uid: libc::uid_t,
    pub(super) gid: libc::gid_t,
    /// All of them, ascending, as the kernel keeps them.
    pub(super) groups: Vec<libc::gid_t>,
}

/// Why a name stands for no user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The machine has no such user.
    #[error(
        "there is no user '{0}' on this machine: `getent passwd` lists them, `useradd --system {0}` makes one"
    )]
    Unknown(String),
    /// The database of users could not be read.
    #[error("the user '{name}' could not be looked up: {source}")]
    System {
        /// The name asked for.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

impl User {
    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's number.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

impl FromStr for User {
    type Err = UserError;

    /// Looks the name up in the machine's database of users.
    fn from_str(name: &str) -> Result<Self, UserError> {
        let unknown = || UserError::Unknown(name.to_owned());
        let c_name = CString::new(name).map_err(|_| unknown())?;
        let found = look_up(&c_name).map_err(|source| UserError::System { name: name.to_owned(), source })?;
        let (uid, gid) = found.ok_or_else(unknown)?;
        Ok(Self { name: name.to_owned(), uid, gid, groups: groups(&c_name, gid) })
    }
}

/// The numbers of the user and of its group; `None` if there is no such user.
fn look_up(name: &CString) -> io::Result<Option<(libc::uid_t, libc::gid_t)>> {
    let mut strings: Vec<libc::c_char> = vec![0; 1024];
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = ptr::null_mut();
        let (room, len) = (strings.as_mut_ptr(), strings.len());
        // SAFETY: a zero-terminated name, an entry to fill, and room of that length for its strings.
        let error = unsafe { libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), room, len, &raw mut found) };
        match error {
            0 if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: the entry was found, so it is filled.
                let entry = unsafe { entry.assume_init() };
                return Ok(Some((entry.pw_uid, entry.pw_gid)));
            }
            libc::ERANGE if len < LONGEST_ENTRY => strings.resize(2 * len, 0),
            // What C libraries say where there is no such user, or no database.
            libc::ENOENT | libc::ESRCH => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn groups(name: &CString, gid: libc::gid_t) -> Vec<libc::gid_t> {
    let mut groups = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: a zero-terminated name, and room for that many numbers.
        let status = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        if status >= 0 || groups.len() >= MOST_GROUPS {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            groups.sort_unstable();
            return groups;
        }
        groups.resize(2 * groups.len(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_with_its_groups() {
        let root: User = "root".parse().expect("every machine has root");
        assert_eq!((root.name(), root.uid(), root.gid), ("root", 0, 0));
        assert!(root.groups.contains(&0) && root.groups.is_sorted(), "{root:?}");
    }

    #[test]
    fn who_is_not_there_is_named() {
        for name in ["no-such-user-here", "", "a\0b"] {
            let error = name.parse::<User>().expect_err(name).to_string();
            assert!(error.contains(&format!("no user '{name}'")) && error.contains("useradd"), "{error}");
        }
    }
}
