//! A machine as a tree of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::super::check::Check;
use super::super::super::machine::{Calls, Machine};
use super::super::{Asked, about};

pub(super) const CARD: &str = "0000:03:00.0";

/// A tree of files, gone with its value.
pub(super) struct Tree(PathBuf);

impl Tree {
    /// A machine with two CPUs, an IOMMU, a card bound to vfio-pci that a PMD is for, and
    /// hugepages: everything is there.
    pub(super) fn whole() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gannet-doctor-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let tree = Self(std::env::temp_dir().join(name));
        tree.write("proc/cpuinfo", "processor : 0\nflags\t: pni ssse3 cx16 sse4_1 sse4_2 popcnt avx2\n");
        tree.write("sys/devices/system/cpu/online", "0-1\n");
        tree.write("sys/devices/system/cpu/isolated", "1\n");
        tree.write("proc/self/status", "CapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-1\n");
        tree.write(
            "proc/self/limits",
            "Max locked memory         8388608              8388608              bytes\n",
        );
        tree.write("proc/self/maps", "7f00-7f01 r--p 00000000 00:00 1    /lib/librte_eal.so.23\n");
        tree.write("lib/librte_eal.so.23", "text\0DPDK_PLUGIN_PATH=/lib/pmds\0");
        let known = r#"{"name": "net_e1000_em", "kmod": "* igb_uio | vfio-pci", "pci_ids": [[32902, 4307, 65535, 65535]]}"#;
        tree.write("lib/pmds/librte_net_e1000.so.23", &format!("xPMD_INFO_STRING= {known}\0"));
        tree.write(
            "lib/pmds/librte_net_tap.so.23",
            "PMD_INFO_STRING= {\"name\": \"net_tap\", \"pci_ids\": []}\0",
        );
        tree.write("lib/pmds/librte_mempool_ring.so.23", "");
        tree.hugepages(256, 256);
        tree.write("proc/mounts", "nodev /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n");
        tree.write("dev/hugepages/x", "");
        tree.write("sys/class/iommu/dmar0/x", "");
        tree.write("sys/module/vfio_iommu_type1/parameters/x", "");
        tree.write("dev/vfio/vfio", "");
        tree.write("dev/vfio/7", "");
        tree.write("dev/net/tun", "");
        tree.write("tmp/x", "");
        tree.write("proc/net/dev", "Inter-|\n face |\n    lo: 0\n  eth0: 0\n");
        tree.write("sys/class/net/eth0/flags", "0x1003\n");
        tree.card(CARD, "0x020000", "vfio-pci");
        tree
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    pub(super) fn remove(&self, path: &str) {
        let path = self.0.join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it was there");
    }

    pub(super) fn hugepages(&self, total: u32, free: u32) {
        let pages = "sys/devices/system/node/node0/hugepages/hugepages-2048kB";
        self.write(&format!("{pages}/nr_hugepages"), &total.to_string());
        self.write(&format!("{pages}/free_hugepages"), &free.to_string());
        self.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "0");
    }

    /// A device of group 7.
    pub(super) fn card(&self, address: &str, class: &str, driver: &str) {
        let folder = format!("sys/bus/pci/devices/{address}");
        let files = [("class", class), ("vendor", "0x8086"), ("device", "0x10d3"), ("numa_node", "-1")];
        files.iter().for_each(|(name, text)| self.write(&format!("{folder}/{name}"), text));
        self.write(&format!("sys/bus/pci/drivers/{driver}/bind"), "");
        self.write(&format!("sys/kernel/iommu_groups/7/devices/{address}"), "");
        self.link(&format!("{folder}/driver"), &format!("sys/bus/pci/drivers/{driver}"));
        self.link(&format!("{folder}/iommu_group"), "sys/kernel/iommu_groups/7");
    }

    pub(super) fn link(&self, from: &str, to: &str) {
        let _ = fs::remove_file(self.0.join(from));
        symlink(self.0.join(to), self.0.join(from)).expect("a link");
    }

    pub(super) fn machine(&self) -> Machine {
        let dpdk = Some(("DPDK 22.11.11".to_owned(), "DPDK 22.11.11".to_owned()));
        let may_use: fn(&Path) -> bool = |path| path.exists();
        Machine::below(
            &self.0,
            Calls {
                may_use,
                socket: |_| Ok(()),
                bind: |_| Ok(()),
                listen: |_| Ok(()),
                environment: |_| None,
                dpdk,
            },
        )
    }

    pub(super) fn say(&self, asked: &Asked) -> Vec<Check> {
        about(asked, &self.machine())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
