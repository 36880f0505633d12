//! What the file of a journal is.

use crate::sqlite::Format;

/// Its application id is `MJsc`.
pub(super) const FORMAT: Format = Format {
    application_id: 0x4d4a_7363,
    noun: "journal",
    migrations: &MIGRATIONS,
};

const MIGRATIONS: [&str; 2] = [FIRST, STOPPING];

const STOPPING: &str = "
    -- Microseconds since 1970.
    ALTER TABLE runs ADD COLUMN due INTEGER;
    ALTER TABLE runs ADD COLUMN stopping TEXT;
";

const FIRST: &str = "
    CREATE TABLE sessions (
        session TEXT PRIMARY KEY NOT NULL,
        live TEXT,
        document TEXT
    );
    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        change TEXT NOT NULL
    );
    CREATE INDEX changes_of_session ON changes (session, seq);
    CREATE TABLE runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        run TEXT NOT NULL UNIQUE,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        request TEXT NOT NULL,
        plan TEXT NOT NULL,
        ended TEXT
    );
    CREATE INDEX runs_of_session ON runs (session, seq);
    CREATE TABLE executions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        cell TEXT NOT NULL,
        cell_index INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        outcome TEXT,
        UNIQUE (run, cell, attempt)
    );
";
