use std::borrow::Cow;

use bytes::Bytes;

use crate::model::{Json, JsonMap};

use super::Channel;

/// The version of the messaging protocol that our messages are written in.
pub(crate) const PROTOCOL_VERSION: &str = "5.4";

/// The header of a message, unknown fields included (messaging spec, "Message header").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header(JsonMap);

impl Header {
    /// A header for a new message of ours, with a new `msg_id` and the present time.
    pub fn new(msg_type: &str, session: &str) -> Self {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        Self::from_iter([
            ("msg_id", uuid::Uuid::new_v4().simple().to_string()),
            ("msg_type", msg_type.to_owned()),
            ("session", session.to_owned()),
            ("username", "mcp-jupyter".to_owned()),
            ("date", date),
            ("version", PROTOCOL_VERSION.to_owned()),
        ])
    }

    fn field(&self, name: &str) -> Cow<'_, str> {
        self.0.get(name).and_then(Json::as_str).unwrap_or_default()
    }

    /// The message's identity; empty where the sender gave none.
    pub fn msg_id(&self) -> Cow<'_, str> {
        self.field("msg_id")
    }

    /// The message's type, such as `stream`.
    pub fn msg_type(&self) -> Cow<'_, str> {
        self.field("msg_type")
    }

    /// The sender's `header.session`.
    pub fn session(&self) -> Cow<'_, str> {
        self.field("session")
    }

    /// When the message was made, on the sender's clock (ISO 8601), as sent.
    pub fn date(&self) -> Option<Cow<'_, str>> {
        self.0.get("date").and_then(Json::as_str)
    }

    /// The same header on its way to a subshell (messaging spec, "Kernel subshells").
    #[cfg(feature = "local")]
    pub(in crate::kernel) fn with_subshell(mut self, subshell: Json) -> Self {
        self.0.insert("subshell_id".to_owned(), subshell);
        self
    }

    /// Whether the message goes to a subshell, comes from one, makes one or ends it.
    #[cfg(feature = "local")]
    pub(in crate::kernel) fn is_about_a_subshell(&self) -> bool {
        let subshell = self.0.get("subshell_id");
        subshell.is_some_and(|subshell| subshell.as_str().is_some()) || self.msg_type().ends_with("_subshell_request")
    }

    /// All fields.
    pub fn fields(&self) -> &JsonMap {
        &self.0
    }
}

impl From<JsonMap> for Header {
    fn from(fields: JsonMap) -> Self {
        Self(fields)
    }
}

impl<K: Into<String>, V: Into<Json>> FromIterator<(K, V)> for Header {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        Self(
            fields
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

/// One message of the Jupyter protocol, its signature already checked.
///
/// Source: messaging spec, "General Message Format" and "The Wire Protocol".
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The channel that it came on or goes to.
    pub channel: Channel,
    /// Who sent what, and when.
    pub header: Header,
    /// The header of the request that caused it.
    pub parent_header: Option<Header>,
    /// Metadata of the message itself.
    pub metadata: JsonMap,
    /// Its content, whose shape the type of the message says.
    pub content: Json,
    /// Binary data that comes with it.
    pub buffers: Vec<Bytes>,
    /// Where it ends in what is recorded of a kernel that outlives its clients.
    pub position: Option<u64>,
}

impl Message {
    /// A message of ours without a parent.
    pub fn new(channel: Channel, msg_type: &str, session: &str, content: JsonMap) -> Self {
        Self {
            channel,
            header: Header::new(msg_type, session),
            parent_header: None,
            metadata: JsonMap::new(),
            content: Json::Object(content),
            buffers: Vec::new(),
            position: None,
        }
    }

    /// The type of the message, such as `execute_reply`.
    pub fn msg_type(&self) -> Cow<'_, str> {
        self.header.msg_type()
    }

    /// The `msg_id` of the request that caused it.
    pub fn parent_id(&self) -> Option<Cow<'_, str>> {
        self.parent_header.as_ref().map(Header::msg_id)
    }
}
