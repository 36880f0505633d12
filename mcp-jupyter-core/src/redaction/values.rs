//! The first stage: values that are known literally.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::ahead::{Undecided, base64};
use super::anchors::Anchors;
use super::behind;

pub(super) const SHORTEST: usize = 6;

/// Longer values are looked for in pieces, so that no more than this is ever held back.
pub(super) const LONGEST: usize = 4096;

#[derive(Default)]
pub(super) struct Values {
    /// As they were given, for a set with more of them.
    given: BTreeSet<Vec<u8>>,
    index: Option<Index>,
}

/// What finds values: their first bytes, and for each of these the values that begin so, the longest first.
struct Index {
    beginnings: Anchors,
    patterns: Vec<Vec<Pattern>>,
}

impl Values {
    pub(super) fn with<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut given = self.given.clone();
        let values = values.into_iter().map(<[u8]>::trim_ascii);
        given.extend(values.filter(|value| value.len() >= SHORTEST).map(<[u8]>::to_vec));
        let index = Index::new(&given);
        Self { given, index }
    }

    pub(super) fn len(&self) -> usize {
        self.given.len()
    }

    /// Masks what is decided from `at` on, and moves `at` to where it no longer is.
    pub(super) fn scan(&self, text: &mut Cow<'_, [u8]>, at: &mut usize, last: bool) {
        match &self.index {
            Some(index) => index.scan(text, at, last),
            None => *at = text.len(),
        }
    }
}

impl Index {
    fn new(values: &BTreeSet<Vec<u8>>) -> Option<Self> {
        let forms: BTreeSet<_> = values.iter().flat_map(|value| written(value)).collect();
        let pieces: BTreeSet<_> = forms.iter().flat_map(|form| pieces(form)).collect();
        let mut groups: Vec<(&[u8], Vec<Pattern>)> = Vec::new();
        for piece in pieces {
            let beginning = &piece[..SHORTEST];
            match groups.last_mut().filter(|(last, _)| *last == beginning) {
                Some((_, patterns)) => patterns.push(Pattern::new(piece)),
                None => groups.push((beginning, vec![Pattern::new(piece)])),
            }
        }
        let (beginnings, mut patterns): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        for group in &mut patterns {
            group.sort_by_key(|pattern| std::cmp::Reverse(pattern.bytes.len()));
        }
        (!patterns.is_empty()).then(|| Self {
            beginnings: Anchors::new(beginnings),
            patterns,
        })
    }

    fn scan(&self, text: &mut Cow<'_, [u8]>, at: &mut usize, last: bool) {
        let undecided = |text: &[u8], at| {
            if last {
                text.len()
            } else {
                self.beginnings.pending(text, at)
            }
        };
        let mut end = undecided(text, *at);
        loop {
            if *at > end {
                end = undecided(text, *at);
            }
            let Some(hit) = self.beginnings.find(text, *at).filter(|hit| hit.start < end) else {
                *at = end;
                return;
            };
            *at = hit.start;
            match longest(&self.patterns[hit.index], &text[hit.start..], last) {
                Ok(Some(pattern)) if !(pattern.is_data && behind::in_blob(&text[..hit.start])) => {
                    pattern.mask(text.to_mut(), hit.start);
                    *at += pattern.bytes.len();
                }
                Ok(_) => *at += 1,
                Err(Undecided) => return,
            }
        }
    }
}

/// The longest pattern that the text begins with.
fn longest<'a>(patterns: &'a [Pattern], text: &[u8], last: bool) -> Result<Option<&'a Pattern>, Undecided> {
    for pattern in patterns {
        if text.starts_with(&pattern.bytes) {
            return Ok(Some(pattern));
        }
        if !last && pattern.bytes.starts_with(text) {
            return Err(Undecided);
        }
    }
    Ok(None)
}

/// The ways in which a value is written: as it is, and in a JSON string, with other than ASCII escaped or not; and, as
/// what a notebook's output holds may be JSON, in a string in such a string.
fn written(value: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = str::from_utf8(value) else {
        return vec![value.to_vec()];
    };
    let (once, ascii) = (escaped(text, false), escaped(text, true));
    let twice = [escaped(&once, false), escaped(&ascii, true)];
    [text.to_owned(), once, ascii]
        .into_iter()
        .chain(twice)
        .map(String::into_bytes)
        .collect()
}

/// As Python's json and nbformat write it.
fn escaped(text: &str, ascii: bool) -> String {
    let json = serde_json::to_string(text).expect("a string is JSON");
    let inner = &json[1..json.len() - 1];
    if !ascii {
        return inner.to_owned();
    }
    let mut escaped = String::with_capacity(inner.len());
    for character in inner.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes whatever is written");
            }
        }
    }
    escaped
}

fn pieces(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = form.len().div_ceil(LONGEST);
    form.chunks(form.len().div_ceil(count))
        .filter(|piece| piece.len() >= SHORTEST)
}

/// A value in one of its forms.
struct Pattern {
    bytes: Vec<u8>,
    /// For each byte whether it stays readable.
    kept: Vec<bool>,
    /// The length of the number that the value begins with, which may be the rest of a bare one.
    number: usize,
    /// Whether it may be a part of base64 that has begun before it. One that begins with a sign is not taken for that: a
    /// token would end there, and the mask of a long one would uncover it.
    is_data: bool,
}

impl Pattern {
    fn new(bytes: &[u8]) -> Self {
        let mut kept = kept_characters(bytes);
        let mut start = 0;
        let mut number = 0;
        for word in bytes.split(|&byte| structural(byte)) {
            let end = start + word.len();
            // Behind a quote stands no bare word.
            let bare = start == 0 || bytes[start - 1] != b'"';
            if start == 0 && numeric(word) {
                number = word.len();
            } else if bare && (numeric(word) || part_of_literal(word)) {
                kept[start..end].fill(true);
            }
            start = end + 1;
        }
        let is_data = bytes[0].is_ascii_alphanumeric() && bytes.iter().all(|&byte| base64(byte));
        Self {
            bytes: bytes.to_vec(),
            kept,
            number,
            is_data,
        }
    }

    fn mask(&self, text: &mut [u8], start: usize) {
        let number = if behind::before_number(&text[..start]) {
            self.number
        } else {
            0
        };
        for (offset, &kept) in self.kept.iter().enumerate().skip(number) {
            let at = start + offset;
            if !kept && text[at] != b'\\' && !behind::in_escape(text, at) {
                text[at] = b'*';
            }
        }
    }
}

/// What may stand in JSON outside of strings, and quotes; and bytes that are no whole character by themselves, as they may
/// be a part of one.
fn kept_characters(bytes: &[u8]) -> Vec<bool> {
    let mut kept = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        kept.extend(chunk.valid().bytes().map(structural));
        kept.resize(kept.len() + chunk.invalid().len(), true);
    }
    kept
}

fn structural(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"{}[]:,\"".contains(&byte)
}

fn numeric(word: &[u8]) -> bool {
    word.iter().all(|byte| b"0123456789+-.eE".contains(byte))
}

fn part_of_literal(word: &[u8]) -> bool {
    [&b"true"[..], b"false", b"null"]
        .iter()
        .any(|literal| literal.windows(word.len().max(1)).any(|part| part == word))
}
