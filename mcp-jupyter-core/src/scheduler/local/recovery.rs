//! What a crash has left.

use tokio::task::spawn_blocking;

use super::knowledge::Knowledge;
use crate::model::SessionId;
use crate::scheduler::journal::{Change, Entry, Journal, Logged, Unfinished};
use crate::scheduler::{Outcome, RunEnd, SchedulerError};

/// What is known of a session that the journal has kept.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) knowledge: Knowledge,
    pub(super) changes: usize,
}

/// Goes on from what the journal has. Runs without an end are lost, with the cell that was in flight: whether it was
/// executed cannot be known, so whatever it might have written counts as written.
pub(super) async fn recover(
    journal: &dyn Journal,
    session: &SessionId,
    logged: Logged,
) -> Result<Recovered, SchedulerError> {
    let mut entries: Vec<Entry> = logged.unfinished.iter().flat_map(lost).collect();
    let (knowledge, mut changes) = replay(logged).await;
    let mut recovered = Recovered { knowledge, changes };
    if recovered.knowledge.is_executing() {
        let lost = Change::Ended {
            outcome: Outcome::Lost,
            observation: None,
        };
        recovered.knowledge.apply(&lost);
        entries.push(Entry::Changed(lost));
        changes += 1;
        recovered.changes = changes;
    }
    if !entries.is_empty() {
        journal.append(session, entries.into()).await?;
    }
    Ok(recovered)
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
