//! The Python process that runs notebooks for us (`namespace.py`).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use mcp_jupyter_core::scheduler::Observation;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/master")
}

/// What a run of all cells in a new namespace leaves.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Fresh {
    /// The cell that raised.
    pub(crate) failed: Option<usize>,
    pub(crate) ename: Option<String>,
    /// What each cell before that has printed and displayed.
    pub(crate) texts: Vec<String>,
    pub(crate) names: BTreeMap<String, String>,
    /// Loops' variables that no other cell reads: they may have any value.
    pub(crate) exempt: Vec<String>,
}

/// What came of a cell.
#[derive(Debug, Deserialize)]
pub(crate) struct Executed {
    pub(crate) ename: Option<String>,
    pub(crate) text: String,
    pub(crate) observation: Option<Observation>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    pub(crate) names: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Helper {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    pub(crate) fn start(python: &Path) -> Self {
        let observer = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/observer.py");
        let mut process = Command::new(python)
            .arg(folder().join("namespace.py"))
            .arg("serve")
            .arg(observer.canonicalize().unwrap())
            .env("PYTHONHASHSEED", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            requests,
            answers,
        }
    }

    fn ask<T: DeserializeOwned>(&mut self, request: &Value) -> T {
        writeln!(self.requests, "{request}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {request} gave {answer:?}"))
    }

    pub(crate) fn fresh(&mut self, cells: &[&str]) -> Fresh {
        self.ask(&json!({"do": "fresh", "cells": cells}))
    }

    /// Of each cell's candidates one that does not raise there, if there is one.
    pub(crate) fn choose(&mut self, cells: &[Vec<String>]) -> Vec<usize> {
        self.ask(&json!({"do": "choose", "cells": cells}))
    }

    /// A text without what differs between equal runs.
    pub(crate) fn normal(&mut self, text: &str) -> String {
        self.ask(&json!({"do": "normal", "text": text}))
    }

    /// Begins a new kernel in place of the one before.
    pub(crate) fn open(&mut self) {
        let _: Value = self.ask(&json!({"do": "open"}));
    }

    pub(crate) fn run(&mut self, source: &str, written: &[String]) -> Executed {
        self.ask(&json!({"do": "run", "source": source, "written": written}))
    }

    pub(crate) fn delete(&mut self, names: &[String]) {
        let _: Value = self.ask(&json!({"do": "delete", "names": names}));
    }

    pub(crate) fn describe(&mut self, exempt: &[String]) -> BTreeMap<String, String> {
        let described: Described = self.ask(&json!({"do": "describe", "exempt": exempt}));
        described.names
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
