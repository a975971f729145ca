//! EAL arguments where there is no EAL: native ports honour those about lcores and the log
//! with the EAL's meaning, and refuse the others by name.

use std::collections::BTreeMap;

use crate::sys::CpuSet;

/// An lcore's number: a CPU's, unless `--lcores` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LcoreId(pub u32);

impl std::fmt::Display for LcoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What the arguments of a native port say.
#[derive(Clone, Debug)]
pub(super) struct NativeArgs {
    /// The lcores, and the CPUs that each may run on.
    pub(super) lcores: BTreeMap<LcoreId, Vec<usize>>,
    pub(super) main: LcoreId,
}

/// An EAL argument that a native port can't honour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EalArgsError {
    /// DPDK has it, the native ports don't.
    #[error("{0} is an option of DPDK, which a native port does not use: leave it out, or use --io dpdk")]
    DpdkOnly(String),
    /// Nobody has it.
    #[error(
        "unknown EAL argument '{0}': native ports take -l, --lcores, --main-lcore and --log-level; \
         application arguments stand behind --"
    )]
    Unknown(String),
    /// It needs a value.
    #[error("{0} needs a value")]
    NoValue(String),
    /// A list of lcores that can't be read.
    #[error("'{list}' is no list of lcores: {why}")]
    List {
        /// The list.
        list: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A CPU that this process has not got.
    #[error(
        "lcore {lcore}: CPU {cpu} is not one of this process's, {allowed:?}: name others with -l or --lcores"
    )]
    NoSuchCpu {
        /// The lcore that wants it.
        lcore: LcoreId,
        /// The CPU.
        cpu: usize,
        /// Those that there are.
        allowed: Box<CpuSet>,
    },
    /// A main lcore that is not in the list.
    #[error("--main-lcore {0} is not one of the lcores: add it to -l, or name one of those")]
    MainNotListed(LcoreId),
    /// Two lists.
    #[error("the lcores are listed twice: give one -l or one --lcores")]
    TwoLists,
}

/// Options of DPDK 22.11 that take no part in a native port's start.
const DPDK_ONLY: [&str; 49] = [
    "-a",
    "-b",
    "-c",
    "-d",
    "-m",
    "-n",
    "-r",
    "-s",
    "-v",
    "--allow",
    "--base-virtaddr",
    "--block",
    "--create-uio-dev",
    "--file-prefix",
    "--force-max-simd-bitwidth",
    "--huge-dir",
    "--huge-unlink",
    "--huge-worker-stack",
    "--in-memory",
    "--iova-mode",
    "--legacy-mem",
    "--log-color",
    "--log-timestamp",
    "--match-allocations",
    "--mbuf-pool-ops-name",
    "--memory-channels",
    "--memory-ranks",
    "--no-hpet",
    "--no-huge",
    "--no-pci",
    "--no-shconf",
    "--no-telemetry",
    "--proc-type",
    "--service-corelist",
    "-S",
    "--single-file-segments",
    "--socket-limit",
    "--socket-mem",
    "--syslog",
    "--telemetry",
    "--trace",
    "--trace-bufsz",
    "--trace-dir",
    "--trace-mode",
    "--vdev",
    "--version",
    "--vfio-intr",
    "--vfio-vf-token",
    "--vmware-tsc-map",
];

impl NativeArgs {
    /// Reads the arguments. `allowed` are the CPUs of this process; without `-l` and
    /// `--lcores`, each of them is an lcore, and the lowest is the main one.
    pub(super) fn parse(args: &[String], allowed: CpuSet) -> Result<Self, EalArgsError> {
        let (mut lists, mut main) = (Vec::new(), None);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, inline) = split_value(arg);
            let mut value = || {
                let value = inline.map(str::to_owned).or_else(|| args.next().cloned());
                value.ok_or_else(|| EalArgsError::NoValue(name.to_owned()))
            };
            match name {
                "-l" => lists.push(parse_corelist(&value()?)?),
                "--lcores" => lists.push(parse_lcores(&value()?)?),
                "--main-lcore" => main = Some(parse_lcore(&value()?)?),
                "--log-level" => drop(value()?),
                _ if DPDK_ONLY.contains(&name) => return Err(EalArgsError::DpdkOnly(name.to_owned())),
                _ => return Err(EalArgsError::Unknown(arg.clone())),
            }
        }
        if lists.len() > 1 {
            return Err(EalArgsError::TwoLists);
        }
        let lcores = lists
            .pop()
            .unwrap_or_else(|| allowed.iter().map(|cpu| (LcoreId(cpu as u32), vec![cpu])).collect());
        for (&lcore, cpus) in &lcores {
            if let Some(&cpu) = cpus.iter().find(|&&cpu| !allowed.contains(cpu)) {
                return Err(EalArgsError::NoSuchCpu { lcore, cpu, allowed: Box::new(allowed) });
            }
        }
        let lowest = lcores.keys().next().copied().unwrap_or(LcoreId(0));
        let main = main.unwrap_or(lowest);
        if lcores.contains_key(&main) {
            Ok(Self { lcores, main })
        } else {
            Err(EalArgsError::MainNotListed(main))
        }
    }

    /// The lcores that run workers: all but the main one, or the main one where it is alone.
    pub(super) fn workers(&self) -> Vec<LcoreId> {
        match self.lcores.len() {
            1 => vec![self.main],
            _ => self.lcores.keys().copied().filter(|&lcore| lcore != self.main).collect(),
        }
    }
}

/// Whether the EAL has an option of that name, `--` included.
pub(super) fn is_eal_option(name: &str) -> bool {
    DPDK_ONLY.contains(&name) || ["--lcores", "--main-lcore", "--log-level"].contains(&name)
}

/// The log level that EAL arguments ask for: `--log-level=debug`, `--log-level 8`. Levels of
/// single components (`lib.eal:debug`) are DPDK's own.
pub(super) fn log_level(args: &[String]) -> Option<tracing::Level> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if let ("--log-level", inline) = split_value(arg) {
            let value = inline.or_else(|| args.clone().next().map(String::as_str))?;
            return match value {
                "debug" | "8" => Some(tracing::Level::DEBUG),
                "info" | "notice" | "7" | "6" => Some(tracing::Level::INFO),
                "warning" | "5" => Some(tracing::Level::WARN),
                "error" | "critical" | "alert" | "emergency" | "4" | "3" | "2" | "1" => {
                    Some(tracing::Level::ERROR)
                }
                _ => None,
            };
        }
    }
    None
}

/// `--name=value` and `-lvalue` as getopt reads them.
fn split_value(arg: &str) -> (&str, Option<&str>) {
    match arg.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ if !arg.starts_with("--") && arg.starts_with('-') && arg.len() > 2 && arg.is_char_boundary(2) => {
            (&arg[..2], Some(&arg[2..]))
        }
        _ => (arg, None),
    }
}

/// `0-2,5`: lcores that are CPUs of the same numbers.
fn parse_corelist(list: &str) -> Result<BTreeMap<LcoreId, Vec<usize>>, EalArgsError> {
    Ok(parse_set(list, list)?.into_iter().map(|lcore| (LcoreId(lcore as u32), vec![lcore])).collect())
}

/// `lcores[@cpus],…`, each side a number, a range or a set in parentheses; a set of lcores
/// without CPUs shares the CPUs of the same numbers.
fn parse_lcores(list: &str) -> Result<BTreeMap<LcoreId, Vec<usize>>, EalArgsError> {
    let mut lcores = BTreeMap::new();
    for part in split_outside_parentheses(list) {
        let (left, right) = part.split_once('@').map_or((part, None), |(left, right)| (left, Some(right)));
        let ids = parse_set(strip_parentheses(left), list)?;
        let cpus = right.map(|right| parse_set(strip_parentheses(right), list)).transpose()?;
        let is_group = left.starts_with('(');
        for &id in &ids {
            let own = if is_group { ids.clone() } else { vec![id] };
            let cpus = cpus.clone().unwrap_or(own);
            if lcores.insert(LcoreId(id as u32), cpus).is_some() {
                return Err(EalArgsError::List { list: list.to_owned(), why: "an lcore is named twice" });
            }
        }
    }
    Ok(lcores)
}

fn split_outside_parentheses(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    list.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
}

fn strip_parentheses(text: &str) -> &str {
    text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text)
}

/// `0-2,5`, ascending and without repetition.
fn parse_set(text: &str, list: &str) -> Result<Vec<usize>, EalArgsError> {
    let error = |why| EalArgsError::List { list: list.to_owned(), why };
    let number = |text: &str| {
        let number = text.trim().parse::<usize>().ok().filter(|&number| number < CpuSet::CAPACITY);
        number.ok_or_else(|| error("write numbers and ranges, as in 0-2,5"))
    };
    let mut set = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(error("a range runs backwards"));
        }
        set.extend(first..=last);
    }
    set.sort_unstable();
    set.dedup();
    Ok(set)
}

fn parse_lcore(text: &str) -> Result<LcoreId, EalArgsError> {
    let error = || EalArgsError::List { list: text.to_owned(), why: "write one number" };
    text.parse().map(LcoreId).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<NativeArgs, EalArgsError> {
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        NativeArgs::parse(&args, CpuSet::from_iter(0..8))
    }

    fn workers(args: &[&str]) -> Vec<u32> {
        parse(args).expect("valid").workers().into_iter().map(|lcore| lcore.0).collect()
    }

    #[test]
    fn the_main_lcore_does_not_work_unless_it_is_alone() {
        assert_eq!(workers(&["-l", "0-2,5"]), [1, 2, 5]);
        assert_eq!(workers(&["-l3"]), [3]);
        assert_eq!(workers(&["-l", "0-2", "--main-lcore=2"]), [0, 1]);
        assert_eq!(workers(&[]), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn lcores_map_to_cpus() {
        let args = parse(&["--lcores", "0@7,(1-2)@(4-5),(3,6)"]).expect("valid");
        let cpus = |lcore| args.lcores[&LcoreId(lcore)].clone();
        assert_eq!((cpus(0), cpus(1), cpus(2)), (vec![7], vec![4, 5], vec![4, 5]));
        assert_eq!((cpus(3), cpus(6)), (vec![3, 6], vec![3, 6]));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let dpdk_only = |name: &str| Some(EalArgsError::DpdkOnly(name.into()));
        assert_eq!(parse(&["-l", "0", "--vdev=net_tap0"]).err(), dpdk_only("--vdev"));
        assert_eq!(parse(&["-a", "0000:03:00.0"]).err(), dpdk_only("-a"));
        assert_eq!(parse(&["--no-huge"]).err(), dpdk_only("--no-huge"));
        assert_eq!(parse(&["--ip"]).err(), Some(EalArgsError::Unknown("--ip".into())));
        assert_eq!(parse(&["-l"]).err(), Some(EalArgsError::NoValue("-l".into())));
        assert_eq!(parse(&["-l", "0", "--lcores", "1"]).err(), Some(EalArgsError::TwoLists));
        assert_eq!(
            parse(&["-l", "0", "--main-lcore", "1"]).err(),
            Some(EalArgsError::MainNotListed(LcoreId(1)))
        );
        assert!(matches!(parse(&["-l", "9"]), Err(EalArgsError::NoSuchCpu { cpu: 9, .. })));
        for bad in ["", "x", "2-1", "1,,2", "-1", "99999"] {
            assert!(matches!(parse(&["-l", bad]), Err(EalArgsError::List { .. })), "{bad}");
        }
    }

    #[test]
    fn log_levels_have_the_eal_s_names() {
        let level = |args: &[&str]| log_level(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
        assert_eq!(level(&["-l", "0", "--log-level=debug"]), Some(tracing::Level::DEBUG));
        assert_eq!(level(&["--log-level", "4"]), Some(tracing::Level::ERROR));
        assert_eq!(level(&["--log-level=lib.eal:8"]), None);
    }
}
