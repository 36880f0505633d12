use std::process::Command;

use serde_json::{Value, json};

use crate::lab::Lab;

const ANALYSIS: [&str; 4] = ["x = 1", "y = x + 1", "z = 5", "print(y, z)"];

/// A notebook with a heading above the code cells `cell-0`, `cell-1`…
fn write(lab: &Lab, name: &str, minor: u8, sources: &[&str]) {
    lab.notebook(name, sources);
    let mut notebook = lab.json(name);
    let cells = notebook["cells"].as_array_mut().unwrap();
    cells.insert(
        0,
        json!({ "cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Title" }),
    );
    if minor < 5 {
        for cell in cells {
            cell.as_object_mut().unwrap().remove("id");
        }
    }
    notebook["nbformat_minor"] = minor.into();
    lab.write(name, &notebook.to_string());
}

fn plan(lab: &Lab, arguments: &[&str]) -> Value {
    let run = lab.run(&[&["plan", "--format", "json"], arguments].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

fn refused(lab: &Lab, code: i32, arguments: &[&str]) -> String {
    let run = lab.run(arguments);
    assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{}", run.stderr);
    run.stderr
}

#[test]
fn nothing_counts_as_executed_unless_it_is_said() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "in.ipynb", 5, &["import math\nx = 1", "y = x + 1", ""]);
    let stale = |index, id| json!({ "index": index, "id": id, "reason": "never_run", "via": null, "names": [] });
    let expected = json!({
        "cells": [
            { "index": 1, "id": "cell-0", "reads": [], "writes": ["math", "x"], "unknown": null },
            { "index": 2, "id": "cell-1", "reads": ["x"], "writes": ["y"], "unknown": null },
            { "index": 3, "id": "cell-2", "reads": [], "writes": [], "unknown": null },
        ],
        "edges": [{ "from": 1, "to": 2, "names": ["x"] }],
        "stale": [stale(1, "cell-0"), stale(2, "cell-1")],
        "order": [1, 2],
        "skipped": [{ "index": 3, "reason": "empty" }],
        "delete": [], "needs_consent": [], "warnings": [],
    });
    assert_eq!(plan(&lab, &["in.ipynb"]), expected);
    let piped = lab.run_with_stdin(&["plan", "-", "--format", "json"], &lab.read("in.ipynb"));
    assert_eq!(serde_json::from_str::<Value>(&piped.stdout).unwrap(), expected);
}

#[test]
fn what_an_edit_makes_stale_is_planned_with_its_reason() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "old.ipynb", 5, &ANALYSIS);
    write(
        &lab,
        "new.ipynb",
        5,
        &["x = 2", "y = x + 1", "z = 5  # five", "print(y, z)"],
    );
    let planned = plan(&lab, &["new.ipynb", "--since", "old.ipynb"]);
    assert_eq!(
        planned["stale"],
        json!([
            { "index": 1, "id": "cell-0", "reason": "edited", "via": null, "names": [] },
            { "index": 2, "id": "cell-1", "reason": "upstream", "via": 1, "names": ["x"] },
            { "index": 4, "id": "cell-3", "reason": "upstream", "via": 2, "names": ["y"] },
        ])
    );
    assert_eq!(planned["order"], json!([1, 2, 4]));
    assert_eq!(planned["skipped"], json!([{ "index": 3, "reason": "fresh" }]));
    assert_eq!(plan(&lab, &["old.ipynb", "--since", "old.ipynb"])["stale"], json!([]));
}

#[test]
fn cells_without_ids_are_told_by_their_sources() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "old.ipynb", 4, &ANALYSIS);
    write(
        &lab,
        "new.ipynb",
        4,
        &["x = 1", "n = 0", "y = x + 2", "z = 5", "print(y, z)"],
    );
    let planned = plan(&lab, &["new.ipynb", "--since", "old.ipynb"]);
    let stale = planned["stale"].as_array().unwrap();
    let indices: Vec<_> = stale.iter().map(|cell| cell["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [2, 3, 5]);
    write(&lab, "upgraded.ipynb", 5, &ANALYSIS);
    assert_eq!(
        plan(&lab, &["upgraded.ipynb", "--since", "old.ipynb"])["stale"],
        json!([])
    );
}

#[test]
fn targets_narrow_a_plan() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "in.ipynb", 5, &ANALYSIS);
    let order = |targets: &[&str]| plan(&lab, &[&["in.ipynb"], targets].concat())["order"].clone();
    assert_eq!(order(&["--target", "cell-1"]), json!([1, 2]));
    assert_eq!(order(&["--target", "#3"]), json!([3]));
    assert_eq!(order(&["--target", "cell-2+"]), json!([1, 2, 3, 4]));
    assert_eq!(order(&["--target", "title..cell-0", "--target", "3"]), json!([1, 3]));
    let planned = plan(&lab, &["in.ipynb", "--target", "cell-0"]);
    assert_eq!(planned["skipped"][0], json!({ "index": 2, "reason": "not_targeted" }));
}

#[test]
fn modes_are_kept_to() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "old.ipynb", 5, &ANALYSIS);
    write(&lab, "new.ipynb", 5, &["x = 1", "y = x + 1", "z = 6", "print(y, z)"]);
    write(
        &lab,
        "longer.ipynb",
        5,
        &["x = 1", "y = x + 1", "z = 5", "print(y, z)", "print('end')"],
    );
    let order = |new, mode| plan(&lab, &[new, "--since", "old.ipynb", "--mode", mode])["order"].clone();
    assert_eq!(order("new.ipynb", "smart"), json!([3, 4]));
    assert_eq!(order("new.ipynb", "full"), json!([1, 2, 3, 4]));
    assert_eq!(order("old.ipynb", "incremental"), json!([]));
    assert_eq!(order("longer.ipynb", "append"), json!([5]));
    let changed = refused(
        &lab,
        2,
        &["plan", "new.ipynb", "--since", "old.ipynb", "--mode", "append"],
    );
    assert!(
        changed.starts_with("error: only new cells can be appended") && changed.contains("#3 (cell-2)"),
        "{changed}"
    );
}

#[test]
fn tables_are_for_people() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "old.ipynb", 5, &ANALYSIS);
    write(
        &lab,
        "new.ipynb",
        5,
        &["x = 2", "y = x + 1", "\n\nz = 5  # \x1b[2Jfive", "print(y, z)"],
    );
    write(&lab, "none.ipynb", 5, &[]);
    let run = lab.run(&["plan", "new.ipynb", "--since", "old.ipynb", "--target", "#2"]);
    let expected = "\
#  ID      DO    WHY                  SOURCE
1  cell-0  run   edited               x = 2
2  cell-1  run   upstream: x from #1  y = x + 1
3  cell-2  skip  not_targeted         z = 5  # five
4  cell-3  skip  not_targeted         print(y, z)

new.ipynb: 2 of 4 cells to execute
";
    assert_eq!((run.code, run.stdout.as_str()), (0, expected));
    assert_eq!(lab.run(&["plan", "none.ipynb"]).stdout, "none.ipynb: no code cells\n");
    let nothing = lab.run(&["plan", "old.ipynb", "--since", "old.ipynb"]).stdout;
    assert!(nothing.ends_with("\nold.ipynb: nothing to execute\n"), "{nothing}");
}

#[test]
fn what_cannot_be_known_is_said() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "in.ipynb", 5, &["exec(input())"]);
    assert!(plan(&lab, &["in.ipynb"])["cells"][0]["unknown"].is_string());
    let table = lab.run(&["plan", "in.ipynb"]).stdout;
    assert!(table.matches(": #1: ").count() == 1, "{table}");
}

#[test]
fn drawings_show_cells_edges_and_reasons() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "old.ipynb", 5, &ANALYSIS);
    write(
        &lab,
        "new.ipynb",
        5,
        &["x = '</script>&'", "y = x + 1", "z = 5", "print(y, z)"],
    );
    let shown = |arguments: &[&str]| {
        let run = lab.run(&[arguments, &["new.ipynb", "--since", "old.ipynb"]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        run.stdout
    };
    let dot = shown(&["plan", "--format", "dot"]);
    assert!(
        dot.starts_with("digraph ") && dot.contains("c1 -> c2 [label=\"x\""),
        "{dot}"
    );
    let mermaid = shown(&["plan", "--format", "mermaid"]);
    assert!(
        mermaid.starts_with("flowchart TD\n") && mermaid.contains("  c1 -->|\"x\"| c2\n"),
        "{mermaid}"
    );
    let svg = shown(&["plan", "--format", "svg"]);
    assert_eq!(svg, shown(&["graph"]));
    assert!(
        svg.contains("<title>#1 → #2: x</title>") && svg.contains(">upstream: x from #1<"),
        "{svg}"
    );
    assert!(svg.contains("x = &#39;&lt;/script&gt;&amp;&#39;</text>"), "{svg}");
    assert!(shown(&["graph", "--format", "html"]).starts_with("<!DOCTYPE html>"));
    assert_eq!(shown(&["graph", "-o", "graph.svg"]), "");
    assert_eq!(lab.read("graph.svg"), svg);
    assert_eq!(shown(&["graph", "-o", "graph.html"]), "");
    let page = lab.read("graph.html");
    assert_eq!(
        (page.matches("<script").count(), page.matches("</script").count()),
        (2, 2)
    );
}

#[test]
fn graphs_need_a_format_and_a_place() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "in.ipynb", 5, &ANALYSIS);
    assert_eq!(
        refused(&lab, 2, &["graph", "in.ipynb", "-o", "graph.txt"]),
        "error: graph.txt: its extension says neither `svg` nor `html`\nhint: say which with --format\n"
    );
    let nowhere = refused(&lab, 1, &["graph", "in.ipynb", "-o", "no/graph.svg"]);
    assert!(nowhere.starts_with("error: cannot write no/graph.svg: "), "{nowhere}");
}

#[test]
fn mistakes_are_named() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "in.ipynb", 5, &ANALYSIS);
    lab.write("bad.ipynb", "{}");
    let target = |target: &str| refused(&lab, 2, &["plan", "in.ipynb", "--target", target]);
    assert!(target("zzz").starts_with("error: the notebook has no cell `zzz`; name one by its id"));
    assert!(target("cell").contains("`cell`: `cell-0` (#1), `cell-1` (#2), "));
    assert!(target("title").starts_with("error: cell #0 (title) is no code cell"));
    assert_eq!(target("tag:x"), "error: no code cell has the tag `x`\n");
    assert_eq!(
        target("#9"),
        "error: the notebook has no cell #9: its 5 cells are counted from 0\n"
    );
    assert_eq!(
        refused(&lab, 3, &["plan", "no.ipynb"]),
        "error: no.ipynb: no such file\n"
    );
    assert!(refused(&lab, 3, &["plan", "bad.ipynb"]).starts_with("error: bad.ipynb: not a valid notebook"));
    assert_eq!(
        refused(&lab, 3, &["plan", "in.ipynb", "--since", "no.ipynb"]),
        "error: no.ipynb: no such file\n"
    );
    assert_eq!(
        refused(&lab, 2, &["plan", "-", "--since", "-"]),
        "error: standard input (`-`) can be read only once\n"
    );
    assert!(
        refused(&lab, 2, &["plan", "in.ipynb", "--since", "x", "--since-git", "y"]).contains("cannot be used with")
    );
}

#[test]
fn neither_python_nor_a_kernel_is_needed() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "in.ipynb", 5, &ANALYSIS);
    let mut command = lab.command(&["plan", "in.ipynb", "--format", "json"]);
    let output = command
        .env_remove("VIRTUAL_ENV")
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(lab.is_clean());
}

/// Runs the user's git; none, with the reason printed, where there is none.
fn git(lab: &Lab, arguments: &[&str]) -> Option<()> {
    let mut git = Command::new("git");
    git.args([
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "commit.gpgsign=false",
    ])
    .args(arguments)
    .current_dir(lab.path("repository"))
    .env("HOME", lab.path("."))
    .env("GIT_CONFIG_NOSYSTEM", "1")
    .env_remove("GIT_DIR");
    match git.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(())
        }
        Err(error) => {
            println!("skipped: git cannot be run: {error}");
            None
        }
    }
}

#[test]
fn revisions_of_git_are_read() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "repository/sub dir/in.ipynb", 5, &ANALYSIS);
    let committed = git(&lab, &["init", "--quiet"])
        .and_then(|()| git(&lab, &["add", "."]))
        .and_then(|()| git(&lab, &["commit", "--quiet", "-m", "one"]));
    let Some(()) = committed else { return };
    let path = "repository/sub dir/in.ipynb";
    assert_eq!(plan(&lab, &[path, "--since-git", "HEAD"])["order"], json!([]));
    write(&lab, path, 5, &["x = 1", "y = x + 1", "z = 6", "print(y, z)"]);
    assert_eq!(plan(&lab, &[path, "--since-git", "HEAD"])["order"], json!([3, 4]));
    let hint = "hint: name a file with --since instead\n";
    assert_eq!(
        refused(&lab, 2, &["plan", path, "--since-git", "nothing"]),
        format!("error: git knows no revision `nothing` in the repository of {path}\n{hint}")
    );
    write(&lab, "repository/new.ipynb", 5, &ANALYSIS);
    assert_eq!(
        refused(&lab, 2, &["plan", "repository/new.ipynb", "--since-git", "HEAD"]),
        format!("error: repository/new.ipynb is not in revision HEAD\n{hint}")
    );
}

#[test]
fn git_may_be_of_no_help() {
    let Some(lab) = Lab::new() else { return };
    write(&lab, "in.ipynb", 5, &ANALYSIS);
    let hint = "hint: name a file with --since instead\n";
    let refused = |revision: &str| refused(&lab, 2, &["plan", "in.ipynb", "--since-git", revision]);
    if Command::new("git").arg("--version").output().is_ok() {
        assert_eq!(
            refused("HEAD"),
            format!("error: in.ipynb is in no git repository\n{hint}")
        );
    }
    assert_eq!(
        lab.run_with_stdin(&["plan", "-", "--since-git", "HEAD"], &lab.read("in.ipynb"))
            .stderr,
        format!("error: standard input has no revisions: --since-git needs a file\n{hint}")
    );
    let run = lab.run(&["plan", "in.ipynb", "--since-git=--output=x"]);
    assert_eq!(
        run.stderr,
        format!("error: `--output=x` is no revision: none starts with a hyphen\n{hint}")
    );
    let mut command = lab.command(&["plan", "in.ipynb", "--since-git", "HEAD"]);
    let output = command.env("PATH", "/nowhere").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        format!("error: --since-git needs git, which is not on the PATH\n{hint}")
    );
}
