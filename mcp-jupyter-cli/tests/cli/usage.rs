use crate::lab::Lab;

fn refused(lab: &Lab, arguments: &[&str]) -> String {
    let run = lab.run(arguments);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    run.stderr
}

#[test]
fn where_to_save_has_to_be_said() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    lab.notebook("other.ipynb", &["1"]);
    let expected = "error: nothing says where to save the result\nhint: use `-o FILE` (or `-o -`, `-o FOLDER/`), `--inplace`, or `--no-output`\n";
    assert_eq!(refused(&lab, &["run", "in.ipynb"]), expected);
    assert_eq!(refused(&lab, &["run", "in.ipynb", "other.ipynb"]), expected);
    let expected = "error: out.ipynb does not exist, and nothing says where to save the result\nhint: to write it to out.ipynb, use `mcp-jupyter run in.ipynb -o out.ipynb`\n";
    assert_eq!(refused(&lab, &["run", "in.ipynb", "out.ipynb"]), expected);
}

#[test]
fn outputs_of_several_notebooks_need_names() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("a.ipynb", &["1"]);
    lab.notebook("d/a.ipynb", &["1"]);
    let hint = "hint: use a folder, `-o out/`, or a template, `-o 'out/{stem}.ipynb'`\n";
    let several = refused(&lab, &["run", "a.ipynb", "d/a.ipynb", "-o", "out.ipynb"]);
    assert_eq!(
        several,
        format!("error: a.ipynb and d/a.ipynb would both be written to out.ipynb\n{hint}")
    );
    let stdout = refused(&lab, &["run", "a.ipynb", "d/a.ipynb", "-o", "-"]);
    assert_eq!(
        stdout,
        format!("error: only one notebook can be written to standard output\n{hint}")
    );
}

#[test]
fn mistakes_are_named() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    let run = |arguments: &[&str]| refused(&lab, &[&["run", "in.ipynb", "--no-output"], arguments].concat());
    assert!(
        run(&["--timeout", "3x"])
            .starts_with("error: invalid value '3x' for '--timeout <TIME>': expected a time above 0 in seconds")
    );
    assert!(run(&["--env", "A"]).starts_with("error: invalid value 'A' for '--env <NAME=VALUE>': expected NAME=VALUE"));
    assert!(run(&["--inplace"]).contains("cannot be used with"));
    assert!(run(&["-y", "[1]"]).starts_with("error: the YAML of parameters: expected a mapping"));
    assert_eq!(run(&["--cwd", "nowhere"]), "error: nowhere: no such folder for --cwd\n");
    assert_eq!(
        refused(&lab, &["run", "*.nb", "--no-output"]),
        "error: no notebook matches `*.nb`\n"
    );
    let both = refused(&lab, &["run", "in.ipynb", "-o", "-", "--json"]);
    assert_eq!(
        both,
        "error: the notebook and events (`--json`) cannot both go to standard output\n"
    );
    let stdin = refused(&lab, &["run", "-", "--inplace"]);
    assert_eq!(
        stdin,
        "error: standard input cannot be written in place\nhint: use `-o -` or `-o FILE`\n"
    );
    assert!(refused(&lab, &["run", "in.ipynb", "-o", "{x}.ipynb"]).contains("`{x}.ipynb`"));
}
