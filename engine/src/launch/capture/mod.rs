//! `--capture`: its file, and the thread of the control plane that writes it.

mod config;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

pub use config::{CaptureConfig, CaptureConfigError, CapturedFrames};

use super::error::{Error, UsageError};
use crate::host::Host;
use crate::host::capture::{Chunk, Reasons, Tap, TapConfig, TapEnd};
use crate::port::{FrameQueue, PortDescription};
use crate::sys::Clock;
use crate::telemetry::{CaptureReport, pcapng};
use crate::worker::DatagramQueue as _;

/// How long the writer sleeps when there is nothing to write. A sleeper is never woken, so a
/// worker makes no system call for it.
const NAP: Duration = Duration::from_millis(5);

/// How long a file may take nothing at the end.
const GRACE: Duration = Duration::from_millis(400);

/// A capture's file, open and as it was.
#[derive(Debug)]
pub(super) struct CaptureFile {
    path: PathBuf,
    reasons: Reasons,
    file: File,
}

impl CaptureFile {
    /// Opens the file, and makes it where there is none. What is in it stays until the
    /// capture starts.
    pub(super) fn open(config: &CaptureConfig) -> Result<Self, Error> {
        let path = config.path.clone();
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| Error::Capture { path: path.clone(), source })?;
        Ok(Self { path, reasons: config.frames.reasons(), file })
    }

    /// Empties the file and writes what stands before all frames, an interface for each port.
    /// `others` are the files that the program reads and writes beside it.
    pub(super) fn start<'a>(
        &self,
        ports: &[PortDescription],
        others: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Capture, Error> {
        if let Some(other) = others.into_iter().find(|other| self.is(other)) {
            return Err(UsageError::CaptureOverwrites(other.to_owned()).into());
        }
        let file = self.emptied().and_then(|file| FileEnd::start(file, &head(ports)));
        let file = file.map_err(|source| Error::Capture { path: self.path.clone(), source })?;
        Ok(Capture { path: self.path.clone(), reasons: self.reasons, file, ends: Vec::new() })
    }

    fn is(&self, other: &Path) -> bool {
        let is_same = |(a, b): (std::fs::Metadata, std::fs::Metadata)| {
            a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino())
        };
        self.file.metadata().ok().zip(std::fs::metadata(other).ok()).is_some_and(is_same)
    }

    fn emptied(&self) -> io::Result<File> {
        // A pipe can't be cut, and need not be.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.try_clone()
    }
}

/// The blocks before those of frames.
fn head(ports: &[PortDescription]) -> Vec<u8> {
    let interfaces = ports.iter().map(|port| pcapng::interface(&port.name, &port.driver, port.mac));
    let section = pcapng::section_header(concat!("gannet ", env!("CARGO_PKG_VERSION")));
    std::iter::once(section).chain(interfaces).collect::<Vec<_>>().concat()
}

/// A capture that has a tap in every host.
#[derive(Debug)]
pub(super) struct Capture {
    path: PathBuf,
    reasons: Reasons,
    file: FileEnd,
    ends: Vec<TapEnd>,
}

impl Capture {
    /// Puts a tap into each of the hosts, whose time is this clock's.
    pub(super) fn tap<'a, Q: FrameQueue + 'a>(
        &mut self,
        hosts: impl IntoIterator<Item = &'a mut Host<Q>>,
        clock: &Clock,
    ) {
        let epoch_nanos = epoch_nanos(clock);
        for host in hosts {
            let config = TapConfig { reasons: self.reasons, interface: host.port().0.into(), epoch_nanos };
            let (tap, end) = Tap::open(config, Arc::clone(host.counters()));
            host.capture(tap);
            self.ends.push(end);
        }
    }

    /// Starts to write, on a thread of its own, until all hosts are gone.
    pub(super) fn write(self) -> Writing {
        let Self { path, file, ends, .. } = self;
        let (result, written) = bounded(1);
        let captured = Arc::default();
        let writer = Writer::new(path.clone(), file, ends, Arc::clone(&captured));
        let thread = thread::Builder::new().name("capture".to_owned());
        if let Err(error) = thread.spawn(move || result.send(writer.run())) {
            tracing::error!("there is no thread for the capture, so nothing is captured: {error}");
        }
        Writing { path, captured, written }
    }
}

/// The clock's start, in nanoseconds since 1970.
fn epoch_nanos(clock: &Clock) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    nanos.saturating_sub(clock.now().as_nanos())
}

/// A capture that is being written.
pub(super) struct Writing {
    path: PathBuf,
    /// Frames in the file so far.
    captured: Arc<AtomicU64>,
    written: Receiver<Written>,
}

impl Writing {
    /// Waits until all that was written down is in the file; the hosts have to be gone. A
    /// file that takes nothing for a while, such as a pipe whose reader sleeps, is left.
    pub(super) fn finish(self) -> CaptureReport {
        let mut before = self.captured.load(Relaxed);
        let written = loop {
            match self.written.recv_timeout(GRACE) {
                Ok(written) => break written,
                Err(RecvTimeoutError::Timeout) if self.captured.load(Relaxed) != before => {
                    before = self.captured.load(Relaxed);
                }
                Err(why) => break Written { lost: 0, failure: Some(unfinished(why).to_owned()) },
            }
        };
        CaptureReport {
            file: self.path.display().to_string(),
            captured: self.captured.load(Relaxed),
            missed: written.lost,
            failure: written.failure,
        }
    }
}

fn unfinished(why: RecvTimeoutError) -> &'static str {
    match why {
        RecvTimeoutError::Timeout => "the file took nothing more, and what was left is not counted",
        RecvTimeoutError::Disconnected => "nobody wrote it, and what was left is not counted",
    }
}

/// What came of the frames that hosts wrote down, beside those in the file.
#[derive(Debug)]
struct Written {
    /// Not in the file, because it took no more.
    lost: u64,
    failure: Option<String>,
}

struct Writer {
    path: PathBuf,
    file: FileEnd,
    ends: Vec<TapEnd>,
    captured: Arc<AtomicU64>,
    lost: u64,
    failure: Option<String>,
}

impl Writer {
    fn new(path: PathBuf, file: FileEnd, ends: Vec<TapEnd>, captured: Arc<AtomicU64>) -> Self {
        Self { path, file, ends, captured, lost: 0, failure: None }
    }

    fn run(mut self) -> Written {
        while !self.ends.is_empty() {
            if !self.turn() {
                thread::sleep(NAP);
            }
        }
        Written { lost: self.lost, failure: self.failure }
    }

    /// Writes a chunk of every host that has one. `false` if none has.
    fn turn(&mut self) -> bool {
        let mut ends = std::mem::take(&mut self.ends);
        let mut wrote = false;
        ends.retain(|end| match end.take() {
            Ok(Some(chunk)) => {
                wrote = true;
                self.write(end, chunk);
                true
            }
            Ok(None) => true,
            Err(_closed) => false,
        });
        self.ends = ends;
        wrote
    }

    /// After an error nothing more is written, and no chunk goes back: the hosts run out of
    /// them, and count what they would have written down.
    fn write(&mut self, end: &TapEnd, chunk: Chunk) {
        if self.failure.is_some() {
            self.lost += chunk.frames();
            return;
        }
        match self.file.append(chunk.blocks()) {
            Ok(()) => {
                self.captured.fetch_add(chunk.frames(), Relaxed);
                end.give_back(chunk);
            }
            Err(error) => {
                tracing::error!("the capture {} ends here: {error}", self.path.display());
                self.lost += chunk.frames();
                self.failure = Some(error.to_string());
            }
        }
    }
}

/// The end of a file, after whole blocks.
#[derive(Debug)]
struct FileEnd {
    file: File,
    /// Bytes before it.
    len: u64,
}

impl FileEnd {
    fn start(file: File, head: &[u8]) -> io::Result<Self> {
        let mut end = Self { file, len: 0 };
        end.append(head)?;
        Ok(end)
    }

    /// Writes all of the blocks, or none of them.
    fn append(&mut self, blocks: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(blocks);
        match written {
            Ok(()) => self.len += blocks.len() as u64,
            // Best effort: a pipe or a device can't be cut.
            Err(_) => _ = self.file.set_len(self.len),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::time::Instant;

    use super::*;
    use crate::telemetry::{Counter, Counters};

    fn written_to(path: &str, taps: usize) -> (Vec<Tap>, Arc<Counters>, Writer) {
        let file = File::options().write(true).open(path).expect("Linux has it");
        let counters = Arc::new(Counters::default());
        let config = TapConfig { reasons: Reasons::drops(), interface: 0, epoch_nanos: 0 };
        let open = |_| Tap::open(config, Arc::clone(&counters));
        let (taps, ends) = (0..taps).map(open).unzip();
        let file = FileEnd { file, len: 0 };
        (taps, counters, Writer::new(path.into(), file, ends, Arc::default()))
    }

    #[test]
    fn the_writer_ends_with_its_hosts_and_counts_what_it_wrote() {
        let (mut taps, counters, writer) = written_to("/dev/null", 3);
        taps.iter_mut().for_each(|tap| tap.record(Counter::Runt, b"short"));
        drop(taps);
        let captured = Arc::clone(&writer.captured);
        let Written { lost, failure } = writer.run();
        assert_eq!((captured.load(Relaxed), lost, failure), (3, 0, None));
        assert_eq!(counters.snapshot()[Counter::CaptureMissed], 0);
    }

    #[test]
    fn a_full_disk_ends_the_capture_and_every_frame_is_accounted_for() {
        let (mut taps, counters, mut writer) = written_to("/dev/full", 1);
        let mut tap = taps.remove(0);
        let frame = vec![0; 9000];
        for _ in 0..1000 {
            tap.record(Counter::Runt, &frame);
            writer.turn();
        }
        drop(tap);
        let captured = Arc::clone(&writer.captured);
        let Written { lost, failure } = writer.run();
        let missed = counters.snapshot()[Counter::CaptureMissed];
        assert_eq!((captured.load(Relaxed), lost + missed), (0, 1000));
        assert!(failure.expect("it failed").contains("No space left"));
        assert!(lost < 1000, "the host runs out of chunks");
    }

    #[test]
    fn a_pipe_whose_reader_sleeps_does_not_keep_the_program() {
        let (reader, pipe) = io::pipe().expect("a pipe");
        let config = TapConfig { reasons: Reasons::drops(), interface: 0, epoch_nanos: 0 };
        let (mut tap, end) = Tap::open(config, Arc::default());
        // More than a pipe holds.
        (0..100).for_each(|_| tap.record(Counter::Runt, &[0; 2000]));
        drop(tap);
        let file = FileEnd { file: OwnedFd::from(pipe).into(), len: 0 };
        let capture = Capture { path: "pipe".into(), reasons: config.reasons, file, ends: vec![end] };
        let begin = Instant::now();
        let report = capture.write().finish();
        assert!(begin.elapsed() >= GRACE, "it was given time");
        assert_eq!(report.captured, 0);
        assert!(report.failure.expect("it failed").contains("took nothing more"));
        drop(reader);
    }

    #[test]
    fn the_clock_s_start_is_now_less_its_time() {
        let clock = Clock::start();
        thread::sleep(Duration::from_millis(30));
        let started = Duration::from_nanos(epoch_nanos(&clock)) + (clock.now() - crate::Time::ZERO);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        assert!(now.abs_diff(started) < Duration::from_millis(10), "{now:?} {started:?}");
    }
}
