//! Secrets in outputs, masked before anything else sees them.

use std::collections::HashMap;

use crate::model::{CellId, Json, JsonMap, Output, Text};
use crate::redaction::{RedactingStream, Redactor};

use super::cell_outputs::OutputChange;

/// Masks secrets in what cells output, also where a secret comes in several messages.
#[derive(Debug)]
pub(super) struct Redacting {
    redactor: Redactor,
    /// The stream that each cell has written to last.
    streams: HashMap<CellId, MaskedStream>,
}

#[derive(Debug)]
struct MaskedStream {
    name: String,
    stream: RedactingStream,
    /// The beginning of a character whose end has not come.
    partial: Vec<u8>,
}

impl Redacting {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            streams: HashMap::new(),
        }
    }

    /// The change with its secrets masked, and before it what was held back of a stream that has ended with it.
    pub(super) fn mask(&mut self, cell: &CellId, change: OutputChange) -> Vec<OutputChange> {
        if let OutputChange::Append(Output::Stream { name, text }, _) = change {
            return self.mask_stream(cell, name, &text);
        }
        let mut changes = Vec::from_iter(self.flush(cell));
        changes.push(match change {
            OutputChange::Append(output, display_id) => OutputChange::Append(self.output(output), display_id),
            OutputChange::Update(display_id, mut data, metadata) => {
                self.bundle(&mut data.0);
                OutputChange::Update(display_id, data, metadata)
            }
            change @ OutputChange::Clear { .. } => change,
        });
        changes
    }

    fn mask_stream(&mut self, cell: &CellId, name: String, text: &Text) -> Vec<OutputChange> {
        let mut changes = Vec::new();
        if self.streams.get(cell).is_some_and(|stream| stream.name != name) {
            changes.extend(self.flush(cell));
        }
        let stream = self.streams.entry(cell.clone()).or_insert_with(|| MaskedStream {
            name,
            stream: self.redactor.stream(),
            partial: Vec::new(),
        });
        let mut masked = std::mem::take(&mut stream.partial);
        text.for_each_chunk(|chunk| masked.extend(stream.stream.push(chunk.as_bytes())));
        changes.extend(stream.change(masked));
        changes
    }

    /// What was held back of the cell's stream, for nothing more is added to it.
    pub(super) fn flush(&mut self, cell: &CellId) -> Option<OutputChange> {
        let mut stream = self.streams.remove(cell)?;
        let mut masked = std::mem::take(&mut stream.partial);
        masked.extend(stream.stream.finish());
        stream.change(masked)
    }

    /// What an earlier execution of the cell has left is gone.
    pub(super) fn discard(&mut self, cell: &CellId) {
        self.streams.remove(cell);
    }

    /// The cells of whose streams something may be held back.
    pub(super) fn cells(&self) -> Vec<CellId> {
        self.streams.keys().cloned().collect()
    }

    fn output(&self, output: Output) -> Output {
        match output {
            Output::DisplayData { mut data, metadata } => {
                self.bundle(&mut data.0);
                Output::DisplayData { data, metadata }
            }
            Output::ExecuteResult {
                execution_count,
                mut data,
                metadata,
            } => {
                self.bundle(&mut data.0);
                Output::ExecuteResult {
                    execution_count,
                    data,
                    metadata,
                }
            }
            Output::Error {
                ename,
                evalue,
                traceback,
            } => Output::Error {
                ename,
                evalue: self.redactor.redact(&evalue).into_owned(),
                traceback: traceback
                    .iter()
                    .map(|line| self.redactor.redact(line).into_owned())
                    .collect(),
            },
            stream @ Output::Stream { .. } => stream,
        }
    }

    fn bundle(&self, data: &mut JsonMap) {
        data.values_mut().for_each(|value| self.json(value));
    }

    fn json(&self, value: &mut Json) {
        match value {
            Json::String(text) => {
                let masked = match self.redactor.redact(&text.to_str()) {
                    std::borrow::Cow::Borrowed(_) => return,
                    std::borrow::Cow::Owned(masked) => masked,
                };
                *text = Text::from(masked);
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Json::Object(members) => self.bundle(members),
            _ => {}
        }
    }
}

impl MaskedStream {
    /// The text that is decided, up to its last whole character.
    fn change(&mut self, mut masked: Vec<u8>) -> Option<OutputChange> {
        if let Err(error) = std::str::from_utf8(&masked)
            && error.error_len().is_none()
        {
            self.partial = masked.split_off(error.valid_up_to());
        }
        if masked.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&masked).into_owned();
        let name = self.name.clone();
        Some(OutputChange::Append(
            Output::Stream {
                name,
                text: Text::from(text),
            },
            None,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

    fn stream(name: &str, text: &str) -> OutputChange {
        OutputChange::Append(
            Output::Stream {
                name: name.to_owned(),
                text: Text::from(text.to_owned()),
            },
            None,
        )
    }

    fn joined(changes: Vec<OutputChange>) -> String {
        let text = |change| match change {
            OutputChange::Append(Output::Stream { name, text }, _) => format!("[{name}]{}", text.to_str()),
            other => format!("{other:?}"),
        };
        changes
            .into_iter()
            .map(text)
            .collect::<String>()
            .replace("[stdout]", "")
    }

    #[test]
    fn a_secret_in_two_messages_is_masked() {
        let mut redacting = Redacting::new(Redactor::new());
        let cell = CellId::from("c");
        let (one, two) = TOKEN.split_at(13);
        let mut changes = redacting.mask(&cell, stream("stdout", &format!("é token {one}")));
        changes.extend(redacting.mask(&cell, stream("stdout", &format!("{two} é"))));
        changes.extend(redacting.flush(&cell));
        assert_eq!(joined(changes), format!("é token ghp_{} é", "*".repeat(36)));
        assert!(redacting.flush(&cell).is_none());
    }

    #[test]
    fn what_follows_comes_after_what_was_held_back() {
        let mut redacting = Redacting::new(Redactor::new());
        let cell = CellId::from("c");
        let mut changes = redacting.mask(&cell, stream("stdout", "a gh"));
        changes.extend(redacting.mask(&cell, stream("stderr", "b")));
        changes.extend(redacting.mask(&cell, OutputChange::Clear { wait: false }));
        assert_eq!(joined(changes), "a gh[stderr]bClear { wait: false }");
    }

    #[test]
    fn displays_and_errors_are_masked_and_pictures_are_not() {
        let mut redacting = Redacting::new(Redactor::new());
        let picture = "iVBORw0KGgo".repeat(100);
        let json = format!(
            r#"{{"text/plain": "{TOKEN}", "application/json": {{"a": ["{TOKEN}"]}}, "image/png": "{picture}"}}"#
        );
        let Ok(Json::Object(data)) = Json::parse(json.as_bytes()) else {
            panic!()
        };
        let display = Output::DisplayData {
            data: crate::model::MimeBundle(data),
            metadata: JsonMap::new(),
        };
        let error = Output::Error {
            ename: "E".into(),
            evalue: TOKEN.into(),
            traceback: vec![TOKEN.into()],
        };
        for output in [display, error] {
            let shown = format!(
                "{:?}",
                redacting.mask(&CellId::from("c"), OutputChange::Append(output, None))
            );
            assert!(!shown.contains(TOKEN) && shown.contains("ghp_****"), "{shown}");
            assert!(!shown.contains("image/png") || shown.contains(&picture));
        }
    }
}
