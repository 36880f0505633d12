//! Plain data of sessions.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::kernel::KernelSpec;
use crate::model::{CellId, Digest, Json, JsonMap, KernelId, RunId, SessionId};
use crate::session::edit::Applied;
use crate::session::notebook::{MergeConflict, Notebook};

/// A session as its store knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// Its identity.
    pub id: SessionId,
    /// The notebook's file, absolute and without symbolic links.
    pub path: PathBuf,
    /// The kernel that it is bound to.
    pub kernel: Option<KernelBinding>,
    /// The fencing token that was given last; 0 before the first.
    pub token: u64,
    /// The highest epoch of all kernels that it was bound to.
    pub epoch: u64,
    /// When it was begun.
    pub created: Timestamp,
    /// When it was used last.
    pub used: Timestamp,
}

/// The kernel of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelBinding {
    /// Which kernel.
    pub kernel_id: KernelId,
    /// What it was started from.
    pub spec: KernelSpec,
    /// How many kernel processes the session has had, this one included.
    pub epoch: u64,
}

/// What the execution of a cell has made of it so far.
#[derive(Clone, Debug, PartialEq)]
pub struct CellResult {
    /// Which cell.
    pub cell: CellId,
    /// The digest of the source that was executed, in UTF-8.
    pub source: Digest,
    /// The cell's outputs.
    pub outputs: Vec<Json>,
    /// The `n` of `In [n]`.
    pub execution_count: Option<i64>,
    /// Members of the cell's metadata to set, such as `execution`.
    pub metadata: JsonMap,
    /// Members of the notebook's metadata to set, such as `language_info`.
    pub notebook_metadata: JsonMap,
    /// Set when the execution has ended.
    pub end: Option<ExecutionEnd>,
}

/// How an execution has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionEnd {
    /// The run that it was a part of.
    pub run_id: RunId,
    /// Which attempt of that run at this cell.
    pub attempt: u32,
    /// What it has come to, in a word such as `ok` or `error`.
    pub outcome: String,
    /// How long it took.
    pub seconds: f64,
    /// The epoch of the kernel that it ran on.
    pub epoch: u64,
    /// The source that was executed.
    pub source: String,
}

/// What a save has come to.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The notebook as it is in the file now.
    pub notebook: Arc<Notebook>,
    /// Cells whose results are not in the file, because their source is another one now or they are gone.
    pub left_out: Vec<CellId>,
    /// Whether the file was replaced.
    pub is_changed: bool,
    /// Where another program has changed the same as we did a moment before, without having seen it.
    pub conflicts: Vec<MergeConflict>,
}

/// A notebook at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The notebook, with all results that were recorded.
    pub notebook: Arc<Notebook>,
    /// What it is recognised by.
    pub revision: Digest,
}

/// A notebook after edits.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The notebook as it is in the file now.
    pub notebook: Arc<Notebook>,
    /// What it is recognised by.
    pub revision: Digest,
    /// What was changed, and how to take that back.
    pub applied: Applied,
    /// As of [`Saved`].
    pub conflicts: Vec<MergeConflict>,
}

/// A notebook after something of its past was brought back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The notebook as it is in the file now.
    pub notebook: Arc<Notebook>,
    /// What it was like before: to be restored in turn, to take this back.
    pub before: SnapshotInfo,
}

/// Which executions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Those of one cell; of all where there is none.
    pub cell: Option<CellId>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// One execution of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its number: later ones have higher ones.
    pub seq: u64,
    /// The cell.
    pub cell: CellId,
    /// The run.
    pub run_id: RunId,
    /// How often that run had executed the cell, from 1.
    pub attempt: u32,
    /// The source that was executed.
    pub source: String,
    /// The digests of its outputs, each as JSON.
    pub outputs: Vec<Digest>,
    /// How it ended, in a word.
    pub outcome: String,
    /// The `n` of `In [n]`.
    pub execution_count: Option<i64>,
    /// How long it took.
    pub seconds: f64,
    /// The epoch of the kernel.
    pub epoch: u64,
    /// When it ended.
    pub ended: Timestamp,
}

/// What is known of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Its number: later ones have higher ones.
    pub seq: u64,
    /// The name that it was given.
    pub name: Option<String>,
    /// Why it was taken.
    pub reason: String,
    /// When it was taken.
    pub taken: Timestamp,
    /// The length of the document, in bytes.
    pub length: u64,
    /// The digest of the document.
    pub digest: Digest,
}

/// What to bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The notebook of this snapshot, or one cell of it, as it was: source, outputs and metadata.
    Snapshot {
        /// Its number.
        seq: u64,
        /// The cell.
        cell: Option<CellId>,
    },
    /// The source and the outputs of this execution, into its cell.
    Version {
        /// Its number.
        seq: u64,
    },
}
