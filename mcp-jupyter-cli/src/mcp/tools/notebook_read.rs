use std::path::Path;
use std::sync::Arc;

use mcp_jupyter_core::assets::reading::LineLimits;
use mcp_jupyter_core::model::CellId;
use mcp_jupyter_core::session::notebook::{Cell, Notebook};
use schemars::JsonSchema;
use serde::Deserialize;

use super::plan::stale;
use crate::commands::diff_texts;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::resources::Address;
use crate::mcp::server::Server;
use crate::mcp::show::{Outline, Page, asset_of, bounded, cell_line, cleaned, lines_of, short, source_block, text_of};
use crate::mcp::tool::{Effect, Tool};
use crate::report::plain_diff;

/// How much of a source is shown, in bytes, unless the cell is asked for alone.
const SOURCE: usize = 2 << 10;

/// How much of one output.
const OUTPUT: usize = 1 << 10;

pub(super) struct NotebookRead;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Arguments {
    path: String,
    /// Cells to show with sources and outputs: ID, #3, A..B; without, an outline of all
    #[serde(default)]
    cells: Vec<String>,
    /// A revision seen before: only what has changed since
    since: Option<String>,
    /// One cell's output, by its place from 0, whole or by `lines`
    output: Option<usize>,
    /// Of that output or of a cell's source: 10-20, from 1
    lines: Option<String>,
}

impl Arguments {
    pub(in crate::mcp) fn outline(path: String) -> Self {
        Self {
            path,
            cells: Vec::new(),
            since: None,
            output: None,
            lines: None,
        }
    }

    pub(in crate::mcp) fn cell(path: String, cell: String) -> Self {
        Self {
            cells: vec![cell],
            ..Self::outline(path)
        }
    }

    pub(in crate::mcp) fn output(path: String, cell: String, output: usize, lines: Option<String>) -> Self {
        Self {
            output: Some(output),
            lines,
            ..Self::cell(path, cell)
        }
    }
}

impl Tool for NotebookRead {
    const NAME: &'static str = "notebook_read";
    const DESCRIPTION: &'static str = "Show a notebook: its outline with what is stale, cells, or changes since a revision. \
                                       A source's digest is in [brackets].";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let mut page = server.page();
        show(&server, &arguments, &mut page).await?;
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}

/// Shows what is asked for of a notebook.
pub(in crate::mcp) async fn show(server: &Arc<Server>, arguments: &Arguments, page: &mut Page) -> Result<(), Refusal> {
    let (path, notebook) = server.read(&arguments.path).await?;
    if let Some(since) = &arguments.since {
        changes(server, &notebook, since, page)
    } else if arguments.cells.is_empty() {
        outline(server, &path, &notebook, page).await
    } else {
        cells(server, &notebook, arguments, page).await
    }
}

async fn outline(server: &Arc<Server>, path: &Path, notebook: &Notebook, page: &mut Page) -> Result<(), Refusal> {
    let record = server.sessions.store().find(path).await?;
    let kernel = record.as_ref().and_then(|record| record.kernel.as_ref());
    let found = match &record {
        Some(record) if record.kernel.is_some() => Some(stale(server, record, notebook).await),
        _ => None,
    };
    let said = match (kernel, &found) {
        (Some(kernel), Some(Ok(_))) => format!("kernel {}", kernel.spec.name),
        (_, Some(Err(refusal))) => refusal.to_string(),
        _ => "no kernel".to_owned(),
    };
    let plan = found.and_then(Result::ok);
    page.line(format!(
        "{}: {} cells, revision {}, {said}",
        server.shown(path),
        notebook.cells().len(),
        short(&notebook.revision())
    ));
    let planned = plan.iter().flat_map(|plan| &plan.cells);
    let stale: std::collections::BTreeMap<&CellId, String> = planned
        .map(|planned| (&planned.cell.id, planned.reason.kind.to_string()))
        .collect();
    let lines = notebook.cells().iter().enumerate().map(|(index, cell)| {
        let stale = stale.get(cell.id()).cloned();
        cell_line(index, cell, &Outline { stale })
    });
    let lines: Vec<String> = lines.collect();
    page.text(
        &lines.join("\n"),
        "name a range in `cells`, such as #20..#60, for those",
    );
    Ok(())
}

fn changes(server: &Server, notebook: &Notebook, since: &str, page: &mut Page) -> Result<(), Refusal> {
    let Some(earlier) = server.state(since) else {
        return Err(Refusal::new(format!("revision {since:?} is not remembered"))
            .with_advice("read the notebook without `since`"));
    };
    page.line(format!("revision {}", short(&notebook.revision())));
    let diff = earlier.diff(notebook);
    if diff.is_empty() {
        page.line(format!("nothing has changed since {since}"));
    }
    page.text(
        &plain_diff(&diff_texts(&diff, &earlier, notebook)),
        "name cells to see them",
    );
    Ok(())
}

async fn cells(server: &Server, notebook: &Notebook, arguments: &Arguments, page: &mut Page) -> Result<(), Refusal> {
    let positions = positions(notebook, &arguments.cells)?;
    let path = &arguments.path;
    if let Some(output) = arguments.output {
        let [only] = positions.as_slice() else {
            return Err(Refusal::new("`output` needs exactly one cell"));
        };
        let output = Part {
            cell: &notebook.cells()[*only],
            number: output,
            lines: arguments.lines.as_deref(),
            path,
        };
        return output.show(server, page).await;
    }
    if let ([only], Some(lines)) = (positions.as_slice(), &arguments.lines) {
        let (first, last) = range(lines)?;
        let (text, count) = lines_of(notebook.cells()[*only].source(), first, last);
        page.line(format!("lines {first} to {} of {count}", last.min(count)));
        page.text(&text, "ask for fewer lines");
        return Ok(());
    }
    let alone = positions.len() == 1;
    for (shown, position) in positions.iter().enumerate() {
        if !page.has_room() {
            let left: Vec<&str> = positions[shown..]
                .iter()
                .map(|position| notebook.cells()[*position].id().as_str())
                .collect();
            page.line(format!("[left out: {}; ask for them by another call]", left.join(", ")));
            break;
        }
        show_cell(*position, &notebook.cells()[*position], path, alone, page);
    }
    Ok(())
}

fn show_cell(position: usize, cell: &Cell, path: &str, alone: bool, page: &mut Page) {
    let limit = if alone { usize::MAX } else { SOURCE };
    let how = format!(
        "notebook_read {{\"path\": {path:?}, \"cells\": [{:?}]}} shows it",
        cell.id().as_str()
    );
    page.text(
        &bounded(&source_block(position, cell), limit, &how),
        "`lines` shows the others",
    );
    for (number, output) in cell.outputs().iter().enumerate() {
        page.line(format!("-> output {number}:"));
        let how = format!(
            "notebook_read {{\"path\": {path:?}, \"cells\": [{:?}], \"output\": {number}, \"lines\": \"1-200\"}} shows all of it by lines",
            cell.id().as_str()
        );
        page.comes_from(output_uri(path, cell, number));
        match text_of(output).filter(|text| !alone && text.len() > OUTPUT) {
            Some(text) => page.text(&bounded(&cleaned(&text), OUTPUT, &how), &how),
            None => page.output(output, &how),
        }
    }
}

fn output_uri(path: &str, cell: &Cell, output: usize) -> String {
    Address::output(path, cell.id().as_str(), output).to_string()
}

/// An output that is asked for.
struct Part<'a> {
    cell: &'a Cell,
    number: usize,
    lines: Option<&'a str>,
    path: &'a str,
}

impl Part<'_> {
    async fn show(&self, server: &Server, page: &mut Page) -> Result<(), Refusal> {
        let (id, number) = (self.cell.id(), self.number);
        let output = self.cell.outputs().get(number).ok_or_else(|| {
            Refusal::new(format!(
                "cell {id} has {} outputs, counted from 0; there is no output {number}",
                self.cell.outputs().len()
            ))
        })?;
        let how = format!(
            "\"lines\": \"A-B\" beside \"output\": {number} of cell {id} in {} shows others",
            self.path
        );
        let Some(lines) = self.lines else {
            page.comes_from(output_uri(self.path, self.cell, number));
            page.output(output, &how);
            return Ok(());
        };
        if let Some(asset) = asset_of(output).filter(|asset| asset.mime.starts_with("text/")) {
            return stored_lines(server, &asset.digest, lines, page).await;
        }
        let Some(text) = text_of(output) else {
            return Err(Refusal::new(format!("output {number} of cell {id} has no lines"))
                .with_advice("read it without `lines`"));
        };
        let (first, last) = range(lines)?;
        let (text, count) = lines_of(&cleaned(&text), first, last);
        page.line(format!("lines {first} to {} of {count}", last.min(count)));
        page.text(&text, &how);
        Ok(())
    }
}

/// Lines of an output that is kept outside of the notebook.
async fn stored_lines(server: &Server, digest: &str, lines: &str, page: &mut Page) -> Result<(), Refusal> {
    range(lines)?;
    let digest = digest
        .parse()
        .map_err(|error| Refusal::new(format!("{digest:?}: {error}")))?;
    let limits = LineLimits {
        bytes: server.policy.text_limit,
        ..LineLimits::default()
    };
    let found = server.assets()?.lines(&digest, lines.parse()?, limits).await?;
    page.text(&cleaned(&found.text), "ask for fewer lines");
    if let Some(notice) = found.notice() {
        page.line(format!("[{notice}]"));
    }
    Ok(())
}

fn range(lines: &str) -> Result<(usize, usize), Refusal> {
    let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok((first, last)),
        _ => Err(Refusal::new(format!(
            "{lines:?} are no lines; they are written 10-20, from 1"
        ))),
    }
}

/// The places of the cells that are named, each once, in notebook order.
fn positions(notebook: &Notebook, names: &[String]) -> Result<Vec<usize>, Refusal> {
    let mut positions = Vec::new();
    for name in names {
        let whole = notebook.position(&CellId::from(name.as_str()));
        match name.split_once("..").filter(|_| whole.is_none()) {
            Some((first, last)) => {
                let first = if first.is_empty() { 0 } else { notebook.find(first)? };
                let last = if last.is_empty() {
                    notebook.cells().len().saturating_sub(1)
                } else {
                    notebook.find(last)?
                };
                positions.extend(first..=last);
            }
            None => positions.push(notebook.find(name)?),
        }
    }
    positions.sort_unstable();
    positions.dedup();
    positions.retain(|position| *position < notebook.cells().len());
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_as_ranges() {
        assert_eq!(range("10-20").unwrap(), (10, 20));
        assert_eq!(range("7").unwrap(), (7, 7));
        for wrong in ["0-3", "5-2", "x", "", "-3"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cells_are_named_by_ids_places_and_ranges() {
        let mut notebook =
            Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#).unwrap();
        notebook
            .cells_mut()
            .extend(["a1", "b2", "c3"].map(|id| Cell::new_code(id.into(), "x")));
        let found = |names: &[&str]| {
            positions(
                &notebook,
                &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(found(&["c", "#0"]).unwrap(), [0, 2]);
        assert_eq!(found(&["b2..", "b2"]).unwrap(), [1, 2]);
        assert_eq!(found(&["..b2"]).unwrap(), [0, 1]);
        assert!(found(&["#9"]).is_err());
    }
}
