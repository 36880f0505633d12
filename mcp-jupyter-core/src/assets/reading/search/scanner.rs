use memchr::{memchr, memrchr};

use super::super::index::{LineIndex, count};
use super::Search;
use super::collector::{Collector, Found, found_line, window, without_end};
use super::matcher::Matcher;

/// Searches the blocks of an asset one after the other.
pub(super) struct Scanner {
    matcher: Matcher,
    collector: Collector,
    /// Where the lines begin comes to light while they are counted anyway.
    index: LineIndex,
    /// The start of a line whose end has not come; of a long line, what of it may be part of a match.
    carry: Vec<u8>,
    /// Where in the asset `carry` begins.
    at: u64,
    /// The number of the line that `carry` belongs to.
    line: u64,
    first_line: u64,
    part: usize,
    long: Option<LongLine>,
    in_parts: Option<u64>,
}

/// A line that is searched in parts.
struct LongLine {
    offset: u64,
    /// As much of its start as is shown.
    head: Vec<u8>,
    is_match: bool,
}

impl Scanner {
    /// Searches from `start` on, where the search's first line begins.
    pub(super) fn new(matcher: Matcher, search: &Search, index: LineIndex, start: u64, part: usize) -> Self {
        Self {
            matcher,
            collector: Collector::new(search),
            index,
            carry: Vec::new(),
            at: start,
            line: search.from_line,
            first_line: search.from_line,
            part,
            long: None,
            in_parts: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.collector.is_done()
    }

    /// What was found, and what is known of the lines now.
    pub(super) fn into_found(self) -> (Found, LineIndex) {
        let found = Found {
            in_parts: self.in_parts,
            lines: self.line - self.first_line,
            ..self.collector.into_found()
        };
        (found, self.index)
    }

    /// The next bytes, which are at `offset`.
    pub(super) fn feed(&mut self, offset: u64, block: &[u8]) {
        let mut ends = self.index.observe(offset, block);
        let mut rest = block;
        if !self.carry.is_empty() || self.long.is_some() {
            let Some(end) = memchr(b'\n', rest) else {
                return self.keep(rest);
            };
            self.carry.extend_from_slice(&rest[..=end]);
            self.end_line();
            rest = &rest[end + 1..];
            ends -= 1;
        }
        if let Some(end) = memrchr(b'\n', rest) {
            let (lines, partial) = rest.split_at(end + 1);
            self.search(lines, ends);
            rest = partial;
        }
        self.keep(rest);
    }

    /// There are no more bytes.
    pub(super) fn finish(&mut self) {
        if !self.carry.is_empty() || self.long.is_some() {
            self.end_line();
        }
    }

    fn keep(&mut self, partial: &[u8]) {
        self.carry.extend_from_slice(partial);
        if self.carry.len() > self.part {
            self.search_part(false);
        }
    }

    fn end_line(&mut self) {
        if self.long.is_some() {
            return self.search_part(true);
        }
        let mut line = std::mem::take(&mut self.carry);
        self.search(&line, u64::from(line.ends_with(b"\n")));
        // Its memory is used again.
        line.clear();
        self.carry = line;
    }

    /// Whole lines with so many ends; a last one may lack its end.
    fn search(&mut self, lines: &[u8], ends: u64) {
        let total = ends + u64::from(!lines.ends_with(b"\n"));
        let (mut from, mut passed) = (0, 0);
        while !self.is_done()
            && let Some(hit) = self.matcher.find(lines, from)
        {
            let start = memrchr(b'\n', &lines[from..hit.start]).map_or(from, |end| from + end + 1);
            let end = memchr(b'\n', &lines[hit.end..]).map_or(lines.len(), |end| hit.end + end + 1);
            let between = count(&lines[from..start]);
            self.pass(&lines[from..start], from, passed, between);
            passed += between;
            if !self.is_done() {
                let text = without_end(&lines[start..end]);
                let shown = window(text, hit.start - start..hit.end - start, self.collector.max_line);
                let number = self.line + passed;
                self.collector
                    .hit(found_line(text, shown, self.at + start as u64, number));
            }
            passed += 1;
            from = end;
        }
        if !self.is_done() {
            self.pass(&lines[from..], from, passed, total - passed);
        }
        self.line += total;
        self.at += lines.len() as u64;
    }

    fn pass(&mut self, lines: &[u8], from: usize, passed: u64, count: u64) {
        self.collector
            .pass(lines, self.at + from as u64, self.line + passed, count);
    }

    /// Searches what has come of a long line, and keeps the end of it for the next part.
    fn search_part(&mut self, is_last: bool) {
        let carry = std::mem::take(&mut self.carry);
        let is_first = self.long.is_none();
        let mut long = self.long.take().unwrap_or_else(|| LongLine {
            offset: self.at,
            head: carry[..carry.len().min(self.collector.max_line)].to_vec(),
            is_match: false,
        });
        self.in_parts.get_or_insert(self.line);
        let text = if is_last { without_end(&carry) } else { &carry };
        // A match that two parts share is whole in the second.
        let overlap = (self.part / 16).max(self.matcher.shortest());
        if !long.is_match
            && !self.is_done()
            && let Some(hit) = self.matcher.find_in_part(text, is_first, is_last, overlap)
        {
            let shown = window(text, hit, self.collector.max_line);
            let cut = self.at + shown.start as u64..self.at + shown.end as u64;
            let mut line = found_line(text, shown, self.at, self.line);
            (line.offset, line.cut) = (long.offset, Some(cut));
            self.collector.hit(line);
            long.is_match = true;
        }
        if is_last {
            if !long.is_match && !self.is_done() {
                let shown = window(&long.head, 0..0, self.collector.max_line);
                let mut line = found_line(&long.head, shown.clone(), long.offset, self.line);
                line.cut = Some(long.offset..long.offset + shown.len() as u64);
                self.collector.pass_line(line);
            }
            self.at += carry.len() as u64;
            self.line += 1;
            return;
        }
        let searched = carry.len().saturating_sub(overlap);
        self.at += searched as u64;
        self.carry = carry;
        self.carry.drain(..searched);
        self.long = Some(long);
    }
}
