use serde_json::{Value, json};

use crate::lab::{Lab, printed};

#[test]
fn parameters_are_listed() {
    let Some(lab) = Lab::new() else { return };
    lab.tagged_notebook(
        "in.ipynb",
        &[("alpha = 0.5  # the rate\nname: str = 'x'", &["parameters"])],
    );
    let run = lab.run(&["inspect", "in.ipynb"]);
    assert_eq!(
        run.stdout,
        "NAME   TYPE   DEFAULT  HELP\nalpha  float  0.5      the rate\nname   str    'x'\n"
    );
    let run = lab.run(&["inspect", "in.ipynb", "--json"]);
    let listed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        listed[0],
        json!({ "name": "alpha", "inferred_type_name": "float", "default": "0.5", "help": "the rate" })
    );
    lab.notebook("none.ipynb", &["1"]);
    let run = lab.run(&["inspect", "none.ipynb"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (0, "no cell of the notebook is tagged `parameters`\n")
    );
}

#[test]
fn kernels_are_listed() {
    let Some(lab) = Lab::new() else { return };
    lab.kernelspec("mine", "true");
    let run = lab.run(&["kernels", "--json"]);
    let listed: Value = serde_json::from_str(&run.stdout).unwrap();
    let specs = listed["specs"].as_array().unwrap();
    let mine = specs.iter().find(|spec| spec["name"] == "mine").unwrap();
    assert_eq!((&mine["language"], &listed["running"]), (&json!("sh"), &json!([])));
    assert!(specs.iter().any(|spec| spec["name"] == "python3"));
    assert!(lab.run(&["kernels"]).stdout.starts_with("NAME "));
}

#[test]
fn the_doctor_knows_what_is_missing() {
    let Some(lab) = Lab::new() else { return };
    lab.write(
        "jupyter/kernels/broken/kernel.json",
        r#"{"argv": ["/no/such/program"], "display_name": "B", "language": "x"}"#,
    );
    let run = lab.run(&["doctor"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(run.stdout.contains(", ipykernel "), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("to do: the kernel broken names a program that does not exist: remove "),
        "{}",
        run.stdout
    );
    let diagnosis: Value = serde_json::from_str(&lab.run(&["doctor", "--json"]).stdout).unwrap();
    assert_eq!(diagnosis["advice"].as_array().unwrap().len(), 1);
}

#[test]
fn papermills_command_line_is_understood() {
    let Some(lab) = Lab::new() else { return };
    lab.tagged_notebook(
        "in.ipynb",
        &[
            ("n = 1", &["parameters"]),
            ("import sys\nprint(n)\nprint('err', file=sys.stderr)", &[]),
        ],
    );
    let arguments = [
        "papermill",
        "in.ipynb",
        "out-{n}.ipynb",
        "-p",
        "n",
        "7",
        "--no-progress-bar",
        "--log-output",
        "--start-timeout",
        "60",
        "--execution-timeout",
        "60",
        "--stdout-file",
        "stdout",
        "--stderr-file",
        "stderr",
        "--report-mode",
        "--no-request-save-on-cell-execute",
        "--autosave-cell-every",
        "30",
        "--kernel",
        "python3",
        "--language",
        "python",
        "--log-level",
        "INFO",
        "--engine",
        "nbclient",
    ];
    let run = lab.run(&arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let out = lab.json("out-7.ipynb");
    assert_eq!(printed(&out, 2), "7\nerr\n");
    assert_eq!(out["cells"][1]["source"], json!(["# Parameters\n", "n = 7\n"]));
    assert_eq!(out["cells"][2]["metadata"]["jupyter"]["source_hidden"], true);
    assert_eq!(out["metadata"]["papermill"]["parameters"], json!({ "n": 7 }));
    assert_eq!(
        (lab.read("stdout"), lab.read("stderr")),
        ("7\n".to_owned(), "err\n".to_owned())
    );
}

#[test]
fn papermill_prepares_without_running() {
    let Some(lab) = Lab::new() else { return };
    lab.tagged_notebook("in.ipynb", &[("n = 1", &["parameters"])]);
    let run = lab.run(&["papermill", "in.ipynb", "out.ipynb", "-p", "n", "7", "--prepare-only"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(lab.json("out.ipynb")["cells"][1]["outputs"], json!([]));
    let run = lab.run(&["papermill", "s3://bucket/in.ipynb", "out.ipynb"]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.starts_with("error: s3://bucket/in.ipynb: only local files"),
        "{}",
        run.stderr
    );
}

#[test]
fn papermills_pipes_are_understood() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["print(1)"]);
    let run = lab.run_with_stdin(&["papermill"], &lab.read("in.ipynb"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(printed(&serde_json::from_str(&run.stdout).unwrap(), 0), "1\n");
    let run = lab.run_with_stdin(&["papermill", "out.ipynb"], &lab.read("in.ipynb"));
    assert_eq!(
        (run.code, printed(&lab.json("out.ipynb"), 0).as_str()),
        (0, "1\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn help_versions_and_completions_are_data() {
    let Some(lab) = Lab::new() else { return };
    let version = format!("mcp-jupyter {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(lab.run(&["--version"]).stdout, version);
    let help = lab.run(&["run", "--help"]);
    assert!(
        help.code == 0 && help.stdout.contains("Exit codes:") && help.stdout.contains("143"),
        "{}",
        help.stdout
    );
    let script = lab.run(&["completions", "bash"]);
    assert!(
        script.code == 0 && script.stdout.contains("complete -F"),
        "{}",
        script.stdout
    );
}
