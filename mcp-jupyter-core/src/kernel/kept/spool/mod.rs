//! Everything that a kernel has said and was asked, in files that only grow.
//!
//! The keeper writes; clients read the same files up to the end that the keeper tells them, so nothing is copied from
//! process to process. A [`Position`] counts the bytes from the beginning of the kernel's life. What lies before the
//! position that a client has acknowledged is removed, a whole segment at a time.

mod read;
mod record;
mod write;

use std::path::{Path, PathBuf};

pub(super) use read::SpoolReader;
pub(super) use record::{Kind, Record, RecordHeader};
pub(super) use write::{Appended, Spool};

/// Where something lies in a spool: bytes from the beginning of the kernel's life.
pub(super) type Position = u64;

/// A segment longer than this is followed by another one, in bytes.
const SEGMENT_LENGTH: u64 = 16 << 20;

/// The first part of the name of a segment; its position follows in hexadecimal digits.
const SEGMENT_PREFIX: &str = "spool-";

fn segment_path(dir: &Path, start: Position) -> PathBuf {
    dir.join(format!("{SEGMENT_PREFIX}{start:016x}"))
}

/// Where the segments of a folder begin, in order.
fn segments(dir: &Path) -> std::io::Result<Vec<Position>> {
    let mut starts: Vec<Position> = std::fs::read_dir(dir)?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            Position::from_str_radix(name.to_str()?.strip_prefix(SEGMENT_PREFIX)?, 16).ok()
        })
        .collect();
    starts.sort_unstable();
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::Channel;

    fn read_all(dir: &Path, from: Position, end: Position) -> Vec<(Position, Record)> {
        let mut reader = SpoolReader::new(dir.to_owned(), from);
        let mut found = Vec::new();
        while let Some(header) = reader.peek(end).unwrap() {
            found.push((header.position, reader.read(&header).unwrap()));
        }
        found
    }

    fn message(size: usize, tag: usize) -> Vec<Bytes> {
        vec![Bytes::from(tag.to_string()), Bytes::new(), Bytes::from(vec![7; size])]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Whatever the sizes, and wherever the writer died in between, what was appended is read, in order.
        #[test]
        fn what_was_appended_is_read(
            sizes in prop::collection::vec(prop_oneof![4 => 0..200_usize, 1 => 3_000_000..9_000_000_usize], 1..30),
            reopened in any::<prop::sample::Index>(), torn in 0..40_u64,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut spool = Spool::create(dir.path(), u64::MAX).unwrap();
            let reopened = reopened.index(sizes.len());
            let mut positions = Vec::new();
            for (tag, size) in sizes.iter().enumerate() {
                if tag == reopened {
                    drop(spool);
                    let last = *segments(dir.path()).unwrap().last().unwrap();
                    let path = segment_path(dir.path(), last);
                    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                    let length = file.metadata().unwrap().len();
                    file.set_len(length + torn).unwrap();
                    spool = Spool::reopen(dir.path(), u64::MAX).unwrap();
                }
                let appended = spool.append(Kind::Received, Some(Channel::Iopub), &message(*size, tag), false);
                positions.push(match appended.unwrap() { Appended::At(position) => position, Appended::Dropped => panic!() });
            }
            let end = *spool.end().borrow();
            let found = read_all(dir.path(), 0, end);
            prop_assert_eq!(found.len(), sizes.len());
            for (tag, (position, record)) in found.into_iter().enumerate() {
                prop_assert_eq!(position, positions[tag]);
                prop_assert_eq!(record.parts, message(sizes[tag], tag));
            }
            let middle = positions[positions.len() / 2];
            spool.trim(middle).unwrap();
            prop_assert_eq!(read_all(dir.path(), middle, end).len(), sizes.len() - sizes.len() / 2);
        }
    }

    #[test]
    fn at_the_limit_outputs_are_dropped_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::create(dir.path(), 10_000).unwrap();
        let append =
            |size, tag, essential| spool.append(Kind::Received, Some(Channel::Iopub), &message(size, tag), essential);
        append(9_000, 0, false).unwrap();
        assert!(matches!(append(5_000, 1, false).unwrap(), Appended::Dropped));
        assert!(matches!(append(5_000, 2, false).unwrap(), Appended::Dropped));
        append(100, 3, true).unwrap();
        let found = read_all(dir.path(), 0, *spool.end().borrow());
        let kinds: Vec<Kind> = found.iter().map(|(_, record)| record.kind).collect();
        assert_eq!(kinds, [Kind::Received, Kind::Gap, Kind::Received]);
        let gap: serde_json::Value = serde_json::from_slice(&found[1].1.parts[0]).unwrap();
        assert_eq!(
            (gap["messages"].as_u64(), gap["bytes"].as_u64()),
            (Some(2), Some(10_002))
        );
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::create(dir.path(), u64::MAX).unwrap();
        spool.append(Kind::Received, None, &message(100, 0), true).unwrap();
        let path = segment_path(dir.path(), 0);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut reader = SpoolReader::new(dir.path().to_owned(), 0);
        let header = reader.peek(*spool.end().borrow()).unwrap().unwrap();
        let error = reader.read(&header).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
    }
}
