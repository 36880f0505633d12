use std::path::Path;

use mcp_jupyter_core::engine::drawing::{Drawing, html, svg};

use crate::args::{GraphArgs, GraphFormat};
use crate::error::CliError;
use crate::exit::Exit;
use crate::preview::preview;
use crate::report;

/// Draws which cell depends on which.
pub(crate) fn graph(args: &GraphArgs) -> Result<Exit, CliError> {
    let format = format(args)?;
    let preview = preview(&args.preview)?;
    let drawing = Drawing::new(&preview);
    let picture = match format {
        GraphFormat::Svg => svg(&drawing),
        GraphFormat::Html => html(&drawing),
    };
    match args.output.as_deref().filter(|path| path.as_os_str() != "-") {
        None => report::show_data(picture.as_bytes()),
        Some(path) => std::fs::write(path, picture).map_err(|source| CliError::Output {
            path: path.to_owned(),
            source,
        })?,
    }
    Ok(Exit::Ok)
}

/// What is asked for, or what the extension of the output says.
fn format(args: &GraphArgs) -> Result<GraphFormat, CliError> {
    let Some(path) = args.output.as_deref().filter(|path| path.as_os_str() != "-") else {
        return Ok(args.format.unwrap_or(GraphFormat::Svg));
    };
    args.format.or_else(|| format_of(path)).ok_or_else(|| {
        CliError::usage_with_hint(
            format!("{}: its extension says neither `svg` nor `html`", path.display()),
            "say which with --format",
        )
    })
}

fn format_of(path: &Path) -> Option<GraphFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "svg" => Some(GraphFormat::Svg),
        "html" | "htm" => Some(GraphFormat::Html),
        _ => None,
    }
}
