//! Every shell over both services.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::process::{Program, Service, refused};
use crate::lab::{Lab, printed};

const CELLS: [&str; 3] = ["x = 1\nprint(x)", "print('large' * 20_000)", "x + 1"];

/// What of a notebook does not depend on when it was run.
fn outputs(notebook: &Value) -> Vec<Value> {
    let cells = notebook["cells"].as_array().unwrap();
    cells.iter().map(|cell| cell["outputs"].clone()).collect()
}

#[test]
fn a_run_over_both_services_is_that_without_them() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &CELLS);
    let scheduler = Service::start(&lab, Program::Scheduler);
    let assets = Service::start(&lab, Program::Assets);
    assert!(lab.path("service/journal.sqlite").exists());
    for arguments in [
        &["run", "in.ipynb", "-o", "embedded.ipynb", "--strip-timing"][..],
        &[
            "run",
            "in.ipynb",
            "-o",
            "out.ipynb",
            "--strip-timing",
            "--scheduler",
            &scheduler.url,
            "--assets",
            &assets.url,
        ],
        &[
            "papermill",
            "in.ipynb",
            "papermill.ipynb",
            "--scheduler",
            &scheduler.url,
            "--assets",
            &assets.url,
        ],
    ] {
        let run = lab.run(arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let listed = lab.run(&["assets", "list", "--store", &assets.url]);
    assert_eq!(listed.stdout.matches("sha256:").count(), 1, "{}", listed.stdout);
    for name in ["out.ipynb", "papermill.ipynb"] {
        assert!(lab.json(name)["cells"][1]["outputs"][0]["metadata"]["mcp_jupyter"].is_object());
        let inlined = lab.run(&["assets", "inline", name, "--store", &assets.url]);
        assert_eq!(inlined.code, 0, "{}", inlined.stderr);
        assert_eq!(outputs(&lab.json(name)), outputs(&lab.json("embedded.ipynb")));
    }
    assert_eq!(lab.json("out.ipynb"), lab.json("embedded.ipynb"));
    assert_eq!(scheduler.terminate(), Some(0));
    assert_eq!(assets.terminate(), Some(0));
}

#[test]
fn services_are_named_by_the_environment_and_reached_over_sockets() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &CELLS);
    let at = |name: &str| format!("unix://{}", lab.path(name).display());
    let scheduler = Service::start_on(&lab, Program::Scheduler, &at("scheduler.sock"), &[]);
    let assets = Service::start_on(&lab, Program::Assets, &at("assets.sock"), &[]);
    assert!(scheduler.url.starts_with("grpc+unix:///"), "{}", scheduler.url);
    let mut run = lab.command(&["run", "in.ipynb", "--inplace"]);
    run.env("MCP_JUPYTER_SCHEDULER", &scheduler.url)
        .env("MCP_JUPYTER_ASSETS", &assets.url);
    let run = crate::lab::finish(&mut run, b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(lab.json("in.ipynb")["cells"][1]["outputs"][0]["metadata"]["mcp_jupyter"].is_object());
}

#[test]
fn a_session_goes_on_when_its_scheduler_was_killed() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "in.ipynb",
        &[
            "x = 1",
            "import time\nfor i in range(30):\n    print(i, flush=True)\n    time.sleep(0.05)",
            "print(x)",
        ],
    );
    let mut scheduler = Service::start(&lab, Program::Scheduler);
    let url = scheduler.url.clone();
    let mut sync = lab.start(&["sync", "in.ipynb", "--json", "--scheduler", &url]);
    sync.wait_for("output");
    let back = scheduler.kill_and_restart(&lab);
    assert!(back < Duration::from_secs(5), "{back:?}");
    let (code, rest) = sync.finish();
    assert_eq!(code, Some(0), "{rest}");
    let notebook = lab.json("in.ipynb");
    assert_eq!(printed(&notebook, 1).lines().count(), 30);
    assert_eq!(printed(&notebook, 2), "1\n");
    let again = lab.run(&["sync", "in.ipynb", "--json", "--scheduler", &url]);
    assert!(!again.stdout.contains("cell_started"), "{}", again.stdout);
    let status = lab.run(&["run-status", "in.ipynb", "--scheduler", &url]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    lab.run(&["stop", "in.ipynb", "--scheduler", &url]);
}

#[test]
fn the_mcp_server_uses_both_services() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &CELLS);
    let scheduler = Service::start(&lab, Program::Scheduler);
    let assets = Service::start(&lab, Program::Assets);
    let requests = [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run","arguments":{"path":"in.ipynb"}}}"#,
    ];
    let mut command = lab.command(&["serve", "--scheduler", &scheduler.url, "--assets", &assets.url]);
    let mut server = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = server.stdin.take().unwrap();
    for request in requests {
        std::io::Write::write_all(&mut to, format!("{request}\n").as_bytes()).unwrap();
    }
    let from = std::io::BufReader::new(server.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(from).map_while(Result::ok);
    let answer = lines.find(|line| line.contains("\"id\":1")).unwrap();
    assert!(answer.contains("\"isError\":false"), "{answer}");
    drop(to);
    server.wait().unwrap();
    let listed = lab.run(&["assets", "list", "--store", &assets.url]);
    assert!(listed.stdout.contains("sha256:"), "{}", listed.stdout);
    lab.run(&["stop", "in.ipynb", "--scheduler", &scheduler.url]);
}

#[test]
fn a_service_that_does_not_answer_is_named() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &CELLS);
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("grpc://{unused}");
    for (flag, name) in [("--scheduler", "scheduler"), ("--assets", "asset")] {
        let run = lab.run(&["run", "in.ipynb", "--no-output", "--when-away", "fail", flag, &url]);
        assert_eq!(run.code, 7, "{}", run.stderr);
        let expected = format!("error: the {name} service at {url} cannot be reached: connect: Connection refused");
        assert!(
            run.stderr.starts_with(&expected) && !run.stderr.contains("code:"),
            "{}",
            run.stderr
        );
    }
    let assets = Service::start(&lab, Program::Assets);
    let run = lab.run(&["run", "in.ipynb", "--no-output", "--scheduler", &assets.url]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(
        run.stderr.contains("is an asset service, not a scheduler service"),
        "{}",
        run.stderr
    );
}

#[test]
fn one_journal_has_one_service() {
    let Some(lab) = Lab::new() else { return };
    let _first = Service::start(&lab, Program::Scheduler);
    let journal = format!("sqlite://{}", lab.path("service/journal.sqlite").display());
    let second = refused(
        &lab,
        Program::Scheduler,
        &["--listen", "127.0.0.1:0", "--journal", &journal],
    );
    assert_eq!(second.code, 2, "{}", second.stderr);
    assert!(
        second.stderr.contains("another scheduler service serves journal"),
        "{}",
        second.stderr
    );
}

#[test]
fn services_are_named_by_the_file_of_a_user() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &CELLS);
    let scheduler = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &["--admin", "127.0.0.1:0"]);
    let assets = Service::start(&lab, Program::Assets);
    let file = format!("scheduler = \"{}\"\nassets = \"{}\"\n", scheduler.url, assets.url);
    lab.write(".config/mcp-jupyter/config.toml", &file);
    let run = lab.run(&["run", "in.ipynb", "--no-output"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let metrics = super::process::ask(scheduler.page(), "/metrics", &[]).body;
    assert!(metrics.contains("mcp_jupyter_dispatches_total 3"), "{metrics}");
    let listed = lab.run(&["assets", "list"]);
    assert!(listed.stdout.contains("sha256:"), "{}", listed.stderr);
    let without = lab.run(&["run", "in.ipynb", "--no-output", "--scheduler", "", "--assets", ""]);
    assert_eq!(without.code, 0, "{}", without.stderr);
    let metrics = super::process::ask(scheduler.page(), "/metrics", &[]).body;
    assert!(metrics.contains("mcp_jupyter_dispatches_total 3"), "{metrics}");
    lab.write(".config/mcp-jupyter/config.toml", "shceduler = 1\n");
    let wrong = lab.run(&["run", "in.ipynb", "--no-output"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(
        wrong
            .stderr
            .contains("there is no option \"shceduler\"; expected one of scheduler, assets"),
        "{}",
        wrong.stderr
    );
}
