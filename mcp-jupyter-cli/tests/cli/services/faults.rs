//! Services that are killed, stopped and cut off in the middle of runs: every run ends correctly, no cell is executed
//! twice, and the notebook is that of a run without services.
//!
//! `MCP_JUPYTER_SERVICE_FAULTS` says how many scenarios to play, `MCP_JUPYTER_CRASH_SEED` which come first.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::process::{Program, Service};
use super::proxy::{Proxy, Way};
use crate::crashes::{Random, variable};
use crate::lab::{Lab, Running};

/// How many scenarios a run of all tests plays.
const SCENARIOS: u64 = 6;

/// How long a fault may last in a run of all tests; what a connection calls dead takes longer.
const LONGEST: u64 = 1500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    /// SIGKILL, and a new process at once.
    Kill,
    /// SIGKILL, and a new process after a while.
    Away,
    /// SIGSTOP, and SIGCONT after a while.
    Stop,
    /// The connections are cut, in both directions.
    Cut,
    /// Nothing comes through to the service for a while, and then all of it.
    HoldRequests,
    /// The same for what the service answers; then the connections are cut, so that it never arrives.
    LoseAnswers,
    /// Everything comes late.
    Delay,
}

const FAULTS: [Fault; 7] = [
    Fault::Kill,
    Fault::Away,
    Fault::Stop,
    Fault::Cut,
    Fault::HoldRequests,
    Fault::LoseAnswers,
    Fault::Delay,
];

/// One of the two, with the proxy in front of it.
struct Behind {
    service: Service,
    proxy: Proxy,
}

impl Behind {
    fn start(lab: &Lab, program: Program) -> Self {
        let service = Service::start(lab, program);
        let proxy = Proxy::before(&[service.address()]);
        Self { service, proxy }
    }

    fn suffer(&mut self, lab: &Lab, fault: Fault, lasting: Duration) {
        match fault {
            Fault::Kill => drop(self.service.kill_and_restart(lab)),
            Fault::Away => {
                self.service.kill();
                std::thread::sleep(lasting);
                self.service.restart(lab);
            }
            Fault::Stop => {
                self.service.signal(Signal::SIGSTOP);
                std::thread::sleep(lasting);
                self.service.signal(Signal::SIGCONT);
            }
            Fault::Cut => self.proxy.cut(),
            Fault::HoldRequests => {
                self.proxy.hold(Way::ToService);
                std::thread::sleep(lasting);
                self.proxy.let_go();
            }
            Fault::LoseAnswers => {
                self.proxy.hold(Way::ToClient);
                std::thread::sleep(lasting);
                self.proxy.cut();
                self.proxy.let_go();
            }
            Fault::Delay => {
                self.proxy.delay(lasting / 20);
                std::thread::sleep(lasting);
                self.proxy.delay(Duration::ZERO);
            }
        }
    }
}

/// Each execution leaves a trace outside of the notebook; two cells have outputs that go to the store.
fn sources(lab: &Lab) -> Vec<String> {
    let trace = lab.path("trace");
    let cell = |number: usize, rest: &str| {
        format!(
            "with open('{}', 'a') as f:\n    f.write('{number}\\n')\n{rest}",
            trace.display()
        )
    };
    let chatty = "import time\nfor i in range(40):\n    print('line', i, flush=True)\n    time.sleep(0.002)";
    let large = "for i in range(30):\n    print(f'{i:03}' * 2000, flush=True)\n    time.sleep(0.005)";
    let picture = "from IPython.display import display\ndisplay({'text/plain': 'data', 'application/octet-stream': 'QUJD' * 100_000}, raw=True)";
    let quick = "x = 1\nx";
    [chatty, large, quick, quick, picture, chatty, quick, large]
        .into_iter()
        .enumerate()
        .map(|(number, rest)| cell(number, rest))
        .collect()
}

struct Scenario {
    lab: Lab,
    seed: u64,
    suffered: Vec<(Program, Fault)>,
}

impl Scenario {
    /// Runs the notebook with faults at random moments, and gives what has become of it.
    fn play(&mut self, random: &mut Random, longest: u64) -> Value {
        let mut services = [Program::Scheduler, Program::Assets].map(|program| Behind::start(&self.lab, program));
        let [scheduler, assets] = services.each_ref().map(|behind| behind.proxy.url.clone());
        let mut run = self.lab.start(&[
            "run",
            "in.ipynb",
            "-o",
            "out.ipynb",
            "--strip-timing",
            "--json",
            "--scheduler",
            &scheduler,
            "--assets",
            &assets,
        ]);
        wait_for_start(&mut run);
        for _ in 0..=random.below(4) {
            std::thread::sleep(Duration::from_millis(random.below(250)));
            let which = usize::try_from(random.below(2)).unwrap();
            let fault = FAULTS[usize::try_from(random.below(7)).unwrap()];
            let lasting = Duration::from_millis(20 + random.below(longest));
            services[which].suffer(&self.lab, fault, lasting);
            self.suffered
                .push(([Program::Scheduler, Program::Assets][which], fault));
        }
        let (code, events) = run.finish();
        assert_eq!(code, Some(0), "{self}: {events}");
        let inlined = self.lab.run(&["assets", "inline", "out.ipynb", "--store", &assets]);
        assert_eq!(inlined.code, 0, "{self}: {}", inlined.stderr);
        self.lab.json("out.ipynb")
    }

    fn check_trace(&self, cells: usize) {
        let trace = self.lab.read("trace");
        let executed: Vec<usize> = trace.lines().map(|line| line.parse().unwrap()).collect();
        let once: Vec<usize> = (0..cells).collect();
        assert_eq!(executed, once, "{self}: cells were executed in another way");
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "scenario {} ({:?})", self.seed, self.suffered)
    }
}

/// The kernel runs, and faults hit the run rather than its beginning.
fn wait_for_start(run: &mut Running) {
    run.wait_for("cell_started");
}

#[test]
fn runs_end_as_without_services_whatever_happens_to_them() {
    let first = variable("MCP_JUPYTER_CRASH_SEED", 1);
    let many = variable("MCP_JUPYTER_SERVICE_FAULTS", SCENARIOS);
    // Now and then one lasts until the connection is given up, in campaigns.
    let longest = if many > SCENARIOS { 9000 } else { LONGEST };
    let mut counts: HashMap<(Program, Fault), usize> = HashMap::new();
    for seed in first..first + many {
        let Some(lab) = Lab::new() else { return };
        let sources = sources(&lab);
        lab.notebook("in.ipynb", &sources.iter().map(String::as_str).collect::<Vec<_>>());
        let embedded = lab.run(&["run", "in.ipynb", "-o", "embedded.ipynb", "--strip-timing"]);
        assert_eq!(embedded.code, 0, "{}", embedded.stderr);
        std::fs::remove_file(lab.path("trace")).unwrap();
        let mut random = Random(seed);
        let is_long = random.below(8) == 0;
        let mut scenario = Scenario {
            lab,
            seed,
            suffered: Vec::new(),
        };
        let notebook = scenario.play(&mut random, if is_long { longest } else { LONGEST });
        assert_eq!(notebook, scenario.lab.json("embedded.ipynb"), "{scenario}");
        scenario.check_trace(sources.len());
        for suffered in scenario.suffered {
            *counts.entry(suffered).or_default() += 1;
        }
    }
    println!("{many} runs; faults: {counts:?}");
}
