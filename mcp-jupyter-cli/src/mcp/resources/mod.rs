//! What a client may attach, list and watch without a tool: notebooks, cells, outputs, assets, kernels and runs.
//!
//! A resource is what a tool shows as well, and is offered where that tool is.

mod address;
mod reading;
mod watching;

use std::sync::Arc;

use rmcp::model::{ListResourcesResult, Resource, ResourceTemplate};

use super::answer::Refusal;
use super::server::Server;
use super::show::run_state;
use super::tools;

pub(super) use self::address::Address;
pub(super) use self::reading::read;
pub(super) use self::watching::Subscriptions;

/// Resources that one page of the list has.
const PAGE: usize = 200;

/// How the URIs of resources are made, with the tool that shows the same.
const TEMPLATES: [(&str, &str, &str, &str); 6] = [
    (
        "notebook_read",
        "notebook:///{+path}",
        "outline",
        "A notebook: its cells in a line each, and what is stale",
    ),
    (
        "notebook_read",
        "notebook:///{+path}/cells/{cell}",
        "cell",
        "A cell with its source and outputs",
    ),
    (
        "notebook_read",
        "notebook:///{+path}/cells/{cell}/outputs/{output}{?lines}",
        "output",
        "One output of a cell, by its place from 0: an image in its full size, text whole or by lines (10-20)",
    ),
    (
        "asset_read",
        "asset:///{digest}{?lines,bytes}",
        "asset",
        "A large output that is kept outside of its notebook; lines=10-20, lines=-5, bytes=0-1023",
    ),
    (
        "kernel_list",
        "kernel:///{+path}",
        "kernel",
        "The kernel of a notebook, as JSON",
    ),
    (
        "run_status",
        "run:///{run_id}{?since}",
        "run",
        "A run: its state, and its output since a cursor",
    ),
];

/// The templates whose tools are offered.
pub(super) fn templates(offered: &[&str]) -> Vec<ResourceTemplate> {
    let shown = TEMPLATES.into_iter().filter(|(tool, ..)| offered.contains(tool));
    let templates =
        shown.map(|(_, uri, name, description)| ResourceTemplate::new(uri, name).with_description(description));
    templates.collect()
}

/// The notebooks, the living kernels and the runs that are remembered; a page of them.
pub(super) async fn list(
    server: &Arc<Server>,
    offered: &[&str],
    cursor: Option<&str>,
) -> Result<ListResourcesResult, Refusal> {
    let first: usize = match cursor {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Refusal::new(format!("{cursor:?} is no cursor of this list")))?,
    };
    let all = all(server, offered).await?;
    let page: Vec<Resource> = all.iter().skip(first).take(PAGE).cloned().collect();
    let next = first + page.len();
    let mut result = ListResourcesResult::with_all_items(page);
    result.next_cursor = (next < all.len()).then(|| next.to_string());
    Ok(result)
}

async fn all(server: &Arc<Server>, offered: &[&str]) -> Result<Vec<Resource>, Refusal> {
    let mut all = Vec::new();
    if offered.contains(&"notebook_read") {
        all.extend(notebooks(server).await?);
    }
    if offered.contains(&"kernel_list") {
        all.extend(kernels(server).await?);
    }
    if offered.contains(&"run_status") {
        all.extend(runs(server));
    }
    Ok(all)
}

async fn notebooks(server: &Arc<Server>) -> Result<Vec<Resource>, Refusal> {
    let found = tools::notebooks(server.roots.folders().to_vec()).await?;
    let notebooks = found.iter().map(|path| {
        let path = server.shown(path);
        Resource::new(Address::Outline { path: path.clone() }.to_string(), path).with_mime_type("text/plain")
    });
    Ok(notebooks.collect())
}

async fn kernels(server: &Arc<Server>) -> Result<Vec<Resource>, Refusal> {
    let mut kernels = Vec::new();
    for record in server.sessions.store().list().await? {
        let Some(kernel) = record.kernel.as_ref().filter(|_| server.roots.contains(&record.path)) else {
            continue;
        };
        let found = server.sessions.kernels().find(&kernel.kernel_id);
        if found.is_some_and(|found| found.is_alive) {
            let path = server.shown(&record.path);
            let name = format!("kernel {} of {path}", kernel.spec.name);
            let resource = Resource::new(Address::Kernel { path }.to_string(), name);
            kernels.push(resource.with_mime_type("application/json"));
        }
    }
    Ok(kernels)
}

fn runs(server: &Arc<Server>) -> Vec<Resource> {
    let runs = server.runs().into_iter().map(|(id, log)| {
        let name = format!("run of {}: {}", server.shown(&log.path), run_state(&log));
        let run = id.to_string();
        Resource::new(Address::Run { run, since: 0 }.to_string(), name).with_mime_type("text/plain")
    });
    runs.collect()
}
