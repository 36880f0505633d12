use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::undo::Undo;
use crate::model::{CellId, Digest, JsonMap};
use crate::session::notebook::CellType;

/// One change of a notebook.
///
/// An id that is given to a new cell must be free, and of 1 to 64 ASCII letters, digits, hyphens and underscores; where
/// none is given, a random one is taken. A notebook below nbformat 4.5 in which a cell is created becomes one of 4.5,
/// and the ids of all its cells part of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Edit {
    /// Creates a cell.
    Insert {
        /// Where.
        at: Place,
        /// Its type.
        cell_type: CellType,
        /// Its source.
        source: String,
        /// Its id.
        #[serde(default)]
        id: Option<CellId>,
        /// Its metadata.
        #[serde(default)]
        metadata: JsonMap,
    },
    /// Gives a cell another source. Its outputs stay, as in Jupyter.
    ReplaceSource {
        /// The cell.
        cell: CellId,
        /// The whole new source.
        source: String,
    },
    /// Replaces a part of a cell's source.
    ReplaceText {
        /// The cell.
        cell: CellId,
        /// What is replaced; it must occur exactly once.
        old: String,
        /// What takes its place.
        new: String,
    },
    /// Takes a cell away, with its outputs.
    Delete {
        /// The cell.
        cell: CellId,
    },
    /// Puts a cell elsewhere.
    Move {
        /// The cell.
        cell: CellId,
        /// Where to; not relative to itself.
        to: Place,
    },
    /// Creates a cell with the source, metadata and attachments of another. It has not been executed: no outputs.
    Copy {
        /// The cell that is copied.
        cell: CellId,
        /// Where the copy is put.
        to: Place,
        /// The id of the copy.
        #[serde(default)]
        id: Option<CellId>,
    },
    /// Divides a cell: what follows goes to a new cell after it, with the same metadata and attachments; outputs stay
    /// with the first. The end of the line before is dropped.
    Split {
        /// The cell.
        cell: CellId,
        /// The line, from 1, that the new cell begins with; from 2 to the number of lines.
        line: usize,
        /// The id of the new cell.
        #[serde(default)]
        id: Option<CellId>,
    },
    /// Joins cells into the first of them, their sources with a line end between. Its metadata and outputs stay,
    /// attachments come together; those of the others go.
    Merge {
        /// Two or more adjacent cells of one type, in notebook order.
        cells: Vec<CellId>,
    },
    /// Makes a cell one of another type. Outputs go with the type code, attachments with the others.
    SetType {
        /// The cell.
        cell: CellId,
        /// The new type.
        cell_type: CellType,
    },
    /// Sets and removes members of a cell's metadata, or of the notebook's.
    SetMetadata {
        /// The cell; the notebook where there is none.
        #[serde(default)]
        cell: Option<CellId>,
        /// The members that are set, whole.
        #[serde(default)]
        set: JsonMap,
        /// The members that are removed; those that are not there are passed over.
        #[serde(default)]
        remove: Vec<String>,
    },
    /// Adds those of the tags that a cell lacks.
    AddTags {
        /// The cell.
        cell: CellId,
        /// The tags; none is empty or holds a comma.
        tags: Vec<String>,
    },
    /// Removes those of the tags that a cell has.
    RemoveTags {
        /// The cell.
        cell: CellId,
        /// The tags.
        tags: Vec<String>,
    },
    /// Clears outputs and execution counts of code cells; others are passed over.
    ClearOutputs {
        /// The cells; all where there is none.
        #[serde(default)]
        cells: Option<Vec<CellId>>,
    },
}

impl Edit {
    /// The name that the edit has in its `op` member.
    pub fn name(&self) -> &'static str {
        match self {
            Edit::Insert { .. } => "insert",
            Edit::ReplaceSource { .. } => "replace_source",
            Edit::ReplaceText { .. } => "replace_text",
            Edit::Delete { .. } => "delete",
            Edit::Move { .. } => "move",
            Edit::Copy { .. } => "copy",
            Edit::Split { .. } => "split",
            Edit::Merge { .. } => "merge",
            Edit::SetType { .. } => "set_type",
            Edit::SetMetadata { .. } => "set_metadata",
            Edit::AddTags { .. } => "add_tags",
            Edit::RemoveTags { .. } => "remove_tags",
            Edit::ClearOutputs { .. } => "clear_outputs",
        }
    }
}

impl Edit {
    /// The cells that it changes or takes away; none where it may be any.
    pub(in crate::session) fn cells(&self) -> Option<&[CellId]> {
        match self {
            Edit::Insert { .. } | Edit::SetMetadata { cell: None, .. } => Some(&[]),
            Edit::ReplaceSource { cell, .. }
            | Edit::ReplaceText { cell, .. }
            | Edit::Delete { cell }
            | Edit::Move { cell, .. }
            | Edit::Copy { cell, .. }
            | Edit::Split { cell, .. }
            | Edit::SetType { cell, .. }
            | Edit::SetMetadata { cell: Some(cell), .. }
            | Edit::AddTags { cell, .. }
            | Edit::RemoveTags { cell, .. } => Some(std::slice::from_ref(cell)),
            Edit::Merge { cells } => Some(cells),
            Edit::ClearOutputs { cells } => cells.as_deref(),
        }
    }
}

/// A place among the cells of a notebook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Before all cells.
    First,
    /// After all cells.
    Last,
    /// Right before this cell.
    Before(CellId),
    /// Right after this cell.
    After(CellId),
}

/// Edits that are applied together, one after the other, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EditBatch {
    /// The edits, each of which sees what the ones before have done.
    pub edits: Vec<Edit>,
    /// The sources of the cells as the author has seen them, by [`Cell::source_digest`]; a cell that is not listed is
    /// not checked.
    ///
    /// [`Cell::source_digest`]: crate::session::notebook::Cell::source_digest
    #[serde(default)]
    pub based_on: BTreeMap<CellId, Digest>,
    /// The whole notebook as the author has seen it, by [`Notebook::revision`]; not checked where there is none.
    ///
    /// [`Notebook::revision`]: crate::session::notebook::Notebook::revision
    #[serde(default)]
    pub revision: Option<Digest>,
}

impl From<Vec<Edit>> for EditBatch {
    /// A batch that is applied whatever has changed meanwhile.
    fn from(edits: Vec<Edit>) -> Self {
        Self {
            edits,
            ..Self::default()
        }
    }
}

/// What a batch has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// What takes it back.
    pub undo: Undo,
    /// The new cells, in the order in which they were created.
    pub inserted: Vec<CellId>,
    /// The cells that are gone, in their order.
    pub deleted: Vec<CellId>,
    /// The cells that were there before and that have another content now, in their order.
    pub changed: Vec<CellId>,
    /// The cells that stand elsewhere among the others now, in their order.
    pub moved: Vec<CellId>,
}
