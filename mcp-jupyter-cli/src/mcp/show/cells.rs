use std::fmt::Write;

use mcp_jupyter_core::model::{Digest, Json};
use mcp_jupyter_core::session::notebook::{Cell, CellType};

use super::outputs::joined;
use crate::report::terminal::first_line;

/// How much of a cell's first line an outline shows.
const LINE: usize = 80;

/// Hexadecimal digits that a source or a revision is named by.
const DIGITS: usize = 8;

/// A digest as agents name it.
pub(in crate::mcp) fn short(digest: &Digest) -> String {
    digest.hex()[..DIGITS].to_owned()
}

/// How a cell is named: by its place, its id, its type and its source's digest.
pub(in crate::mcp) fn named(index: usize, cell: &Cell) -> String {
    let kind = match cell.cell_type() {
        CellType::Code => "code",
        CellType::Markdown => "markdown",
        CellType::Raw => "raw",
    };
    let tags: Vec<_> = cell.tags().collect();
    let tags = if tags.is_empty() {
        String::new()
    } else {
        format!(" tags={}", tags.join(","))
    };
    format!("#{index} {} {kind} [{}]{tags}", cell.id(), short(&cell.source_digest()))
}

/// The notes beside a cell in an outline.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Outline {
    /// Why the cell is stale, where it is.
    pub(in crate::mcp) stale: Option<String>,
}

/// A cell in one line.
pub(in crate::mcp) fn cell_line(index: usize, cell: &Cell, outline: &Outline) -> String {
    let mut line = named(index, cell);
    if let Some(count) = cell.execution_count() {
        let _ = write!(line, " In[{count}]");
    }
    if let Some(stale) = &outline.stale {
        let _ = write!(line, " stale:{stale}");
    }
    let lines = cell.source().lines().count();
    let _ = write!(line, " | {}", first_line(cell.source(), LINE));
    if lines > 1 {
        let _ = write!(line, " (+{} lines)", lines - 1);
    }
    let outputs = outputs_in_a_word(cell.outputs());
    if !outputs.is_empty() {
        let _ = write!(line, " -> {outputs}");
    }
    line
}

/// A cell with its source.
pub(in crate::mcp) fn source_block(index: usize, cell: &Cell) -> String {
    let count = cell
        .execution_count()
        .map_or_else(String::new, |count| format!(" In[{count}]"));
    format!("{}{count}\n{}", named(index, cell), cell.source())
}

fn outputs_in_a_word(outputs: &[Json]) -> String {
    let words: Vec<String> = outputs.iter().map(output_in_a_word).collect();
    words.join(", ")
}

fn output_in_a_word(output: &Json) -> String {
    let text_of = |name: &str| output.get(name).map(joined).unwrap_or_default();
    match text_of("output_type").as_str() {
        "stream" => format!("{} {} lines", text_of("name"), text_of("text").lines().count()),
        "error" => format!("error {}", text_of("ename")),
        _ => {
            let data = output.get("data").and_then(Json::as_object);
            let mimes = data.map(|data| data.iter().map(|(mime, _)| mime.clone()).collect::<Vec<_>>());
            let mimes = mimes.unwrap_or_default();
            // What stands for it says nothing more.
            let telling = mimes.iter().find(|mime| mime.as_str() != "text/plain");
            telling.or(mimes.first()).cloned().unwrap_or_default()
        }
    }
}
