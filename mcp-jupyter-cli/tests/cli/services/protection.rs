//! Who may come in.

use super::process::{Program, Service, refused};
use crate::lab::{Lab, finish};

#[test]
fn nothing_is_served_to_other_machines_unprotected() {
    let Some(lab) = Lab::new() else { return };
    let serve = ["--listen", "0.0.0.0:0", "--journal", "memory"];
    let refused = refused(&lab, Program::Scheduler, &serve);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("a token and a certificate are missing"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_token_is_asked_for() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    lab.write("token", "0123456789abcdef-correct\n");
    lab.write("other", "0123456789abcdef-another\n");
    let token = lab.path("token").display().to_string();
    let service = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &["--token-file", &token]);
    let run =
        |more: &[&str]| lab.run(&[&["run", "in.ipynb", "--no-output", "--scheduler", &service.url], more].concat());
    let without = run(&[]);
    assert!(
        without.code != 0 && without.stderr.contains("asks for a token"),
        "{}",
        without.stderr
    );
    let wrong = run(&["--service-token-file", "other"]);
    assert!(
        wrong.code != 0 && wrong.stderr.contains("the token is not the service's"),
        "{}",
        wrong.stderr
    );
    assert_eq!(run(&["--service-token-file", "token"]).code, 0);
    let mut by_environment = lab.command(&["run", "in.ipynb", "--no-output", "--scheduler", &service.url]);
    by_environment.env("MCP_JUPYTER_SERVICE_TOKEN", "0123456789abcdef-correct");
    assert_eq!(finish(&mut by_environment, b"").code, 0);
}

#[test]
fn namespaces_see_nothing_of_each_other() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["print('large' * 20_000)"]);
    lab.write("tokens", "team-a aaaaaaaaaaaaaaaa\nteam-b bbbbbbbbbbbbbbbb\n");
    lab.write("a", "aaaaaaaaaaaaaaaa");
    lab.write("b", "bbbbbbbbbbbbbbbb");
    let tokens = ["--token-file", "tokens"];
    let scheduler = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &tokens);
    let assets = Service::start_on(&lab, Program::Assets, "127.0.0.1:0", &tokens);
    let sync = [
        "sync",
        "in.ipynb",
        "--scheduler",
        &scheduler.url,
        "--assets",
        &assets.url,
        "--service-token-file",
    ];
    let run = lab.run(&[&sync[..], &["a"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let list = |token: &str| lab.run(&["assets", "list", "--store", &assets.url, "--service-token-file", token]);
    assert!(list("a").stdout.contains("sha256:"), "{}", list("a").stderr);
    assert!(!list("b").stdout.contains("sha256:"), "{}", list("b").stdout);
    let status = |token: &str| {
        lab.run(&[
            "run-status",
            "in.ipynb",
            "--scheduler",
            &scheduler.url,
            "--service-token-file",
            token,
        ])
    };
    assert!(status("a").stdout.contains("completed"), "{}", status("a").stderr);
    assert!(!status("b").stdout.contains("completed"), "{}", status("b").stdout);
    lab.run(&[
        "stop",
        "in.ipynb",
        "--scheduler",
        &scheduler.url,
        "--service-token-file",
        "a",
    ]);
}
