//! What was written into notebooks a short while ago.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::keeping::now;
use super::super::recent::{RecentWrite, Written, is_kept};
use crate::model::{CellId, Digest, SessionId};
use crate::sqlite::{Failure, all as all_rows};

/// How long that of a notebook is kept which nobody writes any more, in microseconds.
const MOST_AGE: i64 = 24 * 60 * 60 * 1_000_000;

/// How much of it is kept for a notebook, in bytes.
const MOST_BYTES: i64 = 64 << 20;

pub(super) fn add(connection: &Connection, id: &SessionId, written: Written) -> Result<(), Failure> {
    let update = "UPDATE sessions SET written = ?2 WHERE id = ?1";
    connection.execute(update, params![id.as_str(), written.digest.to_string()])?;
    let Some(write) = written.write else { return Ok(()) };
    let known = "SELECT seq, at, length(before) + length(after) FROM recent WHERE session = ?1 ORDER BY seq DESC";
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let mut total = 0;
    for (seq, at, length) in all_rows(connection, known, [id.as_str()], columns)? {
        total += length;
        if !is_kept(at, write.at) || total > MOST_BYTES {
            connection.execute("DELETE FROM recent WHERE seq = ?1", [seq])?;
        }
    }
    let insert = "INSERT INTO recent (session, at, before, after, previous) VALUES (?1, ?2, ?3, ?4, ?5)";
    let previous = serde_json::to_string(&write.previous)?;
    let row = params![id.as_str(), write.at, write.before, write.after, previous];
    connection.execute(insert, row)?;
    Ok(())
}

pub(super) fn last(connection: &Connection, id: &SessionId) -> Result<Option<Digest>, Failure> {
    let query = "SELECT written FROM sessions WHERE id = ?1";
    let found: Option<Option<String>> = connection
        .query_row(query, [id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(found.flatten().and_then(|digest| digest.parse().ok()))
}

pub(super) fn all(connection: &Connection, id: &SessionId) -> Result<Vec<RecentWrite>, Failure> {
    let query = "SELECT at, before, after, previous FROM recent WHERE session = ?1 ORDER BY seq";
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?));
    let read = |(at, before, after, previous): (i64, Vec<u8>, Vec<u8>, String)| {
        let previous: Vec<Option<CellId>> = serde_json::from_str(&previous)?;
        Ok(RecentWrite {
            at,
            before,
            after,
            previous,
        })
    };
    all_rows(connection, query, [id.as_str()], columns)?
        .into_iter()
        .map(read)
        .collect()
}

/// Removes what nobody has come for.
pub(super) fn trim(connection: &Connection) -> Result<(), Failure> {
    let oldest = now().as_microsecond() - MOST_AGE;
    connection.execute("DELETE FROM recent WHERE at < ?1", [oldest])?;
    Ok(())
}
