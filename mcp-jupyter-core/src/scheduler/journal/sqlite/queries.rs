use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{CellId, CellRef, RunId, SessionId};
use crate::scheduler::journal::{Checkpoint, Entry, KEPT_RUNS, Logged, Unfinished};
use crate::scheduler::{Outcome, RunRecord};
use crate::sqlite::{Failure, all};

fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(value)?)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    Ok(serde_json::from_str(text)?)
}

fn parse_if_any<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, Failure> {
    text.map(parse).transpose()
}

pub(super) fn load(connection: &mut Connection, session: &SessionId) -> Result<Option<Logged>, Failure> {
    // Of one moment, though another process may be writing.
    let read = connection.transaction()?;
    let query = "SELECT live, document FROM sessions WHERE session = ?1";
    let columns = |row: &Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?));
    let Some((live, document)) = read.query_row(query, [session.as_str()], columns).optional()? else {
        return Ok(None);
    };
    let query = "SELECT change FROM changes WHERE session = ?1 ORDER BY seq";
    let changes: Vec<String> = all(&read, query, [session.as_str()], |row| row.get(0))?;
    let changes = changes.iter().map(|change| parse(change));
    Ok(Some(Logged {
        live: parse_if_any(live.as_deref())?.unwrap_or_default(),
        document: parse_if_any(document.as_deref())?.unwrap_or_default(),
        changes: changes.collect::<Result<_, _>>()?,
        unfinished: unfinished(&read, session)?,
    }))
}

fn unfinished(connection: &Connection, session: &SessionId) -> Result<Vec<Unfinished>, Failure> {
    let query = "SELECT seq, run FROM runs WHERE session = ?1 AND ended IS NULL ORDER BY seq";
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let runs = all(connection, query, [session.as_str()], columns)?;
    let query = "SELECT cell, attempt FROM executions WHERE run = ?1 AND outcome IS NULL ORDER BY seq";
    let in_flight = |row: &Row<'_>| Ok((CellId::from(row.get::<_, String>(0)?), row.get(1)?));
    let read = |(seq, run): (i64, String)| {
        Ok(Unfinished {
            run_id: run.into(),
            in_flight: all(connection, query, [seq], in_flight)?,
        })
    };
    runs.into_iter().map(read).collect()
}

pub(super) fn append(connection: &mut Connection, session: &SessionId, entries: &[Entry]) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let begin = "INSERT INTO sessions (session) VALUES (?1) ON CONFLICT DO NOTHING";
    transaction.execute(begin, [session.as_str()])?;
    for entry in entries {
        append_one(&transaction, session, entry)?;
    }
    transaction.commit()?;
    Ok(())
}

fn append_one(transaction: &Transaction<'_>, session: &SessionId, entry: &Entry) -> Result<(), Failure> {
    match entry {
        Entry::Started {
            run_id,
            request,
            plan,
            due,
        } => {
            let insert = "INSERT INTO runs (run, session, request, plan, due) VALUES (?1, ?2, ?3, ?4, ?5)";
            let due = due.map(jiff::Timestamp::as_microsecond);
            let row = params![run_id.as_str(), session.as_str(), json(request)?, json(plan)?, due];
            transaction.execute(insert, row)?;
            drop_old_runs(transaction, session)?;
        }
        Entry::Dispatched { run_id, cell, attempt } => {
            let insert = "INSERT INTO executions (run, cell, cell_index, attempt) \
                          SELECT seq, ?2, ?3, ?4 FROM runs WHERE run = ?1";
            let index = i64::try_from(cell.index).unwrap_or(i64::MAX);
            transaction.execute(insert, params![run_id.as_str(), cell.id.as_str(), index, attempt])?;
        }
        Entry::Reported {
            run_id,
            cell,
            attempt,
            outcome,
        } => {
            let update = "UPDATE executions SET outcome = ?4 \
                          WHERE run = (SELECT seq FROM runs WHERE run = ?1) AND cell = ?2 AND attempt = ?3";
            transaction.execute(update, params![run_id.as_str(), cell.as_str(), attempt, json(outcome)?])?;
        }
        Entry::Stopping { run_id, end } => {
            let update = "UPDATE runs SET stopping = ?2 WHERE run = ?1";
            transaction.execute(update, params![run_id.as_str(), json(end)?])?;
        }
        Entry::Ended { run_id, end } => {
            let update = "UPDATE runs SET ended = ?2 WHERE run = ?1";
            transaction.execute(update, params![run_id.as_str(), json(end)?])?;
        }
        Entry::Changed(change) => {
            let insert = "INSERT INTO changes (session, change) VALUES (?1, ?2)";
            transaction.execute(insert, params![session.as_str(), json(change)?])?;
        }
        Entry::Checkpoint(at) => checkpoint(transaction, session, at)?,
    }
    Ok(())
}

fn checkpoint(transaction: &Transaction<'_>, session: &SessionId, at: &Checkpoint) -> Result<(), Failure> {
    let update = "UPDATE sessions SET live = ?2, document = coalesce(?3, document) WHERE session = ?1";
    let document = at.document.as_ref().map(json).transpose()?;
    transaction.execute(update, params![session.as_str(), json(&at.live)?, document])?;
    transaction.execute("DELETE FROM changes WHERE session = ?1", [session.as_str()])?;
    Ok(())
}

fn drop_old_runs(transaction: &Transaction<'_>, session: &SessionId) -> Result<(), Failure> {
    let delete = "DELETE FROM runs WHERE session = ?1 AND ended IS NOT NULL AND seq <= \
                  (SELECT seq FROM runs WHERE session = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
    let kept = i64::try_from(KEPT_RUNS).unwrap_or(i64::MAX);
    transaction.execute(delete, params![session.as_str(), kept])?;
    Ok(())
}

/// A run as its row has it.
struct RunRow {
    seq: i64,
    run: String,
    session: String,
    request: String,
    plan: String,
    due: Option<i64>,
    stopping: Option<String>,
    ended: Option<String>,
}

impl RunRow {
    const COLUMNS: &str = "seq, run, session, request, plan, due, stopping, ended";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            run: row.get(1)?,
            session: row.get(2)?,
            request: row.get(3)?,
            plan: row.get(4)?,
            due: row.get(5)?,
            stopping: row.get(6)?,
            ended: row.get(7)?,
        })
    }

    fn record(self, connection: &Connection) -> Result<RunRecord, Failure> {
        Ok(RunRecord {
            request: parse(&self.request)?,
            plan: parse(&self.plan)?,
            executions: executions(connection, self.seq)?,
            due: self.due.and_then(|due| jiff::Timestamp::from_microsecond(due).ok()),
            stopping: parse_if_any(self.stopping.as_deref())?,
            end: parse_if_any(self.ended.as_deref())?,
            run_id: self.run.into(),
        })
    }
}

fn executions(connection: &Connection, run: i64) -> Result<Vec<(CellRef, u32, Option<Outcome>)>, Failure> {
    let query = "SELECT cell, cell_index, attempt, outcome FROM executions WHERE run = ?1 ORDER BY seq";
    let columns = |row: &Row<'_>| {
        let cell = CellRef {
            id: row.get::<_, String>(0)?.into(),
            index: usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
        };
        Ok((cell, row.get(2)?, row.get::<_, Option<String>>(3)?))
    };
    let rows = all(connection, query, [run], columns)?;
    let parsed = rows
        .into_iter()
        .map(|(cell, attempt, outcome)| Ok((cell, attempt, parse_if_any(outcome.as_deref())?)));
    parsed.collect()
}

pub(super) fn runs(connection: &mut Connection, session: &SessionId) -> Result<Vec<RunRecord>, Failure> {
    let read = connection.transaction()?;
    let query = format!("SELECT {} FROM runs WHERE session = ?1 ORDER BY seq", RunRow::COLUMNS);
    let rows = all(&read, &query, [session.as_str()], RunRow::read)?;
    rows.into_iter().map(|row| row.record(&read)).collect()
}

pub(super) fn run(connection: &mut Connection, run: &RunId) -> Result<Option<(SessionId, RunRecord)>, Failure> {
    let read = connection.transaction()?;
    let query = format!("SELECT {} FROM runs WHERE run = ?1", RunRow::COLUMNS);
    let row = read.query_row(&query, [run.as_str()], RunRow::read).optional()?;
    row.map(|row| Ok((row.session.as_str().into(), row.record(&read)?)))
        .transpose()
}

pub(super) fn forget(connection: &mut Connection, session: &SessionId) -> Result<(), Failure> {
    connection.execute("DELETE FROM sessions WHERE session = ?1", [session.as_str()])?;
    Ok(())
}
