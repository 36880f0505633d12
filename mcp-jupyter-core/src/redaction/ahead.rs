//! Reading forward in a text that may go on after its last byte: whatever depends on a byte that has not come is undecided.

/// What is to be known needs bytes that have not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecided;

pub(super) type Class = fn(u8) -> bool;

/// What tokens consist of.
pub(super) const fn token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

pub(super) const fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

pub(super) const fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) const fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

pub(super) const fn base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// The bytes from a position on.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    /// Nothing comes after the text.
    last: bool,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(text: &'a [u8], at: usize, last: bool) -> Self {
        Self { text, at, last }
    }

    /// The byte so far from here; none after the end.
    pub(super) fn peek(&self, distance: usize) -> Result<Option<u8>, Undecided> {
        match self.text.get(self.at + distance) {
            None if !self.last => Err(Undecided),
            byte => Ok(byte.copied()),
        }
    }

    /// Passes bytes of the class, so many at most, and says how many there were.
    pub(super) fn run(&mut self, class: Class, most: usize) -> Result<usize, Undecided> {
        let start = self.at;
        while self.at - start < most && self.peek(0)?.is_some_and(class) {
            self.at += 1;
        }
        Ok(self.at - start)
    }

    /// Passes the literal if it is next.
    pub(super) fn literal(&mut self, literal: &[u8]) -> Result<bool, Undecided> {
        for (distance, &expected) in literal.iter().enumerate() {
            if self.peek(distance)? != Some(expected) {
                return Ok(false);
            }
        }
        self.at += literal.len();
        Ok(true)
    }

    /// Passes a slash, which JSON may hold escaped.
    pub(super) fn slash(&mut self) -> Result<bool, Undecided> {
        Ok(self.literal(b"/")? || self.literal(b"\\/")?)
    }

    /// Whether a dot is next with a byte of the class behind it, so that it is not the end of a sentence.
    pub(super) fn inner_dot(&self, class: Class) -> Result<bool, Undecided> {
        Ok(self.peek(0)? == Some(b'.') && self.peek(1)?.is_some_and(class))
    }
}
