use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

/// Notebooks that are listed at most.
const LISTED: usize = 200;

/// Folders in which nobody keeps notebooks to be worked on.
const PASSED_OVER: [&str; 3] = ["node_modules", "__pycache__", "site-packages"];

pub(super) struct NotebookList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Only below this folder
    folder: Option<String>,
}

impl Tool for NotebookList {
    const NAME: &'static str = "notebook_list";
    const DESCRIPTION: &'static str = "List the notebooks, and which of them have a kernel.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let folders = match &arguments.folder {
            Some(named) => vec![server.roots.existing(named)?],
            None => server.roots.folders().to_vec(),
        };
        let found = notebooks(folders).await?;
        let records = server.sessions.store().list().await?;
        let mut lines: Vec<String> = Vec::new();
        for path in found.iter().take(LISTED) {
            let record = records.iter().find(|record| record.path == *path);
            let kernel = record.and_then(|record| record.kernel.as_ref());
            let living = kernel.filter(|kernel| {
                let found = server.sessions.kernels().find(&kernel.kernel_id);
                found.is_some_and(|found| found.is_alive)
            });
            let kernel = living.map_or_else(String::new, |kernel| format!(" (kernel {})", kernel.spec.name));
            lines.push(format!("{}{kernel}", server.shown(path)));
        }
        if found.len() > LISTED {
            lines.push(format!("[{} more; name a folder]", found.len() - LISTED));
        }
        if lines.is_empty() {
            lines.push("no notebooks".to_owned());
        }
        Ok(Answer::text(lines.join("\n")))
    }
}

/// As [`find`], without keeping others waiting.
pub(in crate::mcp) async fn notebooks(folders: Vec<PathBuf>) -> Result<Vec<PathBuf>, Refusal> {
    let found = tokio::task::spawn_blocking(move || find(&folders)).await;
    found.map_err(|error| Refusal::new(format!("the notebooks cannot be listed: {error}")))
}

/// The notebooks in these folders and below, sorted. Links to folders are not followed: they could lead anywhere.
pub(super) fn find(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = folders.to_vec();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir() else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && is_searched(&path) => folders.push(path),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|extension| extension == "ipynb") => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn is_searched(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && !PASSED_OVER.contains(&&*name)
}
