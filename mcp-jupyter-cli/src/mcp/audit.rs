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

/// Arguments that are code, or a secret: only their digest is written down.
const DIGESTED: [&str; 5] = ["source", "code", "edits", "answer", "sql"];

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
    if !DIGESTED.contains(&name) {
        return value.clone();
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Value::String(Digest::of(text.as_bytes()).to_string())
}
