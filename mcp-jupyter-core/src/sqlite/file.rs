//! The file: made, recognised, brought up to date, or refused.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::file_system::is_remote;
use super::{Failure, Format};

/// Where SQLite keeps the application id in the first bytes of a file, and what those begin with.
const APPLICATION_ID_OFFSET: usize = 68;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many damaged files may lie beside one.
const MOST_ASIDE: u32 = 1000;

pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) moved_aside: Option<PathBuf>,
}

/// Opens the file or makes one; one of ours that is damaged is moved aside first.
pub(super) fn open(path: &Path, format: &Format) -> Result<Opened, Failure> {
    let _turn = take_turn(path)?;
    create(path)?;
    match open_sound(path, format) {
        Err(failure) if failure.is_damage() && is_ours(path, format) => {
            let aside = move_aside(path)?;
            create(path)?;
            Ok(Opened {
                connection: open_sound(path, format)?,
                moved_aside: Some(aside),
            })
        }
        Err(failure) if failure.is_damage() => Err(Failure::Refused(format!(
            "it is no {} ({failure}); it was left as it is",
            format.noun
        ))),
        opened => Ok(Opened {
            connection: opened?,
            moved_aside: None,
        }),
    }
}

/// Waits until nobody else opens the file: SQLite does not wait for whoever else is just turning it to WAL, it fails. The
/// turn ends when the value is dropped, or the process is gone.
fn take_turn(path: &Path) -> Result<File, Failure> {
    let mut name = OsString::from(path);
    name.push("-open");
    let file = private().append(true).create(true).open(name)?;
    file.lock()?;
    Ok(file)
}

/// Makes an empty file where there is none. The files that SQLite puts beside it get its permissions. One that is there is
/// not opened: closing it would end the locks of this process's other connections.
fn create(path: &Path) -> Result<(), Failure> {
    match private().append(true).create_new(true).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// For files that only their owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn open_sound(path: &Path, format: &Format) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    recognise(&connection, format)?;
    check(&connection)?;
    migrate(&mut connection, format)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    set_journal(&connection, is_remote(path))?;
    Ok(connection)
}

/// A write-ahead log needs memory that all who have the file open share, which machines do not: on a network file system
/// it would damage the file. Without one, a power cut is survived only where every commit waits for the disk.
fn set_journal(connection: &Connection, is_remote: bool) -> Result<(), Failure> {
    let (journal, synchronous) = if is_remote {
        ("DELETE", "FULL")
    } else {
        ("WAL", "NORMAL")
    };
    connection.pragma_update(None, "journal_mode", journal)?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    Ok(())
}

fn number(connection: &Connection, pragma: &str) -> Result<i32, Failure> {
    Ok(connection.pragma_query_value(None, pragma, |row| row.get(0))?)
}

/// Refuses what is not ours, or of a version that we do not know.
fn recognise(connection: &Connection, format: &Format) -> Result<(), Failure> {
    let application = number(connection, "application_id")?;
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: u32 = connection.query_row(count, [], |row| row.get(0))?;
    let version = version(connection)?;
    if application != format.application_id && (application != 0 || version != 0 || tables != 0) {
        let reason = "it is the database of another program; it was left as it is";
        return Err(Failure::Refused(reason.to_owned()));
    }
    if version <= format.migrations.len() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "it was written by a newer version of this program (format {version}, and this one knows {}); it was left as it is",
        format.migrations.len()
    )))
}

/// A negative version is as unknown as a high one.
fn version(connection: &Connection) -> Result<usize, Failure> {
    Ok(usize::try_from(number(connection, "user_version")?).unwrap_or(usize::MAX))
}

fn check(connection: &Connection) -> Result<(), Failure> {
    let check = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let found = connection.query_row("PRAGMA quick_check(1)", [], check)?;
    if found == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(found)).into())
}

/// Brings the file up to date. This is done before it has a write-ahead log, so that the file itself says from its
/// beginning whose it is.
fn migrate(connection: &mut Connection, format: &Format) -> Result<(), Failure> {
    if version(connection)? == format.migrations.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    for migration in &format.migrations[version(&transaction)?..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", format.application_id)?;
    transaction.pragma_update(
        None,
        "user_version",
        u32::try_from(format.migrations.len()).unwrap_or(u32::MAX),
    )?;
    transaction.commit()?;
    Ok(())
}

/// Whether the first bytes of a file that SQLite cannot read are those of one of ours.
fn is_ours(path: &Path, format: &Format) -> bool {
    let mut start = [0; APPLICATION_ID_OFFSET + 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start.starts_with(MAGIC) && start[APPLICATION_ID_OFFSET..] == format.application_id.to_be_bytes()
}

/// Gives the file, with those that SQLite has put beside it, a name that nothing has.
fn move_aside(path: &Path) -> Result<PathBuf, Failure> {
    let mut names = (1..MOST_ASIDE).map(|number| with_suffix(path, &format!(".corrupt-{number}")));
    let Some(aside) = names.find(|aside| !aside.exists()) else {
        let reason = "it is damaged, and so many were before that no name is left to move it to";
        return Err(Failure::Refused(reason.to_owned()));
    };
    fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = with_suffix(path, suffix);
        if beside.exists() {
            fs::rename(beside, with_suffix(&aside, suffix))?;
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_file_has_no_write_ahead_log_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sqlite");
        let connection = Connection::open(&path).unwrap();
        let mode = || -> String {
            let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
            mode.unwrap()
        };
        for (is_remote, expected) in [(false, ("wal", 1)), (true, ("delete", 2)), (false, ("wal", 1))] {
            set_journal(&connection, is_remote).unwrap();
            let synchronous = number(&connection, "synchronous").unwrap();
            assert_eq!((&*mode(), synchronous), expected);
            connection
                .execute_batch("CREATE TABLE IF NOT EXISTS t (n); INSERT INTO t VALUES (1)")
                .unwrap();
            assert_eq!(with_suffix(&path, "-wal").exists(), !is_remote);
        }
    }
}
