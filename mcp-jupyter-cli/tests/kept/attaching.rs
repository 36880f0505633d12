//! Kernels that outlive their clients, and their keepers.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::kernel::kept::{KeptKernel, KeptProvisioner};
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{
    Channel, DispatchId, ExecuteRequest, Execution, Kernel, KernelError, KernelState, LaunchRequest, Message,
    ShutdownMode,
};
use mcp_jupyter_core::model::{Json, KernelId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::keeper;
use crate::support::python;

/// A folder of kept kernels, which all end with it.
struct Lab {
    provisioner: KeptProvisioner,
    python: PathBuf,
    _root: TempDir,
}

impl Lab {
    fn new() -> Option<Self> {
        let python = python()?;
        let root = tempfile::tempdir().unwrap();
        let local = LocalProvisioner::new().with_python(&python);
        let provisioner = KeptProvisioner::new(local, keeper(), root.path().join("kernels"));
        Some(Self {
            provisioner,
            python,
            _root: root,
        })
    }

    async fn start(&self) -> KeptKernel {
        let spec = self
            .provisioner
            .local()
            .kernelspec_for_python(&self.python)
            .await
            .unwrap();
        let mut request = LaunchRequest::new(spec);
        request
            .extra_arguments
            .push("--HistoryManager.hist_file=:memory:".to_owned());
        let kernel = self.provisioner.start(request).await.unwrap();
        kernel.keep(None).await.unwrap();
        kernel
    }

    async fn attach(&self, id: &KernelId) -> KeptKernel {
        self.provisioner.attach(id, None).await.unwrap()
    }

    fn kill_keeper(&self, id: &KernelId) {
        let keeper = self.provisioner.find(id).unwrap().keeper_pid;
        kill(Pid::from_raw(i32::try_from(keeper).unwrap()), Signal::SIGKILL).unwrap();
        while self.provisioner.find(id).unwrap().has_keeper {
            std::thread::yield_now();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for record in self.provisioner.list().unwrap_or_default() {
            for pid in [record.keeper_pid, record.pid] {
                let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
            }
        }
    }
}

fn dispatch(cell: &str) -> DispatchId {
    DispatchId {
        run_id: "run".into(),
        cell: cell.into(),
        attempt: 1,
    }
}

fn request(cell: &str, code: &str) -> ExecuteRequest {
    ExecuteRequest {
        dispatch: Some(dispatch(cell)),
        ..ExecuteRequest::new(code)
    }
}

async fn read(execution: Execution) -> Vec<Message> {
    execution.messages.map(Result::unwrap).collect().await
}

fn stdout(messages: &[Message]) -> String {
    let streams = messages.iter().filter(|message| message.msg_type() == "stream");
    streams
        .map(|message| {
            message
                .content
                .get("text")
                .and_then(Json::as_str)
                .unwrap_or_default()
                .into_owned()
        })
        .collect()
}

/// Prints lines until a file is there that the test makes.
fn until(file: &std::path::Path) -> String {
    let file = file.display();
    format!(
        "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('{file}'):\n    time.sleep(0.01)\n\
         for i in range(400):\n    print(i, flush=True)"
    )
}

fn lines() -> String {
    let numbers = (0..400).map(|number| format!("{number}\n"));
    std::iter::once("begun\n".to_owned()).chain(numbers).collect()
}

async fn wait_for(execution: &mut Execution, msg_type: &str) {
    while execution.messages.next().await.unwrap().unwrap().msg_type() != msg_type {}
}

macro_rules! kept_tests {
    ($($(#[$doc:meta])* async fn $name:ident($lab:ident) $body:block)*) => {
        $($(#[$doc])* #[test]
        fn $name() {
            let Some($lab) = Lab::new() else { return };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let done = tokio::time::timeout(Duration::from_secs(60), async $body).await;
                assert!(done.is_ok(), "it hangs");
            });
        })*
    };
}

kept_tests! {
    async fn what_a_client_has_begun_the_next_one_finds(lab) {
        let kernel = lab.start().await;
        let go = lab.provisioner.list().unwrap()[0].home.join("go");
        let code = until(&go);
        let mut execution = kernel.execute(request("a", &code)).await.unwrap();
        wait_for(&mut execution, "stream").await;
        let id = kernel.id().clone();
        drop((kernel, execution));
        let kernel = lab.attach(&id).await;
        assert_eq!(*kernel.state().borrow(), KernelState::Busy);
        assert_eq!(kernel.running().await.unwrap(), [dispatch("a")]);
        std::fs::write(go, "").unwrap();
        let mut unfinished = kernel.unfinished();
        let found = unfinished.next().await.unwrap();
        assert_eq!((found.dispatch, found.code), (dispatch("a"), code));
        assert!(unfinished.next().await.is_none());
        let messages = read(found.execution).await;
        assert_eq!(stdout(&messages), lines());
        assert_eq!(kernel.executed().cells, 1);
        let after = read(kernel.execute(request("b", "print('b')")).await.unwrap()).await;
        assert_eq!(stdout(&after), "b\n");
    }

    async fn what_is_looked_at_beside_a_cell_leaves_the_cell_alone(lab) {
        let kernel = lab.start().await;
        let go = lab.provisioner.find(kernel.id()).unwrap().home.join("go");
        let mut execution = kernel.execute(request("cell", &until(&go))).await.unwrap();
        wait_for(&mut execution, "stream").await;
        // It has no right to execute.
        let other = lab.attach(kernel.id()).await;
        let reply = other.execute_aside(ExecuteRequest::expression("6 * 7")).await.unwrap();
        let found = reply.content.get("user_expressions").and_then(|all| all.get("expression"));
        let text = found.and_then(|found| found.get("data")?.get("text/plain")?.as_str());
        assert_eq!(text.as_deref(), Some("42"));
        assert_eq!(*other.state().borrow(), KernelState::Busy);
        assert_eq!(*kernel.state().borrow(), KernelState::Busy);
        std::fs::write(&go, "").unwrap();
        assert_eq!(format!("begun\n{}", stdout(&read(execution).await)), lines());
    }

    async fn what_is_typed_is_recorded_nowhere(lab) {
        let kernel = lab.start().await;
        let asking = ExecuteRequest {
            allow_stdin: true,
            ..request("a", "import getpass\nprint(len(getpass.getpass('pin? ')))")
        };
        let mut execution = kernel.execute(asking).await.unwrap();
        let asked = loop {
            let message = execution.messages.next().await.unwrap().unwrap();
            if message.msg_type() == "input_request" {
                break message;
            }
        };
        let secret = "correct horse battery staple";
        let content = [("status", "ok"), ("value", secret)];
        let content = content.into_iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect();
        kernel.send(Channel::Stdin, "input_reply", content, Some(&asked.header)).await.unwrap();
        assert_eq!(stdout(&read(execution).await), "28\n");
        let home = lab.provisioner.find(kernel.id()).unwrap().home;
        for entry in home.read_dir().unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file()) {
            let bytes = std::fs::read(entry.path()).unwrap();
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{}", entry.path().display());
        }
    }

    async fn what_was_acknowledged_is_not_found_again(lab) {
        let kernel = lab.start().await;
        let first = kernel.execute(request("a", "print('x' * 40_000_000)")).await.unwrap();
        let position = read(first).await.iter().filter_map(|message| message.position).max().unwrap();
        let second = kernel.execute(request("b", "print('b')")).await.unwrap();
        read(second).await;
        kernel.acknowledge(position).await.unwrap();
        let id = kernel.id().clone();
        drop(kernel);
        let kernel = lab.attach(&id).await;
        let found: Vec<_> = kernel.unfinished().map(|unfinished| unfinished.dispatch).collect().await;
        assert_eq!(found, [dispatch("b")]);
        let home = lab.provisioner.find(&id).unwrap().home;
        let kept: u64 = home.read_dir().unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(kept < 5_000_000, "{kept} bytes are kept of 40 MB that were acknowledged");
    }

    async fn a_repeated_execution_happens_once(lab) {
        let kernel = lab.start().await;
        let code = "n = globals().get('n', 0) + 1\nprint(n)";
        for _ in 0..3 {
            let messages = read(kernel.execute(request("a", code)).await.unwrap()).await;
            assert_eq!(stdout(&messages), "1\n");
        }
        let end = read(kernel.execute(request("b", "1")).await.unwrap()).await;
        kernel.acknowledge(end.iter().filter_map(|message| message.position).max().unwrap()).await.unwrap();
        let error = kernel.execute(request("a", code)).await.unwrap_err();
        assert!(matches!(error, KernelError::Repeated { attempt: 1, .. }), "{error}");
    }

    async fn a_client_with_a_higher_token_ends_the_rights_of_others(lab) {
        let kernel = lab.start().await;
        let newer = lab.provisioner.attach(kernel.id(), Some(7)).await.unwrap();
        let error = kernel.execute(request("a", "1")).await.unwrap_err();
        assert!(matches!(error, KernelError::Fenced { token: 0, newest: 7 }), "{error}");
        read(newer.execute(request("a", "1")).await.unwrap()).await;
        let error = lab.provisioner.attach(kernel.id(), Some(6)).await.unwrap_err();
        assert!(matches!(error, KernelError::Fenced { token: 6, newest: 7 }), "{error}");
        // Reading, and interrupting, is everybody's right.
        kernel.interrupt().await.unwrap();
        kernel.ping().await.unwrap();
    }

    async fn a_killed_keeper_is_replaced_and_the_cell_goes_on(lab) {
        let kernel = lab.start().await;
        let id = kernel.id().clone();
        let pid = lab.provisioner.find(&id).unwrap().pid;
        let go = lab.provisioner.list().unwrap()[0].home.join("go");
        let mut execution = kernel.execute(request("a", &until(&go))).await.unwrap();
        wait_for(&mut execution, "stream").await;
        lab.kill_keeper(&id);
        // It is there again when it answers.
        kernel.ping().await.unwrap();
        std::fs::write(go, "").unwrap();
        let messages: Vec<_> = execution.messages.collect().await;
        let error = messages.last().unwrap().as_ref().unwrap_err();
        assert!(matches!(error, KernelError::Incomplete), "nobody knows what came in between: {error}");
        let messages: Vec<Message> = messages.into_iter().flatten().collect();
        assert_eq!(format!("begun\n{}", stdout(&messages)), lines());
        let after = read(kernel.execute(request("b", "print(i)")).await.unwrap()).await;
        assert_eq!(stdout(&after), "399\n", "it is the same kernel");
        assert_eq!(lab.provisioner.find(&id).unwrap().pid, pid);
    }

    async fn a_cell_that_has_ended_unseen_is_lost_and_said_so(lab) {
        let kernel = lab.start().await;
        let id = kernel.id().clone();
        let folder = lab.provisioner.list().unwrap()[0].home.clone();
        let (go, done) = (folder.join("go"), folder.join("done"));
        let code = format!("{}\nopen('{}', 'w').close()", until(&go), done.display());
        let mut execution = kernel.execute(request("a", &code)).await.unwrap();
        wait_for(&mut execution, "stream").await;
        drop((kernel, execution));
        lab.kill_keeper(&id);
        std::fs::write(go, "").unwrap();
        while !done.exists() {
            std::thread::yield_now();
        }
        let kernel = lab.attach(&id).await;
        let found = kernel.unfinished().next().await.unwrap();
        let messages: Vec<_> = found.execution.messages.collect().await;
        let error = messages.last().unwrap().as_ref().unwrap_err();
        assert!(matches!(error, KernelError::Incomplete), "{error}");
        let after = read(kernel.execute(request("b", "print(i)")).await.unwrap()).await;
        assert_eq!(stdout(&after), "399\n");
    }

    async fn what_a_dead_kernel_has_said_is_read_on_several_threads(lab) {
        let kernel = lab.start().await;
        let id = kernel.id().clone();
        let printed = read(kernel.execute(request("a", "print('a')")).await.unwrap()).await;
        assert_eq!(stdout(&printed), "a\n");
        kernel.shutdown(ShutdownMode::Immediate).await.unwrap();
        drop(kernel);
        // Its keeper waits until the connection is closed, which is done here.
        while lab.provisioner.find(&id).unwrap().has_keeper {
            tokio::task::yield_now().await;
        }
        let provisioner = lab.provisioner.clone();
        let reading = std::thread::spawn(move || {
            let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            threads.block_on(async {
                let reading = async {
                    for _ in 0..50 {
                        let kernel = provisioner.attach(&id, None).await.unwrap();
                        let found: Vec<_> = kernel.unfinished().collect().await;
                        assert_eq!(found.len(), 1);
                        for found in found {
                            assert_eq!(stdout(&read(found.execution).await), "a\n");
                        }
                    }
                };
                tokio::time::timeout(Duration::from_secs(40), reading).await.expect("it hangs");
            });
        });
        tokio::task::spawn_blocking(|| reading.join()).await.unwrap().unwrap();
    }

    async fn the_death_of_kernel_and_keeper_is_told(lab) {
        let kernel = lab.start().await;
        let id = kernel.id().clone();
        let record = lab.provisioner.find(&id).unwrap();
        let printed = read(kernel.execute(request("a", "print('a')")).await.unwrap()).await;
        assert_eq!(stdout(&printed), "a\n");
        let code = "import time\nprint('b', flush=True)\ntime.sleep(1000)";
        let mut execution = kernel.execute(request("b", code)).await.unwrap();
        wait_for(&mut execution, "stream").await;
        for pid in [record.keeper_pid, record.pid] {
            kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
        }
        let error = execution.messages.map(Result::unwrap_err).next().await.unwrap();
        assert!(matches!(error, KernelError::Died(_)), "{error}");
        drop(kernel);
        let kernel = lab.attach(&id).await;
        assert!(matches!(kernel.execute(request("c", "1")).await, Err(KernelError::Died(_))));
        let mut unfinished = kernel.unfinished();
        let first = unfinished.next().await.unwrap();
        assert_eq!(stdout(&read(first.execution).await), "a\n");
        let second: Vec<_> = unfinished.next().await.unwrap().execution.messages.collect().await;
        assert!(matches!(second.last().unwrap(), Err(KernelError::Died(_))));
        assert_eq!(stdout(&second.into_iter().flatten().collect::<Vec<_>>()), "b\n");
        drop((kernel, unfinished));
        lab.provisioner.remove(&id).await.unwrap();
        assert!(lab.provisioner.list().unwrap().is_empty());
    }

    async fn the_end_of_a_kernel_ends_its_keeper(lab) {
        let kernel = lab.start().await;
        let id = kernel.id().clone();
        kernel.shutdown(ShutdownMode::Graceful(Duration::from_secs(5))).await.unwrap();
        drop(kernel);
        while lab.provisioner.find(&id).unwrap().has_keeper {
            tokio::task::yield_now().await;
        }
        let record = lab.provisioner.find(&id).unwrap();
        assert_eq!((record.is_alive, record.death.unwrap().exit_code), (false, Some(0)));
        lab.provisioner.remove(&id).await.unwrap();
        assert!(!record.home.exists());
    }

    async fn an_idle_kernel_ends_by_itself(lab) {
        let kernel = lab.start().await;
        let id = kernel.id().clone();
        kernel.keep(Some(Duration::from_millis(50))).await.unwrap();
        // It has a client, and so is in use.
        read(kernel.execute(request("a", "import time; time.sleep(0.3)")).await.unwrap()).await;
        kernel.ping().await.unwrap();
        drop(kernel);
        while lab.provisioner.find(&id).unwrap().has_keeper {
            tokio::task::yield_now().await;
        }
        let record = lab.provisioner.find(&id).unwrap();
        assert!(record.ended_because.unwrap().contains("idle timeout"));
    }

    async fn a_kernel_that_others_have_is_removed_under_them(lab) {
        let kernel = lab.start().await;
        let (id, mut state) = (kernel.id().clone(), kernel.state());
        lab.provisioner.remove(&id).await.unwrap();
        state.wait_for(|state| matches!(state, KernelState::Dead(_))).await.unwrap();
        assert!(lab.provisioner.list().unwrap().is_empty());
        assert!(matches!(kernel.ping().await, Err(KernelError::Died(_))));
    }
}
