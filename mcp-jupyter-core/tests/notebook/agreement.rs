//! What is written equals what Python's nbformat writes; what has no quirk is what nbformat holds to be valid.

use mcp_jupyter_core::session::notebook::Notebook;
use proptest::prelude::*;

use crate::generated::{damaged_notebook, notebook, sample};
use crate::oracle::{Verdict, ask};
use crate::support::python;

/// How many generated notebooks are compared with Python; `MCP_JUPYTER_TEST_NOTEBOOKS` sets it for long runs.
fn sample_size() -> usize {
    let size = std::env::var("MCP_JUPYTER_TEST_NOTEBOOKS");
    size.map_or(300, |size| size.parse().unwrap())
}

fn written(document: &str) -> String {
    let notebook = Notebook::parse(document.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{document}"));
    String::from_utf8(notebook.to_bytes()).unwrap()
}

/// Checks `documents` against nbformat; gives how many of them it could read and write.
fn compare(documents: &[String], check_quirks: bool) -> usize {
    let Some(python) = python() else {
        return documents.len();
    };
    let verdicts = ask(&python, documents);
    let pairs = documents.iter().zip(&verdicts);
    pairs
        .filter(|(document, verdict)| agrees(document, verdict, check_quirks))
        .count()
}

fn agrees(document: &str, verdict: &Verdict, check_quirks: bool) -> bool {
    let Some(expected) = &verdict.written else {
        return false;
    };
    match Notebook::parse(document.as_bytes()) {
        Ok(notebook) => {
            assert_eq!(&String::from_utf8(notebook.to_bytes()).unwrap(), expected, "{document}");
            // A later version is a quirk in itself; nbformat holds it to be valid.
            if check_quirks && notebook.nbformat_minor() <= 5 {
                let quirks = notebook.quirks();
                assert_eq!(
                    quirks.is_empty(),
                    verdict.is_valid,
                    "{quirks:?} {}\n{document}",
                    verdict.why
                );
            }
        }
        Err(error) => assert!(!verdict.is_valid, "{error}\n{document}"),
    }
    true
}

#[test]
fn generated_notebooks_are_written_as_nbformat_writes_them() {
    let documents = sample(&notebook(), sample_size());
    assert_eq!(compare(&documents, false), documents.len());
}

#[test]
fn damaged_notebooks_have_quirks_where_nbformat_finds_them_invalid() {
    let documents = sample(&damaged_notebook(), sample_size());
    assert!(compare(&documents, true) > documents.len() / 2);
}

/// Notebooks of the formats 2 and 3, with every kind of cell and output that these know.
const OLD: [&str; 7] = [
    r##"{"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "old", "signature": "s", "custom": 1}, "worksheets": [
        {"metadata": {"sheet": 1}, "cells": [
          {"cell_type": "code", "language": "python", "collapsed": true, "prompt_number": 3, "trusted": true,
           "metadata": {"trusted": true, "kept": 1}, "input": ["a = 1\n", "a"], "outputs": [
             {"output_type": "pyout", "prompt_number": 3, "metadata": {"png": {"width": 1}},
              "text": ["1", "2"], "html": ["<b>\n", "</b>"], "png": "aGk=", "json": "{\"a\": [1, null]}"},
             {"output_type": "display_data", "svg": "<svg>\n</svg>", "latex": "$x$", "prompt_number": 4,
              "javascript": "f()", "jpeg": ["a", "b"], "image/x-odd": ["c", "d"]},
             {"output_type": "stream", "stream": "stderr", "text": ["a\n", "b\n"]},
             {"output_type": "stream", "text": "no name"},
             {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": ["t\n", "u"]},
             {"output_type": "odd", "text": ["x", "y"]}]},
          {"cell_type": "heading", "level": 2, "source": ["one\r\n", "two\n"], "metadata": {}},
          {"cell_type": "heading"},
          {"cell_type": "heading", "level": 0, "source": "\n\na\u2028\n"},
          {"cell_type": "markdown", "source": ["# one", "two"], "rendered": ["x\n", "y"]},
          {"cell_type": "html", "source": ["<b>\n", "</b>"]},
          {"cell_type": "raw", "source": [], "metadata": {}, "id": "mine"}]},
        {"cells": [{"cell_type": "code", "outputs": []}]}]}"##,
    r#"{"nbformat": 3, "metadata": {}, "worksheets": []}"#,
    r#"{"nbformat": 3, "nbformat_minor": 0, "orig_nbformat": 2, "metadata": {}, "worksheets": [], "odd": [1]}"#,
    r#"{"nbformat": 3, "metadata": {}, "worksheets": [{"cells": [
        {"cell_type": "code", "input": "x", "outputs": [{"output_type": "display_data", "json": "3"}]}]}]}"#,
    r#"{"nbformat": 2, "metadata": {"name": "older"}, "worksheets": [{"cells": [
        {"cell_type": "code", "input": ["a\n", "b"], "language": "python", "outputs": [
          {"output_type": "pyout", "text": ["1\n", "2"], "png": "aGk=", "prompt_number": 1},
          {"output_type": "pyerr", "etype": "E", "evalue": "v", "traceback": []}]},
        {"cell_type": "markdown", "source": ["a", "b"]}]}]}"#,
    r#"{"nbformat": 2, "metadata": {}, "worksheets": []}"#,
    r#"{"nbformat": 2, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": []}]}"#,
];

#[test]
fn old_formats_are_upgraded_as_nbformat_upgrades_them() {
    let documents = OLD.map(str::to_owned);
    assert_eq!(compare(&documents, false), documents.len());
    for document in OLD {
        let notebook = Notebook::parse(document.as_bytes()).unwrap();
        assert_eq!(notebook.nbformat_minor(), 5);
        assert!(
            notebook.quirks()[0].what.contains("upgraded to 4.5"),
            "{:?}",
            notebook.quirks()
        );
        assert_eq!(written(document), written(document));
    }
}

/// Documents that the schema forbids and that nbclient executes and saves all the same.
const ODD: [&str; 14] = [
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": {"name": "python3"}}, "cells": []}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {"language_info": 3, "kernelspec": 1}, "cells": []}"#,
    r#"{"nbformat": 4, "metadata": {}, "cells": []}"#,
    r#"{"nbformat": 4, "nbformat_minor": 9, "metadata": {}, "cells": [{"cell_type": "chat", "metadata": {}}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": -1, "metadata": {}, "cells": []}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [], "worksheets": [{"more": [null]}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "raw", "id": "a.b", "metadata": {"tags": "x", "name": ""}, "source": "", "outputs": [
          {"output_type": "stream", "text": ["a", "b"]}]}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [
        {"cell_type": "heading", "metadata": {}, "source": ["a", "b"], "level": 1},
        {"cell_type": "markdown", "metadata": {}}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [
        {"cell_type": "code", "id": "x", "metadata": {}, "source": "", "outputs": [], "execution_count": "3"},
        {"cell_type": "code", "id": "x", "metadata": {}, "source": "", "outputs": []}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "raw", "id": "x", "metadata": {}, "source": ""},
        {"cell_type": "raw", "id": "x", "metadata": {}, "source": ""},
        {"cell_type": "raw", "id": 5, "metadata": {}, "source": ""},
        {"cell_type": "raw", "metadata": {}, "source": ""}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [
        {"cell_type": "code", "metadata": {}, "source": "", "execution_count": -1, "attachments": {"a": {"b/c": ["d", "e"]}},
         "outputs": [
          {"output_type": "odd", "text": ["a\n", "b"], "data": {"text/plain": ["c", "d"]}},
          {"output_type": "error", "traceback": "x", "text": ["a\n", "b"]},
          {"output_type": "display_data", "metadata": null},
          {"output_type": "execute_result", "data": {"text/plain": ["a", 1]}, "metadata": {}, "transient": {}},
          {"output_type": "stream", "name": 1, "text": ["a", "b"]}]}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [{"cell_type": "code", "metadata": {
        "execution": {"iopub.status.busy": 1}, "scrolled": "no", "collapsed": null, "jupyter": []},
        "source": "", "outputs": [], "execution_count": 1.5}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {"title": 1, "authors": "me"}, "cells": [
        {"cell_type": "raw", "metadata": {"format": 1, "tags": ["a,b"]}, "source": ""}]}"#,
    r#"{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "metadata": {"vscode": 1}, "cells": [
        {"cell_type": "raw", "metadata": {"tags": ["a", "a"]}, "source": ""}]}"#,
];

#[test]
fn odd_notebooks_are_kept_as_nbformat_keeps_them() {
    let documents = ODD.map(str::to_owned);
    assert_eq!(compare(&documents, true), documents.len());
}

#[test]
#[ignore = "a campaign over the notebooks in the folder MCP_JUPYTER_TEST_FOLDER"]
fn notebooks_of_a_folder_are_written_as_nbformat_writes_them() {
    let folder = std::env::var_os("MCP_JUPYTER_TEST_FOLDER").expect("MCP_JUPYTER_TEST_FOLDER names a folder");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let documents: Vec<String> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert_ne!(compare(&documents, true), 0);
}

proptest! {
    #[test]
    fn what_is_written_reads_and_writes_the_same(document in notebook()) {
        let first = written(&document.to_string());
        prop_assert_eq!(written(&first), first);
    }

    #[test]
    fn what_is_damaged_is_refused_or_kept(document in damaged_notebook()) {
        if let Ok(notebook) = Notebook::parse(document.to_string().as_bytes()) {
            let first = String::from_utf8(notebook.to_bytes()).unwrap();
            prop_assert_eq!(written(&first), first);
        }
    }
}
