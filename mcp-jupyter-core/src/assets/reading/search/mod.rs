//! Searching an asset line by line, as a stream.
//!
//! Blocks of whole lines are searched at once; lines are told apart only where something is found. A line that is too
//! long to be held is searched in parts that overlap.

mod collector;
mod file;
mod matcher;
mod scanner;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::assets::error::AssetError;
use crate::model::Digest;

use super::left::{Left, Unit};
use super::lines::no_such_line;
use super::{AssetReader, require};

use self::file::FileScan;
use self::matcher::Matcher;
use self::scanner::Scanner;

/// A longer line is searched in parts of this size.
pub(super) const PART: usize = 1 << 20;
/// More lines of context are nothing that somebody reads, and have to be remembered while searching.
const CONTEXT_LIMIT: usize = 1000;

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This text.
    Literal(String),
    /// A regular expression of the regex crate. `^` and `$` are the ends of a line, `.` is no line end.
    Regex(String),
}

/// What to search for, and how much of it to give.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Search {
    /// What a line has to contain.
    pub pattern: Pattern,
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
    /// How many lines to show before each match, at most 1000.
    pub before: usize,
    /// How many lines to show after each match, at most 1000.
    pub after: usize,
    /// The first line to search.
    pub from_line: u64,
    /// How many lines to find.
    pub max_matches: u64,
    /// How many bytes of lines to give; one match is given in any case.
    pub max_bytes: usize,
    /// How many bytes of each line to give, around the match.
    pub max_line: usize,
}

impl Search {
    /// A search for this, without context, for 100 matches, 64 KiB in all, and 1000 bytes of each line.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            ignore_case: false,
            before: 0,
            after: 0,
            from_line: 1,
            max_matches: 100,
            max_bytes: 64 << 10,
            max_line: 1000,
        }
    }

    fn check(&self) -> Result<(), AssetError> {
        if self.before.max(self.after) > CONTEXT_LIMIT {
            return Err(AssetError::invalid(
                format!("{} lines of context", self.before.max(self.after)),
                format!("at most {CONTEXT_LIMIT} are given"),
            ));
        }
        if self.from_line == 0 {
            return Err(AssetError::invalid("line 0", "lines count from 1"));
        }
        require(self.max_bytes.min(self.max_line))?;
        require(usize::try_from(self.max_matches).unwrap_or(usize::MAX))
    }
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Matches {
    /// How many lines match, of those that were searched.
    pub matches: u64,
    /// They and their context. What follows each other or overlaps is one passage.
    pub passages: Vec<Passage>,
    /// Why the search has stopped before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// The first line that was so long that it was searched in parts: a match that is longer than a sixteenth of a part
    /// may have been missed where two of them meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_parts: Option<u64>,
    /// Which lines were not searched.
    pub left: Left,
}

/// Lines that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// The lines.
    pub lines: Vec<FoundLine>,
}

/// A line that matches, or is near one that does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundLine {
    /// Its number.
    pub number: u64,
    /// Where in the asset it begins.
    pub offset: u64,
    /// The line without its end; what is no UTF-8 is U+FFFD.
    pub text: String,
    /// Whether it matches.
    pub is_match: bool,
    /// The bytes of the asset that `text` is, where the line is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Range<u64>>,
}

/// Where a search has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Why.
    pub reason: StopReason,
    /// The line from which to search on.
    pub next_line: u64,
}

/// Why a search stops before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// There are as many matches as were asked for.
    Matches,
    /// What was found has as many bytes as were asked for.
    Bytes,
}

impl Matches {
    /// What was not searched or is not shown, and how to get it.
    pub fn notice(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(Stopped { reason, next_line }) = self.stopped {
            let why = match reason {
                StopReason::Matches => format!("after {} matches", self.matches),
                StopReason::Bytes => format!("after {} matches, which fill the limit of bytes", self.matches),
            };
            parts.push(format!("the search stopped {why}; search on from line {next_line}"));
        }
        if let Some(left) = self.left.sentence() {
            parts.push(left.replace("left out", "not searched"));
        }
        if let Some(line) = self.in_parts {
            parts.push(format!(
                "line {line} is so long that it was searched in parts: a long match where two of them meet may be missing"
            ));
        }
        let lines = || self.passages.iter().flat_map(|passage| &passage.lines);
        let cut = lines().filter(|line| line.cut.is_some()).count();
        if let Some((line, shown)) = lines().find_map(|line| Some((line.number, line.cut.as_ref()?))) {
            let count = if cut == 1 {
                "1 line is cut".to_owned()
            } else {
                format!("{cut} lines are cut")
            };
            let (start, end) = (shown.start, shown.end);
            parts.push(format!(
                "{count}: of line {line}, bytes {start}..{end} are shown; read around them with bytes"
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

impl AssetReader {
    /// The lines that match. Counting goes on up to the limits, which the result tells if they were reached.
    ///
    /// # Errors
    /// As [`super::super::AssetStore::get`]; [`AssetError::Invalid`] for a pattern that is none, is empty or holds a line
    /// end, for limits of nothing, and for a first line that is not there.
    pub async fn search(&self, digest: &Digest, search: &Search) -> Result<Matches, AssetError> {
        search.check()?;
        let matcher = Matcher::new(search)?;
        let metadata = self.store.head(digest).await?;
        let (length, total) = (metadata.length, self.known_total(digest, &metadata));
        let start = match search.from_line {
            1 => Some(0),
            line => self.locate(digest, length, line, total).await?,
        };
        let Some(start) = start else {
            let total = self.known_total(digest, &metadata);
            return Err(no_such_line(digest, &format!("{}-", search.from_line), total));
        };
        let index = self.indices.get(digest);
        let scanner = Scanner::new(matcher, search, Arc::unwrap_or_clone(index), start, self.part);
        let mut scanner = self.scan(digest, start..length, Box::new(scanner)).await?;
        scanner.finish();
        let (mut found, index) = scanner.into_found();
        self.indices.put(digest, Arc::new(index));
        // What stops with the very last line has not missed anything.
        let total = self.known_total(digest, &metadata);
        found.stopped = found
            .stopped
            .filter(|stopped| total.is_none_or(|total| stopped.next_line <= total));
        let before = search.from_line - 1;
        let shown = found
            .stopped
            .map_or(found.lines, |stopped| stopped.next_line - 1 - before);
        Ok(Matches {
            matches: found.matches,
            passages: found.passages,
            stopped: found.stopped,
            in_parts: found.in_parts,
            left: Left::new(Unit::Lines, before, shown, total),
        })
    }

    /// Searches each block on a thread that may be busy, while the next one is read.
    async fn scan(
        &self,
        digest: &Digest,
        range: Range<u64>,
        mut scanner: Box<Scanner>,
    ) -> Result<Box<Scanner>, AssetError> {
        if let Some(file) = self.store.open_file(digest).await? {
            return self.scan_file(file, range, scanner).await;
        }
        let mut content = self.content(digest, range).await?;
        let mut block = content.next().await?;
        while let Some((at, bytes)) = block {
            let work = tokio::task::spawn_blocking(move || {
                scanner.feed(at, &bytes);
                scanner
            });
            let (done, next) = tokio::join!(work, content.next());
            scanner = done.map_err(|error| self.search_failed(io::Error::other(error)))?;
            if scanner.is_done() {
                break;
            }
            block = next?;
        }
        Ok(scanner)
    }

    async fn scan_file(
        &self,
        file: File,
        range: Range<u64>,
        scanner: Box<Scanner>,
    ) -> Result<Box<Scanner>, AssetError> {
        let mut scan = FileScan::new(file, range, scanner).map_err(|error| self.search_failed(error))?;
        loop {
            scan = match scan.finished() {
                Ok(scanner) => return Ok(scanner),
                Err(unfinished) => {
                    let turned = tokio::task::spawn_blocking(move || unfinished.turn()).await;
                    let turned = turned.map_err(io::Error::other).flatten();
                    turned.map_err(|error| self.search_failed(error))?
                }
            };
        }
    }

    fn search_failed(&self, source: io::Error) -> AssetError {
        AssetError::Io {
            store: self.store.to_string(),
            action: "search".to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests;
