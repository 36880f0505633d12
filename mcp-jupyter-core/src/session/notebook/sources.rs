//! Reading what a plan needs of a notebook, and passing over the rest: outputs may be a hundred times as large as sources.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::cell::{Cell, CellType};
use super::document::Notebook;
use super::ids;
use crate::model::{CellId, Json, JsonMap};
use crate::session::SessionError;

impl Notebook {
    /// Reads the cells of a notebook without outputs, attachments, and metadata other than tags, kernel and language.
    /// Everything else is as [`Notebook::parse`] has it, refusals as well. To be planned, not to be saved.
    ///
    /// # Errors
    /// As [`Notebook::parse`].
    pub fn parse_sources(document: &[u8]) -> Result<Self, SessionError> {
        match quick(document) {
            Some(notebook) => Ok(notebook),
            // An older version, something that has to be mended or refused: nothing that has to be fast.
            None => Self::parse(document),
        }
    }

    /// Reads the notebook at `path` as [`Notebook::parse_sources`] does.
    ///
    /// # Errors
    /// As [`Notebook::open`].
    pub fn open_sources(path: &Path) -> Result<Self, SessionError> {
        Self::parse_sources(&Self::read_file(path)?)
    }
}

fn quick(document: &[u8]) -> Option<Notebook> {
    let text = std::str::from_utf8(document).ok()?;
    let found: Document<'_> = serde_json::from_str(text)
        .ok()
        .filter(|found: &Document<'_>| found.nbformat == 4)?;
    let mut cells = found
        .cells
        .into_iter()
        .map(CellText::into_cell)
        .collect::<Option<Vec<_>>>()?;
    ids::settle(&mut cells, found.nbformat_minor, &mut Vec::new());
    Some(Notebook {
        metadata: found.metadata.into_map(),
        cells,
        rest: JsonMap::new(),
        minor: found.nbformat_minor,
        quirks: Vec::new(),
    })
}

#[derive(Deserialize)]
struct Document<'a> {
    nbformat: i64,
    nbformat_minor: i64,
    metadata: Metadata,
    #[serde(borrow)]
    cells: Vec<CellText<'a>>,
}

#[derive(Deserialize)]
struct Metadata {
    kernelspec: Option<Names>,
    language_info: Option<Names>,
}

#[derive(Deserialize)]
struct Names {
    name: Option<String>,
    language: Option<String>,
}

impl Metadata {
    fn into_map(self) -> JsonMap {
        let groups = [("kernelspec", self.kernelspec), ("language_info", self.language_info)];
        let group = |(group, names): (&str, Option<Names>)| Some((group.to_owned(), names?.into_json()));
        groups.into_iter().filter_map(group).collect()
    }
}

impl Names {
    fn into_json(self) -> Json {
        let members = [("name", self.name), ("language", self.language)];
        let member = |(name, value): (&str, Option<String>)| Some((name.to_owned(), Json::from(value?.as_str())));
        Json::Object(members.into_iter().filter_map(member).collect())
    }
}

#[derive(Deserialize)]
struct CellText<'a> {
    #[serde(borrow)]
    cell_type: Cow<'a, str>,
    id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    source: Option<Lines>,
    metadata: Tagged,
    #[serde(default, deserialize_with = "present")]
    #[expect(dead_code, reason = "that they are of the right kind is all that is asked")]
    outputs: Option<Objects>,
}

#[derive(Deserialize)]
struct Tagged {
    tags: Option<Tags>,
}

impl CellText<'_> {
    /// None where the source that code needs is missing.
    fn into_cell(self) -> Option<Cell> {
        let kind = match &*self.cell_type {
            "code" => CellType::Code,
            "markdown" => CellType::Markdown,
            _ => CellType::Raw,
        };
        let source = self.source.map(|lines| lines.0);
        (kind != CellType::Code || source.is_some()).then(|| Cell {
            id: CellId::from(self.id.unwrap_or_default()),
            kind,
            source,
            metadata: self.metadata.tags.map(Tags::into_member).into_iter().collect(),
            outputs: Vec::new(),
            execution_count: None,
            rest: JsonMap::new(),
        })
    }
}

/// A member that may be missing, but not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A string, or a list of strings that are one.
struct Lines(String);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LinesVisitor;

        impl<'de> Visitor<'de> for LinesVisitor {
            type Value = Lines;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Lines, E> {
                Ok(Lines(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Lines, A::Error> {
                let mut whole = String::new();
                while let Some(Line(line)) = lines.next_element()? {
                    whole.push_str(&line);
                }
                Ok(Lines(whole))
            }
        }

        deserializer.deserialize_any(LinesVisitor)
    }
}

#[derive(Deserialize)]
struct Line<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    Several(Vec<String>),
    One(String),
}

impl Tags {
    fn into_member(self) -> (String, Json) {
        let tags = match self {
            Self::Several(tags) => Json::Array(tags.iter().map(|tag| Json::from(tag.as_str())).collect()),
            Self::One(tag) => Json::from(tag.as_str()),
        };
        ("tags".to_owned(), tags)
    }
}

/// A list of objects, whatever is in them.
struct Objects;

impl<'de> Deserialize<'de> for Objects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectsVisitor;

        impl<'de> Visitor<'de> for ObjectsVisitor {
            type Value = Objects;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Objects, A::Error> {
                while items.next_element::<Object>()?.is_some() {}
                Ok(Objects)
            }
        }

        deserializer.deserialize_seq(ObjectsVisitor)
    }
}

struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = r#"{"cell_type": "code", "id": "a", "metadata": {"tags": ["x", "y"], "other": 1}, "execution_count": 1,
        "outputs": [{"output_type": "stream", "text": ["\ud83d", {"deep": [[1e999]]}]}], "source": ["x = \"é\"\n", "x"]}"#;

    fn document(cells: &str) -> String {
        format!(
            r#"{{"cells": [{cells}], "metadata": {{"kernelspec": {{"name": "n", "language": "R", "x": {{}}}}, "language_info": {{"name": "r"}}, "z": 1}}, "nbformat": 4, "nbformat_minor": 5}}"#
        )
    }

    /// What both readers make of a document: that it is refused, or what a plan needs.
    fn seen(read: Result<Notebook, SessionError>) -> Option<String> {
        let notebook = read.ok()?;
        let cells = notebook.cells().iter().map(|cell| {
            let tags: Vec<_> = cell.tags().collect();
            format!("{} {:?} {:?} {tags:?}\n", cell.id(), cell.cell_type(), cell.source())
        });
        let cells: String = cells.collect();
        let (kernel, language) = (notebook.kernelspec_name(), notebook.language());
        Some(format!(
            "{} {kernel:?} {language:?}\n{cells}",
            notebook.nbformat_minor()
        ))
    }

    fn agree(document: &str) -> bool {
        let quick = quick(document.as_bytes());
        let is_quick = quick.is_some();
        let parsed = seen(Notebook::parse(document.as_bytes()));
        assert_eq!(seen(Notebook::parse_sources(document.as_bytes())), parsed, "{document}");
        assert!(
            !is_quick || seen(quick.ok_or(SessionError::InvalidRequest(String::new()))) == parsed,
            "{document}"
        );
        is_quick
    }

    #[test]
    fn ordinary_notebooks_are_read_quickly() {
        assert!(agree(&document("")));
        let simple = CELL.replace(r"\ud83d", "");
        assert!(agree(&document(&simple)));
        let markdown =
            r#"{"cell_type": "markdown", "metadata": {}, "attachments": {"a.png": {"image/png": "x"}}, "source": ""}"#;
        assert!(agree(&document(&format!("{simple}, {markdown}, {markdown}"))));
        assert!(agree(&document(&simple).replace("_minor\": 5", "_minor\": 2")));
        assert!(agree(&document(
            r#"{"cell_type": "heading", "metadata": {"tags": "one"}, "level": 1}"#
        )));
    }

    #[test]
    fn whatever_is_unusual_is_read_as_ever() {
        let simple = CELL.replace(r"\ud83d", "");
        let document = document(&simple);
        let changes = [
            ("\"nbformat\": 4", "\"nbformat\": 5"),
            ("\"nbformat\": 4", "\"nbformat\": \"4\""),
            (", \"nbformat_minor\": 5", ""),
            ("\"id\": \"a\"", "\"id\": 7"),
            ("\"id\": \"a\"", "\"id\": null"),
            ("\"id\": \"a\"", "\"id\": \"a\", \"id\": \"b\""),
            ("[\"x\", \"y\"]", "[\"x\", 1]"),
            ("[\"x\", \"y\"]", "null"),
            ("[{\"output_type\"", "[1, {\"output_type\""),
            ("\"outputs\": [", "\"outputs\": null, \"x\": ["),
            ("\"source\": [", "\"source\": null, \"x\": ["),
            ("\"source\": [", "\"source\": [1, "),
            ("\"source\": [", "\"x\": ["),
            ("\"metadata\": {\"tags\"", "\"metadata\": 1, \"x\": {\"tags\""),
            ("\"code\"", "1"),
            ("1e999", "NaN"),
            ("\"n\"", "1"),
            ("x = ", "x \\ud800= "),
            ("{\"cells\"", "[{\"cells\""),
        ];
        for (from, to) in changes {
            let changed = document.replace(from, to);
            assert_ne!(changed, document, "{from}");
            agree(&changed);
        }
        for end in 0..document.len() {
            if let Some(part) = document.get(..end) {
                assert!(!agree(part));
            }
        }
    }
}
