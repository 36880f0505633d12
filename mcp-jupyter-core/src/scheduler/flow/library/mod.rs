//! What is known by name about Python's builtins, its standard library and the libraries that notebooks use most.
//!
//! Where nothing is known, a call is assumed to keep its arguments, to call functions that it is given, and to give
//! another result every time; it is *not* assumed to change its arguments.

mod functions;
mod methods;
mod modules;

use std::sync::OnceLock;

use rustc_hash::FxHashSet;

pub(super) use self::functions::{Gives, Wrapper, describe, is_seeded_by_argument, path_argument, wrapper};
pub(super) use self::methods::{
    Method, drawn_by, draws, file_method, is_drawing, is_fluent, is_scalar_attribute, is_table, method, only_looks,
    returns_itself,
};
pub(super) use self::modules::{exports, is_builtin, library_of, may_be_local, sets_options, state_of, uses_options};

/// A set of words, written as one text.
struct Words {
    text: &'static str,
    set: OnceLock<FxHashSet<&'static str>>,
}

impl Words {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            set: OnceLock::new(),
        }
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.text.split_whitespace()
    }

    fn contain(&self, word: &str) -> bool {
        self.set
            .get_or_init(|| self.text.split_whitespace().collect())
            .contains(word)
    }
}

/// What is done to a file, or to something that behaves like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// Whatever was there is replaced.
    Write,
    /// Something is added to what was there.
    Append,
}
