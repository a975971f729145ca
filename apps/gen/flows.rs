//! Between whom the datagrams go.

use std::net::{IpAddr, SocketAddr};

/// Where the ports of flows begin, where they have room: the dynamic ones (RFC 6335, section 6).
const DYNAMIC: u32 = 49_152;
/// The lowest port of a flow, above the well-known ones.
const LOWEST: u32 = 1024;
const PORTS: u32 = 1 << 16;
/// Flows that take turns are so many, at least.
const SHORTEST: usize = 64;

/// The two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

impl Flow {
    /// Whether it differs from the other in no more than the port of ours.
    #[inline]
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.to == other.to && self.from.ip() == other.from.ip()
    }
}

/// All flows, and the ports of ours that answers come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flows {
    pub(crate) flows: Vec<Flow>,
    pub(crate) first_port: u16,
    pub(crate) last_port: u16,
}

/// Why there can't be such flows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlowsError {
    #[error("--to {0} can't be reached from any --ip: pass one of its family, as in --ip {1}")]
    NoSource(SocketAddr, &'static str),
    #[error("--to {0}: port 0 is nobody's")]
    PortZero(SocketAddr),
    #[error(
        "--flows {flows} needs {ports} source ports from {first} on, and there are not so many: pass more \
         addresses with --ip, or fewer flows"
    )]
    TooMany { flows: usize, ports: usize, first: u32 },
}

impl Flows {
    /// `count` flows, one for each target at least: targets take turns, then our addresses, and
    /// then ports, from `first_port` on if that is said.
    pub(crate) fn new(
        targets: &[SocketAddr],
        own: &[IpAddr],
        count: usize,
        first_port: Option<u16>,
    ) -> Result<Self, FlowsError> {
        let count = count.max(targets.len());
        let sources = targets.iter().map(|to| sources(*to, own)).collect::<Result<Vec<_>, _>>()?;
        let rounds = count.div_ceil(targets.len().max(1));
        let fewest = sources.iter().map(Vec::len).min().unwrap_or(1);
        let ports = rounds.div_ceil(fewest);
        let first = first_port.map_or_else(|| default_first(ports), u32::from);
        if ports > (PORTS - first) as usize {
            return Err(FlowsError::TooMany { flows: count, ports, first });
        }
        let flow = |number: usize| {
            let (target, round) = (number % targets.len(), number / targets.len());
            let sources = &sources[target];
            let port = first as usize + round / sources.len();
            let from = SocketAddr::new(sources[round % sources.len()], port as u16);
            Flow { from, to: targets[target] }
        };
        let last_port = (first as usize + ports - 1) as u16;
        Ok(Self { flows: (0..count).map(flow).collect(), first_port: first as u16, last_port })
    }

    /// Those of one lcore among several: each has its own, as far as there are enough.
    pub(crate) fn share(&self, lcore: usize, lcores: usize) -> Turns {
        let own = self.flows.iter().cycle().skip(lcore).step_by(lcores);
        Turns::new(own.take(self.flows.len().div_ceil(lcores)).copied().collect())
    }
}

/// The flows of one lcore, which take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turns {
    flows: Vec<Flow>,
    /// The ports of ours, close together: flat out nothing else of most flows is looked at.
    ports: Vec<u16>,
    /// Where a run ends of flows that are beside each one.
    ends: Vec<usize>,
    next: usize,
}

impl Turns {
    /// Of these flows, of which there is at least one.
    pub(crate) fn new(flows: Vec<Flow>) -> Self {
        // Few flows stand there several times, so that runs of them are long.
        let times = SHORTEST.div_ceil(flows.len().max(1));
        let flows = flows.repeat(times);
        let mut ends = vec![flows.len(); flows.len()];
        for at in (1..flows.len()).rev() {
            ends[at - 1] = if flows[at].is_beside(&flows[at - 1]) { ends[at] } else { at };
        }
        Self { ports: flows.iter().map(|flow| flow.from.port()).collect(), ends, flows, next: 0 }
    }

    /// The first flows.
    pub(crate) fn first(&self, count: usize) -> &[Flow] {
        &self.flows[..count.min(self.flows.len())]
    }

    /// Whose turn it is.
    #[inline]
    pub(crate) fn peek(&self) -> &Flow {
        &self.flows[self.next]
    }

    /// The next one's turn.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.go_to(self.next + 1);
    }

    /// Takes the turns of at most `most` flows that differ in no more than the port of ours: the first
    /// of them, and the ports of all.
    #[inline]
    pub(crate) fn run(&mut self, most: usize) -> (Flow, &[u16]) {
        let start = self.next;
        let end = self.ends[start].min(start + most);
        self.go_to(end);
        (self.flows[start], &self.ports[start..end])
    }

    #[inline]
    fn go_to(&mut self, next: usize) {
        self.next = if next == self.flows.len() { 0 } else { next };
    }
}

fn default_first(ports: usize) -> u32 {
    let ports = u32::try_from(ports).unwrap_or(PORTS);
    if ports <= PORTS - DYNAMIC { DYNAMIC } else { PORTS.saturating_sub(ports).max(LOWEST) }
}

/// Our addresses that a target may be sent from.
fn sources(to: SocketAddr, own: &[IpAddr]) -> Result<Vec<IpAddr>, FlowsError> {
    if to.port() == 0 {
        return Err(FlowsError::PortZero(to));
    }
    let sources: Vec<_> = own.iter().filter(|own| own.is_ipv4() == to.is_ipv4()).copied().collect();
    let example = if to.is_ipv4() { "10.77.0.2/24" } else { "fd00:77::2/64" };
    if sources.is_empty() { Err(FlowsError::NoSource(to, example)) } else { Ok(sources) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address and a port")
    }

    fn flows(targets: &[&str], own: &[&str], count: usize) -> Result<Flows, FlowsError> {
        let targets: Vec<_> = targets.iter().map(|text| at(text)).collect();
        let own: Vec<_> = own.iter().map(|text| text.parse().expect("an address")).collect();
        Flows::new(&targets, &own, count, None)
    }

    #[test]
    fn each_flow_is_another() {
        for (own, count, ports) in [(1, 1000, 1000), (3, 1000, 334), (1, 60_000, 60_000), (1, 1, 1)] {
            let own = &["10.77.0.2", "10.77.0.3", "10.77.0.4"][..own];
            let made = flows(&["10.77.0.1:7"], own, count).expect("room");
            let ends: HashSet<_> = made.flows.iter().map(|flow| (flow.from, flow.to)).collect();
            assert_eq!(ends.len(), count);
            assert_eq!(usize::from(made.last_port - made.first_port) + 1, ports);
            let of_range = |flow: &Flow| (made.first_port..=made.last_port).contains(&flow.from.port());
            assert!(made.flows.iter().all(of_range) && made.first_port >= 1024);
        }
    }

    #[test]
    fn targets_take_turns_and_are_sent_from_their_family() {
        let made = flows(&["10.77.0.1:7", "[fd00::1]:7"], &["10.77.0.2", "fd00::2"], 1).expect("room");
        let expected = [("10.77.0.2:49152", "10.77.0.1:7"), ("[fd00::2]:49152", "[fd00::1]:7")];
        assert_eq!(made.flows, expected.map(|(from, to)| Flow { from: at(from), to: at(to) }));
    }

    #[test]
    fn impossible_flows_are_refused_with_a_way_out() {
        let error = |targets: &[&str], count| {
            flows(targets, &["10.77.0.2"], count).expect_err("impossible").to_string()
        };
        assert!(error(&["10.77.0.1:7"], 64_513).contains("more addresses with --ip"));
        assert!(error(&["[fd00::1]:7"], 1).contains("--ip fd00:77::2/64"));
        assert!(error(&["10.77.0.1:0"], 1).contains("port 0"));
    }

    #[test]
    fn lcores_share_the_flows() {
        let made = flows(&["10.77.0.1:7"], &["10.77.0.2"], 10).expect("room");
        let shares: Vec<_> = (0..3).map(|lcore| made.share(lcore, 3)).collect();
        let all: HashSet<_> = shares.iter().flat_map(|share| &share.flows).map(|flow| flow.from).collect();
        assert_eq!(all.len(), 10);
        let of_one = flows(&["10.77.0.1:7"], &["10.77.0.2"], 1).expect("room").share(1, 2);
        assert!(of_one.flows.iter().all(|flow| flow.from == at("10.77.0.2:49152")));
    }

    /// The ports of the next runs, with each one's target.
    fn runs(turns: &mut Turns, count: usize, most: usize) -> Vec<(u16, Vec<u16>)> {
        let mut run = || {
            let (first, ports) = turns.run(most);
            (first.to.port(), ports.to_vec())
        };
        (0..count).map(|_| run()).collect()
    }

    #[test]
    fn a_run_has_flows_beside_each_other_and_goes_no_further_than_the_last() {
        let own = ["10.77.0.2"];
        let mut turns = flows(&["10.77.0.1:7"], &own, 100).expect("room").share(0, 1);
        let ports = |from: u16, to: u16| (7, (49_152 + from..49_152 + to).collect::<Vec<_>>());
        assert_eq!(runs(&mut turns, 4, 40), [ports(0, 40), ports(40, 80), ports(80, 100), ports(0, 40)]);
        assert_eq!(*turns.peek(), Flow { from: at("10.77.0.2:49192"), to: at("10.77.0.1:7") });
        turns.advance();
        assert_eq!(runs(&mut turns, 1, 2), [ports(41, 43)]);

        let mut turns = flows(&["10.77.0.1:7", "10.77.0.1:8"], &own, 1).expect("room").share(0, 1);
        let one = |to| (to, vec![49_152]);
        assert_eq!(runs(&mut turns, 3, 40), [one(7), one(8), one(7)]);

        let mut turns = flows(&["10.77.0.1:7"], &own, 3).expect("room").share(0, 1);
        let [(_, ports)] = &runs(&mut turns, 1, 32)[..] else { panic!("one run") };
        let expected: Vec<u16> = [49_152, 49_153, 49_154].into_iter().cycle().take(32).collect();
        assert_eq!(*ports, expected, "over and over");
    }
}
