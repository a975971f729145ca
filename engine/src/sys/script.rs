//! What the scripts that come with Gannet are called on this machine, for messages that say what to run.

use std::env;
use std::fmt;
use std::path::Path;

/// A script that prepares a machine for DPDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// `hugepages.sh`: reserves hugepages.
    Hugepages,
    /// `scripts/bind`: gives network cards to vfio-pci.
    Bind,
}

impl Script {
    /// The name that a package installs it under, beside the program.
    fn installed(self) -> &'static str {
        match self {
            Self::Hugepages => "gannet-hugepages",
            Self::Bind => "gannet-bind",
        }
    }

    /// Its path in a checkout.
    fn in_checkout(self) -> &'static str {
        match self {
            Self::Hugepages => "./hugepages.sh",
            Self::Bind => "scripts/bind",
        }
    }

    /// Its name for a program that lies there.
    fn beside(self, program: &Path) -> &'static str {
        let is_installed = program.with_file_name(self.installed()).exists();
        if is_installed { self.installed() } else { self.in_checkout() }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(env::current_exe().map_or(self.in_checkout(), |program| self.beside(&program)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_beside_the_program_is_named() {
        let folder = env::temp_dir().join(format!("gannet-script-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("gannet-bind"), "").expect("a file");
        let program = folder.join("gannet");
        let names = [Script::Bind, Script::Hugepages].map(|script| script.beside(&program));
        std::fs::remove_dir_all(&folder).expect("it was there");
        assert_eq!(names, ["gannet-bind", "./hugepages.sh"]);
    }
}
