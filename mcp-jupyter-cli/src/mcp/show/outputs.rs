use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_jupyter_core::assets::preview::{Fitted, ImageError, fit};
use mcp_jupyter_core::engine::METADATA_KEY;
use mcp_jupyter_core::model::Json;
use rmcp::model::{ContentBlock, Resource};

use super::text::{bounded, cleaned};
use super::traceback::traceback;
use crate::mcp::resources::Address;

/// Images a result holds; more are named only.
const MOST_IMAGES: usize = 8;

/// How many bytes the images of a result have, encoded: a client drops the connection at a message of more than 1 MiB.
const IMAGE_ROOM: usize = 900 << 10;

/// No image is shown with a smaller larger side.
const SMALLEST_IMAGE: u32 = 64;

/// What is always shown of a text, in bytes, however much was shown before it.
const LEAST: usize = 400;

/// Representations of text, the most telling one first.
const TEXTS: [&str; 5] = [
    "text/plain",
    "text/markdown",
    "text/latex",
    "application/json",
    "text/html",
];

/// A result in the making: text within a limit, and images between.
#[derive(Debug)]
pub(in crate::mcp) struct Page {
    blocks: Vec<ContentBlock>,
    text: String,
    left: usize,
    image_limit: u32,
    images: usize,
    /// Where the next output is, for whoever wants all of it.
    source: Option<String>,
    image_room: usize,
}

impl Page {
    /// A page of at most about so many bytes of text, with images of at most so many pixels per side.
    pub(in crate::mcp) fn new(text_limit: usize, image_limit: u32) -> Self {
        Self {
            blocks: Vec::new(),
            text: String::new(),
            left: text_limit,
            image_limit,
            images: 0,
            source: None,
            image_room: IMAGE_ROOM,
        }
    }

    /// Names the resource that the next output is.
    pub(in crate::mcp) fn comes_from(&mut self, uri: String) {
        self.source = Some(uri);
    }

    /// Adds a line that is shown in any case.
    pub(in crate::mcp) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
        self.left = self.left.saturating_sub(line.as_ref().len() + 1);
    }

    /// Whether there is room for more than what is always shown.
    pub(in crate::mcp) fn has_room(&self) -> bool {
        self.left > LEAST
    }

    /// Adds text as far as there is room; `how` is the call that gets the rest.
    pub(in crate::mcp) fn text(&mut self, text: &str, how: &str) {
        if text.is_empty() {
            return;
        }
        let shown = bounded(text, self.left.max(LEAST), how);
        self.left = self.left.saturating_sub(shown.len());
        self.text.push_str(&shown);
        if !shown.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Adds an output, as nbformat has it.
    pub(in crate::mcp) fn output(&mut self, output: &Json, how: &str) {
        let text_of = |name: &str| output.get(name).map(joined).unwrap_or_default();
        match text_of("output_type").as_str() {
            "stream" => self.stream(&text_of("name"), &text_of("text"), how),
            "error" => {
                let frames = output.get("traceback").and_then(Json::as_array).unwrap_or_default();
                let frames: Vec<String> = frames.iter().map(joined).collect();
                self.text(&traceback(&text_of("ename"), &text_of("evalue"), &frames), how);
            }
            _ => self.display(output, how),
        }
    }

    /// Adds text that was printed.
    pub(in crate::mcp) fn stream(&mut self, name: &str, text: &str, how: &str) {
        if name == "stderr" {
            self.line("stderr:");
        }
        self.text(&cleaned(text), how);
    }

    fn display(&mut self, output: &Json, how: &str) {
        let Some(data) = output.get("data").and_then(Json::as_object) else {
            return;
        };
        let asset = asset_of(output);
        let image = data.iter().find(|(mime, _)| is_image(mime));
        let has_image = image.is_some_and(|(mime, value)| self.image(mime, &joined(value)));
        let shown = TEXTS.iter().find_map(|mime| Some((*mime, data.get(*mime)?)));
        match shown {
            // What stands for the image says nothing more.
            Some(("text/plain", _)) if has_image => {}
            Some(("text/html", html)) => self.text(&plain_of_html(&joined(html)), how),
            Some((_, value)) => self.text(&cleaned(&joined(value)), how),
            None if !has_image => {
                let mimes: Vec<&str> = data.iter().map(|(mime, _)| &**mime).collect();
                self.line(format!("[{}; {how}]", mimes.join(", ")));
            }
            None => {}
        }
        match (asset, self.source.take()) {
            (Some(asset), _) => self.asset(&asset),
            (None, Some(uri)) if has_image => self.link(uri, image.map(|(mime, _)| mime.as_str())),
            _ => {}
        }
    }

    fn asset(&mut self, asset: &Asset) {
        let Asset { digest, mime, length } = asset;
        self.line(format!(
            "[the whole output, {mime}, {length} bytes: asset_read {digest}]"
        ));
        if mime.starts_with("image/") {
            let address = Address::Asset {
                digest: digest.clone(),
                lines: None,
                bytes: None,
            };
            self.link(address.to_string(), Some(mime));
        }
    }

    /// Names the resource that is the whole image.
    fn link(&mut self, uri: String, mime: Option<&str>) {
        self.flush();
        let mut resource = Resource::new(uri, "image");
        resource.mime_type = mime.map(str::to_owned);
        self.blocks.push(ContentBlock::resource_link(resource));
    }

    /// Adds an image, scaled down where it is larger than it may be; false where it cannot be shown.
    pub(in crate::mcp) fn image(&mut self, mime: &str, encoded: &str) -> bool {
        if self.images == MOST_IMAGES {
            self.line(format!("[a further image, {mime}, not shown: {MOST_IMAGES} were]"));
            return true;
        }
        let encoded: String = encoded.split_ascii_whitespace().collect();
        let Ok(bytes) = STANDARD.decode(encoded) else {
            return false;
        };
        self.image_bytes(&bytes)
    }

    /// As [`Page::image`].
    pub(in crate::mcp) fn image_bytes(&mut self, bytes: &[u8]) -> bool {
        let Ok(fitted) = fitting(bytes, self.image_limit, self.image_room) else {
            return false;
        };
        let Some(fitted) = fitted else {
            self.line("[an image, not shown: there is no more room for images]");
            return true;
        };
        self.images += 1;
        self.image_room -= encoded_length(&fitted);
        if (fitted.width, fitted.height) != (fitted.original_width, fitted.original_height) {
            self.line(format!(
                "[image of {} x {} pixels, shown at {} x {}]",
                fitted.original_width, fitted.original_height, fitted.width, fitted.height
            ));
        }
        self.flush();
        self.blocks
            .push(ContentBlock::image(STANDARD.encode(&fitted.bytes), fitted.mime));
        true
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.blocks.push(ContentBlock::text(text.trim_end_matches('\n')));
        }
    }

    pub(in crate::mcp) fn finish(mut self) -> Vec<ContentBlock> {
        self.flush();
        self.blocks
    }

    /// Only the text, as for a message.
    pub(in crate::mcp) fn into_text(self) -> String {
        self.text
    }
}

/// What was taken out of an output because of its size.
#[derive(Debug)]
pub(in crate::mcp) struct Asset {
    pub(in crate::mcp) digest: String,
    pub(in crate::mcp) mime: String,
    length: String,
}

/// What was taken out of this output, where something was.
pub(in crate::mcp) fn asset_of(output: &Json) -> Option<Asset> {
    let assets = output.get("metadata")?.get(METADATA_KEY)?.get("assets")?.as_object()?;
    let (mime, asset) = assets.iter().next()?;
    let field = |name: &str| asset.get(name).map(joined).unwrap_or_default();
    Some(Asset {
        digest: field("digest"),
        mime: mime.clone(),
        length: field("length"),
    })
}

fn encoded_length(image: &Fitted) -> usize {
    image.bytes.len().div_ceil(3) * 4
}

/// The image in at most `limit` pixels per side, and in fewer where it would have more than `room` bytes; none where it
/// could hardly be seen.
fn fitting(bytes: &[u8], limit: u32, room: usize) -> Result<Option<Fitted>, ImageError> {
    let mut fitted = fit(bytes, limit, limit)?;
    while encoded_length(&fitted) > room {
        let side = fitted.width.max(fitted.height) * 3 / 4;
        if side < SMALLEST_IMAGE {
            return Ok(None);
        }
        fitted = fit(bytes, side, side)?;
    }
    Ok(Some(fitted))
}

fn is_image(mime: &str) -> bool {
    matches!(mime, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
}

/// The image that an output is, encoded.
pub(in crate::mcp) fn image_of(output: &Json) -> Option<(String, String)> {
    let data = output.get("data")?.as_object()?;
    let (mime, encoded) = data.iter().find(|(mime, _)| is_image(mime))?;
    let encoded = joined(encoded).split_ascii_whitespace().collect();
    Some((mime.clone(), encoded))
}

/// A value as text: nbformat splits text into lines.
pub(super) fn joined(value: &Json) -> String {
    match value {
        Json::Array(lines) if lines.iter().all(|line| line.as_text().is_some()) => lines.iter().map(joined).collect(),
        _ => value
            .as_str()
            .map_or_else(|| value.to_string(), std::borrow::Cow::into_owned),
    }
}

/// The text of an output that is one: what was printed, or its plain representation; none of images and the like.
pub(in crate::mcp) fn text_of(output: &Json) -> Option<String> {
    let text = match output.get("output_type")?.as_str()?.as_ref() {
        "stream" => output.get("text")?,
        _ => {
            let data = output.get("data")?;
            if data.as_object()?.iter().any(|(mime, _)| is_image(mime)) {
                return None;
            }
            TEXTS.iter().find_map(|mime| data.get(mime))?
        }
    };
    Some(joined(text))
}

/// The text of a piece of HTML, the cells of a table row in one line.
fn plain_of_html(html: &str) -> String {
    let mut plain = String::new();
    let mut rest = html;
    while let Some((text, tag)) = rest.split_once('<') {
        plain.push_str(text.trim_matches(['\n', ' ']));
        let Some((tag, after)) = tag.split_once('>') else {
            return plain;
        };
        let name = tag
            .split([' ', '\n', '>'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        rest = match name.as_str() {
            "style" | "script" => after.split_once(&format!("</{name}>")).map_or("", |(_, after)| after),
            _ => after,
        };
        match name.as_str() {
            "/td" | "/th" => plain.push('\t'),
            "/tr" | "/p" | "/div" | "/li" | "br" | "br/" | "/h1" | "/h2" | "/h3" | "/table" => {
                let kept = plain.trim_end_matches(['\t', ' ', '\n']).len();
                plain.truncate(kept);
                plain.push('\n');
            }
            _ => {}
        }
    }
    plain.push_str(rest.trim_matches(['\n', ' ']));
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", " "),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ];
    entities
        .into_iter()
        .fold(plain, |plain, (entity, character)| plain.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &str) -> String {
        let mut page = Page::new(8 << 10, 800);
        page.output(&Json::parse(output.as_bytes()).unwrap(), "call X");
        page.into_text()
    }

    #[test]
    fn outputs_are_shown_by_their_most_telling_text() {
        let stream = r#"{"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}"#;
        assert_eq!(shown(stream), "a\nb\n");
        let both = r#"{"output_type": "execute_result", "metadata": {}, "execution_count": 1,
                       "data": {"text/html": "<b>1</b>", "text/plain": "1"}}"#;
        assert_eq!(shown(both), "1\n");
        let unknown = r#"{"output_type": "display_data", "metadata": {}, "data": {"x/y": "1"}}"#;
        assert_eq!(shown(unknown), "[x/y; call X]\n");
    }

    #[test]
    fn tables_of_html_become_lines() {
        let html = "<style>td { color: red }</style><table><tr><th>a</th><th>b</th></tr>\n<tr><td>1 &lt; 2</td><td>x</td></tr></table>";
        assert_eq!(plain_of_html(html), "a\tb\n1 < 2\tx\n");
    }

    #[test]
    fn what_was_offloaded_is_named_with_the_call_that_reads_it() {
        let output = r#"{"output_type": "display_data", "data": {"text/plain": "head"},
            "metadata": {"mcp_jupyter": {"assets": {"text/plain": {"digest": "sha256:ab", "length": 9}}}}}"#;
        assert_eq!(
            shown(output),
            "head\n[the whole output, text/plain, 9 bytes: asset_read sha256:ab]\n"
        );
    }
}
