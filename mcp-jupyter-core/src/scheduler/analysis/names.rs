use std::hash::BuildHasherDefault;

use indexmap::IndexSet;
use rustc_hash::FxHasher;

/// A name of the kernel's namespace, or of something that behaves like one (`<random>`, `<file:data.csv>`), interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

impl NameId {
    /// The name's place in the table.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The names that were met so far; none is ever removed.
#[derive(Clone, Debug, Default)]
pub struct Names(IndexSet<Box<str>, BuildHasherDefault<FxHasher>>);

impl Names {
    /// The identity of `name`.
    ///
    /// # Panics
    /// With more than 2³² names.
    pub fn intern(&mut self, name: &str) -> NameId {
        let index = match self.0.get_index_of(name) {
            Some(index) => index,
            None => self.0.insert_full(name.into()).0,
        };
        NameId(u32::try_from(index).expect("memory ends before 2^32 names"))
    }

    /// The identity of `name` where it has been met.
    pub fn find(&self, name: &str) -> Option<NameId> {
        let index = self.0.get_index_of(name)?;
        u32::try_from(index).ok().map(NameId)
    }

    /// The name.
    pub fn get(&self, name: NameId) -> &str {
        &self.0[name.index()]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
