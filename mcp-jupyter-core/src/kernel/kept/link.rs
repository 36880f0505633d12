//! The way to a keeper: one connection, made again whenever it breaks, by a new keeper where the old one is gone.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::ChildStdin;
use tokio::sync::{oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::home::Home;
use super::packet::{self, Answer, Numbered, Refusal, Request, Said, Status, VERSION};
use super::program::KeeperProgram;
use super::spool::{Position, SpoolReader};
use crate::kernel::local::process::last_words;
use crate::kernel::{Death, KernelError};

/// How often to look whether a keeper that takes over listens.
const TAKING_OVER: Duration = Duration::from_millis(5);

/// Reaches the keeper of one kernel.
#[derive(Debug)]
pub(super) struct Connection {
    home: Home,
    program: KeeperProgram,
    token: Option<u64>,
    /// Holds the kernel for as long as it is not kept.
    tether: Mutex<Option<ChildStdin>>,
    /// None while there is no keeper, because there is no kernel.
    line: tokio::sync::Mutex<Option<Arc<Line>>>,
    /// The requests of ours that were not found in the record yet.
    own: Mutex<HashSet<String>>,
    /// How far the spool reaches.
    end: watch::Sender<Position>,
    /// Set where the kernel has ended and no keeper will tell more.
    silence: watch::Sender<Option<Death>>,
}

/// One connection to a keeper.
#[derive(Debug)]
struct Line {
    out: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Mutex<Waiting>,
    next: AtomicU64,
    /// Ends with the line, and the line's other half with it.
    listening: OnceLock<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Result<Answer, Refusal>>>,
    is_broken: bool,
}

/// The line broke before the answer came: what was asked for may have been done or not.
struct Broken;

impl Connection {
    /// Connects to the keeper of `home`; where it is gone, a new one takes over; where the kernel is gone too, what was
    /// recorded can be read.
    pub(super) async fn open(
        home: Home,
        program: KeeperProgram,
        token: Option<u64>,
        tether: Option<ChildStdin>,
    ) -> Result<(Arc<Self>, Option<Status>), KernelError> {
        let connection = Arc::new(Self {
            home,
            program,
            token,
            tether: Mutex::new(tether),
            line: tokio::sync::Mutex::default(),
            own: Mutex::default(),
            end: watch::Sender::new(0),
            silence: watch::Sender::new(None),
        });
        let mut line = connection.line.lock().await;
        let status = connection.dial(&mut line).await?;
        drop(line);
        Ok((connection, status))
    }

    fn own(&self) -> MutexGuard<'_, HashSet<String>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of ours is about to be sent.
    pub(super) fn announce(&self, msg_id: &str) {
        self.own().insert(msg_id.to_owned());
    }

    /// A request was found in the record; tells whether it is ours.
    pub(super) fn found(&self, msg_id: &str) -> bool {
        self.own().remove(msg_id)
    }

    /// Whether a request that was announced has been recorded, and so sent.
    pub(super) fn is_recorded(&self, msg_id: &str) -> bool {
        !self.own().contains(msg_id)
    }

    fn hold(&self, tether: Option<ChildStdin>) {
        *self.tether.lock().unwrap_or_else(PoisonError::into_inner) = tether;
    }

    /// The kernel is not wanted by us any more; it ends unless it is kept.
    pub(super) fn let_go(&self) {
        self.hold(None);
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    pub(super) fn end(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    pub(super) fn silence(&self) -> watch::Receiver<Option<Death>> {
        self.silence.subscribe()
    }

    /// Asks the keeper. `was_done` tells, once the line is up again, whether what was asked for before it broke was done.
    pub(super) async fn ask(
        self: &Arc<Self>,
        request: &Request,
        frames: &[Bytes],
        was_done: impl Fn() -> Option<Answer>,
    ) -> Result<Answer, KernelError> {
        loop {
            let line = self.line.lock().await.clone();
            let Some(line) = line else {
                let death = self.silence.borrow().clone();
                return Err(KernelError::Died(death.unwrap_or_default()));
            };
            match line.ask(request, frames).await {
                Ok(answer) => return answer.map_err(KernelError::from),
                Err(Broken) => self.redial(&line).await?,
            }
            if let Some(answer) = was_done() {
                return Ok(answer);
            }
        }
    }

    /// Makes the connection again, unless somebody else has done so.
    async fn redial(self: &Arc<Self>, broken: &Arc<Line>) -> Result<(), KernelError> {
        let mut line = self.line.lock().await;
        if line.as_ref().is_some_and(|line| !Arc::ptr_eq(line, broken)) {
            return Ok(());
        }
        self.dial(&mut line).await.map(drop)
    }

    async fn dial(self: &Arc<Self>, line: &mut Option<Arc<Line>>) -> Result<Option<Status>, KernelError> {
        *line = None;
        let mut attempts = 0;
        loop {
            match self.connect().await? {
                Some((connected, status)) => {
                    *line = Some(connected);
                    return Ok(Some(status));
                }
                None if attempts < 3
                    && let Some(tether) = self.program.adopt(&self.home).await? =>
                {
                    attempts += 1;
                    if tether.is_some() {
                        self.hold(tether);
                    }
                }
                None => {
                    self.fall_silent();
                    return Ok(None);
                }
            }
        }
    }

    /// The socket of a keeper that lives; one that is just taking over, and does not listen yet, is waited for.
    async fn reach_keeper(&self) -> Result<Option<UnixStream>, KernelError> {
        let home = &self.home;
        loop {
            let description = home.description().map_err(|error| {
                KernelError::io(
                    format!("read what is known of the kernel in {}", home.path().display()),
                    error,
                )
            })?;
            if !home.has_keeper() {
                return Ok(None);
            }
            if let Ok(stream) = UnixStream::connect(description.socket()).await {
                return Ok(Some(stream));
            }
            tokio::time::sleep(TAKING_OVER).await;
        }
    }

    /// A connection to a keeper that lives.
    async fn connect(self: &Arc<Self>) -> Result<Option<(Arc<Line>, Status)>, KernelError> {
        let Some(stream) = self.reach_keeper().await? else {
            return Ok(None);
        };
        let (from, out) = stream.into_split();
        let line = Arc::new(Line {
            out: tokio::sync::Mutex::new(out),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            listening: OnceLock::new(),
        });
        spawn_listening(self, &line, from);
        let hello = Request::Hello {
            version: VERSION,
            token: self.token,
        };
        match line.ask(&hello, &[]).await {
            Ok(Ok(Answer::Status(status))) => {
                self.grow(status.end);
                Ok(Some((line, *status)))
            }
            Ok(Err(refusal)) => Err(refusal.into()),
            Ok(Ok(_)) | Err(Broken) => Ok(None),
        }
    }

    fn grow(&self, end: Position) {
        self.end.send_if_modified(|known| {
            let grows = end > *known;
            *known = end.max(*known);
            grows
        });
    }

    /// There is no kernel any more. What was recorded of it is found by reading to the end.
    fn fall_silent(&self) {
        let mut reader = SpoolReader::new(self.home.path().to_owned(), self.home.acknowledged());
        while let Ok(Some(header)) = reader.peek(Position::MAX) {
            if reader.read(&header).is_err() {
                break;
            }
            self.grow(reader.position());
        }
        let described = self.home.description().ok().and_then(|description| description.death);
        let death = described.unwrap_or_else(|| Death {
            stderr: last_words(&self.home.log()),
            ..Death::default()
        });
        self.silence.send_replace(Some(death));
    }
}

impl Line {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, request: &Request, frames: &[Bytes]) -> Result<Result<Answer, Refusal>, Broken> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer_tx, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.is_broken {
                return Err(Broken);
            }
            waiting.answers.insert(id, answer_tx);
        }
        let request = Numbered {
            id,
            request: request.clone(),
        };
        let written = packet::write(&mut *self.out.lock().await, &request, frames).await;
        if written.is_err() {
            self.breaks();
        }
        answer.await.map_err(|_| Broken)
    }

    fn breaks(&self) {
        let mut waiting = self.waiting();
        waiting.is_broken = true;
        waiting.answers.clear();
    }
}

fn spawn_listening(connection: &Arc<Connection>, line: &Arc<Line>, from: OwnedReadHalf) {
    let listening = tokio::spawn(listen(Arc::downgrade(connection), Arc::downgrade(line), from));
    let _ = line.listening.set(AbortOnDropHandle::new(listening));
}

/// Takes in what the keeper says. Where the line breaks by itself, it is made again: what comes after that counts.
async fn listen(connection: Weak<Connection>, line: Weak<Line>, from: OwnedReadHalf) {
    let mut from = BufReader::new(from);
    while let Ok(Some((said, _))) = packet::read::<Said>(&mut from).await {
        let (Some(connection), Some(line)) = (connection.upgrade(), line.upgrade()) else {
            return;
        };
        match said {
            Said::Grown(end) => connection.grow(end),
            Said::Answer { id, answer } => {
                if let Some(waiting) = line.waiting().answers.remove(&id) {
                    let _ = waiting.send(answer);
                }
            }
        }
    }
    let Some(line) = line.upgrade() else { return };
    line.breaks();
    if let Some(connection) = connection.upgrade()
        && let Err(error) = connection.redial(&line).await
    {
        tracing::warn!(%error, "the kernel's keeper is gone");
        connection.fall_silent();
    }
}
