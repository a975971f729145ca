//! What a process may do, given up once it has what it needs: its user, its capabilities, and
//! system calls that a data plane never makes.
//!
//! In Linux all of these belong to threads, and a process that was started with DPDK has several
//! by the time its ports are open. So every thread is made to give them up, and what
//! `/proc/self/task` says of each is looked at afterwards.

mod calls;
mod capabilities;
mod status;
mod threads;
mod user;

pub use calls::refuse_calls;
pub use capabilities::CapabilitySet;
pub use threads::{PrivilegesError, give_up};
pub use user::{User, UserError};

#[cfg(test)]
mod tests {
    use std::process::Command;

    const CHILD: &str = "GANNET_TEST_CHILD";

    /// Runs the test of that name in a process of its own: what is given up does not come back.
    pub(super) fn in_child(name: &str, test: impl FnOnce()) {
        if std::env::var_os(CHILD).is_some() {
            return test();
        }
        let name = format!("{}::{name}", module_path!().replacen("gannet::", "", 1).replace("::tests", ""));
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        let output =
            command.args(["--exact", &name, "--nocapture"]).env(CHILD, "1").output().expect("it starts");
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success() && stdout.contains("1 passed"), "{name}: {stdout}{stderr}");
    }
}
