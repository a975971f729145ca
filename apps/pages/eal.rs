//! The arguments of DPDK's EAL that its users meet most, for pages and completions. DPDK itself reads them,
//! and has more.

use clap::{Arg, ArgAction, ValueHint};

/// The heading under which they stand.
const HEADING: &str = "EAL arguments, before the --";

/// Them, in the order in which one needs them.
pub(super) fn arguments() -> Vec<Arg> {
    let all = [
        short(
            "l",
            "LIST",
            "The lcores, as in 0-2,5: the lowest runs the control plane, each of the others a worker",
        ),
        long("lcores", "MAP", "Lcores and the CPUs that they run on, as in 0@0,(1-2)@(4-5)"),
        long("main-lcore", "LCORE", "The lcore of the control plane"),
        both('a', "allow", "DEVICE", "Take this PCI device, and no others than those named so"),
        both('b', "block", "DEVICE", "Leave this PCI device alone"),
        long("vdev", "NAME,OPTION=…", "Make a virtual device, as in net_tap0,iface=dtap0"),
        switch("no-pci", "Look for no PCI devices"),
        switch("no-huge", "Take memory without hugepages (and bound it with -m)"),
        switch("in-memory", "Keep hugepages and everything else out of the file system"),
        short("m", "MEGABYTES", "Memory to take at the start"),
        long("socket-mem", "MEGABYTES,…", "Memory to take at the start, for each NUMA node"),
        long("huge-dir", "FOLDER", "The hugetlbfs mount to use").value_hint(ValueHint::DirPath),
        long(
            "file-prefix",
            "NAME",
            "The name of this program's files: programs beside each other need one each",
        ),
        switch("no-shconf", "Make no files that other DPDK programs find this one by"),
        switch("no-telemetry", "Open no telemetry socket"),
        long("iova-mode", "pa|va", "Give devices physical or virtual addresses"),
        long("proc-type", "TYPE", "primary, secondary or auto"),
        short("d", "FILE", "Load this driver, or all drivers of this folder").value_hint(ValueHint::AnyPath),
        long(
            "log-level",
            "LEVEL",
            "How much is logged: error, warning, info, debug; or NAME:LEVEL for a part of DPDK",
        ),
    ];
    all.map(|argument| argument.help_heading(HEADING)).into()
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn long(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn both(short: char, long_name: &'static str, value: &'static str, help: &'static str) -> Arg {
    long(long_name, value, help).short(short)
}

fn short(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).short(name.chars().next()).value_name(value).help(help)
}
