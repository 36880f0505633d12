use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::keeping::{Pending, now};
use super::super::pending;
use super::super::place::{Identity, Place, is_in_place};
use super::super::types::{CellResult, KernelBinding, SessionRecord};
use super::{path_bytes, path_of};
use crate::model::SessionId;
use crate::sqlite::{Failure, all};

/// A session as its row has it.
struct SessionRow {
    id: String,
    path: Vec<u8>,
    kernel: Option<String>,
    token: u64,
    epoch: u64,
    created: i64,
    used: i64,
}

impl SessionRow {
    const COLUMNS: &str = "id, path, kernel, token, epoch, created, used";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            path: row.get(1)?,
            kernel: row.get(2)?,
            token: row.get(3)?,
            epoch: row.get(4)?,
            created: row.get(5)?,
            used: row.get(6)?,
        })
    }

    fn record(self) -> Result<SessionRecord, Failure> {
        let kernel = self.kernel.as_deref().map(serde_json::from_str).transpose()?;
        Ok(SessionRecord {
            id: self.id.into(),
            path: path_of(&self.path),
            kernel,
            token: self.token,
            epoch: self.epoch,
            created: time(self.created),
            used: time(self.used),
        })
    }
}

/// A time as it is kept: microseconds since 1970.
pub(super) fn time(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or_default()
}

fn one(connection: &Connection, condition: &str, key: impl rusqlite::Params) -> Result<Option<SessionRecord>, Failure> {
    let query = format!("SELECT {} FROM sessions WHERE {condition}", SessionRow::COLUMNS);
    let row = connection.query_row(&query, key, SessionRow::read).optional()?;
    row.map(SessionRow::record).transpose()
}

pub(super) fn get(connection: &Connection, id: &SessionId) -> Result<Option<SessionRecord>, Failure> {
    one(connection, "id = ?1", [id.as_str()])
}

/// By its path; or by its file, where that was moved here and nothing is at its old place.
pub(super) fn find(connection: &Connection, place: &Place) -> Result<Option<SessionRecord>, Failure> {
    if let Some(found) = one(
        connection,
        "path = ?1 ORDER BY used_seq DESC LIMIT 1",
        [path_bytes(&place.path)],
    )? {
        // Whoever saves it replaces it: it is known by the file that is there now.
        identify(connection, &found.id, place.identity)?;
        return Ok(Some(found));
    }
    let Some(identity) = place.identity else {
        return Ok(None);
    };
    let condition = "device = ?1 AND inode = ?2 AND born IS ?3 ORDER BY used_seq DESC";
    let key = params![signed(identity.device), signed(identity.inode), identity.born];
    let query = format!("SELECT {} FROM sessions WHERE {condition}", SessionRow::COLUMNS);
    let known = all(connection, &query, key, SessionRow::read)?;
    let known = known
        .into_iter()
        .map(SessionRow::record)
        .collect::<Result<Vec<_>, _>>()?;
    // Others may be hard links to the same file.
    let Some(mut found) = known.into_iter().find(|known| !is_in_place(&known.path)) else {
        return Ok(None);
    };
    let update = "UPDATE sessions SET path = ?2 WHERE id = ?1";
    connection.execute(update, params![found.id.as_str(), path_bytes(&place.path)])?;
    found.path.clone_from(&place.path);
    Ok(Some(found))
}

/// The bits of a number that SQLite takes for a signed one.
fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// The number whose bits these are.
fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

pub(super) fn begin(connection: &Connection, place: &Place) -> Result<SessionRecord, Failure> {
    let (id, now) = (SessionId::random(), now());
    let insert = "INSERT INTO sessions (id, path, device, inode, born, token, epoch, created, used, used_seq) \
                  VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?6, (SELECT coalesce(max(used_seq), 0) + 1 FROM sessions))";
    let identity = place.identity;
    let row = params![
        id.as_str(),
        path_bytes(&place.path),
        identity.map(|identity| signed(identity.device)),
        identity.map(|identity| signed(identity.inode)),
        identity.and_then(|identity| identity.born),
        now.as_microsecond(),
    ];
    connection.execute(insert, row)?;
    Ok(SessionRecord {
        id,
        path: place.path.clone(),
        kernel: None,
        token: 0,
        epoch: 0,
        created: now,
        used: now,
    })
}

pub(super) fn list(connection: &Connection) -> Result<Vec<SessionRecord>, Failure> {
    let query = format!("SELECT {} FROM sessions ORDER BY used_seq DESC", SessionRow::COLUMNS);
    let rows = all(connection, &query, [], SessionRow::read)?;
    rows.into_iter().map(SessionRow::record).collect()
}

/// The session is used now.
pub(super) fn touch(connection: &Connection, id: &SessionId) -> Result<(), Failure> {
    let update = "UPDATE sessions SET used = ?2, used_seq = (SELECT max(used_seq) + 1 FROM sessions) WHERE id = ?1";
    connection.execute(update, params![id.as_str(), now().as_microsecond()])?;
    Ok(())
}

pub(super) fn next_token(connection: &Connection, id: &SessionId) -> Result<u64, Failure> {
    touch(connection, id)?;
    let update = "UPDATE sessions SET token = token + 1 WHERE id = ?1 RETURNING token";
    Ok(connection.query_row(update, [id.as_str()], |row| row.get(0))?)
}

pub(super) fn bind(connection: &Connection, id: &SessionId, kernel: Option<&KernelBinding>) -> Result<(), Failure> {
    touch(connection, id)?;
    let epoch = kernel.map_or(0, |kernel| kernel.epoch);
    let kernel = kernel.map(serde_json::to_string).transpose()?;
    let update = "UPDATE sessions SET kernel = ?2, epoch = max(epoch, ?3) WHERE id = ?1";
    connection.execute(update, params![id.as_str(), kernel, epoch])?;
    Ok(())
}

pub(super) fn record(connection: &Connection, id: &SessionId, result: CellResult) -> Result<(), Failure> {
    touch(connection, id)?;
    let key = params![id.as_str(), result.cell.as_str()];
    let query = "SELECT result FROM pending WHERE session = ?1 AND cell = ?2";
    let earlier: Option<String> = connection.query_row(query, key, |row| row.get(0)).optional()?;
    let earlier = earlier.and_then(|earlier| pending::from_text(&earlier));
    let result = pending::replace(earlier.map(|earlier| earlier.notebook_metadata), result);
    let insert = "INSERT OR REPLACE INTO pending (session, cell, result) VALUES (?1, ?2, ?3)";
    connection.execute(
        insert,
        params![id.as_str(), result.cell.as_str(), pending::to_text(&result)],
    )?;
    Ok(())
}

pub(super) fn pending(connection: &Connection, id: &SessionId) -> Result<Vec<Pending>, Failure> {
    let query = "SELECT seq, result FROM pending WHERE session = ?1 ORDER BY seq";
    let columns = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?));
    let rows = all(connection, query, [id.as_str()], columns)?;
    let read = |(seq, text): (u64, String)| {
        let result = pending::from_text(&text);
        let result = result.ok_or_else(|| Failure::Refused(format!("the result number {seq} is damaged")))?;
        Ok(Pending { seq, result })
    };
    rows.into_iter().map(read).collect()
}

pub(super) fn settle(
    connection: &Connection,
    id: &SessionId,
    saved: &[u64],
    identity: Option<Identity>,
) -> Result<(), Failure> {
    for seq in saved {
        connection.execute("DELETE FROM pending WHERE seq = ?1", [seq])?;
    }
    touch(connection, id)?;
    identify(connection, id, identity)
}

/// Notes which file the notebook is.
fn identify(connection: &Connection, id: &SessionId, identity: Option<Identity>) -> Result<(), Failure> {
    if let Some(identity) = identity {
        let update = "UPDATE sessions SET device = ?2, inode = ?3, born = ?4 WHERE id = ?1";
        let row = params![
            id.as_str(),
            signed(identity.device),
            signed(identity.inode),
            identity.born
        ];
        connection.execute(update, row)?;
    }
    Ok(())
}

/// Which file the notebook was last.
pub(super) fn identity(connection: &Connection, id: &SessionId) -> Result<Option<Identity>, Failure> {
    let query = "SELECT device, inode, born FROM sessions WHERE id = ?1 AND device IS NOT NULL";
    let columns = |row: &Row<'_>| {
        Ok(Identity {
            device: unsigned(row.get(0)?),
            inode: unsigned(row.get(1)?),
            born: row.get(2)?,
        })
    };
    Ok(connection.query_row(query, [id.as_str()], columns).optional()?)
}
