use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};

use crate::assets::error::AssetError;

use super::{Pattern, Search};

/// Nobody types more; parts of long lines have to overlap by a literal's length.
const PATTERN_LIMIT: usize = 4096;

/// Finds the first line that matches among many.
pub(super) enum Matcher {
    Literal(Box<Finder<'static>>),
    Regex {
        regex: Regex,
        /// Whether it may tell where the searched bytes begin or end, so that every line has to be searched by itself.
        is_anchored: bool,
    },
}

impl Matcher {
    pub(super) fn new(search: &Search) -> Result<Self, AssetError> {
        let (Pattern::Literal(pattern) | Pattern::Regex(pattern)) = &search.pattern;
        let invalid = |reason: String| {
            let shown: String = pattern.chars().take(80).collect();
            AssetError::invalid(format!("pattern {shown:?}"), reason)
        };
        if pattern.is_empty() {
            return Err(invalid("it is empty".to_owned()));
        }
        if pattern.len() > PATTERN_LIMIT {
            return Err(invalid(format!("it is longer than {PATTERN_LIMIT} bytes")));
        }
        if pattern.contains('\n') {
            return Err(invalid(
                "it has a line end, but lines are searched one by one".to_owned(),
            ));
        }
        let expression = match &search.pattern {
            Pattern::Literal(text) if !search.ignore_case => {
                return Ok(Self::Literal(Box::new(Finder::new(text).into_owned())));
            }
            Pattern::Literal(text) => regex::escape(text),
            Pattern::Regex(expression) => expression.clone(),
        };
        let regex = RegexBuilder::new(&expression)
            .case_insensitive(search.ignore_case)
            .multi_line(true)
            .crlf(true)
            .build()
            .map_err(|error| invalid(reason(&error)))?;
        Ok(Self::Regex {
            is_anchored: may_be_anchored(&expression),
            regex,
        })
    }

    /// The first match within one line at or after `from`, where a line begins. `lines` are whole lines.
    pub(super) fn find(&self, lines: &[u8], from: usize) -> Option<Range<usize>> {
        let (regex, is_anchored) = match self {
            Self::Literal(finder) => {
                let start = from + finder.find(&lines[from..])?;
                return Some(start..start + finder.needle().len());
            }
            Self::Regex { regex, is_anchored } => (regex, *is_anchored),
        };
        let mut at = from;
        while at < lines.len() {
            let mut start = at;
            if !is_anchored {
                let hit = regex.find_at(lines, at)?.start();
                start = memrchr(b'\n', &lines[at..hit]).map_or(at, |end| at + end + 1);
                if start == lines.len() {
                    return None;
                }
            }
            // The match may go on in the next line, which is none then: this line alone decides.
            let end = memchr(b'\n', &lines[start..]).map_or(lines.len(), |end| start + end);
            if let Some(found) = regex.find(without_return(&lines[start..end])) {
                return Some(start + found.start()..start + found.end());
            }
            at = end + 1;
        }
        None
    }

    /// The length of what is looked for, where that is known.
    pub(super) fn shortest(&self) -> usize {
        match self {
            Self::Literal(finder) => finder.needle().len(),
            Self::Regex { .. } => 0,
        }
    }

    /// The first match in a part of a line. At the end of a part that is not the last, a match may be a longer one, or
    /// none; it is left for the next part if that has all of it, `overlap` bytes.
    pub(super) fn find_in_part(
        &self,
        part: &[u8],
        is_first: bool,
        is_last: bool,
        overlap: usize,
    ) -> Option<Range<usize>> {
        match self {
            Self::Literal(finder) => {
                let start = finder.find(part)?;
                Some(start..start + finder.needle().len())
            }
            Self::Regex { regex, .. } => {
                let part = if is_last { without_return(part) } else { part };
                // The byte before is context, so that the line does not seem to begin here.
                let from = usize::from(!is_first).min(part.len());
                let found = regex.find_at(part, from)?.range();
                let is_open = !is_last && found.end == part.len() && found.start + overlap > part.len();
                (!is_open).then_some(found)
            }
        }
    }
}

/// Some of what the pattern may contain makes the ends of the searched bytes differ from those of a line, and flags may
/// do so.
fn may_be_anchored(expression: &str) -> bool {
    let has_flags = expression.match_indices("(?").any(|(at, _)| {
        let flags = expression[at + 2..].split([':', ')']).next().unwrap_or_default();
        flags.starts_with(|first: char| first.is_ascii_alphabetic() || first == '-')
            && !flags.starts_with("P<")
            && flags.contains('-')
    });
    has_flags || ["\\A", "\\z"].iter().any(|anchor| expression.contains(anchor))
}

/// The last line of the error; the others draw the pattern and point into it.
fn reason(error: &regex::Error) -> String {
    let message = error.to_string();
    let last = message.lines().last().unwrap_or_default();
    let reason = last.strip_prefix("error: ").unwrap_or(last);
    format!("it is no regular expression: {reason}")
}

pub(super) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
