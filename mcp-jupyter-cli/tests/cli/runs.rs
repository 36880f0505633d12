use serde_json::{Value, json};

use crate::lab::{Lab, printed};

#[test]
fn a_notebook_is_run_and_saved() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["x = 20\nprint('hello')", "x + 1"]);
    let run = lab.run(&["run", "in.ipynb", "-o", "out.ipynb"]);
    assert_eq!(
        run.stderr,
        "running in.ipynb: 2 cells on python3\nok: in.ipynb: 2 cells in [time], saved to out.ipynb\n"
    );
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    let out = lab.json("out.ipynb");
    assert_eq!(printed(&out, 0), "hello\n");
    assert_eq!(out["cells"][1]["outputs"][0]["data"]["text/plain"], json!(["21"]));
    assert_eq!(out["cells"][1]["execution_count"], 2);
    assert!(out["cells"][0]["metadata"]["execution"]["shell.execute_reply"].is_string());
    assert_eq!(lab.json("in.ipynb")["cells"][0]["outputs"], json!([]));
    assert!(lab.is_clean());
}

#[test]
fn a_notebook_may_come_through_pipes() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["print(6 * 7)"]);
    let run = lab.run_with_stdin(&["run", "-", "-o", "-", "--quiet"], &lab.read("in.ipynb"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(printed(&serde_json::from_str(&run.stdout).unwrap(), 0), "42\n");
}

#[test]
fn several_notebooks_run_at_once_into_a_template() {
    let Some(lab) = Lab::new() else { return };
    for name in ["a", "b", "c"] {
        lab.notebook(&format!("nb/{name}.ipynb"), &[&format!("print('{name}', tag)")]);
    }
    lab.notebook("nb/b.ipynb", &["1 / 0"]);
    let arguments = [
        "run",
        "nb/*.ipynb",
        "-j",
        "3",
        "-o",
        "out/{stem}-{tag}.ipynb",
        "-p",
        "tag",
        "x",
        "-q",
    ];
    let run = lab.run(&arguments);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr
            .starts_with("error: nb/b.ipynb: cell #1 (id cell-0), In[2], raised ZeroDivisionError: division by zero\n"),
        "{}",
        run.stderr
    );
    assert_eq!(printed(&lab.json("out/a-x.ipynb"), 1), "a x\n");
    assert_eq!(printed(&lab.json("out/c-x.ipynb"), 1), "c x\n");
    assert_eq!(
        crate::lab::raised(&lab.json("out/b-x.ipynb"), 1).as_deref(),
        Some("ZeroDivisionError")
    );
}

#[test]
fn the_first_failure_in_the_order_of_inputs_is_the_exit_code() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("slow.ipynb", &["import time; time.sleep(600)"]);
    lab.notebook("ok.ipynb", &["1"]);
    let run = lab.run(&[
        "run",
        "ok.ipynb",
        "slow.ipynb",
        "gone.ipynb",
        "-j3",
        "--no-output",
        "--timeout",
        "100ms",
    ]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(
        run.stderr.contains("error: gone.ipynb: no such file\n"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.ends_with("3 notebooks: 1 ok, 2 failed\n"), "{}", run.stderr);
}

#[test]
fn events_are_lines_of_json() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("a.ipynb", &["print('hi')"]);
    lab.notebook("b.ipynb", &[""]);
    let run = lab.run(&["run", "a.ipynb", "--no-output", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let events: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "run_started",
            "kernel_started",
            "cell_started",
            "output",
            "cell_finished",
            "run_finished"
        ]
    );
    assert_eq!(
        events[3]["output"],
        json!({ "output_type": "stream", "name": "stdout", "text": "hi\n" })
    );
    assert_eq!(events[3].get("notebook"), None);
    let run = lab.run(&["run", "a.ipynb", "b.ipynb", "gone.ipynb", "--no-output", "--json"]);
    let last: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["event"] == "run_finished")
        .collect();
    let of: Vec<&str> = last.iter().map(|event| event["notebook"].as_str().unwrap()).collect();
    assert_eq!((run.code, of), (3, vec!["a.ipynb", "b.ipynb", "gone.ipynb"]));
    assert_eq!(
        last[2]["outcome"],
        json!({ "status": "failed", "kind": "not_found", "message": "gone.ipynb: no such file" })
    );
}

#[test]
fn outputs_are_shown_on_request_and_cannot_steer_the_terminal() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "a.ipynb",
        &["print('one\\x1b[2J\\x1b]0;t\\x07')\nprint('10 %\\r100 %')", "'two'"],
    );
    let run = lab.run(&["run", "a.ipynb", "--no-output", "--log-output"]);
    let expected = "running a.ipynb: 2 cells on python3\n[1/2] cell #0 (id cell-0)\none\n100 %\n[2/2] cell #1 (id cell-1)\n'two'\nok: a.ipynb: 2 cells in [time]\n";
    assert_eq!(run.stderr, expected);
}

#[test]
fn the_same_run_twice_writes_the_same_file() {
    let Some(lab) = Lab::new() else { return };
    lab.tagged_notebook(
        "in.ipynb",
        &[
            ("n = 1", &["parameters"]),
            ("for i in range(n): print(i)\nn", &[]),
            ("1/0", &["raises-exception"]),
        ],
    );
    for out in ["one.ipynb", "two.ipynb"] {
        let run = lab.run(&["run", "in.ipynb", "-o", out, "--strip-timing", "-p", "n", "3", "-q"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    assert_eq!(lab.read("one.ipynb"), lab.read("two.ipynb"));
    let again = lab.run(&["run", "one.ipynb", "--inplace", "--strip-timing", "-p", "n", "3", "-q"]);
    assert_eq!((again.code, lab.read("one.ipynb")), (0, lab.read("two.ipynb")));
}

#[test]
fn parameters_come_in_all_ways_and_precedences() {
    let Some(lab) = Lab::new() else { return };
    lab.tagged_notebook(
        "in.ipynb",
        &[
            ("a = b = c = d = e = None", &["parameters"]),
            ("print([a, b, c, d, e])", &[]),
        ],
    );
    lab.write("p.yaml", "{b: file, c: file, d: file, e: file}");
    let base64 = "e2E6IFt4XSwgYjogYmFzZTY0fQ==";
    let run = lab.run(&[
        "run",
        "in.ipynb",
        "-o",
        "out.ipynb",
        "-r",
        "e",
        "1",
        "-p",
        "d",
        "-0.5",
        "-y",
        "{c: yes}",
        "-f",
        "p.yaml",
        "-b",
        base64,
        "-p",
        "e",
        "2",
        "-q",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(printed(&lab.json("out.ipynb"), 2), "[['x'], 'file', True, -0.5, '1']\n");
}

#[test]
fn the_kernel_works_in_the_notebooks_folder_unless_told_otherwise() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "nb/in.ipynb",
        &["import os; print(os.getcwd(), os.environ.get('GREETING'))"],
    );
    let folder = std::fs::canonicalize(lab.path("")).unwrap();
    let folder = folder.display();
    lab.run(&["run", "nb/in.ipynb", "-o", "out.ipynb", "--env", "GREETING=hi"]);
    assert_eq!(printed(&lab.json("out.ipynb"), 0), format!("{folder}/nb hi\n"));
    lab.run(&["run", "nb/in.ipynb", "-o", "out.ipynb", "--cwd", "."]);
    assert_eq!(printed(&lab.json("out.ipynb"), 0), format!("{folder} None\n"));
    lab.run(&["papermill", "nb/in.ipynb", "out.ipynb"]);
    assert_eq!(printed(&lab.json("out.ipynb"), 0), format!("{folder} None\n"));
}

#[test]
fn an_interpreter_needs_no_kernelspec() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["print(1)"]);
    let mut command = lab.command(&["run", "in.ipynb", "-o", "out.ipynb", "--transport", "tcp", "--python"]);
    let output = command.arg(lab.python()).env_remove("VIRTUAL_ENV").output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(printed(&lab.json("out.ipynb"), 0), "1\n");
}
