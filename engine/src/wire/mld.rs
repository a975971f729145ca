//! Multicast Listener Discovery: which groups a station listens to (version 2, RFC 3810;
//! version 1, RFC 2710). A switch that reads along passes a group's frames on only to where
//! somebody said that it listens.
//!
//! What needs the IP header (a link-local source, hop limit 1) and the checksum are the
//! caller's to check.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::icmpv6::Kind;
use super::protocol::Protocol;

/// The hop limit of every message: it stays on its link.
pub const HOP_LIMIT: u8 = 1;
/// Length in bytes of a query of version 1, and where what version 2 added begins.
pub const QUERY_LEN: usize = 24;
/// Length in bytes of the longest [`Report`].
pub const MAX_REPORT_LEN: usize = 28;
/// The hop-by-hop header in front of every message, with which routers look at it although
/// it is not for them: the router alert and two bytes of padding (RFC 2711).
pub const ALERT: [u8; 8] = [Protocol::ICMPV6.0, 0, ROUTER_ALERT, 2, 0, 0, PADN, 0];

/// Who hears reports of version 2 (RFC 3810, section 5.2.14).
const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const ROUTER_ALERT: u8 = 5;
const PAD1: u8 = 0;
const PADN: u8 = 1;

/// Which version of the protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 2710.
    One,
    /// RFC 3810.
    Two,
}

/// A router or a switch asks who listens (RFC 3810, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// What it is to be answered in: who asks in version 1 may know no other.
    pub version: Version,
    /// Answers are to come at any moment up to this long from now, not all at once.
    pub max_response_delay: Duration,
    /// The group that is asked about; `None` for all of them.
    pub group: Option<Ipv6Addr>,
}

impl Query {
    /// Reads a message. The sources that version 2 may ask about are not looked at: who
    /// listens to all of a group's senders listens to those too.
    ///
    /// `None` if it is another message, shorter than [`QUERY_LEN`] or of a length that is no
    /// version's, or about what is no group.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (header, rest) = message.split_first_chunk::<QUERY_LEN>()?;
        let [kind, _, _, _, high, low, _, _, group @ ..] = *header;
        let code = u16::from_be_bytes([high, low]);
        let (version, millis) = match rest {
            [] => (Version::One, u64::from(code)),
            [_, _, _, _, ..] => (Version::Two, millis(code)),
            _ => return None,
        };
        let group = Some(Ipv6Addr::from(group)).filter(|group| !group.is_unspecified());
        let is_query = Kind(kind) == Kind::LISTENER_QUERY && group.is_none_or(|group| group.is_multicast());
        is_query.then_some(Self { version, max_response_delay: Duration::from_millis(millis), group })
    }
}

/// The milliseconds of a maximum response code: a number, or from 32,768 a short floating
/// point one (RFC 3810, section 5.1.3).
fn millis(code: u16) -> u64 {
    if code & 0x8000 == 0 {
        return code.into();
    }
    let (mantissa, exponent) = (u64::from(code & 0x0fff), code >> 12 & 7);
    (mantissa | 0x1000) << (exponent + 3)
}

/// Whether a hop-by-hop header, of which the options have been walked, holds the router alert
/// for these messages (RFC 2711, section 2.1).
pub fn has_alert(hop_by_hop: &[u8]) -> bool {
    let mut options = hop_by_hop.get(2..).unwrap_or_default();
    loop {
        options = match *options {
            [ROUTER_ALERT, 2, 0, 0, ..] => return true,
            [PAD1, ref rest @ ..] => rest,
            [_, len, ref rest @ ..] => rest.get(usize::from(len)..).unwrap_or_default(),
            _ => return false,
        };
    }
}

/// We listen to a group, whoever sends to it (RFC 3810, section 5.2; RFC 2710, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What to say it in.
    pub version: Version,
    /// The group.
    pub group: Ipv6Addr,
    /// It is new that we do; otherwise it answers a query. Version 1 makes no difference.
    pub is_new: bool,
}

impl Report {
    /// Whom it goes to.
    pub fn destination(&self) -> Ipv6Addr {
        match self.version {
            Version::One => self.group,
            Version::Two => ROUTERS,
        }
    }

    /// Writes the message, its checksum zero, to the front of `into`, and gives its length in
    /// bytes: 24 or 28.
    pub fn write(&self, into: &mut [u8; MAX_REPORT_LEN]) -> usize {
        const ONE_RECORD: [u8; 2] = [0, 1];
        const MODE_IS_EXCLUDE: u8 = 2;
        const CHANGE_TO_EXCLUDE: u8 = 4;
        into.fill(0);
        let (kind, at) = match self.version {
            Version::One => (Kind::LISTENER_REPORT_V1, 8),
            Version::Two => (Kind::LISTENER_REPORT, 12),
        };
        into[0] = kind.0;
        if self.version == Version::Two {
            into[6..8].copy_from_slice(&ONE_RECORD);
            into[8] = if self.is_new { CHANGE_TO_EXCLUDE } else { MODE_IS_EXCLUDE };
        }
        into[at..at + 16].copy_from_slice(&self.group.octets());
        at + 16
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        Icmpv6Packet, Icmpv6Repr, MldAddressRecord, MldAddressRecordRepr, MldRecordType, MldRepr,
    };

    use super::*;

    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x0b0c);

    /// What smoltcp makes of it, its checksum zero.
    fn smoltcp_message(repr: MldRepr<'_>) -> Vec<u8> {
        let repr = Icmpv6Repr::Mld(repr);
        let mut bytes = vec![0; repr.buffer_len()];
        let packet = &mut Icmpv6Packet::new_unchecked(&mut bytes);
        repr.emit(&GROUP, &GROUP, packet, &ChecksumCapabilities::ignored());
        bytes
    }

    fn smoltcp_query(max_resp_code: u16, mcast_addr: Ipv6Addr) -> Vec<u8> {
        let (s_flag, qrv, qqic, num_srcs) = (false, 2, 125, 0);
        smoltcp_message(MldRepr::Query { max_resp_code, mcast_addr, s_flag, qrv, qqic, num_srcs, data: &[] })
    }

    #[test]
    fn queries_of_both_versions_read() {
        let message = smoltcp_query(10_000, GROUP);
        let query =
            Query { version: Version::Two, max_response_delay: Duration::from_secs(10), group: Some(GROUP) };
        assert_eq!(Query::parse(&message), Some(query));
        assert_eq!(Query::parse(&message[..24]), Some(Query { version: Version::One, ..query }));
        let general = Query::parse(&smoltcp_query(1, Ipv6Addr::UNSPECIFIED)).expect("a query");
        assert_eq!((general.group, general.max_response_delay), (None, Duration::from_millis(1)));
    }

    #[test]
    fn broken_queries_are_none() {
        let good = smoltcp_query(10_000, GROUP);
        for len in (0..24).chain(25..28) {
            assert_eq!(Query::parse(&good[..len]), None, "{len} bytes");
        }
        assert_eq!(Query::parse(&smoltcp_query(1, Ipv6Addr::LOCALHOST)), None, "about what is no group");
        let mut other = good;
        other[0] = Kind::LISTENER_REPORT.0;
        assert_eq!(Query::parse(&other), None);
    }

    #[test]
    fn long_delays_are_floating_point_numbers() {
        assert_eq!((millis(0), millis(0x7fff)), (0, 32_767));
        assert_eq!((millis(0x8000), millis(0x8001)), (0x8000, 0x8008));
        assert_eq!(millis(0xffff), 0x1fff << 10);
    }

    #[test]
    fn smoltcp_reads_our_reports() {
        for (is_new, record_type) in
            [(true, MldRecordType::ChangeToExclude), (false, MldRecordType::ModeIsExclude)]
        {
            let mut ours = [0xff; MAX_REPORT_LEN];
            assert_eq!(Report { version: Version::Two, group: GROUP, is_new }.write(&mut ours), 28);
            let packet = Icmpv6Packet::new_checked(&ours[..]).expect("long enough");
            let Ok(MldRepr::Report { nr_mcast_addr_rcrds: 1, data }) = MldRepr::parse(&packet) else {
                panic!("{ours:02x?}")
            };
            let record = MldAddressRecord::new_checked(data).expect("long enough");
            let expected = MldAddressRecordRepr::new(record_type, GROUP);
            assert_eq!(MldAddressRecordRepr::parse(&record), Ok(expected));
        }
    }

    #[test]
    fn a_report_of_version_1_goes_to_its_group() {
        let report = Report { version: Version::One, group: GROUP, is_new: true };
        let mut message = [0xff; MAX_REPORT_LEN];
        assert_eq!(report.write(&mut message), 24);
        assert_eq!(message[..24], [&[131, 0, 0, 0, 0, 0, 0, 0][..], &GROUP.octets()].concat());
        assert_eq!(report.destination(), GROUP);
    }

    #[test]
    fn the_alert_is_found_among_other_options() {
        assert!(has_alert(&ALERT));
        assert!(has_alert(&[58, 0, 0, 1, 0, 5, 2, 0, 0]));
        for without in [&[58, 0, 1, 4, 0, 0, 0, 0][..], &[58, 0, 5, 2, 0, 1, 1, 0], &[58, 0, 1, 9, 5, 2], &[]]
        {
            assert!(!has_alert(without), "{without:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Query::parse(&bytes), has_alert(&bytes));
        }
    }
}
