//! Run Jupyter notebooks on real kernels.
//!
//! Start at [`engine::Engine`]: it runs a [`session::notebook::Notebook`] on a kernel that a
//! [`kernel::KernelProvisioner`] starts, and tells what happens as a stream of [`engine::RunEvent`]s.

pub mod engine;
mod error;
pub mod kernel;
pub mod model;
pub mod session;

pub use error::{Error, ErrorKind};
