//! What is done to a notebook before it runs.

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::{Selection, resolve_target};
use mcp_jupyter_core::kernel::KernelSpec;
use mcp_jupyter_core::scheduler::Target;
use mcp_jupyter_core::session::notebook::{Cell, CellType, Notebook};
use mcp_jupyter_core::session::parameters::{
    InjectOptions, PapermillRecord, Placement, hide_sources, inject, record_papermill,
};

use crate::error::CliError;

use super::{Job, Options, SelectionWanted};

/// A notebook that is ready to run.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) notebook: Notebook,
    pub(super) selection: Selection,
    pub(super) targets: Vec<Target>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Selects cells, injects parameters, and records what is to be recorded before the run. It may block: what an earlier
/// run has left is read from the output file.
pub(super) fn prepare(
    mut notebook: Notebook,
    job: &Job,
    options: &Options,
    spec: Option<&KernelSpec>,
) -> Result<Prepared, CliError> {
    let selection = selection(&notebook, &options.selection)?;
    let targets = options.selection.targets.iter();
    let targets = targets.map(|text| resolve_target(&notebook, text));
    let targets = targets.collect::<Result<_, _>>().map_err(Error::from)?;
    let mut warnings = Vec::new();
    if options.strip_timing {
        notebook.cells_mut().iter_mut().for_each(strip_timing);
    }
    if let Some(papermill) = &options.papermill {
        clear_outputs(&mut notebook);
        if papermill.report_mode {
            hide_sources(&mut notebook);
        }
    }
    inject_parameters(&mut notebook, options, spec, &mut warnings)?;
    if options.papermill.is_some() {
        let output_path = job.output_path();
        let record = PapermillRecord {
            version: env!("CARGO_PKG_VERSION"),
            input_path: &job.input_path(),
            output_path: output_path.as_deref(),
            parameters: &options.parameters,
        };
        record_papermill(&mut notebook, &record);
    }
    if options.selection.resume {
        recall_previous_run(&mut notebook, job);
    }
    Ok(Prepared {
        notebook,
        selection,
        targets,
        warnings,
    })
}

/// The selection, with cells by their ids: indices change when parameters are injected.
fn selection(notebook: &Notebook, wanted: &SelectionWanted) -> Result<Selection, CliError> {
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

fn inject_parameters(
    notebook: &mut Notebook,
    options: &Options,
    spec: Option<&KernelSpec>,
    warnings: &mut Vec<String>,
) -> Result<(), CliError> {
    let wanted = InjectOptions {
        kernel_name: spec.map(|spec| spec.name.as_str()),
        language: options
            .papermill
            .as_ref()
            .and_then(|papermill| papermill.language.as_deref())
            .or(spec.map(|spec| spec.language.as_str())),
        report_mode: options
            .papermill
            .as_ref()
            .is_some_and(|papermill| papermill.report_mode),
    };
    let Some(injection) = inject(notebook, &options.parameters, &wanted)? else {
        return Ok(());
    };
    if injection.placement == Placement::OnTop {
        warnings.push("no cell is tagged `parameters`, so the parameters are the first cell".to_owned());
    } else {
        let unknown = injection.unknown.into_iter();
        warnings
            .extend(unknown.map(|name| format!("the parameter `{name}` is not set in the cell tagged `parameters`")));
    }
    Ok(())
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
fn recall_previous_run(notebook: &mut Notebook, job: &Job) {
    let Some(previous) = job.previous_output().and_then(|path| Notebook::open(&path).ok()) else {
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
