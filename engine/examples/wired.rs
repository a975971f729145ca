//! The long form: an argument of its own, something shared, and lcores wired in a circle.
//! `wired -l 0-2 -- --io af_packet:eth0 --ip 10.77.0.1/24 --motto "all together"`

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use gannet::{App, Datagram, Launch, Outbox, Service, Tick, Time, Verdict};

#[derive(clap::Args)]
struct Arguments {
    /// What everybody is told, and behind it in 8 bytes how many all lcores have told it to
    #[arg(long, default_value = "hello")]
    motto: String,
}

struct Wired {
    motto: Arc<str>,
    /// The number comes from one lcore and goes to the next: each adds its own.
    before: Receiver<u64>,
    behind: Sender<u64>,
    own: u64,
    number: u64,
}

impl Service for Wired {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        let Ok(()) = datagram.resize(self.motto.len() + 8) else { return Verdict::Drop };
        self.own += 1;
        let (motto, number) = datagram.payload_mut().split_at_mut(self.motto.len());
        motto.copy_from_slice(self.motto.as_bytes());
        number.copy_from_slice(&(self.number + self.own).to_be_bytes());
        Verdict::Reply
    }

    fn on_tick(&mut self, now: Time, _outbox: &mut Outbox<'_>) -> Tick {
        if let Ok(number) = self.before.try_recv() {
            self.number = number + std::mem::take(&mut self.own);
            let _ = self.behind.try_send(self.number); // Never full: there is one number.
        }
        Tick::Done(now + Duration::from_millis(1))
    }
}

fn main() -> gannet::Result<()> {
    let app = App { name: "wired", about: "A motto, and how many have heard it", udp_port: Some(7) };
    let (launch, Arguments { motto }) = Launch::parse(app);
    let motto: Arc<str> = motto.into();
    launch.serve_together(|lcores| {
        let (mut behind, before): (Vec<_>, Vec<_>) = lcores.iter().map(|_| bounded(1)).unzip();
        behind.rotate_left(1);
        let _ = behind[0].try_send(0);
        let wired = |(behind, before)| Wired { motto: Arc::clone(&motto), before, behind, own: 0, number: 0 };
        behind.into_iter().zip(before).map(wired).collect()
    })?;
    Ok(())
}
