//! Pictures of a notebook's dependencies: for Graphviz, for Mermaid, as SVG, and as a page.
//!
//! Cells stand in notebook order, which every edge follows downwards. [`Drawing`] is what all pictures show.

mod dot;
mod escape;
mod html;
mod lanes;
mod mermaid;
mod svg;

use std::collections::HashMap;

use serde::Serialize;

use crate::scheduler::{CellEffects, SkipReason, StaleKind};
use crate::session::notebook::{Cell, CellType};

use super::preview::{Preview, list};

pub use self::dot::dot;
pub use self::html::html;
pub use self::mermaid::mermaid;
pub use self::svg::svg;

/// What is drawn.
#[derive(Debug)]
pub struct Drawing<'a> {
    name: &'a str,
    /// Code cells and the headings between them, in notebook order.
    rows: Vec<Row<'a>>,
    nodes: Vec<Node<'a>>,
    edges: Vec<Arc<'a>>,
    remarks: Vec<String>,
}

#[derive(Debug)]
enum Row<'a> {
    /// Of a Markdown cell.
    Heading(&'a str),
    /// The position of a node.
    Node(usize),
}

/// A code cell.
#[derive(Debug)]
struct Node<'a> {
    index: usize,
    id: &'a str,
    source: &'a str,
    is_executed: bool,
    mark: Mark,
    reason: String,
    effects: &'a CellEffects,
}

/// From a writer to a reader, by their positions among the nodes.
#[derive(Debug, Serialize)]
struct Arc<'a> {
    from: usize,
    to: usize,
    names: &'a [String],
}

/// What happens to a cell, as far as it is drawn differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// It is executed for the first time on its kernel, or because the mode says so.
    New,
    Edited,
    /// It is executed because of what it reads.
    Upstream,
    /// It is executed because of what others read.
    Again,
    Failed,
    /// It is not executed, and its values are good.
    Fresh,
    /// It is not executed.
    Off,
}

impl Mark {
    fn of_stale(kind: StaleKind) -> Self {
        match kind {
            StaleKind::NeverRun | StaleKind::KernelRestarted | StaleKind::Mode => Self::New,
            StaleKind::Edited | StaleKind::Moved => Self::Edited,
            StaleKind::Upstream | StaleKind::RemovedUpstream => Self::Upstream,
            StaleKind::Restore | StaleKind::Clobber => Self::Again,
            StaleKind::Failed | StaleKind::Blocked => Self::Failed,
        }
    }

    fn of_skipped(reason: SkipReason) -> Self {
        match reason {
            SkipReason::Fresh | SkipReason::Frozen => Self::Fresh,
            SkipReason::Blocked => Self::Failed,
            SkipReason::Empty | SkipReason::Tagged | SkipReason::NotTargeted | SkipReason::Skipped => Self::Off,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Edited => "edited",
            Self::Upstream => "upstream",
            Self::Again => "again",
            Self::Failed => "failed",
            Self::Fresh => "fresh",
            Self::Off => "off",
        }
    }
}

impl Node<'_> {
    /// The first line that is not blank.
    fn title(&self) -> &str {
        self.source
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default()
    }
}

impl<'a> Drawing<'a> {
    /// What a preview shows.
    pub fn new(preview: &'a Preview) -> Self {
        let nodes = nodes(preview);
        let positions: HashMap<usize, usize> = nodes.iter().map(|node| node.index).zip(0..).collect();
        let edges = preview.edges.iter().map(|edge| Arc {
            from: positions[&edge.from.index],
            to: positions[&edge.to.index],
            names: &edge.names,
        });
        Self {
            name: &preview.name,
            rows: rows(preview, &positions),
            edges: edges.collect(),
            nodes,
            remarks: preview.remarks(),
        }
    }

    fn summary(&self) -> String {
        let executed = self.nodes.iter().filter(|node| node.is_executed).count();
        format!("{executed} of {} cells to execute", self.nodes.len())
    }
}

fn nodes(preview: &Preview) -> Vec<Node<'_>> {
    let run = preview.plan.cells.iter().map(|planned| {
        let mark = Mark::of_stale(planned.reason.kind);
        (planned.cell.index, (true, mark, preview.explain(&planned.reason)))
    });
    let skip = preview.plan.skipped.iter().map(|skipped| {
        let mark = Mark::of_skipped(skipped.reason);
        (skipped.cell.index, (false, mark, preview.explain_skip(skipped)))
    });
    let mut verdicts: HashMap<usize, (bool, Mark, String)> = run.chain(skip).collect();
    let cells = preview.cells.iter().map(|(cell, effects)| {
        let verdict = verdicts.remove(&cell.index);
        let (is_executed, mark, reason) = verdict.unwrap_or((false, Mark::Off, String::new()));
        Node {
            index: cell.index,
            id: cell.id.as_str(),
            source: preview.source(cell),
            is_executed,
            mark,
            reason,
            effects,
        }
    });
    cells.collect()
}

fn rows<'a>(preview: &'a Preview, positions: &HashMap<usize, usize>) -> Vec<Row<'a>> {
    let row = |(index, cell): (usize, &'a Cell)| match positions.get(&index) {
        Some(position) => Some(Row::Node(*position)),
        None if cell.cell_type() == CellType::Markdown => heading(cell.source()).map(Row::Heading),
        None => None,
    };
    preview.notebook.cells().iter().enumerate().filter_map(row).collect()
}

/// The first ATX heading of a Markdown text (CommonMark 4.2).
fn heading(markdown: &str) -> Option<&str> {
    markdown.lines().find_map(|line| {
        let text = line.trim().trim_start_matches('#');
        let level = line.trim().len() - text.len();
        let is_heading = (1..=6).contains(&level) && text.starts_with([' ', '\t']);
        let text = text.trim().trim_end_matches('#').trim_end();
        (is_heading && !text.is_empty()).then_some(text)
    })
}

/// As much of a text as fits into so many columns; wide characters take two.
fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let taken = columns_of(*c);
        let fits = taken <= left;
        left = left.saturating_sub(taken);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Nearly all characters above Hangul's first are wide (Unicode, East Asian Width), and fonts draw emoji so.
fn columns_of(c: char) -> usize {
    if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
    {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tries to leave its place in every format.
    pub(super) const HOSTILE: &str = "x = '</script><script>alert(1)</script>' # \"&amp;\" ]]> \\N `a` \u{1b}[2J";

    /// Two cells that are executed and one that is not, with a hostile source, id, heading and names.
    pub(super) fn with_sample<R>(show: impl FnOnce(&Drawing<'_>) -> R) -> R {
        let hostile = CellEffects {
            writes: vec![HOSTILE.to_owned()],
            unknown: Some(HOSTILE.to_owned()),
            ..CellEffects::default()
        };
        let reads = CellEffects {
            reads: vec![HOSTILE.to_owned()],
            ..CellEffects::default()
        };
        let node = |index, id, source, mark, effects| Node {
            index,
            id,
            source,
            is_executed: mark != Mark::Fresh,
            mark,
            reason: format!("{}: {HOSTILE}", mark.name()),
            effects,
        };
        let names = [HOSTILE.to_owned()];
        let edge = |from, to| Arc {
            from,
            to,
            names: &names,
        };
        show(&Drawing {
            name: HOSTILE,
            rows: vec![Row::Heading(HOSTILE), Row::Node(0), Row::Node(1), Row::Node(2)],
            nodes: vec![
                node(1, HOSTILE, HOSTILE, Mark::Edited, &hostile),
                node(2, "two", "\n\ny = x\nz", Mark::Upstream, &reads),
                node(4, "three", "", Mark::Fresh, &reads),
            ],
            edges: vec![edge(0, 1), edge(0, 2)],
            remarks: vec![HOSTILE.to_owned()],
        })
    }

    #[test]
    fn headings_are_found() {
        assert_eq!(heading("text\n## Title ##\n# Other"), Some("Title"));
        assert_eq!(heading("#tag\n####### seven\n#\n"), None);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("x", 0), "…");
    }
}
