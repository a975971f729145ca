//! Reading the EAL arguments without taking them: DPDK gets them as they are.
//!
//! What is not understood here is left to the EAL, which refuses it with its usage text.

use std::collections::BTreeSet;

/// EAL arguments, without the program's name.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a>(pub(crate) &'a [String]);

impl<'a> Arguments<'a> {
    /// Whether a long option is there. Like getopt_long, this takes an abbreviation; the EAL
    /// refuses ambiguous ones.
    pub(crate) fn has(self, option: &str) -> bool {
        self.0.iter().any(|argument| is_option(argument, option))
    }

    /// The values of a long option: `--option=value` and `--option value`.
    pub(crate) fn long_values(self, option: &str) -> impl Iterator<Item = &'a str> {
        self.values(move |argument| match argument.split_once('=') {
            Some((name, value)) => is_option(name, option).then_some(Some(value)),
            None => is_option(argument, option).then_some(None),
        })
    }

    /// The values of a short option: `-o value` and `-ovalue`.
    pub(crate) fn short_values(self, option: char) -> impl Iterator<Item = &'a str> {
        self.values(move |argument| {
            let value = argument.strip_prefix('-')?.strip_prefix(option)?;
            Some((!value.is_empty()).then_some(value))
        })
    }

    /// The values of the arguments for which `find` gives one, or says that it is the next argument.
    fn values(self, find: impl Fn(&'a str) -> Option<Option<&'a str>>) -> impl Iterator<Item = &'a str> {
        self.0.iter().enumerate().filter_map(move |(index, argument)| {
            find(argument)?.or_else(|| self.0.get(index + 1).map(String::as_str))
        })
    }

    /// The lcores asked for with `-l` or `--lcores`; `None` if there is no such option, or
    /// the EAL has to say what is wrong with it.
    pub(crate) fn lcores(self) -> Option<Vec<LcoreRequest>> {
        if let Some(list) = self.short_values('l').last() {
            return Some(set(list)?.into_iter().map(LcoreRequest::same).collect());
        }
        self.long_values("--lcores").last().and_then(lcore_map)
    }

    /// The lcore that `--main-lcore` names.
    pub(crate) fn main_lcore(self) -> Option<u32> {
        self.long_values("--main-lcore").last()?.parse().ok()
    }

    /// Names of devices that the arguments bring and that ought to become ports: network
    /// vdevs, and PCI addresses in the EAL's long form.
    pub(crate) fn devices(self) -> Vec<String> {
        let name = |value: &'a str| value.split(',').next().unwrap_or(value);
        self.network_vdevs().map(|vdev| name(vdev).to_owned()).chain(self.allowed_pci()).collect()
    }

    /// The bus of a device, `vdev` or `pci`, and what the arguments say of it: its name and what stands
    /// behind that.
    pub(crate) fn origin(self, device: &str) -> Option<(&'static str, &'a str)> {
        let name = |value: &'a str| value.split(',').next().unwrap_or(value);
        let vdev = self.network_vdevs().find(|vdev| name(vdev) == device);
        let mut allowed = self.short_values('a').chain(self.long_values("--allow"));
        let mut pci = || allowed.find(|value| pci_address(name(value)).as_deref() == Some(device));
        vdev.map(|vdev| ("vdev", vdev)).or_else(|| Some(("pci", pci()?)))
    }

    /// The network vdevs, with what stands behind their names.
    pub(crate) fn network_vdevs(self) -> impl Iterator<Item = &'a str> {
        self.long_values("--vdev").filter(|vdev| vdev.starts_with("net_") || vdev.starts_with("eth_"))
    }

    /// The PCI addresses allowed, in the EAL's long form.
    pub(crate) fn allowed_pci(self) -> impl Iterator<Item = String> {
        let allowed = self.short_values('a').chain(self.long_values("--allow"));
        allowed.filter_map(|value| pci_address(value.split(',').next().unwrap_or(value)))
    }

    /// The PCI addresses that DPDK leaves alone, in the EAL's long form.
    pub(crate) fn blocked_pci(self) -> impl Iterator<Item = String> {
        self.short_values('b').chain(self.long_values("--block")).filter_map(pci_address)
    }
}

/// An lcore and the CPUs that its thread may run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LcoreRequest {
    pub(crate) lcore: u32,
    pub(crate) cpus: BTreeSet<u32>,
}

impl LcoreRequest {
    fn same(lcore: u32) -> Self {
        Self { lcore, cpus: BTreeSet::from([lcore]) }
    }
}

fn is_option(argument: &str, option: &str) -> bool {
    argument.len() > 4 && option.starts_with(argument)
}

/// `0000:03:00.0`, from that or from `03:00.0`.
fn pci_address(text: &str) -> Option<String> {
    let text = text.strip_prefix("pci:").unwrap_or(text);
    let (front, function) = text.rsplit_once('.')?;
    let parts: Vec<&str> = front.split(':').chain([function]).collect();
    let hex = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let domain = if parts.len() == 3 { "0000:" } else { "" };
    let complete = (3..=4).contains(&parts.len()) && parts.iter().all(hex);
    complete.then(|| format!("{domain}{}", text.to_ascii_lowercase()))
}

/// `0-2,5`: numbers and ranges.
fn set(list: &str) -> Option<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for item in list.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        // Longer ones than any machine has CPUs are the EAL's to refuse.
        (first <= last && last - first < 4096).then(|| numbers.extend(first..=last))?;
    }
    Some(numbers)
}

/// `lcores[@cpus],…` where a list of several stands in parentheses.
fn lcore_map(text: &str) -> Option<Vec<LcoreRequest>> {
    let mut requests = Vec::new();
    for item in split_outside_parentheses(text) {
        let (lcores, cpus) = item.split_once('@').map_or((item, None), |(lcores, cpus)| (lcores, Some(cpus)));
        let together = cpus.is_some() || lcores.starts_with('(');
        let lcores = set(unparenthesised(lcores)?)?;
        let cpus = cpus.map_or(Some(lcores.clone()), |cpus| set(unparenthesised(cpus)?))?;
        requests.extend(lcores.into_iter().map(|lcore| {
            if together { LcoreRequest { lcore, cpus: cpus.clone() } } else { LcoreRequest::same(lcore) }
        }));
    }
    Some(requests)
}

fn unparenthesised(text: &str) -> Option<&str> {
    match text.strip_prefix('(') {
        Some(inner) => inner.strip_suffix(')'),
        None => Some(text),
    }
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |character| {
        match character {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        character == ',' && !inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn lcores(line: &str) -> Option<Vec<(u32, Vec<u32>)>> {
        let requests = Arguments(&arguments(line)).lcores()?;
        Some(requests.into_iter().map(|r| (r.lcore, r.cpus.into_iter().collect())).collect())
    }

    #[test]
    fn lcore_lists_are_read_as_the_eal_does() {
        assert_eq!(lcores("-l 0-1,4"), Some(vec![(0, vec![0]), (1, vec![1]), (4, vec![4])]));
        assert_eq!(lcores("-l3"), Some(vec![(3, vec![3])]));
        assert_eq!(
            lcores("--lcores=1,2@(5-7),(3-4)@(0,2),(0,6),7-8"),
            Some(vec![
                (1, vec![1]),
                (2, vec![5, 6, 7]),
                (3, vec![0, 2]),
                (4, vec![0, 2]),
                (0, vec![0, 6]),
                (6, vec![0, 6]),
                (7, vec![7]),
                (8, vec![8])
            ])
        );
        assert_eq!(lcores("--no-huge"), None);
        for nonsense in ["-l x", "-l 2-1", "-l", "--lcores (1,2", "--lcores @", "-l 0-4294967295"] {
            assert_eq!(lcores(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn options_are_found_in_each_of_their_forms() {
        let list = arguments(
            "--no-hug --vdev=net_tap0,iface=x --vdev net_null0 --vdev crypto_null0 -a 03:00.0,rx=1",
        );
        let arguments = Arguments(&list);
        assert!(arguments.has("--no-huge") && !arguments.has("--no-pci"));
        assert_eq!(arguments.devices(), ["net_tap0", "net_null0", "0000:03:00.0"]);
        assert_eq!(pci_address("0001:3B:00.1").as_deref(), Some("0001:3b:00.1"));
        assert_eq!(pci_address("class=eth"), None);
        assert_eq!(pci_address("auxiliary:mlx5_core.sf.2"), None);
    }
}
