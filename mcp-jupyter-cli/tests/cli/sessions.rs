//! Notebooks whose kernels outlive the commands that use them.

use std::fs;
use std::io::Write;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::lab::{Finished, Lab, Running, printed};

/// A lab whose sessions end with it.
struct Keeping(Lab);

impl Keeping {
    fn new(sources: &[&str]) -> Option<Self> {
        let lab = Lab::new()?;
        lab.notebook("in.ipynb", sources);
        Some(Self(lab))
    }

    fn sync(&self) -> Finished {
        self.run(&["sync", "in.ipynb"])
    }

    /// Starts to execute, and waits for the first output of a cell.
    fn start_sync(&self) -> Running {
        let mut running = self.start(&["sync", "in.ipynb", "--json"]);
        running.wait_for("output");
        running
    }

    fn notebook(&self) -> Value {
        self.json("in.ipynb")
    }

    fn printed(&self, cell: usize) -> String {
        printed(&self.notebook(), cell)
    }

    fn session(&self) -> Value {
        let shown = self.run(&["sessions", "show", "in.ipynb", "--json"]);
        serde_json::from_str(&shown.stdout).unwrap()
    }

    fn kill(&self, which: &str) {
        let pid = self.session()["kernel"][which].as_i64().unwrap();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    }

    fn edit(&self, cell: usize, source: &str) {
        let mut notebook = self.notebook();
        notebook["cells"][cell]["source"] = source.into();
        self.write("saving", &notebook.to_string());
        fs::rename(self.path("saving"), self.path("in.ipynb")).unwrap();
    }

    /// Code that prints many lines, in the middle of which it waits for a file.
    fn long(&self) -> (String, PathBuf) {
        let go = self.path("go");
        let code = format!(
            "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('{}'):\n    time.sleep(0.01)\n\
             for i in range(400):\n    print(i, flush=True)",
            go.display()
        );
        (code, go)
    }
}

impl Deref for Keeping {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let listed = self.run(&["sessions", "list", "--json"]);
        let sessions: Value = serde_json::from_str(&listed.stdout).unwrap_or_default();
        for session in sessions.as_array().into_iter().flatten() {
            self.run(&["stop", session["id"].as_str().unwrap()]);
        }
    }
}

fn lines() -> String {
    let numbers = (0..400).map(|number| format!("{number}\n"));
    std::iter::once("begun\n".to_owned()).chain(numbers).collect()
}

#[test]
fn names_live_from_shell_to_shell() {
    let Some(lab) = Keeping::new(&["x = 41", "print(x + 1)", "import os; print(os.getpid())"]) else {
        return;
    };
    let started = lab.run(&["start", "in.ipynb"]);
    assert_eq!((started.code, started.stdout.as_str()), (0, ""), "{}", started.stderr);
    assert!(
        started.stderr.contains("in.ipynb has a kernel now"),
        "{}",
        started.stderr
    );
    let again = lab.run(&["start", "in.ipynb"]);
    assert!(again.stderr.contains("has a kernel already"), "{}", again.stderr);
    let first = lab.sync();
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!(lab.printed(1), "42\n");
    let pid = lab.printed(2);
    lab.edit(1, "print(x + 2)");
    let second = lab.sync();
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert_eq!((lab.printed(1), lab.printed(2)), ("43\n".to_owned(), pid.clone()));
    let listed: Value = serde_json::from_str(&lab.run(&["kernels", "--json"]).stdout).unwrap();
    assert_eq!(listed["running"][0]["pid"].to_string(), pid.trim());
    assert_eq!(
        listed["running"][0]["notebook"],
        json!(fs::canonicalize(lab.path("in.ipynb")).unwrap())
    );
    let stopped = lab.run(&["stop", "in.ipynb"]);
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    assert!(lab.is_clean());
    assert_eq!(lab.session()["state"], "no kernel");
}

#[test]
fn what_a_killed_client_has_begun_goes_on() {
    let Some(lab) = Keeping::new(&["x = 1", "", "print('after', x, i)"]) else {
        return;
    };
    let (code, go) = lab.long();
    lab.edit(1, &code);
    let mut running = lab.start_sync();
    running.kill();
    drop(running);
    let status = lab.run(&["run-status", "in.ipynb", "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        (&status["state"], &status["running"]),
        (&json!("interrupted"), &json!("cell-1"))
    );
    fs::write(go, "").unwrap();
    let synced = lab.sync();
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    assert_eq!(lab.printed(1), lines());
    assert_eq!(lab.printed(2), "after 1 399\n");
    let status = lab.run(&["run-status", status["run_id"].as_str().unwrap(), "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["state"], "completed");
    let executed: Vec<&Value> = status["executions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["cell"])
        .collect();
    assert_eq!(executed, ["cell-0", "cell-1", "cell-2"], "each cell once");
    assert_eq!(lab.notebook()["cells"][1]["execution_count"], 2);
}

#[test]
fn a_cell_that_ended_unseen_is_in_the_notebook_after_recovery() {
    let Some(lab) = Keeping::new(&["", "print('next')"]) else {
        return;
    };
    let (code, go) = lab.long();
    let done = lab.path("done");
    lab.edit(0, &format!("{code}\nopen('{}', 'w').close()", done.display()));
    let mut running = lab.start_sync();
    running.kill();
    drop(running);
    fs::write(go, "").unwrap();
    while !done.exists() {
        std::thread::yield_now();
    }
    let recovered = lab.run(&["sessions", "recover"]);
    assert_eq!(recovered.code, 0, "{}", recovered.stderr);
    assert_eq!((lab.printed(0), lab.printed(1)), (lines(), "next\n".to_owned()));
}

#[test]
fn a_keeper_that_is_killed_in_a_cell_is_replaced() {
    let Some(lab) = Keeping::new(&["", "print(i)"]) else {
        return;
    };
    let (code, go) = lab.long();
    lab.edit(0, &code);
    let mut running = lab.start_sync();
    lab.kill("keeper_pid");
    running.kill();
    drop(running);
    let shown = lab.session();
    fs::write(go, "").unwrap();
    let synced = lab.sync();
    assert_eq!(
        synced.code, 1,
        "what nobody heard is not taken for whole: {}",
        synced.stderr
    );
    let again = lab.sync();
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!((lab.printed(0), lab.printed(1)), (lines(), "399\n".to_owned()));
    assert_eq!(lab.session()["kernel"]["pid"], shown["kernel"]["pid"]);
}

#[test]
fn a_keeper_takes_over_even_if_whoever_has_ordered_it_is_gone() {
    let Some(lab) = Keeping::new(&["x = 1", ""]) else {
        return;
    };
    assert_eq!(lab.sync().code, 0);
    lab.kill("keeper_pid");
    let kernels = fs::read_dir(lab.path("state/kernels")).unwrap();
    let home = kernels.map(|entry| entry.unwrap().path()).next().unwrap();
    let mut order = lab.command(&["keep", home.to_str().unwrap()]);
    let order = order.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut keeper = order.stderr(Stdio::null()).spawn().unwrap();
    drop(keeper.stdout.take());
    keeper.stdin.take().unwrap().write_all(b"\"adopt\"\n").unwrap();
    let before = lab.session();
    lab.edit(1, "print(x)");
    let synced = lab.sync();
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    assert_eq!(lab.printed(1), "1\n");
    assert_eq!(lab.session()["kernel"]["pid"], before["kernel"]["pid"]);
    assert_eq!(lab.run(&["stop", "in.ipynb"]).code, 0);
    keeper.wait().unwrap();
}

#[test]
fn a_kernel_that_has_died_is_told_of_and_replaced() {
    let Some(lab) = Keeping::new(&["x = 1", "print(x)"]) else {
        return;
    };
    assert_eq!(lab.sync().code, 0);
    lab.kill("pid");
    while lab.session()["state"] != "dead" {
        std::thread::yield_now();
    }
    let synced = lab.sync();
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    assert!(synced.stderr.contains("ended by signal 9"), "{}", synced.stderr);
    assert_eq!(lab.printed(1), "1\n");
    let gone = lab.session();
    for which in ["keeper_pid", "pid"] {
        let pid = gone["kernel"][which].as_i64().unwrap();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    }
    while lab.session()["state"] != "dead" {
        std::thread::yield_now();
    }
    let synced = lab.sync();
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    assert_ne!(lab.session()["kernel"]["kernel_id"], gone["kernel"]["kernel_id"]);
}

#[test]
fn a_kernel_that_dies_in_a_run_is_restarted_where_that_is_asked_for() {
    let Some(lab) = Keeping::new(&["x = 1", "", "print(x)"]) else {
        return;
    };
    let flag = lab.path("flag");
    let code = format!(
        "import os\nif not os.path.exists('{0}'):\n    open('{0}', 'w').close()\n    os.kill(os.getpid(), 9)\nprint('lives')",
        flag.display()
    );
    lab.edit(1, &code);
    let synced = lab.run(&["sync", "in.ipynb", "--restarts", "1"]);
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    assert_eq!(
        (lab.printed(1), lab.printed(2)),
        ("lives\n".to_owned(), "1\n".to_owned())
    );
    let again = lab.run(&["sync", "in.ipynb", "--json"]);
    assert!(!again.stdout.contains("cell_started"), "{}", again.stdout);
    fs::remove_file(flag).unwrap();
    lab.edit(1, &format!("{code}\nprint('again')"));
    let died = lab.sync();
    assert_eq!(died.code, 5, "{}", died.stderr);
}

#[test]
fn a_kernel_that_dies_is_replaced_where_that_is_asked_for() {
    let Some(lab) = Keeping::new(&["x = 1", "import os\nos._exit(3)"]) else {
        return;
    };
    let died = lab.run(&["sync", "in.ipynb", "--on-kernel-death", "restart"]);
    assert_eq!(died.code, 5, "{}", died.stderr);
    assert!(
        died.stderr
            .contains("started a new kernel, on which nothing was executed"),
        "{}",
        died.stderr
    );
    let shown = lab.run(&["kernels", "--json"]);
    let kernels: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(kernels["running"].as_array().map(Vec::len), Some(1), "{}", shown.stdout);
    lab.edit(1, "print(x)");
    let synced = lab.run(&["sync", "in.ipynb", "--on-kernel-death", "rerun"]);
    assert_eq!((synced.code, lab.printed(1).as_str()), (0, "1\n"), "{}", synced.stderr);
    let refused = lab.run(&["sync", "in.ipynb", "--on-kernel-death", "leave", "--restarts", "2"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
}

#[test]
fn a_kernel_that_grows_is_warned_of_and_ended() {
    let Some(lab) = Keeping::new(&["x = bytearray(300 << 20)\nimport time\nwhile True:\n    time.sleep(0.1)"]) else {
        return;
    };
    let synced = lab.run(&["sync", "in.ipynb", "--memory-warning", "10M", "--memory-limit", "250M"]);
    assert_eq!(synced.code, 5, "{}", synced.stderr);
    let said = &synced.stderr;
    assert!(said.contains("are allowed: it is ended"), "{said}");
}

#[test]
fn a_run_in_the_background_is_followed_and_interrupted() {
    let Some(lab) = Keeping::new(&["print('hello', flush=True)\nimport time\nwhile True:\n    time.sleep(0.1)"]) else {
        return;
    };
    let started = lab.run(&["sync", "in.ipynb", "--no-wait"]);
    assert_eq!(started.code, 0, "{}", started.stderr);
    let run = started.stdout.trim().to_owned();
    let state = || {
        let status = lab.run(&["run-status", &run, "--json"]);
        serde_json::from_str::<Value>(&status.stdout).unwrap()
    };
    while lab.session()["kernel_state"] != "busy" || state()["running"] != "cell-0" {
        std::thread::yield_now();
    }
    assert_eq!(state()["state"], "running");
    let interrupted = lab.run(&["interrupt", "in.ipynb"]);
    assert!(interrupted.stderr.contains("cell cell-0"), "{}", interrupted.stderr);
    while state()["state"] == "running" {
        std::thread::yield_now();
    }
    assert_eq!(state()["state"], "failed");
    assert_eq!(lab.printed(0), "hello\n");
}

#[test]
fn a_restart_makes_everything_stale() {
    let Some(lab) = Keeping::new(&["x = 1", "print(x)"]) else {
        return;
    };
    assert_eq!(lab.sync().code, 0);
    let restarted = lab.run(&["restart", "in.ipynb"]);
    assert_eq!(restarted.code, 0, "{}", restarted.stderr);
    lab.edit(1, "print('x' in globals(), x)");
    let synced = lab.sync();
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    assert_eq!(lab.printed(1), "True 1\n");
    let status = lab.run(&["run-status", "in.ipynb", "--json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["done"], 2);
}

#[test]
fn edits_made_while_a_cell_runs_stay() {
    let Some(lab) = Keeping::new(&["", "print('b')"]) else {
        return;
    };
    let (code, go) = lab.long();
    lab.edit(0, &code);
    let running = lab.start_sync();
    lab.edit(1, "print('edited')");
    fs::write(go, "").unwrap();
    let (ended, _) = running.finish();
    assert_eq!(ended, Some(0));
    assert_eq!(lab.printed(0), lines());
    assert_eq!(lab.notebook()["cells"][1]["source"], json!(["print('edited')"]));
    assert_eq!(lab.sync().code, 0);
    assert_eq!(lab.printed(1), "edited\n");
}

#[test]
fn the_past_of_a_notebook_is_kept_told_and_brought_back() {
    let Some(lab) = Keeping::new(&["x = 1", "print('one', x)"]) else {
        return;
    };
    assert_eq!(lab.sync().code, 0);
    let kept = lab.run(&["history", "in.ipynb", "--keep", "first"]);
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    lab.edit(1, "print('two', x)\nprint('more')");
    assert_eq!(lab.sync().code, 0);
    let history = || serde_json::from_str::<Value>(&lab.run(&["history", "in.ipynb", "--json"]).stdout).unwrap();
    let versions = history()["versions"].as_array().unwrap().clone();
    let told: Vec<_> = versions
        .iter()
        .map(|version| (&version["cell"], &version["outcome"]))
        .collect();
    let ok = json!("ok");
    assert_eq!(
        told,
        [
            (&json!("cell-1"), &ok),
            (&json!("cell-1"), &ok),
            (&json!("cell-0"), &ok)
        ]
    );
    assert_eq!(versions[1]["source"], "print('one', x)");
    let diff = lab.run(&["diff", "in.ipynb", "--since", "first"]);
    assert_eq!(diff.code, 0, "{}", diff.stderr);
    for line in [
        "cell #1 (cell-1) changed: outputs",
        "-print('one', x)",
        "+print('two', x)",
        "+print('more')",
    ] {
        assert!(diff.stdout.contains(line), "{line} in {}", diff.stdout);
    }
    let restored = lab.run(&["restore", "in.ipynb", "--snapshot", "first", "--cell", "cell-1"]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
    assert_eq!(lab.printed(1), "one 1\n");
    let before = history()["snapshots"][0]["seq"].to_string();
    assert_eq!(lab.run(&["restore", "in.ipynb", "--snapshot", &before]).code, 0);
    assert_eq!(lab.printed(1), "two 1\nmore\n");
    let version = versions[1]["seq"].to_string();
    assert_eq!(lab.run(&["restore", "in.ipynb", "--version", &version]).code, 0);
    assert_eq!(lab.printed(1), "one 1\n");
    // The kernel follows by what differs.
    assert_eq!(lab.sync().code, 0);
    assert_eq!(history()["versions"].as_array().unwrap().len(), 4);
    let unknown = lab.run(&["restore", "in.ipynb", "--snapshot", "none"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("there is no snapshot none"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn one_kernel_too_many_is_refused_with_those_that_do_nothing() {
    let Some(lab) = Keeping::new(&["x = 1"]) else { return };
    lab.0.notebook("other.ipynb", &["1"]);
    assert_eq!(lab.sync().code, 0);
    let refused = lab.run(&["start", "other.ipynb", "--max-kernels", "1"]);
    assert_eq!(refused.code, 2);
    let said = &refused.stderr;
    assert!(
        said.contains("1 kernels live already") && said.contains("/in.ipynb"),
        "{said}"
    );
    let listed: Value = serde_json::from_str(&lab.run(&["kernels", "--json"]).stdout).unwrap();
    assert!(listed["running"][0]["usage"]["memory_bytes"].as_u64().unwrap() > 1 << 20);
}

#[test]
fn what_has_no_session_is_named() {
    let Some(lab) = Keeping::new(&["1"]) else { return };
    for command in ["interrupt", "restart", "stop"] {
        let refused = lab.run(&[command, "other.ipynb"]);
        assert_eq!(refused.code, 2);
        assert!(
            refused.stderr.contains("other.ipynb has no session"),
            "{}",
            refused.stderr
        );
    }
    let missing = lab.run(&["start", "missing.ipynb"]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    assert_eq!(lab.run(&["sessions", "list"]).code, 0);
}
