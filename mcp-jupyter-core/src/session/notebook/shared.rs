//! A notebook's file that others write as well.

use std::cell::Cell;
use std::fs::Metadata;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::document::Notebook;
use super::exchange::{Expected, Stamp};
use super::file::{self, Durability};
use super::hashing::Hashing;
use super::merge::Merged;
use crate::model::Digest;
use crate::session::SessionError;

/// How often a save begins anew because somebody else has saved in between.
const ATTEMPTS: u32 = 60;

/// How much longer each time it waits before, so that a program that writes all the time has a moment to itself.
const PAUSE: Duration = Duration::from_millis(2);

/// The file of a notebook that an editor writes too. It knows the content that was read or written last, and so what is
/// news.
#[derive(Debug)]
pub struct SharedFile {
    path: PathBuf,
    known: Option<Digest>,
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

/// What the content of a file is known by.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Look {
    pub(in crate::session) digest: Digest,
    /// When it was written.
    pub(in crate::session) modified: Option<SystemTime>,
}

/// What a change has come to.
#[derive(Debug)]
pub(in crate::session) struct Changed {
    pub(in crate::session) written: WrittenBack,
    /// What the file is known by now, where it was replaced.
    pub(in crate::session) replaced: Option<(Look, Metadata)>,
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
        let digest = Digest::of(&document);
        self.is_unread |= self.known.replace(digest) != Some(digest);
        Ok(document)
    }

    /// Puts the results of a run into the newest content of the file ([`Notebook::merge_results`]) and replaces it, unless
    /// nothing is new. What others save in between is merged as well, and stays news for [`SharedFile::read`]. On Linux and
    /// macOS the file is exchanged, and what comes back is looked at, so that nobody's replacement is lost; elsewhere, and
    /// where the file system cannot exchange, one that falls between our last look and our own replacement is.
    ///
    /// # Errors
    /// As [`Notebook::open`] and [`Notebook::save`], and [`SessionError::Conflict`] where others replace the file again and
    /// again; the file is as it was then.
    pub fn write_back(&mut self, before: &Notebook, after: &Notebook) -> Result<WrittenBack, SessionError> {
        let merge = |notebook: &mut Notebook, _: &Look| notebook.merge_results(before, after);
        self.change(Durability::Process, merge).map(|changed| changed.written)
    }

    /// The notebook as it is, with what its content is known by.
    pub(in crate::session) fn look(&mut self) -> Result<(Notebook, Look), SessionError> {
        let modified = Stamp::of(&self.path).and_then(|stamp| stamp.modified());
        let document = self.content()?;
        let digest = self.known.expect("content was read");
        Ok((Notebook::from_shared(&document)?, Look { digest, modified }))
    }

    /// Changes the newest content of the file, as [`SharedFile::write_back`] does with results. The change may be asked for
    /// several times, each time of a newer content.
    pub(in crate::session) fn change(
        &mut self,
        durability: Durability,
        mut change: impl FnMut(&mut Notebook, &Look) -> Merged,
    ) -> Result<Changed, SessionError> {
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(PAUSE * attempt);
            let stamp = Stamp::of(&self.path);
            let (mut notebook, look) = self.look()?;
            let merged = change(&mut notebook, &look);
            let replaced = match stamp.filter(|_| merged.is_changed) {
                Some(stamp) => self.replace(&notebook, durability, &Expected::new(stamp, look.digest))?,
                None => None,
            };
            if !merged.is_changed || replaced.is_some() {
                let written = WrittenBack { notebook, merged };
                return Ok(Changed { written, replaced });
            }
        }
        Err(SessionError::Conflict {
            cell: None,
            present: None,
            message: format!(
                "{} was replaced by another program each of the {ATTEMPTS} times that it was to be written; it is left as \
                 that program has it",
                self.path.display()
            ),
        })
    }

    /// Replaces the file, unless it is not as `expected` says any more; tells what it is known by then.
    fn replace(
        &mut self,
        notebook: &Notebook,
        durability: Durability,
        expected: &Expected,
    ) -> Result<Option<(Look, Metadata)>, SessionError> {
        let digest = Cell::new(None);
        let content = |out: &mut dyn Write| {
            let mut hashing = Hashing::new(out);
            notebook.write_to(&mut hashing)?;
            digest.set(Some(hashing.finish()));
            Ok(())
        };
        let Some(found) = file::replace_unchanged(&self.path, durability, expected, &content)? else {
            return Ok(None);
        };
        let digest = digest.get().expect("what was replaced was written");
        self.known = Some(digest);
        let modified = found.modified().ok();
        Ok(Some((Look { digest, modified }, found)))
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

    fn path(folder: &TempDir) -> PathBuf {
        folder.path().join("in.ipynb")
    }

    fn lab() -> (TempDir, SharedFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
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
        let (folder, mut file) = lab();
        let mut replacements = 0;
        let changed = file.change(Durability::Process, |found, _| {
            replacements += 1;
            if replacements < 10 {
                let source = format!("edited {replacements}");
                notebook(&[&source]).save(&path(&folder), Durability::Process).unwrap();
            }
            found.cells_mut().push(NotebookCell::new_code("new".into(), "n"));
            Merged {
                is_changed: true,
                left_out: Vec::new(),
            }
        });
        let sources: Vec<_> = changed
            .unwrap()
            .written
            .notebook
            .cells()
            .iter()
            .map(|cell| cell.source().to_owned())
            .collect();
        assert_eq!(sources, ["edited 9", "n"]);
    }

    #[test]
    fn who_writes_all_the_time_is_never_written_over() {
        let (folder, mut file) = lab();
        let mut replacements = 0;
        let changed = file.change(Durability::Process, |_, _| {
            replacements += 1;
            let source = replacements.to_string();
            notebook(&[&source]).save(&path(&folder), Durability::Process).unwrap();
            Merged {
                is_changed: true,
                left_out: Vec::new(),
            }
        });
        assert!(matches!(changed, Err(SessionError::Conflict { .. })));
        let last = Notebook::open(file.path()).unwrap();
        assert_eq!(last.cells()[0].source(), replacements.to_string());
    }
}
