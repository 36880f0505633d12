//! The nouns that all domains share: identifiers, JSON that loses nothing, outputs and MIME bundles. Plain data, no
//! input or output. The main types are [`Json`] and [`Output`].

mod cell;
mod digest;
mod ids;
mod json;
mod json_parser;
mod output;
mod text;

pub use cell::CellRef;
pub use digest::{Digest, InvalidDigest};
pub use ids::{CellId, InputId, KernelId, RunId, SessionId};
pub(crate) use json::write_escaped;
pub use json::{Json, JsonError, JsonMap, Number};
pub use output::{MimeBundle, Output};
pub use text::Text;
