//! What a scripted kernel answers to requests other than executions, and to comm messages.

use crate::kernel::message::PROTOCOL_VERSION;
use crate::kernel::{Death, Header, KernelError};
use crate::model::{Json, JsonMap};

use super::life::Process;
use super::object;
use super::outlet::Status;

/// A target that comms can be opened to: it sends back what it gets.
const ECHO_TARGET: &str = "echo";

/// Opening a comm to this target ends the process with this exit code.
const EXIT_TARGET: (&str, i32) = ("exit", 7);

/// What it says about itself.
pub(super) fn kernel_info() -> JsonMap {
    let language = object([
        ("name", "memory".into()),
        ("version", "1".into()),
        ("mimetype", "text/plain".into()),
        ("file_extension", ".txt".into()),
    ]);
    object([
        ("status", "ok".into()),
        ("protocol_version", PROTOCOL_VERSION.into()),
        ("implementation", "memory".into()),
        ("implementation_version", env!("CARGO_PKG_VERSION").into()),
        ("language_info", language.into()),
        ("banner", "a scripted kernel".into()),
        ("help_links", Json::Array(Vec::new())),
    ])
}

fn text<'a>(content: &'a JsonMap, key: &str) -> std::borrow::Cow<'a, str> {
    content.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// The name that ends at the cursor, whose position counts Unicode characters, and where it starts.
fn name_at_cursor(content: &JsonMap) -> (String, i64, i64) {
    let code: Vec<char> = text(content, "code").chars().collect();
    let cursor = content
        .get("cursor_pos")
        .and_then(Json::as_i64)
        .and_then(|cursor| usize::try_from(cursor).ok());
    let cursor = cursor.unwrap_or(code.len()).min(code.len());
    let is_part = |character: &char| character.is_alphanumeric() || *character == '_';
    let start = cursor
        - code[..cursor]
            .iter()
            .rev()
            .take_while(|character| is_part(character))
            .count();
    let position = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
    (code[start..cursor].iter().collect(), position(start), position(cursor))
}

impl Process {
    /// The reply to a request, between its own busy and idle.
    pub(super) fn answer(
        &mut self,
        header: &Header,
        msg_type: &str,
        content: &JsonMap,
    ) -> Result<JsonMap, KernelError> {
        self.outlet.publish_status(header, Status::Busy);
        let reply = self.script.reply(msg_type).or_else(|| self.reply_to(msg_type, content));
        self.outlet.publish_status(header, Status::Idle);
        reply.ok_or_else(|| KernelError::Unsupported {
            what: msg_type.to_owned(),
            by: "a scripted kernel".to_owned(),
        })
    }

    fn reply_to(&self, msg_type: &str, content: &JsonMap) -> Option<JsonMap> {
        let mut reply = match msg_type {
            "kernel_info_request" => kernel_info(),
            "inspect_request" => self.inspect(content),
            "complete_request" => self.complete(content),
            "is_complete_request" => return Some(is_complete(content)),
            "history_request" => self.history(content),
            "comm_info_request" => self.comm_info(content),
            _ => return None,
        };
        reply.insert("status".to_owned(), "ok".into());
        Some(reply)
    }

    fn inspect(&self, content: &JsonMap) -> JsonMap {
        let (name, ..) = name_at_cursor(content);
        let value = self.names.get(&name);
        let data = value.map(|value| ("text/plain".to_owned(), Json::from(value.as_str())));
        object([
            ("found", value.is_some().into()),
            ("data", data.into_iter().collect::<JsonMap>().into()),
            ("metadata", JsonMap::new().into()),
        ])
    }

    fn complete(&self, content: &JsonMap) -> JsonMap {
        let (prefix, start, end) = name_at_cursor(content);
        let matches = self
            .names
            .keys()
            .filter(|name| name.starts_with(&prefix))
            .map(|name| Json::from(name.as_str()));
        object([
            ("matches", Json::Array(matches.collect())),
            ("cursor_start", start.into()),
            ("cursor_end", end.into()),
            ("metadata", JsonMap::new().into()),
        ])
    }

    /// The last `n` entries, as `hist_access_type` `tail` asks for.
    fn history(&self, content: &JsonMap) -> JsonMap {
        let n = content
            .get("n")
            .and_then(Json::as_i64)
            .and_then(|n| usize::try_from(n).ok());
        let entries = self.history.len().saturating_sub(n.unwrap_or(usize::MAX));
        let entry =
            |(line, code): &(i64, String)| Json::Array(vec![1_i64.into(), (*line).into(), code.as_str().into()]);
        object([(
            "history",
            Json::Array(self.history[entries..].iter().map(entry).collect()),
        )])
    }

    fn comm_info(&self, content: &JsonMap) -> JsonMap {
        let wanted = text(content, "target_name");
        let comms = self
            .comms
            .iter()
            .filter(|(_, target)| wanted.is_empty() || **target == wanted);
        let comms = comms.map(|(id, target)| (id.clone(), object([("target_name", target.as_str().into())]).into()));
        object([("comms", comms.collect::<JsonMap>().into())])
    }

    /// Follows comm messages: the target `echo` sends back what it gets, `exit` ends the process, and a comm to any
    /// other target is closed.
    pub(super) fn take_comm(&mut self, header: &Header, msg_type: &str, content: &JsonMap) {
        self.outlet.publish_status(header, Status::Busy);
        let comm_id = text(content, "comm_id").into_owned();
        let data = content.get("data").cloned().unwrap_or_default();
        let answer = |data: Json| object([("comm_id", comm_id.as_str().into()), ("data", data)]);
        match msg_type {
            "comm_open" if text(content, "target_name") == ECHO_TARGET => {
                self.comms.insert(comm_id, ECHO_TARGET.to_owned());
            }
            "comm_open" if text(content, "target_name") == EXIT_TARGET.0 => {
                self.signals.kill(Death {
                    exit_code: Some(EXIT_TARGET.1),
                    ..Death::default()
                });
            }
            "comm_open" => self
                .outlet
                .publish(Some(header), "comm_close", answer(JsonMap::new().into())),
            "comm_msg" if self.comms.contains_key(&comm_id) => {
                self.outlet.publish(Some(header), "comm_msg", answer(data));
            }
            "comm_close" => drop(self.comms.remove(&comm_id)),
            _ => {}
        }
        self.outlet.publish_status(header, Status::Idle);
    }
}

fn is_complete(content: &JsonMap) -> JsonMap {
    if text(content, "code").trim_end().ends_with('\\') {
        object([("status", "incomplete".into()), ("indent", "".into())])
    } else {
        object([("status", "complete".into())])
    }
}
