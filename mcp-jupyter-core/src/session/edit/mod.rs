//! Edits of a notebook: batches that are applied as a whole or not at all, that notice what others have changed
//! meanwhile, and that can be undone.
//!
//! An [`EditBatch`] names cells by their ids and may say in which state its author has seen them.
//! [`Notebook::apply_edits`](super::notebook::Notebook::apply_edits) gives back an [`Undo`], which can be stored.
//!
//! ```
//! use mcp_jupyter_core::session::edit::{Edit, EditBatch};
//! use mcp_jupyter_core::session::notebook::Notebook;
//!
//! let mut notebook = Notebook::parse(br#"{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
//!   {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "draft"}
//! ]}"#)?;
//! let edit = Edit::ReplaceText { cell: "title".into(), old: "draft".into(), new: "final".into() };
//! let applied = notebook.apply_edits(&EditBatch::from(vec![edit]))?;
//! assert_eq!(notebook.cells()[0].source(), "final");
//! notebook.undo(&applied.undo)?;
//! assert_eq!(notebook.cells()[0].source(), "draft");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod error;
mod types;
mod undo;
mod work;

#[cfg(test)]
mod tests;

pub use error::{EditError, EditFailure, EditStep};
pub use types::{Applied, Edit, EditBatch, Place};
pub use undo::Undo;
