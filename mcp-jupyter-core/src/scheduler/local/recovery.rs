//! What a crash has left.

use tokio::task::spawn_blocking;

use super::knowledge::Knowledge;
use crate::scheduler::journal::{Change, Entry, Logged, Unfinished};
use crate::scheduler::{Outcome, RunEnd};

/// What is known of a session that the journal has kept.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) knowledge: Knowledge,
    pub(super) changes: usize,
    /// The runs without an end, oldest first.
    pub(super) left: Vec<Unfinished>,
}

/// Reads what the journal has.
pub(super) async fn recover(logged: Logged) -> Recovered {
    let left = logged.unfinished.clone();
    let (knowledge, changes) = replay(logged).await;
    Recovered {
        knowledge,
        changes,
        left,
    }
}

/// What ends the runs that nobody takes up. They are lost, with the cell that was in flight: whether it was executed is
/// not known, so whatever it might have written counts as written.
pub(super) fn losses(left: &[Unfinished], knowledge: &Knowledge) -> (Vec<Entry>, Option<Change>) {
    let mut entries: Vec<Entry> = left.iter().flat_map(lost).collect();
    let change = knowledge.is_executing().then_some(Change::Ended {
        outcome: Outcome::Lost,
        observation: None,
    });
    entries.extend(change.clone().map(Entry::Changed));
    (entries, change)
}

async fn replay(logged: Logged) -> (Knowledge, usize) {
    let replayed = spawn_blocking(move || {
        let mut knowledge = Knowledge::new(logged.live, logged.document);
        for change in &logged.changes {
            knowledge.apply(change);
        }
        (knowledge, logged.changes.len())
    });
    match replayed.await {
        Ok(replayed) => replayed,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

fn lost(run: &Unfinished) -> Vec<Entry> {
    let cells = run.in_flight.iter().map(|(cell, attempt)| Entry::Reported {
        run_id: run.run_id.clone(),
        cell: cell.clone(),
        attempt: *attempt,
        outcome: Outcome::Lost,
    });
    let ended = Entry::Ended {
        run_id: run.run_id.clone(),
        end: RunEnd::Lost,
    };
    cells.chain([ended]).collect()
}
