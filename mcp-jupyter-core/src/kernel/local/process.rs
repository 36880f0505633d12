//! The kernel's process: started from a thread that outlives it, watched by the operating system's word, ended with
//! its whole process group.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
pub(in crate::kernel) struct ProcessRequest {
    pub(in crate::kernel) name: String,
    pub(in crate::kernel) argv: Vec<String>,
    pub(in crate::kernel) env: BTreeMap<String, String>,
    pub(in crate::kernel) cwd: Option<PathBuf>,
    pub(in crate::kernel) output: Output,
}

/// Where a process writes what it says outside of the protocol, and with that, whether it may outlive us.
#[derive(Clone, Debug)]
pub(in crate::kernel) enum Output {
    /// To us: it ends when we do.
    Pipe,
    /// To the end of this file: it lives on without us.
    File(PathBuf),
}

/// A running kernel process, leader of its own session and process group. Dropping it kills the group, if it is our child.
#[derive(Debug)]
pub(in crate::kernel) struct Process {
    pid: Pid,
    /// Set where it is no child of ours: whoever else reaps it, its number may be another's then.
    born: Option<String>,
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
    pub(in crate::kernel) async fn spawn(request: ProcessRequest) -> Result<Self, KernelError> {
        let name = request.name.clone();
        let failed = |reason: String| KernelError::StartFailed {
            name: name.clone(),
            reason,
        };
        let Some(program) = request.argv.first().cloned() else {
            return Err(failed("its kernelspec has an empty argv".to_owned()));
        };
        let cwd = request.cwd.clone();
        let (words, outlet) = outlet(&request.output)?;
        let child = spawn_on_launcher(move || command(request, outlet)?.spawn()).await;
        let child = child.map_err(|error| match cwd {
            Some(cwd) if !cwd.is_dir() => failed(format!("its working directory {} is no folder", cwd.display())),
            _ => failed(format!("cannot execute {program}: {error}")),
        })?;
        Self::watch(child.take(), words).map_err(|error| KernelError::io("watch the kernel process", error))
    }

    /// A process that somebody else has started, if it is still the one of this [`birth`]; its exit code remains unknown.
    #[cfg(target_os = "linux")]
    pub(in crate::kernel) fn adopt(pid: u32, born: &str, log: PathBuf) -> io::Result<Option<Self>> {
        use rustix::event::{PollFd, PollFlags, poll};
        use rustix::process::{Pid as RustixPid, PidfdFlags, pidfd_open};

        let raw = i32::try_from(pid).map_err(io::Error::other)?;
        let Some(target) = RustixPid::from_raw(raw) else {
            return Ok(None);
        };
        let Ok(pidfd) = pidfd_open(target, PidfdFlags::empty()) else {
            return Ok(None);
        };
        // Looked at after the descriptor is held: from here on the number cannot become another's unnoticed.
        if birth(pid).as_deref() != Some(born) {
            return Ok(None);
        }
        let (process, death_tx) = Self::new(Pid::from_raw(raw), Some(born.to_owned()));
        let shared = Arc::clone(&process.shared);
        std::thread::Builder::new()
            .name("mcp-jupyter-wait".to_owned())
            .stack_size(128 << 10)
            .spawn(move || {
                while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).is_err() {}
                *lock(&shared.reaped) = true;
                death_tx.send_replace(Some(Death {
                    stderr: last_words(&log),
                    ..Death::default()
                }));
            })?;
        Ok(Some(process))
    }

    fn new(pid: Pid, born: Option<String>) -> (Self, watch::Sender<Option<Death>>) {
        let (death_tx, death) = watch::channel(None);
        let shared = Arc::default();
        let process = Self {
            pid,
            born,
            shared,
            death,
        };
        (process, death_tx)
    }

    fn watch(mut child: Child, words: Words) -> io::Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        let (process, death_tx) = Self::new(pid, None);
        let shared = Arc::clone(&process.shared);
        let words = words.listen(&shared)?;
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
            let stderr = words.last(&shared).await;
            let status = status.ok();
            death_tx.send_replace(Some(Death {
                exit_code: status.and_then(|status| status.code()),
                signal: status.and_then(|status| status.signal()),
                stderr,
            }));
        });
        Ok(process)
    }

    /// Sends a signal to the process group; without effect once the process has ended.
    pub(in crate::kernel) fn signal(&self, signal: Signal) -> io::Result<()> {
        let reaped = lock(&self.shared.reaped);
        if *reaped
            || self
                .born
                .as_ref()
                .is_some_and(|born| birth(self.pid.as_raw().unsigned_abs()).as_ref() != Some(born))
        {
            return Ok(());
        }
        match killpg(self.pid, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The death of the process; none while it lives.
    pub(in crate::kernel) fn death(&self) -> Option<Death> {
        self.death.borrow().clone()
    }

    /// Waits for the death of the process.
    pub(in crate::kernel) async fn wait(&self) -> Death {
        self.watch_death().wait().await
    }

    /// A way to wait for the death that does not keep the process alive.
    pub(in crate::kernel) fn watch_death(&self) -> DeathWatch {
        DeathWatch(self.death.clone())
    }

    pub(in crate::kernel) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }
}

/// Tells when the process has died.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct DeathWatch(watch::Receiver<Option<Death>>);

impl DeathWatch {
    pub(in crate::kernel) async fn wait(mut self) -> Death {
        let ended = self.0.wait_for(Option::is_some).await;
        ended.ok().and_then(|death| death.clone()).unwrap_or_default()
    }
}

impl Drop for Process {
    /// One that somebody else has started was there before us, and stays where taking it over fails.
    fn drop(&mut self) {
        if self.born.is_none() {
            let _ = self.signal(Signal::SIGKILL);
        }
    }
}

/// What the process writes, and the end that it writes to.
fn outlet(output: &Output) -> Result<(Words, OwnedFd), KernelError> {
    match output {
        Output::Pipe => {
            let pipe = io::pipe().map_err(|error| KernelError::io("create a pipe", error));
            pipe.map(|(reader, writer)| (Words::Pipe(reader.into()), writer.into()))
        }
        Output::File(path) => {
            let mut options = std::fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.append(true).create(true).open(path);
            let file = file.map_err(|error| KernelError::io(format!("open {}", path.display()), error))?;
            Ok((Words::File(path.clone()), file.into()))
        }
    }
}

/// Where to find what a process has written.
enum Words {
    Pipe(OwnedFd),
    File(PathBuf),
}

/// The same, while it runs.
enum Heard {
    Pipe(tokio::task::JoinHandle<()>),
    File(PathBuf),
}

impl Words {
    fn listen(self, shared: &Arc<Shared>) -> io::Result<Heard> {
        match self {
            Self::Pipe(pipe) => drain(pipe, shared).map(Heard::Pipe),
            Self::File(path) => Ok(Heard::File(path)),
        }
    }
}

impl Heard {
    /// The last lines of a process that has ended.
    async fn last(self, shared: &Shared) -> String {
        match self {
            Self::Pipe(drained) => {
                // Its group is gone, so the pipe's end comes, unless something that left the group holds it.
                let _ = tokio::time::timeout(std::time::Duration::from_millis(500), drained).await;
                lock(&shared.tail).text()
            }
            Self::File(path) => last_words(&path),
        }
    }
}

/// The last whole lines of a file.
pub(in crate::kernel) fn last_words(path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_LIMIT as u64)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    Tail { bytes }.text()
}

/// When a process was born, in a form that no other process of any machine or boot has; none where it is gone, or the
/// system does not tell.
pub(in crate::kernel) fn birth(pid: u32) -> Option<String> {
    // The name in the second field may hold anything, but it ends with the last parenthesis.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    (!matches!(state, "Z" | "X")).then(|| format!("{}/{ticks}", boot.trim()))
}

/// Keeps the end of what the process writes. The task ends with the output.
fn drain(output: OwnedFd, shared: &Arc<Shared>) -> io::Result<tokio::task::JoinHandle<()>> {
    let mut output = pipe::Receiver::from_owned_fd(output)?;
    let shared = Arc::clone(shared);
    Ok(tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok(length @ 1..) = output.read(&mut buffer).await {
            tracing::debug!(target: "mcp_jupyter::kernel_output", text = %String::from_utf8_lossy(&buffer[..length]));
            lock(&shared.tail).push(&buffer[..length]);
        }
    }))
}

fn command(request: ProcessRequest, output: OwnedFd) -> io::Result<Command> {
    let mut command = Command::new(&request.argv[0]);
    command.args(&request.argv[1..]).envs(request.env);
    let ends_with_us = matches!(request.output, Output::Pipe);
    // A kernel without a parent of its own ends itself (ipykernel polls for this pid).
    if ends_with_us {
        command.env("JPY_PARENT_PID", std::process::id().to_string());
    } else {
        command.env_remove("JPY_PARENT_PID");
    }
    if let Some(cwd) = request.cwd {
        command.current_dir(cwd);
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    before_exec(&mut command, ends_with_us);
    Ok(command)
}

/// Between fork and exec: a session of its own, so that a terminal's Ctrl-C reaches only us; the signals that an
/// ignoring parent would pass on; and, unless it is to live on, the kernel's end when ours comes, whatever ends us.
#[allow(unsafe_code, reason = "pre_exec is the only place between fork and exec")]
fn before_exec(command: &mut Command, ends_with_us: bool) {
    let parent = nix::unistd::getpid();
    // SAFETY: the closure makes only async-signal-safe system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            signal(Signal::SIGINT, SigHandler::SigDfl)?;
            signal(Signal::SIGTERM, SigHandler::SigDfl)?;
            signal(Signal::SIGQUIT, SigHandler::SigDfl)?;
            #[cfg(target_os = "linux")]
            if ends_with_us {
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
    let launcher = launcher()?;
    let (child_tx, child_rx) = oneshot::channel();
    let job = move || drop(child_tx.send(spawn().map(|child| Unwatched(Some(child)))));
    launcher
        .send(Box::new(job))
        .map_err(|_| io::Error::other("the thread that starts kernels has ended"))?;
    child_rx.await.map_err(io::Error::other)?
}

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread that starts kernels. A fork of our process has none of its threads, and gets one of its own.
fn launcher() -> io::Result<Sender<Job>> {
    static LAUNCHER: Mutex<Option<(u32, Sender<Job>)>> = Mutex::new(None);
    let mut launcher = lock(&LAUNCHER);
    let ours = launcher.as_ref().filter(|(process, _)| *process == std::process::id());
    if let Some((_, jobs)) = ours {
        return Ok(jobs.clone());
    }
    let (jobs_tx, jobs_rx) = channel::<Job>();
    std::thread::Builder::new()
        .name("mcp-jupyter-launch".to_owned())
        .spawn(move || jobs_rx.into_iter().for_each(|job| job()))?;
    *launcher = Some((std::process::id(), jobs_tx.clone()));
    Ok(jobs_tx)
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
pub(in crate::kernel) fn start_failure(name: &str, death: &Death) -> KernelError {
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
            output: Output::Pipe,
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
            before_exec(&mut command, true);
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
            output: Output::Pipe,
        };
        let error = Process::spawn(request).await.unwrap_err().to_string();
        assert!(error.contains("odd") && error.contains("/no/such/program"), "{error}");
    }
}
