//! What was executed, and snapshots.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::keeping::now;
use super::super::types::{CellResult, HistoryQuery, SnapshotInfo, Version};
use super::HistoryLimits;
use super::queries::{time, touch};
use crate::model::{Digest, Json, SessionId};
use crate::sqlite::{Failure, all};

/// The share of versions that goes at once where there are too many.
const SHARE: u64 = 10;

/// Adds an execution that has ended; the same one again takes its place.
pub(super) fn add(connection: &Connection, id: &SessionId, result: &CellResult) -> Result<(), Failure> {
    let Some(end) = &result.end else { return Ok(()) };
    let outputs: Vec<String> = result.outputs.iter().map(Json::to_string).collect();
    let digests: Vec<Digest> = outputs.iter().map(|output| Digest::of(output.as_bytes())).collect();
    let version = Version {
        seq: 0,
        cell: result.cell.clone(),
        run_id: end.run_id.clone(),
        attempt: end.attempt,
        source: end.source.clone(),
        outputs: digests.clone(),
        outcome: end.outcome.clone(),
        execution_count: result.execution_count,
        seconds: end.seconds,
        epoch: end.epoch,
        ended: now(),
    };
    let insert = "INSERT OR REPLACE INTO versions (session, cell, run, attempt, version, ended) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![
        id.as_str(),
        result.cell.as_str(),
        end.run_id.as_str(),
        end.attempt,
        serde_json::to_string(&version)?,
        version.ended.as_microsecond(),
    ];
    connection.execute(insert, row)?;
    let seq = connection.last_insert_rowid();
    for (place, (digest, output)) in digests.iter().zip(&outputs).enumerate() {
        add_content(connection, digest, output.as_bytes())?;
        let insert = "INSERT INTO version_outputs (version, place, digest) VALUES (?1, ?2, ?3)";
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        connection.execute(insert, params![seq, place, digest.to_string()])?;
    }
    Ok(())
}

fn add_content(connection: &Connection, digest: &Digest, content: &[u8]) -> Result<(), Failure> {
    let insert = "INSERT INTO contents (digest, content) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.execute(insert, params![digest.to_string(), content])?;
    Ok(())
}

pub(super) fn content(connection: &Connection, digest: &Digest) -> Result<Option<Vec<u8>>, Failure> {
    let query = "SELECT content FROM contents WHERE digest = ?1";
    let found = connection.query_row(query, [digest.to_string()], |row| row.get(0));
    Ok(found.optional()?)
}

pub(super) fn versions(connection: &Connection, id: &SessionId, query: &HistoryQuery) -> Result<Vec<Version>, Failure> {
    let select = "SELECT seq, version FROM versions WHERE session = ?1 AND (?2 IS NULL OR cell = ?2) \
                  ORDER BY seq DESC LIMIT ?3";
    let limit = query.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let key = params![
        id.as_str(),
        query.cell.as_ref().map(crate::model::CellId::as_str),
        limit
    ];
    let columns = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?));
    let rows = all(connection, select, key, columns)?;
    let read = |(seq, version): (u64, String)| {
        let version: Version = serde_json::from_str(&version)?;
        Ok(Version { seq, ..version })
    };
    rows.into_iter().map(read).collect()
}

pub(super) fn outputs(connection: &Connection, version: u64) -> Result<Vec<Json>, Failure> {
    let query = "SELECT content FROM version_outputs JOIN contents USING (digest) WHERE version = ?1 ORDER BY place";
    let rows: Vec<Vec<u8>> = all(connection, query, [version], |row| row.get(0))?;
    let parsed = rows.iter().map(|output| Json::parse(output));
    parsed
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::Refused(format!("an output of version {version} is damaged: {error}")))
}

pub(super) fn add_snapshot(
    connection: &Connection,
    id: &SessionId,
    name: Option<&str>,
    reason: &str,
    document: &[u8],
) -> Result<SnapshotInfo, Failure> {
    let (digest, taken) = (Digest::of(document), now());
    touch(connection, id)?;
    add_content(connection, &digest, document)?;
    let insert = "INSERT INTO snapshots (session, name, reason, taken, length, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let length = document.len() as u64;
    let row = params![
        id.as_str(),
        name,
        reason,
        taken.as_microsecond(),
        length,
        digest.to_string()
    ];
    connection.execute(insert, row)?;
    Ok(SnapshotInfo {
        seq: u64::try_from(connection.last_insert_rowid()).unwrap_or_default(),
        name: name.map(str::to_owned),
        reason: reason.to_owned(),
        taken,
        length,
        digest,
    })
}

pub(super) fn snapshots(connection: &Connection, id: &SessionId) -> Result<Vec<SnapshotInfo>, Failure> {
    let query = "SELECT seq, name, reason, taken, length, digest FROM snapshots WHERE session = ?1 ORDER BY seq DESC";
    let columns = |row: &Row<'_>| {
        let digest: String = row.get(5)?;
        let info = SnapshotInfo {
            seq: row.get(0)?,
            name: row.get(1)?,
            reason: row.get(2)?,
            taken: time(row.get(3)?),
            length: row.get(4)?,
            digest: Digest::of(b""),
        };
        Ok((info, digest))
    };
    let rows = all(connection, query, [id.as_str()], columns)?;
    let read = |(info, digest): (SnapshotInfo, String)| {
        let digest = digest.parse();
        let digest = digest.map_err(|_| Failure::Refused(format!("snapshot {} has no digest", info.seq)))?;
        Ok(SnapshotInfo { digest, ..info })
    };
    rows.into_iter().map(read).collect()
}

/// Removes what is too old, and then the oldest of what is too much. Snapshots with a name stay.
pub(super) fn trim(connection: &mut Connection, limits: HistoryLimits) -> Result<(), Failure> {
    let transaction = connection.transaction()?;
    let age = i64::try_from(limits.age.as_micros()).unwrap_or(i64::MAX);
    let oldest = now().as_microsecond().saturating_sub(age);
    super::recent::trim(&transaction)?;
    transaction.execute("DELETE FROM versions WHERE ended < ?1", [oldest])?;
    transaction.execute("DELETE FROM snapshots WHERE taken < ?1 AND name IS NULL", [oldest])?;
    sweep(&transaction)?;
    while size(&transaction)? > limits.bytes {
        let removed = remove_oldest(&transaction)?;
        sweep(&transaction)?;
        if removed == 0 {
            break;
        }
    }
    Ok(transaction.commit()?)
}

fn size(connection: &Connection) -> Result<u64, Failure> {
    let query = "SELECT coalesce(sum(length(content)), 0) FROM contents";
    Ok(connection.query_row(query, [], |row| row.get(0))?)
}

/// Removes the oldest share of versions and of snapshots without a name; tells how many.
fn remove_oldest(connection: &Connection) -> Result<usize, Failure> {
    let mut removed = 0;
    for (table, condition) in [("versions", "1"), ("snapshots", "name IS NULL")] {
        let delete = format!(
            "DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} WHERE {condition} ORDER BY seq \
             LIMIT (SELECT (count(*) + {SHARE} - 1) / {SHARE} FROM {table} WHERE {condition}))"
        );
        removed += connection.execute(&delete, [])?;
    }
    Ok(removed)
}

/// Removes what nothing refers to any more.
pub(super) fn sweep(connection: &Connection) -> Result<(), Failure> {
    let delete = "DELETE FROM contents WHERE NOT EXISTS \
                  (SELECT 1 FROM version_outputs WHERE version_outputs.digest = contents.digest) AND NOT EXISTS \
                  (SELECT 1 FROM snapshots WHERE snapshots.digest = contents.digest)";
    connection.execute(delete, [])?;
    Ok(())
}
