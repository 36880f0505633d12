//! Targets as people write them.

use crate::model::CellId;
use crate::scheduler::Target;
use crate::session::SessionError;
use crate::session::notebook::{CellType, Notebook};

/// The part of the notebook that `text` means. A cell is named as [`Notebook::find`] takes it.
///
/// | text | means |
/// |---|---|
/// | `CELL` | a cell with its upstream |
/// | `CELL+` | also everything that depends on it |
/// | `A..B`, `A..`, `..B` | the cells from A to B, both included, with what they need |
/// | `tag:NAME` | the cells with this tag, with what they need |
///
/// ```
/// use mcp_jupyter_core::engine::resolve_target;
/// use mcp_jupyter_core::scheduler::Target;
/// use mcp_jupyter_core::session::notebook::{Cell, Notebook};
///
/// let mut notebook = Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#)?;
/// notebook.cells_mut().push(Cell::new_code("load".into(), "x = 1"));
/// notebook.cells_mut().push(Cell::new_code("plot".into(), "x"));
/// assert_eq!(resolve_target(&notebook, "pl")?, Target::Cell("plot".into()));
/// assert_eq!(resolve_target(&notebook, "#0+")?, Target::Downstream("load".into()));
/// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
/// ```
///
/// # Errors
/// [`SessionError::InvalidRequest`], which says what is wrong: no such cell or more than one, no code cell, no cell in
/// the range or with the tag.
pub fn resolve_target(notebook: &Notebook, text: &str) -> Result<Target, SessionError> {
    // An id of a real notebook may hold what separates here.
    if notebook.position(&CellId::from(text)).is_some() {
        return Ok(Target::Cell(code_cell(notebook, text)?));
    }
    if let Some(tag) = text.strip_prefix("tag:") {
        return tagged(notebook, tag);
    }
    if let Some((from, to)) = text.split_once("..") {
        return range(notebook, text, from, to);
    }
    match text.strip_suffix('+') {
        Some(name) => Ok(Target::Downstream(code_cell(notebook, name)?)),
        None => Ok(Target::Cell(code_cell(notebook, text)?)),
    }
}

fn code_cell(notebook: &Notebook, name: &str) -> Result<CellId, SessionError> {
    let position = notebook.find(name)?;
    let cell = &notebook.cells()[position];
    if cell.cell_type() == CellType::Code {
        return Ok(cell.id().clone());
    }
    let id = cell.id();
    Err(SessionError::InvalidRequest(format!(
        "cell #{position} ({id}) is no code cell; name one that is, or a range such as `{id}..`"
    )))
}

fn tagged(notebook: &Notebook, tag: &str) -> Result<Target, SessionError> {
    let mut code = notebook
        .cells()
        .iter()
        .filter(|cell| cell.cell_type() == CellType::Code);
    if code.any(|cell| cell.has_tag(tag)) {
        return Ok(Target::Tag(tag.to_owned()));
    }
    Err(SessionError::InvalidRequest(format!(
        "no code cell has the tag `{tag}`"
    )))
}

/// The ends may be cells of any type: people see a section by its heading.
fn range(notebook: &Notebook, text: &str, from: &str, to: &str) -> Result<Target, SessionError> {
    let place = |name: &str, default| {
        if name.is_empty() {
            Ok(default)
        } else {
            notebook.find(name)
        }
    };
    let (from, to) = (place(from, 0)?, place(to, notebook.cells().len().saturating_sub(1))?);
    if from > to {
        let reason = format!("the range `{text}` is empty: it starts at #{from} and ends above it, at #{to}");
        return Err(SessionError::InvalidRequest(reason));
    }
    let mut code = notebook
        .cells()
        .iter()
        .take(to + 1)
        .skip(from)
        .filter(|cell| cell.cell_type() == CellType::Code)
        .map(|cell| cell.id().clone());
    let first = code
        .next()
        .ok_or_else(|| SessionError::InvalidRequest(format!("there is no code cell in the range `{text}`")))?;
    let last = code.next_back().unwrap_or_else(|| first.clone());
    Ok(Target::Range(first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::notebook::Cell;

    fn resolved(text: &str) -> Result<Target, String> {
        let mut notebook =
            Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#).unwrap();
        let mut plot = Cell::new_code("plot".into(), "x");
        plot.add_tag("figures");
        *notebook.cells_mut() = vec![
            Cell::new_markdown("title".into(), "# Title"),
            Cell::new_code("load".into(), "x = 1"),
            plot,
            Cell::new_markdown("end".into(), "# End"),
            Cell::new_code("a..b+".into(), "y"),
        ];
        resolve_target(&notebook, text).map_err(|error| error.to_string())
    }

    #[test]
    fn cells_with_or_without_what_depends_on_them() {
        assert_eq!(resolved("load"), Ok(Target::Cell("load".into())));
        assert_eq!(resolved("lo+"), Ok(Target::Downstream("load".into())));
        assert_eq!(resolved("#2"), Ok(Target::Cell("plot".into())));
        assert_eq!(resolved("2+"), Ok(Target::Downstream("plot".into())));
        assert_eq!(resolved("a..b+"), Ok(Target::Cell("a..b+".into())));
    }

    #[test]
    fn ranges_are_of_code_cells() {
        let range = |from: &str, to: &str| Ok(Target::Range(from.into(), to.into()));
        assert_eq!(resolved("load..plot"), range("load", "plot"));
        assert_eq!(resolved("title..end"), range("load", "plot"));
        assert_eq!(resolved("#2.."), range("plot", "a..b+"));
        assert_eq!(resolved("..load"), range("load", "load"));
        assert_eq!(resolved(".."), range("load", "a..b+"));
        assert!(
            resolved("plot..load")
                .unwrap_err()
                .starts_with("the range `plot..load` is empty")
        );
        assert_eq!(
            resolved("end..end").unwrap_err(),
            "there is no code cell in the range `end..end`"
        );
    }

    #[test]
    fn tags_are_of_code_cells() {
        assert_eq!(resolved("tag:figures"), Ok(Target::Tag("figures".to_owned())));
        assert_eq!(resolved("tag:x").unwrap_err(), "no code cell has the tag `x`");
    }

    #[test]
    fn what_is_no_code_cell_is_refused() {
        assert_eq!(
            resolved("title").unwrap_err(),
            "cell #0 (title) is no code cell; name one that is, or a range such as `title..`"
        );
        for text in ["", "+", "nothing", "#7", "#7+", "x..plot"] {
            assert!(resolved(text).is_err(), "{text}");
        }
    }
}
