use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::assets::AssetStoreExt as _;
use crate::assets::error::AssetError;
use crate::model::{Digest, Json};

use super::content::whole_characters;
use super::left::{Left, Unit};
use super::{AssetReader, require};

/// A larger document is not parsed: all of it is in memory for that.
const JSON_LIMIT: u64 = 256 << 20;
/// How many names are shown of an object.
const NAMES: usize = 20;
/// How much is shown of a name.
const NAME_LIMIT: usize = 80;

/// A value within a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pointed {
    /// The pointer that was asked for.
    pub pointer: String,
    /// What kind of value it is, as in `an object`.
    pub kind: &'static str,
    /// How many members or items it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// The first names of an object's members.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The value as compact JSON, up to the limit.
    pub text: String,
    /// What of that JSON is left out.
    pub left: Left,
}

impl Pointed {
    /// What is left out, and how to get it.
    pub fn notice(&self) -> Option<String> {
        let left = self.left.sentence()?;
        let name = if self.pointer.is_empty() {
            "the document"
        } else {
            &self.pointer
        };
        let further = match self.size {
            Some(size) if !self.names.is_empty() => {
                let named = listed(&self.names, size);
                format!("point to one of its {size} members: {named}")
            }
            Some(size) => format!(
                "point to one of its items, {}/0 to {}/{}",
                self.pointer,
                self.pointer,
                size - 1
            ),
            None => "raise the limit".to_owned(),
        };
        Some(format!("of {name}, {} as JSON, {left}; {further}", self.kind))
    }
}

impl AssetReader {
    /// The value that a JSON pointer (RFC 6901) names in a document of at most 256 MiB, as JSON of at most `limit` bytes.
    /// Unlike everything else this holds the document in memory.
    ///
    /// # Errors
    /// As [`super::super::AssetStore::get`]; [`AssetError::Invalid`] for what is no pointer, a document that is too large
    /// or no JSON, a path that is not there, with what there is instead, and a limit of nothing.
    pub async fn pointer(&self, digest: &Digest, pointer: &str, limit: usize) -> Result<Pointed, AssetError> {
        require(limit)?;
        let segments = segments(pointer)?;
        let length = self.store.head(digest).await?.length;
        let what = format!("JSON pointer {pointer:?} into {digest}");
        if length > JSON_LIMIT {
            let reason = format!("the asset has {length} bytes, and only documents of up to {JSON_LIMIT} are parsed");
            return Err(AssetError::invalid(what, reason));
        }
        let document = self.store.bytes(digest, None).await?;
        let (pointer, store) = (pointer.to_owned(), self.store.to_string());
        let rendered = tokio::task::spawn_blocking(move || {
            let document = Json::parse_shared(&document)
                .map_err(|error| AssetError::invalid(what.clone(), format!("the asset is no JSON: {error}")))?;
            let value = resolve(&document, &segments).map_err(|reason| AssetError::invalid(what, reason))?;
            Ok(pointed(pointer, value, limit))
        });
        rendered.await.map_err(|error| AssetError::Io {
            store,
            action: "parse JSON".to_owned(),
            source: std::io::Error::other(error),
        })?
    }
}

fn pointed(pointer: String, value: &Json, limit: usize) -> Pointed {
    let mut text = Bounded {
        text: String::new(),
        limit,
        length: 0,
    };
    // Writing to memory does not fail.
    let _ = write!(text, "{value}");
    let names = value.as_object().map(|members| members.keys().take(NAMES));
    Pointed {
        pointer,
        kind: value.kind(),
        size: match value {
            Json::Array(items) => Some(items.len()),
            Json::Object(members) => Some(members.len()),
            _ => None,
        },
        names: names.into_iter().flatten().map(|name| shortened(name)).collect(),
        left: Left::new(Unit::Bytes, 0, text.text.len() as u64, Some(text.length)),
        text: text.text,
    }
}

/// Keeps the start of what is written, and counts the rest.
struct Bounded {
    text: String,
    limit: usize,
    length: u64,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        // What comes after a part that was left out is left out too.
        if self.text.len() as u64 == self.length {
            let room = self.limit - self.text.len();
            let kept = whole_characters(&more.as_bytes()[..room.min(more.len())]);
            self.text.push_str(&more[..kept]);
        }
        self.length += more.len() as u64;
        Ok(())
    }
}

/// The names that lead to the value, with `~1` and `~0` replaced.
fn segments(pointer: &str) -> Result<Vec<String>, AssetError> {
    let invalid = |reason: &str| {
        let shown: String = pointer.chars().take(NAME_LIMIT).collect();
        AssetError::invalid(format!("JSON pointer {shown:?}"), reason)
    };
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let path = pointer
        .strip_prefix('/')
        .ok_or_else(|| invalid("expected \"\" for the whole document, or a path that begins with '/'"))?;
    path.split('/')
        .map(|segment| {
            let mut escapes = segment.match_indices('~').map(|(at, _)| &segment[at + 1..]);
            if escapes.any(|after| !after.starts_with(['0', '1'])) {
                return Err(invalid("'~' is written '~0', and '/' in a name '~1'"));
            }
            Ok(segment.replace("~1", "/").replace("~0", "~"))
        })
        .collect()
}

/// The value at the end of the path, or what is wrong with the first segment that leads nowhere.
fn resolve<'a>(document: &'a Json, segments: &[String]) -> Result<&'a Json, String> {
    let mut value = document;
    let mut path = String::new();
    for segment in segments {
        let name = || {
            if path.is_empty() {
                "the document".to_owned()
            } else {
                format!("{path:?}")
            }
        };
        let shown = shortened(segment);
        value = match value {
            Json::Object(members) => members.get(segment.as_str()).ok_or_else(|| {
                let names: Vec<String> = members.keys().take(NAMES).map(|name| shortened(name)).collect();
                let named = if names.is_empty() {
                    "none".to_owned()
                } else {
                    listed(&names, members.len())
                };
                format!("{} has no member {shown:?}; its members: {named}", name())
            })?,
            Json::Array(items) => {
                let index =
                    array_index(segment).ok_or_else(|| format!("{} is an array, and {shown:?} is no index", name()))?;
                items
                    .get(index)
                    .ok_or_else(|| format!("{} has no item {index}; it has {}", name(), items.len()))?
            }
            other => return Err(format!("{} is {} and has no member {shown:?}", name(), other.kind())),
        };
        path.push('/');
        path.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    }
    Ok(value)
}

/// Digits without a leading zero.
fn array_index(segment: &str) -> Option<usize> {
    let is_canonical =
        segment.bytes().all(|byte| byte.is_ascii_digit()) && (segment == "0" || !segment.starts_with('0'));
    segment.parse().ok().filter(|_| is_canonical)
}

fn listed(names: &[String], total: usize) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let more = if total > names.len() { ", …" } else { "" };
    format!("{}{more}", quoted.join(", "))
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_LIMIT) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::splitting::reader;

    const DOCUMENT: &str = r#"{"a": [1, {"b/c": "é", "m~n": NaN, "": 5}], "long": "aéaéaéaé"}"#;

    #[tokio::test]
    async fn a_pointer_gives_the_value_as_json() {
        let (reader, digest, _) = reader(DOCUMENT.as_bytes(), 7).await;
        for (pointer, text) in [
            ("/a/0", "1"),
            ("/a/1/b~1c", "\"é\""),
            ("/a/1/m~0n", "NaN"),
            ("/a/1/", "5"),
            ("/a", "[1,{\"b/c\":\"é\",\"m~n\":NaN,\"\":5}]"),
        ] {
            let pointed = reader.pointer(&digest, pointer, 100).await.unwrap();
            assert_eq!((pointed.text.as_str(), pointed.notice()), (text, None), "{pointer}");
        }
    }

    #[tokio::test]
    async fn what_exceeds_the_limit_is_cut_and_says_where_to_point() {
        let (reader, digest, _) = reader(DOCUMENT.as_bytes(), 7).await;
        for (pointer, text, notice) in [
            (
                "",
                "{\"a\"",
                "of the document, an object as JSON, bytes 4..59 of 59 are left out; point to one of its 2 members: \"a\", \"long\"",
            ),
            (
                "/a",
                "[1,{",
                "of /a, an array as JSON, bytes 4..31 of 31 are left out; point to one of its items, /a/0 to /a/1",
            ),
            (
                "/long",
                "\"aé",
                "of /long, a string as JSON, bytes 4..14 of 14 are left out; raise the limit",
            ),
        ] {
            let pointed = reader.pointer(&digest, pointer, 4).await.unwrap();
            assert_eq!(pointed.notice().unwrap(), notice);
            assert_eq!(pointed.text, text[..4]);
        }
        assert_eq!(reader.pointer(&digest, "/long", 3).await.unwrap().text, "\"a");
    }

    #[tokio::test]
    async fn a_path_that_leads_nowhere_says_what_is_there() {
        let (reader, digest, _) = reader(DOCUMENT.as_bytes(), 7).await;
        for (pointer, reason) in [
            ("/x/y", "the document has no member \"x\"; its members: \"a\", \"long\""),
            ("/a/2", "\"/a\" has no item 2; it has 2"),
            ("/a/01", "\"/a\" is an array, and \"01\" is no index"),
            ("/a/-", "\"/a\" is an array, and \"-\" is no index"),
            ("/a/1/b~1c/d", "\"/a/1/b~1c\" is a string and has no member \"d\""),
            ("a", "begins with '/'"),
            ("/a~2", "'~' is written '~0'"),
        ] {
            let error = reader.pointer(&digest, pointer, 100).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_json_is_refused() {
        let (reader, digest, _) = reader(b"{\"a\": 1", 7).await;
        let error = reader.pointer(&digest, "/a", 100).await.unwrap_err().to_string();
        assert!(error.contains("the asset is no JSON"), "{error}");
    }
}
