//! How the arguments of prompts and of the URIs of resources may go on.

use std::sync::Arc;

use mcp_jupyter_core::kernel::KernelProvisioner;
use rmcp::model::{CompleteRequestParams, CompletionInfo};

use super::answer::Refusal;
use super::server::Server;
use super::tools::{notebooks, variable_names};

/// The values that an argument may have, those that begin as it does first.
pub(super) async fn complete(
    server: &Arc<Server>,
    request: &CompleteRequestParams,
    offered: &[&str],
) -> Result<CompletionInfo, Refusal> {
    let known = request.context.as_ref().and_then(|context| context.arguments.as_ref());
    let path = known.and_then(|known| known.get("path")).map(String::as_str);
    let has = |tool: &str| offered.contains(&tool);
    let values = match request.argument.name.as_str() {
        "path" if has("notebook_list") => paths(server).await?,
        "cell" if has("notebook_read") => cells(server, path).await,
        "output" if has("notebook_read") => {
            let cell = known.and_then(|known| known.get("cell")).map(String::as_str);
            outputs(server, path, cell).await
        }
        "run_id" if has("run_status") => server.runs().into_iter().map(|(id, _)| id.to_string()).collect(),
        "kernel" if has("kernel_list") => kernelspecs(server).await?,
        "variable" if has("variable_list") => variables(server, path).await,
        _ => Vec::new(),
    };
    Ok(fitting(values, &request.argument.value))
}

async fn paths(server: &Arc<Server>) -> Result<Vec<String>, Refusal> {
    let found = notebooks(server.roots.folders().to_vec()).await?;
    Ok(found.iter().map(|path| server.shown(path)).collect())
}

/// The ids of a notebook's cells; none where the notebook is not known yet.
async fn cells(server: &Arc<Server>, path: Option<&str>) -> Vec<String> {
    let Some(path) = path else { return Vec::new() };
    let Ok((_, notebook)) = server.peek(path).await else {
        return Vec::new();
    };
    notebook.cells().iter().map(|cell| cell.id().to_string()).collect()
}

async fn outputs(server: &Arc<Server>, path: Option<&str>, cell: Option<&str>) -> Vec<String> {
    let (Some(path), Some(cell)) = (path, cell) else {
        return Vec::new();
    };
    let Ok((_, notebook)) = server.peek(path).await else {
        return Vec::new();
    };
    let Ok(position) = notebook.find(cell) else {
        return Vec::new();
    };
    let count = notebook.cells()[position].outputs().len();
    (0..count).map(|output| output.to_string()).collect()
}

async fn kernelspecs(server: &Arc<Server>) -> Result<Vec<String>, Refusal> {
    let specs = server.kernels.provisioner().kernelspecs().await?;
    Ok(specs.into_iter().map(|spec| spec.name).collect())
}

/// The variables of a notebook's kernel; none where it has none, or is executing.
async fn variables(server: &Arc<Server>, path: Option<&str>) -> Vec<String> {
    match path {
        Some(path) => variable_names(server, path).await.unwrap_or_default(),
        None => Vec::new(),
    }
}

/// Those that begin with the text, then those that have it elsewhere, as many as may be told.
fn fitting(values: Vec<String>, text: &str) -> CompletionInfo {
    let text = text.to_lowercase();
    let place = |value: &String| value.to_lowercase().find(&text);
    let (first, later): (Vec<String>, Vec<String>) = values
        .into_iter()
        .filter(|value| place(value).is_some())
        .partition(|value| place(value) == Some(0));
    let mut values: Vec<String> = first.into_iter().chain(later).collect();
    let total = u32::try_from(values.len()).unwrap_or(u32::MAX);
    values.truncate(CompletionInfo::MAX_VALUES);
    let has_more = total as usize > values.len();
    CompletionInfo::with_pagination(values, Some(total), has_more).expect("there are not more than may be told")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_the_text_comes_first() {
        let values = ["b/data.ipynb", "Data.ipynb", "other.ipynb"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(fitting(values, "da").values, ["Data.ipynb", "b/data.ipynb"]);
        let many = fitting((0..250).map(|n| n.to_string()).collect(), "");
        assert_eq!(
            (many.values.len(), many.total, many.has_more),
            (100, Some(250), Some(true))
        );
    }
}
