//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian.

use crate::wire::ethernet::MacAddress;

/// The longest part of a frame that a block holds, in bytes.
pub(crate) const SNAP_LEN: usize = 64 << 10;

/// Section 4.1; the same in both byte orders.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
/// Section 4.2.
const INTERFACE_DESCRIPTION: u32 = 1;
/// Section 4.3.
const ENHANCED_PACKET: u32 = 6;
/// Tells a reader the byte order.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Frames start with an Ethernet header.
const LINKTYPE_ETHERNET: u16 = 1;
/// A block's type and its length, which stands at its end again.
const FRAMING_LEN: usize = 12;
/// Interface, time, and both lengths of an enhanced packet.
const PACKET_HEADER_LEN: usize = 20;

/// Codes of options: section 3.5, and those of each block.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const USER_APPLICATION: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const INTERFACE_DESCRIPTION: u16 = 3;
    pub(super) const INTERFACE_MAC: u16 = 6;
    pub(super) const TIME_RESOLUTION: u16 = 9;
    pub(super) const PACKET_FLAGS: u16 = 2;
    /// A code and a length.
    pub(super) const HEADER_LEN: usize = 4;
}

/// Which way a frame went (section 4.3.1, `epb_flags`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// We received it.
    Inbound,
    /// We sent it.
    Outbound,
}

impl Direction {
    fn flags(self) -> u32 {
        match self {
            Self::Inbound => 1,
            Self::Outbound => 2,
        }
    }
}

/// The block that a file starts with: who wrote it. Its section's length is left open.
pub(crate) fn section_header(application: &str) -> Vec<u8> {
    let mut block = Vec::new();
    write_block(&mut block, SECTION_HEADER, |body| {
        body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend((-1_i64).to_le_bytes());
        write_option(body, option::USER_APPLICATION, application.as_bytes());
        write_option(body, option::END, &[]);
    });
    block
}

/// The block that describes an Ethernet interface. The first one of a file is interface 0.
pub(crate) fn interface(name: &str, description: &str, mac: MacAddress) -> Vec<u8> {
    let mut block = Vec::new();
    write_block(&mut block, INTERFACE_DESCRIPTION, |body| {
        body.extend(LINKTYPE_ETHERNET.to_le_bytes());
        body.extend([0, 0]);
        body.extend((SNAP_LEN as u32).to_le_bytes());
        write_option(body, option::INTERFACE_NAME, name.as_bytes());
        write_option(body, option::INTERFACE_DESCRIPTION, description.as_bytes());
        write_option(body, option::INTERFACE_MAC, &mac.0);
        // Nanoseconds: ten to the power of minus nine.
        write_option(body, option::TIME_RESOLUTION, &[9]);
        write_option(body, option::END, &[]);
    });
    block
}

/// A frame and what is said of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    /// Whose frame it is.
    pub(crate) interface: u32,
    /// When, in nanoseconds since 1970.
    pub(crate) nanos: u64,
    /// Which way it went.
    pub(crate) direction: Direction,
    /// A line for people.
    pub(crate) comment: &'a str,
    /// From the Ethernet destination on, without a frame check sequence.
    pub(crate) frame: &'a [u8],
}

impl Packet<'_> {
    /// Length of its block in bytes.
    pub(crate) fn block_len(&self) -> usize {
        let options = [self.comment.len(), size_of::<u32>(), 0].map(|len| option::HEADER_LEN + padded(len));
        let frame = padded(self.frame.len().min(SNAP_LEN));
        FRAMING_LEN + PACKET_HEADER_LEN + frame + options.iter().sum::<usize>()
    }

    /// Appends its block: [`block_len`](Self::block_len) bytes.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        let captured = self.frame.get(..SNAP_LEN).unwrap_or(self.frame);
        // A frame is at most a buffer long, far from 4 GiB.
        let original_len = u32::try_from(self.frame.len()).unwrap_or(u32::MAX);
        let header = [
            self.interface,
            (self.nanos >> 32) as u32,
            self.nanos as u32,
            captured.len() as u32,
            original_len,
        ];
        write_block(into, ENHANCED_PACKET, |body| {
            header.iter().for_each(|word| body.extend(word.to_le_bytes()));
            write_padded(body, captured);
            write_option(body, option::COMMENT, self.comment.as_bytes());
            write_option(body, option::PACKET_FLAGS, &self.direction.flags().to_le_bytes());
            write_option(body, option::END, &[]);
        });
    }
}

/// Appends a block with its type in front and its length at both ends (section 3.1).
fn write_block(into: &mut Vec<u8>, block_type: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = into.len();
    into.extend(block_type.to_le_bytes());
    into.extend([0; 4]);
    body(into);
    let len = ((into.len() - start + size_of::<u32>()) as u32).to_le_bytes();
    into.extend(len);
    into[start + 4..start + 8].copy_from_slice(&len);
}

/// Appends an option (section 3.5). What is longer than an option can be is cut.
fn write_option(into: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    into.extend(code.to_le_bytes());
    into.extend((value.len() as u16).to_le_bytes());
    write_padded(into, value);
}

/// Appends bytes and zeros up to the next multiple of four.
fn write_padded(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(bytes);
    into.resize(into.len() + padded(bytes.len()) - bytes.len(), 0);
}

const fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// A packet block as a reader sees it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct Read {
        pub(crate) interface: u32,
        pub(crate) nanos: u64,
        pub(crate) flags: u32,
        pub(crate) comment: String,
        pub(crate) original_len: usize,
        pub(crate) frame: Vec<u8>,
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    }

    /// Reads packet blocks one behind the other.
    pub(crate) fn read_packets(mut bytes: &[u8]) -> Vec<Read> {
        let mut packets = Vec::new();
        while !bytes.is_empty() {
            let len = word(bytes, 4) as usize;
            assert_eq!((word(bytes, 0), word(bytes, len - 4) as usize, len % 4), (6, len, 0));
            packets.push(read_packet(&bytes[8..len - 4]));
            bytes = &bytes[len..];
        }
        packets
    }

    fn read_packet(body: &[u8]) -> Read {
        let captured = word(body, 12) as usize;
        let mut options = &body[20 + padded(captured)..];
        let (mut flags, mut comment) = (0, String::new());
        while options[..4] != [0; 4] {
            let (code, len) = (options[0], usize::from(options[2]));
            match code {
                1 => comment = String::from_utf8(options[4..4 + len].to_vec()).expect("text"),
                2 => flags = word(options, 4),
                _ => panic!("option {code}"),
            }
            options = &options[4 + padded(len)..];
        }
        assert_eq!(options.len(), 4, "the end of the options is the block's");
        Read {
            interface: word(body, 0),
            nanos: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
            flags,
            comment,
            original_len: word(body, 16) as usize,
            frame: body[20..20 + captured].to_vec(),
        }
    }

    fn packet(frame: &[u8]) -> Packet<'_> {
        Packet {
            interface: 1,
            nanos: 0x1122_3344_5566_7788,
            direction: Direction::Inbound,
            comment: "runt",
            frame,
        }
    }

    fn block(packet: &Packet<'_>) -> Vec<u8> {
        let mut block = Vec::new();
        packet.write(&mut block);
        assert_eq!(block.len(), packet.block_len());
        block
    }

    #[test]
    fn a_section_header_is_these_bytes() {
        let expected = [
            &[0x0a, 0x0d, 0x0d, 0x0a, 44, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
            &[0xff; 8],
            &[4, 0, 6, 0, b'g', b'a', b'n', b'n', b'e', b't', 0, 0, 0, 0, 0, 0],
            &[44, 0, 0, 0],
        ];
        assert_eq!(section_header("gannet"), expected.concat());
    }

    #[test]
    fn an_interface_is_these_bytes() {
        let expected = [
            &[1, 0, 0, 0, 64, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0][..],
            &[2, 0, 5, 0, b'v', b'e', b't', b'h', b'0', 0, 0, 0],
            &[3, 0, 3, 0, b'p', b'm', b'd', 0],
            &[6, 0, 6, 0, 2, 0, 0, 0, 0, 7, 0, 0],
            &[9, 0, 1, 0, 9, 0, 0, 0],
            &[0; 4],
            &[64, 0, 0, 0],
        ];
        assert_eq!(interface("veth0", "pmd", MacAddress([2, 0, 0, 0, 0, 7])), expected.concat());
    }

    #[test]
    fn a_packet_is_these_bytes() {
        let expected = [
            &[6, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55][..],
            &[5, 0, 0, 0, 5, 0, 0, 0, b'f', b'r', b'a', b'm', b'e', 0, 0, 0],
            &[1, 0, 4, 0, b'r', b'u', b'n', b't'],
            &[2, 0, 4, 0, 1, 0, 0, 0],
            &[0; 4],
            &[60, 0, 0, 0],
        ];
        assert_eq!(block(&packet(b"frame")), expected.concat());
    }

    #[test]
    fn frames_of_every_padding_read_back() {
        let bytes: Vec<u8> = (0..9).collect();
        for len in 0..=8 {
            let packet = Packet { direction: Direction::Outbound, ..packet(&bytes[..len]) };
            let [read] = &read_packets(&block(&packet))[..] else { panic!("one packet") };
            assert_eq!((read.frame.as_slice(), read.original_len), (&bytes[..len], len));
            assert_eq!((read.nanos, read.flags, read.comment.as_str()), (packet.nanos, 2, "runt"));
        }
    }

    #[test]
    fn a_long_frame_is_cut_and_says_so() {
        let frame = vec![7; SNAP_LEN + 3];
        let [read] = &read_packets(&block(&packet(&frame)))[..] else { panic!("one packet") };
        assert_eq!((read.frame.len(), read.original_len), (SNAP_LEN, SNAP_LEN + 3));
        assert_eq!(write_option_of(70_000), 4 + 65_536, "no more than an option can be");
    }

    fn write_option_of(len: usize) -> usize {
        let mut bytes = Vec::new();
        write_option(&mut bytes, option::COMMENT, &vec![b'x'; len]);
        bytes.len()
    }

    #[test]
    fn tshark_reads_what_is_written() {
        const NAME: &str = "tshark_reads_what_is_written";
        let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5][..], &[0; 46]].concat();
        let nanos = 1_700_000_000_123_456_789;
        let mut file = section_header("gannet");
        file.extend(interface("veth0", "af_packet", MacAddress::default()));
        file.extend(interface("veth1", "af_packet", MacAddress::default()));
        Packet { nanos, ..packet(&frame) }.write(&mut file);
        let outbound = Direction::Outbound;
        Packet { nanos, interface: 0, direction: outbound, comment: "replied", frame: &frame }
            .write(&mut file);
        let Some(said) = tshark(&file) else {
            return skip(NAME, "the program tshark is not there");
        };
        let expected = "1700000000.123456789,veth1,runt,0x00000001,60\n\
                        1700000000.123456789,veth0,replied,0x00000002,60\n";
        assert_eq!(said, expected);
    }

    /// Time, interface, comment, direction and length of each frame; `None` without tshark.
    fn tshark(file: &[u8]) -> Option<String> {
        let fields = ["time_epoch", "interface_name", "comment", "packet_flags", "len"];
        let mut command = Command::new("tshark");
        command.args(["-n", "-r", "-", "-T", "fields", "-E", "separator=,"]);
        fields.iter().for_each(|field| _ = command.args(["-e", &format!("frame.{field}")]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        child.stdin.take().expect("a pipe").write_all(file).expect("tshark reads");
        let output = child.wait_with_output().expect("tshark ends");
        assert!(output.status.success());
        Some(String::from_utf8(output.stdout).expect("text"))
    }

    /// Says that a test can't run here. With `CI=true` that is a failure.
    fn skip(name: &str, reason: &str) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} can't run: {reason}");
        // Past the test harness, which keeps what passing tests print to itself.
        writeln!(std::io::stdout(), "\nskipped: {name}: {reason}").expect("standard output");
    }
}
