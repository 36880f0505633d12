//! A service that runs, and can be killed and started again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::{Finished, Lab, finish};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Program {
    Scheduler,
    Assets,
}

impl Program {
    fn file(self) -> &'static str {
        match self {
            Self::Scheduler => env!("CARGO_BIN_EXE_mcp-scheduler-service"),
            Self::Assets => env!("CARGO_BIN_EXE_mcp-asset-service"),
        }
    }
}

/// A service. It is killed when the test ends before it.
pub(super) struct Service {
    child: Child,
    command: Vec<String>,
    program: Program,
    /// Where clients reach it.
    pub(super) url: String,
    page: Option<String>,
}

impl Service {
    /// One over a journal, or a store, in the lab's folder, on a free port.
    pub(super) fn start(lab: &Lab, program: Program) -> Self {
        Self::start_on(lab, program, "127.0.0.1:0", &[])
    }

    pub(super) fn start_on(lab: &Lab, program: Program, listen: &str, more: &[&str]) -> Self {
        let kept = match program {
            Program::Scheduler => format!("--journal=sqlite://{}", lab.path("service/journal.sqlite").display()),
            Program::Assets => format!("--store={}", lab.path("store").display()),
        };
        let is_given = more.iter().any(|argument| ["--journal", "--store"].contains(argument));
        let kept = if is_given { &[][..] } else { &[kept.as_str()][..] };
        let command = [&["--listen", listen], kept, more].concat();
        Self::spawn(lab, program, command.into_iter().map(str::to_owned).collect())
    }

    fn spawn(lab: &Lab, program: Program, command: Vec<String>) -> Self {
        let mut child = within(lab, program)
            .args(&command)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(' ').next());
        let url = url.unwrap_or_else(|| panic!("{program:?} says {line:?}")).to_owned();
        let page = line.split_once("http://").and_then(|(_, rest)| rest.split('/').next());
        Self {
            child,
            page: page.map(str::to_owned),
            command,
            program,
            url,
        }
    }

    /// Where it listens, without the scheme.
    pub(super) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// Where it answers over HTTP.
    pub(super) fn page(&self) -> &str {
        self.page.as_deref().unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Kills it, and starts it again at once on the same port over what it has kept; gives how long that took.
    pub(super) fn kill_and_restart(&mut self, lab: &Lab) -> Duration {
        self.kill();
        let began = Instant::now();
        self.restart(lab);
        began.elapsed()
    }

    /// Kills it without waiting for its end.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Starts it again on the same port.
    pub(super) fn restart(&mut self, lab: &Lab) {
        let mut command = self.command.clone();
        self.address().clone_into(&mut command[1]);
        let next = Self::spawn(lab, self.program, command);
        drop(std::mem::replace(self, next));
    }

    /// Waits for its end, and gives its exit code.
    pub(super) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Asks it to end, and gives its exit code.
    pub(super) fn terminate(self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a page has answered.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Page {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Asks for a page over HTTP.
pub(super) fn ask(address: &str, path: &str, headers: &[&str]) -> Page {
    let mut stream = TcpStream::connect(address).unwrap();
    let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Page {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Runs a service that is expected to end at once.
pub(super) fn refused(lab: &Lab, program: Program, arguments: &[&str]) -> Finished {
    finish(within(lab, program).args(arguments), b"")
}

/// A service's program, in the environment that our other commands have.
fn within(lab: &Lab, program: Program) -> Command {
    let template = lab.command(&[]);
    let mut command = Command::new(program.file());
    command
        .env_clear()
        .envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(template.get_current_dir().unwrap());
    command
}
