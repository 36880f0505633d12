//! Two schedulers over one PostgreSQL, behind one address.

use super::process::{Program, Service};
use super::proxy::Proxy;
use crate::lab::{Lab, printed};
use crate::postgres::Postgres;

/// A port that nobody listens on just now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn another_replica_goes_on_with_a_run_whose_scheduler_died() {
    let Some(lab) = Lab::new() else { return };
    let Some(postgres) = Postgres::start() else { return };
    let trace = lab.path("trace").display().to_string();
    let cell = format!(
        "import time\nfor i in range(15):\n    print(i, flush=True)\n    time.sleep(0.02)\nopen('{trace}', 'a').write('x')"
    );
    lab.notebook("in.ipynb", &[&cell[..]; 4]);
    let (url, places) = (postgres.url(), [free_address(), free_address()]);
    let journal = ["--journal", &url];
    let mut first = Service::start_on(&lab, Program::Scheduler, &places[0], &journal);
    let proxy = Proxy::before(&[&places[0], &places[1]]);
    std::thread::scope(|scope| {
        // It waits for the end of the first, and then says that it is ready.
        let next = scope.spawn(|| Service::start_on(&lab, Program::Scheduler, &places[1], &journal));
        let mut run = lab.start(&[
            "run",
            "in.ipynb",
            "-o",
            "out.ipynb",
            "--json",
            "--scheduler",
            &proxy.url,
        ]);
        run.wait_for("output");
        assert!(!next.is_finished(), "two serve the same journal");
        first.kill();
        let _next = next.join().unwrap();
        let (code, events) = run.finish();
        assert_eq!(code, Some(0), "{events}");
    });
    let lines: Vec<String> = (0..15).map(|line| line.to_string()).collect();
    let lines = lines.join("\n") + "\n";
    let notebook = lab.json("out.ipynb");
    for cell in 0..4 {
        assert_eq!(printed(&notebook, cell), lines);
    }
    assert_eq!(lab.read("trace"), "xxxx", "each cell was executed once");
}

#[test]
fn a_scheduler_ends_where_its_journal_is_gone() {
    let Some(lab) = Lab::new() else { return };
    let Some(postgres) = Postgres::start() else { return };
    let url = postgres.url();
    let service = Service::start_on(&lab, Program::Scheduler, "127.0.0.1:0", &["--journal", &url]);
    drop(postgres);
    assert_eq!(service.wait(), Some(7));
    let refused = super::process::refused(
        &lab,
        Program::Scheduler,
        &["--listen", "127.0.0.1:0", "--journal", &url],
    );
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("cannot be reached: connect"),
        "{}",
        refused.stderr
    );
}
