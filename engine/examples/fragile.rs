//! What happens when a service panics: an echo that does, on the datagram `panic`.
//!
//! The program says which lcore it was, with the message, the counters of that lcore's queues
//! and a backtrace. The other lcores stop, the report is printed, and the exit code is 1.
//!
//! ```text
//! fragile -l 0-2 -- --io af_packet:eth0 --ip 10.77.0.1/24 --udp-port 7
//! ```

use gannet::{Datagram, Outbox, Service, Time, Verdict};

struct Fragile;

impl Service for Fragile {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        assert!(datagram.payload() != b"panic", "{} asked for a panic", datagram.source());
        Verdict::Reply
    }
}

fn main() -> gannet::Result<()> {
    gannet::run(|_lcore| Fragile)
}
