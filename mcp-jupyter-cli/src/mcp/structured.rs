//! The schemas of structured content.

use rmcp::model::JsonObject;
use serde_json::{Value, json};

/// A kind of structured content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Structured {
    /// A run, as it is now.
    Run,
    /// What would be executed.
    Plan,
    /// What was edited, or proposed.
    Edit,
}

impl Structured {
    pub(super) fn schema(self) -> JsonObject {
        let schema = match self {
            Self::Run => run(),
            Self::Plan => object(
                &json!({ "execute": ids(), "skipped": number() }),
                &["execute", "skipped"],
            ),
            Self::Edit => object(
                &json!({
                    "revision": string(), "inserted": ids(), "deleted": ids(), "changed": ids(),
                    "stale": { "type": ["array", "null"], "items": string() },
                    "proposal_id": string(), "based_on": { "type": "object", "additionalProperties": string() },
                }),
                &[],
            ),
        };
        match schema {
            Value::Object(schema) => schema,
            _ => JsonObject::new(),
        }
    }
}

fn run() -> Value {
    let cell = object(
        &json!({
            "id": string(), "outcome": string(), "seconds": { "type": "number" }, "attempt": number(),
            "ended": { "type": "boolean" },
        }),
        &["id"],
    );
    let state = json!({ "enum": [
        "running", "waiting_for_input", "completed", "failed", "timed_out", "kernel_died", "cancelled", "interrupted",
        "lost",
    ] });
    object(
        &json!({
            "run_id": { "type": ["string", "null"] }, "state": state, "planned": number(), "skipped": number(),
            "cells": { "type": "array", "items": cell }, "cursor": number(), "running": string(), "input_id": string(),
        }),
        &["run_id", "state", "cells"],
    )
}

fn object(properties: &Value, required: &[&str]) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn string() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "integer" })
}

fn ids() -> Value {
    json!({ "type": "array", "items": string() })
}
