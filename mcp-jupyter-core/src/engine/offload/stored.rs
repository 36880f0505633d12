//! Taking the large outputs out of a notebook that has been executed.

use crate::assets::{AssetError, MimeType, Staging};
use crate::model::Json;
use crate::session::notebook::Notebook;

use super::bundle::text_preview;
use super::streams::{shown, stream_of};
use super::{METADATA_KEY, Offload, Place};

/// What was taken out of a notebook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloaded {
    /// How many outputs are smaller now.
    pub outputs: usize,
}

impl Offload {
    /// Takes the large outputs out of a notebook. `name` is where it is, for the references of the assets.
    ///
    /// # Errors
    /// Where the store fails; what was taken out by then is in the store, and the notebook says so.
    pub async fn notebook(&self, notebook: &mut Notebook, name: &str) -> Result<Offloaded, AssetError> {
        let mut offloaded = Offloaded::default();
        for cell in notebook.cells_mut() {
            let place = Place {
                notebook: name.to_owned(),
                cell: cell.id().clone(),
            };
            for output in cell.outputs_mut() {
                offloaded.outputs += usize::from(self.output(output, &place).await?);
            }
        }
        Ok(offloaded)
    }

    /// Takes the large parts out of an output; tells whether there were any.
    async fn output(&self, output: &mut Json, place: &Place) -> Result<bool, AssetError> {
        if let Some((name, text)) = stream_of(output) {
            if (text.size() as u64) < self.threshold("text/plain", false) {
                return Ok(false);
            }
            let mut staging = Staging::new(self.store.staging_folder());
            staging.write_text(text.clone()).await?;
            let asset = self.keep(&staging.finish(MimeType::plain()).await?, place).await?;
            let preview = text_preview(text, &self.note(&asset));
            *output = shown(name, &asset, preview);
            return Ok(true);
        }
        let Some(output) = output.as_object_mut() else {
            return Ok(false);
        };
        let (Some(Json::Object(mut data)), Some(Json::Object(mut metadata))) =
            (output.get("data").cloned(), output.get("metadata").cloned())
        else {
            return Ok(false);
        };
        let had = metadata.contains_key(METADATA_KEY);
        self.bundle(&mut data, &mut metadata, place).await?;
        let is_smaller = !had && metadata.contains_key(METADATA_KEY);
        if is_smaller {
            output.insert("data".to_owned(), Json::Object(data));
            output.insert("metadata".to_owned(), Json::Object(metadata));
        }
        Ok(is_smaller)
    }
}
