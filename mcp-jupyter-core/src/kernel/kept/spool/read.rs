use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};

use super::record::{HEADER_LENGTH, Record, RecordHeader, damaged, decode, decode_header};
use super::{Position, segment_path, segments};

/// How much is read at once, in bytes, unless one record is longer.
const READ_SIZE: usize = 256 << 10;

/// Reads a spool that somebody else may be writing. It blocks.
#[derive(Debug)]
pub(in crate::kernel::kept) struct SpoolReader {
    dir: PathBuf,
    position: Position,
    segment: Option<Segment>,
    /// What has been read and not been used yet, from `position` on.
    buffer: Bytes,
}

#[derive(Debug)]
struct Segment {
    start: Position,
    file: File,
}

impl SpoolReader {
    /// A reader of the spool in this folder, from a position on.
    pub(in crate::kernel::kept) fn new(dir: PathBuf, position: Position) -> Self {
        Self {
            dir,
            position,
            segment: None,
            buffer: Bytes::new(),
        }
    }

    pub(in crate::kernel::kept) fn position(&self) -> Position {
        self.position
    }

    /// The next record that begins before `end`, which has to be the end of a record; it is read or skipped next.
    ///
    /// # Errors
    /// Where the file cannot be read, or is damaged.
    pub(in crate::kernel::kept) fn peek(&mut self, end: Position) -> io::Result<Option<RecordHeader>> {
        if self.position >= end {
            return Ok(None);
        }
        self.fill(HEADER_LENGTH, end)?;
        let bytes = self.buffer[..HEADER_LENGTH].try_into().expect("so much was read");
        decode_header(self.position, bytes).map(Some)
    }

    /// The record behind the header that was peeked at last.
    ///
    /// # Errors
    /// Where the file cannot be read, or is damaged.
    pub(in crate::kernel::kept) fn read(&mut self, header: &RecordHeader) -> io::Result<Record> {
        let length = usize::try_from(header.length).map_err(|_| damaged(header.position, "it is too long"))?;
        let whole = HEADER_LENGTH + length;
        let body = if whole <= READ_SIZE {
            self.fill(whole, header.end())?;
            // Of its own, so that it does not keep everything alive that was read with it.
            Bytes::copy_from_slice(&self.buffer[HEADER_LENGTH..whole])
        } else {
            self.read_at(header.position + HEADER_LENGTH as u64, length)?
        };
        self.skip(header);
        decode(header, body)
    }

    /// Leaves out the record behind the header that was peeked at last.
    pub(in crate::kernel::kept) fn skip(&mut self, header: &RecordHeader) {
        let length = usize::try_from(header.end() - self.position).unwrap_or(usize::MAX);
        self.buffer = self.buffer.split_off(length.min(self.buffer.len()));
        self.position = header.end();
    }

    /// Makes sure that so much from the position on is in the buffer.
    fn fill(&mut self, length: usize, end: Position) -> io::Result<()> {
        if self.buffer.len() >= length {
            return Ok(());
        }
        let left = usize::try_from(end.max(self.position + length as u64) - self.position).unwrap_or(usize::MAX);
        self.enter_segment(self.position)?;
        let segment = self.segment.as_ref().expect("it was entered");
        let mut bytes = BytesMut::zeroed(left.min(READ_SIZE).max(length));
        let mut read = 0;
        while read < length {
            let at = self.position - segment.start + read as u64;
            match segment.file.read_at(&mut bytes[read..], at)? {
                0 => return Err(damaged(self.position, "it ends too early")),
                more => read += more,
            }
        }
        bytes.truncate(read);
        self.buffer = bytes.freeze();
        Ok(())
    }

    fn read_at(&mut self, position: Position, length: usize) -> io::Result<Bytes> {
        let segment = self.segment.as_ref().expect("the header was read from it");
        let mut bytes = BytesMut::zeroed(length);
        segment.file.read_exact_at(&mut bytes, position - segment.start)?;
        Ok(bytes.freeze())
    }

    /// Opens the segment that a position lies in. A record lies in one segment, so one that is open is left at its end.
    fn enter_segment(&mut self, position: Position) -> io::Result<()> {
        if let Some(segment) = &self.segment
            && segment.start <= position
            && position < segment.start + segment.file.metadata()?.len()
        {
            return Ok(());
        }
        let starts = segments(&self.dir)?;
        let start = starts.into_iter().rfind(|start| *start <= position);
        let start = start.ok_or_else(|| damaged(position, "this part has been removed"))?;
        let file = File::open(segment_path(&self.dir, start))?;
        self.segment = Some(Segment { start, file });
        Ok(())
    }
}
