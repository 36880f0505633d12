//! The notebook document: reading, checking, changing and writing `.ipynb` files without losing anything, and the
//! parameters that are injected into them. It knows no kernel.

mod error;
pub mod notebook;
pub mod parameters;

pub use error::SessionError;
