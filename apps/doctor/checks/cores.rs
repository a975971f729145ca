//! The processor and its cores.

use super::super::check::Check;
use super::super::machine::{Machine, numbers};
use super::Asked;

/// What tells x86-64-v2 from the first processors, by the kernel's names.
const LEVEL_2: [&str; 6] = ["pni", "ssse3", "cx16", "sse4_1", "sse4_2", "popcnt"];

/// What the kernel for frames alike wants on top of AVX2.
const AVX512: [&str; 3] = ["avx512f", "avx512bw", "avx512vbmi"];

/// Its instruction sets, as `/proc/cpuinfo` has them.
pub(super) fn processor(machine: &Machine) -> Check {
    let info = machine.text("/proc/cpuinfo");
    let Some(flags) = info.lines().find_map(|line| line.strip_prefix("flags")) else {
        return Check::ok("processor", "not one of x86-64: no instruction set is asked for");
    };
    let flags: Vec<_> = flags.split_whitespace().collect();
    let missing: Vec<_> = LEVEL_2.into_iter().filter(|flag| !flags.contains(flag)).collect();
    if !missing.is_empty() {
        let found = format!("no {}: older than x86-64-v2", missing.join(", "));
        let build = "RUSTFLAGS='-C target-cpu=native' cargo build --release";
        return Check::error("processor", found).mend(build);
    }
    if !flags.contains(&"avx2") {
        Check::warning("processor", "x86-64-v2, but no AVX2: checksums and validation take longer")
    } else if AVX512.iter().all(|flag| flags.contains(flag)) {
        Check::ok("processor", "x86-64-v2, AVX2, AVX-512")
    } else {
        Check::ok("processor", "x86-64-v2, AVX2")
    }
}

/// Whether the lcores' CPUs are there, may be used, and are kept free of other work.
pub(super) fn cores(asked: &Asked, machine: &Machine) -> Check {
    let online = numbers(&machine.text("/sys/devices/system/cpu/online"));
    let list = machine.field("/proc/self/status", "Cpus_allowed_list:").unwrap_or_default();
    let allowed = numbers(&list);
    let wanted =
        asked.requested.lcores.iter().flat_map(|(lcore, cpus)| cpus.iter().map(move |cpu| (lcore, *cpu)));
    let wanted: Vec<_> = wanted.collect();
    for &(lcore, cpu) in &wanted {
        // Where /sys is hidden there is nothing to be said of it.
        let is_online = online.is_empty() || online.contains(&cpu);
        let why = match (is_online, allowed.contains(&cpu)) {
            (false, _) => "is not online",
            (_, false) => "is kept from this process (a cpuset, or taskset)",
            _ => continue,
        };
        let found = format!("lcore {lcore}: CPU {cpu} {why}");
        return Check::error("cores", found).mend(format!("name others: -l {list}"));
    }
    let isolated = numbers(&machine.text("/sys/devices/system/cpu/isolated"));
    let cpus: Vec<_> = wanted.iter().map(|(_, cpu)| *cpu).collect();
    let named = if cpus.is_empty() { format!("all of {list}") } else { format!("CPUs {}", joined(&cpus)) };
    // The first lcore is the main one, which sleeps, unless it is alone.
    let workers = &cpus[usize::from(cpus.len() > 1)..];
    let shared: Vec<_> = workers.iter().copied().filter(|cpu| !isolated.contains(cpu)).collect();
    if !asked.has_dpdk() || shared.is_empty() {
        return Check::ok("cores", named);
    }
    let found = format!("{named}; not isolated, so other work disturbs them: {}", joined(&shared));
    let option =
        format!("on the kernel's command line: isolcpus={0} nohz_full={0} rcu_nocbs={0}", joined(&shared));
    Check::warning("cores", found).mend(option)
}

fn joined(cpus: &[usize]) -> String {
    cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
