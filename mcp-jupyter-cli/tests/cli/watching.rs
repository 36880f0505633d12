//! Editing a notebook while its kernel lives. Everything is waited for by events and pipes.

use std::fs::{self, File};
use std::io::{Read, Write};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::lab::{Lab, Running, printed};

/// Starts to watch, and waits for the first run.
fn watch(lab: &Lab, sources: &[&str]) -> Running {
    lab.notebook("in.ipynb", sources);
    let mut running = lab.start(&["watch", "in.ipynb", "--json"]);
    assert_eq!(executed(&mut running).1, "ok");
    running
}

/// Reads a run to its end; gives the indices of the executed cells, and the outcome.
fn executed(running: &mut Running) -> (Vec<u64>, String) {
    let mut cells = Vec::new();
    loop {
        let event = running.event();
        match event["event"].as_str().unwrap() {
            "cell_started" => cells.push(event["cell"]["index"].as_u64().unwrap()),
            "run_finished" => return (cells, event["outcome"]["status"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }
}

/// Saves the notebook with another source in a cell, as an editor that replaces files does.
fn edit(lab: &Lab, cell: usize, source: &str) {
    let mut notebook = lab.json("in.ipynb");
    notebook["cells"][cell]["source"] = source.into();
    lab.write("saving", &notebook.to_string());
    fs::rename(lab.path("saving"), lab.path("in.ipynb")).unwrap();
}

#[test]
fn what_an_edit_makes_stale_is_executed_and_written_back() {
    let Some(lab) = Lab::new() else { return };
    let mut running = watch(&lab, &["x = 1", "print(x)", "z = 5", "print(x, z)"]);
    assert_eq!(printed(&lab.json("in.ipynb"), 3), "1 5\n");
    edit(&lab, 0, "x = 2");
    assert_eq!(executed(&mut running), (vec![0, 1, 3], "ok".to_owned()));
    let notebook = lab.json("in.ipynb");
    assert_eq!(
        (printed(&notebook, 1).as_str(), printed(&notebook, 3).as_str()),
        ("2\n", "2 5\n")
    );
    assert_eq!(notebook["cells"][3]["metadata"], json!({}));
    edit(&lab, 2, "z = 5  # still");
    assert_eq!(executed(&mut running), (vec![], "ok".to_owned()));
    // An editor that writes in place, and had opened the notebook before it was executed.
    let mut notebook = lab.json("in.ipynb");
    notebook["cells"][2]["source"] = "z = 6".into();
    for cell in [1, 3] {
        notebook["cells"][cell]["outputs"] = json!([]);
        notebook["cells"][cell]["execution_count"] = Value::Null;
    }
    lab.write("in.ipynb", &notebook.to_string());
    assert_eq!(executed(&mut running), (vec![2, 3], "ok".to_owned()));
    let notebook = lab.json("in.ipynb");
    assert_eq!(
        (printed(&notebook, 1).as_str(), printed(&notebook, 3).as_str()),
        ("2\n", "2 6\n")
    );
}

#[test]
fn an_edit_of_what_is_executed_interrupts_it() {
    let Some(lab) = Lab::new() else { return };
    let mut running = watch(&lab, &["x = 1", "print(x)"]);
    let pipe = lab.pipe("pipe");
    let begins = || File::open(&pipe).unwrap().read_exact(&mut [0]).unwrap();
    edit(&lab, 1, "import time\nopen('pipe', 'w').write(str(x))\ntime.sleep(600)");
    begins();
    edit(&lab, 0, "x = 7");
    assert_eq!(executed(&mut running), (vec![1], "interrupted".to_owned()));
    begins();
    edit(&lab, 1, "print(x)");
    assert_eq!(executed(&mut running), (vec![0, 1], "interrupted".to_owned()));
    assert_eq!(executed(&mut running), (vec![1], "ok".to_owned()));
    assert_eq!(printed(&lab.json("in.ipynb"), 1), "7\n");
}

#[test]
fn an_edit_of_something_else_waits_and_stays() {
    let Some(lab) = Lab::new() else { return };
    let mut running = watch(&lab, &["a = 1", "b = 1", "print(b)"]);
    let gate = lab.pipe("gate");
    edit(&lab, 0, "print(open('gate').read())");
    let mut gate = File::options().write(true).open(gate).unwrap();
    edit(&lab, 1, "b = 2");
    gate.write_all(b"through").unwrap();
    drop(gate);
    assert_eq!(executed(&mut running), (vec![0], "ok".to_owned()));
    assert_eq!(executed(&mut running), (vec![1, 2], "ok".to_owned()));
    let notebook = lab.json("in.ipynb");
    assert_eq!(
        (printed(&notebook, 0).as_str(), printed(&notebook, 2).as_str()),
        ("through\n", "2\n")
    );
    assert_eq!(notebook["cells"][1]["source"], json!(["b = 2"]));
}

#[test]
fn a_file_that_is_no_notebook_is_told_once_and_waited_out() {
    let Some(lab) = Lab::new() else { return };
    let mut running = watch(&lab, &["x = 1", "print(x)"]);
    let notebook = lab.read("in.ipynb");
    lab.write("in.ipynb", &notebook[..20]);
    let told = running.stderr_line();
    assert!(
        told.starts_with("warning: in.ipynb: not a valid notebook: ") && told.ends_with("; waiting for it to change\n"),
        "{told}"
    );
    lab.write("in.ipynb", &notebook[..30]);
    lab.write("in.ipynb", &notebook.replace("x = 1", "x = 3"));
    assert_eq!(executed(&mut running), (vec![0, 1], "ok".to_owned()));
    fs::remove_file(lab.path("in.ipynb")).unwrap();
    assert_eq!(
        running.stderr_line(),
        "warning: in.ipynb: no such file; waiting for it to change\n"
    );
    lab.write("in.ipynb", &notebook.replace("x = 1", "x = 4"));
    assert_eq!(executed(&mut running), (vec![0, 1], "ok".to_owned()));
    assert_eq!(printed(&lab.json("in.ipynb"), 1), "4\n");
}

#[test]
fn cells_without_ids_are_known_again() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["x = 1", "print(x)"]);
    let mut notebook = lab.json("in.ipynb");
    notebook["nbformat_minor"] = 4.into();
    for cell in notebook["cells"].as_array_mut().unwrap() {
        cell.as_object_mut().unwrap().remove("id");
    }
    lab.write("in.ipynb", &notebook.to_string());
    let mut running = lab.start(&["watch", "in.ipynb", "--json"]);
    assert_eq!(executed(&mut running), (vec![0, 1], "ok".to_owned()));
    let mut notebook = lab.json("in.ipynb");
    let new = json!({ "cell_type": "code", "metadata": {}, "source": "n = 0", "outputs": [], "execution_count": null });
    notebook["cells"].as_array_mut().unwrap().insert(0, new);
    lab.write("in.ipynb", &notebook.to_string());
    assert_eq!(executed(&mut running), (vec![0], "ok".to_owned()));
    edit(&lab, 2, "print(x + 1)");
    assert_eq!(executed(&mut running), (vec![2], "ok".to_owned()));
    let notebook = lab.json("in.ipynb");
    assert_eq!(
        (printed(&notebook, 2).as_str(), &notebook["cells"][2]["id"]),
        ("2\n", &Value::Null)
    );
}

#[test]
fn a_failed_cell_and_a_dead_kernel_wait_for_the_next_edit() {
    let Some(lab) = Lab::new() else { return };
    let mut running = watch(&lab, &["x = 1", "print(x)"]);
    edit(&lab, 1, "1 / 0");
    assert_eq!(executed(&mut running), (vec![1], "cell_failed".to_owned()));
    assert_eq!(
        crate::lab::raised(&lab.json("in.ipynb"), 1).as_deref(),
        Some("ZeroDivisionError")
    );
    edit(&lab, 1, "import os\nos._exit(3)");
    assert_eq!(executed(&mut running), (vec![1], "kernel_died".to_owned()));
    edit(&lab, 1, "print(x)");
    let mut last = executed(&mut running);
    if last.0.is_empty() {
        // Of a kernel that dies before it says anything the execution is taken in once more, to no effect.
        last = executed(&mut running);
    }
    assert_eq!(last, (vec![0, 1], "ok".to_owned()));
    assert_eq!(printed(&lab.json("in.ipynb"), 1), "1\n");
}

#[test]
fn stopping_leaves_nothing() {
    let Some(lab) = Lab::new() else { return };
    let running = watch(&lab, &["x = 1"]);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().0, Some(130));
    assert!(lab.is_clean());
}

#[test]
fn a_cell_goes_on_when_the_watch_is_killed() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "in.ipynb",
        &["print('before', flush=True)\nopen('pipe', 'w').write('x')\nprint(open('gate').read())"],
    );
    let (pipe, gate) = (lab.pipe("pipe"), lab.pipe("gate"));
    let running = lab.start(&["watch", "in.ipynb", "--json"]);
    File::open(&pipe).unwrap().read_exact(&mut [0]).unwrap();
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish().0, None);
    File::options()
        .write(true)
        .open(gate)
        .unwrap()
        .write_all(b"through")
        .unwrap();
    // It finds what goes on, and leaves a kernel that it has found.
    let mut running = lab.start(&["watch", "in.ipynb", "--json"]);
    assert_eq!(executed(&mut running).1, "ok");
    assert_eq!(executed(&mut running), (vec![], "ok".to_owned()));
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().0, Some(130));
    let notebook = lab.json("in.ipynb");
    assert_eq!(printed(&notebook, 0), "before\nthrough\n");
    assert_eq!(notebook["cells"][0]["execution_count"], 1);
    assert!(!lab.is_clean());
    assert_eq!(lab.run(&["stop", "in.ipynb"]).code, 0);
    assert!(lab.is_clean());
}

#[test]
fn a_kernel_is_shared_with_other_commands() {
    let Some(lab) = Lab::new() else { return };
    let mut running = watch(&lab, &["x = 1", "print(x)"]);
    edit(&lab, 0, "x = 2");
    assert_eq!(executed(&mut running), (vec![0, 1], "ok".to_owned()));
    let sync = lab.run(&["sync", "in.ipynb", "--json"]);
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    assert!(!sync.stdout.contains("cell_started"), "{}", sync.stdout);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().0, Some(130));
    assert!(lab.is_clean());
}

#[test]
fn only_what_is_wanted_is_executed() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["x = 1", "y = 2", "print(x)"]);
    let mut running = lab.start(&["watch", "in.ipynb", "--json", "--target", "cell-2"]);
    assert_eq!(executed(&mut running), (vec![0, 2], "ok".to_owned()));
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    let refused = |arguments: &[&str]| {
        let run = lab.run(&[&["watch"], arguments].concat());
        (run.code, run.stderr)
    };
    let stdin = "error: standard input cannot be watched: name a file\n";
    assert_eq!(refused(&["-"]), (2, stdin.to_owned()));
    assert_eq!(
        refused(&["no.ipynb"]),
        (3, "error: no.ipynb: no such file\n".to_owned())
    );
    assert_eq!(
        refused(&["no/in.ipynb"]),
        (3, "error: no/in.ipynb: no such file\n".to_owned())
    );
    let target = "error: no code cell has the tag `x`\n";
    assert_eq!(refused(&["in.ipynb", "--target", "tag:x"]), (2, target.to_owned()));
    assert_eq!(refused(&["in.ipynb", "--kernel", "none"]).0, 4);
}
