//! Results on their way into the file.

use std::error::Error as _;
use std::fs;

use futures_util::future::join_all;

use super::fixture::{Fixture, Folder, members, open, output, record, result, save};
use super::list_cases;
use crate::model::{Json, JsonMap};
use crate::session::edit::{Edit, Place};
use crate::session::notebook::{Cell, CellType, Durability};
use crate::session::{SessionError, SessionStore};

list_cases! {
    saved: "what was recorded is in the file after a save",
    saved_by_another: "what was recorded is saved by whoever saves next",
    saved_nothing: "where nothing is pending the file is not touched, and read",
    saved_later: "a later result of a cell takes the place of an earlier one",
    saved_metadata: "what results say about the notebook is in its metadata",
    saved_exactly: "numbers and texts stay as they are",
    saved_beside_edits: "what others have saved stays",
    left_out: "results of another source and of cells that are gone are left out once",
    without_ids: "below nbformat 4.5 a result goes to its source, wherever that is now",
    broken_file: "while the file is no notebook, results stay pending and it stays as it is",
    missing_file: "while the file is away, results stay pending and none is made",
    folder_instead: "while a folder is in the place of the file, results stay pending",
    after_rename: "results go to where the notebook has been renamed to",
    after_backup: "what a program calls the old file while it saves is not the notebook",
    unseen: "what a program saves over without having seen it comes back",
    seen: "what a program takes away that has seen it stays away",
    closed: "what is pending goes with its session",
    at_once: "many who save at once lose nothing",
}

async fn saved(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("b", "2", "two"), result("a", "1", "one")]).await;
    assert!(folder.read().cells()[0].outputs().is_empty());
    let saved = store.save(&id, Durability::Power).await.expect("it can be saved");
    assert!(saved.is_changed && saved.left_out.is_empty());
    let cells = folder.read();
    let cells = cells.cells();
    assert_eq!(saved.notebook.cells(), cells);
    assert_eq!(cells[0].outputs(), [output("one")]);
    assert_eq!(cells[0].execution_count(), Some(7));
    assert_eq!(cells[0].metadata(), &members("execution", "one"));
    assert_eq!(cells[1].outputs(), [output("two")]);
    assert!(cells[2].outputs().is_empty());
    assert!(!save(&*store, &id).await.is_changed);
}

async fn saved_by_another(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    drop(store);
    assert!(save(&*fixture.again().await, &id).await.is_changed);
    assert_eq!(folder.read().cells()[0].outputs(), [output("one")]);
}

async fn saved_nothing(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let unformatted = r#"{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}"#;
    fs::write(folder.path(), unformatted).expect("a file can be written");
    let saved = save(&*store, &id).await;
    assert!(!saved.is_changed && saved.notebook.cells().is_empty());
    assert_eq!(folder.bytes(), unformatted.as_bytes());
}

async fn saved_later(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "early"), result("a", "1", "later")]).await;
    record(&*store, &id, vec![result("a", "1", "last")]).await;
    save(&*store, &id).await;
    assert_eq!(folder.read().cells()[0].outputs(), [output("last")]);
}

async fn saved_metadata(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let mut with = result("a", "1", "early");
    with.notebook_metadata = members("language_info", "python");
    record(&*store, &id, vec![with]).await;
    record(&*store, &id, vec![result("a", "1", "later")]).await;
    save(&*store, &id).await;
    assert_eq!(folder.read().metadata(), &members("language_info", "python"));
}

async fn saved_exactly(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let text = r#"{"output_type":"display_data","data":{"z":1.50,"a":123456789012345678901234567890,"n":NaN},"metadata":{"\u0000":"\n"}}"#;
    let output = Json::parse(text.as_bytes()).expect("it is JSON");
    let mut exact = result("a", "1", "one");
    exact.outputs = vec![output.clone()];
    record(&*store, &id, vec![exact]).await;
    let saved = save(&*fixture.again().await, &id).await;
    assert_eq!(saved.notebook.cells()[0].outputs(), [output]);
}

async fn saved_beside_edits(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("b", "2", "two")]).await;
    folder.write(&[("new", "0"), ("c", "edited"), ("b", "2")]);
    let saved = save(&*store, &id).await;
    assert!(saved.left_out.is_empty());
    let cells = folder.read();
    let cells: Vec<_> = cells
        .cells()
        .iter()
        .map(|cell| (cell.source(), cell.outputs()))
        .collect();
    assert_eq!(cells, [("0", &[][..]), ("edited", &[]), ("2", &[output("two")])]);
}

async fn left_out(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one"), result("b", "2", "two")]).await;
    folder.write(&[("a", "edited"), ("c", "3")]);
    let before = folder.bytes();
    let saved = save(&*store, &id).await;
    assert_eq!(saved.left_out, ["a".into(), "b".into()]);
    assert!(!saved.is_changed);
    assert_eq!(folder.bytes(), before);
    folder.write(&[("a", "1"), ("b", "2")]);
    let again = save(&*store, &id).await;
    assert!(again.left_out.is_empty() && !again.is_changed);
}

async fn without_ids(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let code = |source: &str| {
        format!(r#"{{"cell_type":"code","execution_count":null,"metadata":{{}},"outputs":[],"source":"{source}"}}"#)
    };
    let write = |cells: &[String]| {
        let document = format!(
            r#"{{"cells":[{}],"metadata":{{}},"nbformat":4,"nbformat_minor":4}}"#,
            cells.join(",")
        );
        fs::write(folder.path(), document).expect("a file can be written");
    };
    write(&[code("1"), code("2")]);
    let id = open(&*store, &folder).await.id;
    let cell = folder.read().cells()[0].id().clone();
    record(&*store, &id, vec![result(cell.as_str(), "1", "one")]).await;
    write(&[code("0"), code("2"), code("1")]);
    assert!(save(&*store, &id).await.left_out.is_empty());
    assert_eq!(folder.read().cells()[2].outputs(), [output("one")]);
}

/// That a save fails, names the file, and says why.
async fn assert_unsaved(store: &dyn SessionStore, folder: &Folder, id: &crate::model::SessionId) {
    let error = store
        .save(id, Durability::Process)
        .await
        .expect_err("it cannot be saved");
    assert!(matches!(error, SessionError::NotSaved { .. }), "{error:?}");
    let path = folder.path();
    let name = path.file_name().expect("it has a name").to_string_lossy();
    assert!(error.to_string().contains(&*name), "{error}");
    assert!(error.source().is_some());
}

async fn broken_file(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    for content in ["", "{", r#"{"cells": 1}"#] {
        fs::write(folder.path(), content).expect("a file can be written");
        assert_unsaved(&*store, &folder, &id).await;
        assert_eq!(folder.bytes(), content.as_bytes());
    }
    folder.write(&[("a", "1")]);
    save(&*fixture.again().await, &id).await;
    assert_eq!(folder.read().cells()[0].outputs(), [output("one")]);
}

async fn missing_file(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    fs::remove_file(folder.path()).expect("a file can be removed");
    assert_unsaved(&*store, &folder, &id).await;
    assert!(!folder.path().exists());
    folder.write(&[("a", "1")]);
    save(&*store, &id).await;
    assert_eq!(folder.read().cells()[0].outputs(), [output("one")]);
}

async fn folder_instead(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    fs::remove_file(folder.path()).expect("a file can be removed");
    fs::create_dir(folder.path()).expect("a folder can be made");
    assert_unsaved(&*store, &folder, &id).await;
    fs::remove_dir(folder.path()).expect("a folder can be removed");
    folder.write(&[("a", "1")]);
    assert!(save(&*store, &id).await.is_changed);
}

async fn after_rename(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    save(&*store, &id).await;
    record(&*store, &id, vec![result("b", "2", "two")]).await;
    let renamed = folder.at("renamed.ipynb");
    fs::rename(folder.path(), &renamed).expect("a file can be renamed");
    let saved = save(&*store, &id).await;
    assert_eq!(saved.notebook.cells()[1].outputs(), [output("two")]);
    assert_eq!(store.open(&renamed).await.expect("it is there").id, id);
    record(&*store, &id, vec![result("c", "3", "three")]).await;
    let elsewhere = folder.at("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder can be made");
    fs::rename(&renamed, elsewhere.join("renamed.ipynb")).expect("a file can be moved");
    let error = store.save(&id, Durability::Process).await;
    assert!(matches!(error, Err(SessionError::NotSaved { .. })), "{error:?}");
    let found = store.open(&elsewhere.join("renamed.ipynb")).await;
    assert_eq!(found.expect("it is there").id, id);
    let saved = save(&*store, &id).await;
    assert_eq!(saved.notebook.cells()[2].outputs(), [output("three")]);
    assert!(!folder.path().exists());
}

async fn after_backup(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    for name in ["analysis.ipynb~", ".~analysis.ipynb", "analysis.bak"] {
        fs::rename(folder.path(), folder.at(name)).expect("a file can be renamed");
        assert_unsaved(&*store, &folder, &id).await;
        fs::rename(folder.at(name), folder.path()).expect("a file can be renamed");
    }
    assert!(save(&*store, &id).await.is_changed);
}

async fn unseen(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    let seen = folder.bytes();
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    save(&*store, &id).await;
    let insert = Edit::Insert {
        at: Place::After("b".into()),
        cell_type: CellType::Code,
        source: "new".to_owned(),
        id: Some("n".into()),
        metadata: JsonMap::new(),
    };
    store.apply(&id, &vec![insert].into()).await.expect("it can be edited");
    fs::write(folder.path(), seen).expect("a file can be written");
    let shown = fixture.again().await.snapshot(&id).await.expect("it is there");
    let saved = save(&*fixture.again().await, &id).await;
    assert!(saved.is_changed && saved.conflicts.is_empty());
    assert_eq!(saved.notebook.cells(), folder.read().cells());
    assert_eq!(saved.notebook.cells(), shown.notebook.cells());
    let sources: Vec<_> = saved.notebook.cells().iter().map(Cell::source).collect();
    assert_eq!(sources, ["1", "2", "new", "3"]);
    assert_eq!(saved.notebook.cells()[0].outputs(), [output("one")]);
    assert!(!save(&*store, &id).await.is_changed);
}

async fn seen(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one"), result("b", "2", "two")]).await;
    save(&*store, &id).await;
    let mut notebook = folder.read();
    notebook.cells_mut()[0].set_source("edited");
    notebook.cells_mut().remove(1);
    notebook
        .save(&folder.path(), Durability::Process)
        .expect("a notebook can be saved");
    let saved = save(&*store, &id).await;
    assert!(!saved.is_changed);
    assert_eq!(saved.notebook.cells(), notebook.cells());
}

async fn closed(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    record(&*store, &id, vec![result("a", "1", "one")]).await;
    store.close(&id).await.expect("it can be closed");
    let id = open(&*store, &folder).await.id;
    assert!(!save(&*store, &id).await.is_changed);
}

async fn at_once(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let other = fixture.again().await;
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    let cells: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    folder.write(&cells);
    let id = open(&*store, &folder).await.id;
    let write = async |at: usize, name: &String| {
        let store = if at.is_multiple_of(2) { &store } else { &other };
        record(&**store, &id, vec![result(name, name, name)]).await;
        save(&**store, &id).await;
    };
    join_all(names.iter().enumerate().map(|(at, name)| write(at, name))).await;
    for cell in folder.read().cells() {
        assert_eq!(cell.outputs(), [output(cell.source())]);
    }
}
