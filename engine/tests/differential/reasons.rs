//! Where our answers differ from the kernel's, and why that is right. The first reason that
//! holds counts.

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
const MALFORMED_OPTIONS: &str = "options whose lengths contradict the header, and source routes of any kind, are counted \
     and dropped without a word: no honest sender makes them, unlike IPv6's unknown options nothing is negotiated by the \
     error, and a forged source would get it (RFC 7126; RFC 1122, section 3.2.2.5 has a \"should\")";
const OPTIONS_UNREAD: &str = "of options we look at the lengths and for a source route; what stands in the others is \
     never read, so what is wrong there does no harm and the packet is as good as any";
const WAY_BACK: &str = "an answer goes back to the station that the question came from, without a lookup: the table of \
     neighbours is for what we send of our own accord";
const NO_STATION: &str = "a frame's source is one station (IEEE 802.3, clause 3.2.3): what claims to be from several or \
     from none would have us answer to all of the link";
const TO_GROUPS: &str = "what is for many hosts is never answered: their answers together would drown a source that \
     was forged (RFC 2644, RFC 4443, section 5.2)";
const NO_HOST: &str = "no other host has such an address (RFC 1122, section 3.2.1.3; RFC 6890; RFC 4291, section 2.5): an \
     answer to it goes to many, to nobody or to ourselves";
const ECHO_CODE: &str = "an echo request has code 0 (RFC 792; RFC 4443, section 4.1); with another code it is none, and \
     scanners tell systems apart by what these are answered with";
const BOUND: &str = "eight extension headers and 512 bytes of them are walked: nothing real has more, and whoever walks \
     it all does a sender's bidding (RFC 9098; RFC 8504, section 5.3)";
const NO_JUMBO: &str = "jumbo payloads (RFC 2675) are an option that we don't know: we say so, pointing to it, and the \
     kernel what is wrong in its value; both refuse the packet";
const ROUTE_OF_OLD: &str = "routing type 0 is dropped whatever it says and its sender told: nobody has had a reason to \
     send it since RFC 5095, which would skip it where no segment is left";
const UNKNOWN_ROUTE: &str = "a routing type that we don't know is skipped where no segment is left, and told of where one \
     is (RFC 8200, section 4.4); the kernel knows these two (RFC 6554, RFC 8754), has them switched off and says nothing";
const SKIPPED_OPTION: &str = "an unknown option whose kind says so is skipped (RFC 8200, section 4.2); the kernel knows \
     this one, which is the business of routers and of labelled networks, and finds it empty or of a wrong length";
const NO_TCP: &str = "we don't speak TCP and say so (RFC 1122, section 3.2.2.1; RFC 8200, section 4), whatever stands in \
     the segment; the kernel does and finds that this is none";
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
        why: NO_STATION,
    },
    Reason {
        frames: &["Ethernet: * from the host itself", "Ethernet: * from another host"],
        kernel: "*, 10.77.0.1 to 10.77.0.2",
        ours: "*, 10.77.0.1 to 10.77.0.2 at *",
        why: WAY_BACK,
    },
    Reason {
        frames: &["Ethernet: an IPv6 * from the host itself", "Ethernet: an IPv6 * from another host"],
        kernel: "*, 2001:db8:77::1 to 2001:db8:77::2",
        ours: "*, 2001:db8:77::1 to 2001:db8:77::2 at *",
        why: WAY_BACK,
    },
    Reason {
        frames: &[
            "Ethernet: a datagram to *",
            "Ethernet: an echo request to *",
            "Ethernet: an IPv6 datagram to *",
            "Ethernet: an IPv6 echo request to *",
        ],
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
    Reason {
        frames: &[
            "ARP: request from the link's broadcast about the host",
            "ARP: request from class E about the host",
        ],
        kernel: "ARP reply: *",
        ours: "silence",
        why: NO_HOST,
    },
    // ---- IPv4 --------------------------------------------------------------------------
    Reason {
        frames: &[
            "IPv4: header length * words in place of 5*",
            "IPv4: * bytes of options, header length off by 1",
        ],
        kernel: "ICMP error 12/0 *",
        ours: "silence",
        why: MALFORMED_OPTIONS,
    },
    Reason {
        frames: &["IPv4 options: *"],
        kernel: "ICMP error 12/0 *",
        ours: "silence",
        why: MALFORMED_OPTIONS,
    },
    Reason {
        frames: &["IPv4 options: record route in an unreachable"],
        kernel: "ICMP error 3/3 *, with options",
        ours: "ICMP error 3/3 *",
        why: NO_OPTIONS,
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
        frames: &["IPv4: flags *1, offset 0"],
        kernel: "ICMP error 11/1 *",
        ours: "silence",
        why: "a fragment that others follow has a multiple of eight bytes (RFC 791, section 3.2); the kernel cuts this \
              one down to that and waits, we drop it at once",
    },
    Reason {
        frames: &["IPv4 fragments: one inside another", "IPv6 fragments: one inside another"],
        kernel: "UDP *",
        ours: "silence",
        why: "fragments that overlap take their datagram with them unless they are the same byte for byte (RFC 5722; \
              RFC 8200, section 4.5); the kernel drops one that lies inside another and goes on",
    },
    Reason {
        frames: &["IPv4: protocol 6 over a datagram"],
        kernel: "silence",
        ours: "ICMP error 3/2 *",
        why: NO_TCP,
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
        why: NO_HOST,
    },
    Reason {
        frames: &["IPv4 destination: a datagram to *"],
        kernel: "UDP *",
        ours: "silence",
        why: TO_GROUPS,
    },
    // ---- ICMP --------------------------------------------------------------------------
    Reason {
        frames: &["IPv4 ICMP: echo of code *"],
        kernel: "ICMP echo reply *",
        ours: "silence",
        why: ECHO_CODE,
    },
    Reason {
        frames: &["IPv4 ICMP: *", "IPv4 options: record route in a timestamp request"],
        kernel: "ICMP timestamp reply *",
        ours: "silence",
        why: "our clock is nobody's business, and a host need not answer (RFC 1122, section 3.2.2.8)",
    },
    // ---- IPv6 --------------------------------------------------------------------------
    Reason {
        frames: &["IPv6 ICMP: echo of code *"],
        kernel: "ICMPv6 echo reply *",
        ours: "silence",
        why: ECHO_CODE,
    },
    Reason {
        frames: &[
            "IPv6 source: * from unspecified",
            "IPv6 source: * from unspecified to *",
            "IPv6 source: * from v4-mapped*",
            "IPv6 * options: action 0 from unspecified",
        ],
        kernel: "*",
        ours: "silence",
        why: NO_HOST,
    },
    Reason {
        frames: &[
            "IPv6 destination: * group*",
            "IPv6 destination: * to all nodes of scope 2*",
            "IPv6 ICMP: echo to the solicited-node group",
            "IPv6 * options: action 0 to a group",
        ],
        kernel: "*",
        ours: "silence",
        why: TO_GROUPS,
    },
    Reason {
        frames: &["IPv6 * options: action 2 to a group"],
        kernel: "ICMPv6 error 4/2 *",
        ours: "silence",
        why: "no error about what was sent to a group, not even this one that RFC 4443, section 2.4(e.3) allows and \
              its section 5.2 warns of: all of the link would send it to a source that was forged",
    },
    Reason {
        frames: &["IPv6 UDP: length said to be 0, checksum over all bytes"],
        kernel: "UDP *",
        ours: "silence",
        why: "a length of zero means \"as long as the packet\" in a jumbogram only (RFC 2675, section 4), which this isn't",
    },
    Reason {
        frames: &["IPv6: next header 6 over a datagram"],
        kernel: "silence",
        ours: "ICMPv6 error 4/1 *",
        why: NO_TCP,
    },
    Reason {
        frames: &[
            "IPv6 * options: 1024 bytes in all*",
            "IPv6 chain: 9 of destination options*",
            "IPv6 chain: 1* of destination options*",
        ],
        kernel: "*",
        ours: "silence",
        why: BOUND,
    },
    Reason {
        frames: &[
            "IPv6 hop-by-hop: jumbo payload of * beside a length",
            "IPv6 hop-by-hop options: kind 0xc2",
        ],
        kernel: "ICMPv6 error 4/0 *",
        ours: "ICMPv6 error 4/2 value 42, *",
        why: NO_JUMBO,
    },
    Reason {
        frames: &["IPv6 hop-by-hop: jumbo payload of *"],
        kernel: "ICMPv6 error 4/0 *",
        ours: "silence",
        why: "a payload length of zero leaves no room for the header that would say that the packet is longer: it is cut \
              short, and what is behind it is no part of it",
    },
    Reason {
        frames: &[
            "IPv6 hop-by-hop: router alert of *",
            "IPv6 hop-by-hop options: kind 0x05",
            "IPv6 hop-by-hop options: kind 0x07",
            "IPv6 hop-by-hop options: kind 0x31",
        ],
        kernel: "silence",
        ours: "*, 2001:db8:77::1 to 2001:db8:77::2",
        why: SKIPPED_OPTION,
    },
    Reason {
        frames: &[
            "IPv6 routing: type 0, 0 left*",
            "IPv6 routing: type 0 without *",
            "IPv6 routing: type 0 back *, 0 left*",
        ],
        kernel: "*",
        ours: "ICMPv6 error 4/0 value 42, *",
        why: ROUTE_OF_OLD,
    },
    Reason {
        frames: &["IPv6 routing: type 3*", "IPv6 routing: type 4*"],
        kernel: "silence",
        ours: "*, 2001:db8:77::1 to 2001:db8:77::2",
        why: UNKNOWN_ROUTE,
    },
    Reason {
        frames: &[
            "IPv6 fragments: alone at *, more follow*",
            "IPv6 fragments: a first one alone*",
            "IPv6 fragments: not of *",
        ],
        kernel: "ICMPv6 error 4/0 value 4, *",
        ours: "silence",
        why: "a fragment that others follow and that has no multiple of eight bytes is dropped by both; no error of ours \
              is about a fragment but that it waited in vain (RFC 8200, section 4.5 has a \"should\")",
    },
    Reason {
        frames: &["IPv6 fragments: atomic twice*"],
        kernel: "ICMPv6 error 4/0 *",
        ours: "silence",
        why: "a fragment of a fragment is dropped by both; no sender makes one that could learn from an error",
    },
    Reason {
        frames: &["IPv4 large: a datagram to a closed port", "IPv6 large: a datagram to a closed port"],
        kernel: "ICMP* error *",
        ours: "silence",
        why: "no error of ours is about a packet that came in fragments but that one waited in vain: it would quote a \
              packet that its sender never sent as such",
    },
    Reason {
        frames: &["IPv6 ICMP: type 137 of * bytes behind *"],
        kernel: "ICMPv6 error *",
        ours: "silence",
        why: "no error is sent about a redirect (RFC 4443, section 2.4(e.2)), which the kernel forgets here",
    },
    // ---- neighbour discovery -----------------------------------------------------------
    Reason {
        frames: &["IPv6 ND: solicitation to the host*"],
        kernel: "advertisement of 2001:db8:77::1 flags S link [], *",
        ours: "advertisement of 2001:db8:77::1 flags SO link [02, 01, 02, 00, 00, 00, 00, 01], *",
        why: "the link address may be left out where the question came to one host, and need not be; with it the answer \
              overrides (RFC 4861, section 7.2.4)",
    },
    Reason {
        frames: &[
            "IPv6 ND: solicitation from the host about *",
            "IPv6 ND: solicitation from the host's link-local about *",
            "IPv6 ND: solicitation from v4-mapped about *",
        ],
        kernel: "advertisement of *",
        ours: "silence",
        why: NO_HOST,
    },
    Reason {
        frames: &[
            "IPv6 ND: solicitation with a group's link address",
            "IPv6 ND: solicitation with everybody's link address",
            "IPv6 ND: solicitation with no link address",
        ],
        kernel: "advertisement of *",
        ours: "silence",
        why: NO_STATION,
    },
];
