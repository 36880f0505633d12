use std::sync::Arc;

use mcp_jupyter_core::assets::AssetStoreExt;
use mcp_jupyter_core::assets::reading::{LineLimits, LineRange, Pattern, Search};
use mcp_jupyter_core::engine::METADATA_KEY;
use mcp_jupyter_core::model::{Digest, Json};
use rmcp::model::{ContentBlock, Resource};
use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::NotebookArguments;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::resources::Address;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

/// Lines that are given at most.
const LINES: u64 = 2000;

/// Lines that a search finds at most.
const MATCHES: u64 = 50;

/// An image is scaled down only if it is not longer than this, in bytes.
const LONGEST_IMAGE: u64 = 64 << 20;

pub(super) struct AssetRead;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// sha256:…, as a result names it
    digest: String,
    /// 10-20, -5 for the last five
    lines: Option<String>,
    /// Lines with this text
    search: Option<String>,
    /// `search` is a regular expression
    #[serde(default)]
    regex: bool,
    /// Search from this line on
    from_line: Option<u64>,
    /// Lines around each match
    context: Option<usize>,
    /// A JSON pointer, such as /rows/0
    pointer: Option<String>,
    /// From this byte on
    offset: Option<u64>,
}

impl Tool for AssetRead {
    const NAME: &'static str = "asset_read";
    const DESCRIPTION: &'static str =
        "Read a large output: by lines, search, JSON pointer or bytes; an image scaled to fit.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let digest: Digest = arguments
            .digest
            .parse()
            .map_err(|error| Refusal::new(format!("{:?}: {error}", arguments.digest)))?;
        let reader = server.assets()?;
        let limit = server.policy.text_limit;
        if let Some(text) = &arguments.search {
            return search(&server, &digest, text, &arguments).await;
        }
        if let Some(pointer) = &arguments.pointer {
            let found = reader.pointer(&digest, pointer, limit).await?;
            let notice = found.notice();
            return Ok(noted(found.text, notice));
        }
        let metadata = reader.store().head(&digest).await?;
        if arguments.lines.is_none() && arguments.offset.is_none() && metadata.mime.to_string().starts_with("image/") {
            return image(&server, &digest, metadata.length).await;
        }
        if let Some(offset) = arguments.offset {
            let read = reader.bytes(&digest, Some(offset..u64::MAX), limit).await?;
            let notice = read.notice();
            let text = String::from_utf8_lossy(&read.bytes).into_owned();
            return Ok(noted(text, notice));
        }
        let range: LineRange = arguments.lines.as_deref().unwrap_or("1-").parse()?;
        let limits = LineLimits {
            lines: LINES,
            bytes: limit,
        };
        let lines = reader.lines(&digest, range, limits).await?;
        let notice = lines.notice();
        Ok(noted(lines.text, notice))
    }
}

fn noted(text: String, notice: Option<String>) -> Answer {
    Answer::text(match notice {
        Some(notice) => format!("{}\n[{notice}]", text.trim_end_matches('\n')),
        None => text,
    })
}

async fn search(server: &Server, digest: &Digest, text: &str, arguments: &Arguments) -> Result<Answer, Refusal> {
    let pattern = if arguments.regex {
        Pattern::Regex(text.to_owned())
    } else {
        Pattern::Literal(text.to_owned())
    };
    let mut search = Search::new(pattern);
    let context = arguments.context.unwrap_or(0);
    (search.before, search.after) = (context, context);
    search.from_line = arguments.from_line.unwrap_or(1);
    search.max_matches = MATCHES;
    search.max_bytes = server.policy.text_limit;
    let found = server.assets()?.search(digest, &search).await?;
    let passages = found.passages.iter().map(|passage| {
        let lines = passage.lines.iter().map(|line| {
            let mark = if line.is_match { ':' } else { '-' };
            format!("{}{mark} {}", line.number, line.text)
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    let text = passages.collect::<Vec<_>>().join("\n--\n");
    let text = if text.is_empty() {
        "nothing found".to_owned()
    } else {
        text
    };
    Ok(noted(text, found.notice()))
}

async fn image(server: &Server, digest: &Digest, length: u64) -> Result<Answer, Refusal> {
    if length > LONGEST_IMAGE {
        return Err(Refusal::new(format!(
            "the image has {length} bytes: too many to be shown"
        )));
    }
    let bytes = server.assets()?.store().bytes(digest, None).await?;
    let mut page = server.page();
    if !page.image_bytes(&bytes) {
        page.line("the image cannot be decoded");
    }
    let mut content = page.finish();
    let address = Address::Asset {
        digest: digest.to_string(),
        lines: None,
        bytes: None,
    };
    let resource = Resource::new(address.to_string(), "image");
    content.push(ContentBlock::resource_link(resource));
    Ok(Answer {
        content,
        ..Answer::default()
    })
}

pub(super) struct AssetList;

impl Tool for AssetList {
    const NAME: &'static str = "asset_list";
    const DESCRIPTION: &'static str = "The large outputs of a notebook that are kept outside of it.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = NotebookArguments;

    async fn call(server: Arc<Server>, arguments: NotebookArguments, _caller: Caller) -> Result<Answer, Refusal> {
        let (_, notebook) = server.read(&arguments.path).await?;
        let mut lines = Vec::new();
        for (index, cell) in notebook.cells().iter().enumerate() {
            for (number, output) in cell.outputs().iter().enumerate() {
                let assets = output
                    .get("metadata")
                    .and_then(|metadata| metadata.get(METADATA_KEY)?.get("assets")?.as_object());
                for (mime, asset) in assets.into_iter().flatten() {
                    let digest = asset.get("digest").and_then(Json::as_str).unwrap_or_default();
                    let length = asset.get("length").and_then(Json::as_i64).unwrap_or_default();
                    lines.push(format!(
                        "#{index} {} output {number}: {digest} {mime}, {length} bytes",
                        cell.id()
                    ));
                }
            }
        }
        if lines.is_empty() {
            lines.push("none".to_owned());
        }
        let mut page = server.page();
        page.text(&lines.join("\n"), "notebook_read shows the cells");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}
