//! A notebook as the scheduler sees it.

use std::borrow::Cow;

use crate::model::CellId;
use crate::scheduler::{CodeCell, Document, Mode, Outcome, PlanRequest, Planner};
use crate::session::notebook::{Cell, CellType, Notebook};

/// What is assumed where nothing says it, as Jupyter does.
const DEFAULT_LANGUAGE: &str = "python";

impl Document {
    /// The code cells of a notebook, and the language that its metadata names; Python if none.
    pub fn from_notebook(notebook: &Notebook) -> Self {
        Self::with_ids(notebook, notebook.cells().iter().map(Cell::id))
    }

    fn with_ids<'a>(notebook: &Notebook, ids: impl Iterator<Item = &'a CellId>) -> Self {
        let cells = notebook.cells().iter().zip(ids).enumerate();
        let code = cells.filter(|(_, (cell, _))| cell.cell_type() == CellType::Code);
        let language = notebook.language();
        Self {
            language: language.map_or_else(|| DEFAULT_LANGUAGE.to_owned(), |language| language.to_lowercase()),
            cells: code
                .map(|(index, (cell, id))| CodeCell {
                    id: id.clone(),
                    index,
                    source: cell.source().into(),
                    tags: cell.tags().map(Cow::into_owned).collect(),
                })
                .collect(),
        }
    }
}

/// A planner of the notebook for a kernel that has executed nothing, or, given `earlier`, for one that has executed all
/// of that, in order and without an error.
pub fn planner(notebook: &Notebook, earlier: Option<&Notebook>) -> Planner {
    let mut planner = Planner::default();
    if let Some(earlier) = earlier {
        let ids = earlier.ids_as_in(notebook);
        planner.sync(Document::with_ids(earlier, ids.iter()));
        execute_all(&mut planner);
    }
    planner.sync(Document::from_notebook(notebook));
    planner
}

fn execute_all(planner: &mut Planner) {
    let everything = PlanRequest {
        mode: Mode::Full,
        ..PlanRequest::default()
    };
    let plan = planner
        .plan(&everything)
        .expect("only targets and the mode `append` are ever refused");
    for cell in plan.cells {
        planner.executed(&cell.cell.id, &Outcome::Ok, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_cells_keep_their_place_among_all() {
        let mut notebook = Notebook::parse(
            br#"{"cells": [], "metadata": {"kernelspec": {"language": "R"}}, "nbformat": 4, "nbformat_minor": 5}"#,
        )
        .unwrap();
        let mut tagged = Cell::new_code("b".into(), "x");
        tagged.add_tag("parameters");
        *notebook.cells_mut() = vec![Cell::new_markdown("a".into(), "# A"), tagged];
        let document = Document::from_notebook(&notebook);
        let cell = CodeCell {
            id: "b".into(),
            index: 1,
            source: "x".into(),
            tags: vec!["parameters".to_owned()],
        };
        assert_eq!((document.language.as_str(), document.cells), ("r", vec![cell]));
        notebook.metadata_mut().clear();
        assert_eq!(Document::from_notebook(&notebook).language, "python");
    }
}
