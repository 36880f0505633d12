//! Previews: the little of a large output that stays in the notebook, in MIME types that every Jupyter front end renders.
//!
//! Pure functions from what a cell printed or displayed to something small that stands for it: the first and last lines
//! of a text ([`TextPreview`]), the first levels of a JSON value ([`json_preview`]), the first rows of a table
//! ([`html_preview`], [`data_resource_preview`]), a small version of an image ([`thumbnail`]). They decide neither what
//! is too large nor where the whole is kept; the caller says the latter in a note, which the preview shows.
//!
//! Each preview has a bound of its own, whatever it is made from, and is made without a copy of the whole.

mod ansi;
mod image;
mod json;
mod size;
mod table;
mod text;

pub use self::image::{Fitted, ImageError, Thumbnail, fit, thumbnail};
pub use self::json::json_preview;
pub use self::size::{grouped, human_size};
pub use self::table::{data_resource_preview, html_preview};
pub use self::text::TextPreview;
