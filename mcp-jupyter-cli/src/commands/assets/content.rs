use std::ops::Range;
use std::sync::Arc;

use futures_util::TryStreamExt;
use mcp_jupyter_core::assets::preview::fit;
use mcp_jupyter_core::assets::reading::{AssetReader, LineLimits, LineRange};
use mcp_jupyter_core::assets::{self, AssetStore, AssetStoreExt as _};
use mcp_jupyter_core::model::Digest;
use serde_json::json;

use crate::args::{ByteRange, CatArgs, ExportArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// Writes the bytes of an asset to stdout.
pub(super) async fn cat(args: CatArgs) -> Result<Exit, CliError> {
    let store = super::open(&args.store).await?;
    if let Some(range) = args.lines {
        return lines(store, &args.digest, range).await;
    }
    if let Some(pointer) = &args.pointer {
        let pointed = AssetReader::new(store)
            .pointer(&args.digest, pointer, MOST_TEXT)
            .await?;
        return Ok(text(&pointed.text, pointed.notice()));
    }
    if let Some((width, height)) = args.fit {
        let image = store.bytes(&args.digest, None).await?;
        let fitted =
            fit(&image, width, height).map_err(|error| CliError::usage(format!("{}: {error}", args.digest)))?;
        report::show_data(&fitted.bytes);
        return Ok(Exit::Ok);
    }
    let range = match args.bytes {
        Some(range) => Some(within(range, store.head(&args.digest).await?.length)),
        None => None,
    };
    let mut content = store.get(&args.digest, range).await?;
    while let Some(bytes) = content.try_next().await? {
        let is_read = report::stream_data(&bytes).map_err(|source| CliError::Output {
            path: "standard output".into(),
            source,
        })?;
        if !is_read {
            break;
        }
    }
    Ok(Exit::Ok)
}

/// What of a text is read at most: more is read on with another range, or as bytes.
const MOST_TEXT: usize = 16 << 20;

async fn lines(store: Arc<dyn AssetStore>, digest: &Digest, range: LineRange) -> Result<Exit, CliError> {
    let limits = LineLimits {
        lines: u64::MAX,
        bytes: MOST_TEXT,
    };
    let lines = AssetReader::new(store).lines(digest, range, limits).await?;
    Ok(text(&lines.text, lines.notice()))
}

/// Shows a text, and what is left out of it.
fn text(text: &str, notice: Option<String>) -> Exit {
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    report::show_data(format!("{text}{end}").as_bytes());
    if let Some(notice) = notice {
        report::show_note(&notice);
    }
    Exit::Ok
}

/// The part of a range that there is.
fn within(range: ByteRange, length: u64) -> Range<u64> {
    match range {
        ByteRange::From(from, to) => from.min(length)..to.unwrap_or(length).min(length),
        ByteRange::Last(last) => length.saturating_sub(last)..length,
    }
}

/// Writes the bytes of an asset into a file.
pub(super) async fn export(args: ExportArgs) -> Result<Exit, CliError> {
    if args.output.exists() && !args.force {
        return Err(CliError::usage_with_hint(
            format!("{} exists", args.output.display()),
            "use `--force` to replace it",
        ));
    }
    let store = super::open(&args.store).await?;
    let asset = store.head(&args.digest).await?;
    assets::export(&*store, &args.digest, &args.output, args.force).await?;
    if args.store.json {
        report::show_json_line(&json!({"digest": asset.digest, "length": asset.length, "path": args.output}));
    }
    Ok(Exit::Ok)
}
