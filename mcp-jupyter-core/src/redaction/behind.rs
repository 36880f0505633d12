//! What the bytes before a position say about it. They are the masked ones, which is what a second pass would see; so masking
//! what is masked changes nothing.

use std::ops::Range;

use super::ahead::{base64, token};

/// How far back anything here looks; what keeps a text in chunks keeps so much of what it has given out.
pub(super) const REACH: usize = 320;

/// A run of base64 of this length before a position: it is in the middle of data, whatever it looks like.
const BLOB: usize = 256;

/// How many parameters, in bytes, an escape sequence for a colour may have.
const COLOUR: usize = 20;

/// Whether a token may begin behind these bytes.
pub(super) fn delimited(before: &[u8]) -> bool {
    before.last().is_none_or(|&byte| !token(byte)) && !in_blob(before) || ends_in_escape(before)
}

/// Whether these bytes end in data. Masks in it count as data, or the mask of one token would uncover another; but what
/// directly follows a mask may be the next piece of a long value.
pub(super) fn in_blob(before: &[u8]) -> bool {
    let run = &before[before.len().saturating_sub(BLOB)..];
    run.len() == BLOB && !run.ends_with(b"*") && run.iter().rev().all(|&byte| base64(byte) || byte == b'*')
}

/// Whether the last byte belongs to something that stands for another character: `\n`, `\u001b`, `\x1b`, `%3D`, or the
/// colour of a terminal.
fn ends_in_escape(before: &[u8]) -> bool {
    if let [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0'] = before {
        return true;
    }
    let hexadecimal = |marker: &[u8], digits: usize| {
        before
            .len()
            .checked_sub(digits)
            .is_some_and(|at| before[..at].ends_with(marker) && before[at..].iter().all(u8::is_ascii_hexdigit))
    };
    hexadecimal(b"\\u", 4) || hexadecimal(b"\\x", 2) || hexadecimal(b"%", 2) || ends_in_colour(before)
}

fn ends_in_colour(before: &[u8]) -> bool {
    let Some((b'm', parameters)) = before.split_last() else {
        return false;
    };
    let other = parameters
        .iter()
        .rev()
        .take(COLOUR)
        .find(|&&byte| !byte.is_ascii_digit() && byte != b';');
    other == Some(&b'[')
}

/// Whether the byte at this position belongs to an escape of JSON: it follows a backslash, or is a digit of `\u0000`. How
/// many backslashes there are does not matter: JSON in a JSON string stays valid as well.
pub(super) fn in_escape(text: &[u8], at: usize) -> bool {
    if text[..at].ends_with(b"\\") {
        return true;
    }
    let digits = text[..=at]
        .iter()
        .rev()
        .take(4)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    (1..=digits).any(|digits| text[..at + 1 - digits].ends_with(b"\\u"))
}

/// Whether any byte of the range may belong to an escape.
pub(super) fn near_escape(text: &[u8], range: &Range<usize>) -> bool {
    text[range.start.saturating_sub(5)..range.end].contains(&b'\\')
}

/// Whether a bare number of JSON, or the rest of one, may stand behind these bytes.
pub(super) fn before_number(before: &[u8]) -> bool {
    let Some(byte) = before.last() else { return true };
    byte.is_ascii_whitespace() || byte.is_ascii_digit() || b"[,:.+-eE".contains(byte)
}

/// Whether the text ends in the first line of a private key.
pub(super) fn ends_in_private_key(text: &[u8]) -> bool {
    const LABEL: usize = 64;
    let Some(label) = text.strip_suffix(b"-----") else {
        return false;
    };
    let length = label
        .iter()
        .rev()
        .take(LABEL)
        .take_while(|&&byte| super::ahead::upper(byte) || byte == b' ')
        .count();
    let (before, label) = label.split_at(label.len() - length);
    before.ends_with(b"-----") && label.starts_with(b"BEGIN ") && label.ends_with(b"PRIVATE KEY")
}
