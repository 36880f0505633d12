//! Clients, keepers and kernels that are killed at random moments: whatever is killed, the notebook has what was reported,
//! no cell has another's output, and none was executed twice without a word.
//!
//! `MCP_JUPYTER_CRASHES` says how many scenarios to play, `MCP_JUPYTER_CRASH_SEED` which come first.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lab::{Lab, printed};

const CELLS: usize = 4;
const LINES: usize = 60;

/// How many scenarios a run of all tests plays.
const SCENARIOS: u64 = 12;

/// A small generator of numbers that look random (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Client,
    Keeper,
    Kernel,
}

/// Each line tells its cell; each execution leaves a trace outside of the notebook.
fn source(lab: &Lab, cell: usize) -> String {
    let before = if cell == 0 {
        String::new()
    } else {
        format!("assert x{} == {}\n", cell - 1, cell - 1)
    };
    format!(
        "{before}import os, time\nwith open('{}', 'a') as f:\n    f.write('{cell}\\n')\n\
         for i in range({LINES}):\n    print('cell-{cell}', i, flush=True)\n    time.sleep(0.0005)\nx{cell} = {cell}",
        lab.path("trace").display()
    )
}

fn expected(cell: usize) -> String {
    (0..LINES)
        .flat_map(|line| [format!("cell-{cell} {line}"), "\n".to_owned()])
        .collect()
}

/// What a client has reported before it ended: the text of each cell's last execution, and whether it said that
/// something had failed.
#[derive(Debug, Default)]
struct Reported {
    texts: HashMap<usize, String>,
    complaints: usize,
}

impl Reported {
    fn take(&mut self, event: &Value) {
        let cell = || usize::try_from(event["cell"]["index"].as_u64().unwrap()).unwrap();
        match event["event"].as_str().unwrap() {
            "cell_started" => drop(self.texts.insert(cell(), String::new())),
            "output" if event["output"]["output_type"] == "stream" => {
                let text = event["output"]["text"].as_str().unwrap();
                self.texts.entry(cell()).or_default().push_str(text);
            }
            "cell_finished" if event["outcome"]["status"] != "ok" => self.complaints += 1,
            _ => {}
        }
    }
}

struct Scenario {
    lab: Lab,
    seed: u64,
    killed: Vec<(Victim, u64)>,
    complaints: usize,
}

impl Scenario {
    /// Runs `sync`, or `watch`, to its end, or until it is killed, and kills whom the plan names on the way.
    fn execute(&mut self, client: &str, plan: &[(Victim, u64)]) -> (Reported, Option<i32>, String) {
        let mut command = self.lab.command(&[client, "in.ipynb", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (events_tx, events) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let Ok(event) = serde_json::from_str::<Value>(&line) else {
                    break;
                };
                let _ = events_tx.send(event);
            }
        });
        let started = Instant::now();
        let mut reported = Reported::default();
        let mut plan = plan.iter().copied().peekable();
        loop {
            let due = plan.peek().map(|(_, millis)| Duration::from_millis(*millis));
            let wait = due.map_or(Duration::from_secs(30), |due| due.saturating_sub(started.elapsed()));
            match events.recv_timeout(wait) {
                Ok(event) => reported.take(&event),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let Some((victim, millis)) = plan.next() else {
                        panic!("{self}: {client} hangs: {:?}", reported.texts.keys());
                    };
                    if self.kill(victim, child.id()) {
                        self.killed.push((victim, millis));
                    }
                }
            }
        }
        reader.join().unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = child.wait().unwrap().code();
        self.complaints += reported.complaints;
        self.complaints += stderr.lines().filter(|line| line.contains("the kernel of")).count();
        (reported, code, stderr)
    }

    /// Kills a process; tells whether there was one.
    fn kill(&self, victim: Victim, client: u32) -> bool {
        let known = self.lab.kept_kernels();
        let kernel = known.iter().find(|kernel| kernel["death"].is_null());
        let pid = match (victim, kernel) {
            (Victim::Client, _) => Some(u64::from(client)),
            (Victim::Keeper, Some(kernel)) => kernel["keeper_pid"].as_u64(),
            (Victim::Kernel, Some(kernel)) => kernel["generation"]["pid"].as_u64(),
            _ => None,
        };
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        pid.is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok())
    }

    /// The notebook, which has to be one at any time.
    fn notebook(&self) -> Value {
        let notebook = self.lab.json("in.ipynb");
        assert_eq!(notebook["nbformat"], 4, "{self}");
        for cell in 0..CELLS {
            let id = &notebook["cells"][cell]["id"];
            assert_eq!(*id, format!("cell-{cell}"), "{self}");
            let text = printed(&notebook, cell);
            let foreign = text.lines().find(|line| !line.starts_with(&format!("cell-{cell} ")));
            assert_eq!(foreign, None, "{self}: cell {cell} has another's output");
        }
        notebook
    }

    /// What was reported is in the notebook.
    fn check_reported(&self, reported: &Reported) {
        let notebook = self.notebook();
        for (cell, text) in &reported.texts {
            let found = printed(&notebook, *cell);
            assert!(
                found.starts_with(text.as_str()),
                "{self}: of cell {cell}, {} lines were reported and {} are in the notebook",
                text.lines().count(),
                found.lines().count()
            );
        }
    }

    fn play(&mut self, random: &mut Random) {
        let mut plan: Vec<(Victim, u64)> = (0..=random.below(3))
            .map(|_| {
                let victim =
                    [Victim::Client, Victim::Keeper, Victim::Kernel][usize::try_from(random.below(3)).unwrap()];
                (victim, 60 + random.below(500))
            })
            .collect();
        plan.sort_by_key(|(_, millis)| *millis);
        let client = ["sync", "watch"][usize::try_from(random.below(2)).unwrap()];
        if client == "watch" {
            // It does not end by itself.
            plan.push((Victim::Client, 700));
        }
        let (reported, _, stderr) = self.execute(client, &plan);
        assert!(!stderr.contains("panicked"), "{self}: {stderr}");
        let recovered = self.lab.run(&["sessions", "recover", "in.ipynb", "--json"]);
        assert!(!recovered.stderr.contains("panicked"), "{self}: {}", recovered.stderr);
        for line in recovered.stdout.lines() {
            let mut again = Reported::default();
            again.take(&serde_json::from_str(line).unwrap());
            self.complaints += again.complaints;
        }
        self.complaints += recovered
            .stderr
            .lines()
            .filter(|line| line.contains("the kernel of"))
            .count();
        self.check_reported(&reported);
        for _ in 0..6 {
            let (_, code, stderr) = self.execute("sync", &[]);
            if code == Some(0) {
                return self.check_end();
            }
            assert!(!stderr.contains("panicked"), "{self}: {stderr}");
        }
        panic!("{self}: no sync succeeds any more");
    }

    /// All is there, once; whatever was executed more often was told of.
    fn check_end(&self) {
        let notebook = self.notebook();
        for cell in 0..CELLS {
            assert_eq!(printed(&notebook, cell), expected(cell), "{self}: cell {cell}");
        }
        let trace = fs::read_to_string(self.lab.path("trace")).unwrap();
        for cell in 0..CELLS {
            let times = trace.lines().filter(|line| *line == cell.to_string()).count();
            assert!(
                (1..=1 + self.complaints).contains(&times),
                "{self}: cell {cell} was executed {times} times, and {} failures were told",
                self.complaints
            );
        }
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "scenario {} (killed {:?})", self.seed, self.killed)
    }
}

pub(crate) fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
fn nothing_is_lost_or_repeated_whoever_is_killed() {
    let first = variable("MCP_JUPYTER_CRASH_SEED", 1);
    let mut kills: HashMap<String, usize> = HashMap::new();
    for seed in first..first + variable("MCP_JUPYTER_CRASHES", SCENARIOS) {
        let Some(lab) = Lab::new() else { return };
        let sources: Vec<String> = (0..CELLS).map(|cell| source(&lab, cell)).collect();
        lab.notebook("in.ipynb", &sources.iter().map(String::as_str).collect::<Vec<_>>());
        let mut scenario = Scenario {
            lab,
            seed,
            killed: Vec::new(),
            complaints: 0,
        };
        scenario.play(&mut Random(seed));
        for (victim, _) in &scenario.killed {
            *kills.entry(format!("{victim:?}")).or_default() += 1;
        }
    }
    println!("killed: {kills:?}");
}
