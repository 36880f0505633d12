//! What whoever operates the services sees and sets.

use super::process::{Program, Service, ask, refused};
use crate::lab::Lab;

fn page(address: &str, path: &str) -> (u16, String) {
    let page = ask(address, path, &[]);
    (page.status, page.body)
}

#[test]
fn a_service_tells_what_it_does() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1", "print('large' * 20_000)"]);
    let scheduler = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &["--admin", "127.0.0.1:0"]);
    let assets = Service::start_on(&lab, Program::Assets, "127.0.0.1:0", &["--admin", "127.0.0.1:0"]);
    let run = lab.run(&[
        "run",
        "in.ipynb",
        "--no-output",
        "--scheduler",
        &scheduler.url,
        "--assets",
        &assets.url,
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for (service, line) in [
        (&scheduler, "mcp_jupyter_runs_ended_total{outcome=\"completed\"} 1"),
        (&scheduler, "mcp_jupyter_dispatches_total 2"),
        (&scheduler, "mcp_jupyter_calls_total{method=\"Report\",code=\"Ok\"} 2"),
        (&assets, "mcp_jupyter_asset_bytes_received_total 100001"),
    ] {
        let (status, metrics) = page(service.page(), "/metrics");
        assert!(
            status == 200 && metrics.contains(line),
            "{line} is missing in {metrics}"
        );
        assert_eq!(page(service.page(), "/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(page(service.page(), "/readyz"), (200, "ready\n".to_owned()));
    }
}

#[test]
fn a_file_has_values_for_options() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    lab.write(
        "service.toml",
        "admin = \"127.0.0.1:0\"\nmax-runs-per-client = 0\nlog-format = \"json\"\n",
    );
    let config = lab.path("service.toml").display().to_string();
    let service = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &["--config", &config]);
    assert_eq!(page(service.page(), "/healthz").0, 200);
    let full = lab.run(&[
        "run",
        "in.ipynb",
        "--no-output",
        "--when-away",
        "fail",
        "--scheduler",
        &service.url,
    ]);
    assert_eq!(full.code, 7, "{}", full.stderr);
    assert!(
        full.stderr
            .contains("this client has 0 runs, as many as one may have; try again in 1 s"),
        "{}",
        full.stderr
    );
    drop(service);
    let service = Service::start_on(
        &lab,
        Program::Scheduler,
        "127.0.0.1:0",
        &["--config", &config, "--max-runs-per-client=1"],
    );
    let run = lab.run(&["run", "in.ipynb", "--no-output", "--scheduler", &service.url]);
    assert_eq!(run.code, 0, "the command line comes first: {}", run.stderr);
}

#[test]
fn a_configuration_is_checked_without_serving() {
    let Some(lab) = Lab::new() else { return };
    let journal = format!("sqlite://{}", lab.path("none/journal.sqlite").display());
    let check = |text: &str| {
        lab.write("service.toml", text);
        refused(
            &lab,
            Program::Scheduler,
            &["--check-config", "--config", "service.toml"],
        )
    };
    let good = check(&format!("journal = \"{journal}\"\n"));
    assert_eq!(
        (good.code, good.stdout.as_str()),
        (0, "the configuration can be used\n"),
        "{}",
        good.stderr
    );
    assert!(!lab.path("none").exists());
    for (text, reason) in [
        (
            "journal = \"redis://host\"",
            "expected a path, sqlite:///path, postgres://user@host/database or memory",
        ),
        ("jurnal = \"memory\"", "there is no option \"jurnal\""),
        ("journal = ", "TOML parse error at line 1"),
        (
            "journal = [1]",
            "journal: expected a string, a number, true or false, not array",
        ),
        ("journal = \"memory\"\nlisten = \"127.0.0.1\"", "the port is missing"),
        ("journal = \"memory\"\ntoken-file = \"none\"", "cannot read none"),
        (
            "journal = \"memory\"\ntls-certificate = \"service.toml\"\ntls-key = \"service.toml\"",
            "the certificate of 127.0.0.1:7411 cannot be used",
        ),
    ] {
        let bad = check(text);
        assert_eq!(bad.code, 2, "{text}: {}", bad.stderr);
        assert!(bad.stderr.contains(reason), "{text}: {}", bad.stderr);
    }
}
