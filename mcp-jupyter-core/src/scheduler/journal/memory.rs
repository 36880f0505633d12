use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Change, Checkpoint, Entry, Journal, KEPT_RUNS, Logged, Unfinished};
use crate::model::{CellId, RunId, SessionId};
use crate::scheduler::{Document, Live, Outcome, RunRecord, SchedulerError};

/// A journal that ends with its process. The last 100 runs of a session are kept.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    sessions: Mutex<BTreeMap<SessionId, Session>>,
}

/// What is kept of a session.
#[derive(Debug, Default)]
struct Session {
    live: Live,
    document: Document,
    changes: Vec<Change>,
    runs: Vec<RunRecord>,
}

impl MemoryJournal {
    /// A journal that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sessions. Nothing that is done under the lock leaves them half changed, so a panic elsewhere is no reason
    /// not to go on.
    fn with<T>(&self, read: impl FnOnce(&mut BTreeMap<SessionId, Session>) -> T) -> T {
        read(&mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn load(&self, session: &SessionId) -> Result<Option<Logged>, SchedulerError> {
        Ok(self.with(|sessions| sessions.get(session).map(Session::logged)))
    }

    async fn append(&self, session: &SessionId, entries: Arc<[Entry]>) -> Result<(), SchedulerError> {
        self.with(|sessions| {
            let session = sessions.entry(session.clone()).or_default();
            for entry in entries.iter() {
                session.append(entry.clone());
            }
        });
        Ok(())
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        Ok(self.with(|sessions| {
            sessions
                .get(session)
                .map(|session| session.runs.clone())
                .unwrap_or_default()
        }))
    }

    async fn run(&self, run: &RunId) -> Result<Option<(SessionId, RunRecord)>, SchedulerError> {
        Ok(self.with(|sessions| {
            sessions.iter().find_map(|(id, session)| {
                let record = session.runs.iter().find(|record| record.run_id == *run)?;
                Some((id.clone(), record.clone()))
            })
        }))
    }

    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        self.with(|sessions| sessions.remove(session));
        Ok(())
    }
}

impl Session {
    fn logged(&self) -> Logged {
        let unfinished = self.runs.iter().filter(|record| record.end.is_none());
        Logged {
            live: self.live.clone(),
            document: self.document.clone(),
            changes: self.changes.clone(),
            unfinished: unfinished.map(unfinished_run).collect(),
        }
    }

    fn append(&mut self, entry: Entry) {
        match entry {
            Entry::Started {
                run_id,
                request,
                plan,
                due,
            } => self.start(RunRecord {
                run_id,
                request,
                plan,
                executions: Vec::new(),
                due,
                stopping: None,
                end: None,
            }),
            Entry::Dispatched { run_id, cell, attempt } => {
                self.change_run(&run_id, |record| record.executions.push((cell, attempt, None)));
            }
            Entry::Reported {
                run_id,
                cell,
                attempt,
                outcome,
            } => self.change_run(&run_id, |record| report(record, &cell, attempt, outcome)),
            Entry::Stopping { run_id, end } => self.change_run(&run_id, |record| record.stopping = Some(end)),
            Entry::Ended { run_id, end } => self.change_run(&run_id, |record| record.end = Some(end)),
            Entry::Changed(change) => self.changes.push(change),
            Entry::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
        }
    }

    fn start(&mut self, run: RunRecord) {
        self.runs.push(run);
        let old = self.runs.len().saturating_sub(KEPT_RUNS);
        let mut place = 0;
        self.runs.retain(|run| {
            place += 1;
            place > old || run.end.is_none()
        });
    }

    /// The run that is changed is nearly always the last one.
    fn change_run(&mut self, run: &RunId, change: impl FnOnce(&mut RunRecord)) {
        if let Some(record) = self.runs.iter_mut().rev().find(|record| record.run_id == *run) {
            change(record);
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        self.live = checkpoint.live;
        if let Some(document) = checkpoint.document {
            self.document = document;
        }
        self.changes.clear();
    }
}

fn report(record: &mut RunRecord, cell: &CellId, attempt: u32, outcome: Outcome) {
    let mut executions = record.executions.iter_mut().rev();
    if let Some(execution) = executions.find(|execution| execution.0.id == *cell && execution.1 == attempt) {
        execution.2 = Some(outcome);
    }
}

fn unfinished_run(record: &RunRecord) -> Unfinished {
    let in_flight = record.executions.iter().filter(|execution| execution.2.is_none());
    Unfinished {
        run_id: record.run_id.clone(),
        in_flight: in_flight
            .map(|(cell, attempt, _)| (cell.id.clone(), *attempt))
            .collect(),
    }
}
