//! The classic capture file: a header, then records of a header and a frame each
//! (libpcap's `pcap-savefile(5)`; draft-ietf-opsawg-pcap).

use crate::time::Time;

/// Length of the file's header in bytes.
pub(super) const FILE_HEADER_LEN: usize = 24;
/// Length of a record's header in bytes.
pub(super) const RECORD_HEADER_LEN: usize = 16;
/// The longest frame that a record may have, in bytes: libpcap's own bound (`MAXIMUM_SNAPLEN`).
pub(super) const MAX_RECORD_LEN: usize = 256 << 10;

/// First four bytes of a pcapng file: its section header's block type, the same in both
/// byte orders.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const MICROSECOND_MAGIC: u32 = 0xa1b2_c3d4;
const NANOSECOND_MAGIC: u32 = 0xa1b2_3c4d;
/// Frames start with an Ethernet header.
const LINKTYPE_ETHERNET: u32 = 1;

/// What is wrong with a file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The file is a pcapng.
    #[error(
        "it is a pcapng file, and only classic pcap is replayed: convert it with 'editcap -F pcap IN OUT'"
    )]
    PcapNg,
    /// The file is something else.
    #[error(
        "it starts with {0:02x?}, which is no pcap file: write one with 'tcpdump -w' or 'editcap -F pcap'"
    )]
    Magic([u8; 4]),
    /// The file's format version is not 2.
    #[error("its pcap version is {major}.{minor}, not 2.4: convert it with 'editcap -F pcap IN OUT'")]
    Version {
        /// As it stands in the file.
        major: u16,
        /// As it stands in the file.
        minor: u16,
    },
    /// The frames are not plain Ethernet frames.
    #[error("its link type is {0:#x}, not Ethernet (1): capture on one Ethernet interface, not on 'any'")]
    LinkType(u32),
}

/// How a file's integers and timestamps are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    big_endian: bool,
    nanoseconds: bool,
}

impl Layout {
    /// Reads a file's header.
    pub(super) fn parse(header: &[u8; FILE_HEADER_LEN]) -> Result<Self, HeaderError> {
        let [a, b, c, d, major_0, major_1, minor_0, minor_1, .., l0, l1, l2, l3] = *header;
        let magic = [a, b, c, d];
        let layout = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (MICROSECOND_MAGIC, _) => Self { big_endian: false, nanoseconds: false },
            (NANOSECOND_MAGIC, _) => Self { big_endian: false, nanoseconds: true },
            (_, MICROSECOND_MAGIC) => Self { big_endian: true, nanoseconds: false },
            (_, NANOSECOND_MAGIC) => Self { big_endian: true, nanoseconds: true },
            _ if magic == PCAPNG_MAGIC => return Err(HeaderError::PcapNg),
            _ => return Err(HeaderError::Magic(magic)),
        };
        let (major, minor) = (layout.u16([major_0, major_1]), layout.u16([minor_0, minor_1]));
        if major != 2 {
            return Err(HeaderError::Version { major, minor });
        }
        match layout.u32([l0, l1, l2, l3]) {
            LINKTYPE_ETHERNET => Ok(layout),
            // Bits above the type say that a frame check sequence follows each frame.
            other => Err(HeaderError::LinkType(other)),
        }
    }

    /// Reads a record's header. `None` if its frame is longer than any can be.
    pub(super) fn record(self, header: &[u8; RECORD_HEADER_LEN]) -> Option<Record> {
        let (words, _) = header.as_chunks();
        let [seconds, fraction, len, original_len] = [0, 1, 2, 3].map(|word| self.u32(words[word]));
        let len = usize::try_from(len).ok().filter(|&len| len <= MAX_RECORD_LEN)?;
        let nanoseconds = if self.nanoseconds { fraction } else { fraction.saturating_mul(1000) };
        Some(Record {
            timestamp: Timestamp { seconds, nanoseconds: nanoseconds.min(999_999_999) },
            len,
            is_cut: usize::try_from(original_len).is_ok_and(|original| len < original),
        })
    }

    fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) timestamp: Timestamp,
    /// Bytes of the frame that follow in the file.
    pub(super) len: usize,
    /// The frame was longer on the wire.
    pub(super) is_cut: bool,
}

/// When a frame was captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Timestamp {
    /// Since 1970.
    pub(super) seconds: u32,
    /// Below 1,000,000,000.
    pub(super) nanoseconds: u32,
}

impl Timestamp {
    /// As if the clock had started with 1970.
    pub(super) fn at(time: Time) -> Self {
        let (seconds, nanoseconds) = (time.as_nanos() / 1_000_000_000, time.as_nanos() % 1_000_000_000);
        Self { seconds: u32::try_from(seconds).unwrap_or(u32::MAX), nanoseconds: nanoseconds as u32 }
    }
}

/// The header of the files that are recorded: little-endian, nanoseconds, Ethernet.
pub(super) fn file_header() -> [u8; FILE_HEADER_LEN] {
    let mut header = [0; FILE_HEADER_LEN];
    header[0..4].copy_from_slice(&NANOSECOND_MAGIC.to_le_bytes());
    header[4..6].copy_from_slice(&2_u16.to_le_bytes());
    header[6..8].copy_from_slice(&4_u16.to_le_bytes());
    header[16..20].copy_from_slice(&(MAX_RECORD_LEN as u32).to_le_bytes());
    header[20..24].copy_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
    header
}

/// The header of a recorded frame of `len` bytes.
pub(super) fn record_header(timestamp: Timestamp, len: usize) -> [u8; RECORD_HEADER_LEN] {
    // A frame is at most a buffer long, far from 4 GiB.
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    let words = [timestamp.seconds, timestamp.nanoseconds, len, len].map(u32::to_le_bytes);
    let mut header = [0; RECORD_HEADER_LEN];
    header.iter_mut().zip(words.as_flattened()).for_each(|(into, byte)| *into = *byte);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(magic: [u8; 4]) -> [u8; FILE_HEADER_LEN] {
        let mut header = file_header();
        header[..4].copy_from_slice(&magic);
        header
    }

    #[test]
    fn what_is_written_reads_back() {
        let layout = Layout::parse(&file_header()).expect("valid");
        assert_eq!(layout, Layout { big_endian: false, nanoseconds: true });
        let timestamp = Timestamp { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
        let record = layout.record(&record_header(timestamp, 60));
        assert_eq!(record, Some(Record { timestamp, len: 60, is_cut: false }));
    }

    #[test]
    fn a_big_endian_microsecond_file_reads() {
        let bytes =
            [0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1];
        let layout = Layout::parse(&bytes).expect("valid");
        let record = layout.record(&[0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 64, 0, 0, 5, 0xdc]);
        let timestamp = Timestamp { seconds: 7, nanoseconds: 9000 };
        assert_eq!(record, Some(Record { timestamp, len: 64, is_cut: true }));
    }

    #[test]
    fn other_files_are_named() {
        assert_eq!(Layout::parse(&header(PCAPNG_MAGIC)), Err(HeaderError::PcapNg));
        assert!(HeaderError::PcapNg.to_string().contains("editcap -F pcap"));
        let gzip = [0x1f, 0x8b, 8, 0];
        assert_eq!(Layout::parse(&header(gzip)), Err(HeaderError::Magic(gzip)));
        let mut version = file_header();
        version[4] = 3;
        assert_eq!(Layout::parse(&version), Err(HeaderError::Version { major: 3, minor: 4 }));
        let mut cooked = file_header();
        cooked[20] = 113;
        assert_eq!(Layout::parse(&cooked), Err(HeaderError::LinkType(113)));
    }

    #[test]
    fn impossible_records_are_refused_and_odd_times_bounded() {
        let layout = Layout::parse(&file_header()).expect("valid");
        assert!(layout.record(&record_header(Timestamp::default(), MAX_RECORD_LEN)).is_some());
        assert!(layout.record(&record_header(Timestamp::default(), MAX_RECORD_LEN + 1)).is_none());
        assert!(layout.record(&[0xff; RECORD_HEADER_LEN]).is_none());
        let odd = Timestamp { seconds: 1, nanoseconds: u32::MAX };
        let record = layout.record(&record_header(odd, 0)).expect("valid");
        assert_eq!(record.timestamp.nanoseconds, 999_999_999);
    }
}
