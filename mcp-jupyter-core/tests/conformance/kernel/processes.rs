//! What the tests of every backend share whose kernels are processes of this machine.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::kernel::conformance::{Fixture, Snippet, cases};
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{KernelError, KernelProvisioner, KernelSpec, LaunchRequest};

/// Calls a macro with the names of all cases.
macro_rules! with_every_case {
    ($make_tests:ident) => {
        $make_tests! {
            execution_ok,
            execution_error,
            execution_silent,
            execution_aborted,
            execution_not_aborted,
            execution_order,
            executions_in_order,
            execution_result,
            execution_displays,
            execution_user_expressions,
            execution_empty,
            execution_buffers,
            input_answered,
            input_refused,
            slow_reader,
            slow_reader_and_shutdown,
            dropped_stream,
            two_subscribers,
            request_kernel_info,
            request_while_busy,
            request_inspect,
            request_complete,
            request_is_complete,
            request_history,
            comm_round_trip,
            comm_unknown_target,
            kernelspecs_listed,
            kernelspec_unknown,
            launch_that_dies,
            launch_that_hangs,
            launch_dropped,
            interrupt_running,
            interrupt_idle,
            restart_loses_names,
            restart_while_running,
            state_changes,
            ping_while_busy,
            shutdown_graceful,
            shutdown_graceful_while_running,
            shutdown_immediate,
            shutdown_repeated,
            shutdown_in_parallel,
            death_by_exit,
            death_by_signal,
            death_while_idle,
            death_ends_requests,
            dead_kernel_refuses,
            dropped_kernel,
        }
    };
}
pub(crate) use with_every_case;

macro_rules! names {
    ($($name:ident,)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}
with_every_case!(names);

#[test]
fn no_case_is_left_out() {
    let all: Vec<&str> = cases().iter().map(|case| case.name).collect();
    assert_eq!(all, NAMES);
}

/// Runs one case on a runtime of its own.
pub(crate) fn run(name: &str, fixture: &dyn Fixture) {
    let case = cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the case exists");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(case.run(fixture));
}

/// Marks the kernels of one fixture, in their environment.
const MARK: &str = "MCP_JUPYTER_TEST_FIXTURE";

#[derive(Debug)]
pub(crate) struct Processes {
    python: PathBuf,
    local: LocalProvisioner,
    provisioner: Arc<dyn KernelProvisioner>,
    mark: String,
}

impl Processes {
    /// Kernels of this Python, found by `local` and started by `provisioner`.
    pub(crate) fn new(python: PathBuf, local: LocalProvisioner, provisioner: Arc<dyn KernelProvisioner>) -> Self {
        Self {
            python,
            local,
            provisioner,
            mark: uuid::Uuid::new_v4().to_string(),
        }
    }

    fn request_for(&self, spec: KernelSpec) -> LaunchRequest {
        let mut request = LaunchRequest::new(spec);
        request.env.insert(MARK.to_owned(), self.mark.clone());
        // Nobody's IPython profile or history may take part.
        request.env.insert(
            "IPYTHONDIR".to_owned(),
            std::env::temp_dir().join(&self.mark).display().to_string(),
        );
        request
    }

    /// A kernel that is a shell script.
    fn script(&self, script: &str) -> (Arc<dyn KernelProvisioner>, LaunchRequest) {
        let spec = KernelSpec {
            name: "script".to_owned(),
            resource_dir: PathBuf::new(),
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            display_name: "a shell script".to_owned(),
            language: "none".to_owned(),
            env: std::iter::empty::<(String, String)>().collect(),
            interrupt_mode: mcp_jupyter_core::kernel::InterruptMode::Signal,
            metadata: std::iter::empty::<(String, mcp_jupyter_core::model::Json)>().collect(),
        };
        (self.provisioner(), self.request_for(spec))
    }

    fn runs(&self) -> bool {
        let mark = format!("{MARK}={}", self.mark);
        let marked = |process: std::fs::DirEntry| {
            let environ = std::fs::read(process.path().join("environ")).unwrap_or_default();
            environ
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        std::fs::read_dir("/proc").unwrap().flatten().any(marked)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(std::env::temp_dir().join(&self.mark));
    }
}

#[async_trait]
impl Fixture for Processes {
    fn provisioner(&self) -> Arc<dyn KernelProvisioner> {
        Arc::clone(&self.provisioner)
    }

    async fn find(&self, name: &str) -> Result<KernelSpec, KernelError> {
        self.local.kernelspec(name).await
    }

    async fn request(&self) -> LaunchRequest {
        let spec = self.local.kernelspec_for_python(&self.python).await;
        let mut request = self.request_for(spec.expect("the interpreter has ipykernel"));
        request
            .extra_arguments
            .push("--HistoryManager.hist_file=:memory:".to_owned());
        request
    }

    fn that_dies(&self) -> (Arc<dyn KernelProvisioner>, LaunchRequest) {
        self.script("exit 3")
    }

    fn that_hangs(&self) -> (Arc<dyn KernelProvisioner>, LaunchRequest) {
        self.script("sleep 1000 & sleep 1000")
    }

    async fn all_ended(&self) {
        while self.runs() {
            tokio::task::yield_now().await;
        }
    }

    fn code(&self, snippet: Snippet<'_>) -> String {
        match snippet {
            Snippet::Print(text) => format!("print({text:?}, flush=True)"),
            Snippet::Count(number) => format!("for number in range({number}):\n    print(number, flush=True)"),
            Snippet::Raise(evalue) => format!("raise ValueError({evalue:?})"),
            // In short sleeps: Python looks for a signal before a system call, and what comes in between waits for its end.
            Snippet::Hang => "import time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.1)".to_owned(),
            Snippet::Assign(name, value) => format!("{name} = {value:?}"),
            Snippet::Read(name) => name.to_owned(),
            Snippet::Display(id, text) => display(id, text, false),
            Snippet::Update(id, text) => display(id, text, true),
            Snippet::Input(prompt) => format!("print(input({prompt:?}))"),
            Snippet::Exit => "import os\nos._exit(3)".to_owned(),
            Snippet::Kill => "import os\nos.kill(os.getpid(), 9)".to_owned(),
            Snippet::Buffer(bytes) => {
                format!("from comm import create_comm\nc = create_comm(target_name='any', buffers=[bytes({bytes:?})])")
            }
            Snippet::CommTargets => COMM_TARGETS.to_owned(),
            _ => panic!("no code for {snippet:?}"),
        }
    }
}

fn display(id: &str, text: &str, update: bool) -> String {
    let update = if update { "True" } else { "False" };
    format!(
        "from IPython.display import display\n\
         display({{'text/plain': {text:?}}}, raw=True, display_id={id:?}, update={update})"
    )
}

const COMM_TARGETS: &str = "
import os

def echo(comm, opened):
    comm.on_msg(lambda message: comm.send(message['content']['data']))

def leave(comm, opened):
    os._exit(7)

targets = get_ipython().kernel.comm_manager
targets.register_target('echo', echo)
targets.register_target('exit', leave)
";
