//! Differences that are only there because something is not built yet, or is a fault of ours
//! that is known. An entry goes when what it names comes: the suite then says that it is stale.

use super::reasons::Reason;

pub(crate) const NOT_BUILT: &[Reason] = &[
    Reason {
        frames: &["IPv6*", "Ethernet: an IPv6*"],
        kernel: "*",
        ours: "silence",
        why: "IPv6 is not built yet",
    },
    Reason {
        frames: &["IPv4*"],
        kernel: "ICMP error 3/3 *",
        ours: "silence",
        why: "closed ports are not reported yet",
    },
    Reason {
        frames: &["IPv4: protocol *"],
        kernel: "ICMP error 3/2 *",
        ours: "silence",
        why: "unknown protocols are not reported yet",
    },
    Reason {
        frames: &[
            "ARP: request from the host about the host",
            "ARP: request from everybody about the host",
            "ARP: request from a group about the host",
            "ARP: request from loopback about the host",
        ],
        kernel: "silence",
        ours: "ARP reply: *",
        why: "a fault: who asks from an address that is ours or that no host has is to get no answer",
    },
    Reason {
        frames: &["Ethernet: an ARP request to nobody"],
        kernel: "silence",
        ours: "ARP reply: *",
        why: "a fault: 00:00:00:00:00:00 is nobody's address, and we take it for a group's",
    },
];
