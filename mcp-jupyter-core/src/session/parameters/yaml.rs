//! YAML as papermill's loader reads it (`PyYAML`'s safe loader without dates), into JSON.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::number::float_repr;
use super::yaml_scalar;
use crate::model::{Json, JsonMap};

/// Aliases can make a small text very large; more values than this are refused.
const MAX_NODES: usize = 1_000_000;
/// The depth that JSON documents are read to.
const MAX_DEPTH: usize = 512;
const YAML_TAG: &str = "tag:yaml.org,2002:";

/// Why a text is not YAML that has a value in JSON, and where.
#[derive(Debug, thiserror::Error)]
#[error("{reason} (line {line}, column {column})")]
pub(super) struct YamlError {
    reason: String,
    line: usize,
    column: usize,
}

/// Reads one document; nothing at all is `null`.
///
/// The keys of the outermost mapping have to be strings, as they become names; further in, other scalars become the
/// text that Python prints for them.
pub(super) fn parse(text: &str) -> Result<Json, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_printable(text)?;
    let mut loader = Loader::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        loader.take(event).map_err(|reason| YamlError {
            reason,
            line: span.start.line(),
            column: span.start.col() + 1,
        })?;
    }
    Ok(loader.document.unwrap_or_default())
}

fn scan_error(error: &ScanError) -> YamlError {
    YamlError {
        reason: error.info().to_owned(),
        line: error.marker().line(),
        column: error.marker().col() + 1,
    }
}

/// Refuses what YAML forbids; the parser would take a NUL for the end of the text.
fn check_printable(text: &str) -> Result<(), YamlError> {
    let allowed = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | '\u{85}') || (!c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    let Some((at, found)) = text.char_indices().find(|(_, c)| !allowed(*c)) else {
        return Ok(());
    };
    let before = &text[..at];
    Err(YamlError {
        reason: format!("the character U+{:04X} is not allowed in YAML", u32::from(found)),
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
    })
}

/// Builds the value of the document from the parser's events, without recursion.
#[derive(Default)]
struct Loader {
    open: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    document: Option<Json>,
}

/// A value with its extent, which decides whether an alias to it can be followed.
#[derive(Clone)]
struct Node {
    value: Json,
    /// A plain `<<`, which merges mappings where it is a key.
    merges: bool,
    nodes: usize,
    depth: usize,
}

/// A collection whose end has not come yet.
struct Frame {
    anchor: usize,
    content: Content,
    nodes: usize,
    depth: usize,
}

enum Content {
    Sequence(Vec<Json>),
    Mapping {
        merged: JsonMap,
        own: JsonMap,
        key: Option<Key>,
    },
}

enum Key {
    Name(String),
    Merge,
}

impl Loader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar(&text, style, tag.as_deref())?;
                self.count(1)?;
                self.add(node, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or("an alias cannot name the collection that it stands in")?;
                self.count(node.nodes)?;
                self.add(node, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                check_collection_tag(tag.as_deref(), "seq")?;
                self.open(anchor, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                check_collection_tag(tag.as_deref(), "map")?;
                let (merged, own) = (JsonMap::new(), JsonMap::new());
                self.open(anchor, Content::Mapping { merged, own, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::DocumentStart(_) if self.document.is_some() => {
                Err("expected one document, found a second one".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, content: Content) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.count(1)?;
        self.open.push(Frame {
            anchor,
            content,
            nodes: 1,
            depth: 1,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let frame = self.open.pop().expect("the parser closes only what it has opened");
        let anchor = frame.anchor;
        let node = Node {
            value: frame.content.finish(),
            merges: false,
            nodes: frame.nodes,
            depth: frame.depth,
        };
        self.add(node, anchor)
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(format!("more than {MAX_NODES} values, aliases followed"));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs: into the innermost open collection.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let outermost = self.open.len() == 1;
        let Some(frame) = self.open.last_mut() else {
            self.document = Some(node.value);
            return Ok(());
        };
        frame.nodes += node.nodes;
        frame.depth = frame.depth.max(node.depth + 1);
        if frame.depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        frame.content.add(node, outermost)
    }
}

impl Content {
    fn add(&mut self, node: Node, outermost: bool) -> Result<(), String> {
        match self {
            Self::Sequence(items) => items.push(node.value),
            Self::Mapping { merged, own, key } => match key.take() {
                None => *key = Some(Key::from_node(node, outermost)?),
                Some(Key::Merge) => merge(merged, node.value)?,
                Some(Key::Name(name)) => {
                    own.insert(name, node.value);
                }
            },
        }
        Ok(())
    }

    fn finish(self) -> Json {
        match self {
            Self::Sequence(items) => items.into(),
            Self::Mapping { mut merged, own, .. } => {
                merged.extend(own);
                merged.into()
            }
        }
    }
}

impl Key {
    fn from_node(node: Node, outermost: bool) -> Result<Self, String> {
        if node.merges {
            return Ok(Self::Merge);
        }
        let name = match node.value {
            Json::String(text) => return Ok(Self::Name(text.into_string())),
            Json::Null => "None".to_owned(),
            Json::Bool(true) => "True".to_owned(),
            Json::Bool(false) => "False".to_owned(),
            Json::Number(number) if number.is_integer() => number.to_string(),
            Json::Number(number) => float_repr(number.as_f64()),
            value @ (Json::Array(_) | Json::Object(_)) => {
                return Err(format!("a key has to be a text, found {}", value.kind()));
            }
        };
        if outermost {
            return Err(format!(
                "YAML reads this name as the value {name}, not as a text: put it in quotes"
            ));
        }
        Ok(Self::Name(name))
    }
}

/// Takes over the members of one mapping or of several, of which the first to have a member wins.
fn merge(into: &mut JsonMap, value: Json) -> Result<(), String> {
    match value {
        Json::Object(members) => into.extend(members),
        Json::Array(items) => {
            for item in items.into_iter().rev() {
                let Json::Object(members) = item else {
                    return Err(format!("expected a mapping to merge, found {}", item.kind()));
                };
                into.extend(members);
            }
        }
        other => {
            return Err(format!(
                "expected a mapping or a list of mappings to merge, found {}",
                other.kind()
            ));
        }
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, String> {
    let plain = style == ScalarStyle::Plain;
    let value = match tag.map(full_tag) {
        None if plain => yaml_scalar::plain(text)?,
        None => text.into(),
        // The non-specific tag leaves the kind to the content.
        Some(tag) if tag == "!" => yaml_scalar::plain(text)?,
        Some(tag) => match tag.strip_prefix(YAML_TAG) {
            Some(name) => yaml_scalar::tagged(name, text)?,
            None => return Err(unknown_tag(&tag)),
        },
    };
    Ok(Node {
        value,
        merges: plain && tag.is_none() && text == "<<",
        nodes: 1,
        depth: 0,
    })
}

fn check_collection_tag(tag: Option<&Tag>, expected: &str) -> Result<(), String> {
    match tag.map(full_tag) {
        Some(tag) if tag != "!" && tag.strip_prefix(YAML_TAG) != Some(expected) => Err(unknown_tag(&tag)),
        _ => Ok(()),
    }
}

fn full_tag(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

fn unknown_tag(tag: &str) -> String {
    format!("the tag `{tag}` has no value in JSON: write plain YAML")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        parse(text).unwrap().to_string()
    }

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn collections_keep_their_order() {
        assert_eq!(read("b: 1\na: [x, {c: no}]\n"), r#"{"b":1,"a":["x",{"c":false}]}"#);
        assert_eq!(read(r#"{"b": "no", 'a': 'é'}"#), r#"{"b":"no","a":"é"}"#);
        assert_eq!(read("a: 1\nb: 2\na: 3"), r#"{"a":3,"b":2}"#);
        assert_eq!(
            read("a: |\n  x\n  y\nb: >\n  x\n  y\n"),
            r#"{"a":"x\ny\n","b":"x y\n"}"#
        );
        assert_eq!(read(""), "null");
        assert_eq!(read("\u{feff}# nothing\n"), "null");
    }

    #[test]
    fn keys_that_are_no_texts_become_what_python_prints() {
        assert_eq!(
            read("a: {1: 1, 1.0e+20: 2, on: 3, ~: 4}"),
            r#"{"a":{"1":1,"1e+20":2,"True":3,"None":4}}"#
        );
        assert_eq!(
            refusal("on: 1"),
            "YAML reads this name as the value True, not as a text: put it in quotes (line 1, column 1)"
        );
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        assert_eq!(
            read("d: &d {x: 1, y: 2}\ne: {z: 0, <<: *d, x: 3}\nf: [*d]"),
            r#"{"d":{"x":1,"y":2},"e":{"x":3,"y":2,"z":0},"f":[{"x":1,"y":2}]}"#
        );
        assert_eq!(read("a: {<<: [{x: 1}, {x: 2, y: 2}]}"), r#"{"a":{"x":1,"y":2}}"#);
        assert_eq!(read("a: {'<<': 1}"), r#"{"a":{"<<":1}}"#);
        assert!(refusal("a: &a [*a]").starts_with("an alias cannot name the collection"));
    }

    #[test]
    fn aliases_cannot_make_a_small_text_very_large() {
        let level = |level: usize, width: usize| match level {
            0 => "a0: &a0 [x]\n".to_owned(),
            level => format!(
                "a{level}: &a{level} [{}]\n",
                vec![format!("*a{}", level - 1); width].join(", ")
            ),
        };
        let wide: Vec<_> = (0..10).map(|n| level(n, 10)).collect();
        assert!(refusal(&wide.concat()).starts_with("more than 1000000 values"));

        let deep: Vec<_> = (0..600).map(|n| level(n, 1)).collect();
        assert!(refusal(&deep.concat()).starts_with("nested deeper than 512 levels"));
        assert!(refusal(&format!("{}x", "- ".repeat(600))).starts_with("nested deeper"));
    }

    #[test]
    fn tags_say_what_a_value_is() {
        assert_eq!(
            read("{a: !!str 5, b: !!int '5', c: !!float '1e3', d: ! 12, e: !<tag:yaml.org,2002:str> no}"),
            r#"{"a":"5","b":5,"c":1000.0,"d":12,"e":"no"}"#
        );
        assert!(refusal("a: !!binary aGk=").starts_with("the tag `!!binary` has no value in JSON"));
        assert!(refusal("a: !mine [1]").starts_with("the tag `!mine` has no value in JSON"));
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        assert!(refusal("a: 1\nb: [1").contains("(line "));
        assert!(refusal("a: 1\n---\nb: 2").starts_with("expected one document"));
        assert_eq!(
            refusal("a: 1\nb: \0"),
            "the character U+0000 is not allowed in YAML (line 2, column 4)"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,60}|[-a-c0:'\"#,\\[{\\]}&*!|>?%@ \n\t]{0,40}") {
            if let Err(error) = parse(&text) {
                prop_assert!(error.line >= 1);
            }
        }
    }
}
