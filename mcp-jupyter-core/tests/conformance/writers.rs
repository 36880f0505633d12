//! Many who write one notebook at once: writers of several processes, each through a store of its own, and a person whose
//! editor knows of none of them, saves what it has read a while ago, and renames the file. `MCP_JUPYTER_WRITES` says how
//! many rounds each writer has, for longer campaigns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use mcp_jupyter_core::model::{Digest, Json, JsonMap, SessionId};
use mcp_jupyter_core::session::edit::{Edit, Place};
use mcp_jupyter_core::session::notebook::{Cell, CellType, Durability, Notebook};
use mcp_jupyter_core::session::{CellResult, LocalSessions, SessionError, SessionStore};
use serde_json::{Value, json};

const PROCESSES: usize = 4;
const WRITERS: usize = 5;
const EMPTY: &str = r#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;

fn rounds() -> usize {
    let told = std::env::var("MCP_JUPYTER_WRITES").ok();
    told.and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// Says that something is durable.
fn tell(what: &str, name: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {name}").unwrap();
    out.flush().unwrap();
}

/// Does something until no other program is in the way: a file that is just being written in place is no notebook, and one
/// that is just being renamed is not there.
async fn insist<T>(mut action: impl AsyncFnMut() -> Result<T, SessionError>) -> T {
    let mut last = None;
    for attempt in 0..2000 {
        match action().await {
            Ok(done) => return done,
            Err(error @ SessionError::NotSaved { .. }) => last = Some(error),
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
        tokio::time::sleep(Duration::from_millis(attempt.min(10))).await;
    }
    panic!("{last:?}");
}

async fn write(store: &LocalSessions, id: &SessionId, writer: String) {
    for round in 0..rounds() {
        let name = format!("{writer}-{round}");
        let insert = Edit::Insert {
            at: if round % 2 == 0 { Place::Last } else { Place::First },
            cell_type: CellType::Code,
            source: name.clone(),
            id: Some(name.as_str().into()),
            metadata: JsonMap::new(),
        };
        let batch = vec![insert].into();
        insist(async || match store.apply(id, &batch).await {
            // The attempt before was told to have failed, and has not.
            Err(error) if error.to_string().contains("is there already") => panic!("{name} was inserted twice"),
            applied => applied.map(drop),
        })
        .await;
        tell("inserted", &name);
        let result = CellResult {
            cell: name.as_str().into(),
            source: Digest::of(name.as_bytes()),
            outputs: vec![output(&name)],
            execution_count: Some(1),
            metadata: JsonMap::new(),
            notebook_metadata: JsonMap::new(),
            end: None,
        };
        store.record(id, vec![result]).await.unwrap();
        tell("recorded", &name);
        let saved = insist(async || store.save(id, Durability::Process).await).await;
        assert!(saved.left_out.is_empty(), "{name}: {:?}", saved.left_out);
    }
}

fn output(text: &str) -> Json {
    [("name", "stdout"), ("output_type", "stream"), ("text", text)]
        .into_iter()
        .collect()
}

#[test]
#[ignore = "is run by the other test in processes of its own"]
fn child() {
    let folder = PathBuf::from(std::env::var("MCP_JUPYTER_TEST_FOLDER").unwrap());
    let process = std::env::var("MCP_JUPYTER_TEST_PROCESS").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = LocalSessions::open(folder.join("state")).await.unwrap();
        let id = store.list().await.unwrap()[0].id.clone();
        let writers = (0..WRITERS).map(|writer| format!("w{process}-{writer}"));
        join_all(writers.map(|writer| write(&store, &id, writer))).await;
    });
}

fn spawn(folder: &Path, process: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writers::child", "--ignored", "--nocapture"])
        .env("MCP_JUPYTER_TEST_FOLDER", folder)
        .env("MCP_JUPYTER_TEST_PROCESS", process.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Somebody at an editor that knows JSON, and nothing of other writers.
struct Person {
    path: PathBuf,
    saves: usize,
    /// The cells by what was written into them last.
    cells: BTreeMap<String, String>,
}

impl Person {
    /// Reads the notebook, adds a cell and goes on with the one before, and saves: in turn as editors do that replace the
    /// file, and as those that write in place. What others have saved in between is overwritten.
    fn save(&mut self) {
        let Ok(Ok(mut document)) = fs::read(&self.path).map(|bytes| serde_json::from_slice::<Value>(&bytes)) else {
            return;
        };
        self.saves += 1;
        let cells = document["cells"].as_array_mut().unwrap();
        let last = format!("p{}", self.saves - 1);
        if let Some(cell) = cells.iter_mut().find(|cell| cell["id"] == *last) {
            cell["source"] = json!("edited");
            self.cells.insert(last, "edited".to_owned());
        }
        let name = format!("p{}", self.saves);
        let source = format!("by a person, {}", self.saves);
        cells.insert(
            cells.len() / 2,
            json!({"cell_type": "raw", "id": name, "metadata": {}, "source": source}),
        );
        self.cells.insert(name, source);
        std::thread::sleep(Duration::from_millis(self.saves as u64 % 20));
        let bytes = serde_json::to_vec(&document).unwrap();
        if self.saves.is_multiple_of(2) {
            fs::write(&self.path, bytes).unwrap();
        } else {
            let new = self.path.with_extension("new");
            fs::write(&new, bytes).unwrap();
            fs::rename(new, &self.path).unwrap();
        }
    }

    /// Where the notebook is known to the store: one that was replaced and renamed before anybody has looked is another.
    fn rename(&mut self, folder: &Path) {
        let ours = fs::metadata(&self.path).unwrap();
        let is_ours = |found: &fs::Metadata| {
            use std::os::unix::fs::MetadataExt as _;
            found.ino() == ours.ino()
        };
        let is_known = || {
            std::thread::sleep(Duration::from_millis(1));
            !fs::metadata(&self.path).is_ok_and(|found| is_ours(&found))
        };
        assert!((0..60_000).any(|_| is_known()), "nobody writes any more");
        let renamed = folder.join("renamed.ipynb");
        fs::rename(&self.path, &renamed).unwrap();
        self.path = renamed;
    }
}

#[test]
fn twenty_writers_and_a_person_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("first.ipynb");
    fs::write(&path, EMPTY).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime
        .block_on(LocalSessions::open(folder.path().join("state")))
        .unwrap();
    let id = runtime.block_on(store.open(&path)).unwrap().id;
    let mut children: Vec<Child> = (0..PROCESSES).map(|process| spawn(folder.path(), process)).collect();
    let (told_tx, told_rx) = std::sync::mpsc::channel();
    for child in &mut children {
        let out = BufReader::new(child.stdout.take().unwrap());
        let told_tx = told_tx.clone();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = told_tx.send(line);
            }
        });
    }
    drop(told_tx);
    let mut person = Person {
        path,
        saves: 0,
        cells: BTreeMap::new(),
    };
    let mut told = BTreeSet::new();
    let writes = PROCESSES * WRITERS * rounds() * 2;
    // One save of the person's for every few of the others'.
    while let Ok(line) = told_rx.recv() {
        told.insert(line);
        if told.len().is_multiple_of(3) {
            person.save();
        }
        if told.len() >= writes / 2 && person.path.ends_with("first.ipynb") {
            person.rename(folder.path());
        }
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    runtime.block_on(store.save(&id, Durability::Process)).unwrap();
    assert!(!folder.path().join("first.ipynb").exists());
    check(&Notebook::open(&person.path).unwrap(), &told, &person.cells);
    let left: BTreeSet<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["renamed.ipynb", "state"]);
}

fn check(notebook: &Notebook, told: &BTreeSet<String>, person: &BTreeMap<String, String>) {
    assert!(notebook.quirks().is_empty(), "{:?}", notebook.quirks());
    let inserted = told.iter().filter_map(|line| line.strip_prefix("inserted "));
    let recorded: BTreeSet<&str> = told.iter().filter_map(|line| line.strip_prefix("recorded ")).collect();
    let mut lost = Vec::new();
    for name in inserted {
        let cell = notebook.cell(&name.into());
        let is_whole =
            |cell: &Cell| cell.source() == name && (!recorded.contains(name) || cell.outputs() == [output(name)]);
        if !cell.is_some_and(is_whole) {
            lost.push(format!("{name}: {cell:?}"));
        }
    }
    for (name, source) in person {
        let cell = notebook.cell(&name.as_str().into());
        if cell.map(Cell::source) != Some(source) {
            lost.push(format!("{name} ({source}): {cell:?}"));
        }
    }
    assert_eq!(recorded.len(), PROCESSES * WRITERS * rounds());
    assert!(lost.is_empty(), "{lost:#?}");
    let ids: BTreeSet<_> = notebook.cells().iter().map(Cell::id).collect();
    assert_eq!(ids.len(), notebook.cells().len());
    assert_eq!(ids.len(), recorded.len() + person.len());
}
