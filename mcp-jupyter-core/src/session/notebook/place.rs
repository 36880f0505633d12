use std::fmt;

use crate::session::SessionError;

/// A place in a notebook, for messages: `cells[3].outputs[0].data`. It lives on the stack and is turned into text only
/// where something is to be said about it.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Document,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    pub(super) fn member<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place::Member(self, name)
    }

    pub(super) fn item(&self, index: usize) -> Place<'_> {
        Place::Item(self, index)
    }

    /// The refusal of what stands here.
    pub(super) fn invalid(&self, reason: impl Into<String>) -> SessionError {
        SessionError::InvalidNotebook {
            place: self.to_string(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Document => f.write_str("document"),
            Place::Member(Place::Document, name) => f.write_str(name),
            Place::Member(parent, name) if is_plain(name) => write!(f, "{parent}.{name}"),
            Place::Member(parent, name) => write!(f, "{parent}[{name:?}]"),
            Place::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || char == '_')
}
