use std::collections::VecDeque;
use std::ops::Range;

use memchr::{memchr, memrchr};

use super::super::content::whole_characters;
use super::matcher::without_return;
use super::{FoundLine, Passage, Search, StopReason, Stopped};

/// Makes passages of the lines that match and those around them.
pub(super) struct Collector {
    before: usize,
    after: usize,
    max_matches: u64,
    max_bytes: usize,
    pub(super) max_line: usize,
    /// The lines before the place that is looked at, as far as they are context for what comes.
    recent: VecDeque<FoundLine>,
    /// How many lines of context the last match still lacks.
    owed: usize,
    last_match: u64,
    bytes: usize,
    found: Found,
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) matches: u64,
    pub(super) passages: Vec<Passage>,
    pub(super) stopped: Option<Stopped>,
    pub(super) in_parts: Option<u64>,
    /// How many lines were gone through.
    pub(super) lines: u64,
}

impl Collector {
    pub(super) fn new(search: &Search) -> Self {
        Self {
            before: search.before,
            after: search.after,
            max_matches: search.max_matches,
            max_bytes: search.max_bytes,
            max_line: search.max_line,
            recent: VecDeque::new(),
            owed: 0,
            last_match: 0,
            bytes: 0,
            found: Found::default(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.found.stopped.is_some()
    }

    pub(super) fn into_found(self) -> Found {
        self.found
    }

    /// Whole lines that do not match: at `offset`, `count` of them, the first with this number.
    pub(super) fn pass(&mut self, mut lines: &[u8], mut offset: u64, mut number: u64, count: u64) {
        let end = number + count;
        while self.owed > 0 && !lines.is_empty() && !self.is_done() {
            let length = memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
            let (line, rest) = lines.split_at(length);
            let found = self.context(line, offset, number);
            self.pass_line(found);
            lines = rest;
            offset += length as u64;
            number += 1;
        }
        if self.before > 0 && !lines.is_empty() && !self.is_done() {
            self.remember(lines, offset, end);
        }
    }

    /// Keeps the last lines, of which the one with the number `end` would be the next.
    fn remember(&mut self, lines: &[u8], offset: u64, end: u64) {
        let mut starts = Vec::new();
        let mut stop = lines.len();
        while stop > 0 && starts.len() < self.before {
            let start = memrchr(b'\n', &lines[..stop - 1]).map_or(0, |end| end + 1);
            starts.push(start..stop);
            stop = start;
        }
        let first = end - starts.len() as u64;
        for (number, range) in (first..).zip(starts.into_iter().rev()) {
            let line = self.context(&lines[range.clone()], offset + range.start as u64, number);
            self.push_recent(line);
        }
    }

    fn push_recent(&mut self, line: FoundLine) {
        if self.before == 0 {
            return;
        }
        if self.recent.len() == self.before {
            self.recent.pop_front();
        }
        self.recent.push_back(line);
    }

    fn context(&self, line: &[u8], offset: u64, number: u64) -> FoundLine {
        let line = without_end(line);
        let shown = window(line, 0..0, self.max_line);
        found_line(line, shown, offset, number)
    }

    /// A line that does not match.
    pub(super) fn pass_line(&mut self, line: FoundLine) {
        if self.owed == 0 {
            return self.push_recent(line);
        }
        if self.bytes + line.text.len() > self.max_bytes {
            return self.stop(StopReason::Bytes, self.last_match + 1);
        }
        self.owed -= 1;
        self.show(line);
        if self.owed == 0 && self.found.matches == self.max_matches {
            self.stop(StopReason::Matches, self.last_match + 1);
        }
    }

    /// A line that matches.
    pub(super) fn hit(&mut self, line: FoundLine) {
        if self.found.matches == self.max_matches {
            // It came before the context of the last match was complete.
            return self.stop(StopReason::Matches, self.last_match + 1);
        }
        let mut context: usize = self.recent.iter().map(|line| line.text.len()).sum();
        if self.found.matches > 0 && self.bytes + context + line.text.len() > self.max_bytes {
            return self.stop(StopReason::Bytes, line.number);
        }
        while self.bytes + context + line.text.len() > self.max_bytes {
            let Some(dropped) = self.recent.pop_front() else {
                break;
            };
            context -= dropped.text.len();
        }
        self.found.matches += 1;
        self.last_match = line.number;
        for before in std::mem::take(&mut self.recent) {
            self.show(before);
        }
        self.show(FoundLine { is_match: true, ..line });
        self.owed = self.after;
        if self.owed == 0 && self.found.matches == self.max_matches {
            self.stop(StopReason::Matches, self.last_match + 1);
        }
    }

    fn stop(&mut self, reason: StopReason, next_line: u64) {
        self.found.stopped = Some(Stopped { reason, next_line });
    }

    fn show(&mut self, line: FoundLine) {
        self.bytes += line.text.len();
        let last = self.found.passages.last_mut();
        let follows = |passage: &&mut Passage| passage.lines.last().is_some_and(|last| last.number + 1 == line.number);
        match last.filter(follows) {
            Some(passage) => passage.lines.push(line),
            None => self.found.passages.push(Passage { lines: vec![line] }),
        }
    }
}

/// What is shown of a line.
pub(super) fn found_line(line: &[u8], shown: Range<usize>, offset: u64, number: u64) -> FoundLine {
    let cut = offset + shown.start as u64..offset + shown.end as u64;
    FoundLine {
        number,
        offset,
        text: String::from_utf8_lossy(&line[shown.clone()]).into_owned(),
        is_match: false,
        cut: (shown.len() < line.len()).then_some(cut),
    }
}

/// At most `limit` bytes of a line, with `focus` in the middle, or its start if it is longer.
pub(super) fn window(line: &[u8], focus: Range<usize>, limit: usize) -> Range<usize> {
    if line.len() <= limit {
        return 0..line.len();
    }
    let around = limit.saturating_sub(focus.len()) / 2;
    let start = focus.start.saturating_sub(around).min(line.len() - limit);
    let end = start + limit;
    let is_continuation = |byte: &&u8| matches!(byte, 0x80..=0xbf);
    let skipped = if start == 0 {
        0
    } else {
        line[start..end].iter().take(3).take_while(is_continuation).count()
    };
    let start = start + skipped;
    start..start + whole_characters(&line[start..end])
}

pub(super) fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").map_or(line, without_return)
}
