use std::borrow::Cow;
use std::io;
use std::path::Path;

use bytes::Bytes;

use super::cell::Cell;
use super::file::{self, Durability};
use super::validate::Quirk;
use super::{read, write};
use crate::model::{CellId, Json, JsonMap};
use crate::session::SessionError;

/// A notebook of nbformat 4, or an older one upgraded as nbformat upgrades it.
///
/// ```
/// use mcp_jupyter_core::session::notebook::Notebook;
///
/// let file = br#"{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
///   {"cell_type": "code", "id": "one", "metadata": {}, "execution_count": null, "outputs": [],
///    "source": ["x = 1\n", "x"]}
/// ]}"#;
/// let mut notebook = Notebook::parse(file)?;
/// assert_eq!(notebook.cells()[0].source(), "x = 1\nx");
/// notebook.cells_mut()[0].set_execution_count(Some(1));
/// assert!(String::from_utf8_lossy(&notebook.to_bytes()).contains("\"execution_count\": 1"));
/// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Notebook {
    pub(in crate::session) metadata: JsonMap,
    pub(in crate::session) cells: Vec<Cell>,
    /// All other members as they were found, `nbformat` and `nbformat_minor` among them.
    pub(in crate::session) rest: JsonMap,
    pub(in crate::session) minor: i64,
    pub(in crate::session) quirks: Vec<Quirk>,
}

impl Notebook {
    /// Reads a notebook from the bytes of a file.
    ///
    /// Versions 2 and 3 become 4.5, as in `nbformat.read(…, as_version=4)`; a minor version of 4 stays what it is.
    ///
    /// # Errors
    /// [`SessionError::InvalidNotebook`] where it is no JSON in UTF-8 or not built as a notebook is, with the place.
    pub fn parse(document: &[u8]) -> Result<Self, SessionError> {
        read::notebook(document, || Json::parse(document))
    }

    /// Reads the notebook at `path`. Long strings stay in the memory that the file was read into.
    ///
    /// # Errors
    /// [`SessionError::NotFound`] where there is no file, [`SessionError::Io`] where it cannot be read, a directory
    /// for one, [`SessionError::InvalidNotebook`] as [`Notebook::parse`].
    pub fn open(path: &Path) -> Result<Self, SessionError> {
        Self::from_shared(&Self::read_file(path)?)
    }

    pub(super) fn read_file(path: &Path) -> Result<Bytes, SessionError> {
        let document = std::fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SessionError::NotFound { path: path.to_owned() },
            _ => SessionError::Io {
                action: format!("read {}", path.display()),
                source,
            },
        })?;
        Ok(Bytes::from(document))
    }

    /// Reads a notebook whose long strings stay where they are.
    pub(super) fn from_shared(document: &Bytes) -> Result<Self, SessionError> {
        read::notebook(document, || Json::parse_shared(document))
    }

    /// Writes the file's content to `out`: keys sorted, one space of indentation a level, a newline at the end, as
    /// Python's `nbformat.write` does. Writes are large; `out` needs no buffer of its own.
    pub fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write::notebook(self, out)
    }

    /// The file's content.
    #[expect(clippy::missing_panics_doc, reason = "writing to memory does not fail")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes).expect("writing to memory does not fail");
        bytes
    }

    /// Finds out whether a notebook can be saved at `path`, before work is done whose result has to go there. Leaves
    /// what is there untouched.
    ///
    /// # Errors
    /// [`SessionError::Io`], as [`Notebook::save`] would fail now.
    pub fn check_writable(path: &Path) -> Result<(), SessionError> {
        file::check_writable(path)
    }

    /// Replaces the file at `path`, or creates it: whoever reads it sees the old content or the new, never a part.
    ///
    /// The content goes to a temporary file in the same directory, which then takes the place of the old file.
    /// Symbolic links are followed, so that the link stays; the mode is kept, the owner where that is permitted, and
    /// a new file gets the mode that the umask leaves. Hard links to the old file keep the old content. On failure
    /// the old file is untouched and the temporary file gone.
    ///
    /// Where a file may be written but not replaced (mounted on its own into a container, or in a directory that is
    /// not writable) it is overwritten in place, after its old content has been copied to a backup that is put back
    /// on failure. Should even that fail, the error names the backup, which stays. A path that leads to a device or a
    /// pipe is written to as it is.
    ///
    /// # Errors
    /// [`SessionError::Io`], `write <path>` with the system's error.
    pub fn save(&self, path: &Path, durability: Durability) -> Result<(), SessionError> {
        file::replace(path, durability, &|out| self.write_to(out))
    }

    /// The notebook's metadata.
    pub fn metadata(&self) -> &JsonMap {
        &self.metadata
    }

    /// The notebook's metadata, to change. What nbformat holds to be transient (`signature`, `orig_nbformat`,
    /// `orig_nbformat_minor`) is never written.
    pub fn metadata_mut(&mut self) -> &mut JsonMap {
        &mut self.metadata
    }

    /// The cells in their order.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The cells, to change, add, move and remove.
    pub fn cells_mut(&mut self) -> &mut Vec<Cell> {
        &mut self.cells
    }

    /// The cell with this id.
    pub fn cell(&self, id: &CellId) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.id() == id)
    }

    /// Where the cell with this id stands, from 0.
    pub fn position(&self, id: &CellId) -> Option<usize> {
        self.cells.iter().position(|cell| cell.id() == id)
    }

    /// The name of the kernelspec that the notebook asks for.
    pub fn kernelspec_name(&self) -> Option<String> {
        self.text_of("kernelspec", "name")
    }

    /// The programming language: that of the kernelspec, else that of `language_info`.
    pub fn language(&self) -> Option<String> {
        self.text_of("kernelspec", "language")
            .or_else(|| self.text_of("language_info", "name"))
    }

    fn text_of(&self, group: &str, name: &str) -> Option<String> {
        self.metadata.get(group)?.get(name)?.as_str().map(Cow::into_owned)
    }

    /// The minor version of nbformat 4; it never rises by itself.
    pub fn nbformat_minor(&self) -> i64 {
        self.minor
    }

    /// What in the document is not as the nbformat schema demands and was read nevertheless.
    pub fn quirks(&self) -> &[Quirk] {
        &self.quirks
    }
}
