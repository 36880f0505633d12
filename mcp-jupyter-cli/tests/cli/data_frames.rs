//! Installing packages and asking data frames by SQL, in an environment of the test's own.

#![allow(clippy::print_stderr, reason = "a test says why it is skipped")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::serving::{Client, Served};

/// An environment that has ipykernel from the one that tests use, and pip.
fn environment(lab: &Served) -> PathBuf {
    let folder = lab.path("environment");
    let run = |command: &mut Command| {
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    let site = |python: &Path| {
        let code = "import sysconfig; print(sysconfig.get_path('purelib'))";
        run(Command::new(python).args(["-I", "-c", code]))
    };
    run(Command::new(lab.python()).args(["-I", "-m", "venv"]).arg(&folder));
    let python = folder.join("bin/python");
    std::fs::write(Path::new(&site(&python)).join("shared.pth"), site(lab.python())).unwrap();
    python
}

/// Installs what a test needs by the tool itself; false, with the reason printed, where no package can be had.
fn install(client: &mut Client, path: &str) -> bool {
    let wanted = json!({ "path": path, "packages": ["pandas", "duckdb"] });
    let installed = client.call("package_install", &wanted);
    if installed.is_error {
        let reason = installed.text;
        let out_of_reach = [
            "Could not find a version",
            "Failed to fetch",
            "Connection",
            "Temporary failure",
            "No solution",
        ];
        assert!(out_of_reach.iter().any(|said| reason.contains(said)), "{reason}");
        eprintln!("skipped: pandas and duckdb cannot be installed here: {reason}");
        return false;
    }
    assert!(
        installed.text.contains("installed pandas, duckdb for"),
        "{}",
        installed.text
    );
    true
}

#[test]
fn packages_are_installed_noted_and_used_to_query_and_inspect() {
    let Some(lab) = Served::new() else { return };
    let python = environment(&lab);
    let mut client = lab.connect_with(&["--python", python.to_str().unwrap()]);
    client.make("a.ipynb", &["import pandas as pd\nsales = pd.DataFrame({'region': ['north', 'south', 'north', None], 'amount': [1, 2, 3, 4]})"]);
    client.call("kernel_start", &json!({ "path": "a.ipynb" }));
    let query = |client: &mut Client, sql: &str| {
        let told = client.call("query", &json!({ "path": "a.ipynb", "sql": sql }));
        (told.is_error, told.text)
    };
    let (refused, text) = query(&mut client, "select 1");
    assert!(refused && text.contains("package_install"), "{text}");
    if !install(&mut client, "a.ipynb") {
        return;
    }
    assert_eq!(
        lab.json("a.ipynb")["metadata"]["mcp_jupyter"]["packages"],
        json!(["pandas", "duckdb"])
    );

    let ran = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 300 }));
    assert_eq!(ran.structured["state"], "completed", "{}", ran.text);
    let (_, sums) = query(
        &mut client,
        "select region, sum(amount) as total from sales where region is not null group by 1 order by 1",
    );
    assert_eq!(sums, "region\ttotal\nnorth\t4\nsouth\t2");
    let (_, few) = query(&mut client, "select * from range(100)");
    assert!(
        few.ends_with("[more than 20 rows; ask for more, or narrow the query]"),
        "{few}"
    );
    for wrong in ["select * from nowhere", "select * from read_csv('/etc/passwd')"] {
        let (refused, text) = query(&mut client, wrong);
        assert!(refused && text.contains("Error"), "{text}");
    }
    let inspected = client.call("variable_inspect", &json!({ "path": "a.ipynb", "name": "sales" }));
    assert!(inspected.text.contains("[4x2]"), "{}", inspected.text);
    assert!(
        inspected.text.contains("region: ") && inspected.text.contains(", 1\n"),
        "{}",
        inspected.text
    );
    assert!(inspected.text.contains("amount: int64, 0"), "{}", inspected.text);
}
