//! What the machine is, as far as its speed is concerned.

use std::fs;

use gannet::sys::{Clock, CpuSet};
use serde::Serialize;

use super::jitter::Jitter;

/// The machine of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// CPUs that this process may use.
    pub(crate) cores: usize,
    /// Ticks of the time-stamp counter in a second.
    pub(crate) tsc_hz: Option<f64>,
    pub(crate) kernel: String,
    pub(crate) dpdk: Option<String>,
    /// How the kernel chooses the CPU's frequency, where that is its to choose.
    pub(crate) governor: Option<String>,
    pub(crate) hypervisor: Option<String>,
    /// What its CPUs lose while nothing else runs on them.
    pub(crate) jitter: Vec<Jitter>,
}

impl Machine {
    /// This one, its jitter not yet measured.
    pub(crate) fn here() -> Self {
        let info = read("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: field(&info, "model name").unwrap_or("unknown").to_owned(),
            cores: CpuSet::current().map_or(0, |cpus| cpus.iter().count()),
            tsc_hz: Clock::start().ticks_per_second().map(f64::round),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            dpdk: gannet::dpdk_version(),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            hypervisor: hypervisor(&info),
            jitter: Vec::new(),
        }
    }

    /// It in a line.
    pub(crate) fn line(&self) -> String {
        let part = |name: &str, value: Option<String>| value.map(|value| format!("{name}{value}"));
        let parts = [
            Some(self.cpu.clone()),
            Some(format!("{} cores", self.cores)),
            part("TSC ", self.tsc_hz.map(|hz| format!("{:.0} MHz", hz / 1e6))),
            Some(format!("Linux {}", self.kernel)),
            self.dpdk.clone(),
            part("governor ", self.governor.clone()),
            part("under ", self.hypervisor.clone()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The value of a `name : value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn hypervisor(info: &str) -> Option<String> {
    let is_guest =
        field(info, "flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let vendor = || read("/sys/class/dmi/id/sys_vendor").unwrap_or_else(|| "a hypervisor".to_owned());
    is_guest.then(vendor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let info = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor\n";
        assert_eq!(field(info, "model name"), Some("AMD EPYC"));
        assert_eq!(field(info, "model"), None);
        assert!(hypervisor(info).is_some() && hypervisor("flags : fpu vme\n").is_none());
    }

    #[test]
    fn this_machine_has_a_cpu() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.line().contains("Linux"));
    }
}
