use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use mcp_jupyter_core::assets::preview::{grouped, human_size};
use mcp_jupyter_core::assets::{AssetMetadata, AssetStore, Reference};
use mcp_jupyter_core::model::Digest;
use serde::Serialize;
use serde_json::json;

use crate::args::{AssetArgs, StoreArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// An asset as it is listed.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    asset: AssetMetadata,
    refs: Vec<Reference>,
}

/// Lists all assets in the order of their digests.
pub(super) async fn list(args: StoreArgs) -> Result<Exit, CliError> {
    let store = super::open(&args).await?;
    let listed = listed(&*store).await?;
    if args.json {
        report::show_json_line(&listed);
    } else if listed.is_empty() {
        report::show_note(&format!("there is nothing in {store}"));
    } else {
        let header = ["DIGEST", "SIZE", "TYPE", "CREATED", "REFERENCES"];
        report::show_table(&header, &listed.iter().map(row).collect::<Vec<_>>());
    }
    Ok(Exit::Ok)
}

async fn listed(store: &dyn AssetStore) -> Result<Vec<Listed>, CliError> {
    let (assets, references) = tokio::try_join!(
        store.list().try_collect::<Vec<AssetMetadata>>(),
        store.list_references().try_collect::<Vec<(Digest, Reference)>>()
    )?;
    let mut by_digest: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
    for (digest, reference) in references {
        by_digest.entry(digest).or_default().push(reference);
    }
    let listed = assets.into_iter().map(|asset| Listed {
        refs: by_digest.remove(&asset.digest).unwrap_or_default(),
        asset,
    });
    Ok(listed.collect())
}

fn row(listed: &Listed) -> Vec<String> {
    let Listed { asset, refs } = listed;
    vec![
        asset.digest.to_string(),
        human_size(asset.length),
        asset.mime.to_string(),
        asset.created.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        match refs.as_slice() {
            [] => "none".to_owned(),
            [one] => one.to_string(),
            [one, more @ ..] => format!("{one} and {} more", more.len()),
        },
    ]
}

/// Says what is known of one asset.
pub(super) async fn show(args: AssetArgs) -> Result<Exit, CliError> {
    let store = super::open(&args.store).await?;
    let listed = Listed {
        asset: store.head(&args.digest).await?,
        refs: store.references(&args.digest).await?,
    };
    if args.store.json {
        report::show_json(&listed);
        return Ok(Exit::Ok);
    }
    let Listed { asset, refs } = listed;
    let mut rows = vec![
        vec!["digest".to_owned(), asset.digest.to_string()],
        vec!["size".to_owned(), format!("{} bytes", grouped(asset.length))],
        vec!["type".to_owned(), asset.mime.to_string()],
        vec!["created".to_owned(), asset.created.to_string()],
    ];
    rows.extend(asset.lines.map(|lines| vec!["lines".to_owned(), grouped(lines)]));
    let pixels = asset.pixels.map(|(width, height)| format!("{width} × {height}"));
    rows.extend(pixels.map(|pixels| vec!["pixels".to_owned(), pixels]));
    rows.extend(
        refs.iter()
            .map(|reference| vec!["reference".to_owned(), reference.to_string()]),
    );
    report::show_table(&["ASSET", ""], &rows);
    Ok(Exit::Ok)
}

/// Says how much there is, by type.
pub(super) async fn usage(args: StoreArgs) -> Result<Exit, CliError> {
    let store = super::open(&args).await?;
    let listed = listed(&*store).await?;
    let mut by_type: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut size, mut unreferenced) = (0, 0);
    for Listed { asset, refs } in &listed {
        let (count, bytes) = by_type.entry(asset.mime.essence().to_owned()).or_default();
        *count += 1;
        *bytes += asset.length;
        size += asset.length;
        unreferenced += if refs.is_empty() { asset.length } else { 0 };
    }
    if args.json {
        let types: BTreeMap<_, _> = by_type
            .iter()
            .map(|(mime, (count, bytes))| (mime, json!({"assets": count, "bytes": bytes})))
            .collect();
        let all = json!({"assets": listed.len(), "bytes": size, "unreferenced_bytes": unreferenced, "types": types});
        report::show_json(&all);
        return Ok(Exit::Ok);
    }
    let mut rows: Vec<Vec<String>> = by_type
        .into_iter()
        .map(|(mime, (count, bytes))| vec![mime, grouped(count), human_size(bytes)])
        .collect();
    rows.push(vec!["all".to_owned(), grouped(listed.len() as u64), human_size(size)]);
    rows.push(vec![
        "without a registered reference".to_owned(),
        String::new(),
        human_size(unreferenced),
    ]);
    report::show_table(&["TYPE", "ASSETS", "SIZE"], &rows);
    Ok(Exit::Ok)
}
