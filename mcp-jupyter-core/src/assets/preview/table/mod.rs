//! The first rows of tables, as HTML and as `application/vnd.dataresource+json`.

mod data_resource;
mod html;
mod shape;
mod tags;

pub use self::data_resource::data_resource_preview;
pub use self::html::html_preview;
