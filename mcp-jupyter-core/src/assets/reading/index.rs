//! Where the lines of an asset begin: every so many-th, so that any asset's fits into 64 KiB.

use std::sync::{Arc, Mutex, PoisonError};

use memchr::memchr_iter;

use crate::model::Digest;

/// How many places an index keeps; with 8 bytes each a little less than 64 KiB.
const PLACES: usize = 8000;
/// The distance of two places at first, in lines; it doubles whenever there are too many.
const STRIDE: u64 = 64;
/// Line ends are counted in parts of this size, and only those that hold a place are looked at more closely.
const PART: usize = 4096;
/// How many assets' indices are remembered: about a mebibyte.
const REMEMBERED: usize = 16;

/// A sparse index of the lines from the start of an asset up to where it was gone through.
#[derive(Clone, Debug)]
pub(super) struct LineIndex {
    stride: u64,
    /// Where line `(i + 1) * stride + 1` begins.
    places: Vec<u64>,
    /// Where going through it has stopped, and how many line ends are before that.
    seen: Place,
    last: u8,
}

/// A place, and how many line ends are before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) line_ends: u64,
}

impl Default for LineIndex {
    fn default() -> Self {
        Self {
            stride: STRIDE,
            places: Vec::new(),
            seen: Place::default(),
            last: b'\n',
        }
    }
}

impl LineIndex {
    /// Counts the line ends in `bytes`, which are at `offset`, and takes in what it has not seen of them. What would
    /// leave a gap is counted alone.
    pub(super) fn observe(&mut self, offset: u64, bytes: &[u8]) -> u64 {
        let known = self.seen.offset.saturating_sub(offset);
        let Some(known) = usize::try_from(known).ok().filter(|known| *known < bytes.len()) else {
            return count(bytes);
        };
        if offset > self.seen.offset {
            return count(bytes);
        }
        let (old, new) = bytes.split_at(known);
        let before = self.seen.line_ends;
        new.chunks(PART).for_each(|part| self.extend(part));
        self.last = new.last().copied().unwrap_or(self.last);
        count(old) + self.seen.line_ends - before
    }

    fn extend(&mut self, part: &[u8]) {
        let ends = count(part);
        let mut skipped = 0;
        let mut positions = memchr_iter(b'\n', part);
        while self.next_place() <= self.seen.line_ends + ends {
            let wanted = self.next_place() - self.seen.line_ends;
            let Some(position) = positions.nth(usize::try_from(wanted - skipped - 1).unwrap_or(usize::MAX)) else {
                break;
            };
            skipped = wanted;
            self.places.push(self.seen.offset + position as u64 + 1);
            if self.places.len() > PLACES {
                self.thin_out();
            }
        }
        self.seen.line_ends += ends;
        self.seen.offset += part.len() as u64;
    }

    /// How many line ends are before the place that is to be noted next.
    fn next_place(&self) -> u64 {
        (self.places.len() as u64 + 1) * self.stride
    }

    fn thin_out(&mut self) {
        let mut number = 0_usize;
        self.places.retain(|_| {
            number += 1;
            number.is_multiple_of(2)
        });
        self.stride *= 2;
    }

    /// The nearest known place from which line `line` can be found by going on.
    pub(super) fn before(&self, line: u64) -> Place {
        let line_ends = line - 1;
        if self.seen.line_ends < line_ends {
            return self.seen;
        }
        let number = usize::try_from(line_ends / self.stride).unwrap_or(usize::MAX);
        let number = number.min(self.places.len());
        match number.checked_sub(1) {
            Some(index) => Place {
                offset: self.places[index],
                line_ends: number as u64 * self.stride,
            },
            None => Place::default(),
        }
    }

    /// A place that is known to lie behind the start of line `line`.
    pub(super) fn after(&self, line: u64) -> Option<u64> {
        let index = usize::try_from((line - 1) / self.stride).ok()?;
        self.places.get(index).copied()
    }

    /// Where it has to be gone on from.
    pub(super) fn seen(&self) -> u64 {
        self.seen.offset
    }

    /// How many lines there are, once all of the asset's bytes were seen.
    pub(super) fn total(&self, length: u64) -> Option<u64> {
        (self.seen.offset >= length).then(|| self.seen.line_ends + u64::from(self.last != b'\n'))
    }
}

pub(super) fn count(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The indices of the assets that were read last.
#[derive(Debug, Default)]
pub(super) struct Indices(Mutex<Vec<(Digest, Arc<LineIndex>)>>);

impl Indices {
    /// The index of this asset, or an empty one.
    pub(super) fn get(&self, digest: &Digest) -> Arc<LineIndex> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(position) = all.iter().position(|(known, _)| known == digest) else {
            return Arc::default();
        };
        // The one that was used last is at the end.
        let entry = all.remove(position);
        let index = Arc::clone(&entry.1);
        all.push(entry);
        index
    }

    /// Remembers it, unless more is known by now.
    pub(super) fn put(&self, digest: &Digest, index: Arc<LineIndex>) {
        if index.seen() <= self.get(digest).seen() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| known != digest);
        if all.len() == REMEMBERED {
            all.remove(0);
        }
        all.push((*digest, index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_the_starts_of_their_lines_however_many_there_are() {
        let line = b"1234567\n";
        let text = line.repeat(PLACES * 64 * 5);
        let mut index = LineIndex::default();
        for (number, chunk) in text.chunks(100_003).enumerate() {
            assert_eq!(index.observe(number as u64 * 100_003, chunk), count(chunk));
        }
        assert!(index.places.len() <= PLACES && index.places.len() > PLACES / 3);
        assert_eq!(index.total(text.len() as u64), Some(text.len() as u64 / 8));
        for wanted in [1, 2, 64, 65, 1000, 512, 513, 2_000_000, 2_560_000] {
            let place = index.before(wanted);
            assert_eq!(place.offset, place.line_ends * 8);
            assert!(place.line_ends < wanted && place.line_ends + index.stride >= wanted);
            assert!(index.after(wanted).is_none_or(|offset| offset > (wanted - 1) * 8));
        }
    }

    #[test]
    fn what_was_seen_or_leaves_a_gap_is_counted_and_changes_nothing() {
        let mut index = LineIndex::default();
        assert_eq!(index.observe(0, b"a\nb\n"), 2);
        assert_eq!(index.observe(2, b"b\nc\nd"), 2);
        assert_eq!(index.observe(100, b"\n\n"), 2);
        assert_eq!(index.observe(0, b"a\n"), 1);
        assert_eq!(
            index.seen,
            Place {
                offset: 7,
                line_ends: 3
            }
        );
        assert_eq!((index.total(7), index.total(8)), (Some(4), None));
    }

    #[test]
    fn the_index_that_was_not_used_for_longest_is_forgotten() {
        let indices = Indices::default();
        let digests: Vec<Digest> = (0..=REMEMBERED)
            .map(|number| Digest::of(&number.to_be_bytes()))
            .collect();
        let mut index = LineIndex::default();
        index.observe(0, b"a");
        for digest in &digests {
            indices.put(digest, Arc::new(index.clone()));
            indices.get(&digests[0]);
        }
        assert_eq!(indices.get(&digests[0]).seen(), 1);
        assert_eq!(indices.get(&digests[1]).seen(), 0);
    }
}
