//! What a front end would know about the kernel's widgets: their state, saved as notebook metadata, and the Output
//! widgets, which take the outputs of a cell to themselves and expect the kernel to be told.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;

use crate::kernel::{Header, Message};
use crate::model::{Json, JsonMap, Output};

use super::cell_outputs::OutputChange;

/// The key of widget state in `metadata.widgets`.
const STATE_MIME_TYPE: &str = "application/vnd.jupyter.widget-state+json";

/// The widgets that the kernel has opened comms for.
#[derive(Debug, Default)]
pub(super) struct Widgets {
    models: IndexMap<String, Model>,
    outputs: HashMap<String, OutputWidget>,
    /// Requests whose outputs go to widgets: `msg_id` → comm ids, the last one takes them.
    captured: HashMap<String, Vec<String>>,
}

#[derive(Debug, Default)]
struct Model {
    state: JsonMap,
    /// Binary parts of the state by their path, as text.
    buffers: IndexMap<String, Json>,
}

#[derive(Debug, Default)]
struct OutputWidget {
    outputs: Vec<Json>,
    clear_next: bool,
    /// The request whose outputs it takes at present.
    msg_id: String,
}

/// A `comm_msg` that the kernel has to get.
#[derive(Debug)]
pub(super) struct CommMessage {
    pub(super) content: JsonMap,
    pub(super) parent: Header,
}

impl Widgets {
    /// Follows `comm_open`, `comm_msg` and `comm_close`.
    pub(super) fn apply(&mut self, message: &Message) {
        let Some(comm_id) = message.content.get("comm_id").and_then(Json::as_str) else {
            return;
        };
        let Some(data) = message.content.get("data") else {
            return;
        };
        if let Some(Json::Object(state)) = data.get("state") {
            let model = self.models.entry(comm_id.clone().into_owned()).or_default();
            model
                .state
                .extend(state.iter().map(|(key, value)| (key.clone(), value.clone())));
            model.add_buffers(data, message);
            if message.msg_type() == "comm_open" && is_output_widget(state) {
                self.open_output_widget(&comm_id, state);
            } else if message.msg_type() == "comm_msg" {
                self.capture(&comm_id, state);
            }
        }
    }

    fn open_output_widget(&mut self, comm_id: &str, state: &JsonMap) {
        let outputs = state
            .get("outputs")
            .and_then(Json::as_array)
            .unwrap_or_default()
            .to_vec();
        self.outputs.insert(
            comm_id.to_owned(),
            OutputWidget {
                outputs,
                ..OutputWidget::default()
            },
        );
    }

    /// An Output widget takes the outputs of the request that its state names, until it names none.
    fn capture(&mut self, comm_id: &str, state: &JsonMap) {
        let Some(msg_id) = state.get("msg_id").and_then(Json::as_str) else {
            return;
        };
        let Some(widget) = self.outputs.get_mut(comm_id) else {
            return;
        };
        let before = std::mem::replace(&mut widget.msg_id, msg_id.clone().into_owned());
        if msg_id.is_empty() {
            if let Some(stack) = self.captured.get_mut(&before) {
                stack.pop();
            }
        } else {
            self.captured
                .entry(msg_id.into_owned())
                .or_default()
                .push(comm_id.to_owned());
        }
    }

    /// Whether a widget takes the outputs of this request.
    pub(super) fn captures(&self, msg_id: &str) -> bool {
        self.captured.get(msg_id).is_some_and(|stack| !stack.is_empty())
    }

    /// Gives a change of outputs to the widget that takes them. The kernel is to be told of the widget's new state.
    pub(super) fn redirect(&mut self, parent: &Header, change: OutputChange) -> Option<CommMessage> {
        let comm_id = self.captured.get(&*parent.msg_id())?.last()?.clone();
        let widget = self.outputs.get_mut(&comm_id)?;
        match change {
            OutputChange::Clear { wait: true } => {
                widget.clear_next = true;
                return None;
            }
            OutputChange::Clear { wait: false } => widget.outputs.clear(),
            OutputChange::Append(output, _) => widget.append(output),
            OutputChange::Update(..) => return None,
        }
        let outputs = Json::Array(widget.outputs.clone());
        if let Some(model) = self.models.get_mut(&comm_id) {
            model.state.insert("outputs".to_owned(), outputs.clone());
        }
        let state: Json = [("outputs", outputs)].into_iter().collect();
        let data: Json = [
            ("method", Json::from("update")),
            ("state", state),
            ("buffer_paths", Json::Array(Vec::new())),
        ]
        .into_iter()
        .collect();
        let content = [("data".to_owned(), data), ("comm_id".to_owned(), comm_id.into())]
            .into_iter()
            .collect();
        Some(CommMessage {
            content,
            parent: parent.clone(),
        })
    }

    /// The state of all widgets as `metadata.widgets` holds it (the schema of jupyter-widgets); nothing without any.
    pub(super) fn metadata(&self) -> Option<Json> {
        if self.models.is_empty() {
            return None;
        }
        let models = self
            .models
            .iter()
            .filter(|(_, model)| model.state.contains_key("_model_name"));
        let state: Json = models
            .map(|(comm_id, model)| (comm_id.clone(), model.to_json()))
            .collect();
        let saved: Json = [
            ("state", state),
            ("version_major", Json::from(2_i64)),
            ("version_minor", Json::from(0_i64)),
        ]
        .into_iter()
        .collect();
        Some([(STATE_MIME_TYPE, saved)].into_iter().collect())
    }
}

fn is_output_widget(state: &JsonMap) -> bool {
    let field = |name| state.get(name).and_then(Json::as_str);
    field("_model_module").as_deref() == Some("@jupyter-widgets/output")
        && field("_model_name").as_deref() == Some("OutputModel")
}

impl Model {
    fn add_buffers(&mut self, data: &Json, message: &Message) {
        let paths = data.get("buffer_paths").and_then(Json::as_array).unwrap_or_default();
        for (path, buffer) in paths.iter().zip(&message.buffers) {
            let buffer: Json = [
                ("data", Json::from(STANDARD.encode(buffer))),
                ("encoding", Json::from("base64")),
                ("path", path.clone()),
            ]
            .into_iter()
            .collect();
            self.buffers.insert(path.to_string(), buffer);
        }
    }

    fn to_json(&self) -> Json {
        let field = |name: &str| self.state.get(name).cloned().unwrap_or_default();
        let mut json: JsonMap = [
            ("model_name", field("_model_name")),
            ("model_module", field("_model_module")),
            ("model_module_version", field("_model_module_version")),
            ("state", Json::Object(self.state.clone())),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        if !self.buffers.is_empty() {
            json.insert(
                "buffers".to_owned(),
                Json::Array(self.buffers.values().cloned().collect()),
            );
        }
        Json::Object(json)
    }
}

impl OutputWidget {
    fn append(&mut self, output: Output) {
        if std::mem::take(&mut self.clear_next) {
            self.outputs.clear();
        }
        if let Output::Stream { name, text } = &output
            && let Some(Json::Object(last)) = self.outputs.last_mut()
            && last.get("name").and_then(Json::as_str).as_deref() == Some(name)
            && let Some(Json::String(before)) = last.get_mut("text")
        {
            before.append(text.clone());
            return;
        }
        self.outputs.push(output.into_json());
    }
}
