use mcp_jupyter_core::engine::drawing::{Drawing, dot, mermaid, svg};
use mcp_jupyter_core::engine::preview::PlanDocument;

use crate::args::{PlanArgs, PlanFormat};
use crate::error::CliError;
use crate::exit::Exit;
use crate::preview::preview;
use crate::report;

/// Prints what would be executed, and why.
pub(crate) fn plan(args: &PlanArgs) -> Result<Exit, CliError> {
    let preview = preview(&args.preview)?;
    match args.format {
        PlanFormat::Table => report::show_plan(&preview),
        PlanFormat::Json => report::show_json_line(&PlanDocument::new(&preview)),
        PlanFormat::Dot => report::show_data(dot(&Drawing::new(&preview)).as_bytes()),
        PlanFormat::Mermaid => report::show_data(mermaid(&Drawing::new(&preview)).as_bytes()),
        PlanFormat::Svg => report::show_data(svg(&Drawing::new(&preview)).as_bytes()),
    }
    // The process ends: to free a large notebook piece by piece first would take as long as to read it.
    std::mem::forget(preview);
    Ok(Exit::Ok)
}
