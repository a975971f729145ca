//! `--metrics`: threads that serve the page to whoever asks, and say whether the program is ready and well. Neither a worker nor the control plane waits
//! for them, and a reader that is slow keeps one of them for a few seconds.

mod http;
mod page;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::http::{LONGEST_HEAD, Refusal, Target};
use super::error::Error;
use super::status::Status;
use crate::sys::{StopFlag, WaitSet};

/// How many readers are served at a time.
const THREADS: usize = 4;
/// How long a reader may take to ask, and again to take its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a call may take before the stop is looked at.
const SLICE: Duration = Duration::from_millis(100);

/// An address that readers can come to.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens from now on, so that a wrong address shows at the start.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, Error> {
        let open = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(Self { address: listener.local_addr()?, listener })
        };
        open().map_err(|source| Error::Metrics { address, source })
    }

    /// Where that is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves from now on. Where there are no threads to be had the program goes on without.
    pub(super) fn serve(&self, status: &Arc<Status>) -> Server {
        let stop = StopFlag::default();
        let start = |_| {
            let (listener, stop, status) = (self.listener.try_clone()?, stop.clone(), Arc::clone(status));
            thread::Builder::new().name("metrics".to_owned()).spawn(move || serve(&listener, &stop, &status))
        };
        let threads: io::Result<Vec<_>> = (0..THREADS).map(start).collect();
        let threads = threads.unwrap_or_else(|error| {
            tracing::error!("there are no threads for --metrics, so none are served: {error}");
            stop.set();
            Vec::new()
        });
        Server { stop, threads }
    }
}

/// Threads that serve until this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    stop: StopFlag,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.set();
        self.threads.drain(..).for_each(|thread| _ = thread.join());
    }
}

fn serve(listener: &TcpListener, stop: &StopFlag, status: &Status) {
    let mut descriptors = WaitSet::new([listener.as_raw_fd()].into_iter().chain(stop.wait_fd()));
    while !stop.is_set() {
        descriptors.wait(PATIENCE);
        match listener.accept() {
            // A reader that went away is no matter of ours.
            Ok((stream, _)) => _ = Reader { stream, stop }.serve(status),
            // Another thread has it, or it was the stop.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // No descriptors, say: asking again at once would not make any.
            Err(_) => thread::sleep(SLICE),
        }
    }
}

/// Whoever asks.
struct Reader<'a> {
    stream: TcpStream,
    stop: &'a StopFlag,
}

impl Reader<'_> {
    fn serve(mut self, status: &Status) -> io::Result<()> {
        // What an accepted connection inherits differs between systems.
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(SLICE))?;
        self.stream.set_write_timeout(Some(SLICE))?;
        let request = match self.head()? {
            Ok(head) => http::parse(&head),
            Err(refusal) => Err(refusal),
        };
        let answer = match request {
            Ok(request) => match request.target {
                Target::Metrics => http::answer(request, &page::page(status, request.format)),
                Target::Ready => http::verdict(request, status.serves()),
                Target::Healthy => http::verdict(request, status.all_move()),
            },
            Err(refusal) => refusal.answer(),
        };
        self.write(answer.as_bytes())?;
        // Unread bytes would make the kernel take the answer back.
        self.stream.shutdown(std::net::Shutdown::Write)?;
        let (deadline, mut rest) = (Instant::now() + SLICE, [0; LONGEST_HEAD]);
        while Instant::now() < deadline && self.stream.read(&mut rest)? > 0 {}
        Ok(())
    }

    /// The head of the request.
    fn head(&mut self) -> io::Result<Result<Vec<u8>, Refusal>> {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        let mut part = [0; 1024];
        loop {
            match self.within(deadline, |stream| stream.read(&mut part))? {
                None => return Ok(Err(Refusal::TooSlow)),
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(len) => bytes.extend_from_slice(&part[..len]),
            }
            if let Some(len) = http::head_len(&bytes) {
                bytes.truncate(len);
                return Ok(Ok(bytes));
            }
            if bytes.len() > LONGEST_HEAD {
                return Ok(Err(Refusal::TooLong));
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !bytes.is_empty() {
            match self.within(deadline, |stream| stream.write(bytes))? {
                None | Some(0) => return Err(ErrorKind::TimedOut.into()),
                Some(len) => bytes = &bytes[len..],
            }
        }
        Ok(())
    }

    /// Tries until it is done, or the deadline has come (`None`).
    fn within(
        &mut self,
        deadline: Instant,
        mut call: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<Option<usize>> {
        loop {
            // Before each call: one that gets a byte each time never has to wait.
            if self.stop.is_set() {
                return Err(ErrorKind::Interrupted.into());
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            match call(&mut self.stream) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done.map(Some),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::SystemTime;

    use super::*;
    use crate::launch::eal_args::LcoreId;
    use crate::launch::status::{LcoreStatus, PortStatus, QueueStatus};
    use crate::port::{PortDescription, PortId};
    use crate::sys::Clock;
    use crate::wire::ethernet::MacAddress;

    /// A program with a port and an lcore.
    pub(in crate::launch) fn status() -> Status {
        let port = PortStatus::new(PortDescription {
            name: "memory0".to_owned(),
            driver: "memory".to_owned(),
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            queues: 1,
            numa_node: None,
            granted: Vec::new(),
        });
        port.set_extended_statistics(vec![("rx_good".to_owned(), 7)]);
        Status {
            app: "echo",
            commit: "",
            started: SystemTime::now(),
            clock: Clock::start(),
            is_ready: AtomicBool::new(false),
            ports: vec![port],
            queues: vec![QueueStatus { lcore: LcoreId(1), port: PortId(0), counters: Arc::default() }],
            lcores: vec![LcoreStatus::new(LcoreId(1), Arc::default())],
            exhibits: Vec::new(),
        }
    }

    fn server() -> (Server, SocketAddr) {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("an address");
        (listener.serve(&Arc::new(status())), listener.address())
    }

    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(4 * PATIENCE)).expect("set");
        stream.write_all(request).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn more_slow_readers_than_threads_do_not_keep_the_others_for_ever() {
        let (server, address) = server();
        let mut slow: Vec<_> =
            (0..2 * THREADS).map(|_| TcpStream::connect(address).expect("connected")).collect();
        slow.iter_mut().for_each(|stream| stream.write_all(b"GET /met").expect("written"));
        assert!(ask(address, GET).starts_with("HTTP/1.1 200 OK\r\n"));
        let mut answer = String::new();
        slow[0].read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        drop(server);
    }

    #[test]
    fn a_program_is_ready_while_all_of_its_devices_are_there() {
        let status = Arc::new(status());
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("an address");
        let _server = listener.serve(&status);
        let verdict = |is_ready, is_gone| {
            status.is_ready.store(is_ready, Relaxed);
            status.ports[0].is_gone.store(is_gone, Relaxed);
            let answer = ask(listener.address(), b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n");
            answer.split(' ').nth(1).map(str::to_owned).expect("a status")
        };
        assert_eq!(verdict(false, false), "503");
        assert_eq!(verdict(true, false), "200");
        assert_eq!(verdict(true, true), "503");
        assert_eq!(verdict(true, false), "200");
    }

    #[test]
    fn a_long_request_is_refused_and_the_answer_arrives() {
        let (_server, address) = server();
        let long = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 3 * LONGEST_HEAD]].concat();
        assert!(ask(address, &long).starts_with("HTTP/1.1 431 "));
    }

    /// Readers, one for each thread, that ask a byte at a time, for ten seconds or until nobody listens.
    fn dripping(address: SocketAddr) {
        for _ in 0..THREADS {
            let mut stream = TcpStream::connect(address).expect("connected");
            thread::spawn(move || {
                for _ in 0..200 {
                    stream.write_all(b"G")?;
                    thread::sleep(SLICE / 2);
                }
                io::Result::Ok(())
            });
        }
    }

    #[test]
    fn readers_that_ask_a_byte_at_a_time_do_not_keep_the_others() {
        let (_server, address) = server();
        dripping(address);
        assert!(ask(address, GET).starts_with("HTTP/1.1 200 OK\r\n"));
    }

    /// The bound is far from the time that it takes, a [`SLICE`], and from that of those who wait.
    #[test]
    fn the_stop_does_not_wait_for_readers() {
        let (server, address) = server();
        dripping(address);
        thread::sleep(2 * SLICE);
        let begin = Instant::now();
        drop(server);
        let elapsed = begin.elapsed();
        assert!(elapsed < PATIENCE / 2, "it took {elapsed:?}");
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = Listener::bind(([127, 0, 0, 1], 0).into()).expect("an address");
        let error = Listener::bind(first.address()).expect_err("it is in use").to_string();
        assert!(error.starts_with(&format!("--metrics {}: ", first.address())), "{error}");
    }
}
