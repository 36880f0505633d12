//! From the source of a cell to its effects.
//!
//! An [`Analyzer`] knows a language. Python's gives the effects in a small language of their own (`ir`), because what a
//! cell does depends on what the names that it uses are bound to: `f()` reads what `f` reads, `x.append(1)` changes
//! whatever shares that list. `scheduler::flow` follows that through the notebook.

pub(crate) mod ir;
pub(crate) mod names;
mod opaque;
pub(crate) mod python;

use std::fmt::Debug;
use std::sync::Arc;

pub use self::names::{NameId, Names};
pub use self::opaque::OpaqueAnalyzer;
pub use self::python::PythonAnalyzer;

use self::ir::Body;

/// 128 bits of SHA-256.
pub(crate) type SourceDigest = [u8; 16];

/// What a cell does as far as its source alone tells. Made by an [`Analyzer`]; cheap to clone.
#[derive(Clone, Debug)]
pub struct Analysis {
    pub(crate) body: Arc<Body>,
    pub(crate) digest: SourceDigest,
    pub(crate) marks: Marks,
}

/// What comments ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) frozen: bool,
    pub(crate) skip: bool,
    pub(crate) expensive: bool,
}

impl Marks {
    /// The marks in the comments of a source, each on a line of its own: `# @frozen`, `# @skip`, `# @expensive`.
    pub(crate) fn of(source: &str) -> Self {
        let mut marks = Self::default();
        if !source.contains('@') {
            return marks;
        }
        for line in source.lines() {
            let comment = line.trim_start().strip_prefix('#').map(str::trim_start);
            match comment.and_then(|comment| comment.split_whitespace().next()) {
                Some("@frozen") => marks.frozen = true,
                Some("@skip") => marks.skip = true,
                Some("@expensive") => marks.expensive = true,
                _ => {}
            }
        }
        marks
    }
}

/// Knows what the code of a language does to the names of its kernel.
pub trait Analyzer: Debug + Send + Sync + 'static {
    /// Analyses a cell. Never fails: what cannot be understood is assumed to read and write everything, and says so.
    fn analyze(&self, source: &str, names: &mut Names) -> Analysis;
}

/// The analyzer for a kernel's language.
pub fn analyzer_for(language: &str) -> &'static dyn Analyzer {
    match language {
        "python" | "ipython" | "python3" => &PythonAnalyzer,
        _ => &OpaqueAnalyzer,
    }
}
