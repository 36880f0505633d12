//! Putting back what was taken out of a notebook.

use crate::assets::{AssetError, AssetStore, AssetStoreExt as _};
use crate::model::{Digest, Json, JsonMap, Output, Text};
use crate::session::notebook::Notebook;

use super::METADATA_KEY;
use super::marker::{Marker, Taken};

/// What was put back into a notebook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inlined {
    /// How many outputs are whole again.
    pub outputs: usize,
}

/// Puts back all that was taken out of a notebook: its outputs are what they would be had nothing been taken out.
///
/// # Errors
/// [`AssetError::NotFound`] where the store lacks an asset, [`AssetError::Corrupt`] where its bytes are others than those
/// that were stored; the notebook is as it was then.
pub async fn inline(notebook: &mut Notebook, store: &dyn AssetStore) -> Result<Inlined, AssetError> {
    let mut whole = Vec::new();
    for (at, cell) in notebook.cells().iter().enumerate() {
        for (place, output) in cell.outputs().iter().enumerate() {
            let marker = output.get("metadata").and_then(|metadata| metadata.get(METADATA_KEY));
            if let Some(marker) = marker.and_then(Marker::from_json) {
                whole.push((at, place, restored(output, marker, store).await?));
            }
        }
    }
    let outputs = whole.len();
    for (at, place, output) in whole {
        notebook.cells_mut()[at].outputs_mut()[place] = output;
    }
    Ok(Inlined { outputs })
}

/// The output as it was.
async fn restored(output: &Json, marker: Marker, store: &dyn AssetStore) -> Result<Json, AssetError> {
    let mut values = JsonMap::new();
    for (mime, taken) in &marker.assets {
        values.insert(mime.clone(), value(taken, store).await?);
    }
    if let Some(name) = marker.stream {
        let text = match values.shift_remove("text/plain") {
            Some(Json::String(text)) => text,
            _ => Text::default(),
        };
        return Ok(Output::Stream { name, text }.into_json());
    }
    let mut output = output.clone();
    if let Some(Json::Object(data)) = output.as_object_mut().and_then(|output| output.get_mut("data")) {
        for added in &marker.added {
            data.shift_remove(added);
        }
        data.extend(values);
    }
    if let Some(Json::Object(metadata)) = output.as_object_mut().and_then(|output| output.get_mut("metadata")) {
        metadata.shift_remove(METADATA_KEY);
    }
    Ok(output)
}

async fn value(taken: &Taken, store: &dyn AssetStore) -> Result<Json, AssetError> {
    let bytes = Vec::from(store.bytes(&taken.digest, None).await?);
    let corrupt = |reason: String| AssetError::Corrupt {
        store: store.to_string(),
        what: format!("asset {}", taken.digest),
        reason,
    };
    let found = Digest::of(&bytes);
    if found != taken.digest {
        return Err(corrupt(format!("its bytes are those of {found}")));
    }
    taken.encoding.encode(bytes).map_err(corrupt)
}
