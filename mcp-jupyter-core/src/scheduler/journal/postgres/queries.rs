use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::{Client, Row, Transaction};

use super::Failure;
use crate::model::{CellId, CellRef, RunId, SessionId};
use crate::scheduler::journal::{Checkpoint, Entry, KEPT_RUNS, Logged, Unfinished};
use crate::scheduler::{Outcome, RunRecord};

fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(value)?)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    Ok(serde_json::from_str(text)?)
}

fn parse_if_any<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, Failure> {
    text.map(parse).transpose()
}

/// A transaction that reads everything as it is at one moment.
async fn reading(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    let level = tokio_postgres::IsolationLevel::RepeatableRead;
    Ok(client
        .build_transaction()
        .isolation_level(level)
        .read_only(true)
        .start()
        .await?)
}

pub(super) async fn load(client: &mut Client, session: &SessionId) -> Result<Option<Logged>, Failure> {
    let read = reading(client).await?;
    let query = "SELECT live, document FROM sessions WHERE session = $1";
    let Some(row) = read.query_opt(query, &[&session.as_str()]).await? else {
        return Ok(None);
    };
    let query = "SELECT change FROM changes WHERE session = $1 ORDER BY seq";
    let changes = read.query(query, &[&session.as_str()]).await?;
    let changes = changes.iter().map(|row| parse(row.get(0)));
    Ok(Some(Logged {
        live: parse_if_any(row.get(0))?.unwrap_or_default(),
        document: parse_if_any(row.get(1))?.unwrap_or_default(),
        changes: changes.collect::<Result<_, _>>()?,
        unfinished: unfinished(&read, session).await?,
    }))
}

async fn unfinished(read: &Transaction<'_>, session: &SessionId) -> Result<Vec<Unfinished>, Failure> {
    let query = "SELECT seq, run FROM runs WHERE session = $1 AND ended IS NULL ORDER BY seq";
    let in_flight = "SELECT cell, attempt FROM executions WHERE run = $1 AND outcome IS NULL ORDER BY seq";
    let mut unfinished = Vec::new();
    for run in read.query(query, &[&session.as_str()]).await? {
        let cells = read.query(in_flight, &[&run.get::<_, i64>(0)]).await?;
        unfinished.push(Unfinished {
            run_id: run.get::<_, String>(1).into(),
            in_flight: cells
                .iter()
                .map(|row| (CellId::from(row.get::<_, String>(0)), attempt(row, 1)))
                .collect(),
        });
    }
    Ok(unfinished)
}

fn attempt(row: &Row, column: usize) -> u32 {
    u32::try_from(row.get::<_, i64>(column)).unwrap_or(u32::MAX)
}

pub(super) async fn append(client: &mut Client, session: &SessionId, entries: &[Entry]) -> Result<(), Failure> {
    let transaction = client.transaction().await?;
    let begin = "INSERT INTO sessions (session) VALUES ($1) ON CONFLICT DO NOTHING";
    transaction.execute(begin, &[&session.as_str()]).await?;
    for entry in entries {
        append_one(&transaction, session, entry).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn append_one(transaction: &Transaction<'_>, session: &SessionId, entry: &Entry) -> Result<(), Failure> {
    match entry {
        Entry::Started {
            run_id,
            request,
            plan,
            due,
        } => {
            let insert = "INSERT INTO runs (run, session, request, plan, due) VALUES ($1, $2, $3, $4, $5)";
            let due = due.map(jiff::Timestamp::as_microsecond);
            let (request, plan) = (json(request)?, json(plan)?);
            transaction
                .execute(insert, &[&run_id.as_str(), &session.as_str(), &request, &plan, &due])
                .await?;
            drop_old_runs(transaction, session).await?;
        }
        Entry::Dispatched { run_id, cell, attempt } => {
            let insert = "INSERT INTO executions (run, cell, cell_index, attempt) \
                          SELECT seq, $2, $3, $4 FROM runs WHERE run = $1";
            let index = i64::try_from(cell.index).unwrap_or(i64::MAX);
            let attempt = i64::from(*attempt);
            transaction
                .execute(insert, &[&run_id.as_str(), &cell.id.as_str(), &index, &attempt])
                .await?;
        }
        Entry::Reported {
            run_id,
            cell,
            attempt,
            outcome,
        } => {
            let update = "UPDATE executions SET outcome = $4 \
                          WHERE run = (SELECT seq FROM runs WHERE run = $1) AND cell = $2 AND attempt = $3";
            let (attempt, outcome) = (i64::from(*attempt), json(outcome)?);
            transaction
                .execute(update, &[&run_id.as_str(), &cell.as_str(), &attempt, &outcome])
                .await?;
        }
        Entry::Stopping { run_id, end } => {
            let update = "UPDATE runs SET stopping = $2 WHERE run = $1";
            transaction.execute(update, &[&run_id.as_str(), &json(end)?]).await?;
        }
        Entry::Ended { run_id, end } => {
            let update = "UPDATE runs SET ended = $2 WHERE run = $1";
            transaction.execute(update, &[&run_id.as_str(), &json(end)?]).await?;
        }
        Entry::Changed(change) => {
            let insert = "INSERT INTO changes (session, change) VALUES ($1, $2)";
            transaction
                .execute(insert, &[&session.as_str(), &json(change)?])
                .await?;
        }
        Entry::Checkpoint(at) => checkpoint(transaction, session, at).await?,
    }
    Ok(())
}

async fn checkpoint(transaction: &Transaction<'_>, session: &SessionId, at: &Checkpoint) -> Result<(), Failure> {
    let update = "UPDATE sessions SET live = $2, document = coalesce($3, document) WHERE session = $1";
    let document = at.document.as_ref().map(json).transpose()?;
    let live = json(&at.live)?;
    transaction
        .execute(update, &[&session.as_str(), &live, &document])
        .await?;
    let delete = "DELETE FROM changes WHERE session = $1";
    transaction.execute(delete, &[&session.as_str()]).await?;
    Ok(())
}

async fn drop_old_runs(transaction: &Transaction<'_>, session: &SessionId) -> Result<(), Failure> {
    let delete = "DELETE FROM runs WHERE session = $1 AND ended IS NOT NULL AND seq <= \
                  (SELECT seq FROM runs WHERE session = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)";
    let kept = i64::try_from(KEPT_RUNS).unwrap_or(i64::MAX);
    transaction.execute(delete, &[&session.as_str(), &kept]).await?;
    Ok(())
}

const COLUMNS: &str = "seq, run, session, request, plan, due, stopping, ended";

async fn record(read: &Transaction<'_>, row: &Row) -> Result<RunRecord, Failure> {
    let due = row.get::<_, Option<i64>>(5);
    Ok(RunRecord {
        run_id: row.get::<_, String>(1).into(),
        request: parse(row.get(3))?,
        plan: parse(row.get(4))?,
        executions: executions(read, row.get(0)).await?,
        due: due.and_then(|due| jiff::Timestamp::from_microsecond(due).ok()),
        stopping: parse_if_any(row.get(6))?,
        end: parse_if_any(row.get(7))?,
    })
}

async fn executions(read: &Transaction<'_>, run: i64) -> Result<Vec<(CellRef, u32, Option<Outcome>)>, Failure> {
    let query = "SELECT cell, cell_index, attempt, outcome FROM executions WHERE run = $1 ORDER BY seq";
    let rows = read.query(query, &[&run]).await?;
    let executions = rows.iter().map(|row| {
        let cell = CellRef {
            id: row.get::<_, String>(0).into(),
            index: usize::try_from(row.get::<_, i64>(1)).unwrap_or_default(),
        };
        Ok((cell, attempt(row, 2), parse_if_any(row.get(3))?))
    });
    executions.collect()
}

pub(super) async fn runs(client: &mut Client, session: &SessionId) -> Result<Vec<RunRecord>, Failure> {
    let read = reading(client).await?;
    let query = format!("SELECT {COLUMNS} FROM runs WHERE session = $1 ORDER BY seq");
    let mut runs = Vec::new();
    for row in read.query(&query, &[&session.as_str()]).await? {
        runs.push(record(&read, &row).await?);
    }
    Ok(runs)
}

pub(super) async fn run(client: &mut Client, run: &RunId) -> Result<Option<(SessionId, RunRecord)>, Failure> {
    let read = reading(client).await?;
    let query = format!("SELECT {COLUMNS} FROM runs WHERE run = $1");
    let Some(row) = read.query_opt(&query, &[&run.as_str()]).await? else {
        return Ok(None);
    };
    Ok(Some((row.get::<_, String>(2).into(), record(&read, &row).await?)))
}

pub(super) async fn forget(client: &Client, session: &SessionId) -> Result<(), Failure> {
    let delete = "DELETE FROM sessions WHERE session = $1";
    client.execute(delete, &[&session.as_str()]).await?;
    Ok(())
}
