//! What is refused, with the place and the reason, and what a notebook gives of itself.

use std::path::Path;

use mcp_jupyter_core::ErrorKind;
use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::{Cell, CellType, Notebook};
use tempfile::TempDir;

fn refusal(document: &[u8]) -> (String, String) {
    match Notebook::parse(document) {
        Err(SessionError::InvalidNotebook { place, reason }) => (place, reason),
        other => panic!("{other:?}\n{}", String::from_utf8_lossy(document)),
    }
}

fn with_cell(cell: &str) -> String {
    let empty = r#"{"cell_type": "raw", "metadata": {}, "source": ""}"#;
    format!(r#"{{"nbformat": 4, "nbformat_minor": 4, "metadata": {{}}, "cells": [{empty}, {cell}]}}"#)
}

#[test]
fn what_is_no_notebook_is_refused_with_place_and_reason() {
    for (document, place, reason) in [
        ("", "document", "the file is empty"),
        (" \n", "document", "the file is empty"),
        ("{\n \"nbformat\": 4,\n}", "line 3, column 1", "member name"),
        ("{\"a\": 1", "line 1, column 8", "',' or '}'"),
        ("[]", "document", "an object was expected, not an array"),
        ("null", "document", "an object was expected, not null"),
        ("{}", "nbformat", "missing"),
        (
            r#"{"nbformat": "4"}"#,
            "nbformat",
            "an integer was expected, not a string",
        ),
        (r#"{"nbformat": 4.0}"#, "nbformat", "an integer was expected"),
        (r#"{"nbformat": 5}"#, "nbformat", "version 5 is not known"),
        (
            r#"{"nbformat": 1, "cells": []}"#,
            "nbformat",
            "jupyter nbconvert --to notebook",
        ),
        (
            r#"{"nbformat": 4, "nbformat_minor": null}"#,
            "nbformat_minor",
            "an integer was expected, not null",
        ),
        (
            r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": []}"#,
            "metadata",
            "an object was expected",
        ),
        (
            r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}}"#,
            "cells",
            "missing",
        ),
        (
            r#"{"nbformat": 4, "nbformat_minor": 4, "cells": {}}"#,
            "cells",
            "a list was expected, not an object",
        ),
        (r#"{"nbformat": 3}"#, "worksheets", "missing"),
        (
            r#"{"nbformat": 3, "worksheets": {}}"#,
            "worksheets",
            "a list was expected",
        ),
        (
            r#"{"nbformat": 3, "worksheets": [{}]}"#,
            "worksheets[0].cells",
            "missing",
        ),
        (
            r#"{"nbformat": 3, "worksheets": [{"cells": [3]}]}"#,
            "worksheets[0].cells[0]",
            "an object was expected",
        ),
        (
            r#"{"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "heading", "level": "x"}]}]}"#,
            "worksheets[0].cells[0].level",
            "a level from 1 to 6",
        ),
        (
            r#"{"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "outputs": [
                {"output_type": "pyout", "json": "{"}]}]}]}"#,
            "worksheets[0].cells[0].outputs[0].json",
            "no JSON",
        ),
    ] {
        let (found, why) = refusal(document.as_bytes());
        assert_eq!(found, place, "{document}: {why}");
        assert!(why.contains(reason), "{document}: {why}");
    }
    assert_eq!(
        refusal(b"{\"a\": \"\xff\"}"),
        ("line 1, column 8".to_owned(), "a byte that is not UTF-8".to_owned())
    );
}

#[test]
fn a_broken_cell_is_refused_with_place_and_reason() {
    for (cell, place, reason) in [
        ("null", "cells[1]", "an object was expected, not null"),
        (r#"{"metadata": {}, "source": ""}"#, "cells[1].cell_type", "missing"),
        (r#"{"cell_type": 3}"#, "cells[1].cell_type", "a string was expected"),
        (r#"{"cell_type": "code", "metadata": {}}"#, "cells[1].source", "missing"),
        (
            r#"{"cell_type": "raw", "source": 3}"#,
            "cells[1].source",
            "a string or a list of strings was expected",
        ),
        (
            r#"{"cell_type": "code", "source": ["a", 3]}"#,
            "cells[1].source",
            "a string or a list of strings",
        ),
        (
            r#"{"cell_type": "raw", "source": "", "metadata": null}"#,
            "cells[1].metadata",
            "an object was expected",
        ),
        (
            r#"{"cell_type": "code", "source": "", "metadata": {}, "outputs": {}}"#,
            "cells[1].outputs",
            "a list was expected, not an object",
        ),
        (
            r#"{"cell_type": "code", "source": "", "metadata": {}, "outputs": [{"output_type": "x"}, "y"]}"#,
            "cells[1].outputs[1]",
            "an object was expected, not a string",
        ),
    ] {
        let (found, why) = refusal(with_cell(cell).as_bytes());
        assert_eq!(found, place, "{cell}: {why}");
        assert!(why.contains(reason), "{cell}: {why}");
    }
}

#[test]
fn what_is_missing_and_can_be_added_is_a_quirk() {
    let document = br#"{"nbformat": 4, "nbformat_minor": 5, "cells": [
        {"cell_type": "code", "source": "", "outputs": [{"name": "x"}]}, {"cell_type": "code", "source": ["a"]}]}"#;
    let notebook = Notebook::parse(document).unwrap();
    let places: Vec<&str> = notebook.quirks().iter().map(|quirk| quirk.place.as_str()).collect();
    for place in [
        "metadata",
        "cells[0].metadata",
        "cells[0].outputs[0].output_type",
        "cells[1].outputs",
        "cells[1].id",
    ] {
        assert!(places.contains(&place), "{place}: {places:?}");
    }
    let again = Notebook::parse(&notebook.to_bytes()).unwrap();
    assert_eq!(again.cells(), notebook.cells());
}

#[test]
fn numbers_stay_as_they_were_written() {
    let document = br#"{"nbformat":4,"nbformat_minor":4,"cells":[],"metadata":
        {"n":[1e5,1.0,-0,0.10,123456789012345678901234567890,NaN,-Infinity]}}"#;
    let written = String::from_utf8(Notebook::parse(document).unwrap().to_bytes()).unwrap();
    for number in [
        "1e5",
        "1.0",
        "-0",
        "0.10",
        "123456789012345678901234567890",
        "NaN",
        "-Infinity",
    ] {
        assert!(written.contains(&format!("\n   {number}")), "{number}\n{written}");
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let document = "\u{feff}{\"nbformat\": 4, \"nbformat_minor\": 4, \"metadata\": {}, \"cells\": []}";
    assert!(Notebook::parse(document.as_bytes()).unwrap().cells().is_empty());
}

#[test]
fn what_a_notebook_gives_of_itself() {
    let document = br#"{"nbformat": 4, "nbformat_minor": 4, "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["a\n", "b"]},
        {"cell_type": "code", "metadata": {"tags": ["x", 3]}, "execution_count": 7, "source": "",
         "outputs": [{"output_type": "stream", "name": "stdout", "text": ["c\n", "d"]}]},
        {"cell_type": "unknown", "metadata": {"tags": "y"}}],
        "metadata": {"kernelspec": {"name": "ir"}, "language_info": {"name": "R"}}}"#;
    let notebook = Notebook::parse(document).unwrap();
    assert_eq!(notebook.kernelspec_name().as_deref(), Some("ir"));
    assert_eq!(notebook.language().as_deref(), Some("R"));
    assert_eq!(notebook.nbformat_minor(), 4);
    let [markdown, code, unknown] = notebook.cells() else {
        panic!("three cells were expected");
    };
    assert_eq!((markdown.cell_type(), markdown.source()), (CellType::Markdown, "a\nb"));
    assert_eq!((code.cell_type(), code.execution_count()), (CellType::Code, Some(7)));
    assert_eq!(code.outputs()[0].get("text").unwrap().as_str().unwrap(), "c\nd");
    assert!(code.has_tag("x") && !code.has_tag("3") && unknown.has_tag("y"));
    assert_eq!((unknown.cell_type(), unknown.source()), (CellType::Raw, ""));
    assert_eq!(notebook.position(code.id()), Some(1));
    assert_eq!(notebook.cell(code.id()), Some(code));
    assert_eq!(notebook.cell(&"none".into()), None);
}

#[test]
fn what_is_changed_is_written_and_nothing_else() {
    let document = with_cell(r#"{"cell_type": "code", "metadata": {}, "source": "", "outputs": [], "odd": 1}"#);
    let mut notebook = Notebook::parse(document.as_bytes()).unwrap();
    notebook.metadata_mut().insert("signature".to_owned(), "s".into());
    let cell = &mut notebook.cells_mut()[1];
    cell.set_source("x\ny");
    cell.set_execution_count(Some(2));
    cell.add_tag("a");
    cell.add_tag("a");
    cell.metadata_mut().insert("trusted".to_owned(), true.into());
    notebook.cells_mut().insert(1, Cell::new_markdown("new".into(), "# m"));
    notebook.cells_mut().push(Cell::new_code("newer".into(), ""));
    let written = String::from_utf8(notebook.to_bytes()).unwrap();
    for absent in ["signature", "trusted", "\"id\"", "new"] {
        assert!(!written.contains(absent), "{absent}\n{written}");
    }
    let again = Notebook::parse(written.as_bytes()).unwrap();
    assert_eq!(again.cells().len(), 4);
    let cell = &again.cells()[2];
    assert_eq!((cell.source(), cell.execution_count()), ("x\ny", Some(2)));
    assert_eq!(cell.tags().collect::<Vec<_>>(), ["a"]);
    assert!(written.contains("\"odd\": 1"));
}

#[test]
fn opening_tells_apart_what_is_missing_unreadable_and_broken() {
    let folder = TempDir::new().unwrap();
    let kind = |path: &Path| Notebook::open(path).unwrap_err().kind();
    assert_eq!(kind(&folder.path().join("none.ipynb")), ErrorKind::NotFound);
    assert_eq!(kind(folder.path()), ErrorKind::Io);
    let empty = folder.path().join("empty.ipynb");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(kind(&empty), ErrorKind::Corrupt);
    let error = Notebook::open(folder.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("read {}", folder.path().display()));
}
