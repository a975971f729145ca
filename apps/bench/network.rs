//! Two network namespaces with a wire between them, so that nothing reaches the network.

use std::ffi::OsStr;
use std::process::Command;

use super::failure::Failure;
use super::labs::unique;

/// A pair of veth interfaces: `near0` in a namespace for the echo, `far0` in one for the load.
/// The kernel has no address on either and forwards nothing.
pub(crate) struct Wire {
    pub(crate) near: Namespace,
    pub(crate) far: Namespace,
}

impl Wire {
    /// A new one, or why there is none.
    pub(crate) fn new() -> Result<Self, Failure> {
        let wire = Self { near: Namespace::new()?, far: Namespace::new()? };
        let far = &wire.far.0;
        wire.near.ip(&format!("link add near0 type veth peer name far0 netns {far}"))?;
        wire.near.ip("link set near0 up")?;
        wire.far.ip("link set far0 up")?;
        Ok(wire)
    }
}

/// A network namespace, gone with its value.
pub(crate) struct Namespace(String);

impl Namespace {
    /// A new one, with its loopback interface and nothing else.
    pub(crate) fn new() -> Result<Self, Failure> {
        let name = unique();
        let output = Command::new("ip").args(["netns", "add", &name]).output();
        let output = output.map_err(|error| Failure::Skip(format!("the program ip (iproute2): {error}")))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::Skip(format!("network namespaces need root: {}", why.trim())));
        }
        let namespace = Self(name);
        let quiet = "for conf in all default; do echo 1 >/proc/sys/net/ipv6/conf/$conf/disable_ipv6; done \
                     2>/dev/null; echo 0 >/proc/sys/net/ipv4/ip_forward";
        succeed(namespace.command("sh").args(["-c", quiet]))?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// A command inside. Its process is the program itself, so signals reach that.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    /// `ip` inside.
    pub(crate) fn ip(&self, words: &str) -> Result<(), Failure> {
        succeed(Command::new("ip").args(["-n", &self.0]).args(words.split(' ')))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(Failure::of("ip"))?;
    let why = String::from_utf8_lossy(&output.stderr);
    output
        .status
        .success()
        .then_some(())
        .ok_or_else(|| Failure::Failed(format!("{command:?}: {}", why.trim())))
}
