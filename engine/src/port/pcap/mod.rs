//! The pcap port: replays a capture file and records what is sent.
//!
//! The input is a classic pcap file of Ethernet frames, in either byte order, with
//! microseconds or nanoseconds. It is replayed as fast as the queue is polled, once. Frames
//! that the capture cut, or that are longer than a buffer, are dropped as
//! [`RxTruncated`](Counter::RxTruncated).
//!
//! The output is a little-endian nanosecond pcap file. The port reads no clock: a frame
//! that is sent is recorded with the capture time of the frame that was received last (0
//! before the first), so the same input gives the same output, byte for byte. A port
//! without an input ([`record`]) records with the time of the turn.

mod capture;
mod format;
mod record;
mod replay;
#[cfg(test)]
mod tests;

pub use capture::Capture;
pub use format::HeaderError;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use self::format::{RECORD_HEADER_LEN, Timestamp};
use self::record::{Recorder, Written};
use self::replay::{Next, Replay};
use super::heap::{HeapPacket, HeapPool, release_burst};
use super::{Capabilities, FrameQueue, OpenPort, PoolBalance, PortConfig, PortControl, PortDescription};
use crate::packet::{Burst, Packet};
use crate::telemetry::{Counter, Counters};
use crate::time::Time;
use crate::wire::ethernet::{self, MacAddress};

/// The port's address where the capture does not tell one.
const DEFAULT_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
/// The MTU where none is asked for, in bytes.
const DEFAULT_MTU: u16 = 1500;
/// Bytes of two VLAN tags.
const VLAN_TAGS_LEN: usize = 8;

/// A frame of the pcap port.
pub type PcapPacket = HeapPacket;

/// Why a pcap port did not open.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// The input can't be opened or read.
    #[error("can't read {path}: {source}; the input of --io pcap:IN[,OUT] is a capture file")]
    Read {
        /// The input.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The input is too short for any pcap file.
    #[error("can't replay {path}: it ends within the pcap header; capture it again")]
    TooShort {
        /// The input.
        path: PathBuf,
    },
    /// The input is not a pcap file that this port replays.
    #[error("can't replay {path}: {reason}")]
    Header {
        /// The input.
        path: PathBuf,
        /// What is wrong, and the way out.
        reason: HeaderError,
    },
    /// The output can't be created or written.
    #[error("can't write {path}: {source}; name a file in a writable folder with space left")]
    Write {
        /// The output.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Input and output are one file.
    #[error("{path} is the file that is replayed: name another one for the output")]
    SameFile {
        /// The output.
        path: PathBuf,
    },
}

/// Opens a port that replays `input` and records what is sent to `output`; without an
/// output, what is sent is counted and gone.
///
/// The port's address is the destination of the first frame, so that the capture is for
/// this port; where that is a group's or there is none, it is 02:00:00:00:00:01. It has one
/// queue, whatever is asked.
///
/// # Errors
/// If the input is no classic pcap file of Ethernet frames, or a file can't be used.
pub fn open(
    input: &Path,
    output: Option<&Path>,
    config: &PortConfig,
) -> Result<OpenPort<PcapQueue>, PcapError> {
    let mut replay = Replay::open(input)?;
    let first = replay.first_destination().filter(|mac| mac.is_unicast());
    let address = match first {
        Some(mac) => format!("address {mac}, the destination of the first frame"),
        None => format!("address {DEFAULT_MAC}, as the first frame is for no single station"),
    };
    let files = Files { input: Some((input, replay)), output };
    open_files(files, first.unwrap_or(DEFAULT_MAC), address, config)
}

/// Opens a port that receives nothing and records what is sent to `output`, with the time of the
/// turn that it was sent in, counted from the start of the clock. Its address is 02:00:00:00:00:01.
///
/// # Errors
/// If the file can't be written.
pub fn record(output: &Path, config: &PortConfig) -> Result<OpenPort<PcapQueue>, PcapError> {
    let files = Files { input: None, output: Some(output) };
    open_files(files, DEFAULT_MAC, format!("address {DEFAULT_MAC}"), config)
}

/// The files of a port.
struct Files<'a> {
    input: Option<(&'a Path, Replay)>,
    output: Option<&'a Path>,
}

fn open_files(
    Files { input, output }: Files<'_>,
    mac: MacAddress,
    address: String,
    config: &PortConfig,
) -> Result<OpenPort<PcapQueue>, PcapError> {
    let mtu = config.mtu.unwrap_or(DEFAULT_MTU);
    let room = usize::from(mtu) + ethernet::HEADER_LEN + VLAN_TAGS_LEN;
    let burst_len = config.burst.saturating_mul(RECORD_HEADER_LEN + room);
    let (path, replay) = input.map_or((None, None), |(path, replay)| (Some(path), Some(replay)));
    let recorder = output.map(|path| create(path, replay.as_ref(), burst_len)).transpose()?;

    // A burst that is received, one that is sent, and one of each for a wrapper or a forward.
    let buffers = config.held.saturating_add(config.burst.saturating_mul(4));
    let pool = HeapPool::new("pcap", buffers, room);
    let statistics = Arc::new(Statistics::default());
    let description = PortDescription {
        name: path.or(output).map_or_else(String::new, |path| path.display().to_string()),
        driver: "pcap".to_owned(),
        mac,
        mtu,
        queues: 1,
        numa_node: None,
        granted: granted(address, output, buffers, config),
    };
    let queue = PcapQueue {
        pool: pool.clone(),
        input: path.map(Path::to_owned).unwrap_or_default(),
        replay,
        now: Time::ZERO,
        recorder,
        capabilities: Capabilities {
            mac,
            mtu,
            rx_ipv4_checksum: false,
            rx_udp_checksum: false,
            tx_udp_checksum: false,
            tx_shared: false,
            unmarked_unfilled_checksums: false,
        },
        counters: Arc::default(),
        statistics: Arc::clone(&statistics),
    };
    let control = PcapControl { pool, description, statistics };
    Ok(OpenPort { queues: vec![queue], control: Box::new(control) })
}

/// Creates the output, unless it is the input: creating it would empty that.
fn create(path: &Path, replay: Option<&Replay>, burst_len: usize) -> Result<Recorder, PcapError> {
    let write_error = |source| PcapError::Write { path: path.to_owned(), source };
    let output =
        OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(write_error)?;
    let is_input = replay.map_or(Ok(false), |replay| is_same_file(&output, replay.file()));
    if is_input.map_err(write_error)? {
        return Err(PcapError::SameFile { path: path.to_owned() });
    }
    if output.metadata().map_err(write_error)?.is_file() {
        output.set_len(0).map_err(write_error)?;
    }
    Recorder::start(output, burst_len).map_err(write_error)
}

fn is_same_file(a: &File, b: &File) -> io::Result<bool> {
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok(a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()))
}

fn granted(address: String, output: Option<&Path>, buffers: usize, config: &PortConfig) -> Vec<String> {
    let mut granted = vec![
        address,
        match output {
            Some(path) => format!("what is sent is recorded to {}", path.display()),
            None => "what is sent is not recorded".to_owned(),
        },
        format!("{buffers} buffers"),
    ];
    if config.queues > 1 {
        granted.push(format!("1 queue of the {} asked for: a file is read in order", config.queues));
    }
    if config.rx_descriptors.or(config.tx_descriptors).is_some() {
        granted.push("no descriptors: a file has no rings".to_owned());
    }
    granted
}

/// The one queue of a pcap port.
pub struct PcapQueue {
    pool: HeapPool,
    /// The input's path, for the log.
    input: PathBuf,
    /// `None` where nothing is received.
    replay: Option<Replay>,
    /// The time of the turn.
    now: Time,
    recorder: Option<Recorder>,
    capabilities: Capabilities,
    counters: Arc<Counters>,
    statistics: Arc<Statistics>,
}

impl PcapQueue {
    /// Reads one record into `packet`; gives the packet back if it has no frame now.
    fn receive(&mut self, mut packet: HeapPacket) -> Result<HeapPacket, HeapPacket> {
        match self.replay.as_mut().map_or(Next::End, |replay| replay.next(&mut packet)) {
            Next::Frame => {
                self.counters.add(Counter::Received, 1);
                Ok(packet)
            }
            Next::Truncated => {
                self.counters.add(Counter::Received, 1);
                self.counters.add(Counter::RxTruncated, 1);
                Err(packet)
            }
            Next::End => Err(packet),
            Next::Broken(error) => {
                self.statistics.broken_records.store(1, Relaxed);
                tracing::warn!("stopped replaying {}: {error}", self.input.display());
                Err(packet)
            }
        }
    }

    /// Writes the burst of `count` frames that the recorder holds, and counts it.
    fn flush(&mut self, count: u64) {
        let written = self.recorder.as_mut().map_or(Written::Whole, Recorder::flush);
        if let Written::Failed(error) = &written {
            self.statistics.write_errors.store(1, Relaxed);
            tracing::error!("stopped recording what is sent: {error}");
        }
        let counter = if matches!(written, Written::Whole) { Counter::Sent } else { Counter::TxRejected };
        self.counters.add(counter, count);
    }
}

impl FrameQueue for PcapQueue {
    type Packet = HeapPacket;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Reads at most as many records as `into` has room for. An empty burst does not say
    /// that the replay came to its end: all of them may have been dropped as truncated.
    fn rx_burst(&mut self, into: &mut Burst<HeapPacket>) {
        for _ in 0..into.free() {
            if self.replay.as_ref().is_none_or(Replay::has_ended) {
                break;
            }
            // Without a buffer, the record waits in the file.
            let Some(packet) = self.pool.alloc() else {
                self.counters.add(Counter::RxNoBuffer, 1);
                break;
            };
            if let Err(unused) = self.receive(packet).and_then(|packet| into.push(packet)) {
                unused.release();
            }
        }
    }

    fn tx_burst(&mut self, from: &mut Burst<HeapPacket>) {
        if from.is_empty() {
            return;
        }
        let count = from.len() as u64;
        let timestamp = self.replay.as_ref().map_or(Timestamp::at(self.now), Replay::timestamp);
        for packet in from.drain() {
            packet.assert_held();
            if let Some(recorder) = &mut self.recorder {
                recorder.add(timestamp, packet.frame());
            }
            packet.release();
        }
        self.flush(count);
    }

    fn alloc_burst(&mut self, into: &mut Burst<HeapPacket>) {
        self.pool.alloc_burst(into);
    }

    fn free_burst(&mut self, from: &mut Burst<HeapPacket>) {
        release_burst(from);
    }

    #[inline]
    fn turn(&mut self, now: Time) {
        self.now = now;
    }

    fn is_exhausted(&self) -> bool {
        self.replay.as_ref().is_some_and(Replay::has_ended)
    }
}

/// What the queue tells the control plane, beside its counters.
#[derive(Debug, Default)]
struct Statistics {
    broken_records: AtomicU64,
    write_errors: AtomicU64,
}

/// The control side of a pcap port.
struct PcapControl {
    pool: HeapPool,
    description: PortDescription,
    statistics: Arc<Statistics>,
}

impl PortControl for PcapControl {
    fn description(&self) -> &PortDescription {
        &self.description
    }

    /// A file has no link to lose.
    fn is_link_up(&mut self) -> bool {
        true
    }

    fn extended_statistics(&mut self) -> Vec<(String, u64)> {
        [
            ("input_broken_records", &self.statistics.broken_records),
            ("output_write_errors", &self.statistics.write_errors),
        ]
        .map(|(name, value)| (name.to_owned(), value.load(Relaxed)))
        .into()
    }

    fn close(self: Box<Self>) -> Vec<PoolBalance> {
        vec![self.pool.balance()]
    }
}
