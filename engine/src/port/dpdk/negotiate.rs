//! What is asked of a device, given what it offers (`rte_eth_dev_info`). Pure decisions,
//! each with a line for [`PortDescription::granted`](crate::port::PortDescription::granted).

use dpdk_sys as sys;

use super::pool::MAX_MTU;
use crate::port::{PortConfig, RssFields, RssKey};

/// Ethernet header and frame check sequence, in bytes: what devices count around an MTU.
const ETHERNET_OVERHEAD: u32 = 14 + 4;
/// Descriptors per ring where neither the user nor the driver has a wish.
const DEFAULT_DESCRIPTORS: u16 = 1024;

/// RSS hash functions over addresses alone: of any IP packet, of fragments, and of what is
/// neither UDP nor TCP.
const RSS_BY_ADDRESSES: &[(u64, &str)] = &[
    (sys::DPDK_SYS_RTE_ETH_RSS_IPV4, "ipv4"),
    (sys::DPDK_SYS_RTE_ETH_RSS_FRAG_IPV4, "ipv4-frag"),
    (sys::DPDK_SYS_RTE_ETH_RSS_NONFRAG_IPV4_OTHER, "ipv4-other"),
    (sys::DPDK_SYS_RTE_ETH_RSS_IPV6, "ipv6"),
    (sys::DPDK_SYS_RTE_ETH_RSS_FRAG_IPV6, "ipv6-frag"),
    (sys::DPDK_SYS_RTE_ETH_RSS_NONFRAG_IPV6_OTHER, "ipv6-other"),
];

/// RSS hash functions over addresses and ports.
const RSS_BY_PORTS: &[(u64, &str)] = &[
    (sys::DPDK_SYS_RTE_ETH_RSS_NONFRAG_IPV4_UDP, "ipv4-udp"),
    (sys::DPDK_SYS_RTE_ETH_RSS_NONFRAG_IPV6_UDP, "ipv6-udp"),
];

const RX_WANTED: &[(u64, &str)] = &[
    (sys::DPDK_SYS_RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, "IPv4 checksum on receive"),
    (sys::DPDK_SYS_RTE_ETH_RX_OFFLOAD_UDP_CKSUM, "UDP checksum on receive"),
];

// The host writes IPv4 header checksums itself; the offload is asked for because drivers
// expect the two together.
const TX_WANTED: &[(u64, &str)] = &[
    (sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, "IPv4 checksum on transmit"),
    (sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_UDP_CKSUM, "UDP checksum on transmit"),
];

/// What a device is configured with.
#[derive(Debug)]
pub(super) struct Plan {
    /// Queue pairs.
    pub(super) queues: u16,
    /// The longest IP packet to ask for, in bytes.
    pub(super) mtu: u16,
    pub(super) rx_descriptors: u16,
    pub(super) tx_descriptors: u16,
    pub(super) rx_offloads: u64,
    pub(super) tx_offloads: u64,
    /// RSS hash functions; 0 for no RSS.
    pub(super) rss_functions: u64,
    /// Key of the RSS hash, of at most 255 bytes; empty for the driver's own.
    pub(super) rss_key: Vec<u8>,
    /// Interrupts for received frames; not every device that takes this has any.
    pub(super) rx_interrupts: bool,
    /// A line for each decision.
    pub(super) granted: Vec<String>,
}

impl Plan {
    /// Decides. `device_mtu` is what the device has now, in bytes.
    pub(super) fn new(info: &sys::rte_eth_dev_info, device_mtu: u16, config: &PortConfig) -> Self {
        let mut granted = Vec::new();
        let queues = queues(info, config, &mut granted);
        let rss_functions = rss(info, queues, config.rss, &mut granted);
        Self {
            queues,
            mtu: mtu(info, device_mtu, config, &mut granted),
            rx_descriptors: descriptors(config.rx_descriptors, info.default_rxportconf.ring_size),
            tx_descriptors: descriptors(config.tx_descriptors, info.default_txportconf.ring_size),
            rss_functions,
            rss_key: rss_key(info.hash_key_size, rss_functions, config.rss_key.as_ref(), &mut granted),
            rx_offloads: offloads(RX_WANTED, info.rx_offload_capa, &mut granted),
            tx_offloads: transmit_offloads(info, config, &mut granted),
            rx_interrupts: config.wakeups,
            granted,
        }
    }
}

fn queues(info: &sys::rte_eth_dev_info, config: &PortConfig, granted: &mut Vec<String>) -> u16 {
    let most = info.max_rx_queues.min(info.max_tx_queues).max(1);
    let wanted = u16::try_from(config.queues.max(1)).unwrap_or(u16::MAX);
    let queues = wanted.min(most);
    let short =
        if queues < wanted { format!(" of {wanted} wanted: the device has no more") } else { String::new() };
    let plural = if queues == 1 { "" } else { "s" };
    granted.push(format!("{queues} queue pair{plural}{short}"));
    queues
}

fn mtu(info: &sys::rte_eth_dev_info, device_mtu: u16, config: &PortConfig, granted: &mut Vec<String>) -> u16 {
    let frame_limit = info.max_rx_pktlen.saturating_sub(ETHERNET_OVERHEAD);
    let longest = frame_limit.min(u32::from(info.max_mtu)).min(u32::from(MAX_MTU)) as u16;
    let longest = if longest == 0 { MAX_MTU } else { longest };
    let wanted = config.mtu.unwrap_or(device_mtu);
    let mtu = wanted.min(longest).max(info.min_mtu);
    if mtu != wanted {
        granted.push(format!("MTU {mtu} of {wanted} wanted: the device takes {} to {longest}", info.min_mtu));
    }
    mtu
}

fn descriptors(wanted: Option<u16>, preferred: u16) -> u16 {
    wanted.unwrap_or(if preferred == 0 { DEFAULT_DESCRIPTORS } else { preferred })
}

fn rss(info: &sys::rte_eth_dev_info, queues: u16, fields: RssFields, granted: &mut Vec<String>) -> u64 {
    if queues < 2 {
        return 0;
    }
    let by_ports = if fields == RssFields::Flow { RSS_BY_PORTS } else { &[] };
    let offered = |&&(function, _): &&(u64, &str)| info.flow_type_rss_offloads & function != 0;
    let (mut functions, mut names) = (0, Vec::new());
    for (function, name) in RSS_BY_ADDRESSES.iter().chain(by_ports).filter(offered) {
        functions |= function;
        names.push(*name);
    }
    granted.push(match (functions, fields) {
        (0, RssFields::Flow) => {
            "RSS refused: the device spreads frames over its queues by its own rule, or not at all".to_owned()
        }
        (0, RssFields::Addresses) => {
            "RSS by addresses refused: the device spreads frames over its queues by \
             its own rule, or not at all, and fragments may not meet"
                .to_owned()
        }
        (_, RssFields::Flow) => format!("RSS over {}", names.join(", ")),
        (_, RssFields::Addresses) => {
            format!("RSS over {}, by addresses only: fragments of a flow meet", names.join(", "))
        }
    });
    if fields == RssFields::Addresses && functions != 0 {
        granted.extend(unspread(info.flow_type_rss_offloads));
    }
    functions
}

/// As much of the random key as the device takes; empty where the driver's own is used.
fn rss_key(len: u8, functions: u64, random: Option<&RssKey>, granted: &mut Vec<String>) -> Vec<u8> {
    if functions == 0 {
        return Vec::new();
    }
    let key = random.and_then(|random| random.0.get(..len.into())).unwrap_or_default();
    if key.is_empty() {
        granted.push(match (random, len) {
            (None, _) => "RSS key the driver's own: no other was asked for".to_owned(),
            (_, 0) => "RSS key the driver's own: it takes none".to_owned(),
            _ => {
                format!("RSS key the driver's own: it takes {len} bytes, the random one has {}", RssKey::LEN)
            }
        });
    }
    key.to_vec()
}

/// Of a device that hashes UDP with its ports or not at all: whole datagrams are not spread.
fn unspread(offered: u64) -> Option<String> {
    let versions = [(sys::DPDK_SYS_RTE_ETH_RSS_IPV4, "IPv4"), (sys::DPDK_SYS_RTE_ETH_RSS_IPV6, "IPv6")];
    let without: Vec<_> =
        versions.iter().filter(|(function, _)| offered & function == 0).map(|(_, name)| *name).collect();
    (!without.is_empty()).then(|| {
        format!(
            "RSS of whole UDP datagrams by addresses refused over {}: one queue gets them all",
            without.join(", ")
        )
    })
}

fn offloads(wanted: &[(u64, &str)], offered: u64, granted: &mut Vec<String>) -> u64 {
    for (bit, name) in wanted {
        let answer = if offered & bit == 0 { "refused: done in software" } else { "granted" };
        granted.push(format!("{name} {answer}"));
    }
    wanted.iter().map(|(bit, _)| bit & offered).sum()
}

fn transmit_offloads(info: &sys::rte_eth_dev_info, config: &PortConfig, granted: &mut Vec<String>) -> u64 {
    let offered = info.tx_offload_capa;
    let several = several_segments(offered, config, granted);
    offloads(TX_WANTED, offered, granted) | several | fast_free(offered, several != 0, config, granted)
}

/// Frames of several segments, for payloads that are shared.
fn several_segments(offered: u64, config: &PortConfig, granted: &mut Vec<String>) -> u64 {
    if !config.shares {
        return 0;
    }
    let bit = offered & sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    let answer = if bit == 0 { "refused: shared payloads are copied" } else { "granted" };
    granted.push(format!("frames of several segments on transmit {answer}"));
    bit
}

/// Fast free promises that all mbufs of a TX queue have one reference and come from one pool. All
/// of ours have one reference, but for payloads that are shared, and each port has one pool; but
/// frames that are forwarded from other ports come from theirs, and would go back to the wrong one.
fn fast_free(offered: u64, shares: bool, config: &PortConfig, granted: &mut Vec<String>) -> u64 {
    let bit = offered & sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    if bit == 0 {
        return 0;
    }
    if shares {
        granted.push("mbuf fast free not asked for: payloads are shared".to_owned());
        return 0;
    }
    if !config.only_own_packets {
        granted
            .push("mbuf fast free not asked for: forwarded frames come from other ports' pools".to_owned());
        return 0;
    }
    granted.push("mbuf fast free granted".to_owned());
    bit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nic() -> sys::rte_eth_dev_info {
        sys::rte_eth_dev_info {
            max_rx_queues: 4,
            max_tx_queues: 8,
            max_rx_pktlen: 9618,
            max_mtu: 9600,
            min_mtu: 68,
            rx_offload_capa: u64::MAX,
            tx_offload_capa: sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_UDP_CKSUM
                | sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE,
            flow_type_rss_offloads: sys::DPDK_SYS_RTE_ETH_RSS_IPV4 | 1 << 63,
            ..Default::default()
        }
    }

    #[test]
    fn a_device_that_has_less_gives_less_and_says_so() {
        let config =
            PortConfig { queues: 16, mtu: Some(10_000), rx_descriptors: Some(77), ..Default::default() };
        let plan = Plan::new(&nic(), 1500, &config);
        assert_eq!((plan.queues, plan.mtu), (4, 9600));
        assert_eq!((plan.rx_descriptors, plan.tx_descriptors), (77, DEFAULT_DESCRIPTORS));
        assert_eq!(plan.rss_functions, sys::DPDK_SYS_RTE_ETH_RSS_IPV4);
        assert_eq!(plan.tx_offloads, sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_UDP_CKSUM);
        let lines = plan.granted.join("\n");
        for line in
            ["4 queue pairs of 16 wanted", "MTU 9600 of 10000", "RSS over ipv4", "fast free not asked"]
        {
            assert!(lines.contains(line), "{line} is in:\n{lines}");
        }
    }

    #[test]
    fn fast_free_is_for_ports_that_send_only_their_own() {
        let fast_free = sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
        let plan = |info, only_own_packets| {
            Plan::new(&info, 1500, &PortConfig { only_own_packets, ..Default::default() })
        };
        let alone = plan(nic(), true);
        assert_eq!(alone.tx_offloads, sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_UDP_CKSUM | fast_free);
        assert!(alone.granted.contains(&"mbuf fast free granted".to_owned()), "{:?}", alone.granted);
        assert_eq!(plan(nic(), false).tx_offloads & fast_free, 0);
        let without = plan(sys::rte_eth_dev_info { tx_offload_capa: 0, ..nic() }, true);
        assert_eq!(without.tx_offloads, 0);
        assert!(!without.granted.join("\n").contains("fast free"), "nobody misses it");
    }

    #[test]
    fn payloads_are_shared_in_several_segments_or_buffers_freed_fast() {
        let several = sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
        let fast_free = sys::DPDK_SYS_RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
        let plan = |tx_offload_capa, shares| {
            let info = sys::rte_eth_dev_info { tx_offload_capa, ..nic() };
            Plan::new(&info, 1500, &PortConfig { shares, only_own_packets: true, ..Default::default() })
        };
        assert_eq!(plan(several | fast_free, true).tx_offloads, several);
        assert_eq!(plan(several | fast_free, false).tx_offloads, fast_free);
        let refused = plan(fast_free, true);
        assert_eq!(refused.tx_offloads, fast_free);
        let lines = refused.granted.join("\n");
        assert!(
            lines.contains("several segments on transmit refused: shared payloads are copied"),
            "{lines}"
        );
    }

    #[test]
    fn by_addresses_no_function_has_ports() {
        let all = sys::rte_eth_dev_info { flow_type_rss_offloads: u64::MAX, ..nic() };
        let plan = |info, rss| Plan::new(&info, 1500, &PortConfig { queues: 2, rss, ..Default::default() });
        let with_ports =
            sys::DPDK_SYS_RTE_ETH_RSS_NONFRAG_IPV4_UDP | sys::DPDK_SYS_RTE_ETH_RSS_NONFRAG_IPV6_UDP;
        let (flow, addresses) = (plan(all, RssFields::Flow), plan(all, RssFields::Addresses));
        assert_eq!(flow.rss_functions & with_ports, with_ports);
        assert_eq!(addresses.rss_functions, flow.rss_functions & !with_ports);
        let lines = addresses.granted.join("\n");
        assert!(lines.contains("by addresses only") && !lines.contains("one queue gets them all"), "{lines}");

        // i40e's kind: a function for UDP with its ports, and none for every IPv4 packet.
        let by_kind = sys::DPDK_SYS_RTE_ETH_RSS_FRAG_IPV4 | sys::DPDK_SYS_RTE_ETH_RSS_NONFRAG_IPV4_UDP;
        let by_kind = sys::rte_eth_dev_info { flow_type_rss_offloads: by_kind, ..nic() };
        let plan = plan(by_kind, RssFields::Addresses);
        assert_eq!(plan.rss_functions, sys::DPDK_SYS_RTE_ETH_RSS_FRAG_IPV4);
        assert!(plan.granted.join("\n").contains("refused over IPv4, IPv6: one queue gets them all"));
    }

    #[test]
    fn the_key_is_as_long_as_the_device_takes() {
        let random = RssKey(std::array::from_fn(|index| index as u8 + 1));
        let key = |functions, hash_key_size, rss_key| {
            let info = sys::rte_eth_dev_info { flow_type_rss_offloads: functions, hash_key_size, ..nic() };
            let plan = Plan::new(&info, 1500, &PortConfig { queues: 2, rss_key, ..Default::default() });
            (plan.rss_key, plan.granted.join("\n"))
        };
        let ipv4 = sys::DPDK_SYS_RTE_ETH_RSS_IPV4;
        for len in [40, 52, 64] {
            assert_eq!(key(ipv4, len, Some(random.clone())).0, random.0[..len.into()]);
        }
        for (len, random, line) in [
            (40, None, "no other was asked for"),
            (0, Some(random.clone()), "takes none"),
            (65, Some(random.clone()), "takes 65 bytes, the random one has 64"),
        ] {
            let (key, granted) = key(ipv4, len, random);
            assert!(key.is_empty() && granted.contains(line), "{line} is in:\n{granted}");
        }
        let (key, granted) = key(0, 40, Some(random));
        assert!(key.is_empty() && !granted.contains("RSS key"), "no RSS, no word of its key: {granted}");
    }

    #[test]
    fn a_device_without_anything_is_taken_as_it_is() {
        let ring = sys::rte_eth_dev_info {
            max_rx_queues: 1,
            max_tx_queues: 1,
            max_rx_pktlen: u32::MAX,
            max_mtu: u16::MAX,
            ..Default::default()
        };
        let plan = Plan::new(&ring, 1500, &PortConfig::default());
        assert_eq!((plan.queues, plan.mtu, plan.rss_functions), (1, 1500, 0));
        assert_eq!((plan.rx_offloads, plan.tx_offloads), (0, 0));
    }
}
