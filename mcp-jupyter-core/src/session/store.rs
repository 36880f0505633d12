//! The trait of all stores of sessions.

use std::fmt::{Debug, Display};
use std::path::Path;

use async_trait::async_trait;

use super::SessionError;
use super::edit::{EditBatch, Undo};
use super::notebook::{Durability, Notebook};
use super::types::{
    CellResult, Edited, HistoryQuery, KernelBinding, RestoreFrom, Restored, Saved, SessionRecord, Snapshot,
    SnapshotInfo, Version,
};
use crate::model::SessionId;

/// Keeps sessions: which notebook is bound to which kernel, and the results that are to go into its file.
///
/// What a method has done is durable against the end of any process when it returns, and several processes may use one
/// store. A dropped future may or may not have had its effect, never a part of it. `Display` tells where the store is.
///
/// ```
/// use mcp_jupyter_core::session::{MemorySessions, SessionStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("sessions-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("analysis.ipynb");
/// std::fs::write(&path, r#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#)?;
/// let sessions = MemorySessions::new();
/// let session = sessions.open(&path).await?;
/// assert_eq!(sessions.next_token(&session.id).await?, 1);
/// assert_eq!(sessions.find(&path).await?.map(|found| found.id), Some(session.id));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait SessionStore: Display + Debug + Send + Sync + 'static {
    /// The session of the notebook at `path`; a new one where it has none.
    ///
    /// The same file through another path is the same session. A notebook that was renamed is known by its file as long
    /// as nothing is at its old path; a copy is another session.
    ///
    /// # Errors
    /// [`SessionError::NotFound`] where there is neither a session nor a file, [`SessionError::Io`] where it is a
    /// directory or cannot be looked at.
    async fn open(&self, path: &Path) -> Result<SessionRecord, SessionError>;

    /// The session of the notebook at `path`, if it has one, found as by [`SessionStore::open`].
    async fn find(&self, path: &Path) -> Result<Option<SessionRecord>, SessionError>;

    /// The session with this id.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]
    async fn get(&self, id: &SessionId) -> Result<SessionRecord, SessionError>;

    /// All sessions, the one that was used last first.
    async fn list(&self) -> Result<Vec<SessionRecord>, SessionError>;

    /// The next fencing token: higher than every one before.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]
    async fn next_token(&self, id: &SessionId) -> Result<u64, SessionError>;

    /// Binds the session to a kernel, or to none. The epoch of the session becomes that of the kernel where that is higher.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]
    async fn bind(&self, id: &SessionId, kernel: Option<KernelBinding>) -> Result<(), SessionError>;

    /// Takes over results of executions, all or none. They go into the file at the next [`SessionStore::save`]; until
    /// then, a later result of the same cell takes the place of an earlier one.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]
    async fn record(&self, id: &SessionId, results: Vec<CellResult>) -> Result<(), SessionError>;

    /// Puts all results that are not in the file yet into its newest content, and replaces it.
    ///
    /// A result goes into the very source that was executed. Where the cell has another one now, or is gone, its result is
    /// left out, and no longer pending. Where nothing changes, the file is read but not touched. What others save
    /// meanwhile is not lost.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]; [`SessionError::NotSaved`] where the file cannot be read or replaced: it is as it
    /// was, and all results are pending still.
    async fn save(&self, id: &SessionId, durability: Durability) -> Result<Saved, SessionError>;

    /// Forgets the session, what is pending and its history; the notebook's file stays. Repeating is safe.
    async fn close(&self, id: &SessionId) -> Result<(), SessionError>;

    /// The notebook as it is, with what is pending.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]; as of [`Notebook::open`].
    async fn snapshot(&self, id: &SessionId) -> Result<Snapshot, SessionError>;

    /// Applies edits to the newest content of the file, all or none, and replaces it; what is pending goes into it too. A
    /// snapshot is taken before edits that take something away besides text.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`], [`SessionError::NotSaved`], and those of [`Notebook::apply_edits`]: the file is as
    /// it was then.
    async fn apply(&self, id: &SessionId, batch: &EditBatch) -> Result<Edited, SessionError>;

    /// Takes edits back, where the cells that they have changed are still as they left them.
    ///
    /// # Errors
    /// As of [`SessionStore::apply`].
    async fn undo(&self, id: &SessionId, undo: &Undo) -> Result<Edited, SessionError>;

    /// What was executed, the latest first.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]
    async fn history(&self, id: &SessionId, query: HistoryQuery) -> Result<Vec<Version>, SessionError>;

    /// Takes a snapshot under a name. It stays until the session is forgotten.
    ///
    /// # Errors
    /// As of [`SessionStore::snapshot`].
    async fn keep(&self, id: &SessionId, name: &str) -> Result<SnapshotInfo, SessionError>;

    /// The snapshots, the latest first.
    ///
    /// # Errors
    /// [`SessionError::NoSuchSession`]
    async fn snapshots(&self, id: &SessionId) -> Result<Vec<SnapshotInfo>, SessionError>;

    /// The notebook of a snapshot.
    ///
    /// # Errors
    /// [`SessionError::InvalidRequest`] where there is no such snapshot.
    async fn snapshot_document(&self, id: &SessionId, seq: u64) -> Result<Notebook, SessionError>;

    /// Brings back something of the past. A snapshot is taken before.
    ///
    /// # Errors
    /// [`SessionError::InvalidRequest`] where there is no such snapshot or version, [`SessionError::NoSuchCell`] where it
    /// lacks the cell, or the notebook does; [`SessionError::NotSaved`].
    async fn restore(&self, id: &SessionId, from: RestoreFrom) -> Result<Restored, SessionError>;
}
