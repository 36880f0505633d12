//! Run Jupyter notebooks on real kernels.
//!
//! Start at [`engine::Engine`]: it runs a [`session::notebook::Notebook`] on a kernel that a
//! [`kernel::KernelProvisioner`] starts, and tells what happens as a stream of [`engine::RunEvent`]s. Real kernels come
//! from `kernel::local`; here one answers from a script:
//!
//! ```
//! use std::sync::Arc;
//!
//! use mcp_jupyter_core::engine::{Engine, RunRequest};
//! use mcp_jupyter_core::kernel::memory::{MemoryProvisioner, Reaction};
//! use mcp_jupyter_core::session::notebook::{Cell, Notebook};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mcp_jupyter_core::Error> {
//! let mut notebook = Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#)?;
//! notebook.cells_mut().push(Cell::new_code("train".into(), "fit()"));
//!
//! let provisioner = MemoryProvisioner::new().with_response("fit()", [Reaction::stdout("loss 0.1\n")]);
//! let request = RunRequest::new(notebook, provisioner.request());
//! let finished = Engine::new(Arc::new(provisioner)).run(request)?.finish().await;
//!
//! assert!(finished.summary.is_ok());
//! assert_eq!(finished.notebook.cells()[0].outputs().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! The domains are [`kernel`] (finding, starting and talking to kernels), [`session`] (the notebook document and its
//! file), [`scheduler`] (which cells have to run, and why) and [`assets`] (large outputs, kept outside of the notebook);
//! [`engine`] joins them, [`model`] holds the nouns that they share.

pub mod assets;
pub mod engine;
mod error;
pub mod kernel;
pub mod model;
pub mod redaction;
#[cfg(feature = "grpc")]
pub mod rpc;
pub mod scheduler;
pub mod session;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use error::{Error, ErrorKind};
