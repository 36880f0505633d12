//! A notebook's file that others write as well.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::document::Notebook;
use super::exchange::Stamp;
use super::file::{self, Durability};
use super::merge::Merged;
use crate::session::SessionError;

/// How often a save begins anew because somebody else has saved in between.
const ATTEMPTS: usize = 5;

type ContentDigest = [u8; 32];

/// The file of a notebook that an editor writes too. It knows the content that was read or written last, and so what is
/// news.
#[derive(Debug)]
pub struct SharedFile {
    path: PathBuf,
    known: Option<ContentDigest>,
    /// Whether what is known has been merged into, but not been read.
    is_unread: bool,
}

/// What has been written.
#[derive(Debug)]
pub struct WrittenBack {
    /// The notebook as it is in the file now.
    pub notebook: Notebook,
    /// What became of the results.
    pub merged: Merged,
}

impl SharedFile {
    /// The file at `path`, of which nothing is known yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            known: None,
            is_unread: false,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The notebook, if it is another than the one that was read last, save for what was written back here; after an
    /// error, if it is another than the one that the error was about.
    ///
    /// # Errors
    /// As [`Notebook::open`].
    pub fn read(&mut self) -> Result<Option<Notebook>, SessionError> {
        let document = self.content()?;
        if !std::mem::take(&mut self.is_unread) {
            return Ok(None);
        }
        Notebook::from_shared(&document).map(Some)
    }

    /// The notebook as it is, whether or not that is news.
    ///
    /// # Errors
    /// As [`Notebook::open`].
    pub fn reread(&mut self) -> Result<Notebook, SessionError> {
        let document = self.content()?;
        self.is_unread = false;
        Notebook::from_shared(&document)
    }

    fn content(&mut self) -> Result<Bytes, SessionError> {
        let document = Notebook::read_file(&self.path).inspect_err(|_| self.known = None)?;
        let digest = Sha256::digest(&document).into();
        self.is_unread |= self.known.replace(digest) != Some(digest);
        Ok(document)
    }

    /// Puts the results of a run into the newest content of the file ([`Notebook::merge_results`]) and replaces it, unless
    /// nothing is new. What others save in between is merged as well, and stays news for [`SharedFile::read`]. On Linux and
    /// macOS the file is exchanged, and what comes back is looked at, so that nobody's replacement is lost; elsewhere, and
    /// where the file system cannot exchange, one that falls between our last look and our own replacement is.
    ///
    /// # Errors
    /// As [`Notebook::open`] and [`Notebook::save`]; the file is as it was then.
    pub fn write_back(&mut self, before: &Notebook, after: &Notebook) -> Result<WrittenBack, SessionError> {
        self.change(Durability::Process, |notebook| notebook.merge_results(before, after))
    }

    /// Changes the newest content of the file, as [`SharedFile::write_back`] does with results. The change may be asked for
    /// several times, each time of a newer content.
    pub(in crate::session) fn change(
        &mut self,
        durability: Durability,
        mut change: impl FnMut(&mut Notebook) -> Merged,
    ) -> Result<WrittenBack, SessionError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let stamp = Stamp::of(&self.path);
            let mut notebook = Notebook::from_shared(&self.content()?)?;
            let merged = change(&mut notebook);
            let is_last = attempt == ATTEMPTS;
            let expected = stamp.as_ref().filter(|_| !is_last);
            if !merged.is_changed || self.replace(&notebook, durability, expected)? {
                return Ok(WrittenBack { notebook, merged });
            }
        }
    }

    /// Replaces the file, unless it is not as `stamp` says any more; tells whether it has.
    fn replace(
        &mut self,
        notebook: &Notebook,
        durability: Durability,
        stamp: Option<&Stamp>,
    ) -> Result<bool, SessionError> {
        let digest = Cell::new(None);
        let content = |out: &mut dyn Write| {
            let mut hashing = Hashing::new(out);
            notebook.write_to(&mut hashing)?;
            digest.set(Some(hashing.hasher.finalize().into()));
            Ok(())
        };
        let is_replaced = match stamp {
            Some(stamp) => file::replace_unchanged(&self.path, durability, stamp, &content)?,
            None => file::replace(&self.path, durability, &content).map(|()| true)?,
        };
        if is_replaced {
            self.known = digest.get();
        }
        Ok(is_replaced)
    }
}

/// A writer that digests what passes.
struct Hashing<'a> {
    out: &'a mut dyn Write,
    hasher: Sha256,
}

impl<'a> Hashing<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            hasher: Sha256::new(),
        }
    }
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::model::Json;
    use crate::session::notebook::Cell as NotebookCell;

    fn notebook(sources: &[&str]) -> Notebook {
        let mut notebook =
            Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#).unwrap();
        *notebook.cells_mut() = sources
            .iter()
            .enumerate()
            .map(|(at, source)| NotebookCell::new_code(format!("c{at}").into(), source))
            .collect();
        notebook
    }

    fn executed(before: &Notebook) -> Notebook {
        let mut after = before.clone();
        for cell in after.cells_mut() {
            *cell.outputs_mut() = vec![Json::Object(
                [("output_type".to_owned(), "x".into())].into_iter().collect(),
            )];
        }
        after
    }

    fn lab() -> (TempDir, SharedFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.ipynb");
        notebook(&["1", "2"]).save(&path, Durability::Process).unwrap();
        (folder, SharedFile::new(path))
    }

    #[test]
    fn only_news_is_read() {
        let (_folder, mut file) = lab();
        assert_eq!(file.read().unwrap().unwrap().cells().len(), 2);
        assert!(file.read().unwrap().is_none());
        fs::write(file.path(), "{").unwrap();
        assert!(matches!(file.read(), Err(SessionError::InvalidNotebook { .. })));
        assert!(file.read().unwrap().is_none());
        fs::remove_file(file.path()).unwrap();
        assert!(matches!(file.read(), Err(SessionError::NotFound { .. })));
        notebook(&["1", "2"]).save(file.path(), Durability::Process).unwrap();
        assert!(file.read().unwrap().is_some());
    }

    #[test]
    fn what_we_write_is_no_news() {
        let (_folder, mut file) = lab();
        let before = file.read().unwrap().unwrap();
        let written = file.write_back(&before, &executed(&before)).unwrap();
        assert!(written.merged.is_changed);
        assert!(file.read().unwrap().is_none());
        assert_eq!(Notebook::open(file.path()).unwrap().cells(), executed(&before).cells());
        let again = file.write_back(&before, &executed(&before)).unwrap();
        assert!(!again.merged.is_changed);
    }

    #[test]
    fn an_edit_in_between_stays() {
        let (_folder, mut file) = lab();
        let before = file.read().unwrap().unwrap();
        notebook(&["1", "edited", "3"])
            .save(file.path(), Durability::Process)
            .unwrap();
        let written = file.write_back(&before, &executed(&before)).unwrap();
        assert_eq!(written.merged.left_out, ["c1".into()]);
        let sources: Vec<_> = written.notebook.cells().iter().map(NotebookCell::source).collect();
        assert_eq!(sources, ["1", "edited", "3"]);
        let news = file.read().unwrap().unwrap();
        assert_eq!(news.cells(), written.notebook.cells());
        assert!(file.read().unwrap().is_none());
        assert_eq!(file.reread().unwrap().cells(), news.cells());
    }

    #[test]
    fn a_file_that_is_no_notebook_is_left_alone() {
        let (_folder, mut file) = lab();
        let before = file.read().unwrap().unwrap();
        fs::write(file.path(), "{").unwrap();
        assert!(file.write_back(&before, &executed(&before)).is_err());
        assert_eq!(fs::read(file.path()).unwrap(), b"{");
    }

    #[test]
    fn a_stale_look_is_not_written_over() {
        let (_folder, mut file) = lab();
        let before = file.read().unwrap().unwrap();
        let stamp = Stamp::of(file.path());
        notebook(&["edited"]).save(file.path(), Durability::Process).unwrap();
        assert!(!file.replace(&before, Durability::Process, stamp.as_ref()).unwrap());
        assert_eq!(Notebook::open(file.path()).unwrap().cells()[0].source(), "edited");
        assert!(
            file.replace(&before, Durability::Process, Stamp::of(file.path()).as_ref())
                .unwrap()
        );
    }
}
