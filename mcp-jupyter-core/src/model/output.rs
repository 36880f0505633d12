use serde::{Deserialize, Serialize};

use super::json::{Json, JsonMap};
use super::text::Text;

/// The data of one output in one or more representations: MIME type → value.
///
/// Text and base64 are strings; JSON types hold any value (messaging spec, `display_data`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MimeBundle(pub JsonMap);

impl MimeBundle {
    /// The value of one MIME type.
    pub fn get(&self, mime_type: &str) -> Option<&Json> {
        self.0.get(mime_type)
    }

    /// The `text/plain` representation, which every kernel is asked to send.
    pub fn plain(&self) -> Option<&Text> {
        self.get("text/plain").and_then(Json::as_text)
    }
}

/// One output of a code cell: nbformat's four kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "output_type", rename_all = "snake_case")]
pub enum Output {
    /// Text that the code wrote to one of its standard streams.
    Stream {
        /// `stdout` or `stderr`.
        name: String,
        /// What was written, control characters as sent.
        text: Text,
    },
    /// Something displayed.
    DisplayData {
        /// The representations.
        data: MimeBundle,
        /// Metadata, mostly by MIME type.
        metadata: JsonMap,
    },
    /// The value of the cell's last expression.
    ExecuteResult {
        /// The `n` of `Out[n]`.
        execution_count: Option<i64>,
        /// The representations.
        data: MimeBundle,
        /// Metadata, mostly by MIME type.
        metadata: JsonMap,
    },
    /// The exception that ended the cell.
    Error {
        /// Class of the exception.
        ename: String,
        /// Its message.
        evalue: String,
        /// Its traceback, a line or a frame an entry, with ANSI colours as the kernel sent them.
        traceback: Vec<String>,
    },
}

impl Output {
    /// The output as nbformat 4 holds it, with whole strings (a file splits them into lines).
    pub fn into_json(self) -> Json {
        match self {
            Output::Stream { name, text } => [
                ("name", Json::from(name)),
                ("output_type", "stream".into()),
                ("text", text.into()),
            ]
            .into_iter()
            .collect(),
            Output::DisplayData { data, metadata } => [
                ("data", Json::Object(data.0)),
                ("metadata", metadata.into()),
                ("output_type", "display_data".into()),
            ]
            .into_iter()
            .collect(),
            Output::ExecuteResult {
                execution_count,
                data,
                metadata,
            } => [
                ("data", Json::Object(data.0)),
                ("execution_count", execution_count.into()),
                ("metadata", metadata.into()),
                ("output_type", "execute_result".into()),
            ]
            .into_iter()
            .collect(),
            Output::Error {
                ename,
                evalue,
                traceback,
            } => [
                ("ename", Json::from(ename)),
                ("evalue", evalue.into()),
                ("output_type", "error".into()),
                (
                    "traceback",
                    Json::Array(traceback.into_iter().map(Json::from).collect()),
                ),
            ]
            .into_iter()
            .collect(),
        }
    }
}
