//! Large representations in a MIME bundle.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::assets::preview::{data_resource_preview, grouped, html_preview, human_size, json_preview, thumbnail};
use crate::assets::{AssetError, AssetMetadata, MimeType, Staging};
use crate::model::{CellId, Json, JsonMap, MimeBundle, Text};

use super::encoding::Encoding;
use super::marker::{Marker, Taken};
use super::{METADATA_KEY, Offload, Place};

/// The largest side of the picture that stands for a larger one, in pixels.
const THUMBNAIL: u32 = 400;
const PLAIN: &str = "text/plain";

/// What a representation is, taken out of its bundle.
struct Content {
    encoding: Encoding,
    bytes: Vec<u8>,
}

impl Offload {
    /// [`Offload::bundle`] for an output of this cell.
    pub(in crate::engine) async fn display(
        &self,
        data: &mut MimeBundle,
        metadata: &mut JsonMap,
        notebook: &str,
        cell: &CellId,
    ) -> Result<(), AssetError> {
        let place = Place {
            notebook: notebook.to_owned(),
            cell: cell.clone(),
        };
        self.bundle(&mut data.0, metadata, &place).await
    }

    /// Takes the large representations out of a bundle, and notes that in the metadata. What cannot be stored stays; the
    /// first error is given.
    pub(super) async fn bundle(
        &self,
        data: &mut JsonMap,
        metadata: &mut JsonMap,
        place: &Place,
    ) -> Result<(), AssetError> {
        let large: Vec<String> = data
            .iter()
            .filter(|(mime, value)| self.may_be_large(mime, value))
            .map(|(mime, _)| mime.clone())
            .collect();
        if large.is_empty() || metadata.contains_key(METADATA_KEY) {
            return Ok(());
        }
        let mut marker = Marker::default();
        let mut failure = None;
        for mime in large {
            if let Err(error) = self.representation(&mime, data, &mut marker, place).await {
                failure.get_or_insert(error);
            }
        }
        if !marker.assets.is_empty() {
            metadata.insert(METADATA_KEY.to_owned(), marker.into_json());
        }
        failure.map_or(Ok(()), Err)
    }

    fn may_be_large(&self, mime: &str, value: &Json) -> bool {
        let least = self.threshold(mime, false).min(self.threshold(mime, true));
        match value {
            Json::String(text) => text.size() as u64 >= least,
            Json::Object(_) | Json::Array(_) => is_longer(value, self.threshold(mime, false)),
            _ => false,
        }
    }

    /// Takes one representation out, unless it turns out to be small.
    async fn representation(
        &self,
        mime: &str,
        data: &mut JsonMap,
        marker: &mut Marker,
        place: &Place,
    ) -> Result<(), AssetError> {
        let Some(value) = data.get(mime).cloned() else {
            return Ok(());
        };
        let kind: MimeType = mime.parse().unwrap_or_else(|_| MimeType::unknown());
        let is_text = kind.is_text();
        let content = tokio::task::spawn_blocking(move || content(value, is_text)).await;
        let content = content.expect("decoding does not panic");
        if (content.bytes.len() as u64) < self.threshold(mime, content.encoding.is_binary()) {
            return Ok(());
        }
        let mut staging = Staging::new(self.store.staging_folder());
        staging.write(&content.bytes).await?;
        let staged = staging.finish(kind).await?;
        let asset = self.keep(&staged, place).await?;
        let (note, encoding) = (self.note(&asset), content.encoding);
        let shown = data.shift_remove(mime).expect("it was there");
        let (kind, mime_owned) = (asset.mime.clone(), mime.to_owned());
        let preview = tokio::task::spawn_blocking(move || preview(&mime_owned, &kind, &shown, &content, &note)).await;
        if let Some((shown_as, value)) = preview.ok().flatten() {
            if shown_as != mime && !data.contains_key(&shown_as) {
                marker.added.push(shown_as.clone());
            }
            if shown_as == mime || !data.contains_key(&shown_as) {
                data.insert(shown_as, value);
            }
        }
        if !data.contains_key(PLAIN) {
            marker.added.push(PLAIN.to_owned());
            data.insert(PLAIN.to_owned(), self.sentence(&asset).into());
        }
        marker.assets.push((mime.to_owned(), Taken::new(&asset, encoding)));
        Ok(())
    }

    /// What was there, in a sentence.
    fn sentence(&self, asset: &AssetMetadata) -> String {
        let mut sentence = format!("<{}", asset.mime);
        if let Some((width, height)) = asset.pixels {
            let _ = write!(
                sentence,
                ", {} × {} pixels",
                grouped(width.into()),
                grouped(height.into())
            );
        }
        let _ = write!(sentence, ", {}: {}>", human_size(asset.length), self.note(asset));
        sentence
    }
}

/// The bytes of a representation, which may take a while.
fn content(value: Json, is_text: bool) -> Content {
    let text = match value {
        Json::String(text) => text,
        value => {
            return Content {
                encoding: Encoding::Json,
                bytes: value.to_string().into_bytes(),
            };
        }
    };
    let decoded = if is_text {
        None
    } else {
        Encoding::decode(&text.to_str())
    };
    match decoded {
        Some((encoding, bytes)) => Content { encoding, bytes },
        None => Content {
            encoding: Encoding::Text,
            bytes: text.into_string().into_bytes(),
        },
    }
}

/// What stands for a representation, and as what; none where there is nothing to show.
fn preview(mime: &str, kind: &MimeType, shown: &Json, content: &Content, note: &str) -> Option<(String, Json)> {
    match kind.essence() {
        "application/vnd.dataresource+json" => Some((mime.to_owned(), data_resource_preview(shown)?)),
        "application/json" => Some((mime.to_owned(), json_preview(shown))),
        "text/plain" => Some((mime.to_owned(), text_preview(shown.as_text()?, note).into())),
        "text/html" => Some((mime.to_owned(), html_preview(&shown.as_str()?, note)?.into())),
        _ if kind.is_image() && content.encoding.is_binary() => {
            let picture = thumbnail(&content.bytes, THUMBNAIL)?;
            Some((picture.mime.to_owned(), STANDARD.encode(&picture.bytes).into()))
        }
        _ => None,
    }
}

pub(super) fn text_preview(text: &Text, note: &str) -> String {
    let mut preview = crate::assets::preview::TextPreview::new();
    text.for_each_chunk(|chunk| preview.push(chunk));
    preview.render(note)
}

/// Whether the value is written in more bytes than that; not more of it is looked at.
fn is_longer(value: &Json, limit: u64) -> bool {
    struct Counting(u64);
    impl std::fmt::Write for Counting {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 = self.0.checked_sub(text.len() as u64).ok_or(std::fmt::Error)?;
            Ok(())
        }
    }
    // A piece of it may be far longer than the limit; it is counted, not copied.
    write!(Counting(limit), "{value}").is_err()
}
