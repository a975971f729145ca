//! The input side: a capture file read frame by frame.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::PcapError;
use super::format::{FILE_HEADER_LEN, Layout, MAX_RECORD_LEN, RECORD_HEADER_LEN, Record, Timestamp};
use crate::packet::Packet;
use crate::port::heap::HeapPacket;
use crate::wire::ethernet;
use crate::wire::ethernet::MacAddress;

/// Bytes read at once.
const BUFFER_LEN: usize = 256 << 10;

/// A capture file being read.
pub(super) struct Replay {
    input: BufReader<File>,
    layout: Layout,
    ended: bool,
    timestamp: Timestamp,
}

/// What the next record of the file was.
#[derive(Debug)]
pub(super) enum Next {
    /// A whole frame; it is in the packet.
    Frame,
    /// A frame that the capture cut, or that is longer than the packet's room.
    Truncated,
    /// No record: the file came to its end.
    End,
    /// No record that can be read, and so none after it.
    Broken(RecordError),
}

/// Why a file's remainder can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("a record claims more than {MAX_RECORD_LEN} bytes")]
    Oversized,
    #[error("the file ends within a record")]
    CutOff,
    #[error(transparent)]
    Read(io::Error),
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Read(error),
        }
    }
}

impl Replay {
    /// Reads the file's header.
    pub(super) fn open(path: &Path) -> Result<Self, PcapError> {
        let read_error = |source| PcapError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read_error)?;
        let mut input = BufReader::with_capacity(BUFFER_LEN, file);
        let mut header = [0; FILE_HEADER_LEN];
        input.read_exact(&mut header).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => PcapError::TooShort { path: path.to_owned() },
            _ => read_error(error),
        })?;
        let layout =
            Layout::parse(&header).map_err(|reason| PcapError::Header { path: path.to_owned(), reason })?;
        Ok(Self { input, layout, ended: false, timestamp: Timestamp::default() })
    }

    /// The file that is read.
    pub(super) fn file(&self) -> &File {
        self.input.get_ref()
    }

    /// Whether there is nothing more to read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// When the last frame that came out was captured; zero before the first.
    pub(super) fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Destination address of the first frame, if the file has one. Called before [`next`](Self::next).
    pub(super) fn first_destination(&mut self) -> Option<MacAddress> {
        let (header, rest) = self.input.fill_buf().ok()?.split_first_chunk()?;
        let record = self.layout.record(header)?;
        let (header, _) = ethernet::Header::split(rest.get(..record.len)?)?;
        Some(header.destination())
    }

    /// Reads the next record, its frame into `packet`.
    pub(super) fn next(&mut self, packet: &mut HeapPacket) -> Next {
        if self.ended {
            return Next::End;
        }
        let next = self.read_record(packet).unwrap_or_else(Next::Broken);
        self.ended = matches!(next, Next::End | Next::Broken(_));
        next
    }

    fn read_record(&mut self, packet: &mut HeapPacket) -> Result<Next, RecordError> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(Next::End);
        }
        let mut header = [0; RECORD_HEADER_LEN];
        self.input.read_exact(&mut header)?;
        let record = self.layout.record(&header).ok_or(RecordError::Oversized)?;
        match packet.room_mut().get_mut(..record.len) {
            Some(frame) if !record.is_cut => self.input.read_exact(frame)?,
            _ => return self.skip(record),
        }
        packet.set_frame_len(record.len);
        self.timestamp = record.timestamp;
        Ok(Next::Frame)
    }

    fn skip(&mut self, record: Record) -> Result<Next, RecordError> {
        let len = record.len as u64;
        let skipped = io::copy(&mut self.input.by_ref().take(len), &mut io::sink())?;
        if skipped == len { Ok(Next::Truncated) } else { Err(RecordError::CutOff) }
    }
}
