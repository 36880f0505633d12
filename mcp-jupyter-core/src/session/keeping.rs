//! What all stores of sessions do in the same way: they differ in where their state is.

use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::edit::{Applied, Edit, EditBatch, EditError, Undo};
use super::notebook::{Durability, Merged, Notebook, SharedFile, WrittenBack};
use super::place::{Identity, Place};
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
    /// Forgets what is in the file now, and notes which file that is.
    fn settle(&self, id: &SessionId, saved: &[u64], identity: Option<Identity>) -> Result<(), SessionError>;
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
            edit(state, &id, None, |notebook| notebook.undo(&undo))
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
    let written = write(state, id, durability, |notebook, results| {
        let merged = notebook.put_results(results);
        left_out.clone_from(&merged.left_out);
        Ok(merged.is_changed)
    })?;
    Ok(Saved {
        notebook: Arc::new(written.notebook),
        left_out,
        is_changed: written.merged.is_changed,
    })
}

/// Changes the newest content of the notebook's file, to which what is pending belongs, and replaces it.
fn write<S: State>(
    state: &S,
    id: &SessionId,
    durability: Durability,
    mut change: impl FnMut(&mut Notebook, &[CellResult]) -> Result<bool, SessionError>,
) -> Result<WrittenBack, SessionError> {
    let path = state.get(id)?.path;
    let _turn = state.turn(&path)?;
    let pending = state.pending(id)?;
    let (seqs, results): (Vec<_>, Vec<_>) = pending.into_iter().map(|pending| (pending.seq, pending.result)).unzip();
    let mut failure = None;
    let written = SharedFile::new(&path).change(durability, |notebook| match change(notebook, &results) {
        Ok(is_changed) => Merged {
            is_changed,
            left_out: Vec::new(),
        },
        Err(error) => {
            failure = Some(error);
            Merged::default()
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    let written = written.map_err(|source| SessionError::NotSaved {
        path: path.clone(),
        source: source.into(),
    })?;
    // A file that was replaced is another one: it is known by what it is now when it is renamed.
    if written.merged.is_changed || !seqs.is_empty() {
        state.settle(id, &seqs, Identity::of(&path))?;
    }
    Ok(written)
}

fn snapshot<S: State>(state: &S, id: &SessionId) -> Result<Snapshot, SessionError> {
    let path = state.get(id)?.path;
    let mut notebook = SharedFile::new(&path).reread()?;
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
    edit(state, id, reason, |notebook| notebook.apply_edits(batch))
}

/// Whether something is gone from the notebook afterwards, besides text.
fn takes_away(edit: &Edit) -> bool {
    matches!(
        edit,
        Edit::Delete { .. } | Edit::ClearOutputs { .. } | Edit::Merge { .. } | Edit::SetType { .. }
    )
}

/// Edits the newest content of the notebook's file; where there is a reason, a snapshot is taken before.
fn edit<S: State>(
    state: &S,
    id: &SessionId,
    reason: Option<&str>,
    mut edit: impl FnMut(&mut Notebook) -> Result<Applied, EditError>,
) -> Result<Edited, SessionError> {
    let mut done = None;
    let written = write(state, id, Durability::Process, |notebook, results| {
        notebook.put_results(results);
        let before = reason.map(|_| notebook.to_bytes());
        done = Some(edit(notebook)?);
        if let (Some(reason), Some(before)) = (reason, before) {
            state.add_snapshot(id, None, reason, &before)?;
        }
        Ok(true)
    })?;
    Ok(Edited {
        revision: written.notebook.revision(),
        notebook: Arc::new(written.notebook),
        applied: done.expect("nothing is written without it"),
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
    let written = write(state, id, Durability::Process, |notebook, results| {
        notebook.put_results(results);
        before = Some(state.add_snapshot(id, None, "before something was restored", &notebook.to_bytes())?);
        past.bring_back(notebook)?;
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
