//! `kernel`: what the kernel's network stack costs. The same echo on its sockets, on AF_PACKET on
//! the same wire, and past it over memif.

use super::echo::Load;
use super::veth::{self, Who};
use super::{Bench, memif};
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::network::Wire;
use crate::bench::pairs::{Case, Subject};

const CLASSICAL: &str = "recvfrom and sendto";
const SOCKETS: &str = "gannet echo, socket";
const AF_PACKET: &str = "gannet echo, af_packet";
const MEMIF: &str = "gannet echo, memif";
const SATURATED: &str = "saturated";

/// What is wanted.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "packets a core, on the same wire",
        case: SATURATED,
        measure: Measure::CoreTicks,
        of: Of::Ratio(AF_PACKET, CLASSICAL),
        wanted: Wanted::Stated,
    },
    Bar {
        what: "packets a core, on the same wire",
        case: SATURATED,
        measure: Measure::CoreTicks,
        of: Of::Ratio(AF_PACKET, SOCKETS),
        wanted: Wanted::Stated,
    },
    Bar {
        what: "packets a core, past the kernel",
        case: SATURATED,
        measure: Measure::CoreTicks,
        of: Of::Ratio(MEMIF, CLASSICAL),
        wanted: Wanted::AtLeast(40.0),
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    drop(Wire::new()?);
    let on_veth = move |who| move || veth::run(bench, who, Load::FlatOut)?.saturated(bench);
    Ok(vec![Case {
        name: SATURATED,
        subjects: vec![
            Subject::new(SOCKETS, on_veth(Who::Sockets)),
            Subject::new(CLASSICAL, on_veth(Who::Classical)),
            Subject::new(AF_PACKET, on_veth(Who::Native)),
            Subject::new(MEMIF, || memif::flat_out(bench)?.saturated(bench)).over_memif(),
        ],
        ratios: vec![(SOCKETS, CLASSICAL), (AF_PACKET, CLASSICAL), (AF_PACKET, SOCKETS), (MEMIF, CLASSICAL)],
        noise: Some(CLASSICAL),
        times: 1,
    }])
}
