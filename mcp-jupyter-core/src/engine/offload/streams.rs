//! The standard streams of cells, as they grow.

use std::collections::HashMap;

use crate::assets::preview::TextPreview;
use crate::assets::{AssetError, AssetMetadata, MimeType, StagedAsset, Staging};
use crate::engine::cell_outputs::OutputChange;
use crate::model::{CellId, CellRef, Json, JsonMap, Output, Text};
use crate::session::notebook::{Cell, Notebook};

use super::encoding::Encoding;
use super::marker::{Marker, Taken};
use super::{Offload, Place, display};

/// From this size on, in bytes, text is worked through on another thread.
const LARGE: usize = 1 << 20;

/// The streams that have grown too large for the notebook, and go on. A cell has one at most: its last output.
#[derive(Debug, Default)]
pub(in crate::engine) struct OpenStreams {
    open: HashMap<CellId, OpenStream>,
}

#[derive(Debug)]
struct OpenStream {
    name: String,
    /// Which of the cell's outputs it is.
    output: usize,
    staging: Staging,
    preview: TextPreview,
}

impl OpenStreams {
    /// Whether the change is more text of a stream that goes on.
    pub(in crate::engine) fn goes_on(&self, notebook: &Notebook, cell: &CellRef, change: &OutputChange) -> bool {
        let (Some(stream), OutputChange::Append(Output::Stream { name, .. }, _)) = (self.open.get(&cell.id), change)
        else {
            return false;
        };
        let outputs = notebook.cells().get(cell.index).map_or(0, |cell| cell.outputs().len());
        stream.name == *name && stream.output + 1 == outputs
    }

    /// Takes in more text of a stream that goes on.
    pub(in crate::engine) async fn add(&mut self, cell: &CellRef, text: Text) {
        if let Some(stream) = self.open.get_mut(&cell.id) {
            stream.add(text).await;
        }
    }

    /// Takes over the last output of the cell if it is a stream that has grown too large.
    pub(in crate::engine) async fn take_over(&mut self, offload: &Offload, notebook: &mut Notebook, cell: &CellRef) {
        let Some(outputs) = notebook.cells_mut().get_mut(cell.index).map(Cell::outputs_mut) else {
            return;
        };
        let output = outputs.len().saturating_sub(1);
        let Some(last) = outputs.last_mut() else { return };
        let Some((name, text)) = stream_of(last) else { return };
        if (text.size() as u64) < offload.threshold("text/plain", false) {
            return;
        }
        let mut stream = OpenStream {
            name,
            output,
            staging: Staging::new(offload.store.staging_folder()),
            preview: TextPreview::new(),
        };
        let text = std::mem::take(text);
        stream.add(text).await;
        let outputs = notebook.cells_mut()[cell.index].outputs_mut();
        outputs[stream.output] = stream.pending();
        self.open.insert(cell.id.clone(), stream);
    }

    /// The stream is not the cell's last output any more, or the cell has ended: it becomes an asset. What cannot be
    /// stored goes back into the notebook, whole; then the error is given.
    pub(in crate::engine) async fn close(
        &mut self,
        offload: &Offload,
        notebook: &mut Notebook,
        name: &str,
        cell: &CellId,
    ) -> Result<(), AssetError> {
        let Some(stream) = self.open.remove(cell) else {
            return Ok(());
        };
        let place = Place {
            notebook: name.to_owned(),
            cell: cell.clone(),
        };
        let output = stream.output;
        let (shown, failure) = stream.end(offload, &place).await;
        let slot = notebook
            .position(cell)
            .and_then(|index| notebook.cells_mut()[index].outputs_mut().get_mut(output));
        if let (Some(slot), Some(shown)) = (slot, shown) {
            *slot = shown;
        }
        failure.map_or(Ok(()), Err)
    }

    /// What was shown is gone.
    pub(in crate::engine) fn discard(&mut self, cell: &CellId) {
        self.open.remove(cell);
    }

    /// The cells whose streams go on.
    pub(in crate::engine) fn cells(&self) -> Vec<CellId> {
        self.open.keys().cloned().collect()
    }
}

impl OpenStream {
    async fn add(&mut self, text: Text) {
        // What cannot be staged is kept, and comes back to the notebook in the end.
        let _ = if text.size() < LARGE {
            let text = text.to_str();
            self.preview.push(&text);
            self.staging.write(text.as_bytes()).await
        } else {
            let (shown, mut preview) = (text.clone(), std::mem::take(&mut self.preview));
            let seen = tokio::task::spawn_blocking(move || {
                shown.for_each_chunk(|chunk| preview.push(chunk));
                preview
            });
            let added = self.staging.write_text(text).await;
            self.preview = seen.await.expect("a preview does not panic");
            added
        };
    }

    /// What stands in the notebook while more may come.
    fn pending(&self) -> Json {
        let text = self.preview.render("the rest is being stored");
        let data: JsonMap = [("text/plain".to_owned(), text.into())].into_iter().collect();
        [
            ("data", Json::Object(data)),
            ("metadata", JsonMap::new().into()),
            ("output_type", "display_data".into()),
        ]
        .into_iter()
        .collect()
    }

    /// The output that stays in the notebook, and what has gone wrong.
    async fn end(self, offload: &Offload, place: &Place) -> (Option<Json>, Option<AssetError>) {
        let (name, preview, mut staging) = (self.name, self.preview, self.staging);
        let staged = match staging.finish(MimeType::plain()).await {
            Ok(staged) => staged,
            Err(error) => {
                let rescued = staging.rescue().await;
                return (rescued.ok().and_then(|bytes| stream(name, bytes)), Some(error));
            }
        };
        match offload.keep(&staged, place).await {
            Ok(asset) => (Some(shown(name, &asset, preview.render(&offload.note(&asset)))), None),
            Err(error) => (restored(name, staged).await, Some(error)),
        }
    }
}

/// The name and the text of an output that is a stream.
pub(super) fn stream_of(output: &mut Json) -> Option<(String, &mut Text)> {
    let output = output.as_object_mut()?;
    if output.get("output_type")?.as_str()? != "stream" {
        return None;
    }
    let name = output.get("name")?.as_str()?.into_owned();
    match output.get_mut("text")? {
        Json::String(text) => Some((name, text)),
        _ => None,
    }
}

/// The output that stands for a stream.
pub(super) fn shown(name: String, asset: &AssetMetadata, preview: String) -> Json {
    let marker = Marker {
        assets: vec![("text/plain".to_owned(), Taken::new(asset, Encoding::Text))],
        stream: Some(name),
        added: Vec::new(),
    };
    let data = [("text/plain".to_owned(), preview.into())].into_iter().collect();
    display(data, marker.into_json())
}

/// The stream as it would stand in the notebook had nothing been taken out.
async fn restored(name: String, staged: StagedAsset) -> Option<Json> {
    let length = usize::try_from(staged.length).ok()?;
    let read = tokio::task::spawn_blocking(move || staged.read_at(0, length)).await;
    stream(name, read.ok()?.ok()?)
}

fn stream(name: String, bytes: Vec<u8>) -> Option<Json> {
    let text = Text::from(String::from_utf8(bytes).ok()?);
    Some(Output::Stream { name, text }.into_json())
}
