//! Run Jupyter notebooks on real kernels.

mod error;
pub mod kernel;
pub mod model;
pub mod session;

pub use error::{Error, ErrorKind};
