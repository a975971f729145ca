//! The network cards on the PCI bus.

use gannet::sys::Script;

use super::super::check::Check;
use super::super::machine::Machine;
use super::super::pmd::Drivers;
use super::Asked;
use super::vfio::does_without_iommu;

const DEVICES: &str = "/sys/bus/pci/devices";
/// Drivers that hand a device to a program.
const USER_DRIVERS: [&str; 3] = ["vfio-pci", "igb_uio", "uio_pci_generic"];
/// Kernel drivers that share a device with DPDK's.
const BIFURCATED: [&str; 3] = ["mlx5_core", "mlx4_core", "mana"];
/// What a group may have beside the device without being at work itself.
const AT_REST: [&str; 4] = ["", "vfio-pci", "pci-stub", "pcieport"];

impl Asked {
    /// Whether all devices that it takes stay with the kernel's driver, so that vfio has no part.
    pub(super) fn is_bifurcated(&self, machine: &Machine, drivers: &Drivers) -> bool {
        let named = self.requested.pci.iter().map(|address| Card::read(machine, address));
        let mut taken: Vec<_> = named.collect();
        if self.requested.every_pci {
            let others = cards(machine).into_iter().filter(|card| self.takes_unnamed(&card.address));
            taken.extend(others.filter(|card| card.is_taken(drivers)));
        }
        !taken.is_empty() && taken.iter().all(|card| BIFURCATED.contains(&card.driver.as_str()))
    }
}

/// A device, as the kernel has it.
struct Card {
    address: String,
    driver: String,
    group: Option<String>,
    interface: Option<String>,
    node: i64,
    ids: [u32; 4],
}

pub(super) fn checks(asked: &Asked, machine: &Machine, drivers: &Drivers) -> Vec<Check> {
    let cards = cards(machine);
    let named = &asked.requested.pci;
    let is_there = |address: &&String| machine.has(&format!("{DEVICES}/{address}"));
    let (there, missing): (Vec<_>, Vec<_>) = named.iter().partition(is_there);
    let mut checks: Vec<_> = missing.into_iter().map(|address| absent(address, &cards)).collect();
    checks.extend(there.into_iter().map(|address| Card::read(machine, address).check(machine, drivers)));
    let others = cards.iter().filter(|card| !named.contains(&card.address));
    let is_taken = |card: &Card| asked.takes_unnamed(&card.address) && card.is_taken(drivers);
    for card in others.clone() {
        let check = card.check(machine, drivers).needed_if(is_taken(card));
        // With a vdev it is no loss when DPDK can't open it.
        checks.push(if asked.needs_pci() { check } else { check.at_most_warning() });
    }
    if asked.needs_pci() && named.is_empty() && !others.clone().any(is_taken) {
        checks.push(none_taken(asked, &cards, machine));
    }
    checks
}

fn absent(address: &str, cards: &[Card]) -> Check {
    let known: Vec<_> = cards.iter().map(|card| card.address.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let found = format!("there is no such PCI device; network cards here: {known}");
    Check::error(format!("NIC {address}"), found).mend(format!("{} status", Script::Bind))
}

/// DPDK takes what is bound to vfio-pci, and nothing is.
fn none_taken(asked: &Asked, cards: &[Card], machine: &Machine) -> Check {
    let routes = machine.text("/proc/net/route");
    let has_route = |card: &&Card| {
        let is_default = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.len() > 1 && Some(words[0]) == card.interface.as_deref() && words[1] == "00000000"
        };
        !routes.lines().any(is_default)
    };
    let none = Check::error("NIC", "no network card is bound to vfio-pci, and no --vdev is named");
    let is_to_be_had =
        |card: &&Card| asked.takes_unnamed(&card.address) && !BIFURCATED.contains(&card.driver.as_str());
    match cards.iter().filter(is_to_be_had).find(has_route) {
        Some(card) => none.mend(format!("{} vfio {}", Script::Bind, card.address)),
        None => none.mend("name a port without a card: --no-pci --vdev=net_tap0, or -- --io af_packet:IFACE"),
    }
}

fn cards(machine: &Machine) -> Vec<Card> {
    machine
        .names(DEVICES)
        .iter()
        .filter(|address| is_network(machine, address))
        .map(|address| Card::read(machine, address))
        .collect()
}

fn is_network(machine: &Machine, address: &str) -> bool {
    machine.text(&format!("{DEVICES}/{address}/class")).starts_with("0x02")
}

impl Card {
    fn read(machine: &Machine, address: &str) -> Self {
        let folder = format!("{DEVICES}/{address}");
        let id = |file: &str| {
            let text = machine.text(&format!("{folder}/{file}"));
            u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default()
        };
        Self {
            driver: machine.link_name(&format!("{folder}/driver")).unwrap_or_default(),
            group: machine.link_name(&format!("{folder}/iommu_group")),
            interface: interface(machine, &folder),
            node: machine.text(&format!("{folder}/numa_node")).parse().unwrap_or(-1),
            ids: ["vendor", "device", "subsystem_vendor", "subsystem_device"].map(id),
            address: address.to_owned(),
        }
    }

    fn check(&self, machine: &Machine, drivers: &Drivers) -> Check {
        let name = format!("NIC {}", self.address);
        let found = self.found();
        let Some(pmd) = drivers.of_pci(self.ids) else {
            return Check::error(name, format!("{found}; no PMD in {} is for it", drivers.place))
                .mend("apt-get install librte-meta-net");
        };
        let found = format!("{found}, PMD {}", pmd.name);
        if self.is_shared(drivers) {
            return Check::ok(name, found);
        }
        if let Some(check) = self.not_viable(&name, &found, machine) {
            return check;
        }
        match self.group_file(machine).filter(|_| self.driver == "vfio-pci") {
            Some(file) if !machine.may_use(&file) => {
                let found = format!("{found}; no right to use {file}");
                Check::error(name, found).mend(format!("sudo chown $(id -u) {file}"))
            }
            Some(file) => match machine.holders(&file).first() {
                Some(holder) => Check::error(name, format!("{found}; a program has it: {holder}"))
                    .mend("stop that program, or name another card"),
                None => Check::ok(name, found),
            },
            None => Check::ok(name, found),
        }
    }

    /// What keeps a program from having its group, which goes to one as a whole.
    fn not_viable(&self, name: &str, found: &str, machine: &Machine) -> Option<Check> {
        let others = self.others_at_work(machine);
        if let Some(other) = others.iter().find(|other| !is_network(machine, other)) {
            let found = format!("{found}; {other}, no network card, is at work for the kernel in its group");
            let way_out =
                "put the card into another slot, with a group of its own, or switch ACS on in the firmware";
            return Some(Check::error(name, found).mend(way_out));
        }
        let why = if others.is_empty() {
            "it is not bound to vfio-pci".to_owned()
        } else {
            format!("its group is not viable: {} in it is at work for the kernel", others.join(", "))
        };
        let is_bound = USER_DRIVERS.contains(&self.driver.as_str());
        let itself = (!is_bound).then(|| self.address.clone());
        let unbound: Vec<_> = itself.into_iter().chain(others).collect();
        let check = (!unbound.is_empty()).then(|| Check::error(name, format!("{found}; {why}")))?;
        Some(
            unbound
                .iter()
                .fold(check, |check, address| check.mend(format!("{} vfio {address}", Script::Bind))),
        )
    }

    /// Whether DPDK takes it without being told.
    fn is_taken(&self, drivers: &Drivers) -> bool {
        USER_DRIVERS.contains(&self.driver.as_str()) || self.is_shared(drivers)
    }

    /// Whether its PMD and the driver of the kernel that it has work side by side.
    fn is_shared(&self, drivers: &Drivers) -> bool {
        let pmd = drivers.of_pci(self.ids);
        BIFURCATED.contains(&self.driver.as_str()) && pmd.is_some_and(|pmd| pmd.kmod.contains(&self.driver))
    }

    fn found(&self) -> String {
        let [vendor, device, ..] = self.ids;
        let driver = if self.driver.is_empty() { "no driver" } else { &self.driver };
        let group = self.group.as_ref().map_or("no group".to_owned(), |group| format!("group {group}"));
        let interface = self.interface.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        let node = self.node.max(0);
        format!("{vendor:04x}:{device:04x}{interface}, {driver}, {group}, node {node}")
    }

    /// The other devices of its group that the kernel has at work.
    fn others_at_work(&self, machine: &Machine) -> Vec<String> {
        let members = machine.names(&format!("{DEVICES}/{}/iommu_group/devices", self.address));
        let is_at_work = |address: &String| {
            let class = machine.text(&format!("{DEVICES}/{address}/class"));
            let driver = machine.link_name(&format!("{DEVICES}/{address}/driver")).unwrap_or_default();
            *address != self.address && !class.starts_with("0x0604") && !AT_REST.contains(&driver.as_str())
        };
        members.into_iter().filter(is_at_work).collect()
    }

    fn group_file(&self, machine: &Machine) -> Option<String> {
        let group = self.group.as_ref()?;
        let prefix = if does_without_iommu(machine) { "noiommu-" } else { "" };
        Some(format!("/dev/vfio/{prefix}{group}"))
    }
}

fn interface(machine: &Machine, folder: &str) -> Option<String> {
    // A virtio interface is a device of its own below the PCI device.
    let below = machine.names(folder).into_iter().filter(|name| name.starts_with("virtio"));
    let folders = std::iter::once(folder.to_owned()).chain(below.map(|name| format!("{folder}/{name}")));
    folders.into_iter().flat_map(|folder| machine.names(&format!("{folder}/net"))).next()
}
