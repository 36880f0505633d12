use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::scanner::Scanner;

/// What is read at once: little enough to be in the cache still when it is searched.
const BLOCK: usize = 256 << 10;
/// After so many bytes it is seen whether anybody still waits for what is found.
const TURN: u64 = 64 << 20;

/// Searches a file on local disk on one thread, which reads into the same memory again and again: handing blocks from
/// thread to thread takes longer than searching them.
pub(super) struct FileScan {
    file: File,
    left: Range<u64>,
    block: Vec<u8>,
    scanner: Box<Scanner>,
}

impl FileScan {
    /// Searches this range of the file.
    pub(super) fn new(mut file: File, range: Range<u64>, scanner: Box<Scanner>) -> io::Result<Self> {
        file.seek(SeekFrom::Start(range.start))?;
        Ok(Self {
            file,
            left: range,
            block: vec![0; BLOCK],
            scanner,
        })
    }

    /// Searches on for a while; blocks.
    pub(super) fn turn(mut self) -> io::Result<Self> {
        let until = self.left.end.min(self.left.start.saturating_add(TURN));
        while self.left.start < until && !self.scanner.is_done() {
            let most = usize::try_from(until - self.left.start).map_or(BLOCK, |left| left.min(BLOCK));
            match self.file.read(&mut self.block[..most]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    self.scanner.feed(self.left.start, &self.block[..length]);
                    self.left.start += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self)
    }

    /// The scanner, once all is searched that has to be.
    pub(super) fn finished(self) -> Result<Box<Scanner>, Self> {
        if self.left.is_empty() || self.scanner.is_done() {
            Ok(self.scanner)
        } else {
            Err(self)
        }
    }
}
