use std::fmt::Write;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::looking::look;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

/// Variables that are listed at most.
const LISTED: usize = 100;

/// Names that can be told of at most.
const MOST_NAMES: usize = 1000;

/// Rows of a table that are shown unless more are asked for, and at most.
const ROWS: usize = 5;
const MOST_ROWS: usize = 50;

pub(super) struct VariableList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListArguments {
    path: String,
    /// Only names like this, such as df*
    pattern: Option<String>,
}

impl Tool for VariableList {
    const NAME: &'static str = "variable_list";
    const DESCRIPTION: &'static str = "The variables in a notebook's Python kernel: type, shape, bytes, value.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = ListArguments;

    async fn call(server: Arc<Server>, arguments: ListArguments, _caller: Caller) -> Result<Answer, Refusal> {
        let pattern = json!(arguments.pattern);
        let found = look(&server, &arguments.path, "variables", &[pattern, json!(LISTED)]).await?;
        let rows = found["rows"].as_array().cloned().unwrap_or_default();
        let mut lines: Vec<String> = rows.iter().map(row).collect();
        let count = found["count"].as_u64().unwrap_or_default();
        if count > rows.len() as u64 {
            lines.push(format!("[{} more; use a pattern]", count - rows.len() as u64));
        }
        if lines.is_empty() {
            lines.push("no variables".to_owned());
        }
        let mut page = server.page();
        page.text(&lines.join("\n"), "use a pattern");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}

/// The names of the variables in a notebook's kernel.
pub(in crate::mcp) async fn names(server: &Arc<Server>, path: &str) -> Result<Vec<String>, Refusal> {
    let found = look(server, path, "variables", &[Value::Null, json!(MOST_NAMES)]).await?;
    let rows = found["rows"].as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| row[0].as_str().map(str::to_owned)).collect())
}

fn row(row: &Value) -> String {
    let text = |at: usize| row[at].as_str().unwrap_or_default().to_owned();
    let mut line = format!("{}: {}", text(0), text(1));
    if !text(2).is_empty() {
        let _ = write!(line, " [{}]", text(2));
    }
    if let Some(bytes) = row[3].as_u64() {
        let _ = write!(line, " {bytes} B");
    }
    if !text(4).is_empty() {
        let _ = write!(line, " = {}", text(4));
    }
    line
}

pub(super) struct VariableInspect;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InspectArguments {
    path: String,
    name: String,
    /// Rows of a table [5]
    rows: Option<usize>,
}

impl Tool for VariableInspect {
    const NAME: &'static str = "variable_inspect";
    const DESCRIPTION: &'static str =
        "One variable: type, shape, columns with types and nulls, first rows; a function's signature.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = InspectArguments;

    async fn call(server: Arc<Server>, arguments: InspectArguments, _caller: Caller) -> Result<Answer, Refusal> {
        let rows = arguments.rows.unwrap_or(ROWS).min(MOST_ROWS);
        let wanted = [json!(arguments.name), json!(rows)];
        let found = look(&server, &arguments.path, "inspect", &wanted).await?;
        if let Some(near) = found["missing"].as_array() {
            let near: Vec<&str> = near.iter().filter_map(Value::as_str).collect();
            let refusal = Refusal::new(format!("the kernel has no variable {:?}", arguments.name));
            return Err(if near.is_empty() {
                refusal.with_advice("variable_list shows them")
            } else {
                refusal.with_advice(format!("there is {}", near.join(", ")))
            });
        }
        let mut page = server.page();
        page.text(&described(&arguments.name, &found), "ask for fewer rows");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}

fn described(name: &str, found: &Value) -> String {
    let mut text = row(&json!([
        name,
        found["type"],
        found["shape"],
        found["size"],
        found["value"]
    ]));
    for member in ["dtype", "min", "max", "mean"] {
        if let Some(value) = found[member].as_str() {
            let _ = write!(text, "\n{member}: {value}");
        }
    }
    if let Some(columns) = found["columns"].as_array() {
        text.push_str("\ncolumns (type, nulls):");
        for column in columns {
            let name = column[0].as_str().unwrap_or_default();
            let dtype = column[1].as_str().unwrap_or_default();
            let _ = write!(text, "\n  {name}: {dtype}, {}", column[2]);
        }
        if let Some(left @ 1..) = found["left"].as_u64() {
            let _ = write!(text, "\n  [{left} more columns]");
        }
    }
    for member in ["head", "signature", "doc"] {
        if let Some(value) = found[member].as_str().filter(|value| !value.is_empty()) {
            let _ = write!(text, "\n{member}:\n{value}");
        }
    }
    if let Some(attributes) = found["attributes"].as_array() {
        let attributes: Vec<&str> = attributes.iter().filter_map(Value::as_str).collect();
        let _ = write!(text, "\nattributes: {}", attributes.join(", "));
    }
    text
}
