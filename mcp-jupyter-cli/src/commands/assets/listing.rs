use mcp_jupyter_core::assets::preview::{grouped, human_size};
use mcp_jupyter_core::assets::{self, Listed, TypeUsage, listed};

use crate::args::{AssetArgs, StoreArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

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
    let usage = assets::usage(&*store).await?;
    if args.json {
        report::show_json(&usage);
        return Ok(Exit::Ok);
    }
    let of_type = |(mime, of_type): (String, TypeUsage)| vec![mime, grouped(of_type.assets), human_size(of_type.bytes)];
    let mut rows: Vec<Vec<String>> = usage.types.into_iter().map(of_type).collect();
    rows.push(vec!["all".to_owned(), grouped(usage.assets), human_size(usage.bytes)]);
    rows.push(vec![
        "without a registered reference".to_owned(),
        String::new(),
        human_size(usage.unreferenced_bytes),
    ]);
    report::show_table(&["TYPE", "ASSETS", "SIZE"], &rows);
    Ok(Exit::Ok)
}
