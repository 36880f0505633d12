//! The notebook document: reading, checking, editing and writing `.ipynb` files without losing anything, and the
//! parameters that are injected into them. It knows no kernel.

pub mod edit;
mod error;
pub mod notebook;
pub mod parameters;

pub use error::SessionError;
