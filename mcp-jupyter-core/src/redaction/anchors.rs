//! Finding where something may begin: a set of literals of which one opens every form or value.

use aho_corasick::{AhoCorasick, Input, MatchKind};

pub(super) struct Anchors {
    automaton: AhoCorasick,
    literals: Vec<Box<[u8]>>,
    longest: usize,
    /// Whether a literal begins with the byte.
    begins: [bool; 256],
}

/// An occurrence of the literal with this index.
pub(super) struct Hit {
    pub(super) index: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Anchors {
    pub(super) fn new<L: AsRef<[u8]>>(literals: impl IntoIterator<Item = L>) -> Self {
        let literals: Vec<Box<[u8]>> = literals.into_iter().map(|literal| literal.as_ref().into()).collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&literals)
            .expect("a few short literals are far below the limits of an automaton");
        let longest = literals.iter().map(|literal| literal.len()).max().unwrap_or(0);
        let mut begins = [false; 256];
        for first in literals.iter().filter_map(|literal| literal.first()) {
            begins[usize::from(*first)] = true;
        }
        Self {
            automaton,
            literals,
            longest,
            begins,
        }
    }

    /// The first occurrence from here on, of the longest literal that occurs there.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Hit> {
        let found = self.automaton.find(Input::new(text).range(from..))?;
        Some(Hit {
            index: found.pattern().as_usize(),
            start: found.start(),
            end: found.end(),
        })
    }

    /// Where, from here on, the text ends in the beginning of a literal; its end if it does not.
    pub(super) fn pending(&self, text: &[u8], from: usize) -> usize {
        let first = from.max((text.len() + 1).saturating_sub(self.longest));
        let begins_with = |literal: &[u8], rest: &[u8]| rest.len() < literal.len() && literal.starts_with(rest);
        let pending = |rest: &[u8]| {
            self.begins[usize::from(rest[0])] && self.literals.iter().any(|literal| begins_with(literal, rest))
        };
        (first..text.len())
            .find(|&at| pending(&text[at..]))
            .unwrap_or(text.len())
    }
}
