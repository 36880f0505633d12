use serde_json::Value;

use crate::lab::Lab;

/// The indices of the cells that a run has executed.
fn executed(lab: &Lab, arguments: &[&str]) -> (i32, Vec<u64>) {
    let run = lab.run(&[&["run", "in.ipynb", "--no-output", "--json"], arguments].concat());
    let events = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let started = events.filter(|event| event["event"] == "cell_started");
    (
        run.code,
        started.map(|event| event["cell"]["index"].as_u64().unwrap()).collect(),
    )
}

#[test]
fn tags_choose_cells() {
    let Some(lab) = Lab::new() else { return };
    lab.tagged_notebook(
        "in.ipynb",
        &[("0", &["a"]), ("1", &["a", "b"]), ("2", &["c"]), ("3", &[])],
    );
    assert_eq!(executed(&lab, &["--tags", "a,c"]), (0, vec![0, 1, 2]));
    assert_eq!(executed(&lab, &["--tags", "a", "--skip-tags", "b"]), (0, vec![0]));
    assert_eq!(executed(&lab, &["--skip-tags", "a"]), (0, vec![2, 3]));
}

#[test]
fn cells_are_named_by_index_id_or_the_start_of_an_id() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["0", "1", "2", "3"]);
    assert_eq!(executed(&lab, &["--from", "#1", "--to", "2"]), (0, vec![1, 2]));
    assert_eq!(executed(&lab, &["--from", "cell-2"]), (0, vec![2, 3]));
    lab.write("in.ipynb", &lab.read("in.ipynb").replace("cell-3", "other"));
    assert_eq!(executed(&lab, &["--from", "oth"]), (0, vec![3]));
    let refused = |arguments: &[&str]| {
        let run = lab.run(&[&["run", "in.ipynb", "--no-output"], arguments].concat());
        assert_eq!(run.code, 2);
        run.stderr
    };
    let several = "error: in.ipynb: several cells have an id that starts with `cell`: `cell-0` (#0), `cell-1` (#1), `cell-2` (#2)\n";
    assert_eq!(refused(&["--from", "cell"]), several);
    assert_eq!(
        refused(&["--to", "9"]),
        "error: in.ipynb: the notebook has no cell #9: its 4 cells are counted from 0\n"
    );
    assert!(
        refused(&["--to", "zzz"]).starts_with("error: in.ipynb: the notebook has no cell `zzz`; name one by its id")
    );
    assert!(refused(&["--from", "2", "--to", "1"]).contains("range"));
}

#[test]
fn a_run_is_resumed_where_it_failed() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["x = 1", "x / 0", "print('end')"]);
    let resume = ["run", "in.ipynb", "-o", "out.ipynb", "--resume"];
    assert_eq!(lab.run(&resume[..4]).code, 1);
    lab.notebook("in.ipynb", &["x = 1", "x / 1", "print('end')"]);
    let run = lab.run(&resume);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("warning: in.ipynb: resuming at cell #1 (cell-1)"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("3 cells in"), "{}", run.stderr);
    let before = lab.read("out.ipynb");
    let run = lab.run(&resume);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (0, "ok: in.ipynb: nothing to execute\n")
    );
    assert_eq!(lab.read("out.ipynb"), before);
}

#[test]
fn targets_are_run_with_what_they_need() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["a = 1", "b = 2", "a += 1", "print(a)", "print(b)"]);
    assert_eq!(executed(&lab, &["--target", "3"]), (0, vec![0, 2, 3]));
    assert_eq!(executed(&lab, &["--target", "1+"]), (0, vec![1, 4]));
    assert_eq!(
        executed(&lab, &["--target", "#0..#1", "--target", "cell-4"]),
        (0, vec![0, 1, 4])
    );
    let refused = |arguments: &[&str]| lab.run(&[&["run", "in.ipynb", "--no-output"], arguments].concat());
    let unknown = refused(&["--target", "tag:none"]);
    assert_eq!(unknown.code, 2);
    assert_eq!(unknown.stderr, "error: in.ipynb: no code cell has the tag `none`\n");
    assert_eq!(refused(&["--target", "1", "--resume"]).code, 2);
}

#[test]
fn a_run_goes_on_with_what_does_not_depend_on_a_failed_cell() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["a = 1 / 0", "print(a)", "b = 2", "print(b)"]);
    assert_eq!(executed(&lab, &["--on-error", "independent"]), (1, vec![0, 2, 3]));
    assert_eq!(executed(&lab, &["--on-error", "continue"]), (0, vec![0, 1, 2, 3]));
    assert_eq!(executed(&lab, &["--on-error", "stop"]), (1, vec![0]));
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb", "--on-error", "independent"]);
    assert!(
        run.stderr
            .contains("cell #1 (id cell-1) is not executed: it depends on cell-0\n"),
        "{}",
        run.stderr
    );
    lab.notebook("in.ipynb", &["a = 1", "print(a)", "b = 2", "print(b)"]);
    let resumed = lab.run(&["run", "in.ipynb", "-o", "out.ipynb", "--resume", "--json"]);
    let started = resumed.stdout.matches(r#""event":"cell_started""#).count();
    assert_eq!((resumed.code, started), (0, 2), "{}", resumed.stdout);
    assert_eq!(
        lab.read("out.ipynb").matches("2\\n").count(),
        1,
        "what was completed is still there"
    );
}
