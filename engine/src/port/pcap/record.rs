//! The output side: a capture file written burst by burst.

use std::fs::File;
use std::io::{self, Write};

use super::format::{Timestamp, file_header, record_header};

/// A capture file being written. One burst is one write, so what was sent is in the file
/// when `tx_burst` returns.
pub(super) struct Recorder {
    output: File,
    /// The records of the present burst.
    pending: Vec<u8>,
    /// Bytes of whole records in the file.
    written: u64,
    failed: bool,
}

impl Recorder {
    /// Makes `output` an empty capture file with room for `burst_len` bytes of records per
    /// burst without allocation.
    pub(super) fn start(mut output: File, burst_len: usize) -> io::Result<Self> {
        let header = file_header();
        output.write_all(&header)?;
        Ok(Self {
            output,
            pending: Vec::with_capacity(burst_len),
            written: header.len() as u64,
            failed: false,
        })
    }

    /// Adds a frame to the present burst.
    pub(super) fn add(&mut self, timestamp: Timestamp, frame: &[u8]) {
        self.pending.extend_from_slice(&record_header(timestamp, frame.len()));
        self.pending.extend_from_slice(frame);
    }

    /// Writes the present burst. After an error nothing more is written: what is in the
    /// file are the bursts before, and they are whole.
    pub(super) fn flush(&mut self) -> Written {
        let result = if self.failed { Ok(()) } else { self.output.write_all(&self.pending) };
        let len = self.pending.len() as u64;
        self.pending.clear();
        match result {
            Ok(()) if self.failed => Written::Refused,
            Ok(()) => {
                self.written += len;
                Written::Whole
            }
            Err(error) => {
                self.failed = true;
                // Best effort: a pipe or a device can't be cut.
                let _ = self.output.set_len(self.written);
                Written::Failed(error)
            }
        }
    }
}

/// What became of a burst.
#[derive(Debug)]
pub(super) enum Written {
    /// It is in the file.
    Whole,
    /// It is not, for this reason.
    Failed(io::Error),
    /// It is not, because one before it failed.
    Refused,
}

#[cfg(test)]
impl Recorder {
    /// A recorder on a file that takes nothing, as on a full disk.
    pub(super) fn on_full_disk(output: File) -> Self {
        Self { output, pending: Vec::new(), written: 0, failed: false }
    }
}
