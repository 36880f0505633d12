//! What the file of sessions is.

use crate::sqlite::Format;

/// Its application id is `MJss`.
pub(super) const FORMAT: Format = Format {
    application_id: 0x4d4a_7373,
    noun: "state of sessions",
    migrations: &MIGRATIONS,
};

const MIGRATIONS: [&str; 2] = [FIRST, RECENT];

const RECENT: &str = "
    ALTER TABLE sessions ADD COLUMN written TEXT;
    CREATE TABLE recent (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        at INTEGER NOT NULL,
        before BLOB NOT NULL,
        after BLOB NOT NULL,
        previous TEXT NOT NULL
    );
    CREATE INDEX recent_of_session ON recent (session, seq);
";

const FIRST: &str = "
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY NOT NULL,
        path BLOB NOT NULL,
        device INTEGER,
        inode INTEGER,
        born INTEGER,
        kernel TEXT,
        token INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        created INTEGER NOT NULL,
        used INTEGER NOT NULL,
        -- Clocks jump; this does not.
        used_seq INTEGER NOT NULL
    );
    CREATE INDEX sessions_of_path ON sessions (path);
    CREATE TABLE pending (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        cell TEXT NOT NULL,
        result TEXT NOT NULL,
        UNIQUE (session, cell)
    );
    CREATE TABLE contents (
        digest TEXT PRIMARY KEY NOT NULL,
        content BLOB NOT NULL
    );
    CREATE TABLE versions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        cell TEXT NOT NULL,
        run TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        version TEXT NOT NULL,
        ended INTEGER NOT NULL,
        UNIQUE (session, run, cell, attempt)
    );
    CREATE INDEX versions_of_session ON versions (session, seq);
    CREATE TABLE version_outputs (
        version INTEGER NOT NULL REFERENCES versions ON DELETE CASCADE,
        place INTEGER NOT NULL,
        digest TEXT NOT NULL REFERENCES contents,
        PRIMARY KEY (version, place)
    );
    CREATE INDEX version_outputs_of_digest ON version_outputs (digest);
    CREATE TABLE snapshots (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        name TEXT,
        reason TEXT NOT NULL,
        taken INTEGER NOT NULL,
        length INTEGER NOT NULL,
        digest TEXT NOT NULL REFERENCES contents
    );
    CREATE INDEX snapshots_of_session ON snapshots (session, seq);
    CREATE INDEX snapshots_of_digest ON snapshots (digest);
";
