//! Reading resources.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_jupyter_core::assets::AssetStoreExt;
use mcp_jupyter_core::assets::reading::{LineLimits, LineRange};
use mcp_jupyter_core::model::Digest;
use rmcp::model::{ContentBlock, ReadResourceResult, ResourceContents};
use tokio::time::Instant;

use super::Address;
use crate::mcp::answer::Refusal;
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::show::{asset_of, image_of};
use crate::mcp::tools::{Wanted, show_notebook, status_of};

/// What is given of binary data at a time, in bytes.
const LONGEST: usize = 16 << 20;

/// Lines that are given at most.
const LINES: u64 = 2000;

/// What a resource is.
pub(in crate::mcp) async fn read(
    server: &Arc<Server>,
    uri: &str,
    offered: &[&str],
    caller: &Caller,
) -> Result<ReadResourceResult, Refusal> {
    let contents = match Address::offered(uri, offered)? {
        Address::Outline { path } => notebook(server, uri, &Wanted::outline(path)).await?,
        Address::Cell { path, cell } => notebook(server, uri, &Wanted::cell(path, cell)).await?,
        Address::Output {
            path,
            cell,
            output,
            lines,
        } => self::output(server, uri, path, cell, output, lines).await?,
        Address::Asset { digest, lines, bytes } => asset(server, uri, &digest, lines, bytes).await?,
        Address::Kernel { path } => {
            let state = super::watching::kernel_state(server, &path).await?;
            vec![ResourceContents::text(format!("{state:#}"), uri).with_mime_type("application/json")]
        }
        Address::Run { run, since } => blocks(
            status_of(server, &run, since, Instant::now(), caller).await?.content,
            uri,
        ),
    };
    Ok(ReadResourceResult::new(contents))
}

async fn notebook(server: &Arc<Server>, uri: &str, wanted: &Wanted) -> Result<Vec<ResourceContents>, Refusal> {
    let mut page = server.page();
    show_notebook(server, wanted, &mut page).await?;
    Ok(blocks(page.finish(), uri))
}

/// An image as it is, anything else as a tool shows it.
async fn output(
    server: &Arc<Server>,
    uri: &str,
    path: String,
    cell: String,
    output: usize,
    lines: Option<String>,
) -> Result<Vec<ResourceContents>, Refusal> {
    let (_, notebook) = server.read(&path).await?;
    let found = &notebook.cells()[notebook.find(&cell)?];
    if let Some(found) = found.outputs().get(output).filter(|_| lines.is_none()) {
        if let Some(asset) = asset_of(found).filter(|asset| asset.mime.starts_with("image/")) {
            return self::asset(server, uri, &asset.digest, None, None).await;
        }
        if let Some((mime, encoded)) = image_of(found) {
            return Ok(vec![ResourceContents::blob(encoded, uri).with_mime_type(mime)]);
        }
    }
    self::notebook(server, uri, &Wanted::output(path, cell, output, lines)).await
}

async fn asset(
    server: &Server,
    uri: &str,
    digest: &str,
    lines: Option<String>,
    bytes: Option<String>,
) -> Result<Vec<ResourceContents>, Refusal> {
    let named = digest;
    let digest: Digest = digest
        .parse()
        .map_err(|error| Refusal::new(format!("{named:?}: {error}")))?;
    let reader = server.assets()?;
    let metadata = reader.store().head(&digest).await?;
    let mime = metadata.mime.to_string();
    if let Some(bytes) = bytes {
        let range = byte_range(&bytes)?;
        let read = reader.bytes(&digest, Some(range), LONGEST).await?;
        let contents = match std::str::from_utf8(&read.bytes) {
            Ok(text) if metadata.mime.is_text() => ResourceContents::text(text, uri),
            _ => ResourceContents::blob(STANDARD.encode(&read.bytes), uri),
        };
        return Ok(vec![contents.with_mime_type(mime)]);
    }
    if !metadata.mime.is_text() && lines.is_none() {
        if metadata.length > LONGEST as u64 {
            return Err(Refusal::new(format!(
                "{digest} has {} bytes, more than are given at a time",
                metadata.length
            ))
            .with_advice(format!("read it in parts: {uri}?bytes=0-{}", LONGEST - 1)));
        }
        let bytes = reader.store().bytes(&digest, None).await?;
        return Ok(vec![
            ResourceContents::blob(STANDARD.encode(&bytes), uri).with_mime_type(mime),
        ]);
    }
    let range: LineRange = lines.as_deref().unwrap_or("1-").parse()?;
    let limits = LineLimits {
        lines: LINES,
        bytes: server.policy.text_limit,
    };
    let read = reader.lines(&digest, range, limits).await?;
    let text = match read.notice() {
        Some(notice) => format!("{}\n[{notice}]", read.text.trim_end_matches('\n')),
        None => read.text,
    };
    Ok(vec![ResourceContents::text(text, uri).with_mime_type(mime)])
}

/// A range of bytes as HTTP writes it: the last one is in it.
fn byte_range(text: &str) -> Result<std::ops::Range<u64>, Refusal> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let first: u64 = first.parse().ok()?;
        let end = if last.is_empty() {
            u64::MAX
        } else {
            last.parse::<u64>().ok()?.checked_add(1)?
        };
        (first < end).then_some(first..end)
    });
    range.ok_or_else(|| Refusal::new(format!("{text:?} are no bytes; they are written 0-1023, from 0")))
}

/// What a tool would show as the contents of a resource.
fn blocks(blocks: Vec<ContentBlock>, uri: &str) -> Vec<ResourceContents> {
    let contents = blocks.into_iter().filter_map(|block| match block {
        ContentBlock::Text(text) => Some(ResourceContents::text(text.text, uri)),
        ContentBlock::Image(image) => Some(ResourceContents::blob(image.data, uri).with_mime_type(image.mime_type)),
        _ => None,
    });
    contents.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_ranges_with_their_last_one() {
        assert_eq!(byte_range("0-1023").unwrap(), 0..1024);
        assert_eq!(byte_range("5-").unwrap(), 5..u64::MAX);
        for wrong in ["", "5", "-5", "5-4", "a-b", "0-18446744073709551615"] {
            assert!(byte_range(wrong).is_err(), "{wrong}");
        }
    }
}
