//! UDP over both versions of IP: lengths, checksums, ports (RFC 768, RFC 8200 section 8.1).

use super::super::build::{Field, Udp};
use super::{CLIENT, CLOSED, ECHO, Suite, pattern};

/// Ports whose services answer whatever comes, and with which a spoofed datagram would loop.
const REFLECTORS: [u16; 8] = [7, 13, 17, 19, 37, 53, 69, 123];

impl Suite {
    pub(super) fn udp(&mut self) {
        self.checksum_of_zero();
        self.udp_suite("IPv4 UDP", 1472, |suite, name, change| {
            let mut frame = suite.hello();
            change(&mut frame.carries);
            suite.frame(name, frame.bytes());
        });
        self.udp_suite("IPv6 UDP", 1452, |suite, name, change| {
            let mut frame = suite.hello6();
            change(&mut frame.carries);
            suite.frame(name, frame.bytes());
        });
    }

    /// A checksum that comes out as zero is sent as its ones' complement.
    fn checksum_of_zero(&mut self) {
        let (mut four, mut six) = (self.hello(), self.hello6());
        (four.carries.payload, six.carries.payload) = (vec![0; 2], vec![0; 2]);
        // With its own complement beside it, a sum is all ones.
        four.carries.payload = four.bytes()[40..42].to_vec();
        six.carries.payload = six.bytes()[60..62].to_vec();
        assert_eq!((&four.bytes()[40..42], &six.bytes()[60..62]), (&[0xff; 2][..], &[0xff; 2][..]));
        self.frame("IPv4 UDP: checksum that comes out as zero", four.bytes());
        self.frame("IPv6 UDP: checksum that comes out as zero", six.bytes());
    }

    fn udp_suite(&mut self, over: &str, longest: usize, make: Make) {
        let lens = (0..=40).chain([63, 64, 65, 127, 255, 256, 511, 512, 1000, 1400]);
        for len in lens.chain([longest - 1, longest]) {
            make(self, format!("{over}: {len} bytes"), &|udp| udp.payload = pattern(len));
        }
        for len in [1, 2, 3, 20, 40, 500] {
            make(self, format!("{over}: {len} bytes behind the datagram"), &|udp| udp.behind = pattern(len));
        }
        self.udp_lengths(over, make);
        self.udp_checksums(over, make);
        self.ports(over, make);
    }

    fn udp_lengths(&mut self, over: &str, make: Make) {
        let offs = (-12..=-1).chain(1..=12).map(|off| (format!("off by {off}"), Field::Off(off)));
        let values = (0..=9).chain([255, 256, 1472, 1480, 1500, 0x7fff, 0x8000, 0xffff]);
        let values = values.map(|value| (format!("said to be {value}"), Field::Is(value)));
        for (what, len) in offs.chain(values) {
            let name = format!("{over}: length {what}");
            make(self, name.clone(), &|udp| udp.len = len);
            make(self, format!("{name}, checksum over all bytes"), &|udp| {
                (udp.len, udp.summed) = (len, Some(13));
            });
            make(self, format!("{name}, no checksum"), &|udp| (udp.len, udp.checksum) = (len, Field::Is(0)));
            make(self, format!("{name}, to a closed port"), &|udp| (udp.len, udp.to) = (len, CLOSED));
        }
    }

    fn udp_checksums(&mut self, over: &str, make: Make) {
        let values = [0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff].map(Field::Is);
        let offs = [-256, -1, 1, 256, i16::MIN].map(Field::Off);
        for (index, checksum) in values.into_iter().chain(offs).enumerate() {
            let what = match checksum {
                Field::Is(value) => format!("{value:#06x}"),
                Field::Off(off) => format!("off by {off}"),
                Field::Right => format!("{index}"),
            };
            make(self, format!("{over}: checksum {what}"), &|udp| udp.checksum = checksum);
            make(self, format!("{over}: checksum {what}, no payload"), &|udp| {
                (udp.checksum, udp.payload) = (checksum, Vec::new());
            });
            make(self, format!("{over}: checksum {what}, to a closed port"), &|udp| {
                (udp.checksum, udp.to) = (checksum, CLOSED);
            });
        }
        for len in [0, 1, 2, 1000] {
            make(self, format!("{over}: {len} bytes without a checksum"), &|udp| {
                (udp.checksum, udp.payload) = (Field::Is(0), pattern(len));
            });
        }
    }

    fn ports(&mut self, over: &str, make: Make) {
        let beside = (0..16).map(|bit| ECHO ^ 1 << bit);
        for port in beside.chain([0, 1, CLIENT, CLOSED, 0x7fff, 0x8000, 0xffff]) {
            make(self, format!("{over}: to port {port}"), &|udp| udp.to = port);
        }
        for port in [0, 1, 2, 1023, 1024, 0x7fff, 0x8000, 0xfffe, 0xffff].into_iter().chain(REFLECTORS) {
            make(self, format!("{over}: from port {port}"), &|udp| udp.from = port);
            make(self, format!("{over}: from port {port} to a closed port"), &|udp| {
                (udp.from, udp.to) = (port, CLOSED);
            });
        }
        make(self, format!("{over}: from port 0 to port 0"), &|udp| (udp.from, udp.to) = (0, 0));
    }
}

/// Adds a datagram that was changed.
type Make = fn(&mut Suite, String, &dyn Fn(&mut Udp));
