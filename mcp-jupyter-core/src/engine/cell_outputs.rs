//! From messages to the outputs of cells, as nbclient records them.

use std::collections::HashMap;

use crate::kernel::Message;
use crate::model::{CellId, Json, JsonMap, MimeBundle, Output, Text};
use crate::session::notebook::{Cell, Notebook};

use crate::model::CellRef;

use super::event::RunEvent;

/// Which outputs show which display, and which cells wait to be cleared.
#[derive(Debug, Default)]
pub(super) struct CellOutputs {
    /// `display_id` → the outputs that show it: cell, and place among its outputs.
    displays: HashMap<String, Vec<(CellId, usize)>>,
    /// Cells whose outputs are cleared when their next one arrives (`clear_output(wait=True)`).
    clear_next: Vec<CellId>,
    /// The displays as the last run has left them.
    left: HashMap<(CellId, usize), Json>,
}

/// What a message means for the outputs of its cell.
#[derive(Debug, PartialEq)]
pub(super) enum OutputChange {
    /// A new output, with its `display_id`.
    Append(Output, Option<String>),
    /// New content for every output that shows the display.
    Update(String, MimeBundle, JsonMap),
    /// The outputs are cleared: at once, or when the next one arrives.
    Clear { wait: bool },
}

impl OutputChange {
    /// Reads `stream`, `display_data`, `execute_result`, `error`, `update_display_data` and `clear_output`; nothing
    /// for other messages, and for those without what their type requires.
    pub(super) fn from_message(message: &mut Message) -> Option<Self> {
        let msg_type = message.msg_type().into_owned();
        let content = &mut message.content;
        let display_id = content
            .get("transient")
            .and_then(|transient| transient.get("display_id"));
        let display_id = display_id.and_then(Json::as_str).map(std::borrow::Cow::into_owned);
        Some(match msg_type.as_str() {
            "stream" => {
                let name = content.get("name")?.as_str()?.into_owned();
                Self::Append(
                    Output::Stream {
                        name,
                        text: text(content.take("text")?)?,
                    },
                    None,
                )
            }
            "display_data" => {
                let (data, metadata) = bundle(content)?;
                Self::Append(Output::DisplayData { data, metadata }, display_id)
            }
            "execute_result" => {
                let execution_count = content.get("execution_count").and_then(Json::as_i64);
                let (data, metadata) = bundle(content)?;
                Self::Append(
                    Output::ExecuteResult {
                        execution_count,
                        data,
                        metadata,
                    },
                    display_id,
                )
            }
            "error" => Self::Append(error(content), None),
            "update_display_data" => {
                let (data, metadata) = bundle(content)?;
                Self::Update(display_id?, data, metadata)
            }
            "clear_output" => Self::Clear {
                wait: content.get("wait").and_then(Json::as_bool).unwrap_or_default(),
            },
            _ => return None,
        })
    }
}

fn output<'a>(notebook: &'a Notebook, (cell, place): &(CellId, usize)) -> Option<&'a Json> {
    notebook.cell(cell)?.outputs().get(*place)
}

fn text(json: Json) -> Option<Text> {
    match json {
        Json::String(text) => Some(text),
        _ => None,
    }
}

fn object(json: Option<Json>) -> Option<JsonMap> {
    match json {
        Some(Json::Object(map)) => Some(map),
        _ => None,
    }
}

fn bundle(content: &mut Json) -> Option<(MimeBundle, JsonMap)> {
    let data = object(content.take("data"))?;
    Some((MimeBundle(data), object(content.take("metadata")).unwrap_or_default()))
}

/// The error that a reply or an `error` message tells of.
pub(super) fn error(content: &Json) -> Output {
    let field = |name| {
        content
            .get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .into_owned()
    };
    let traceback = content.get("traceback").and_then(Json::as_array).unwrap_or_default();
    let traceback = traceback
        .iter()
        .filter_map(Json::as_str)
        .map(std::borrow::Cow::into_owned)
        .collect();
    Output::Error {
        ename: field("ename"),
        evalue: field("evalue"),
        traceback,
    }
}

impl CellOutputs {
    /// Clears what an earlier run has left in a cell that is to be executed.
    pub(super) fn reset(&mut self, cell: &mut Cell) {
        cell.outputs_mut().clear();
        cell.set_execution_count(None);
        if cell.metadata().contains_key("execution") {
            cell.metadata_mut().shift_remove("execution");
        }
        self.forget(&cell.id().clone());
    }

    /// A run has ended: another one may come, on the notebook as it is then.
    pub(super) fn leave(&mut self, notebook: &Notebook) {
        let shown = self.displays.values().flatten();
        self.left = shown
            .filter_map(|shown| Some((shown.clone(), output(notebook, shown)?.clone())))
            .collect();
    }

    /// Another run begins. Displays that are not any more what the last one has left are nobody's.
    pub(super) fn recall(&mut self, notebook: &Notebook) {
        let left = std::mem::take(&mut self.left);
        self.clear_next.clear();
        for shown in self.displays.values_mut() {
            shown.retain(|shown| {
                left.get(shown)
                    .is_some_and(|left| output(notebook, shown) == Some(left))
            });
        }
        self.displays.retain(|_, shown| !shown.is_empty());
    }

    /// Whether the cell's next output clears those before it.
    pub(super) fn is_cleared_next(&self, cell: &CellId) -> bool {
        self.clear_next.contains(cell)
    }

    fn forget(&mut self, cell: &CellId) {
        self.clear_next.retain(|waiting| waiting != cell);
        self.displays
            .values_mut()
            .for_each(|shown| shown.retain(|(of, _)| of != cell));
    }

    /// Applies a change to the cell it belongs to, telling of every effect.
    pub(super) fn apply(
        &mut self,
        notebook: &mut Notebook,
        cell: &CellRef,
        change: OutputChange,
        mut tell: impl FnMut(RunEvent),
    ) {
        match change {
            OutputChange::Clear { wait: true } => self.clear_next.push(cell.id.clone()),
            OutputChange::Clear { wait: false } => self.clear(notebook, cell, &mut tell),
            OutputChange::Update(display_id, data, metadata) => {
                self.update(notebook, &display_id, &data, &metadata, &mut tell);
            }
            OutputChange::Append(output, display_id) => {
                if let Some(display_id) = &display_id
                    && let Output::DisplayData { data, metadata } | Output::ExecuteResult { data, metadata, .. } =
                        &output
                {
                    self.update(notebook, display_id, data, metadata, &mut tell);
                }
                if self.clear_next.contains(&cell.id) {
                    self.clear(notebook, cell, &mut tell);
                }
                tell(RunEvent::Output {
                    cell: cell.clone(),
                    output: output.clone(),
                });
                self.append(notebook, cell, output, display_id);
            }
        }
    }

    fn clear(&mut self, notebook: &mut Notebook, cell: &CellRef, tell: &mut impl FnMut(RunEvent)) {
        self.forget(&cell.id);
        if let Some(target) = notebook.cells_mut().get_mut(cell.index) {
            target.outputs_mut().clear();
        }
        tell(RunEvent::OutputCleared { cell: cell.clone() });
    }

    fn append(&mut self, notebook: &mut Notebook, cell: &CellRef, output: Output, display_id: Option<String>) {
        let Some(target) = notebook.cells_mut().get_mut(cell.index) else {
            return;
        };
        let outputs = target.outputs_mut();
        let output = match output {
            Output::Stream { name, text } => match joinable(outputs, &name) {
                Some(last) => return last.append(text),
                None => Output::Stream { name, text },
            },
            output => output,
        };
        if let Some(display_id) = display_id {
            self.displays
                .entry(display_id)
                .or_default()
                .push((cell.id.clone(), outputs.len()));
        }
        outputs.push(output.into_json());
    }

    fn update(
        &mut self,
        notebook: &mut Notebook,
        display_id: &str,
        data: &MimeBundle,
        metadata: &JsonMap,
        tell: &mut impl FnMut(RunEvent),
    ) {
        for (id, place) in self.displays.get(display_id).into_iter().flatten() {
            let Some(index) = notebook.position(id) else { continue };
            let output = notebook
                .cells_mut()
                .get_mut(index)
                .and_then(|cell| cell.outputs_mut().get_mut(*place));
            if let Some(output) = output.and_then(Json::as_object_mut) {
                output.insert("data".to_owned(), Json::Object(data.0.clone()));
                output.insert("metadata".to_owned(), Json::Object(metadata.clone()));
                tell(RunEvent::OutputUpdated {
                    cell: CellRef { id: id.clone(), index },
                    output: *place,
                });
            }
        }
    }
}

/// The text of the last output, where that is a stream of this name.
fn joinable<'a>(outputs: &'a mut [Json], name: &str) -> Option<&'a mut Text> {
    let last = outputs.last_mut()?.as_object_mut()?;
    if last.get("name").and_then(Json::as_str).as_deref() != Some(name) {
        return None;
    }
    match last.get_mut("text") {
        Some(Json::String(text)) => Some(text),
        _ => None,
    }
}
