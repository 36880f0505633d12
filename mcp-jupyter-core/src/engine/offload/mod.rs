//! Outputs that are too large for a notebook go to an asset store while they arrive; a preview stays.
//!
//! [`Offload`] says where to and from which size on. [`Offload::notebook`] does the same for the outputs of a notebook as
//! it is, and [`inline`] puts them back. What an output was is in its metadata, under [`METADATA_KEY`].

mod bundle;
mod encoding;
mod inline;
mod marker;
mod stored;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::assets::{AssetError, AssetMetadata, AssetStore, Reference, StagedAsset};
use crate::model::{CellId, Json};

pub use inline::{Inlined, inline};
pub use stored::Offloaded;

pub(super) use streams::OpenStreams;

/// The member of an output's metadata that says what was taken out of it, and where it is.
pub const METADATA_KEY: &str = "mcp_jupyter";

/// From this size on, in bytes, text is taken out of a notebook.
const TEXT_THRESHOLD: u64 = 64 << 10;
/// From this size on, in bytes, what is encoded in base64 is.
const BINARY_THRESHOLD: u64 = 256 << 10;

/// Where outputs go that are too large for the notebook.
#[derive(Clone, Debug)]
pub struct Offload {
    /// The store.
    pub store: Arc<dyn AssetStore>,
    /// The least size of text that is too large, in bytes.
    pub text_threshold: u64,
    /// The least size of binary data that is too large, in bytes as decoded.
    pub binary_threshold: u64,
    /// Other sizes, by MIME type.
    pub thresholds: BTreeMap<String, u64>,
}

impl Offload {
    /// Takes out text of 64 KiB and binary data of 256 KiB.
    pub fn new(store: Arc<dyn AssetStore>) -> Self {
        Self {
            store,
            text_threshold: TEXT_THRESHOLD,
            binary_threshold: BINARY_THRESHOLD,
            thresholds: BTreeMap::new(),
        }
    }

    /// Takes out whatever has this size, in bytes.
    #[must_use]
    pub fn with_threshold(mut self, threshold: u64) -> Self {
        self.text_threshold = threshold;
        self.binary_threshold = threshold;
        self
    }

    fn threshold(&self, mime: &str, is_binary: bool) -> u64 {
        let general = if is_binary {
            self.binary_threshold
        } else {
            self.text_threshold
        };
        self.thresholds.get(mime).copied().unwrap_or(general)
    }

    /// Makes an asset of what is staged, and notes that the cell shows it.
    async fn keep(&self, staged: &StagedAsset, place: &Place) -> Result<AssetMetadata, AssetError> {
        let asset = self.store.create(staged).await?;
        let reference = Reference::Cell {
            notebook: place.notebook.clone(),
            cell: place.cell.clone(),
        };
        self.store.add_reference(&asset.digest, &reference).await?;
        Ok(asset)
    }

    /// How to get at an asset, for people who read the preview.
    fn note(&self, asset: &AssetMetadata) -> String {
        format!("all of it is {} in {}", asset.digest, self.store)
    }
}

/// The cell whose output it is.
#[derive(Clone, Debug)]
struct Place {
    notebook: String,
    cell: CellId,
}

/// The output as `display_data`, with what was taken out of it noted.
fn display(data: crate::model::JsonMap, marker: Json) -> Json {
    let metadata: Json = [(METADATA_KEY, marker)].into_iter().collect();
    [
        ("data", Json::Object(data)),
        ("metadata", metadata),
        ("output_type", "display_data".into()),
    ]
    .into_iter()
    .collect()
}
