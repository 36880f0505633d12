use serde_json::json;

use crate::lab::{Lab, printed, raised};

#[test]
fn a_failing_cell_is_shown_and_the_notebook_saved() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "in.ipynb",
        &["def f(x):\n    return 1 / x\nprint('before')\nf(0)", "print('never')"],
    );
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb"]);
    let expected = "\
running in.ipynb: 2 cells on python3
error: in.ipynb: cell #0 (id cell-0), In[1], raised ZeroDivisionError: division by zero
  line 4: f(0)
---------------------------------------------------------------------------
ZeroDivisionError                         Traceback (most recent call last)
";
    assert!(run.stderr.starts_with(expected), "{}", run.stderr);
    assert!(
        run.stderr
            .ends_with("failed: in.ipynb: 1 of 2 cells in [time], see out.ipynb\n"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains('\x1b'));
    assert_eq!(run.code, 1);
    let out = lab.json("out.ipynb");
    assert_eq!(
        (printed(&out, 0).as_str(), raised(&out, 0).as_deref()),
        ("before\n", Some("ZeroDivisionError"))
    );
    assert_eq!(out["cells"][1]["execution_count"], json!(null));
    assert!(lab.is_clean());
}

#[test]
fn colours_are_kept_where_they_are_forced() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1 / 0"]);
    let coloured = |name: &str| {
        let output = lab
            .command(&["run", "in.ipynb", "--no-output"])
            .env("FORCE_COLOR", "1")
            .env(name, "1")
            .output();
        String::from_utf8(output.unwrap().stderr).unwrap().contains("\x1b[")
    };
    assert!(coloured("UNRELATED"));
    assert!(!coloured("NO_COLOR"));
}

#[test]
fn errors_may_be_allowed_or_expected() {
    let Some(lab) = Lab::new() else { return };
    let cells: [(&str, &[&str]); 3] = [
        ("1 / 0", &["raises-exception"]),
        ("exit = 1 /", &["skip-execution"]),
        ("print('on')", &[]),
    ];
    lab.tagged_notebook("in.ipynb", &cells);
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr
            .contains("cell #0 (id cell-0) raised ZeroDivisionError: division by zero, which is allowed\n")
    );
    let out = lab.json("out.ipynb");
    assert_eq!(
        (raised(&out, 0).as_deref(), raised(&out, 1), printed(&out, 2).as_str()),
        (Some("ZeroDivisionError"), None, "on\n")
    );
    lab.notebook("bad.ipynb", &["1 / 0", "print('on')"]);
    let run = lab.run(&["run", "bad.ipynb", "-o", "out.ipynb", "--allow-errors", "-q"]);
    assert_eq!((run.code, printed(&lab.json("out.ipynb"), 1).as_str()), (0, "on\n"));
}

#[test]
fn system_exit_fails() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["import sys; sys.exit(0)", "1"]);
    let run = lab.run(&["run", "in.ipynb", "--no-output"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("raised SystemExit: 0\n"), "{}", run.stderr);
}

#[test]
fn input_without_a_terminal_fails_the_cell() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["input('name? ')"]);
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb"]);
    assert_eq!(
        (run.code, raised(&lab.json("out.ipynb"), 0).as_deref()),
        (1, Some("StdinNotImplementedError"))
    );
}

#[test]
fn a_missing_kernel_is_told_with_those_that_exist() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    let run = lab.run(&["run", "in.ipynb", "--no-output", "--kernel", "nope"]);
    assert_eq!(run.code, 4);
    assert!(
        run.stderr
            .starts_with("error: in.ipynb: no kernelspec named \"nope\" was found (available: "),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("python3"), "{}", run.stderr);
    assert!(
        run.stderr.contains("\nhint: choose one with --kernel NAME, or "),
        "{}",
        run.stderr
    );
    lab.write(
        "unnamed.ipynb",
        r#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#,
    );
    let run = lab.run(&["run", "unnamed.ipynb", "--no-output"]);
    assert_eq!(run.code, 4);
    assert!(
        run.stderr
            .starts_with("error: unnamed.ipynb: the notebook names no kernel (available: "),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("python3"), "{}", run.stderr);
    assert!(run.stderr.contains(")\nhint: "), "{}", run.stderr);
}

#[test]
fn a_python_without_ipykernel_is_told_how_to_get_it() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    let run = lab.run(&["run", "in.ipynb", "--no-output", "--python", "/no/such/python"]);
    assert_eq!(run.code, 4);
    assert!(
        run.stderr.starts_with("error: in.ipynb: /no/such/python: "),
        "{}",
        run.stderr
    );
}

#[test]
fn kernels_that_do_not_start_are_told_and_leave_nothing() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    lab.kernelspec("dies", "echo 'no luck today' >&2; exit 3");
    lab.kernelspec("hangs", "sleep 600");
    let run = lab.run(&["run", "in.ipynb", "--no-output", "--kernel", "dies"]);
    assert_eq!(run.code, 4);
    assert!(
        run.stderr.contains("exit code 3") && run.stderr.contains("no luck today"),
        "{}",
        run.stderr
    );
    let run = lab.run(&[
        "run",
        "in.ipynb",
        "--no-output",
        "--kernel",
        "hangs",
        "--startup-timeout",
        "200ms",
    ]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(lab.is_clean());
}

#[test]
fn what_is_no_notebook_is_refused_with_the_place() {
    let Some(lab) = Lab::new() else { return };
    lab.write("empty.ipynb", "");
    lab.write("corrupt.ipynb", "{\n \"cells\": [,]\n}");
    lab.write(
        "cell.ipynb",
        r#"{"cells": [{"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#,
    );
    lab.write("folder/x", "");
    let refused = |name: &str| {
        let run = lab.run(&["run", name, "--inplace"]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
        run.stderr
    };
    let empty = refused("empty.ipynb");
    assert!(
        empty.starts_with("error: empty.ipynb: not a valid notebook: ") && empty.contains("empty"),
        "{empty}"
    );
    let corrupt = refused("corrupt.ipynb");
    assert!(corrupt.contains("line 2"), "{corrupt}");
    let cell = refused("cell.ipynb");
    assert!(cell.contains("cells[0]"), "{cell}");
    assert_eq!(
        refused("folder"),
        "error: cannot read folder: Is a directory (os error 21)\n"
    );
    assert_eq!(refused("gone.ipynb"), "error: gone.ipynb: no such file\n");
    assert_eq!(lab.read("empty.ipynb"), "");
}

#[test]
fn limits_of_time_end_cells_and_runs() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "in.ipynb",
        &["import time\nprint('in', flush=True)\ntime.sleep(600)", "1"],
    );
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb", "--timeout", "300ms"]);
    assert_eq!(run.code, 6);
    assert!(
        run.stderr
            .contains("error: in.ipynb: cell #0 (id cell-0), In[1], timed out: the limit of 0.3 s was reached\n"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .ends_with("timed out: in.ipynb: 1 of 2 cells in [time], see out.ipynb\n"),
        "{}",
        run.stderr
    );
    assert_eq!(printed(&lab.json("out.ipynb"), 0), "in\n");
    let run = lab.run(&["run", "in.ipynb", "--no-output", "--notebook-timeout", "3s", "-q"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(lab.is_clean());
}

#[test]
fn a_dead_kernel_is_told_with_the_likely_cause() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["import os\nos.kill(os.getpid(), 9)", "1"]);
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb"]);
    assert_eq!(run.code, 5);
    assert!(run.stderr.contains("cell #0 (id cell-0), In[1], did not end: the kernel ended by signal 9 (SIGKILL, as the system sends it when memory runs out)"), "{}", run.stderr);
    assert!(lab.is_clean());
}

/// The kernel sends through a thread of its own, so the cell lives until its output is known to have come.
#[test]
fn what_a_dead_kernel_has_sent_is_saved() {
    let Some(lab) = Lab::new() else { return };
    let cell = "import os\nprint('partial', flush=True)\nopen('go').read()\nos.kill(os.getpid(), 9)";
    lab.notebook("in.ipynb", &[cell, "1"]);
    let go = lab.pipe("go");
    let mut running = lab.start(&["run", "in.ipynb", "-o", "out.ipynb", "--json"]);
    running.wait_for("output");
    drop(std::fs::File::options().write(true).open(go).unwrap());
    let (code, events) = running.finish();
    assert_eq!(code, Some(5), "{events}");
    assert_eq!(printed(&lab.json("out.ipynb"), 0), "partial\n");
    assert!(lab.is_clean());
}
