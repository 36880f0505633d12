//! What a run would do, found without a kernel.

mod earlier;
mod json;

use std::collections::HashMap;
use std::mem::ManuallyDrop;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::{planner, resolve_target};
use mcp_jupyter_core::model::{CellId, CellRef};
use mcp_jupyter_core::scheduler::{CellEffects, Edge, Plan, PlanRequest, SkippedCell, StaleKind, StaleReason};
use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::Notebook;

use crate::args::{PlanRequestArgs, PreviewArgs};
use crate::error::CliError;
use crate::job::Input;

pub(crate) use self::json::PlanDocument;

/// Names that are listed; the others are counted.
const LISTED_NAMES: usize = 4;

/// A notebook, what depends on what in it, and its plan.
#[derive(Debug)]
pub(crate) struct Preview {
    pub(crate) name: String,
    pub(crate) notebook: Notebook,
    pub(crate) cells: Vec<(CellRef, CellEffects)>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) plan: Plan,
    indices: HashMap<CellId, usize>,
}

impl Preview {
    /// Reads the notebook and plans it.
    pub(crate) fn new(args: &PreviewArgs) -> Result<Self, CliError> {
        let input = Input::new(&args.notebook);
        if input == Input::Stdin && args.since.as_deref().is_some_and(|since| since.as_os_str() == "-") {
            return Err(CliError::usage("standard input (`-`) can be read only once"));
        }
        let notebook = input.read_sources()?;
        let earlier = earlier::read(args, &input)?;
        let request = plan_request(&notebook, &args.request)?;
        // The process ends soon: to free all that was analysed piece by piece would be a good part of its time.
        let planner = ManuallyDrop::new(planner(&notebook, earlier.as_ref()));
        let plan = planner.plan(&request).map_err(Error::from)?;
        let cells = planner.effects();
        Ok(Self {
            name: input.name(),
            edges: planner.edges(),
            plan,
            indices: cells.iter().map(|(cell, _)| (cell.id.clone(), cell.index)).collect(),
            cells,
            notebook,
        })
    }

    /// Where the cell stands; none where it is gone.
    pub(crate) fn index(&self, id: &CellId) -> Option<usize> {
        self.indices.get(id).copied()
    }

    pub(crate) fn source(&self, cell: &CellRef) -> &str {
        self.notebook.cells()[cell.index].source()
    }

    /// A reason in words.
    pub(crate) fn explain(&self, reason: &StaleReason) -> String {
        explain(reason, |id| self.index(id))
    }

    pub(crate) fn explain_skip(&self, skipped: &SkippedCell) -> String {
        match skipped.via.as_ref().and_then(|id| self.index(id)) {
            Some(index) => format!("{}: by #{index}", skipped.reason),
            None => skipped.reason.to_string(),
        }
    }

    /// What the user should know, a line each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        // Some of what is unknown is a warning already.
        let unknown = self.cells.iter().filter_map(|(cell, effects)| {
            let remark = format!("#{}: {}", cell.index, effects.unknown.as_ref()?);
            (!self.plan.warnings.contains(&remark)).then(|| format!("unknown: {remark}"))
        });
        let warnings = self.plan.warnings.iter().map(|warning| format!("warning: {warning}"));
        unknown
            .chain(warnings)
            .chain(self.deletions())
            .chain(self.consent())
            .collect()
    }

    fn deletions(&self) -> impl Iterator<Item = String> {
        let before = self.plan.cells.iter().filter_map(|planned| {
            let names = list(&planned.delete_before)?;
            Some(format!("delete: {names} before #{}", planned.cell.index))
        });
        let after = list(&self.plan.delete_after).map(|names| format!("delete: {names} at the end"));
        before.chain(after)
    }

    fn consent(&self) -> Option<String> {
        let cells: Vec<_> = self
            .plan
            .needs_consent
            .iter()
            .map(|cell| format!("#{}", cell.index))
            .collect();
        (!cells.is_empty()).then(|| {
            format!(
                "consent: {} would be executed only to restore what others need, and marked @expensive: allow it with \
                 --allow-expensive",
                cells.join(", ")
            )
        })
    }
}

/// A reason in words: the kind first, as it is in JSON, then the names and the cell that are behind it.
pub(crate) fn explain(reason: &StaleReason, index: impl Fn(&CellId) -> Option<usize>) -> String {
    let via = reason.via.as_ref().map(|id| match index(id) {
        Some(index) => format!("#{index}"),
        None => "a removed cell".to_owned(),
    });
    let detail = match (reason.kind, via, list(&reason.names)) {
        (_, None, names) => names,
        (StaleKind::Clobber, Some(via), Some(names)) => Some(format!("{names}, which {via} overwrites")),
        (StaleKind::Restore, Some(via), Some(names)) => Some(format!("{names} for {via}")),
        (_, Some(via), Some(names)) => Some(format!("{names} from {via}")),
        (StaleKind::Restore, Some(via), None) => Some(format!("for {via}")),
        (_, Some(via), None) => Some(format!("by {via}")),
    };
    match detail {
        Some(detail) => format!("{}: {detail}", reason.kind),
        None => reason.kind.to_string(),
    }
}

/// A few names, and how many more there are; none of none.
pub(crate) fn list(names: &[String]) -> Option<String> {
    let listed = names
        .iter()
        .take(LISTED_NAMES)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => None,
        count if count <= LISTED_NAMES => Some(listed),
        count => Some(format!("{listed} and {} more", count - LISTED_NAMES)),
    }
}

/// What is asked for, in terms of the notebook.
pub(crate) fn plan_request(notebook: &Notebook, args: &PlanRequestArgs) -> Result<PlanRequest, SessionError> {
    let targets = args.targets.iter().map(|target| resolve_target(notebook, target));
    Ok(PlanRequest {
        mode: args.mode.into(),
        targets: targets.collect::<Result<_, _>>()?,
        allow_expensive: args.allow_expensive,
        ..PlanRequest::default()
    })
}
