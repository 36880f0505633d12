//! The tables of a journal, in a schema of their own.

use tokio_postgres::Client;

use super::Failure;
use crate::model::Digest;

/// The version of the tables that this build has.
const VERSION: i32 = 1;

pub(super) const KEEPALIVES: &str = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3; \
     SET client_min_messages = warning";

/// The schema of a namespace, whose name has letters, digits, `-` and `_` only.
pub(super) fn name(namespace: &str) -> String {
    match namespace {
        "" => "mcp_jupyter".to_owned(),
        namespace => format!("mcp_jupyter_{namespace}"),
    }
}

/// The number of the lock of a schema.
pub(super) fn lock(schema: &str) -> i64 {
    let digest = Digest::of(format!("scheduler of {schema}").as_bytes()).hex();
    i64::from_str_radix(&digest[..15], 16).unwrap_or_default()
}

/// Makes what is not there, and has all queries find it.
pub(super) async fn prepare(client: &Client, schema: &str) -> Result<(), Failure> {
    client
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS \"{schema}\"; SET search_path TO \"{schema}\""
        ))
        .await?;
    client.batch_execute(TABLES).await?;
    let found: i32 = client.query_one("SELECT version FROM format", &[]).await?.get(0);
    if found > VERSION {
        return Err(Failure::Refused(format!(
            "its tables are of version {found}, and this build knows {VERSION}: renew the service"
        )));
    }
    Ok(())
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL);
    INSERT INTO format SELECT 1 WHERE NOT EXISTS (SELECT FROM format);
    CREATE SEQUENCE IF NOT EXISTS fencing;
    CREATE TABLE IF NOT EXISTS sessions (
        session TEXT PRIMARY KEY,
        live TEXT,
        document TEXT
    );
    CREATE TABLE IF NOT EXISTS changes (
        seq BIGSERIAL PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        change TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS changes_of_session ON changes (session, seq);
    CREATE TABLE IF NOT EXISTS runs (
        seq BIGSERIAL PRIMARY KEY,
        run TEXT NOT NULL UNIQUE,
        session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        request TEXT NOT NULL,
        plan TEXT NOT NULL,
        due BIGINT,
        stopping TEXT,
        ended TEXT
    );
    CREATE INDEX IF NOT EXISTS runs_of_session ON runs (session, seq);
    CREATE TABLE IF NOT EXISTS executions (
        seq BIGSERIAL PRIMARY KEY,
        run BIGINT NOT NULL REFERENCES runs ON DELETE CASCADE,
        cell TEXT NOT NULL,
        cell_index BIGINT NOT NULL,
        attempt BIGINT NOT NULL,
        outcome TEXT,
        UNIQUE (run, cell, attempt)
    );
";
