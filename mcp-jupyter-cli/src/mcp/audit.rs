//! What was done for whom: a line of JSON a call, appended to a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use mcp_jupyter_core::model::Digest;
use rmcp::model::JsonObject;
use serde_json::{Value, json};

use crate::error::CliError;

/// Arguments that are code: only their digest is written down.
const DIGESTED: [&str; 4] = ["source", "code", "edits", "sql"];

/// Arguments that may be secrets. A digest would tell a short one: nothing of them is written down.
const LEFT_OUT: [&str; 2] = ["answer", "env"];

/// The file.
#[derive(Debug)]
pub(super) struct Audit(Mutex<File>);

impl Audit {
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).mode(0o600).open(path);
        let path = path.to_owned();
        let file = opened.map_err(|source| CliError::Output { path, source })?;
        Ok(Self(Mutex::new(file)))
    }

    /// Notes a call.
    pub(super) fn note(&self, client: &str, tool: &str, arguments: &JsonObject, outcome: &str) {
        let arguments: JsonObject = arguments
            .iter()
            .map(|(name, value)| (name.clone(), noted(name, value)))
            .collect();
        let mut line = json!({
            "time": Timestamp::now(), "client": client, "tool": tool, "arguments": arguments, "outcome": outcome,
        })
        .to_string();
        line.push('\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!(%error, "a call was not written to the audit log");
        }
    }
}

fn noted(name: &str, value: &Value) -> Value {
    if LEFT_OUT.contains(&name) {
        return Value::Null;
    }
    if !DIGESTED.contains(&name) {
        return value.clone();
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Value::String(Digest::of(text.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_code_nor_secrets_are_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let arguments = json!({ "path": "a.ipynb", "code": "x = 1", "answer": "1234", "env": { "KEY": "s3cr3t" } });
        let audit = Audit::open(&path).unwrap();
        audit.note("client", "tool", arguments.as_object().unwrap(), "ok");
        audit.note("client", "tool", arguments.as_object().unwrap(), "ok");
        let written = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["arguments"]["path"], "a.ipynb");
        assert_eq!(lines[0]["arguments"]["code"], Digest::of(b"x = 1").to_string());
        for hidden in ["x = 1", "1234", "s3cr3t", &Digest::of(b"1234").hex()] {
            assert!(!written.contains(hidden), "{hidden}");
        }
    }
}
