//! The poll-mode drivers that the EAL can load, and the PCI devices that each is for.
//!
//! Every driver carries a text about itself, `PMD_INFO_STRING= {…}` (`RTE_PMD_EXPORT_NAME` and
//! its like), which DPDK's own `dpdk-pmdinfo.py` prints. It is read from the files that this
//! program would load: the loaded `librte_eal` names its folder of drivers in a text of its
//! own, `DPDK_PLUGIN_PATH=…`. A program with a static DPDK has the drivers' texts in its own file.

use std::path::Path;

use serde::Deserialize;

use super::machine::Machine;

const INFO: &[u8] = b"PMD_INFO_STRING= ";
const FOLDER: &[u8] = b"DPDK_PLUGIN_PATH=";
/// A number that stands for any.
const ANY: u32 = 0xFFFF;

/// The drivers that there are, and where they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drivers {
    pub(crate) place: String,
    pub(crate) pmds: Vec<Pmd>,
}

/// What a driver says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Pmd {
    pub(crate) name: String,
    /// The kernel modules that it works with.
    #[serde(default)]
    pub(crate) kmod: String,
    /// Vendor, device, subsystem's vendor and subsystem.
    #[serde(default)]
    pci_ids: Vec<[u32; 4]>,
}

impl Drivers {
    /// Those of the loaded DPDK, and of the folders or files that `-d` names.
    pub(crate) fn find(machine: &Machine, named: &[String]) -> Self {
        let Some(eal) = library(&machine.text("/proc/self/maps")) else {
            let pmds = texts(&machine.bytes("/proc/self/exe"));
            return Self { place: "the program".to_owned(), pmds };
        };
        let folder = marked(&machine.bytes(&eal), FOLDER).next().unwrap_or_default();
        let mut pmds = in_folder(machine, &folder);
        for path in named {
            pmds.extend(in_folder(machine, path));
            pmds.extend(texts(&machine.bytes(path)));
        }
        Self { place: folder, pmds }
    }

    /// The driver of a vdev: the one whose name the device's begins with.
    pub(crate) fn of_vdev(&self, name: &str) -> Option<&Pmd> {
        // An older name of most of them.
        let name = name.replacen("eth_", "net_", 1);
        self.pmds.iter().find(|pmd| name.starts_with(&pmd.name))
    }

    /// The driver of a PCI device, by vendor, device, and its subsystem's.
    pub(crate) fn of_pci(&self, ids: [u32; 4]) -> Option<&Pmd> {
        let is_match =
            |known: &[u32; 4]| known.iter().zip(ids).all(|(&known, id)| known == ANY || known == id);
        self.pmds.iter().find(|pmd| pmd.pci_ids.iter().any(is_match))
    }
}

/// The path of the EAL's library among those that are mapped.
fn library(maps: &str) -> Option<String> {
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    let is_eal = |path: &&str| path.rsplit('/').next().is_some_and(|name| name.starts_with("librte_eal.so"));
    paths.find(is_eal).map(str::to_owned)
}

/// The network drivers of a folder.
fn in_folder(machine: &Machine, folder: &str) -> Vec<Pmd> {
    let names = machine.names(folder);
    let is_driver = |name: &&String| name.starts_with("librte_net_") && name.contains(".so");
    let mut files: Vec<_> = names
        .iter()
        .filter(is_driver)
        .filter_map(|name| machine.path(&format!("{folder}/{name}")).canonicalize().ok())
        .collect();
    // A library has several names.
    files.sort_unstable();
    files.dedup();
    files.iter().flat_map(|path| texts(&read(path))).collect()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

fn texts(bytes: &[u8]) -> Vec<Pmd> {
    marked(bytes, INFO).filter_map(|text| serde_json::from_str(&text).ok()).collect()
}

/// The zero-terminated texts that begin with a mark, without it.
fn marked<'a>(bytes: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    // A text may follow other data without a zero between them.
    let starts = (0..bytes.len()).filter(move |&at| bytes[at] == mark[0] && bytes[at..].starts_with(mark));
    let texts = starts.filter_map(move |at| bytes[at + mark.len()..].split(|&byte| byte == 0).next());
    texts.map(|text| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_read_out_of_bytes() {
        let bytes = b"\0\x01\xffPMD\0PMD_INFO_STRING= {\"name\": \"net_x\", \"kmod\": \"* vfio-pci\", \"pci_ids\": [[32902, 4307, 65535, 65535]]}\0\
            PMD_INFO_STRING= {\"name\": \"net_tap\", \"pci_ids\": []}\0PMD_INFO_STRING= {broken\0rest";
        let drivers = Drivers { place: String::new(), pmds: texts(bytes) };
        assert_eq!(drivers.pmds.len(), 2);
        assert_eq!(drivers.of_pci([0x8086, 0x10d3, 1, 2]).map(|pmd| pmd.kmod.as_str()), Some("* vfio-pci"));
        assert_eq!(drivers.of_pci([0x8086, 0x10d4, 1, 2]), None);
        for vdev in ["net_tap0", "eth_tap1"] {
            assert_eq!(drivers.of_vdev(vdev).map(|pmd| pmd.name.as_str()), Some("net_tap"), "{vdev}");
        }
        assert_eq!(drivers.of_vdev("net_ring0"), None);
    }

    #[cfg(feature = "dpdk")]
    #[test]
    fn the_drivers_of_this_dpdk_are_found() {
        let drivers = Drivers::find(&Machine::this(), &[]);
        assert!(drivers.of_vdev("net_null0").is_some(), "{drivers:?}");
    }
}
