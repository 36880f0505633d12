//! What all stores of sessions do in the same way: they differ in where their state is.

use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::edit::{Applied, Edit, EditBatch, EditError, Undo};
use super::notebook::{Cell, Durability, Look, MergeConflict, Merged, Notebook, SharedFile};
use super::place::{Identity, Place, renamed};
use super::recent::{BroughtIn, RecentWrite, Touched, Written, unseen};
use super::types::{
    CellResult, Edited, HistoryQuery, KernelBinding, RestoreFrom, Restored, Saved, SessionRecord, Snapshot,
    SnapshotInfo, Version,
};
use super::{SessionError, SessionStore};
use crate::model::{CellId, Digest, Json, SessionId};

/// Where sessions are kept. Every method may wait, and is done whole or not at all.
pub(super) trait State: Debug + Send + Sync + 'static {
    /// Held while a notebook's file is read, changed and replaced.
    type Turn;

    /// The session of this file, which it takes along to its new path.
    fn find(&self, place: &Place) -> Result<Option<SessionRecord>, SessionError>;
    /// As `find`, or a new one.
    fn open(&self, place: &Place) -> Result<SessionRecord, SessionError>;
    fn get(&self, id: &SessionId) -> Result<SessionRecord, SessionError>;
    fn list(&self) -> Result<Vec<SessionRecord>, SessionError>;
    fn next_token(&self, id: &SessionId) -> Result<u64, SessionError>;
    fn bind(&self, id: &SessionId, kernel: Option<KernelBinding>) -> Result<(), SessionError>;
    fn record(&self, id: &SessionId, results: Vec<CellResult>) -> Result<(), SessionError>;
    /// In the order in which they were recorded.
    fn pending(&self, id: &SessionId) -> Result<Vec<Pending>, SessionError>;
    /// Forgets what is in the file now, and notes which file that is, and what was written where something was.
    fn settle(
        &self,
        id: &SessionId,
        saved: &[u64],
        identity: Option<Identity>,
        written: Option<Written>,
    ) -> Result<(), SessionError>;
    /// Which file the notebook was last.
    fn identity(&self, id: &SessionId) -> Result<Option<Identity>, SessionError>;
    /// The content that was written last.
    fn written(&self, id: &SessionId) -> Result<Option<Digest>, SessionError>;
    /// What was written shortly before that, and that, in this order.
    fn recent(&self, id: &SessionId) -> Result<Vec<RecentWrite>, SessionError>;
    fn close(&self, id: &SessionId) -> Result<(), SessionError>;
    /// The latest first.
    fn versions(&self, id: &SessionId, query: &HistoryQuery) -> Result<Vec<Version>, SessionError>;
    fn version_outputs(&self, version: u64) -> Result<Vec<Json>, SessionError>;
    fn add_snapshot(
        &self,
        id: &SessionId,
        name: Option<&str>,
        reason: &str,
        document: &[u8],
    ) -> Result<SnapshotInfo, SessionError>;
    /// The latest first.
    fn snapshots(&self, id: &SessionId) -> Result<Vec<SnapshotInfo>, SessionError>;
    /// The document of a snapshot.
    fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, SessionError>;
    /// Waits until nobody else who uses this state writes the notebook at `path`.
    fn turn(&self, path: &Path) -> Result<Self::Turn, SessionError>;
    /// Where the state is, for messages.
    fn path(&self) -> PathBuf;
}

/// A result that is not in the file yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// Another one for each result.
    pub(super) seq: u64,
    pub(super) result: CellResult,
}

/// A store that is no more than the state of its sessions.
pub(super) trait Keeping {
    type State: State;

    fn state(&self) -> &Arc<Self::State>;
}

#[async_trait]
impl<K: Keeping + Display + Debug + Send + Sync + 'static> SessionStore for K {
    async fn open(&self, path: &Path) -> Result<SessionRecord, SessionError> {
        let path = path.to_owned();
        with(self.state(), move |state| open(state, &path)).await
    }

    async fn find(&self, path: &Path) -> Result<Option<SessionRecord>, SessionError> {
        let path = path.to_owned();
        with(self.state(), move |state| state.find(&Place::find(&path)?)).await
    }

    async fn get(&self, id: &SessionId) -> Result<SessionRecord, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| state.get(&id)).await
    }

    async fn list(&self) -> Result<Vec<SessionRecord>, SessionError> {
        with(self.state(), State::list).await
    }

    async fn next_token(&self, id: &SessionId) -> Result<u64, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| state.next_token(&id)).await
    }

    async fn bind(&self, id: &SessionId, kernel: Option<KernelBinding>) -> Result<(), SessionError> {
        let id = id.clone();
        with(self.state(), move |state| state.bind(&id, kernel)).await
    }

    async fn record(&self, id: &SessionId, results: Vec<CellResult>) -> Result<(), SessionError> {
        let id = id.clone();
        with(self.state(), move |state| state.record(&id, results)).await
    }

    async fn save(&self, id: &SessionId, durability: Durability) -> Result<Saved, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| save(state, &id, durability)).await
    }

    async fn close(&self, id: &SessionId) -> Result<(), SessionError> {
        let id = id.clone();
        with(self.state(), move |state| state.close(&id)).await
    }

    async fn snapshot(&self, id: &SessionId) -> Result<Snapshot, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| snapshot(state, &id)).await
    }

    async fn apply(&self, id: &SessionId, batch: &EditBatch) -> Result<Edited, SessionError> {
        let (id, batch) = (id.clone(), batch.clone());
        with(self.state(), move |state| apply(state, &id, &batch)).await
    }

    async fn undo(&self, id: &SessionId, undo: &Undo) -> Result<Edited, SessionError> {
        let (id, undo) = (id.clone(), undo.clone());
        with(self.state(), move |state| {
            let cells: Vec<CellId> = undo.cells().cloned().collect();
            edit(state, &id, None, Some(&cells), |notebook| notebook.undo(&undo))
        })
        .await
    }

    async fn history(&self, id: &SessionId, query: HistoryQuery) -> Result<Vec<Version>, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| {
            state.get(&id)?;
            state.versions(&id, &query)
        })
        .await
    }

    async fn keep(&self, id: &SessionId, name: &str) -> Result<SnapshotInfo, SessionError> {
        let (id, name) = (id.clone(), name.to_owned());
        with(self.state(), move |state| {
            let notebook = snapshot(state, &id)?.notebook;
            state.add_snapshot(&id, Some(&name), "asked for", &notebook.to_bytes())
        })
        .await
    }

    async fn snapshots(&self, id: &SessionId) -> Result<Vec<SnapshotInfo>, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| {
            state.get(&id)?;
            state.snapshots(&id)
        })
        .await
    }

    async fn snapshot_document(&self, id: &SessionId, seq: u64) -> Result<Notebook, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| past(state, &id, seq)).await
    }

    async fn restore(&self, id: &SessionId, from: RestoreFrom) -> Result<Restored, SessionError> {
        let id = id.clone();
        with(self.state(), move |state| restore(state, &id, &from)).await
    }
}

/// Does something with the state on a thread that may wait.
async fn with<S: State, T: Send + 'static>(
    state: &Arc<S>,
    action: impl FnOnce(&S) -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    let state = Arc::clone(state);
    let path = state.path();
    let done = spawn_blocking(move || action(&state)).await;
    done.map_err(|error| SessionError::State {
        path,
        action: "cannot use it".to_owned(),
        source: error.into(),
    })
    .flatten()
}

fn open<S: State>(state: &S, path: &Path) -> Result<SessionRecord, SessionError> {
    let place = Place::find(path)?;
    match place.check() {
        Ok(()) => state.open(&place),
        // A notebook that has a session may be away for a while.
        Err(error) => state.find(&place)?.ok_or(error),
    }
}

fn save<S: State>(state: &S, id: &SessionId, durability: Durability) -> Result<Saved, SessionError> {
    let mut left_out = Vec::new();
    let written = write(state, id, durability, |notebook, results, touched| {
        let merged = put(notebook, results, touched);
        left_out.clone_from(&merged.left_out);
        Ok(merged.is_changed)
    })?;
    Ok(Saved {
        notebook: Arc::new(written.notebook),
        left_out,
        is_changed: written.is_changed,
        conflicts: written.conflicts,
    })
}

/// Puts results into a notebook, and notes the cells that get them.
fn put(notebook: &mut Notebook, results: &[CellResult], touched: &mut Touched) -> Merged {
    touched.note(notebook, results.iter().map(|result| &result.cell));
    notebook.put_results(results)
}

/// What has become of the file.
struct Outcome {
    notebook: Notebook,
    is_changed: bool,
    conflicts: Vec<MergeConflict>,
}

/// Changes the newest content of the notebook's file, to which what is pending belongs, and replaces it. What another
/// program has saved over is brought in again before.
fn write<S: State>(
    state: &S,
    id: &SessionId,
    durability: Durability,
    mut change: impl FnMut(&mut Notebook, &[CellResult], &mut Touched) -> Result<bool, SessionError>,
) -> Result<Outcome, SessionError> {
    let (path, _turn) = turn(state, id)?;
    let pending = state.pending(id)?;
    let (seqs, results): (Vec<_>, Vec<_>) = pending.into_iter().map(|pending| (pending.seq, pending.result)).unzip();
    let last = state.written(id)?;
    let (mut failure, mut noted) = (None, None);
    let mut conflicts = Vec::new();
    let changed = SharedFile::new(&path).change(durability, |notebook, look| {
        let mut touched = Touched::none(notebook);
        let is_changed = bring_in(state, id, notebook, look, last, &mut touched).and_then(|brought| {
            conflicts = brought.conflicts;
            Ok(change(notebook, &results, &mut touched)? | brought.is_changed)
        });
        noted = Some(touched);
        let is_changed = is_changed.unwrap_or_else(|error| {
            failure = Some(error);
            false
        });
        Merged {
            is_changed,
            left_out: Vec::new(),
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    let changed = changed.map_err(|source| SessionError::NotSaved {
        path: path.clone(),
        source: source.into(),
    })?;
    let notebook = changed.written.notebook;
    let is_changed = changed.replaced.is_some();
    // A file that was replaced is another one: it is known by what it is now when it is renamed.
    if let Some((look, found)) = changed.replaced {
        let write = noted.and_then(|touched| touched.written(&notebook, look.modified));
        let digest = look.digest;
        state.settle(
            id,
            &seqs,
            Identity::of_metadata(&found),
            Some(Written { digest, write }),
        )?;
    } else if !seqs.is_empty() {
        state.settle(id, &seqs, Identity::of(&path), None)?;
    }
    Ok(Outcome {
        notebook,
        is_changed,
        conflicts,
    })
}

/// The right to write the notebook's file, and where that is: where it was renamed to, if in its folder.
fn turn<S: State>(state: &S, id: &SessionId) -> Result<(PathBuf, S::Turn), SessionError> {
    loop {
        let path = current_path(state, id)?;
        let turn = state.turn(&path)?;
        // Whoever had the turn before may have found it elsewhere.
        if state.get(id)?.path == path {
            return Ok((path, turn));
        }
    }
}

fn current_path<S: State>(state: &S, id: &SessionId) -> Result<PathBuf, SessionError> {
    let path = state.get(id)?.path;
    if path.symlink_metadata().is_ok() {
        return Ok(path);
    }
    let renamed = state.identity(id)?.and_then(|identity| renamed(&path, identity));
    let Some(renamed) = renamed else {
        return Ok(path);
    };
    match state.find(&Place::find(&renamed)?)? {
        Some(found) if found.id == *id => Ok(found.path),
        // It has a session of its own by now.
        _ => Ok(path),
    }
}

/// Brings in what was written before, where another program has saved since.
fn bring_in<S: State>(
    state: &S,
    id: &SessionId,
    notebook: &mut Notebook,
    look: &Look,
    last: Option<Digest>,
    touched: &mut Touched,
) -> Result<BroughtIn, SessionError> {
    if last.is_none_or(|last| last == look.digest) {
        return Ok(BroughtIn::default());
    }
    let writes = unseen(state.recent(id)?, look.modified);
    Ok(notebook.bring_in(&writes, touched))
}

fn snapshot<S: State>(state: &S, id: &SessionId) -> Result<Snapshot, SessionError> {
    let path = current_path(state, id)?;
    let (mut notebook, look) = SharedFile::new(&path).look()?;
    let mut touched = Touched::none(&notebook);
    bring_in(state, id, &mut notebook, &look, state.written(id)?, &mut touched)?;
    let pending: Vec<CellResult> = state.pending(id)?.into_iter().map(|pending| pending.result).collect();
    notebook.put_results(&pending);
    Ok(Snapshot {
        revision: notebook.revision(),
        notebook: Arc::new(notebook),
    })
}

fn apply<S: State>(state: &S, id: &SessionId, batch: &EditBatch) -> Result<Edited, SessionError> {
    let is_destructive = batch.edits.iter().any(takes_away);
    let reason = is_destructive.then_some("before edits that take something away");
    let cells: Option<Vec<&[CellId]>> = batch.edits.iter().map(Edit::cells).collect();
    let cells = cells.map(|cells| cells.concat());
    edit(state, id, reason, cells.as_deref(), |notebook| {
        notebook.apply_edits(batch)
    })
}

/// Whether something is gone from the notebook afterwards, besides text.
fn takes_away(edit: &Edit) -> bool {
    matches!(
        edit,
        Edit::Delete { .. } | Edit::ClearOutputs { .. } | Edit::Merge { .. } | Edit::SetType { .. }
    )
}

/// Edits these cells, or any, in the newest content of the notebook's file; where there is a reason, a snapshot is taken
/// before.
fn edit<S: State>(
    state: &S,
    id: &SessionId,
    reason: Option<&str>,
    cells: Option<&[CellId]>,
    mut edit: impl FnMut(&mut Notebook) -> Result<Applied, EditError>,
) -> Result<Edited, SessionError> {
    let mut done = None;
    let written = write(state, id, Durability::Process, |notebook, results, touched| {
        put(notebook, results, touched);
        let before = reason.map(|_| notebook.to_bytes());
        match cells {
            Some(cells) => touched.note(notebook, cells),
            None => touched.note(notebook, notebook.cells().iter().map(Cell::id)),
        }
        let applied = done.insert(edit(notebook)?);
        touched.note_new(&applied.inserted);
        if let (Some(reason), Some(before)) = (reason, before) {
            state.add_snapshot(id, None, reason, &before)?;
        }
        Ok(true)
    })?;
    Ok(Edited {
        revision: written.notebook.revision(),
        notebook: Arc::new(written.notebook),
        applied: done.expect("nothing is written without it"),
        conflicts: written.conflicts,
    })
}

/// The notebook of a snapshot.
fn past<S: State>(state: &S, id: &SessionId, seq: u64) -> Result<Notebook, SessionError> {
    state.get(id)?;
    let known = state.snapshots(id)?;
    let info = known.iter().find(|info| info.seq == seq);
    let document = match info {
        Some(info) => state.document(&info.digest)?,
        None => None,
    };
    let document = document.ok_or_else(|| SessionError::InvalidRequest(format!("there is no snapshot {seq}")))?;
    Notebook::parse(&document)
}

fn restore<S: State>(state: &S, id: &SessionId, from: &RestoreFrom) -> Result<Restored, SessionError> {
    let past = match from {
        RestoreFrom::Snapshot { seq, cell } => Past::Notebook(past(state, id, *seq)?, cell.clone()),
        RestoreFrom::Version { seq } => Past::Version(version(state, id, *seq)?, state.version_outputs(*seq)?),
    };
    let mut before = None;
    let written = write(state, id, Durability::Process, |notebook, results, touched| {
        put(notebook, results, touched);
        touched.note(notebook, notebook.cells().iter().map(Cell::id));
        before = Some(state.add_snapshot(id, None, "before something was restored", &notebook.to_bytes())?);
        past.bring_back(notebook)?;
        touched.note_new(notebook.cells().iter().map(Cell::id));
        Ok(true)
    })?;
    Ok(Restored {
        notebook: Arc::new(written.notebook),
        before: before.expect("nothing is written without it"),
    })
}

fn version<S: State>(state: &S, id: &SessionId, seq: u64) -> Result<Version, SessionError> {
    state.get(id)?;
    let known = state.versions(id, &HistoryQuery::default())?;
    let version = known.into_iter().find(|version| version.seq == seq);
    version.ok_or_else(|| SessionError::InvalidRequest(format!("there is no version {seq} in the history")))
}

/// Something that was.
enum Past {
    Notebook(Notebook, Option<CellId>),
    Version(Version, Vec<Json>),
}

impl Past {
    fn bring_back(&self, notebook: &mut Notebook) -> Result<(), SessionError> {
        match self {
            Self::Notebook(past, None) => *notebook = past.clone(),
            Self::Notebook(past, Some(id)) => {
                let cell = past.cell(id).cloned();
                let cell = cell.ok_or_else(|| no_such_cell(id, "that snapshot"))?;
                match notebook.position(id) {
                    Some(place) => notebook.cells_mut()[place] = cell,
                    // It was deleted: it comes back where it was, as far as there is such a place.
                    None => {
                        let place = past.position(id).unwrap_or_default().min(notebook.cells().len());
                        notebook.cells_mut().insert(place, cell);
                    }
                }
            }
            Self::Version(version, outputs) => {
                let place = notebook.position(&version.cell);
                let place = place.ok_or_else(|| no_such_cell(&version.cell, "the notebook"))?;
                let cell = &mut notebook.cells_mut()[place];
                cell.set_source(version.source.clone());
                cell.outputs_mut().clone_from(outputs);
                cell.set_execution_count(version.execution_count);
            }
        }
        Ok(())
    }
}

fn no_such_cell(cell: &CellId, place: &str) -> SessionError {
    SessionError::NoSuchCell {
        message: format!("there is no cell {cell} in {place}"),
        cell: cell.clone(),
    }
}

/// The time as all stores keep it: in microseconds.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
