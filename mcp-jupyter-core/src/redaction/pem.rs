//! The body of a PEM private key, masked byte by byte without holding any back.
//!
//! It goes to the five dashes of the `END` line, or, if that is missing, to the first byte that no key contains. It may be one
//! string of JSON with escaped line breaks, or a list of strings, one a line, as notebooks hold text. Between these strings
//! nothing is masked, and only what separates strings may stand there.

#[derive(Debug, Default)]
pub(super) struct Pem {
    dashes: u8,
    backslashes: u32,
    /// Digits of `\u0000` that are to come.
    digits: u8,
    /// Between two strings: what closed the one, which is to open the next. Backslashes belong to it: as long as the kinds
    /// agree, what counts as outside here is outside of a JSON string as well.
    closed_by: Option<Quote>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quote {
    byte: u8,
    backslashes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Mask,
    /// The key has ended before this byte.
    EndBefore,
    /// The key has ended with this byte, which is kept.
    EndAfter,
}

impl Pem {
    /// Masks from here on; gives where the key ended, or nothing if it goes on.
    pub(super) fn mask(&mut self, text: &mut [u8], from: usize) -> Option<usize> {
        for (at, byte) in text.iter_mut().enumerate().skip(from) {
            match self.fate(*byte) {
                Fate::Keep => {}
                Fate::Mask => *byte = b'*',
                Fate::EndBefore => return Some(at),
                Fate::EndAfter => return Some(at + 1),
            }
        }
        None
    }

    fn fate(&mut self, byte: u8) -> Fate {
        if self.digits > 0 && byte.is_ascii_hexdigit() {
            self.digits -= 1;
            return Fate::Keep;
        }
        self.digits = 0;
        let dashes = std::mem::take(&mut self.dashes);
        if byte == b'\\' {
            self.backslashes = self.backslashes.saturating_add(1);
            return Fate::Keep;
        }
        let backslashes = std::mem::take(&mut self.backslashes);
        match byte {
            b'"' | b'\'' => self.quote(Quote { byte, backslashes }),
            _ if backslashes > 0 => {
                self.digits = if byte == b'u' { 4 } else { 0 };
                Fate::Keep
            }
            b'-' if dashes == 4 => Fate::EndAfter,
            b'-' => {
                self.dashes = dashes + 1;
                Fate::Keep
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' => Fate::Keep,
            _ if self.closed_by.is_some() => Fate::EndBefore,
            // `Proc-Type: 4,ENCRYPTED`
            b':' => Fate::Keep,
            b'+' | b'/' | b'=' | b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Fate::Mask,
            _ => Fate::EndBefore,
        }
    }

    fn quote(&mut self, quote: Quote) -> Fate {
        match self.closed_by.take() {
            None => self.closed_by = Some(quote),
            Some(closed_by) if closed_by == quote => {}
            Some(_) => return Fate::EndBefore,
        }
        Fate::Keep
    }
}
