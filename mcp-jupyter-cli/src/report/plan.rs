use std::collections::HashMap;

use mcp_jupyter_core::engine::preview::Preview;
use mcp_jupyter_core::model::{CellId, CellRef};
use mcp_jupyter_core::session::notebook::Cell;

use super::style::Style;
use super::table::{table, width};
use super::terminal::{clean, first_line};

/// How long an id may be before only its start is shown; the start is as long as it takes to be the only one.
const ID_WIDTH: usize = 16;
const SHORT_ID: usize = 8;
/// How wide a line may be where there is no terminal to ask.
const LINE_WIDTH: usize = 120;
const LEAST_SOURCE: usize = 24;
const GAP: usize = 2;

/// The plan as a table of all code cells, with remarks below.
pub(super) fn plan_table(preview: &Preview, style: Style, terminal: Option<usize>) -> String {
    let mut text = String::new();
    if !preview.cells.is_empty() {
        let rows = rows(preview, terminal.unwrap_or(LINE_WIDTH));
        let lines = table(&["#", "ID", "DO", "WHY", "SOURCE"], &rows);
        let is_skipped = std::iter::once(false).chain(rows.iter().map(|row| row[2] == SKIP));
        for (line, is_skipped) in lines.lines().zip(is_skipped) {
            text.push_str(&if is_skipped { style.faint(line) } else { line.to_owned() });
            text.push('\n');
        }
        text.push('\n');
    }
    text.push_str(&summary(preview));
    for remark in preview.remarks() {
        text.push_str(&clean(&remark, false).replace('\n', " "));
        text.push('\n');
    }
    text
}

const RUN: &str = "run";
const SKIP: &str = "skip";

fn summary(preview: &Preview) -> String {
    let (planned, all) = (preview.plan.cells.len(), preview.cells.len());
    match (planned, all) {
        (_, 0) => format!("{}: no code cells\n", clean(&preview.name, false)),
        (0, _) => format!("{}: nothing to execute\n", clean(&preview.name, false)),
        _ => format!("{}: {planned} of {all} cells to execute\n", clean(&preview.name, false)),
    }
}

fn rows(preview: &Preview, line_width: usize) -> Vec<Vec<String>> {
    let ids = short_ids(preview);
    let verdicts = verdicts(preview);
    let row = |(cell, id): (&CellRef, String)| {
        let (verdict, reason) = verdicts.get(&cell.index).cloned().unwrap_or_default();
        vec![cell.index.to_string(), id, verdict.to_owned(), reason]
    };
    let cells = preview.cells.iter().map(|(cell, _)| cell);
    let mut rows: Vec<_> = cells.clone().zip(ids).map(row).collect();
    let taken: usize = (0..4)
        .map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0) + GAP)
        .sum();
    let left = line_width.saturating_sub(taken).max(LEAST_SOURCE);
    for (row, cell) in rows.iter_mut().zip(cells) {
        row.push(first_line(preview.source(cell), left));
    }
    rows
}

/// What happens to each cell, by its index.
fn verdicts(preview: &Preview) -> HashMap<usize, (&'static str, String)> {
    let run = preview.plan.cells.iter().map(|planned| {
        let reason = clean(&preview.explain(&planned.reason), false);
        (planned.cell.index, (RUN, reason))
    });
    let skip = preview
        .plan
        .skipped
        .iter()
        .map(|skipped| (skipped.cell.index, (SKIP, preview.explain_skip(skipped))));
    run.chain(skip).collect()
}

/// Ids, long ones by a start that means no other cell.
fn short_ids(preview: &Preview) -> Vec<String> {
    let mut sorted: Vec<&CellId> = preview.notebook.cells().iter().map(Cell::id).collect();
    sorted.sort_unstable();
    let shorten = |id: &CellId| {
        let text = id.as_str();
        if width(text) <= ID_WIDTH {
            return text.to_owned();
        }
        let at = sorted.binary_search(&id).unwrap_or(0);
        let neighbours = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
        let shared = neighbours
            .filter_map(|at| sorted.get(at))
            .map(|other| shared_start(text, other.as_str()));
        let length = shared.max().map_or(SHORT_ID, |shared| SHORT_ID.max(shared + 1));
        text.chars().take(length).collect()
    };
    preview.cells.iter().map(|(cell, _)| shorten(&cell.id)).collect()
}

fn shared_start(one: &str, two: &str) -> usize {
    one.chars().zip(two.chars()).take_while(|(a, b)| a == b).count()
}
