//! The kernel's process: started from a thread that outlives it, watched by the operating system's word, ended with
//! its whole process group.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nix::sys::signal::{SigHandler, Signal, killpg, signal};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

use crate::kernel::{Death, KernelError};

/// How much of the end of the kernel's own output is kept, in bytes.
const TAIL_LIMIT: usize = 8 << 10;

/// What to execute.
pub(super) struct ProcessRequest {
    pub(super) name: String,
    pub(super) argv: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) cwd: Option<PathBuf>,
}

/// A running kernel process, leader of its own session and process group. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    shared: Arc<Shared>,
    death: watch::Receiver<Option<Death>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Set, under the lock, before the process is reaped: from then on the pid may be another's.
    reaped: Mutex<bool>,
    tail: Mutex<Tail>,
}

/// The last output of the process.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * TAIL_LIMIT {
            self.bytes.drain(..self.bytes.len() - TAIL_LIMIT);
        }
    }

    /// The last whole lines, at most twenty.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Starts the process.
    ///
    /// # Errors
    /// [`KernelError::StartFailed`] where the system refuses.
    pub(super) async fn spawn(request: ProcessRequest) -> Result<Self, KernelError> {
        let name = request.name.clone();
        let failed = |reason: String| KernelError::StartFailed {
            name: name.clone(),
            reason,
        };
        let Some(program) = request.argv.first().cloned() else {
            return Err(failed("its kernelspec has an empty argv".to_owned()));
        };
        let (reader, writer) = io::pipe().map_err(|error| KernelError::io("create a pipe", error))?;
        let cwd = request.cwd.clone();
        let child = spawn_on_launcher(move || command(request, writer)?.spawn()).await;
        let child = child.map_err(|error| match cwd {
            Some(cwd) if !cwd.is_dir() => failed(format!("its working directory {} is no folder", cwd.display())),
            _ => failed(format!("cannot execute {program}: {error}")),
        })?;
        Self::watch(child.take(), OwnedFd::from(reader))
            .map_err(|error| KernelError::io("watch the kernel process", error))
    }

    fn watch(mut child: Child, output: OwnedFd) -> io::Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        let shared = Arc::new(Shared::default());
        let (death_tx, death) = watch::channel(None);
        let process = Self {
            pid,
            shared: Arc::clone(&shared),
            death,
        };
        let drained = drain(output, &shared)?;
        let (exit_tx, exit_rx) = oneshot::channel();
        std::thread::Builder::new()
            .name("mcp-jupyter-wait".to_owned())
            .stack_size(128 << 10)
            .spawn(move || {
                let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
                while waitid(Id::Pid(pid), flags) == Err(nix::errno::Errno::EINTR) {}
                let mut reaped = lock(&shared.reaped);
                // The unreaped leader still holds the group's number, so this reaches only what the kernel started.
                let _ = killpg(pid, Signal::SIGKILL);
                let status = child.wait();
                *reaped = true;
                drop(reaped);
                let _ = exit_tx.send((status, shared));
            })?;
        tokio::spawn(async move {
            let Ok((status, shared)) = exit_rx.await else { return };
            // Its group is gone, so the pipe's end comes, unless something that left the group holds it.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(500), drained).await;
            let status = status.ok();
            death_tx.send_replace(Some(Death {
                exit_code: status.and_then(|status| status.code()),
                signal: status.and_then(|status| status.signal()),
                stderr: lock(&shared.tail).text(),
            }));
        });
        Ok(process)
    }

    /// Sends a signal to the process group; without effect once the process has ended.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let reaped = lock(&self.shared.reaped);
        if *reaped {
            return Ok(());
        }
        match killpg(self.pid, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The death of the process; none while it lives.
    pub(super) fn death(&self) -> Option<Death> {
        self.death.borrow().clone()
    }

    /// Waits for the death of the process.
    pub(super) async fn wait(&self) -> Death {
        self.watch_death().wait().await
    }

    /// A way to wait for the death that does not keep the process alive.
    pub(super) fn watch_death(&self) -> DeathWatch {
        DeathWatch(self.death.clone())
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }
}

/// Tells when the process has died.
#[derive(Clone, Debug)]
pub(super) struct DeathWatch(watch::Receiver<Option<Death>>);

impl DeathWatch {
    pub(super) async fn wait(mut self) -> Death {
        let ended = self.0.wait_for(Option::is_some).await;
        ended.ok().and_then(|death| death.clone()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.signal(Signal::SIGKILL);
    }
}

/// Keeps the end of what the process writes. The future ends with the output.
fn drain(output: OwnedFd, shared: &Arc<Shared>) -> io::Result<impl Future<Output = ()> + use<>> {
    let mut output = pipe::Receiver::from_owned_fd(output)?;
    let shared = Arc::clone(shared);
    let task = tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok(length @ 1..) = output.read(&mut buffer).await {
            tracing::debug!(target: "mcp_jupyter::kernel_output", text = %String::from_utf8_lossy(&buffer[..length]));
            lock(&shared.tail).push(&buffer[..length]);
        }
    });
    Ok(async { drop(task.await) })
}

fn command(request: ProcessRequest, output: io::PipeWriter) -> io::Result<Command> {
    let mut command = Command::new(&request.argv[0]);
    command.args(&request.argv[1..]).envs(request.env);
    // A kernel without a parent of its own ends itself (ipykernel polls for this pid).
    command.env("JPY_PARENT_PID", std::process::id().to_string());
    if let Some(cwd) = request.cwd {
        command.current_dir(cwd);
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    before_exec(&mut command);
    Ok(command)
}

/// Between fork and exec: a session of its own, so that a terminal's Ctrl-C reaches only us; the signals that an
/// ignoring parent would pass on; and the kernel's end when ours comes, whatever ends us.
#[allow(unsafe_code, reason = "pre_exec is the only place between fork and exec")]
fn before_exec(command: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: the closure makes only async-signal-safe system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            signal(Signal::SIGINT, SigHandler::SigDfl)?;
            signal(Signal::SIGTERM, SigHandler::SigDfl)?;
            signal(Signal::SIGQUIT, SigHandler::SigDfl)?;
            #[cfg(target_os = "linux")]
            {
                nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
                if nix::unistd::getppid() != parent {
                    return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
                }
            }
            Ok(())
        });
    }
}

/// Runs `spawn` on the one thread that starts kernels and never ends: Linux takes the end of the *thread* that forked
/// for the parent's death.
async fn spawn_on_launcher(spawn: impl FnOnce() -> io::Result<Child> + Send + 'static) -> io::Result<Unwatched> {
    type Job = Box<dyn FnOnce() + Send>;
    static LAUNCHER: OnceLock<Result<Mutex<Sender<Job>>, String>> = OnceLock::new();
    let launcher = LAUNCHER.get_or_init(|| {
        let (jobs_tx, jobs_rx) = channel::<Job>();
        let run = move || jobs_rx.into_iter().for_each(|job| job());
        let thread = std::thread::Builder::new()
            .name("mcp-jupyter-launch".to_owned())
            .spawn(run);
        thread.map(|_| Mutex::new(jobs_tx)).map_err(|error| error.to_string())
    });
    let launcher = launcher.as_ref().map_err(|error| io::Error::other(error.clone()))?;
    let (child_tx, child_rx) = oneshot::channel();
    let job = move || drop(child_tx.send(spawn().map(|child| Unwatched(Some(child)))));
    lock(launcher)
        .send(Box::new(job))
        .map_err(|_| io::Error::other("the thread that starts kernels has ended"))?;
    child_rx.await.map_err(io::Error::other)?
}

/// A process that nobody watches yet. Its group is ended unless it is taken over: whoever waits for it may be dropped
/// before the process is sent, on its way, or when it has arrived.
#[derive(Debug)]
struct Unwatched(Option<Child>);

impl Unwatched {
    fn take(mut self) -> Child {
        self.0.take().expect("only this takes it")
    }
}

impl Drop for Unwatched {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        if let Ok(pid) = i32::try_from(child.id()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = child.wait();
    }
}

/// Why a kernel did not start, with its last words.
pub(super) fn start_failure(name: &str, death: &Death) -> KernelError {
    let mut reason = "its process ".to_owned();
    let _ = write!(reason, "{death}");
    KernelError::StartFailed {
        name: name.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str) -> Process {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let request = ProcessRequest {
            name: "test".to_owned(),
            argv,
            env: BTreeMap::new(),
            cwd: None,
        };
        Process::spawn(request).await.unwrap()
    }

    #[tokio::test]
    async fn death_carries_the_exit_code_and_the_last_words() {
        let death = shell("echo out of luck >&2; exit 3").await.wait().await;
        assert_eq!(
            (death.exit_code, death.signal, death.stderr.as_str()),
            (Some(3), None, "out of luck")
        );
    }

    #[tokio::test]
    async fn death_by_signal_is_named() {
        let process = shell("sleep 1000").await;
        process.signal(Signal::SIGKILL).unwrap();
        let death = process.wait().await;
        assert_eq!((death.exit_code, death.signal), (None, Some(9)));
        assert!(death.to_string().contains("memory"), "{death}");
    }

    #[tokio::test]
    async fn the_whole_group_ends_with_its_leader() {
        let process = shell("sleep 1000 & echo $!; exit 0").await;
        let death = process.wait().await;
        let pid = Pid::from_raw(death.stderr.parse().unwrap());
        // Killed, though perhaps not yet reaped by the init process.
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
        };
        while !gone() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_process_that_nobody_takes_over_ends_with_its_group() {
        let (mut output, held) = io::pipe().unwrap();
        let spawned = spawn_on_launcher(move || {
            let mut command = Command::new("sh");
            command.args(["-c", "sleep 1000 & echo; wait"]).stdout(held);
            before_exec(&mut command);
            command.spawn()
        });
        let spawned = spawned.await.unwrap();
        io::Read::read_exact(&mut output, &mut [0]).unwrap();
        drop(spawned);
        assert_eq!(
            io::Read::read(&mut output, &mut [0]).unwrap(),
            0,
            "nobody holds the pipe any more"
        );
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_named() {
        let request = ProcessRequest {
            name: "odd".to_owned(),
            argv: vec!["/no/such/program".to_owned()],
            env: BTreeMap::new(),
            cwd: None,
        };
        let error = Process::spawn(request).await.unwrap_err().to_string();
        assert!(error.contains("odd") && error.contains("/no/such/program"), "{error}");
    }
}
