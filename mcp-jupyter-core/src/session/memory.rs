//! Sessions that end with the process.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::SessionError;
use super::keeping::{Keeping, Pending, State, now};
use super::pending;
use super::place::{Identity, Place, is_in_place};
use super::recent::{RecentWrite, Written, is_kept};
use super::types::{CellResult, HistoryQuery, KernelBinding, SessionRecord, SnapshotInfo, Version};
use crate::model::{Digest, Json, SessionId};

/// Sessions whose state is in memory; the notebooks are files all the same. Clones are one store.
#[derive(Clone, Debug, Default)]
pub struct MemorySessions {
    state: Arc<Memory>,
}

impl MemorySessions {
    /// A store that has no session.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Display for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl Keeping for MemorySessions {
    type State = Memory;

    fn state(&self) -> &Arc<Memory> {
        &self.state
    }
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    sessions: Mutex<Sessions>,
    /// One for each notebook's path.
    turns: Turns,
}

/// Held while a notebook is written.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    path: PathBuf,
}

type Turns = Arc<(Mutex<HashSet<PathBuf>>, Condvar)>;

impl Drop for Turn {
    fn drop(&mut self) {
        let (taken, freed) = &*self.turns;
        taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        freed.notify_all();
    }
}

#[derive(Debug, Default)]
struct Sessions {
    /// The one that was used last is at the end.
    all: Vec<Session>,
    last_seq: u64,
}

#[derive(Debug)]
struct Session {
    record: SessionRecord,
    identity: Option<Identity>,
    pending: Vec<Pending>,
    written: Option<Digest>,
    recent: Vec<RecentWrite>,
    versions: Vec<(Version, Vec<Json>)>,
    snapshots: Vec<(SnapshotInfo, Vec<u8>)>,
}

impl Sessions {
    fn position(&self, id: &SessionId) -> Result<usize, SessionError> {
        let position = self.all.iter().position(|session| session.record.id == *id);
        position.ok_or_else(|| SessionError::NoSuchSession { id: id.clone() })
    }

    /// The session that is used now.
    fn touch(&mut self, id: &SessionId) -> Result<&mut Session, SessionError> {
        let position = self.position(id)?;
        self.all[position..].rotate_left(1);
        let session = self.all.last_mut().expect("there is one at that position");
        session.record.used = now();
        Ok(session)
    }

    fn find(&mut self, place: &Place) -> Option<&mut Session> {
        let at_path = |session: &Session| session.record.path == place.path;
        let renamed = |session: &Session| {
            place.identity.is_some() && session.identity == place.identity && !is_in_place(&session.record.path)
        };
        let position = self.all.iter().position(at_path);
        let position = position.or_else(|| self.all.iter().rposition(renamed))?;
        let session = &mut self.all[position];
        session.record.path.clone_from(&place.path);
        session.identity = place.identity.or(session.identity);
        Some(session)
    }

    fn begin(&mut self, place: &Place) -> SessionRecord {
        let now = now();
        let record = SessionRecord {
            id: SessionId::random(),
            path: place.path.clone(),
            kernel: None,
            token: 0,
            epoch: 0,
            created: now,
            used: now,
        };
        self.all.push(Session {
            record: record.clone(),
            identity: place.identity,
            pending: Vec::new(),
            written: None,
            recent: Vec::new(),
            versions: Vec::new(),
            snapshots: Vec::new(),
        });
        record
    }
}

impl Session {
    fn add_version(&mut self, seq: u64, result: &CellResult) {
        let Some(end) = &result.end else { return };
        let is_same = |(version, _): &(Version, Vec<Json>)| {
            version.run_id == end.run_id && version.cell == result.cell && version.attempt == end.attempt
        };
        self.versions.retain(|version| !is_same(version));
        let digests = result
            .outputs
            .iter()
            .map(|output| Digest::of(output.to_string().as_bytes()));
        let version = Version {
            seq,
            cell: result.cell.clone(),
            run_id: end.run_id.clone(),
            attempt: end.attempt,
            source: end.source.clone(),
            outputs: digests.collect(),
            outcome: end.outcome.clone(),
            execution_count: result.execution_count,
            seconds: end.seconds,
            epoch: end.epoch,
            ended: now(),
        };
        self.versions.push((version, result.outputs.clone()));
    }

    fn record(&mut self, seq: u64, result: CellResult) {
        let earlier = self
            .pending
            .iter()
            .position(|pending| pending.result.cell == result.cell);
        let earlier = earlier.map(|place| self.pending.remove(place).result.notebook_metadata);
        let result = CellResult {
            end: None,
            ..pending::replace(earlier, result)
        };
        self.pending.push(Pending { seq, result });
    }
}

impl Memory {
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, id: &SessionId, look: impl FnOnce(&Session) -> T) -> Result<T, SessionError> {
        let sessions = self.sessions();
        let position = sessions.position(id)?;
        Ok(look(&sessions.all[position]))
    }
}

impl State for Memory {
    type Turn = Turn;

    fn find(&self, place: &Place) -> Result<Option<SessionRecord>, SessionError> {
        Ok(self.sessions().find(place).map(|session| session.record.clone()))
    }

    fn open(&self, place: &Place) -> Result<SessionRecord, SessionError> {
        let mut sessions = self.sessions();
        let found = sessions.find(place).map(|session| session.record.clone());
        Ok(found.unwrap_or_else(|| sessions.begin(place)))
    }

    fn get(&self, id: &SessionId) -> Result<SessionRecord, SessionError> {
        self.look(id, |session| session.record.clone())
    }

    fn list(&self) -> Result<Vec<SessionRecord>, SessionError> {
        let sessions = self.sessions();
        Ok(sessions
            .all
            .iter()
            .rev()
            .map(|session| session.record.clone())
            .collect())
    }

    fn next_token(&self, id: &SessionId) -> Result<u64, SessionError> {
        let mut sessions = self.sessions();
        let record = &mut sessions.touch(id)?.record;
        record.token += 1;
        Ok(record.token)
    }

    fn bind(&self, id: &SessionId, kernel: Option<KernelBinding>) -> Result<(), SessionError> {
        let mut sessions = self.sessions();
        let record = &mut sessions.touch(id)?.record;
        record.epoch = record.epoch.max(kernel.as_ref().map_or(0, |kernel| kernel.epoch));
        record.kernel = kernel;
        Ok(())
    }

    fn record(&self, id: &SessionId, results: Vec<CellResult>) -> Result<(), SessionError> {
        let mut sessions = self.sessions();
        sessions.position(id)?;
        for result in results {
            sessions.last_seq += 1;
            let seq = sessions.last_seq;
            let session = sessions.touch(id)?;
            session.add_version(seq, &result);
            session.record(seq, result);
        }
        Ok(())
    }

    fn pending(&self, id: &SessionId) -> Result<Vec<Pending>, SessionError> {
        self.look(id, |session| session.pending.clone())
    }

    fn settle(
        &self,
        id: &SessionId,
        saved: &[u64],
        identity: Option<Identity>,
        written: Option<Written>,
    ) -> Result<(), SessionError> {
        let mut sessions = self.sessions();
        let session = sessions.touch(id)?;
        session.pending.retain(|pending| !saved.contains(&pending.seq));
        session.identity = identity.or(session.identity);
        if let Some(Written { digest, write }) = written {
            session.written = Some(digest);
            if let Some(write) = write {
                session.recent.retain(|earlier| is_kept(earlier.at, write.at));
                session.recent.push(write);
            }
        }
        Ok(())
    }

    fn identity(&self, id: &SessionId) -> Result<Option<Identity>, SessionError> {
        self.look(id, |session| session.identity)
    }

    fn written(&self, id: &SessionId) -> Result<Option<Digest>, SessionError> {
        self.look(id, |session| session.written)
    }

    fn recent(&self, id: &SessionId) -> Result<Vec<RecentWrite>, SessionError> {
        self.look(id, |session| session.recent.clone())
    }

    fn close(&self, id: &SessionId) -> Result<(), SessionError> {
        self.sessions().all.retain(|session| session.record.id != *id);
        Ok(())
    }

    fn versions(&self, id: &SessionId, query: &HistoryQuery) -> Result<Vec<Version>, SessionError> {
        let is_wanted = |version: &Version| query.cell.as_ref().is_none_or(|cell| version.cell == *cell);
        self.look(id, |session| {
            let versions = session.versions.iter().rev().map(|(version, _)| version);
            let wanted = versions
                .filter(|version| is_wanted(version))
                .take(query.limit.unwrap_or(usize::MAX));
            wanted.cloned().collect()
        })
    }

    fn version_outputs(&self, version: u64) -> Result<Vec<Json>, SessionError> {
        let sessions = self.sessions();
        let mut versions = sessions.all.iter().flat_map(|session| &session.versions);
        let found = versions.find(|(known, _)| known.seq == version);
        Ok(found.map(|(_, outputs)| outputs.clone()).unwrap_or_default())
    }

    fn add_snapshot(
        &self,
        id: &SessionId,
        name: Option<&str>,
        reason: &str,
        document: &[u8],
    ) -> Result<SnapshotInfo, SessionError> {
        let mut sessions = self.sessions();
        sessions.last_seq += 1;
        let info = SnapshotInfo {
            seq: sessions.last_seq,
            name: name.map(str::to_owned),
            reason: reason.to_owned(),
            taken: now(),
            length: document.len() as u64,
            digest: Digest::of(document),
        };
        let session = sessions.touch(id)?;
        session.snapshots.push((info.clone(), document.to_vec()));
        Ok(info)
    }

    fn snapshots(&self, id: &SessionId) -> Result<Vec<SnapshotInfo>, SessionError> {
        self.look(id, |session| {
            let snapshots = session.snapshots.iter().rev();
            snapshots.map(|(info, _)| info.clone()).collect()
        })
    }

    fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, SessionError> {
        let sessions = self.sessions();
        let mut snapshots = sessions.all.iter().flat_map(|session| &session.snapshots);
        Ok(snapshots
            .find(|(info, _)| info.digest == *digest)
            .map(|(_, document)| document.clone()))
    }

    fn turn(&self, path: &Path) -> Result<Turn, SessionError> {
        let (taken, freed) = &*self.turns;
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_taken = |taken: &mut HashSet<PathBuf>| taken.contains(path);
        let mut taken = freed
            .wait_while(taken, is_taken)
            .unwrap_or_else(PoisonError::into_inner);
        taken.insert(path.to_owned());
        Ok(Turn {
            turns: Arc::clone(&self.turns),
            path: path.to_owned(),
        })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("memory")
    }
}
