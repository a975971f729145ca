//! Where our answers differ from the kernel's, and why that is right.

/// A kind of difference.
pub(crate) struct Reason {
    /// Names of cases, `*` standing for anything.
    pub(crate) frames: &'static [&'static str],
    /// The kernel's answer, and ours, in the same way.
    pub(crate) kernel: &'static str,
    pub(crate) ours: &'static str,
    /// Why ours is right.
    pub(crate) why: &'static str,
}

const NO_OPTIONS: &str = "a reply is a fresh packet without options: what a sender wants written into them is nothing \
     that a host has to tell (RFC 7126, sections 4.5 and 4.7)";
const OPTIONS_UNREAD: &str = "options are skipped by the header's length and never read, so what is wrong in them \
     does no harm and the packet is as good as any";
const SOURCE_ROUTE: &str = "a source route is skipped like every option and takes no effect: the answer goes to the \
     source address by the link that the packet came by, never along the route";

pub(crate) const REASONS: &[Reason] = &[
    // ---- the link ----------------------------------------------------------------------
    Reason {
        frames: &[
            "Ethernet: * from everybody",
            "Ethernet: * from a group",
            "Ethernet: * from the host's own with the group bit set",
            "Ethernet: * from nobody",
            "ARP: request, sender MAC and link source *",
        ],
        kernel: "*",
        ours: "silence",
        why: "a frame's source is one station (IEEE 802.3, clause 3.2.3): what claims to be from several or from none \
              would have us answer to all of the link",
    },
    Reason {
        frames: &["Ethernet: * from the host itself", "Ethernet: * from another host"],
        kernel: "*, 10.77.0.1 to 10.77.0.2",
        ours: "*, 10.77.0.1 to 10.77.0.2 at *",
        why: "an answer goes back to the station that the question came from, without a lookup: the table of \
              neighbours is for what we send of our own accord",
    },
    Reason {
        frames: &["Ethernet: a datagram to *", "Ethernet: an echo request to *"],
        kernel: "*",
        ours: "silence",
        why: "what came to many stations and is for one address is not answered (RFC 1122, section 3.3.6)",
    },
    // ---- ARP ---------------------------------------------------------------------------
    Reason {
        frames: &[
            "Ethernet: an ARP request from the host itself",
            "Ethernet: an ARP request from another host",
            "ARP: request, sender MAC *",
        ],
        kernel: "ARP reply: *",
        ours: "silence",
        why: "a sender that the packet names and that isn't the frame's would have us answer to a third: one that \
              is honest sends both alike",
    },
    Reason {
        frames: &["ARP: hardware type 6"],
        kernel: "ARP reply: *",
        ours: "silence",
        why: "hardware type 6 is that of other IEEE 802 networks; Ethernet's is 1 (RFC 826)",
    },
    // ---- IPv4 --------------------------------------------------------------------------
    Reason {
        frames: &[
            "IPv4: header length * words in place of 5*",
            "IPv4: * bytes of options, header length off by 1",
        ],
        kernel: "ICMP error 12/0 *",
        ours: "silence",
        why: "the kernel reads what follows as options and reports them; we don't read options, and the datagram \
              behind them isn't one, which is dropped without a word",
    },
    Reason {
        frames: &["IPv4 options: * in a ping"],
        kernel: "ICMP echo reply *, with options",
        ours: "ICMP echo reply *",
        why: NO_OPTIONS,
    },
    Reason {
        frames: &["IPv4 options: * in a ping"],
        kernel: "ICMP error 12/0 *",
        ours: "ICMP echo reply *",
        why: OPTIONS_UNREAD,
    },
    Reason { frames: &["IPv4 options: *"], kernel: "ICMP error 12/0 *", ours: "UDP *", why: OPTIONS_UNREAD },
    Reason {
        frames: &["IPv4 options: loose *route* in a ping", "IPv4 options: strict *route* in a ping"],
        kernel: "silence",
        ours: "ICMP echo reply *",
        why: SOURCE_ROUTE,
    },
    Reason {
        frames: &["IPv4 options: loose *route*", "IPv4 options: strict *route*"],
        kernel: "silence",
        ours: "UDP *",
        why: SOURCE_ROUTE,
    },
    Reason {
        frames: &[
            "IPv4 options: record route * in a ping",
            "IPv4 options: timestamp with pointer * in a ping",
        ],
        kernel: "silence",
        ours: "ICMP echo reply *",
        why: "the kernel can't write its address between two places of the option and gives its reply up; ours has \
              no options",
    },
    Reason {
        frames: &["IPv4 fragments: *"],
        kernel: "UDP *",
        ours: "silence",
        why: "fragments are dropped by default: memory and time for them are a peer's to spend (RFC 8900); \
              reassembly is a policy of the port",
    },
    Reason {
        frames: &[
            "IPv4 source: * from 0/8",
            "IPv4 source: * from nearly everybody",
            "IPv4 source: * from class E*",
            "IPv4 source: * from the link's broadcast",
        ],
        kernel: "*",
        ours: "silence",
        why: "no host has such an address (RFC 1122, section 3.2.1.3; RFC 6890): an answer to it goes to many or to \
              nobody",
    },
    Reason {
        frames: &["IPv4 destination: a datagram to *"],
        kernel: "UDP *",
        ours: "silence",
        why: "what is for many hosts is never answered: their answers together would drown a source that was \
              forged (RFC 2644)",
    },
    // ---- ICMP --------------------------------------------------------------------------
    Reason {
        frames: &["IPv4 ICMP: echo of code *"],
        kernel: "ICMP echo reply *",
        ours: "silence",
        why: "an echo request has code 0 (RFC 792); with another code it is none, and scanners tell systems apart by \
              what these are answered with",
    },
    Reason {
        frames: &["IPv4 ICMP: *", "IPv4 options: record route in a timestamp request"],
        kernel: "ICMP timestamp reply *",
        ours: "silence",
        why: "our clock is nobody's business, and a host need not answer (RFC 1122, section 3.2.2.8)",
    },
];
