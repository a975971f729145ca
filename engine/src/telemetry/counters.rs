//! The counters of one queue. They explain every packet: see [`Balance`].

use std::ops::{AddAssign, Index};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a counter counts, and so on which side of the books it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Frames that the port took from its device. The left side of the receive books.
    Received,
    /// Received frames that ended well: with the service, or with the host itself.
    Handled,
    /// Received frames that ended here, with a reason.
    RxDrop,
    /// Frames that the host wanted to send. The left side of the transmit books.
    Emitted,
    /// Frames that the port took to send.
    Sent,
    /// Frames that the host wanted to send and dropped, with a reason.
    TxDrop,
    /// Not a packet's beginning or end: events along its way.
    Event,
}

macro_rules! counters {
    ($($variant:ident $name:literal $kind:ident $sentence:literal)*) => {
        /// One of the counters of a queue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Counter {
            $(#[doc = $sentence] $variant,)*
        }

        impl Counter {
            /// All counters, in the order of a packet's way through the engine.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in reports: lower case with underscores.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Which side of the books it stands on.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// What it counts, in a sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

counters! {
    Received "received" Received "Frames that the port took from its device."
    Reassembled "reassembled" Received "Packets that were put together of fragments, and are treated like received ones."
    FaultDuplicated "fault_duplicated" Received "Copies of received frames that the fault port added on purpose."

    FragmentJoined "fragment_joined" Handled "Fragments that became part of a packet, which counts as reassembled."
    Delivered "delivered" Handled "Datagrams that were handed to the service."
    ArpAnswered "arp_answered" Handled "ARP requests for an address of ours that the host answered."
    ArpLearned "arp_learned" Handled "ARP replies to a request of ours, taken into the neighbour table."
    ArpShared "arp_shared" Handled "ARP replies handed to the port's other lcores, one of which may have asked."
    NdpAnswered "ndp_answered" Handled "Neighbour solicitations for an address of ours that the host answered."
    NdpLearned "ndp_learned" Handled "Neighbour advertisements that answer a solicitation of ours, taken into the neighbour table."
    NdpShared "ndp_shared" Handled "Neighbour advertisements handed to the port's other lcores, one of which may have asked."
    ListenerQueried "listener_queried" Handled "Questions of a router or switch for the groups that we listen to (RFC 3810)."
    EchoAnswered "echo_answered" Handled "ICMP and ICMPv6 echo requests that the host answered."

    FaultLost "fault_lost" RxDrop "The fault port lost the frame on purpose."
    RxTruncated "rx_truncated" RxDrop "The frame was longer than a buffer of the port, so its end was missing."
    RxSuperFrame "rx_super_frame" RxDrop "The frame was several packets in one, left by a sending kernel for a device to cut (UDP_SEGMENT on this machine) or joined by the receiving kernel."
    RxSegmented "rx_segmented" RxDrop "The frame came in several segments that do not fit one buffer together."
    RxNoRoom "rx_no_room" RxDrop "All buffers of the port were in use."
    Runt "runt" RxDrop "The frame was shorter than the headers that it announces."
    NotOurMac "not_our_mac" RxDrop "The frame was for another station's MAC address."
    GroupMac "group_mac" RxDrop "A unicast IP packet came in a broadcast or multicast frame (RFC 1122, 3.3.6)."
    SourceMac "source_mac" RxDrop "The sender's MAC address was a group's or all zeros."
    EtherTypeUnknown "ether_type_unknown" RxDrop "The frame carried neither IPv4 nor IPv6 nor ARP."
    VlanNotOurs "vlan_not_ours" RxDrop "The frame had VLAN tags with which the port has no address, or tags that name no VLAN."
    ArpMalformed "arp_malformed" RxDrop "The ARP packet was not for IPv4 over Ethernet, its addresses contradict the frame's, or its sender's can't be another host's."
    ArpNotOurs "arp_not_ours" RxDrop "The ARP packet was about addresses that are not ours."
    ArpUnsolicited "arp_unsolicited" RxDrop "An ARP reply that we had not asked for."
    Ipv4Malformed "ipv4_malformed" RxDrop "The IPv4 header's version, lengths or options contradict each other or the frame."
    Ipv4SourceRoute "ipv4_source_route" RxDrop "The packet prescribed the hops that its answer would take (RFC 7126)."
    Ipv4Checksum "ipv4_checksum" RxDrop "The IPv4 header's checksum was wrong."
    Ipv6Malformed "ipv6_malformed" RxDrop "The IPv6 header's version or length contradicts the frame."
    Ipv6Extension "ipv6_extension" RxDrop "The extension headers were cut short, out of order, more than a host has reason to read, or demanded that they be dropped."
    Ipv6RoutingHeader "ipv6_routing_header" RxDrop "The packet had a routing header of type 0, or one that sends it on (RFC 5095)."
    AddressTentative "address_tentative" RxDrop "The packet was for an IPv6 address of which it is not known yet that nobody else has it, or known that somebody has."
    NdpMalformed "ndp_malformed" RxDrop "The message of neighbour discovery breaks its rules: hops, lengths, addresses or options (RFC 4861, 7.1)."
    NdpNotOurs "ndp_not_ours" RxDrop "The neighbour solicitation was for an address that is not ours."
    NdpUnsolicited "ndp_unsolicited" RxDrop "A neighbour advertisement that we had not asked for."
    NdpIgnored "ndp_ignored" RxDrop "A router's message or a redirect: router and prefix are set by hand."
    Fragment "fragment" RxDrop "The packet was a fragment of a datagram."
    NotOurIp "not_our_ip" RxDrop "The packet was for an IP address that is not ours."
    GroupIp "group_ip" RxDrop "The packet was for a broadcast or multicast address, which is never answered."
    SourceIp "source_ip" RxDrop "The source address can't be another host's: zero, loopback, broadcast, multicast, class E, IPv4 in IPv6, or our own."
    ProtocolUnknown "protocol_unknown" RxDrop "The packet carried neither UDP nor its version's ICMP."
    IcmpMalformed "icmp_malformed" RxDrop "The ICMP or ICMPv6 message was cut short or its checksum was wrong."
    IcmpOther "icmp_other" RxDrop "An ICMP or ICMPv6 message that is no echo request."
    UdpMalformed "udp_malformed" RxDrop "The UDP length contradicts the IP packet's."
    UdpChecksum "udp_checksum" RxDrop "The UDP checksum was wrong, or missing over IPv6, where it must be."
    UdpPortClosed "udp_port_closed" RxDrop "No service listens on the UDP port."
    SourcePort "source_port" RxDrop "The UDP source port was 0, to which nobody can reply."
    ReflectorPort "reflector_port" RxDrop "The datagram came from the port of a service that answers everything, or from our own: answering it could be the begin of a loop (guard source-port)."
    SourceRate "source_rate" RxDrop "The source sent more than its share (guard rate)."
    GlobalRate "global_rate" RxDrop "All sources together sent more than the lcore is to take (guard global-rate)."
    FragmentMalformed "fragment_malformed" RxDrop "The fragment was empty, no multiple of 8 bytes, too short for the first, beyond 65,535 bytes, or contradicts the others about the end."
    FragmentDuplicate "fragment_duplicate" RxDrop "The fragment was held already."
    FragmentOverlap "fragment_overlap" RxDrop "The fragment overlapped another of its datagram, which went with it (RFC 5722)."
    FragmentTooMany "fragment_too_many" RxDrop "The datagram came in too many fragments, or had been dropped before."
    FragmentEvicted "fragment_evicted" RxDrop "The fragment had to give way to those of a newer datagram."
    FragmentTimeout "fragment_timeout" RxDrop "The rest of the fragment's datagram did not come in time."
    Stopping "stopping" RxDrop "The frame was still in the receive ring when the program stopped."

    Replied "replied" Emitted "Datagrams that the service answered in place."
    Forwarded "forwarded" Emitted "Datagrams that the service forwarded out of this port."
    Originated "originated" Emitted "Datagrams that the service put into its outbox, to leave by this port."
    HostReplied "host_replied" Emitted "ARP, neighbour discovery and echo answers of the host."
    IcmpErrorSent "icmp_error_sent" Emitted "ICMP errors of the host about packets that nobody here takes."
    FragmentsAdded "fragments_added" Emitted "Frames beyond the first that a packet longer than the MTU was cut into."
    ArpRequested "arp_requested" Emitted "ARP requests and announcements of the host."
    NdpSolicited "ndp_solicited" Emitted "Neighbour solicitations of the host."
    NdpAnnounced "ndp_announced" Emitted "Unasked neighbour advertisements of the host: its addresses, made known."
    ListenerReported "listener_reported" Emitted "Reports of the host that it listens to the group of an IPv6 address of ours (RFC 3810)."

    Sent "sent" Sent "Frames that the port took to send."
    SentLate "sent_late" Event "Datagrams that waited for a neighbour's address and were then handed to the port."

    TxFull "tx_full" TxDrop "The port took no more frames: its ring was full, or its link down."
    TxRejected "tx_rejected" TxDrop "The port took the frame and its device refused it, or the kernel refused the datagram."
    TxOversize "tx_oversize" TxDrop "The datagram was longer than the port's MTU, or than the kernel sends."
    TxAmplification "tx_amplification" TxDrop "The receiver has not shown that it is there, and had been sent as much as it may be (guard amplification)."
    TxNoRoute "tx_no_route" TxDrop "The destination was off-link and there is no gateway, or its address family or source is not one of the port."
    TxNeighbourQueueFull "tx_neighbour_queue_full" TxDrop "Too many datagrams were waiting for a neighbour's address."
    TxUnreachable "tx_unreachable" TxDrop "The neighbour did not answer ARP or neighbour solicitations, or the kernel said so."
    TxNoBuffer "tx_no_buffer" TxDrop "The port had no buffer left for the frame."
    TxStopping "tx_stopping" TxDrop "The datagram was still waiting for a neighbour when the program stopped."

    ServiceDropped "service_dropped" Event "Datagrams that the service did not answer."
    ForwardedAway "forwarded_away" Event "Datagrams that the service forwarded to another port of the same worker."
    ForwardNoPort "forward_no_port" Event "Datagrams forwarded to a port that this worker does not serve; they were dropped."
    FragmentHeld "fragment_held" Event "Fragments that were kept until the others of their packet come, or do not."
    ForwardNoRoom "forward_no_room" Event "Datagrams put together of fragments that fit no buffer to be forwarded in; they were dropped."
    RxLinearised "rx_linearised" Event "Frames that came in several segments and were joined into one."
    RxCopied "rx_copied" Event "Frames that had other references and were copied before use."
    RxJoined "rx_joined" Event "Times that the kernel handed over several datagrams as one (UDP GRO), which were split again."
    TxShared "tx_shared" Event "Datagrams that were sent with a payload that others share, which was not copied."
    TxCopied "tx_copied" Event "Datagrams with a shared payload that was copied for them."
    TxJoined "tx_joined" Event "Runs of datagrams that the kernel was handed as one, to be cut (UDP GSO)."
    ChecksumUnfilled "checksum_unfilled" Event "Datagrams of this machine's own kernel whose transmit checksum was left unfilled."
    IcmpErrorLimited "icmp_error_limited" Event "ICMP errors that were not sent because there had been too many."
    DuplicateAddress "duplicate_address" Event "IPv6 addresses of ours that another host turned out to have; they are not used."
    AddressConflict "address_conflict" Event "Messages of other hosts that claim an address of ours."
    RxNoBuffer "rx_no_buffer" Event "Times that a received frame could not be copied because the pool was empty."
    RxMissed "rx_missed" Event "Datagrams, joined ones as one, that the kernel dropped before they were received: the socket's buffer was full, or their checksum wrong."
    SocketError "socket_error" Event "Times that a socket reported an error instead of datagrams."
    NeighbourTableFull "neighbour_table_full" Event "Times that the neighbour table had no free place."
    CaptureMissed "capture_missed" Event "Frames that --capture asked for and that were not written down: no buffer was free."
    FaultReordered "fault_reordered" Event "Frames that the fault port reordered on purpose."
    FaultTruncated "fault_truncated" Event "Frames that the fault port cut short on purpose."
    FaultShortTx "fault_short_tx" Event "Bursts of which the fault port took only a part on purpose."
    Polls "polls" Event "Times that the queue was polled."
    EmptyPolls "empty_polls" Event "Polls that found no frame."
}

const COUNT: usize = Counter::ALL.len();

/// The counters of one queue: relaxed atomic words with one writer, on cache lines of
/// their own. Readers never stop the writer and may see a moment's half.
#[derive(Debug)]
#[repr(align(64))]
pub struct Counters([AtomicU64; COUNT]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; COUNT])
    }
}

impl Counters {
    /// Adds `count`. Only the lcore that owns the queue may call this: it is no atomic
    /// addition, so that it costs no locked instruction.
    #[inline]
    pub fn add(&self, counter: Counter, count: u64) {
        let word = &self.0[counter as usize];
        word.store(word.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The present values.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(std::array::from_fn(|index| self.0[index].load(Relaxed)))
    }
}

/// The values of a queue's counters at one moment, or sums of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot([u64; COUNT]);

impl Default for Snapshot {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

impl Snapshot {
    /// Sum over the counters of one kind.
    pub fn total(&self, kind: Kind) -> u64 {
        Counter::ALL.iter().filter(|counter| counter.kind() == kind).map(|&counter| self[counter]).sum()
    }

    /// The counters that are not zero, in the order of [`Counter::ALL`].
    pub fn non_zero(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|&counter| (counter, self[counter])).filter(|&(_, value)| value != 0)
    }

    /// Do the books balance?
    pub fn balance(&self) -> Balance {
        let received = self.total(Kind::Received);
        let emitted = self.total(Kind::Emitted);
        Balance {
            rx_unexplained: difference(received, self.total(Kind::Handled) + self.total(Kind::RxDrop)),
            tx_unexplained: difference(emitted, self.total(Kind::Sent) + self.total(Kind::TxDrop)),
        }
    }
}

fn difference(left: u64, right: u64) -> i64 {
    left.wrapping_sub(right).cast_signed()
}

impl Index<Counter> for Snapshot {
    type Output = u64;

    fn index(&self, counter: Counter) -> &u64 {
        &self.0[counter as usize]
    }
}

impl AddAssign<&Self> for Snapshot {
    fn add_assign(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, value)| *sum += value);
    }
}

/// What the counters leave unexplained: zero and zero when a stopped engine's books are right.
///
/// Receiving: `received = delivered + answered by the host + each named drop`.
/// Sending: `replied + forwarded + originated + the host's own = sent + each named drop`.
/// While the engine runs, what it holds at the moment (the neighbour queue) is in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Balance {
    /// Received frames that no counter explains; negative if they are explained twice.
    pub rx_unexplained: i64,
    /// Frames to be sent that no counter explains; negative if they are explained twice.
    pub tx_unexplained: i64,
}

impl Balance {
    /// Whether everything is explained.
    pub fn is_exact(self) -> bool {
        self.rx_unexplained == 0 && self.tx_unexplained == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_plain() {
        let names: HashSet<_> = Counter::ALL.iter().map(|counter| counter.name()).collect();
        assert_eq!(names.len(), COUNT);
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        );
        assert!(Counter::ALL.iter().enumerate().all(|(index, &counter)| counter as usize == index));
    }

    #[test]
    fn the_books_show_what_is_missing_and_what_is_double() {
        let counters = Counters::default();
        counters.add(Counter::Received, 10);
        counters.add(Counter::Delivered, 7);
        counters.add(Counter::NotOurIp, 2);
        counters.add(Counter::Replied, 7);
        counters.add(Counter::Sent, 8);
        let balance = counters.snapshot().balance();
        assert_eq!(balance, Balance { rx_unexplained: 1, tx_unexplained: -1 });
        counters.add(Counter::Runt, 1);
        counters.add(Counter::HostReplied, 1);
        assert!(counters.snapshot().balance().is_exact());
    }
}
