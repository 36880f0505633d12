//! Each cell holds a named pipe open: its first byte says that the cell runs, its end that the kernel and all that it
//! has started are gone.

use std::fs::File;
use std::io::Read;

use nix::sys::signal::Signal;

use crate::lab::{Lab, printed};

const HOLD: &str = "import subprocess, time\npipe = open('pipe', 'w')\nprint('partial', flush=True)\n\
                    subprocess.Popen(['sleep', '600'], pass_fds=[pipe.fileno()])\npipe.write('x')\npipe.flush()\n";

const SLEEP: &str = "time.sleep(600)";

const IGNORE: &str = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n";

/// Starts the notebook and returns when its cell runs, with the end of the pipe.
fn start(lab: &Lab, cell: &str) -> (crate::lab::Running, File) {
    lab.notebook("in.ipynb", &[cell, "print('never')"]);
    let pipe = lab.pipe("pipe");
    let mut running = lab.start(&["run", "in.ipynb", "-o", "out.ipynb", "--json"]);
    let mut pipe = File::open(pipe).unwrap();
    pipe.read_exact(&mut [0]).unwrap();
    running.wait_for("output");
    (running, pipe)
}

/// Returns when nobody holds the pipe any more.
fn wait_for_end(mut pipe: File) {
    assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
}

#[test]
fn interrupting_saves_and_leaves_no_process() {
    let Some(lab) = Lab::new() else { return };
    let (running, pipe) = start(&lab, &format!("{HOLD}{SLEEP}"));
    running.signal(Signal::SIGINT);
    let (code, rest) = running.finish();
    assert_eq!(code, Some(130), "{rest}");
    assert!(
        rest.contains(r#""outcome":{"status":"interrupted","cause":"interrupt"}"#),
        "{rest}"
    );
    wait_for_end(pipe);
    let out = lab.json("out.ipynb");
    assert_eq!(
        (printed(&out, 0).as_str(), crate::lab::raised(&out, 0).as_deref()),
        ("partial\n", Some("KeyboardInterrupt"))
    );
    assert!(lab.is_clean());
}

#[test]
fn terminating_saves_and_leaves_no_process() {
    let Some(lab) = Lab::new() else { return };
    let (running, pipe) = start(&lab, &format!("{HOLD}{SLEEP}"));
    running.signal(Signal::SIGTERM);
    let (code, rest) = running.finish();
    assert_eq!(code, Some(143), "{rest}");
    wait_for_end(pipe);
    assert_eq!(printed(&lab.json("out.ipynb"), 0), "partial\n");
    assert!(lab.is_clean());
}

#[test]
fn a_second_signal_ends_what_ignores_the_first() {
    let Some(lab) = Lab::new() else { return };
    let (mut running, pipe) = start(&lab, &format!("{IGNORE}{HOLD}{SLEEP}"));
    running.signal(Signal::SIGINT);
    running.wait_for("escalated");
    running.signal(Signal::SIGINT);
    let (code, rest) = running.finish();
    assert_eq!(code, Some(130), "{rest}");
    wait_for_end(pipe);
    assert_eq!(printed(&lab.json("out.ipynb"), 0), "partial\n");
    assert!(lab.is_clean());
}

#[test]
fn killing_us_leaves_no_kernel() {
    let Some(lab) = Lab::new() else { return };
    let cell = HOLD.replace("subprocess.Popen(['sleep', '600'], pass_fds=[pipe.fileno()])\n", "");
    let (running, pipe) = start(&lab, &format!("{cell}{SLEEP}"));
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish().0, None);
    wait_for_end(pipe);
}

#[test]
fn a_kernel_that_is_starting_can_be_interrupted() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    let path = lab.pipe("pipe");
    lab.kernelspec("hangs", &format!("exec 3> {}; echo x >&3; sleep 600", path.display()));
    let running = lab.start(&["run", "in.ipynb", "--no-output", "--kernel", "hangs"]);
    let mut pipe = File::open(path).unwrap();
    pipe.read_exact(&mut [0, 0]).unwrap();
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().0, Some(130));
    wait_for_end(pipe);
    assert!(lab.is_clean());
}

#[test]
fn notebooks_that_wait_for_their_turn_are_not_started() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &[&format!("{HOLD}{SLEEP}")]);
    lab.notebook("next.ipynb", &["print('never')"]);
    let pipe = lab.pipe("pipe");
    let running = lab.start(&["run", "in.ipynb", "next.ipynb", "-o", "out/", "--json"]);
    let mut pipe = File::open(pipe).unwrap();
    pipe.read_exact(&mut [0]).unwrap();
    running.signal(Signal::SIGINT);
    let (code, rest) = running.finish();
    assert_eq!(code, Some(130), "{rest}");
    assert!(!rest.contains("next.ipynb"), "{rest}");
    assert!(!lab.path("out/next.ipynb").exists());
}
