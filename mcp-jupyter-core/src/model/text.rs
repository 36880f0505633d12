use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text of a JSON string, possibly very large.
///
/// A kernel may send hundreds of megabytes in one string. Decoding it at once would double the memory it takes, so a
/// long string stays the escaped literal that lies in the received frame, and text that is appended to it becomes a
/// further piece. Readers walk the pieces with [`Text::for_each_chunk`]; [`Text::to_str`] gives the whole where it
/// is known to be small enough.
///
/// ```
/// use mcp_jupyter_core::model::Text;
///
/// let mut text = Text::from("loss ");
/// text.append(Text::from("0.1\n"));
/// assert_eq!(text.to_str(), "loss 0.1\n");
/// ```
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    /// By far the most; no list is allocated for them.
    Owned(String),
    Pieces(Vec<Piece>),
}

#[derive(Clone)]
enum Piece {
    Owned(String),
    /// What stands between the quotes of a JSON string: valid UTF-8 with valid escapes.
    Literal(Bytes),
}

impl Piece {
    fn size(&self) -> usize {
        match self {
            Piece::Owned(text) => text.len(),
            Piece::Literal(literal) => literal.len(),
        }
    }
}

/// Appending below this size, in bytes, copies; above it the new text becomes a piece of its own.
const MERGE_LIMIT: usize = 1 << 20;

impl Text {
    /// A text over the escaped literal of a JSON string, which the parser has validated.
    pub(super) fn from_literal(literal: Bytes) -> Self {
        Self(Repr::Pieces(vec![Piece::Literal(literal)]))
    }

    /// Whether there is no character in it.
    pub fn is_empty(&self) -> bool {
        self.size() == 0
    }

    /// The memory that the text occupies, in bytes; its length where it holds no escaped literal.
    pub fn size(&self) -> usize {
        match &self.0 {
            Repr::Owned(text) => text.len(),
            Repr::Pieces(pieces) => pieces.iter().map(Piece::size).sum(),
        }
    }

    /// Appends `more`, without copying what is large.
    pub fn append(&mut self, more: Text) {
        match (&mut self.0, more.0) {
            (Repr::Owned(end), Repr::Owned(text)) if text.len() < MERGE_LIMIT => end.push_str(&text),
            (_, more) => {
                let mut pieces = std::mem::take(self).into_pieces();
                for piece in Text(more).into_pieces() {
                    match (pieces.last_mut(), piece) {
                        (Some(Piece::Owned(end)), Piece::Owned(text)) if text.len() < MERGE_LIMIT => {
                            end.push_str(&text);
                        }
                        (_, piece) => pieces.push(piece),
                    }
                }
                self.0 = Repr::Pieces(pieces);
            }
        }
    }

    fn into_pieces(self) -> Vec<Piece> {
        match self.0 {
            Repr::Owned(text) => vec![Piece::Owned(text)],
            Repr::Pieces(pieces) => pieces,
        }
    }

    /// The whole text as one string; copies unless it is one piece without escapes.
    pub fn to_str(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Owned(text) => Cow::Borrowed(text),
            Repr::Pieces(pieces) => match pieces.as_slice() {
                [Piece::Owned(text)] => Cow::Borrowed(text),
                [Piece::Literal(literal)] if !literal.contains(&b'\\') => Cow::Borrowed(as_str(literal)),
                _ => {
                    let mut whole = String::with_capacity(self.size());
                    self.for_each_chunk(|chunk| whole.push_str(chunk));
                    Cow::Owned(whole)
                }
            },
        }
    }

    /// The whole text as an owned string.
    pub fn into_string(self) -> String {
        match self.0 {
            Repr::Owned(text) => text,
            Repr::Pieces(_) => self.to_str().into_owned(),
        }
    }

    /// Calls `sink` with successive parts of the decoded text, never copying the whole.
    pub fn for_each_chunk(&self, mut sink: impl FnMut(&str)) {
        let pieces = match &self.0 {
            Repr::Owned(text) => return sink(text),
            Repr::Pieces(pieces) => pieces,
        };
        for piece in pieces {
            match piece {
                Piece::Owned(text) => sink(text),
                Piece::Literal(literal) => unescape(as_str(literal), &mut sink),
            }
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Repr::Owned(String::new()))
    }
}

fn as_str(literal: &[u8]) -> &str {
    std::str::from_utf8(literal).expect("the parser has validated the literal")
}

/// Calls `sink` with the decoded parts of the inside of a JSON string whose escapes are known to be valid.
///
/// A surrogate without its partner has no place in UTF-8; it becomes U+FFFD.
pub(super) fn unescape(literal: &str, sink: &mut impl FnMut(&str)) {
    let mut rest = literal;
    while let Some(at) = rest.find('\\') {
        if at > 0 {
            sink(&rest[..at]);
        }
        let (decoded, length) = unescape_one(&rest.as_bytes()[at..]);
        sink(decoded.encode_utf8(&mut [0; 4]));
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        sink(rest);
    }
}

/// Decodes the escape at the start of `bytes`; gives the character and the length of the escape.
fn unescape_one(bytes: &[u8]) -> (char, usize) {
    match bytes[1] {
        b'n' => ('\n', 2),
        b't' => ('\t', 2),
        b'r' => ('\r', 2),
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'u' => {
            let high = hex4(&bytes[2..6]);
            let low = bytes
                .get(6..12)
                .filter(|next| next.starts_with(b"\\u"))
                .map(|next| hex4(&next[2..]));
            match (high, low) {
                (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                    let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                _ => (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            }
        }
        other => (char::from(other), 2),
    }
}

fn hex4(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, digit| {
        value * 16 + char::from(*digit).to_digit(16).unwrap_or(0)
    })
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Repr::Owned(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.for_each_chunk(|chunk| result = result.and_then(|()| f.write_str(chunk)));
        result
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.to_str() == other.to_str()
    }
}

impl Eq for Text {}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
