use futures_util::TryStreamExt;
use mcp_jupyter_core::assets::problem;
use serde_json::json;

use crate::args::VerifyArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// Compares the bytes of assets with their digests.
pub(super) async fn verify(args: VerifyArgs) -> Result<Exit, CliError> {
    let store = super::open(&args.store).await?;
    let digests = if args.digests.is_empty() {
        store.list().map_ok(|asset| asset.digest).try_collect().await?
    } else {
        args.digests
    };
    let mut damaged = Vec::new();
    for digest in &digests {
        if let Some(problem) = problem(&*store, digest).await? {
            damaged.push((*digest, problem));
        }
    }
    if args.store.json {
        let list: Vec<_> = damaged
            .iter()
            .map(|(digest, problem)| json!({"digest": digest, "problem": problem}))
            .collect();
        report::show_json(&json!({"verified": digests.len(), "damaged": list}));
    } else {
        for (digest, problem) in &damaged {
            report::show_note(&format!("{digest}: {problem}"));
        }
        report::show_note(&format!("{} verified, {} damaged", digests.len(), damaged.len()));
    }
    Ok(if damaged.is_empty() { Exit::Ok } else { Exit::Failed })
}
