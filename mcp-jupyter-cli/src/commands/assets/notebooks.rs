use std::path::{Path, PathBuf};

use mcp_jupyter_core::engine;
use mcp_jupyter_core::engine::Offload;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};
use serde_json::json;

use crate::args::{InlineArgs, OffloadArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::{Input, print_notebook};
use crate::report;

/// Puts back what was taken out of a notebook.
pub(super) async fn inline(args: InlineArgs) -> Result<Exit, CliError> {
    let store = super::open(&args.store).await?;
    let mut notebook = Input::new(args.notebook.clone()).read()?;
    let inlined = engine::inline(&mut notebook, &*store).await?;
    let said = format!("{} put back", outputs(inlined.outputs));
    write(
        &notebook,
        &args.notebook,
        args.output,
        args.store.json,
        inlined.outputs,
        &said,
    )
}

/// Takes the large outputs out of a notebook.
pub(super) async fn offload(args: OffloadArgs) -> Result<Exit, CliError> {
    let offload = Offload::new(super::open(&args.store).await?);
    let offload = match args.asset_threshold {
        Some(threshold) => offload.with_threshold(threshold),
        None => offload,
    };
    let mut notebook = Input::new(args.notebook.clone()).read()?;
    let path = args.output.as_deref().unwrap_or(&args.notebook);
    let name = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let offloaded = offload.notebook(&mut notebook, &name.to_string_lossy()).await?;
    let said = format!("{} taken out", outputs(offloaded.outputs));
    write(
        &notebook,
        &args.notebook,
        args.output,
        args.store.json,
        offloaded.outputs,
        &said,
    )
}

fn outputs(count: usize) -> String {
    match count {
        1 => "1 output".to_owned(),
        _ => format!("{count} outputs"),
    }
}

fn write(
    notebook: &Notebook,
    input: &Path,
    output: Option<PathBuf>,
    is_json: bool,
    outputs: usize,
    said: &str,
) -> Result<Exit, CliError> {
    let path = output.unwrap_or_else(|| input.to_owned());
    if path == Path::new("-") {
        print_notebook(notebook)?;
        return Ok(Exit::Ok);
    }
    notebook.save(&path, Durability::Power)?;
    if is_json {
        report::show_json_line(&json!({"notebook": path, "outputs": outputs}));
    } else {
        report::show_note(&format!("{}: {said}", path.display()));
    }
    Ok(Exit::Ok)
}
