use mcp_jupyter_core::assets::preview::human_size;
use mcp_jupyter_core::assets::retention::{self, PrunedAsset, Retention};

use crate::args::PruneArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// Deletes the assets that nothing needs.
pub(super) async fn prune(args: PruneArgs) -> Result<Exit, CliError> {
    let store = super::open(&args.store).await?;
    let retention = Retention {
        roots: args.roots,
        grace: args.grace,
        quota: args.quota,
        dry_run: args.dry_run,
    };
    let pruned = retention::prune(&*store, &retention).await?;
    if args.store.json {
        report::show_json(&pruned);
        return Ok(Exit::Ok);
    }
    let verb = if args.dry_run { "would go" } else { "deleted" };
    let rows = |assets: &[PrunedAsset], what: &str| -> Vec<Vec<String>> {
        let row = |asset: &PrunedAsset| {
            let size = human_size(asset.length);
            vec![what.to_owned(), asset.digest.to_string(), size, asset.why.clone()]
        };
        assets.iter().map(row).collect()
    };
    let mut all = rows(&pruned.deleted, verb);
    all.extend(rows(&pruned.waiting, "waits"));
    if !all.is_empty() {
        report::show_table(&["", "DIGEST", "SIZE", "WHY"], &all);
    }
    report::show_note(&format!(
        "{} {verb} ({}), {} wait, {} are needed",
        pruned.deleted.len(),
        human_size(pruned.freed),
        pruned.waiting.len(),
        pruned.needed
    ));
    Ok(Exit::Ok)
}
