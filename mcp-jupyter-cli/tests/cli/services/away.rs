//! What a run does while its scheduler is away, by `--when-away`.

use super::process::{Program, Service};
use crate::lab::{Lab, printed};

/// Three cells that leave a trace each, the first of which takes a moment.
fn lab() -> Option<Lab> {
    let lab = Lab::new()?;
    let trace = lab.path("trace").display().to_string();
    let note = format!("open('{trace}', 'a').write('x')\n");
    let slow = format!("{note}import time\nfor i in range(20):\n    print(i, flush=True)\n    time.sleep(0.03)\nx = 1");
    lab.notebook(
        "in.ipynb",
        &[&slow, &format!("{note}print(x)"), &format!("{note}x + 1")],
    );
    Some(lab)
}

#[test]
fn a_run_goes_on_without_its_scheduler() {
    let Some(lab) = lab() else { return };
    let embedded = lab.run(&["run", "in.ipynb", "-o", "embedded.ipynb", "--strip-timing"]);
    assert_eq!(embedded.code, 0, "{}", embedded.stderr);
    std::fs::remove_file(lab.path("trace")).unwrap();
    let scheduler = Service::start(&lab, Program::Scheduler);
    let url = scheduler.url.clone();
    let run = [
        "run",
        "in.ipynb",
        "-o",
        "out.ipynb",
        "--strip-timing",
        "--json",
        "--when-away",
        "local",
        "--scheduler",
        &url,
    ];
    let mut running = lab.start(&run);
    running.wait_for("output");
    drop(scheduler);
    let (code, events) = running.finish();
    assert_eq!(code, Some(0), "{events}");
    assert_eq!(lab.json("out.ipynb"), lab.json("embedded.ipynb"));
    assert_eq!(lab.read("trace"), "xxx", "each cell was executed once");
    let without = lab.run(&run);
    assert_eq!(without.code, 0, "{}", without.stderr);
    assert!(
        without
            .stderr
            .contains("cannot be reached: connect: Connection refused"),
        "{}",
        without.stderr
    );
}

#[test]
fn a_run_fails_without_its_scheduler_and_keeps_what_it_has() {
    let Some(lab) = lab() else { return };
    let scheduler = Service::start(&lab, Program::Scheduler);
    let run = [
        "run",
        "in.ipynb",
        "-o",
        "out.ipynb",
        "--json",
        "--when-away",
        "fail",
        "--scheduler",
        &scheduler.url,
    ];
    let mut running = lab.start(&run);
    running.wait_for("output");
    drop(scheduler);
    let (code, events) = running.finish();
    assert_eq!(code, Some(7), "{events}");
    // Where that is noticed while the cell is executed, the cell is interrupted.
    assert!(printed(&lab.json("out.ipynb"), 0).starts_with("0\n1\n"), "{events}");
    assert!(events.contains("unavailable"), "{events}");
    assert_eq!(lab.read("trace"), "x");
}
