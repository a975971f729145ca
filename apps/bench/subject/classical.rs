//! The server of the textbooks: one blocking UDP socket, `recvfrom` and `sendto`, a system call
//! each way for each datagram and four copies of it: out of the kernel, into the request,
//! into the reply, and into the kernel.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};

use gannet::sys::{CpuSet, Signals};

use crate::bench::failure::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
    /// The CPU that it runs on
    #[arg(long)]
    cpu: usize,
}

/// Longer than any datagram.
const ROOM: usize = 65_536;

/// Serves until it is interrupted.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let socket = UdpSocket::bind(arguments.listen).map_err(Failure::of("a UDP socket"))?;
    let signals = Signals::catch().map_err(Failure::of("catching signals"))?;
    CpuSet::from_iter([arguments.cpu]).pin_current_thread().map_err(Failure::of("pinning the server"))?;
    std::thread::spawn(move || serve(&socket));
    let _ = writeln!(std::io::stdout(), "ready: {}", arguments.listen);
    while signals.wait(std::time::Duration::from_millis(50)).is_none() {}
    Ok(())
}

fn serve(socket: &UdpSocket) {
    let (mut received, mut request, mut reply) =
        (vec![0; ROOM], Vec::with_capacity(ROOM), Vec::with_capacity(ROOM));
    loop {
        // A datagram that can't be received or sent is lost, as any is.
        let Ok((len, from)) = socket.recv_from(&mut received) else { continue };
        request.clear();
        request.extend_from_slice(&received[..len]);
        reply.clear();
        reply.extend_from_slice(&request);
        let _ = socket.send_to(&reply, from);
    }
}
