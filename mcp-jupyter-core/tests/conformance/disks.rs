//! Sessions on file systems that refuse: each is mounted for its test, which is skipped, with the reason, where that is not
//! permitted.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_jupyter_core::model::{Digest, Json, JsonMap, SessionId};
use mcp_jupyter_core::session::edit::Edit;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};
use mcp_jupyter_core::session::{CellResult, LocalSessions, SessionError, SessionStore as _};
use tempfile::TempDir;

const NOTEBOOK: &str = r#"{"cells": [
    {"cell_type": "code", "execution_count": null, "id": "a", "metadata": {}, "outputs": [], "source": "1"}
], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;

/// Something that is mounted until this is dropped.
struct Mount(PathBuf);

impl Mount {
    /// With none, the test is to return: the reason is printed.
    fn new(arguments: &[&str], what: &Path, at: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(arguments).arg(what).arg(at).output();
        let reason = match mounted {
            Ok(mounted) if mounted.status.success() => return Some(Self(at.to_owned())),
            Ok(mounted) => String::from_utf8_lossy(&mounted.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        #[allow(clippy::print_stdout, reason = "a test that does nothing has to say why")]
        {
            println!("skipped: nothing can be mounted here: {reason}");
        }
        None
    }

    fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        Self::new(&["-t", "tmpfs", "-o", &format!("size={size}")], Path::new("tmpfs"), at)
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let remounted = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.0)
            .output()
            .unwrap();
        assert!(
            remounted.status.success(),
            "{}",
            String::from_utf8_lossy(&remounted.stderr)
        );
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A folder with the folders `notebooks` and `state`.
fn folders() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let [notebooks, state] = ["notebooks", "state"].map(|name| folder.path().join(name));
    fs::create_dir(&notebooks).unwrap();
    fs::create_dir(&state).unwrap();
    (folder, notebooks, state)
}

async fn open(state: &Path, path: &Path) -> (LocalSessions, SessionId) {
    let store = LocalSessions::open(state).await.unwrap();
    let id = store.open(path).await.unwrap().id;
    (store, id)
}

fn output(text: &str) -> Json {
    [("name", "stdout"), ("output_type", "stream"), ("text", text)]
        .into_iter()
        .collect()
}

/// The cell has printed this.
fn result(text: &str) -> CellResult {
    CellResult {
        cell: "a".into(),
        source: Digest::of(b"1"),
        outputs: vec![output(text)],
        execution_count: Some(1),
        metadata: JsonMap::new(),
        notebook_metadata: JsonMap::new(),
        end: None,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn assert_unsaved(store: &LocalSessions, id: &SessionId, path: &Path, kind: io::ErrorKind) {
    let before = fs::read(path).unwrap();
    let error = store.save(id, Durability::Power).await.unwrap_err();
    assert!(error.to_string().contains("kept for the next save"), "{error}");
    let SessionError::NotSaved { source, .. } = error else {
        panic!("{error}");
    };
    assert!(
        matches!(*source, SessionError::Io { ref source, .. } if source.kind() == kind),
        "{source:?}"
    );
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(names(path.parent().unwrap()), ["a.ipynb"]);
}

async fn assert_saved(store: &LocalSessions, id: &SessionId, path: &Path, text: &str) {
    assert!(store.save(id, Durability::Power).await.unwrap().is_changed);
    assert_eq!(Notebook::open(path).unwrap().cells()[0].outputs(), [output(text)]);
}

#[tokio::test]
async fn on_a_full_disk_results_wait_and_the_file_stays() {
    let (_folder, notebooks, state) = folders();
    let Some(disk) = Mount::tmpfs(&notebooks, "128k") else {
        return;
    };
    let path = notebooks.join("a.ipynb");
    fs::write(&path, NOTEBOOK).unwrap();
    let (store, id) = open(&state, &path).await;
    let large = "x".repeat(300 << 10);
    store.record(&id, vec![result(&large)]).await.unwrap();
    assert_unsaved(&store, &id, &path, io::ErrorKind::StorageFull).await;
    let edit = Edit::ReplaceSource {
        cell: "a".into(),
        source: large.clone(),
    };
    let error = store.apply(&id, &vec![edit].into()).await.unwrap_err();
    assert!(matches!(error, SessionError::NotSaved { .. }), "{error}");
    assert_unsaved(&store, &id, &path, io::ErrorKind::StorageFull).await;
    disk.remount("size=4m");
    assert_saved(&store, &id, &path, &large).await;
}

#[tokio::test]
async fn what_does_not_fit_into_the_state_is_told_and_the_rest_stays() {
    let (_folder, notebooks, state) = folders();
    let Some(disk) = Mount::tmpfs(&state, "768k") else {
        return;
    };
    let path = notebooks.join("a.ipynb");
    fs::write(&path, NOTEBOOK).unwrap();
    let (store, id) = open(&state, &path).await;
    store.record(&id, vec![result("small")]).await.unwrap();
    let large = "x".repeat(2 << 20);
    let error = store.record(&id, vec![result(&large)]).await.unwrap_err();
    assert!(matches!(error, SessionError::State { .. }), "{error}");
    drop(store);
    let (store, id) = open(&state, &path).await;
    assert_saved(&store, &id, &path, "small").await;
    disk.remount("size=16m");
    store.record(&id, vec![result(&large)]).await.unwrap();
    assert_saved(&store, &id, &path, &large).await;
}

#[tokio::test]
async fn on_a_read_only_file_system_results_wait() {
    let (_folder, notebooks, state) = folders();
    let Some(disk) = Mount::tmpfs(&notebooks, "1m") else {
        return;
    };
    let path = notebooks.join("a.ipynb");
    fs::write(&path, NOTEBOOK).unwrap();
    let (store, id) = open(&state, &path).await;
    store.record(&id, vec![result("one")]).await.unwrap();
    disk.remount("ro");
    assert_unsaved(&store, &id, &path, io::ErrorKind::ReadOnlyFilesystem).await;
    disk.remount("rw");
    assert_saved(&store, &id, &path, "one").await;
}

/// As in a container into which a single file is mounted.
#[tokio::test]
async fn a_file_that_is_mounted_on_its_own_is_written_in_place() {
    let (folder, notebooks, state) = folders();
    let (real, path) = (folder.path().join("real.ipynb"), notebooks.join("a.ipynb"));
    fs::write(&real, NOTEBOOK).unwrap();
    fs::write(&path, "").unwrap();
    let Some(_mount) = Mount::new(&["--bind"], &real, &path) else {
        return;
    };
    let inode = fs::metadata(&real).unwrap().ino();
    let (store, id) = open(&state, &path).await;
    store.record(&id, vec![result("one")]).await.unwrap();
    assert_saved(&store, &id, &path, "one").await;
    assert_eq!(fs::metadata(&real).unwrap().ino(), inode);
    assert_eq!(fs::read(&real).unwrap(), fs::read(&path).unwrap());
    assert_eq!(names(&notebooks), ["a.ipynb"]);
}

/// Where the file is mounted on its own, the place for its old content may be missing, too.
#[tokio::test]
async fn a_mounted_file_on_a_full_disk_keeps_its_content() {
    let (folder, notebooks, state) = folders();
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let Some(disk) = Mount::tmpfs(&small, "64k") else {
        return;
    };
    let (real, path) = (small.join("real.ipynb"), notebooks.join("a.ipynb"));
    fs::write(&real, NOTEBOOK).unwrap();
    fs::write(&path, "").unwrap();
    let Some(_mount) = Mount::new(&["--bind"], &real, &path) else {
        return;
    };
    let (store, id) = open(&state, &path).await;
    let large = "x".repeat(300 << 10);
    store.record(&id, vec![result(&large)]).await.unwrap();
    assert_unsaved(&store, &id, &path, io::ErrorKind::StorageFull).await;
    disk.remount("size=4m");
    assert_saved(&store, &id, &path, &large).await;
}
