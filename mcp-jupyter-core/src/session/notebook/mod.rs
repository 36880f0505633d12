//! The notebook document: an `.ipynb` file as it is read, changed and written.
//!
//! [`Notebook`] is a lossless view. What nbformat 4 knows has accessors; whatever else a file holds, in any place, is
//! kept and written back. What is written equals, byte for byte, what Python's `nbformat.write` makes of the same
//! file, except that numbers stay as they were written. A document that can be executed and saved is read even where
//! the schema forbids something in it, and says so in its [`Quirk`]s; one that cannot be is refused with the place and
//! the reason.
//!
//! There is no kernel here: this is the document in memory, and its file, which others may write too ([`SharedFile`]).

pub(in crate::session) mod align;
mod cell;
mod diff;
mod document;
mod exchange;
mod file;
mod hashing;
pub(in crate::session) mod ids;
mod line_diff;
mod lines;
mod merge;
mod merge3;
mod named;
pub(in crate::session) mod parts;
mod place;
pub(in crate::session) mod read;
mod shared;
mod sources;
mod upgrade;
pub(in crate::session) mod validate;
pub(in crate::session) mod write;

pub use cell::{Cell, CellType};
pub use diff::{CellDiff, NotebookDiff, TypeChange};
pub use document::Notebook;
pub use file::Durability;
pub use line_diff::{DiffLine, Hunk, LineKind, line_diff};
pub use merge::Merged;
pub use merge3::{Merge3, MergeConflict};
pub(in crate::session) use shared::Look;
pub use shared::{SharedFile, WrittenBack};
pub use validate::Quirk;
