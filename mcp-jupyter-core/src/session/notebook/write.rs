//! The writer: JSON as Python's `json.dumps(…, indent=1, sort_keys=True, ensure_ascii=False)` lays it out, with
//! multi-line strings split where nbformat splits them.

use std::fmt::{self, Write as _};
use std::io;

use super::cell::Cell;
use super::document::Notebook;
use super::lines::{find_boundary, has_bundle, is_split_mime};
use super::read::{TRANSIENT, TRANSIENT_IN_CELL};
use crate::model::{Json, JsonMap, Text, write_escaped};

/// Bytes collected before they are handed on.
const BUFFER: usize = 1 << 16;

pub(super) fn notebook(notebook: &Notebook, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = Writer {
        out,
        buffer: Vec::with_capacity(BUFFER),
        failure: None,
        with_ids: notebook.minor >= 5,
    };
    let written = writer.notebook(notebook).and_then(|()| writer.write_char('\n'));
    if written.is_ok() {
        writer.flush();
    }
    match writer.failure {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// JSON of which two equal values, whatever the order of their members, have the same bytes.
pub(in crate::session) fn canonical(value: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer {
        out: &mut bytes,
        buffer: Vec::new(),
        failure: None,
        with_ids: true,
    };
    writer
        .node(&Node::Plain(value), 0)
        .expect("writing to memory does not fail");
    writer.flush();
    bytes
}

/// A value of the document and the way in which nbformat writes it.
enum Node<'a> {
    Plain(&'a Json),
    /// A string that is no multi-line string.
    Word(&'a str),
    Source(&'a str),
    Lines(&'a Text),
    /// An object without some of its members.
    Metadata(&'a JsonMap, &'static [&'static str]),
    Cells(&'a [Cell]),
    Cell(&'a Cell),
    Outputs(&'a [Json]),
    Output(&'a JsonMap),
    Attachments(&'a JsonMap),
    Bundle(&'a JsonMap),
}

type Member<'a> = (&'a str, Node<'a>);

struct Writer<'w> {
    out: &'w mut dyn io::Write,
    buffer: Vec<u8>,
    failure: Option<io::Error>,
    /// Whether the cells' ids are part of the file.
    with_ids: bool,
}

impl Writer<'_> {
    fn notebook(&mut self, notebook: &Notebook) -> fmt::Result {
        let mut members = plain_members(&notebook.rest);
        members.push(("metadata", Node::Metadata(&notebook.metadata, TRANSIENT)));
        members.push(("cells", Node::Cells(&notebook.cells)));
        self.object(members, 0)
    }

    fn node(&mut self, node: &Node<'_>, depth: usize) -> fmt::Result {
        match node {
            Node::Plain(Json::Array(items)) => self.array(items.iter().map(Node::Plain), depth),
            Node::Plain(Json::Object(members)) => self.object(plain_members(members), depth),
            Node::Plain(Json::String(text)) => self.text(text),
            Node::Plain(scalar) => write!(self, "{scalar}"),
            Node::Word(word) => self.word(word),
            Node::Source(source) => self.lines(depth, |sink| sink(source)),
            Node::Lines(text) => self.lines(depth, |sink| text.for_each_chunk(sink)),
            Node::Metadata(members, without) => {
                let mut members = plain_members(members);
                members.retain(|(name, _)| !without.contains(name));
                self.object(members, depth)
            }
            Node::Cells(cells) => self.array(cells.iter().map(Node::Cell), depth),
            Node::Cell(cell) => self.object(cell_members(cell, self.with_ids), depth),
            Node::Outputs(outputs) => self.array(outputs.iter().map(output), depth),
            Node::Output(members) => self.object(output_members(members), depth),
            Node::Attachments(members) => self.object(members_as(members, bundle), depth),
            Node::Bundle(members) => self.object(bundle_members(members), depth),
        }
    }

    fn object(&mut self, mut members: Vec<Member<'_>>, depth: usize) -> fmt::Result {
        if members.is_empty() {
            return self.write_str("{}");
        }
        members.sort_unstable_by_key(|(name, _)| *name);
        for (index, (name, node)) in members.iter().enumerate() {
            self.write_char(if index == 0 { '{' } else { ',' })?;
            self.new_line(depth + 1)?;
            self.word(name)?;
            self.write_str(": ")?;
            self.node(node, depth + 1)?;
        }
        self.new_line(depth)?;
        self.write_char('}')
    }

    fn array<'a>(&mut self, items: impl Iterator<Item = Node<'a>>, depth: usize) -> fmt::Result {
        let mut is_empty = true;
        for item in items {
            self.write_char(if is_empty { '[' } else { ',' })?;
            is_empty = false;
            self.new_line(depth + 1)?;
            self.node(&item, depth + 1)?;
        }
        self.end_array(is_empty, depth)
    }

    fn end_array(&mut self, is_empty: bool, depth: usize) -> fmt::Result {
        if is_empty {
            return self.write_str("[]");
        }
        self.new_line(depth)?;
        self.write_char(']')
    }

    fn new_line(&mut self, depth: usize) -> fmt::Result {
        self.write_char('\n')?;
        (0..depth).try_for_each(|_| self.write_char(' '))
    }

    fn word(&mut self, word: &str) -> fmt::Result {
        self.write_char('"')?;
        write_escaped(self, word)?;
        self.write_char('"')
    }

    fn text(&mut self, text: &Text) -> fmt::Result {
        self.write_char('"')?;
        let mut result = Ok(());
        text.for_each_chunk(|chunk| result = result.and_then(|()| write_escaped(self, chunk)));
        result?;
        self.write_char('"')
    }

    /// Writes the text that `chunks` hands to its sink, in parts of any size, as the list of its lines.
    fn lines(&mut self, depth: usize, chunks: impl FnOnce(&mut dyn FnMut(&str))) -> fmt::Result {
        let mut lines = Lines {
            depth,
            ..Lines::default()
        };
        let mut result = Ok(());
        chunks(&mut |chunk| result = result.and_then(|()| lines.chunk(self, chunk)));
        result?;
        lines.end_line(self)?;
        self.end_array(lines.is_empty, depth)
    }

    fn flush(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(&self.buffer).err();
        }
        self.buffer.clear();
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.buffer.len() + text.len() > BUFFER {
            self.flush();
        }
        if text.len() < BUFFER {
            self.buffer.extend_from_slice(text.as_bytes());
        } else if self.failure.is_none() {
            self.failure = self.out.write_all(text.as_bytes()).err();
        }
        if self.failure.is_none() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// A list of lines under way.
struct Lines {
    depth: usize,
    is_empty: bool,
    in_line: bool,
    /// The last chunk ended in `\r`: a `\n` at the start of the next one belongs to the same line.
    after_return: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            depth: 0,
            is_empty: true,
            in_line: false,
            after_return: false,
        }
    }
}

impl Lines {
    fn chunk(&mut self, writer: &mut Writer<'_>, chunk: &str) -> fmt::Result {
        let mut rest = chunk;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            if let Some(after) = rest.strip_prefix('\n') {
                write_escaped(writer, "\n")?;
                rest = after;
            }
            self.end_line(writer)?;
        }
        while !rest.is_empty() {
            self.start_line(writer)?;
            let Some((at, length)) = find_boundary(rest) else {
                return write_escaped(writer, rest);
            };
            let (line, after) = rest.split_at(at + length);
            write_escaped(writer, line)?;
            rest = after;
            self.after_return = rest.is_empty() && line.ends_with('\r');
            if !self.after_return {
                self.end_line(writer)?;
            }
        }
        Ok(())
    }

    fn start_line(&mut self, writer: &mut Writer<'_>) -> fmt::Result {
        if self.in_line {
            return Ok(());
        }
        writer.write_char(if self.is_empty { '[' } else { ',' })?;
        self.is_empty = false;
        self.in_line = true;
        writer.new_line(self.depth + 1)?;
        writer.write_char('"')
    }

    fn end_line(&mut self, writer: &mut Writer<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.in_line) {
            return Ok(());
        }
        writer.write_char('"')
    }
}

fn plain_members(members: &JsonMap) -> Vec<Member<'_>> {
    members_as(members, Node::Plain)
}

fn members_as<'a>(members: &'a JsonMap, node: impl Fn(&'a Json) -> Node<'a>) -> Vec<Member<'a>> {
    members
        .iter()
        .map(|(name, value)| (name.as_str(), node(value)))
        .collect()
}

fn cell_members(cell: &Cell, with_id: bool) -> Vec<Member<'_>> {
    let mut members = plain_members(&cell.rest);
    for (name, node) in &mut members {
        match node {
            Node::Plain(Json::Object(attachments)) if *name == "attachments" => *node = Node::Attachments(attachments),
            _ => {}
        }
    }
    if !cell.rest.contains_key("cell_type") {
        members.push(("cell_type", Node::Word(cell.kind.name())));
    }
    members.push(("metadata", Node::Metadata(&cell.metadata, TRANSIENT_IN_CELL)));
    members.extend(cell.source.as_deref().map(|source| ("source", Node::Source(source))));
    if with_id {
        members.push(("id", Node::Word(cell.id.as_str())));
    }
    if cell.kind == super::CellType::Code {
        members.push(("outputs", Node::Outputs(&cell.outputs)));
        members.extend(
            cell.execution_count
                .as_ref()
                .map(|count| ("execution_count", Node::Plain(count))),
        );
    }
    members
}

fn output(output: &Json) -> Node<'_> {
    output.as_object().map_or(Node::Plain(output), Node::Output)
}

fn output_members(output: &JsonMap) -> Vec<Member<'_>> {
    let output_type = output.get("output_type").and_then(Json::as_str).unwrap_or_default();
    let is_stream = output_type == "stream";
    let has_bundle = has_bundle(&output_type);
    output
        .iter()
        .map(|(name, value)| {
            let node = match value {
                Json::String(text) if is_stream && name == "text" => Node::Lines(text),
                Json::Object(members) if has_bundle && name == "data" => Node::Bundle(members),
                _ => Node::Plain(value),
            };
            (name.as_str(), node)
        })
        .collect()
}

fn bundle(value: &Json) -> Node<'_> {
    value.as_object().map_or(Node::Plain(value), Node::Bundle)
}

fn bundle_members(bundle: &JsonMap) -> Vec<Member<'_>> {
    bundle
        .iter()
        .map(|(mime_type, value)| {
            let node = match value {
                Json::String(text) if is_split_mime(mime_type) => Node::Lines(text),
                _ => Node::Plain(value),
            };
            (mime_type.as_str(), node)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(chunks: &[&str]) -> String {
        let mut out = Vec::new();
        let mut writer = Writer {
            out: &mut out,
            buffer: Vec::new(),
            failure: None,
            with_ids: true,
        };
        writer
            .lines(0, |sink| chunks.iter().for_each(|chunk| sink(chunk)))
            .unwrap();
        writer.flush();
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_chunks(chunks in prop::collection::vec("[a\r\n\u{85}\u{2028}]{0,4}", 0..8)) {
            let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
            prop_assert_eq!(written(&chunks), written(&[&chunks.concat()]));
        }
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(written(&[]), "[]");
        assert_eq!(written(&[""]), "[]");
        assert_eq!(
            written(&["a\r", "\nb\r", "", "c\n"]),
            "[\n \"a\\r\\n\",\n \"b\\r\",\n \"c\\n\"\n]"
        );
    }

    #[test]
    fn a_failure_is_told_and_ends_the_writing() {
        struct Full(usize);
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut cells = Vec::new();
        cells.resize(1000, Cell::new_code("a".into(), &"x = 1\n".repeat(100)));
        let text = br#"{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[]}"#;
        let mut document = Notebook::parse(text).unwrap();
        *document.cells_mut() = cells;
        let mut out = Full(0);
        let error = notebook(&document, &mut out).unwrap_err();
        assert_eq!((error.kind(), out.0), (io::ErrorKind::StorageFull, 1));
    }
}
