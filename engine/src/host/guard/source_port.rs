//! Reflector loops: a datagram with the port of another service as its source would be
//! answered by that service, and its answer by us, without end.

use crate::host::udp_ports::UdpPorts;

/// Ports whose services answer whatever they receive: echo (RFC 862), daytime (867), qotd
/// (865), chargen (864), time (868), DNS (1035), TFTP (1350) and NTP (5905).
const REFLECTORS: [u16; 8] = [7, 13, 17, 19, 37, 53, 69, 123];

/// The source ports that no client has: those of reflectors, and our own.
#[derive(Debug)]
pub(crate) struct SourcePorts(UdpPorts);

impl SourcePorts {
    /// For a program that listens on `own`. Where that is all ports, only the port that a
    /// datagram is for counts as own: else there would be no client.
    pub(crate) fn new(own: &UdpPorts) -> Self {
        let mut ports = if own.is_all() { UdpPorts::from_iter([]) } else { own.clone() };
        ports.extend(REFLECTORS);
        Self(ports)
    }

    /// Whether a datagram between these ports, in host order, may be half of a loop.
    #[inline]
    pub(crate) fn is_reflector(&self, source_port: u16, destination_port: u16) -> bool {
        self.0.contains(source_port) | (source_port == destination_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflectors_and_own_ports_are_no_clients() {
        let ports = SourcePorts::new(&[5000, 5001].into_iter().collect());
        let refused: Vec<_> = (0..=u16::MAX).filter(|&port| ports.is_reflector(port, 5000)).collect();
        assert_eq!(refused, [7, 13, 17, 19, 37, 53, 69, 123, 5000, 5001]);
    }

    #[test]
    fn a_program_on_all_ports_still_has_clients() {
        let ports = SourcePorts::new(&UdpPorts::all());
        let refused: Vec<_> = (0..=u16::MAX).filter(|&port| ports.is_reflector(port, 5000)).collect();
        assert_eq!(refused, [7, 13, 17, 19, 37, 53, 69, 123, 5000]);
        assert!(!ports.is_reflector(5000, 5001));
    }
}
