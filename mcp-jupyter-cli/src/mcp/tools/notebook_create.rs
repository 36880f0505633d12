use std::sync::Arc;

use mcp_jupyter_core::model::CellId;
use mcp_jupyter_core::session::notebook::{Cell, Durability, Notebook};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::show::named;
use crate::mcp::tool::{Effect, Tool};

/// The kernelspec of a notebook for which none is named.
const USUAL_KERNEL: &str = "python3";

pub(super) struct NotebookCreate;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// A new file that ends in .ipynb
    path: String,
    /// A kernelspec, as kernel_list names it [python3]
    kernel: Option<String>,
    /// Its first cells
    #[serde(default)]
    cells: Vec<NewCell>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCell {
    source: String,
    /// Markdown instead of code
    #[serde(default)]
    markdown: bool,
}

impl Tool for NotebookCreate {
    const NAME: &'static str = "notebook_create";
    const DESCRIPTION: &'static str = "Make a notebook. Nothing is executed.";
    const EFFECT: Effect = Effect::Changes;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let path = server.roots.new_file(&arguments.path)?;
        if path.extension().is_none_or(|extension| extension != "ipynb") {
            return Err(Refusal::new(format!("{} does not end in .ipynb", arguments.path)));
        }
        let notebook = new_notebook(&server, &arguments).await?;
        let notebook =
            tokio::task::spawn_blocking(move || notebook.save(&path, Durability::Process).map(|()| notebook));
        let notebook = notebook
            .await
            .map_err(|error| Refusal::new(format!("the notebook cannot be written: {error}")))??;
        let cells = notebook.cells().iter().enumerate();
        let lines = cells.map(|(index, cell)| format!("\n{}", named(index, cell)));
        Ok(Answer::text(format!(
            "made {}{}",
            arguments.path,
            lines.collect::<String>()
        )))
    }
}

async fn new_notebook(server: &Server, arguments: &Arguments) -> Result<Notebook, Refusal> {
    let wanted = arguments.kernel.as_deref();
    let kernelspec = match (wanted, &server.kernel.python) {
        // The interpreter that the server was told to use need have no kernelspec of this name.
        (None, Some(_)) => json!({ "name": USUAL_KERNEL, "display_name": "Python 3", "language": "python" }),
        (wanted, _) => {
            let spec = server
                .kernels
                .provisioner()
                .kernelspec(wanted.unwrap_or(USUAL_KERNEL))
                .await?;
            json!({ "name": spec.name, "display_name": spec.display_name, "language": spec.language })
        }
    };
    let document = json!({ "cells": [], "metadata": { "kernelspec": kernelspec }, "nbformat": 4, "nbformat_minor": 5 });
    let mut notebook = Notebook::parse(document.to_string().as_bytes())?;
    let cells = arguments.cells.iter().map(|cell| {
        let id = new_id();
        if cell.markdown {
            Cell::new_markdown(id, &cell.source)
        } else {
            Cell::new_code(id, &cell.source)
        }
    });
    notebook.cells_mut().extend(cells);
    Ok(notebook)
}

/// Eight characters, as Jupyter's own ids have.
fn new_id() -> CellId {
    let random = mcp_jupyter_core::model::RunId::random();
    CellId::from(&random.as_str()[..8])
}
