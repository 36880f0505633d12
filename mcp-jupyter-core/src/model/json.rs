use std::fmt;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json_parser;
use super::text::Text;

/// A JSON object; members keep the order in which they were read or inserted.
pub type JsonMap = IndexMap<String, Json>;

/// A JSON value that loses nothing of what Jupyter writes.
///
/// Unlike `serde_json::Value` it keeps number literals as they were written (`1.0`, `1e5`, integers of any length),
/// accepts `NaN`, `Infinity` and `-Infinity` as Python's `json` does, and holds a very long string as the literal
/// that was received (see [`Text`]).
///
/// ```
/// use mcp_jupyter_core::model::Json;
///
/// let value = Json::parse(br#"{"loss": NaN, "n": 123456789012345678901234567890}"#)?;
/// assert_eq!(value.to_string(), r#"{"loss":NaN,"n":123456789012345678901234567890}"#);
/// # Ok::<(), mcp_jupyter_core::model::JsonError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as its literal.
    Number(Number),
    /// A string.
    String(Text),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(JsonMap),
}

/// A number of a JSON document, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(NumberRepr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum NumberRepr {
    /// An integer whose literal is the canonical one.
    Int(i64),
    Literal(Box<str>),
}

impl Number {
    /// A number from a literal that the parser has validated.
    pub(super) fn from_literal(literal: &str) -> Self {
        if literal.contains(['.', 'e', 'E']) {
            return Self(NumberRepr::Literal(literal.into()));
        }
        match literal.parse::<i64>() {
            Ok(value) if literal != "-0" => Self(NumberRepr::Int(value)),
            _ => Self(NumberRepr::Literal(literal.into())),
        }
    }

    /// The value where it is an integer of 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            NumberRepr::Int(value) => Some(*value),
            NumberRepr::Literal(_) => None,
        }
    }

    /// The nearest floating-point number.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            #[expect(clippy::cast_precision_loss, reason = "the nearest float is what is asked for")]
            NumberRepr::Int(value) => *value as f64,
            NumberRepr::Literal(literal) => match &**literal {
                "NaN" => f64::NAN,
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                literal => literal.parse().unwrap_or(f64::NAN),
            },
        }
    }

    /// Whether the literal is that of an integer, of whatever length.
    pub fn is_integer(&self) -> bool {
        match &self.0 {
            NumberRepr::Int(_) => true,
            NumberRepr::Literal(literal) => literal
                .trim_start_matches('-')
                .bytes()
                .all(|byte| byte.is_ascii_digit()),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            NumberRepr::Int(value) => value.fmt(f),
            NumberRepr::Literal(literal) => f.write_str(literal),
        }
    }
}

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub struct JsonError {
    /// What was found or missing.
    pub reason: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
}

impl Json {
    /// Parses a UTF-8 document as Python's `json.loads` does, `NaN` and the infinities included.
    ///
    /// # Errors
    /// Where it is not JSON, is nested deeper than 512 levels, or a string holds a surrogate without its partner,
    /// which no UTF-8 text can hold.
    pub fn parse(document: &[u8]) -> Result<Self, JsonError> {
        json_parser::parse_document(document)
    }

    /// Parses a document as [`Json::parse`] does, but a long string shares the memory of `document`.
    pub(crate) fn parse_shared(document: &Bytes) -> Result<Self, JsonError> {
        json_parser::parse_shared(document)
    }

    /// Parses the content of a received message: a long string shares the memory of `frame`, bytes that are not
    /// UTF-8 and surrogates without a partner become U+FFFD, because a message cannot be asked for again.
    ///
    /// # Errors
    /// Where it is not JSON, or is nested deeper than 512 levels.
    pub fn parse_frame(frame: &Bytes) -> Result<Self, JsonError> {
        json_parser::parse_frame(frame)
    }

    /// The member `key` where this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.get(key)
    }

    /// The member `key`, taken out, where this is an object that has it.
    pub fn take(&mut self, key: &str) -> Option<Json> {
        match self {
            Json::Object(map) => map.get_mut(key).map(std::mem::take),
            _ => None,
        }
    }

    /// The text where this is a string.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text where this is a string, as one `str`; a string of many megabytes is copied.
    pub fn as_str(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.as_text().map(Text::to_str)
    }

    /// The value where this is an integer of 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The value where this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The members where this is an object.
    pub fn as_object(&self) -> Option<&JsonMap> {
        match self {
            Json::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The members where this is an object.
    pub fn as_object_mut(&mut self) -> Option<&mut JsonMap> {
        match self {
            Json::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The items where this is an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// What kind of value this is, in JSON's words, for messages: `an object`, `a string`…
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// Writes `text` as a JSON string without its quotes, escaping what Python's `json.dumps(…, ensure_ascii=False)`
/// escapes.
pub(crate) fn write_escaped(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let mut rest = text;
    loop {
        let (plain, after) = rest.split_at(plain_length(rest.as_bytes()));
        out.write_str(plain)?;
        let Some(byte) = after.bytes().next() else {
            return Ok(());
        };
        rest = &after[1..];
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            0x08 => out.write_str("\\b")?,
            0x0c => out.write_str("\\f")?,
            _ => write!(out, "\\u{byte:04x}")?,
        }
    }
}

/// The length of the start of `bytes` that stands in a JSON string as it is: up to a quote, a backslash or a control
/// character.
///
/// Notebooks are mostly long strings, so whole blocks are looked at.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch for each byte a block takes a few instructions"
)]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let is_special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    let mut at = 0;
    while let Some(block) = bytes[at..].first_chunk::<32>() {
        if block.iter().fold(false, |found, byte| found | is_special(byte)) {
            break;
        }
        at += block.len();
    }
    at + bytes[at..].iter().position(is_special).unwrap_or(bytes.len() - at)
}

/// Compact JSON, members in their order.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => value.fmt(f),
            Json::Number(number) => number.fmt(f),
            Json::String(text) => {
                f.write_char('"')?;
                let mut result = Ok(());
                text.for_each_chunk(|chunk| result = result.and_then(|()| write_escaped(f, chunk)));
                result?;
                f.write_char('"')
            }
            Json::Array(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    item.fmt(f)?;
                }
                f.write_char(']')
            }
            Json::Object(map) => {
                f.write_char('{')?;
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    f.write_char('"')?;
                    write_escaped(f, key)?;
                    f.write_str("\":")?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

macro_rules! json_from {
    ($($from:ty => |$value:ident| $json:expr;)*) => {
        $(impl From<$from> for Json {
            fn from($value: $from) -> Self {
                $json
            }
        })*
    };
}

json_from! {
    bool => |value| Json::Bool(value);
    i64 => |value| Json::Number(Number(NumberRepr::Int(value)));
    u32 => |value| Json::from(i64::from(value));
    f64 => |value| Json::Number(Number::from_literal(&float_literal(value)));
    &str => |value| Json::String(value.into());
    String => |value| Json::String(value.into());
    Text => |value| Json::String(value);
    Vec<Json> => |value| Json::Array(value);
    JsonMap => |value| Json::Object(value);
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Json::Null, Into::into)
    }
}

impl<K: Into<String>, V: Into<Json>> FromIterator<(K, V)> for Json {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        Json::Object(
            members
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

fn float_literal(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 {
            "Infinity".to_owned()
        } else {
            "-Infinity".to_owned()
        }
    } else {
        format!("{value:?}")
    }
}

/// For formats that know no `NaN`: what is no finite number becomes null, an integer of more than 64 bits a float.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => serializer.serialize_i64(value),
                None if number.as_f64().is_finite() => serializer.serialize_f64(number.as_f64()),
                None => serializer.serialize_unit(),
            },
            Json::String(text) => serializer.serialize_str(&text.to_str()),
            Json::Array(items) => serializer.collect_seq(items),
            Json::Object(map) => serializer.collect_map(map),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(Number::from_literal(&value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1024));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = JsonMap::new();
        while let Some((key, value)) = map.next_entry()? {
            members.insert(key, value);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_plain_start_ends_before_the_first_special_byte(start in "[ !#-\\[\\]-~é]{0,80}", end in "|[\"\\\\\0-\x1f]é") {
            prop_assert_eq!(plain_length(format!("{start}{end}").as_bytes()), start.len());
        }
    }

    #[test]
    fn what_python_escapes_is_escaped() {
        let mut out = String::new();
        write_escaped(&mut out, "a\"\\/\n\r\t\u{8}\u{c}\u{1}\u{7f}é\u{2028}").unwrap();
        assert_eq!(out, "a\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\u{7f}é\u{2028}");
    }
}
