//! What is no message of the protocol, and the error of JSON-RPC that it gets.

use rmcp::model::{
    CallToolRequestParams, CompleteRequestParams, CustomRequest, ErrorCode, ErrorData, GetPromptRequestParams,
    ReadResourceRequestParams, ServerCapabilities,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

/// How large a message may be, in bytes.
pub(super) const MESSAGE_LIMIT: usize = 16 << 20;

/// How long an id may be that is looked for in a message that is not kept.
const ID_LIMIT: usize = 256;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// What is wrong with something that was sent.
#[derive(Debug)]
pub(super) struct Complaint {
    code: i32,
    message: String,
    /// Of the request, where it has one.
    id: Value,
}

impl Complaint {
    /// About what the protocol's own types could not be made of.
    pub(super) fn about(sent: &[u8]) -> Self {
        if let Err(cause) = serde_json::from_slice::<IgnoredAny>(sent) {
            return Self {
                code: PARSE_ERROR,
                message: format!("the message is no JSON: {cause}"),
                id: Value::Null,
            };
        }
        let sent: Value = serde_json::from_slice(sent).unwrap_or_default();
        let message = if sent.is_array() {
            "batches are no part of this protocol; send the messages one by one"
        } else {
            "the message is none of JSON-RPC 2.0: it needs \"jsonrpc\": \"2.0\" and a method, or an id and a result"
        };
        let id = sent.get("id").filter(|id| id.is_string() || id.is_number());
        Self {
            code: INVALID_REQUEST,
            message: message.to_owned(),
            id: id.cloned().unwrap_or_default(),
        }
    }

    pub(super) fn too_large(id: Value) -> Self {
        let limit = MESSAGE_LIMIT >> 20;
        Self {
            code: INVALID_REQUEST,
            message: format!(
                "the message has more than {limit} MiB, which is the limit; send large data in parts, or as files"
            ),
            id,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "jsonrpc": "2.0", "id": self.id, "error": { "code": self.code, "message": self.message } })
    }
}

/// What is wrong with a request of which the protocol's types know nothing: its method, or its parameters.
pub(super) fn unfit(request: &CustomRequest, has: &ServerCapabilities) -> ErrorData {
    let method = request.method.as_str();
    let cause = match method {
        "tools/call" if has.tools.is_some() => cause::<CallToolRequestParams>(request),
        "prompts/get" if has.prompts.is_some() => cause::<GetPromptRequestParams>(request),
        "resources/read" if has.resources.is_some() => cause::<ReadResourceRequestParams>(request),
        "completion/complete" if has.completions.is_some() => cause::<CompleteRequestParams>(request),
        _ => None,
    };
    match cause {
        Some(cause) => ErrorData::invalid_params(format!("the parameters of {method} do not fit: {cause}"), None),
        None => ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            format!(
                "this server has no method {:?}",
                method.get(..ID_LIMIT).unwrap_or(method)
            ),
            None,
        ),
    }
}

fn cause<T: DeserializeOwned>(request: &CustomRequest) -> Option<serde_json::Error> {
    serde_json::from_value::<T>(request.params.clone().unwrap_or_default()).err()
}

/// Finds the id in a message that is too large to be kept.
#[derive(Debug, Default)]
pub(super) struct IdFinder {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    /// The name, or the value, that is being read at the top of the message.
    token: Vec<u8>,
    /// Whether the token is the value of the id.
    is_id: bool,
    id: Value,
}

impl IdFinder {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_in_string {
                self.feed_string(*byte);
            } else {
                self.feed_outside(*byte);
            }
        }
    }

    pub(super) fn id(self) -> Value {
        self.id
    }

    fn feed_string(&mut self, byte: u8) {
        self.keep(byte);
        if self.is_escaped {
            self.is_escaped = false;
        } else {
            self.is_escaped = byte == b'\\';
            self.is_in_string = byte != b'"';
        }
    }

    fn feed_outside(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.is_in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.end_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if self.depth == 1 => {
                self.is_id = self.token == b"\"id\"";
                self.token.clear();
            }
            b',' => self.end_value(),
            _ if byte.is_ascii_whitespace() => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < ID_LIMIT {
            self.token.push(byte);
        }
    }

    fn end_value(&mut self) {
        if self.depth != 1 {
            return;
        }
        if self.is_id {
            let id: Value = serde_json::from_slice(&self.token).unwrap_or_default();
            self.id = if id.is_string() || id.is_number() {
                id
            } else {
                Value::Null
            };
        }
        self.is_id = false;
        self.token.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str) -> Value {
        let mut finder = IdFinder::default();
        // In pieces, as it comes.
        message.as_bytes().chunks(3).for_each(|bytes| finder.feed(bytes));
        finder.id()
    }

    #[test]
    fn the_id_is_found_wherever_it_is() {
        assert_eq!(found(r#"{"id": 7, "params": {"id": 8}}"#), 7);
        assert_eq!(found(r#"{"params": {"id": 8, "x": ["id", 9]}, "id": 7}"#), 7);
        assert_eq!(found(r#"{"params": {"x": "\"}, \"id\": 1, {"}, "id" :"a\"b"}"#), "a\"b");
        assert_eq!(found(r#"{"x": "id", "y": 3}"#), Value::Null);
        assert_eq!(found(r#"{"id": {"a": 1}}"#), Value::Null);
        assert_eq!(found(r#"[{"id": 1}]"#), Value::Null);
        assert_eq!(found(&format!(r#"{{"id": "{}"}}"#, "a".repeat(1000))), Value::Null);
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        let code = |sent: &[u8]| Complaint::about(sent).code;
        assert_eq!(code(b"{ nope"), PARSE_ERROR);
        assert_eq!(code(b"\xff"), PARSE_ERROR);
        assert_eq!(code(b"[]"), INVALID_REQUEST);
        let complaint = Complaint::about(br#"{"id": "x", "method": 3}"#);
        assert_eq!((complaint.code, complaint.id), (INVALID_REQUEST, json!("x")));
    }

    #[test]
    fn parameters_that_do_not_fit_are_no_unknown_method() {
        let tools = ServerCapabilities::builder().enable_tools().build();
        let request = CustomRequest::new("tools/call", Some(json!({ "nome": "run" })));
        let error = unfit(&request, &tools);
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
        assert!(error.message.contains("name"), "{}", error.message);
        let prompt = unfit(&CustomRequest::new("prompts/get", None), &tools);
        assert_eq!(prompt.code, ErrorCode::METHOD_NOT_FOUND);
    }
}
