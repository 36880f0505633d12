use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;

use crate::model::{Digest, Json, JsonMap, SessionId};
use crate::session::notebook::{Cell, Durability, Notebook};
use crate::session::{CellResult, Saved, SessionError, SessionRecord, SessionStore};

/// A backend under test.
#[async_trait]
pub trait Fixture: Debug + Send + Sync + 'static {
    /// A store that has no session. A case asks once.
    async fn store(&self) -> Arc<dyn SessionStore>;

    /// The same store once more, as another process would open it. The case may have dropped the first one.
    async fn again(&self) -> Arc<dyn SessionStore>;
}

/// A folder with a notebook whose cells `a`, `b` and `c` have the sources `1`, `2` and `3`.
pub(super) struct Folder {
    folder: TempDir,
}

impl Folder {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let folder = Self { folder };
        folder.write(&[("a", "1"), ("b", "2"), ("c", "3")]);
        folder
    }

    pub(super) fn path(&self) -> PathBuf {
        self.at("analysis.ipynb")
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Saves the notebook with these cells, as an editor does.
    pub(super) fn write(&self, cells: &[(&str, &str)]) {
        let empty = br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;
        let mut notebook = Notebook::parse(empty).expect("it is a notebook");
        let cell = |(id, source): &(&str, &str)| Cell::new_code((*id).into(), source);
        *notebook.cells_mut() = cells.iter().map(cell).collect();
        notebook
            .save(&self.path(), Durability::Process)
            .expect("a notebook can be saved");
    }

    pub(super) fn read(&self) -> Notebook {
        Notebook::open(&self.path()).expect("the file is a notebook")
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).expect("the file is there")
    }
}

/// The result of a cell that has printed `text`.
pub(super) fn result(cell: &str, source: &str, text: &str) -> CellResult {
    CellResult {
        cell: cell.into(),
        source: Digest::of(source.as_bytes()),
        outputs: vec![output(text)],
        execution_count: Some(7),
        metadata: members("execution", text),
        notebook_metadata: JsonMap::new(),
        end: None,
    }
}

pub(super) fn output(text: &str) -> Json {
    [("name", "stdout"), ("output_type", "stream"), ("text", text)]
        .into_iter()
        .collect()
}

pub(super) fn members(name: &str, value: &str) -> JsonMap {
    [(name.to_owned(), Json::from(value))].into_iter().collect()
}

pub(super) async fn open(store: &dyn SessionStore, folder: &Folder) -> SessionRecord {
    store
        .open(&folder.path())
        .await
        .expect("a notebook's session can be opened")
}

pub(super) async fn record(store: &dyn SessionStore, id: &SessionId, results: Vec<CellResult>) {
    store.record(id, results).await.expect("results are taken");
}

pub(super) async fn save(store: &dyn SessionStore, id: &SessionId) -> Saved {
    store.save(id, Durability::Process).await.expect("it can be saved")
}

pub(super) fn assert_no_such(error: &SessionError, id: &SessionId) {
    assert!(
        matches!(error, SessionError::NoSuchSession { id: named } if named == id),
        "{error:?}"
    );
}
