use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::ErrorKind;
use crate::model::{CellId, Json, JsonMap};
use crate::session::SessionError;
use crate::session::notebook::{Cell, CellType, Notebook};

const FILE: &str = r##"{"nbformat": 4, "nbformat_minor": MINOR, "metadata": {"kept": 1.0}, "cells": [
  {"cell_type": "code", ID"id": "one", "metadata": {"tags": ["old"]}, "execution_count": 7, "source": "a = 1\nb = 2\na",
   "outputs": [{"output_type": "execute_result", "execution_count": 7, "metadata": {}, "data": {"text/plain": "1"}}]},
  {"cell_type": "code", ID"id": "two", "metadata": {}, "execution_count": null, "outputs": [], "source": "c"},
  {"cell_type": "markdown", ID"id": "text", "metadata": {"n": NaN}, "source": "# T",
   "attachments": {"p.png": {"image/png": "AA=="}}},
  {"cell_type": "raw", ID"id": "raw", "metadata": {}, "source": ""}
]}"##;

fn notebook() -> Notebook {
    Notebook::parse(FILE.replace("MINOR", "5").replace("ID", "").as_bytes()).unwrap()
}

/// The same in a file that knows no ids.
fn without_ids() -> Notebook {
    let names = ["one", "two", "text", "raw"];
    let file = names.iter().fold(FILE.replace("MINOR", "4"), |file, name| {
        file.replace(&format!(r#"ID"id": "{name}", "#), "")
    });
    Notebook::parse(file.as_bytes()).unwrap()
}

fn text(notebook: &Notebook) -> String {
    String::from_utf8(notebook.to_bytes()).unwrap()
}

fn ids(notebook: &Notebook) -> Vec<&str> {
    notebook.cells().iter().map(|cell| cell.id().as_str()).collect()
}

fn metadata(document: &str) -> JsonMap {
    Json::parse(document.as_bytes()).unwrap().as_object().unwrap().clone()
}

fn insert(at: Place, id: Option<&str>) -> Edit {
    Edit::Insert {
        at,
        cell_type: CellType::Code,
        source: "new".to_owned(),
        id: id.map(CellId::from),
        metadata: JsonMap::new(),
    }
}

fn delete(cell: &str) -> Edit {
    Edit::Delete { cell: cell.into() }
}

/// Applies the edits, takes them back and does them again, each time over what is stored, and gives what they made.
fn apply(notebook: &Notebook, edits: Vec<Edit>) -> (Notebook, Applied) {
    let mut edited = notebook.clone();
    let applied = edited.apply_edits(&EditBatch::from(edits)).unwrap();
    let mut again = edited.clone();
    let undone = again.undo(&stored(&applied.undo)).unwrap();
    assert_eq!(text(&again), text(notebook));
    assert_eq!(again.cells(), notebook.cells());
    again.undo(&stored(&undone.undo)).unwrap();
    assert_eq!(text(&again), text(&edited));
    assert_eq!(again.cells(), edited.cells());
    (edited, applied)
}

fn stored(undo: &Undo) -> Undo {
    let stored = serde_json::to_vec(undo).unwrap();
    serde_json::from_slice(&stored).unwrap()
}

fn failure(notebook: &Notebook, batch: &EditBatch) -> EditError {
    let mut edited = notebook.clone();
    let error = edited.apply_edits(batch).unwrap_err();
    assert_eq!(text(&edited), text(notebook));
    error
}

#[test]
fn edits_are_json() {
    let batch = r#"{"edits": [
      {"op": "insert", "at": {"after": "one"}, "cell_type": "markdown", "source": "hi"},
      {"op": "move", "cell": "raw", "to": "first"},
      {"op": "clear_outputs"}
    ]}"#;
    let batch: EditBatch = serde_json::from_str(batch).unwrap();
    let (edited, applied) = apply(&notebook(), batch.edits.clone());
    assert_eq!(
        ids(&edited),
        ["raw", "one", applied.inserted[0].as_str(), "two", "text"]
    );
    assert_eq!(
        (applied.changed, applied.moved),
        (vec!["one".into()], vec!["raw".into()])
    );
    assert!(edited.cells()[1].outputs().is_empty() && edited.cells()[1].execution_count().is_none());
    assert_eq!(
        serde_json::from_value::<EditBatch>(serde_json::to_value(&batch).unwrap()).unwrap(),
        batch
    );
    assert_eq!(
        batch.edits[0].name(),
        serde_json::to_value(&batch.edits[0]).unwrap()["op"]
    );
}

#[test]
fn a_changed_source_leaves_the_outputs() {
    let replaced = |old: &str, new: &str| Edit::ReplaceText {
        cell: "one".into(),
        old: old.to_owned(),
        new: new.to_owned(),
    };
    let (edited, _) = apply(&notebook(), vec![replaced("a = 1", "a = 5"), replaced("b = 2\n", "")]);
    assert_eq!(edited.cells()[0].source(), "a = 5\na");
    assert_eq!(edited.cells()[0].outputs(), notebook().cells()[0].outputs());
}

#[test]
fn text_that_is_not_there_once_is_a_conflict_that_shows_the_source() {
    for (old, reason) in [("x", "does not hold"), ("a", "2 times"), ("\n", "2 times")] {
        let edit = Edit::ReplaceText {
            cell: "one".into(),
            old: old.to_owned(),
            new: String::new(),
        };
        let error = failure(&notebook(), &EditBatch::from(vec![delete("two"), edit]));
        assert!(
            error.to_string().starts_with("edit 2 (replace_text): cell `one` "),
            "{error}"
        );
        assert!(error.to_string().contains(reason), "{error}");
        let error = SessionError::from(error);
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let present = "a = 1\nb = 2\na";
        assert!(matches!(error, SessionError::Conflict { present: Some(text), .. } if text == present));
    }
}

#[test]
fn a_batch_based_on_another_state_is_refused() {
    let notebook = notebook();
    let mut batch = EditBatch::from(vec![delete("one")]);
    batch.revision = Some(notebook.revision());
    batch.based_on.insert("two".into(), notebook.cells()[1].source_digest());
    assert!(notebook.clone().apply_edits(&batch).is_ok());
    let mut newer = notebook.clone();
    newer.metadata_mut().clear();
    let error = failure(&newer, &batch);
    assert!(
        matches!(error.failure, EditFailure::Conflict { cell: None, .. }),
        "{error}"
    );
    newer.cells_mut()[1].set_source("changed");
    let error = failure(&newer, &batch);
    let present = matches!(&error.failure, EditFailure::Conflict { present: Some(text), .. } if text == "changed");
    assert!(present && error.step == EditStep::Check, "{error}");
    newer.cells_mut().remove(1);
    let error = SessionError::from(failure(&newer, &batch));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("`two`"), "{error}");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let set = |cell: Option<&str>, members: &str| Edit::SetMetadata {
        cell: cell.map(CellId::from),
        set: metadata(members),
        remove: Vec::new(),
    };
    let split = |line| Edit::Split {
        cell: "one".into(),
        line,
        id: None,
    };
    let merge = |cells: &[&str]| Edit::Merge {
        cells: cells.iter().map(|id| CellId::from(*id)).collect(),
    };
    let cases = [
        (insert(Place::Last, Some("a b")), "edit 1 (insert): `a b` is no id"),
        (
            insert(Place::Last, Some("one")),
            "edit 1 (insert): a cell with the id `one` is there already",
        ),
        (
            insert(Place::After("no".into()), None),
            "edit 1 (insert): the notebook has no cell `no`",
        ),
        (
            set(Some("one"), r#"{"tags": 5}"#),
            "edit 1 (set_metadata): this would make the notebook invalid",
        ),
        (
            set(Some("one"), r#"{"trusted": true}"#),
            "edit 1 (set_metadata): `trusted` cannot be set",
        ),
        (
            set(None, r#"{"kernelspec": {}}"#),
            "edit 1 (set_metadata): this would make the notebook invalid",
        ),
        (
            split(1),
            "edit 1 (split): cell `one` of 3 lines cannot be split at line 1",
        ),
        (
            split(4),
            "edit 1 (split): cell `one` of 3 lines cannot be split at line 4",
        ),
        (merge(&["one"]), "edit 1 (merge): two or more"),
        (merge(&["two", "one"]), "edit 1 (merge): cell `one` does not follow"),
        (merge(&["one", "one"]), "edit 1 (merge): cell `one` does not follow"),
        (
            merge(&["two", "text"]),
            "edit 1 (merge): cell `text` is not of the type of cell `two`",
        ),
        (
            Edit::Move {
                cell: "one".into(),
                to: Place::After("one".into()),
            },
            "edit 1 (move): cell `one` cannot be moved next to itself",
        ),
        (
            Edit::AddTags {
                cell: "raw".into(),
                tags: vec!["a,b".to_owned()],
            },
            "edit 1 (add_tags): this would make the notebook invalid: cell.metadata.tags",
        ),
    ];
    for (edit, expected) in cases {
        let error = failure(&notebook(), &EditBatch::from(vec![edit])).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn split_and_merge_are_each_others_opposite() {
    let split = Edit::Split {
        cell: "one".into(),
        line: 3,
        id: Some("rest".into()),
    };
    let (halves, applied) = apply(&notebook(), vec![split]);
    assert_eq!(ids(&halves), ["one", "rest", "two", "text", "raw"]);
    assert_eq!(
        (halves.cells()[0].source(), halves.cells()[1].source()),
        ("a = 1\nb = 2", "a")
    );
    assert_eq!(
        (halves.cells()[0].outputs().len(), halves.cells()[1].outputs().len()),
        (1, 0)
    );
    assert!(halves.cells()[1].has_tag("old"));
    assert_eq!(
        (applied.inserted, applied.changed),
        (vec!["rest".into()], vec!["one".into()])
    );
    let merge = Edit::Merge {
        cells: vec!["one".into(), "rest".into()],
    };
    let (whole, _) = apply(&halves, vec![merge]);
    assert_eq!(text(&whole), text(&notebook()));
}

#[test]
fn a_type_has_only_what_it_may_have() {
    let set_type = |cell: &str, cell_type| Edit::SetType {
        cell: cell.into(),
        cell_type,
    };
    let (edited, _) = apply(
        &notebook(),
        vec![set_type("one", CellType::Markdown), set_type("text", CellType::Code)],
    );
    let written = text(&edited);
    assert!(
        !written.contains("attachments") && !written.contains("text/plain"),
        "{written}"
    );
    assert!(Notebook::parse(written.as_bytes()).unwrap().quirks().is_empty());
    let (_, applied) = apply(&notebook(), vec![set_type("raw", CellType::Raw)]);
    assert!(applied.changed.is_empty());
}

#[test]
fn attachments_come_together_unless_they_contradict() {
    let mut notebook = notebook();
    let copy = Edit::Copy {
        cell: "text".into(),
        to: Place::After("text".into()),
        id: Some("copy".into()),
    };
    notebook.apply_edits(&EditBatch::from(vec![copy])).unwrap();
    let merge = || Edit::Merge {
        cells: vec!["text".into(), "copy".into()],
    };
    let (merged, _) = apply(&notebook, vec![merge()]);
    assert_eq!(merged.cells()[2].source(), "# T\n# T");
    let attachments = metadata(r#"{"p.png": {"image/png": "BB=="}}"#);
    notebook.cells[3]
        .rest
        .insert("attachments".to_owned(), attachments.into());
    let error = failure(&notebook, &EditBatch::from(vec![merge()]));
    assert!(error.to_string().contains("`p.png`"), "{error}");
}

#[test]
fn tags_and_metadata_are_set_and_removed() {
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    let edits = vec![
        Edit::AddTags {
            cell: "one".into(),
            tags: tags(&["new", "old"]),
        },
        Edit::RemoveTags {
            cell: "one".into(),
            tags: tags(&["old", "none"]),
        },
        Edit::SetMetadata {
            cell: None,
            set: metadata(r#"{"title": "T"}"#),
            remove: tags(&["kept"]),
        },
    ];
    let (edited, _) = apply(&notebook(), edits);
    assert_eq!(edited.cells()[0].tags().collect::<Vec<_>>(), ["new"]);
    assert_eq!(edited.metadata().keys().collect::<Vec<_>>(), ["title"]);
}

#[test]
fn a_new_cell_makes_ids_part_of_an_older_file() {
    let notebook = without_ids();
    let derived = notebook.cells()[0].id().clone();
    let (deleted, _) = apply(&notebook, vec![delete(notebook.cells()[1].id().as_str())]);
    assert_eq!(deleted.nbformat_minor(), 4);
    let (edited, _) = apply(&notebook, vec![insert(Place::First, Some("new"))]);
    assert_eq!(edited.nbformat_minor(), 5);
    let read = Notebook::parse(&edited.to_bytes()).unwrap();
    assert_eq!(read.cells()[1].id(), &derived);
    assert!(read.quirks().is_empty());
}

#[test]
fn ids_that_an_older_file_holds_are_written_once() {
    let file = FILE.replace("MINOR", "4").replace("ID", "");
    let notebook = Notebook::parse(file.as_bytes()).unwrap();
    let (edited, applied) = apply(&notebook, vec![insert(Place::Last, None), delete("two")]);
    let written = text(&edited);
    assert_eq!(written.matches("\"id\": \"one\"").count(), 1);
    let mut later = edited;
    later
        .apply_edits(&EditBatch::from(vec![insert(Place::Last, Some("x"))]))
        .unwrap();
    later.undo(&applied.undo).unwrap();
    assert_eq!(
        (later.nbformat_minor(), ids(&later)),
        (5, vec!["one", "two", "text", "raw", "x"])
    );
    assert_eq!(text(&later).matches("\"id\"").count(), 5);
}

#[test]
fn an_undo_leaves_what_else_has_changed() {
    let mut notebook = notebook();
    let applied = notebook
        .apply_edits(&EditBatch::from(vec![delete("two"), delete("text")]))
        .unwrap();
    notebook
        .apply_edits(&EditBatch::from(vec![
            insert(Place::After("one".into()), Some("x")),
            delete("one"),
        ]))
        .unwrap();
    notebook.undo(&applied.undo).unwrap();
    assert_eq!(ids(&notebook), ["x", "two", "text", "raw"]);
}

#[test]
fn an_undo_of_what_was_changed_again_is_a_conflict() {
    let edits = vec![
        Edit::ReplaceSource {
            cell: "two".into(),
            source: "mine".to_owned(),
        },
        insert(Place::Last, Some("new")),
        delete("raw"),
    ];
    let (edited, applied) = apply(&notebook(), edits);
    let change = |change: &dyn Fn(&mut Notebook)| {
        let mut notebook = edited.clone();
        change(&mut notebook);
        let before = text(&notebook);
        let undone = notebook.undo(&applied.undo);
        if undone.is_err() {
            assert_eq!(text(&notebook), before);
        }
        undone
    };
    let error = change(&|notebook| notebook.cells_mut()[1].set_source("theirs")).unwrap_err();
    assert!(matches!(error.failure, EditFailure::Conflict { present: Some(text), .. } if text == "theirs"));
    let error = change(&|notebook| notebook.cells_mut()[3].set_source("theirs")).unwrap_err();
    assert_eq!(error.to_string(), "undo: cell `new` has changed since it was created");
    let error = change(&|notebook| drop(notebook.cells_mut().pop())).unwrap_err();
    assert_eq!(error.to_string(), "undo: cell `new` has been deleted since");
    change(&|notebook| notebook.cells_mut()[3].outputs_mut().push(Json::from("run"))).unwrap();
    change(&|notebook| notebook.cells_mut()[0].set_source("another cell")).unwrap();
}

#[test]
fn an_undo_holds_only_what_was_touched() {
    let mut notebook = notebook();
    notebook.cells_mut()[0]
        .outputs_mut()
        .push(Json::from("x".repeat(100_000)));
    let edit = Edit::ReplaceSource {
        cell: "one".into(),
        source: "y".to_owned(),
    };
    let (_, applied) = apply(&notebook, vec![edit]);
    assert!(serde_json::to_vec(&applied.undo).unwrap().len() < 500);
}

/// Positions become ids of the cells that are there when the batch is built; some name none.
#[derive(Clone, Debug)]
struct Shape(u8, Index, Index, String, u8);

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let source = select(vec!["", "a", "a\nb", "x\n\ny\r\nz", "a = 1\nb = 2\na"]);
    let shape = (0..13_u8, any::<Index>(), any::<Index>(), source, any::<u8>());
    let shape = shape.prop_map(|(kind, one, other, text, byte)| Shape(kind, one, other, text.to_owned(), byte));
    prop::collection::vec(shape, 1..5)
}

fn edit(notebook: &Notebook, Shape(kind, one, other, source, byte): Shape) -> Edit {
    let id = |index: Index| {
        let position = index.index(notebook.cells().len() + 1);
        notebook
            .cells()
            .get(position)
            .map_or("gone".into(), |cell| cell.id().clone())
    };
    let (cell, anchor) = (id(one), id(other));
    let place = match byte % 4 {
        0 => Place::First,
        1 => Place::Last,
        2 => Place::Before(anchor.clone()),
        _ => Place::After(anchor.clone()),
    };
    let cell_type = [CellType::Code, CellType::Markdown, CellType::Raw][usize::from(byte % 3)];
    let new = (byte > 128).then(|| CellId::from(format!("n{}", byte % 8)));
    match kind {
        0 => Edit::Insert {
            at: place,
            cell_type,
            source,
            id: new,
            metadata: metadata(r#"{"m": 1.50}"#),
        },
        1 => Edit::ReplaceSource { cell, source },
        2 => Edit::ReplaceText {
            cell,
            old: "a".to_owned(),
            new: source,
        },
        3 => Edit::Delete { cell },
        4 => Edit::Move { cell, to: place },
        5 => Edit::Copy {
            cell,
            to: place,
            id: new,
        },
        6 => Edit::Split {
            cell,
            line: usize::from(byte % 4),
            id: new,
        },
        7 => Edit::Merge {
            cells: vec![cell, anchor],
        },
        8 => Edit::SetType { cell, cell_type },
        9 => Edit::SetMetadata {
            cell: (byte % 2 == 0).then_some(cell),
            set: metadata(r#"{"one": 1e5}"#),
            remove: vec!["kept".to_owned()],
        },
        10 => Edit::AddTags {
            cell,
            tags: vec![format!("t{}", byte % 3)],
        },
        11 => Edit::RemoveTags {
            cell,
            tags: vec!["old".to_owned(), "t1".to_owned()],
        },
        _ => Edit::ClearOutputs {
            cells: (byte % 2 == 0).then(|| vec![cell]),
        },
    }
}

proptest! {
    #[test]
    fn batches_are_whole_valid_and_undone(batches in prop::collection::vec(shapes(), 1..6), has_ids in any::<bool>()) {
        let mut current = if has_ids { notebook() } else { without_ids() };
        let mut history = vec![current.clone()];
        let mut undos = Vec::new();
        for shapes in batches {
            let edits: Vec<_> = shapes.into_iter().map(|shape| edit(&current, shape)).collect();
            let before = text(&current);
            match current.apply_edits(&EditBatch::from(edits)) {
                Ok(applied) => {
                    history.push(current.clone());
                    undos.push(stored(&applied.undo));
                }
                Err(_) => prop_assert_eq!(text(&current), before),
            }
            let unique: HashSet<_> = current.cells().iter().map(Cell::id).collect();
            prop_assert_eq!(unique.len(), current.cells().len());
            let read = Notebook::parse(&current.to_bytes()).unwrap();
            prop_assert_eq!(read.quirks(), &[]);
        }
        for undo in undos.iter().rev() {
            let after = history.pop().unwrap();
            if has_ids {
                current = Notebook::parse(&current.to_bytes()).unwrap();
            }
            let redo = current.undo(undo).unwrap().undo;
            let before = history.last().unwrap();
            prop_assert_eq!(text(&current), text(before));
            prop_assert_eq!(current.cells(), before.cells());
            current.undo(&redo).unwrap();
            prop_assert_eq!(text(&current), text(&after));
            current = before.clone();
        }
    }

    #[test]
    fn one_edit_that_fails_undoes_all(shapes in shapes(), has_ids in any::<bool>()) {
        let mut current = if has_ids { notebook() } else { without_ids() };
        let before = current.clone();
        let mut edits: Vec<_> = shapes.into_iter().map(|shape| edit(&before, shape)).collect();
        edits.push(delete("gone"));
        prop_assert!(current.apply_edits(&EditBatch::from(edits)).is_err());
        prop_assert_eq!(text(&current), text(&before));
        prop_assert_eq!(current.cells(), before.cells());
    }

    #[test]
    fn nothing_is_undone_in_part(first in shapes(), second in shapes()) {
        let mut current = notebook();
        let edits: Vec<_> = first.into_iter().map(|shape| edit(&current, shape)).collect();
        if let Ok(applied) = current.apply_edits(&EditBatch::from(edits)) {
            let edits: Vec<_> = second.into_iter().map(|shape| edit(&current, shape)).collect();
            let _ = current.apply_edits(&EditBatch::from(edits));
            let before = text(&current);
            match current.undo(&applied.undo) {
                Ok(undone) => drop(current.undo(&undone.undo).unwrap()),
                Err(error) => prop_assert!(matches!(error.failure, EditFailure::Conflict { .. }), "{}", error),
            }
            prop_assert_eq!(text(&current), before);
        }
    }
}
