use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::kernel::KernelSpec;
use crate::model::JsonMap;
use crate::scheduler::Target;
use crate::session::SessionError;
use crate::session::notebook::{Cell, CellType, Notebook};
use crate::session::parameters::{InjectOptions, PapermillRecord, Placement, hide_sources, inject, record_papermill};

use super::selection::Selection;
use super::target::resolve_target;

/// The tag of cells that papermill adds to a notebook that has failed, and takes away before the next run.
const ERROR_TAG: &str = "papermill-error-cell-tag";

/// What is to be done to a notebook before it runs: cells are selected, parameters injected, and what is to be recorded is
/// recorded.
#[derive(Clone, Debug, Default)]
pub struct Preparation {
    /// The values of parameters.
    pub parameters: JsonMap,
    /// Which cells to run.
    pub cells: CellNames,
    /// Whether to remove what earlier runs have recorded of the times of cells.
    pub strip_timing: bool,
    /// What papermill does besides, where a run is to be like one of papermill's.
    pub papermill: Option<PapermillOptions>,
    /// The file, other than the notebook's own, that an earlier run has left, for a run that resumes it.
    pub previous: Option<PathBuf>,
}

/// Which cells to run, as people name them: cells as [`Notebook::find`] takes them, targets as [`resolve_target`] does.
#[derive(Clone, Debug, Default)]
pub struct CellNames {
    /// Only cells with one of these tags; all where there are none.
    pub tags: Vec<String>,
    /// No cells with one of these tags.
    pub skip_tags: Vec<String>,
    /// The first cell.
    pub from: Option<String>,
    /// The last cell.
    pub to: Option<String>,
    /// The parts that are wanted, with what they need; all where there are none.
    pub targets: Vec<String>,
    /// Only what the earlier run has left undone, and what that needs.
    pub resume: bool,
}

/// What papermill does to a notebook besides injecting parameters.
#[derive(Clone, Debug, Default)]
pub struct PapermillOptions {
    /// Whether to hide the sources of all cells.
    pub report_mode: bool,
    /// The language to write parameters in, instead of the kernel's.
    pub language: Option<String>,
    /// Where the notebook came from, for its metadata.
    pub input_path: String,
    /// Where it goes, for its metadata.
    pub output_path: Option<String>,
}

/// A notebook that is ready to run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The notebook.
    pub notebook: Notebook,
    /// Which of its cells to execute.
    pub selection: Selection,
    /// The part of them that is wanted.
    pub targets: Vec<Target>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Preparation {
    /// Prepares a notebook for a run on the kernel `spec`; without one, for being saved as it then is. It may block: what
    /// an earlier run has left is read from its file.
    ///
    /// # Errors
    /// Where cells or targets do not fit the notebook, or parameters cannot be written in its language.
    pub fn prepare(&self, mut notebook: Notebook, spec: Option<&KernelSpec>) -> Result<Prepared, Error> {
        let selection = selection(&notebook, &self.cells)?;
        let targets = self.cells.targets.iter();
        let targets = targets.map(|text| resolve_target(&notebook, text));
        let targets = targets.collect::<Result<_, _>>()?;
        if self.strip_timing {
            notebook.cells_mut().iter_mut().for_each(strip_timing);
        }
        if let Some(papermill) = &self.papermill {
            notebook.cells_mut().retain(|cell| !cell.has_tag(ERROR_TAG));
            clear_outputs(&mut notebook);
            if papermill.report_mode {
                hide_sources(&mut notebook);
            }
        }
        let warnings = self.inject(&mut notebook, spec)?;
        if let Some(papermill) = &self.papermill {
            let record = PapermillRecord {
                version: env!("CARGO_PKG_VERSION"),
                input_path: &papermill.input_path,
                output_path: papermill.output_path.as_deref(),
                parameters: &self.parameters,
            };
            record_papermill(&mut notebook, &record);
        }
        if self.cells.resume {
            recall_previous_run(&mut notebook, self.previous.as_deref());
        }
        Ok(Prepared {
            notebook,
            selection,
            targets,
            warnings,
        })
    }

    /// Injects the parameters; gives what the user should know of that.
    fn inject(&self, notebook: &mut Notebook, spec: Option<&KernelSpec>) -> Result<Vec<String>, SessionError> {
        let papermill = self.papermill.as_ref();
        let wanted = InjectOptions {
            kernel_name: spec.map(|spec| spec.name.as_str()),
            language: papermill
                .and_then(|papermill| papermill.language.as_deref())
                .or(spec.map(|spec| spec.language.as_str())),
            report_mode: papermill.is_some_and(|papermill| papermill.report_mode),
        };
        let Some(injection) = inject(notebook, &self.parameters, &wanted)? else {
            return Ok(Vec::new());
        };
        if injection.placement == Placement::OnTop {
            return Ok(vec![
                "no cell is tagged `parameters`, so the parameters are the first cell".to_owned(),
            ]);
        }
        let unknown = injection.unknown.into_iter();
        Ok(unknown
            .map(|name| format!("the parameter `{name}` is not set in the cell tagged `parameters`"))
            .collect())
    }
}

/// The selection, with cells by their ids: indices change when parameters are injected.
fn selection(notebook: &Notebook, wanted: &CellNames) -> Result<Selection, SessionError> {
    let cell = |name: &Option<String>| match name {
        Some(name) => notebook
            .find(name)
            .map(|index| Some(notebook.cells()[index].id().clone())),
        None => Ok(None),
    };
    Ok(Selection {
        tags: wanted.tags.iter().cloned().collect(),
        skip_tags: wanted.skip_tags.iter().cloned().collect(),
        from: cell(&wanted.from)?,
        to: cell(&wanted.to)?,
        resume: wanted.resume,
    })
}

fn strip_timing(cell: &mut Cell) {
    if cell.metadata().contains_key("execution") {
        cell.metadata_mut().shift_remove("execution");
    }
}

fn clear_outputs(notebook: &mut Notebook) {
    for cell in notebook
        .cells_mut()
        .iter_mut()
        .filter(|cell| cell.cell_type() == CellType::Code)
    {
        cell.outputs_mut().clear();
        cell.set_execution_count(None);
    }
}

/// Takes over what the last run has left in the output file, where that is another than the input: outputs and counts
/// of cells whose source is still the same, in their order.
fn recall_previous_run(notebook: &mut Notebook, previous: Option<&Path>) {
    let Some(previous) = previous.and_then(|path| Notebook::open(path).ok()) else {
        return;
    };
    let mut previous = previous
        .cells()
        .iter()
        .filter(|cell| cell.cell_type() == CellType::Code);
    for cell in notebook
        .cells_mut()
        .iter_mut()
        .filter(|cell| cell.cell_type() == CellType::Code)
    {
        let same = previous.clone().position(|before| before.source() == cell.source());
        match same.and_then(|position| previous.nth(position)) {
            Some(before) => {
                cell.outputs_mut().clone_from(&before.outputs().to_vec());
                cell.set_execution_count(before.execution_count());
            }
            None => {
                cell.outputs_mut().clear();
                cell.set_execution_count(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_papermill_has_added_to_a_failed_notebook_goes() {
        let mut notebook =
            Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#).unwrap();
        let mut marker = Cell::new_markdown("marker".into(), "An exception was encountered");
        marker.add_tag(ERROR_TAG);
        *notebook.cells_mut() = vec![marker, Cell::new_code("a".into(), "1")];
        let left = |papermill| {
            let preparation = Preparation {
                papermill,
                ..Preparation::default()
            };
            let prepared = preparation.prepare(notebook.clone(), None).unwrap();
            prepared.notebook.cells().len()
        };
        assert_eq!(left(None), 2);
        assert_eq!(left(Some(PapermillOptions::default())), 1);
    }
}
