//! The smallest service: it shouts back. Start it with
//!
//! ```text
//! shout -l 1 -- --io af_packet:eth0 --ip 10.77.0.1/24 --udp-port 7
//! ```

use gannet::{Datagram, Outbox, Service, Time, Verdict};

struct Shout;

impl Service for Shout {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        datagram.payload_mut().make_ascii_uppercase();
        Verdict::Reply
    }
}

fn main() -> gannet::Result<()> {
    gannet::run(|_lcore| Shout)
}

#[cfg(test)]
mod tests {
    use gannet::Lab;

    use super::Shout;

    #[test]
    fn it_shouts_back() {
        let mut lab = Lab::new(Shout);
        assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"hello").as_deref(), Some(&b"HELLO"[..]));
        let (counters, pool) = lab.close();
        assert!(counters.balance().is_exact() && pool.is_balanced());
    }
}
