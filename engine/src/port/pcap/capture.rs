//! A capture file read as a whole, for tools that want its frames and no port.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::PcapError;
use super::format::{FILE_HEADER_LEN, Layout, RECORD_HEADER_LEN};

/// A classic capture file of Ethernet frames, in memory.
#[derive(Clone, Debug)]
pub struct Capture {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Capture {
    /// Reads a file.
    ///
    /// # Errors
    /// [`PcapError::Read`], [`PcapError::TooShort`] or [`PcapError::Header`].
    pub fn read(path: &Path) -> Result<Self, PcapError> {
        let owned = || PathBuf::from(path);
        let bytes = std::fs::read(path).map_err(|source| PcapError::Read { path: owned(), source })?;
        let header = bytes.first_chunk::<FILE_HEADER_LEN>().ok_or(PcapError::TooShort { path: owned() })?;
        let layout = Layout::parse(header).map_err(|reason| PcapError::Header { path: owned(), reason })?;
        Ok(Self { layout, bytes })
    }

    /// When each frame was captured, since 1970, and its bytes. Frames that the capture cut are
    /// left out; it ends with the file, or where that can't be read on.
    pub fn frames(&self) -> impl Iterator<Item = (Duration, &[u8])> {
        let mut rest = &self.bytes[FILE_HEADER_LEN..];
        let next = move || {
            let (header, behind) = rest.split_first_chunk::<RECORD_HEADER_LEN>()?;
            let record = self.layout.record(header)?;
            let (frame, behind) = behind.split_at_checked(record.len)?;
            rest = behind;
            let at = Duration::new(record.timestamp.seconds.into(), record.timestamp.nanoseconds);
            Some((!record.is_cut).then_some((at, frame)))
        };
        std::iter::from_fn(next).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{Timestamp, file_header, record_header};
    use super::*;

    #[test]
    fn frames_have_their_times_and_end_where_the_file_does() {
        let at = |seconds| Timestamp { seconds, nanoseconds: 5 };
        let mut cut = record_header(at(2), 2);
        cut[12] = 9;
        let records: [&[u8]; 6] =
            [&record_header(at(1), 3), b"one", &cut, b"cu", &record_header(at(3), 4), b"four"];
        let whole = [&file_header()[..], &records.concat()].concat();
        for (file, count) in [(&whole[..], 2), (&whole[..whole.len() - 1], 1)] {
            let capture =
                Capture { layout: Layout::parse(&file_header()).expect("valid"), bytes: file.into() };
            let frames: Vec<_> = capture.frames().collect();
            let expected = [(Duration::new(1, 5), &b"one"[..]), (Duration::new(3, 5), b"four")];
            assert_eq!(frames, expected[..count]);
        }
    }

    #[test]
    fn what_is_no_capture_is_said() {
        let path = std::env::temp_dir().join(format!("gannet-capture-{}", std::process::id()));
        assert!(matches!(Capture::read(&path), Err(PcapError::Read { .. })));
        for (bytes, is_short) in [(&[0; 8][..], true), (&[0; 24], false)] {
            std::fs::write(&path, bytes).expect("written");
            let error = Capture::read(&path).expect_err("no capture");
            assert_eq!(matches!(error, PcapError::TooShort { .. }), is_short, "{error}");
        }
        std::fs::remove_file(&path).expect("there");
    }
}
