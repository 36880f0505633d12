use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::looking::look;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

/// Rows that are given unless more are asked for, and at most.
const ROWS: usize = 20;
const MOST_ROWS: usize = 500;

pub(super) struct Query;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: String,
    /// DuckDB's SQL; data frames are tables by their names
    sql: String,
    /// [20]
    rows: Option<usize>,
}

impl Tool for Query {
    const NAME: &'static str = "query";
    const DESCRIPTION: &'static str = "SQL over the data frames in a notebook's kernel, by DuckDB.";
    const EFFECT: Effect = Effect::Changes;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let rows = arguments.rows.unwrap_or(ROWS).min(MOST_ROWS);
        let found = look(&server, &arguments.path, "query", &[json!(arguments.sql), json!(rows)]).await?;
        if found["missing"].is_string() {
            return Err(Refusal::new("DuckDB is not installed in the kernel's environment")
                .with_advice("package_install with packages [\"duckdb\"] installs it"));
        }
        if let Some(error) = found["error"].as_str() {
            return Err(Refusal::new(error));
        }
        let line = |row: &Value| {
            let cells = row.as_array().into_iter().flatten();
            cells.filter_map(Value::as_str).collect::<Vec<_>>().join("\t")
        };
        let mut lines = vec![line(&found["columns"])];
        lines.extend(found["rows"].as_array().into_iter().flatten().map(line));
        if found["more"] == json!(true) {
            lines.push(format!("[more than {rows} rows; ask for more, or narrow the query]"));
        }
        let mut page = server.page();
        page.text(&lines.join("\n"), "ask for fewer columns or rows");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}
