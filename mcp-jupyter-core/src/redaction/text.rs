//! The second stage: secrets that are known by their form. It gets what [`super::values`] leaves, so that what it finds does
//! not depend on values that are masked later.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use super::ahead::{Ahead, Undecided};
use super::anchors::Anchors;
use super::behind;
use super::pem::Pem;
use super::shapes::{self, After, Rest};

static PREFIXES: LazyLock<Anchors> = LazyLock::new(|| Anchors::new(shapes::prefixes()));

/// Where in a text we are.
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Text,
    Token(Rest),
    Key(Pem),
}

impl State {
    /// Masks what is decided from `at` on, and moves `at` to where it no longer is.
    pub(super) fn scan(&mut self, text: &mut Cow<'_, [u8]>, at: &mut usize, last: bool) {
        loop {
            let next = match self {
                Self::Text => seek(text, at, last),
                Self::Token(rest) => mask_rest(rest, text, at, last).then_some(Self::Text),
                Self::Key(key) => mask_key(key, text, at).then_some(Self::Text),
            };
            let Some(next) = next else { return };
            *self = next;
        }
    }
}

/// Masks up to the next secret whose end is open, and gives the state that follows; nothing where the text ends.
fn seek(text: &mut Cow<'_, [u8]>, at: &mut usize, last: bool) -> Option<State> {
    let undecided = |text: &[u8], at| if last { text.len() } else { PREFIXES.pending(text, at) };
    let mut end = undecided(text, *at);
    loop {
        if *at > end {
            end = undecided(text, *at);
        }
        let Some(hit) = PREFIXES.find(text, *at).filter(|hit| hit.start < end) else {
            *at = end;
            return None;
        };
        let found = match shapes::examine(hit.index, text, hit.start..hit.end, last) {
            Ok(Some(found)) => found,
            Ok(None) => {
                *at = hit.start + 1;
                continue;
            }
            Err(Undecided) => {
                *at = hit.start;
                return None;
            }
        };
        mask(text, found.mask.clone());
        *at = found.mask.end;
        match found.after {
            After::Text(from) => *at = from,
            After::Token(rest) => return Some(State::Token(rest)),
            After::Key => return Some(State::Key(Pem::default())),
        }
    }
}

/// Whether the token has ended.
fn mask_rest(rest: &mut Rest, text: &mut Cow<'_, [u8]>, at: &mut usize, last: bool) -> bool {
    loop {
        let length = text[*at..].iter().take_while(|&&byte| (rest.class)(byte)).count();
        mask(text, *at..*at + length);
        *at += length;
        if rest.dots == 0 {
            return *at < text.len() || last;
        }
        match Ahead::new(text, *at, last).inner_dot(rest.class) {
            Ok(true) => rest.dots -= 1,
            Ok(false) => return true,
            Err(Undecided) => return false,
        }
        mask(text, *at..*at + 1);
        *at += 1;
    }
}

/// Whether the key has ended.
fn mask_key(key: &mut Pem, text: &mut Cow<'_, [u8]>, at: &mut usize) -> bool {
    let length = text.len();
    let end = if *at < length {
        key.mask(text.to_mut(), *at)
    } else {
        None
    };
    *at = end.unwrap_or(length);
    end.is_some()
}

/// Slashes stay, with which a URL or a path goes on behind a token: another form that ended at one would no longer end there.
fn mask(text: &mut Cow<'_, [u8]>, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    let text = text.to_mut();
    let escaped = behind::near_escape(text, &range);
    for at in range {
        let kept = matches!(text[at], b'/' | b'\\') || escaped && behind::in_escape(text, at);
        if !kept {
            text[at] = b'*';
        }
    }
}
