use crate::lab::{Lab, printed};

/// Waits, in the kernel, until the output file shows what the first cell has printed.
const WAIT: &str = "import os, time\nwhile not os.path.exists('out.ipynb') or 'mark-1' not in open('out.ipynb').read():\n    time.sleep(0.01)\nprint('seen')";

#[test]
fn every_cell_is_saved_when_it_ends() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["print('mark', 1, sep='-')", WAIT]);
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb", "--timeout", "60", "-q"]);
    assert_eq!(
        (run.code, printed(&lab.json("out.ipynb"), 1).as_str()),
        (0, "seen\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_interval_saves_within_a_cell() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &[&format!("print('mark', 1, sep='-', flush=True)\n{WAIT}")]);
    let run = lab.run(&[
        "run",
        "in.ipynb",
        "-o",
        "out.ipynb",
        "--timeout",
        "60",
        "--save",
        "50ms",
        "-q",
    ]);
    assert_eq!(
        (run.code, printed(&lab.json("out.ipynb"), 0).as_str()),
        (0, "mark-1\nseen\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn on_exit_nothing_is_saved_before() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "in.ipynb",
        &[
            "print('mark', 1, sep='-')",
            "import os\nprint(os.path.exists('out.ipynb'))",
        ],
    );
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb", "--save", "on-exit", "-q"]);
    assert_eq!(
        (run.code, printed(&lab.json("out.ipynb"), 1).as_str()),
        (0, "False\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn in_place_replaces_the_input() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["print(1)"]);
    assert_eq!(lab.run(&["run", "in.ipynb", "--inplace", "-q"]).code, 0);
    assert_eq!(printed(&lab.json("in.ipynb"), 0), "1\n");
    let run = lab.run(&["run", "in.ipynb", "-o", "in.ipynb", "-q"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_anything_runs() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["open('ran', 'w').close()"]);
    lab.write("file", "");
    let run = lab.run(&["run", "in.ipynb", "-o", "file/out.ipynb"]);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.starts_with("error: in.ipynb: cannot write file"),
        "{}",
        run.stderr
    );
    assert!(!lab.path("ran").exists());
}
