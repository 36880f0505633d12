//! What a run would do, found without a kernel.

mod earlier;

use std::mem::ManuallyDrop;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::preview::Preview;
use mcp_jupyter_core::engine::{planner, resolve_target};
use mcp_jupyter_core::scheduler::PlanRequest;
use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::Notebook;

use crate::args::{PlanRequestArgs, PreviewArgs};
use crate::error::CliError;
use crate::job::Input;

/// Reads the notebook and plans it.
pub(crate) fn preview(args: &PreviewArgs) -> Result<Preview, CliError> {
    let input = Input::new(&args.notebook);
    if input == Input::Stdin && args.since.as_deref().is_some_and(|since| since.as_os_str() == "-") {
        return Err(CliError::usage("standard input (`-`) can be read only once"));
    }
    let notebook = input.read_sources()?;
    let earlier = earlier::read(args, &input)?;
    let request = plan_request(&notebook, &args.request)?;
    // The process ends soon: to free all that was analysed piece by piece would be a good part of its time.
    let planner = ManuallyDrop::new(planner(&notebook, earlier.as_ref()));
    let preview = Preview::of_planner(input.name(), notebook, &planner, &request);
    Ok(preview.map_err(Error::from)?)
}

/// What is asked for, in terms of the notebook.
fn plan_request(notebook: &Notebook, args: &PlanRequestArgs) -> Result<PlanRequest, SessionError> {
    let targets = args.targets.iter().map(|target| resolve_target(notebook, target));
    Ok(PlanRequest {
        mode: args.mode.into(),
        targets: targets.collect::<Result<_, _>>()?,
        allow_expensive: args.allow_expensive,
        ..PlanRequest::default()
    })
}
