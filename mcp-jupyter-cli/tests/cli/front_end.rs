//! Notebooks whose large outputs are elsewhere, in JupyterLab in a browser.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::Lab;

/// A JupyterLab that serves the lab's folder, until it is dropped.
struct JupyterLab {
    process: Child,
    address: String,
}

impl JupyterLab {
    fn start(lab: &Lab) -> Self {
        let mut command = lab.python_command(&["-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]);
        let mut process = command
            .args(["--ServerApp.port=0", "--IdentityProvider.token="])
            .arg(format!("--ServerApp.root_dir={}", lab.path("").display()))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log.find_map(|line| {
            let line = line.unwrap();
            let begin = line.find("http://127.0.0.1:")?;
            Some(line[begin..].split_inclusive("/lab").next()?.to_owned())
        });
        // It would be held up by a log that nobody reads.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            process,
            address: address.expect("JupyterLab says where it is"),
        }
    }
}

impl Drop for JupyterLab {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

/// The page that a browser makes of an address; none, with the reason printed, where there is no browser, which in CI is a
/// failure.
fn rendered(lab: &Lab, address: &str) -> Option<String> {
    let mut browser = Command::new("timeout");
    browser
        .args([
            "180",
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--no-first-run",
            "--window-size=1400,9000",
            "--virtual-time-budget=60000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", lab.path("browser").display()))
        .arg(address)
        .env("HOME", lab.path(""))
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    let page = browser.stderr(Stdio::null()).output().unwrap();
    if page.status.code() == Some(127) {
        assert!(std::env::var_os("CI").is_none(), "there is no chromium");
        println!("skipped: there is no chromium");
        return None;
    }
    Some(String::from_utf8_lossy(&page.stdout).into_owned())
}

#[test]
fn previews_are_shown_by_jupyterlab() {
    let Some(lab) = Lab::new() else { return };
    let rows = "display({'text/html': '<table><thead><tr><th>a</th></tr></thead><tbody>'\
                + ''.join(f'<tr><td>row {i}</td></tr>' for i in range(9000)) + '</tbody></table>'}, raw=True)";
    let print = "from IPython.display import display\nfor i in range(20000): print('line', i)";
    lab.notebook("in.ipynb", &[print, rows]);
    assert_eq!(
        lab.run(&["run", "-q", "in.ipynb", "-o", "out.ipynb", "--assets", "store"])
            .code,
        0
    );
    let served = JupyterLab::start(&lab);
    let Some(page) = rendered(&lab, &format!("{}/tree/out.ipynb", served.address)) else {
        return;
    };
    for shown in [
        "19,960 of 20,000 lines (208.5 kB) left out",
        "line 19999",
        "row 9",
        "9,000 rows × 1 column",
    ] {
        assert!(page.contains(shown), "{shown}: {} bytes", page.len());
    }
    assert!(!page.contains("line 10000") && !page.contains("row 11"));
}
