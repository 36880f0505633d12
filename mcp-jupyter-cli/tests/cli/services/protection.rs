//! Who may come in.

use std::path::Path;
use std::process::Command;

use super::process::{Program, Service, refused};
use crate::lab::{Lab, finish};

/// A program of the system; none, with the reason printed, where it is not installed.
pub(super) fn system(program: &str) -> Option<Command> {
    let path = Path::new("/usr/bin").join(program);
    if !path.exists() {
        println!("skipped: {} is not installed", path.display());
        return None;
    }
    Some(Command::new(path))
}

/// Makes a certificate that has signed itself, and its key: `tls.crt` and `tls.key`.
pub(super) fn make_certificate(openssl: &mut Command, folder: &Path) {
    let made = openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "1",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ])
        .args([
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "tls.key",
            "-out",
            "tls.crt",
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

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

#[test]
fn connections_are_encrypted_and_both_sides_known() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    for folder in ["ours", "others"] {
        let Some(mut openssl) = system("openssl") else { return };
        std::fs::create_dir(lab.path(folder)).unwrap();
        make_certificate(&mut openssl, &lab.path(folder));
    }
    let tls = [
        "--tls-certificate",
        "ours/tls.crt",
        "--tls-key",
        "ours/tls.key",
        "--tls-client-authority",
        "ours/tls.crt",
    ];
    let service = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &tls);
    assert!(service.url.starts_with("grpcs://127.0.0.1:"), "{}", service.url);
    let run = |authority: &str, more: &[&str]| {
        let run = [
            "run",
            "in.ipynb",
            "--no-output",
            "--when-away",
            "fail",
            "--scheduler",
            &service.url,
        ];
        lab.run(&[&run[..], &["--service-authority", authority], more].concat())
    };
    let as_we = ["--service-certificate", "ours/tls.crt", "--service-key", "ours/tls.key"];
    let as_others = [
        "--service-certificate",
        "others/tls.crt",
        "--service-key",
        "others/tls.key",
    ];
    let known = run("ours/tls.crt", &as_we);
    assert_eq!(known.code, 0, "{}", known.stderr);
    for unknown in [
        run("others/tls.crt", &as_we),
        run("ours/tls.crt", &[]),
        run("ours/tls.crt", &as_others),
    ] {
        assert_eq!(unknown.code, 7, "{}", unknown.stderr);
    }
    let half = run("ours/tls.crt", &as_we[..2]);
    assert_eq!(half.code, 2, "{}", half.stderr);
    assert!(
        half.stderr
            .contains("--service-certificate and --service-key belong together"),
        "{}",
        half.stderr
    );
}
