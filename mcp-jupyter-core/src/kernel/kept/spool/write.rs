use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::read::SpoolReader;
use super::record::{Kind, encode};
use super::{Position, SEGMENT_LENGTH, segment_path, segments};
use crate::kernel::Channel;

/// The name of a file that is removed when the disk is full, so that the end of what runs can still be written.
const RESERVE: &str = "reserve";

/// How long that file is, in bytes.
const RESERVE_LENGTH: usize = 1 << 20;

/// Messages that had to be dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel::kept) struct Gap {
    messages: u64,
    bytes: u64,
}

/// What became of a record.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel::kept) enum Appended {
    /// It begins here.
    At(Position),
    /// There was no room; the next record that is written tells how much is missing.
    Dropped,
}

/// The writer of a spool. It blocks for as long as writing to the system's cache takes.
#[derive(Debug)]
pub(in crate::kernel::kept) struct Spool {
    dir: PathBuf,
    /// Outputs are dropped rather than more than this kept, in bytes.
    limit: u64,
    writer: Mutex<Writer>,
    end: watch::Sender<Position>,
}

#[derive(Debug)]
struct Writer {
    file: File,
    segment: Position,
    start: Position,
    end: Position,
    gap: Gap,
}

impl Spool {
    /// Begins a spool in an empty folder.
    pub(in crate::kernel::kept) fn create(dir: &Path, limit: u64) -> io::Result<Self> {
        fs::write(dir.join(RESERVE), vec![0; RESERVE_LENGTH])?;
        let file = open_segment(dir, 0)?;
        Ok(Self::over(dir, limit, file, 0, 0, 0))
    }

    /// Goes on with a spool whose writer is gone. A record that it was just writing is cut off: nobody has been told of it.
    pub(in crate::kernel::kept) fn reopen(dir: &Path, limit: u64) -> io::Result<Self> {
        let starts = segments(dir)?;
        let (Some(start), Some(last)) = (starts.first().copied(), starts.last().copied()) else {
            return Self::create(dir, limit);
        };
        let file = open_segment(dir, last)?;
        let end = sound_end(dir, last, last + file.metadata()?.len());
        file.set_len(end - last)?;
        Ok(Self::over(dir, limit, file, last, start, end))
    }

    fn over(dir: &Path, limit: u64, file: File, segment: Position, start: Position, end: Position) -> Self {
        Self {
            dir: dir.to_owned(),
            limit,
            writer: Mutex::new(Writer {
                file,
                segment,
                start,
                end,
                gap: Gap::default(),
            }),
            end: watch::Sender::new(end),
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the spool ends, and every change of it.
    pub(in crate::kernel::kept) fn end(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    /// Appends a record. One that is not essential is dropped, and counted, where there is no room for it.
    ///
    /// # Errors
    /// Where an essential one cannot be written.
    pub(in crate::kernel::kept) fn append(
        &self,
        kind: Kind,
        channel: Option<Channel>,
        parts: &[Bytes],
        is_essential: bool,
    ) -> io::Result<Appended> {
        let mut writer = self.writer();
        let size: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let is_full = writer.end - writer.start + size > self.limit;
        let appended = if is_full && !is_essential {
            None
        } else {
            match self.write(&mut writer, kind, channel, parts) {
                Ok(position) => Some(position),
                Err(_) if !is_essential => None,
                Err(_) if fs::remove_file(self.dir.join(RESERVE)).is_ok() => {
                    Some(self.write(&mut writer, kind, channel, parts)?)
                }
                Err(error) => return Err(error),
            }
        };
        if appended.is_none() {
            writer.gap.messages += 1;
            writer.gap.bytes += size;
        }
        self.end.send_replace(writer.end);
        Ok(appended.map_or(Appended::Dropped, Appended::At))
    }

    /// Writes what is missing, and then the record.
    fn write(
        &self,
        writer: &mut Writer,
        kind: Kind,
        channel: Option<Channel>,
        parts: &[Bytes],
    ) -> io::Result<Position> {
        if writer.gap != Gap::default() {
            let gap = serde_json::to_vec(&writer.gap).map_err(io::Error::other)?;
            writer.put(&encode(Kind::Gap, None, &[gap.into()]))?;
            writer.gap = Gap::default();
        }
        if writer.end - writer.segment > SEGMENT_LENGTH {
            writer.file = open_segment(&self.dir, writer.end)?;
            writer.segment = writer.end;
        }
        writer.put(&encode(kind, channel, parts))
    }

    /// Removes the segments that end before a position.
    pub(in crate::kernel::kept) fn trim(&self, before: Position) -> io::Result<()> {
        let starts = segments(&self.dir)?;
        for (start, next) in starts.iter().zip(starts.iter().skip(1)) {
            if *next <= before {
                fs::remove_file(segment_path(&self.dir, *start))?;
            }
        }
        let mut writer = self.writer();
        writer.start = writer.start.max(before.min(writer.end));
        drop(writer);
        let reserve = self.dir.join(RESERVE);
        if !reserve.exists() {
            // There may be room again.
            let _ = fs::write(reserve, vec![0; RESERVE_LENGTH]);
        }
        Ok(())
    }
}

impl Writer {
    /// Writes a record wholly, or nothing of it.
    fn put(&mut self, pieces: &[Bytes]) -> io::Result<Position> {
        let start = self.end;
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        if let Err(error) = write_all_vectored(&mut self.file, &mut slices) {
            self.file.set_len(start - self.segment)?;
            return Err(error);
        }
        self.end += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        Ok(start)
    }
}

fn write_all_vectored(file: &mut File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) if slices.iter().all(|slice| slice.is_empty()) => return Ok(()),
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn open_segment(dir: &Path, start: Position) -> io::Result<File> {
    let path = segment_path(dir, start);
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The end of the last whole record.
fn sound_end(dir: &Path, start: Position, length: Position) -> Position {
    let mut reader = SpoolReader::new(dir.to_owned(), start);
    while let Ok(Some(header)) = reader.peek(length) {
        if header.end() > length || reader.read(&header).is_err() {
            return header.position;
        }
    }
    reader.position()
}
