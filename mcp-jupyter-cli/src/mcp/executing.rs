//! How a server executes: one run of a notebook at a time, on the kernel that the notebook has.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{FinishedRun, OpenedSession, Run, SessionRun, Turn};
use mcp_jupyter_core::kernel::{Death, LaunchRequest};
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::Notebook;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};

use super::answer::Refusal;
use super::run_log::{AgentInput, RunLog};
use super::server::{Lane, Server};
use crate::keeping;

/// The right to execute in a notebook, within this server and among all programs.
#[derive(Debug)]
pub(super) struct Right {
    lane: Arc<Lane>,
    _held: OwnedMutexGuard<()>,
    pub(super) turn: Turn,
    pub(super) record: SessionRecord,
}

/// What to start where a notebook has no kernel.
#[derive(Debug)]
pub(super) enum Launch {
    /// What the notebook names, or the server's arguments.
    Usual,
    /// This.
    This(Box<LaunchRequest>),
    /// Nothing: without a kernel there is nothing to do.
    Nothing,
}

/// What a notebook has.
enum TakenUp {
    Living(Right, OpenedSession),
    Nothing(Right),
}

/// A notebook's kernel, and the right to use it.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) right: Right,
    pub(super) opened: OpenedSession,
    /// The kernelspec's name, where the kernel was started just now.
    pub(super) started: Option<String>,
}

impl Server {
    /// The right to execute in a notebook, once nobody else has it.
    pub(super) async fn right(&self, record: &SessionRecord, until: Instant) -> Result<Right, Refusal> {
        let lane = self.lane(&record.id);
        let busy = |who: String| {
            Refusal::new(format!(
                "{} is being executed by {who}; nothing was begun",
                self.shown(&record.path)
            ))
        };
        let held = timeout_at(until, Arc::clone(&lane.held).lock_owned()).await;
        let held = held.map_err(|_| {
            let run = lane.current().and_then(|log| log.run_id());
            match run {
                Some(run) => busy(format!("run {run}"))
                    .with_advice("run_status with that id and wait_seconds waits for it; run_cancel interrupts it"),
                None => busy("another call".to_owned()).with_advice("call again later"),
            }
        })?;
        let turn = match self.sessions.try_take_turn(&record.id)? {
            Ok(turn) => turn,
            Err(holder) => {
                let waited = timeout_at(until, self.sessions.take_turn(&record.id)).await;
                waited.map_err(|_| {
                    let who = holder.map_or_else(|| "another program".to_owned(), |pid| format!("process {pid}"));
                    busy(who).with_advice("call again when it has ended")
                })??
            }
        };
        let record = self.sessions.store().get(&record.id).await?;
        Ok(Right {
            lane,
            _held: held,
            turn,
            record,
        })
    }

    /// The notebook's kernel. What an earlier program has left on it is taken up first, and a kernel that has died since it
    /// was used last is told of, once.
    pub(super) async fn bind(
        self: &Arc<Self>,
        record: &SessionRecord,
        launch: Launch,
        until: Instant,
    ) -> Result<Bound, Refusal> {
        if self.policy.read_only && self.has_leftover(record).await {
            return Err(Refusal::new(format!(
                "an earlier program has left a run of {}, and this server executes nothing",
                self.shown(&record.path)
            ))
            .with_advice("a server without --read-only, or `mcp-jupyter sync`, goes on with it"));
        }
        let right = self.right(record, until).await?;
        let right = match self.take_up(right, until).await? {
            TakenUp::Living(right, opened) => {
                return Ok(Bound {
                    right,
                    opened,
                    started: None,
                });
            }
            TakenUp::Nothing(right) => right,
        };
        let launch = match launch {
            Launch::This(launch) => *launch,
            Launch::Usual => {
                let notebook = keeping::newest(&self.sessions, &right.record).await?;
                keeping::launch(&self.kernels, &self.kernel, &right.record.path, &notebook).await?
            }
            Launch::Nothing => {
                return Err(Refusal::new(format!("{} has no kernel", self.shown(&record.path)))
                    .with_advice("run or kernel_start starts one"));
            }
        };
        let name = launch.spec.name.clone();
        let opened = self
            .sessions
            .start(&right.turn, &right.record, launch, self.idle_timeout)
            .await?;
        // What was in flight when the last kernel died is known to be lost from now on.
        let (right, opened) = self.recover(right, opened, until).await?;
        Ok(Bound {
            right,
            opened,
            started: Some(name),
        })
    }

    /// Takes up what was left on the kernel that there is.
    async fn take_up(self: &Arc<Self>, right: Right, until: Instant) -> Result<TakenUp, Refusal> {
        let Some(opened) = self.sessions.attach(&right.turn, &right.record).await? else {
            if right.record.kernel.is_some() {
                return Err(self.bury(&right, None).await?);
            }
            return Ok(TakenUp::Nothing(right));
        };
        let (right, opened) = self.recover(right, opened, until).await?;
        let Some(death) = opened.death() else {
            return Ok(TakenUp::Living(right, opened));
        };
        opened.session.detach().await;
        drop(opened.kernel);
        Err(self.bury(&right, Some(death)).await?)
    }

    /// Removes what there is of a dead kernel, and says that it is dead.
    async fn bury(&self, right: &Right, death: Option<Death>) -> Result<Refusal, Refusal> {
        let obituary = keeping::obituary(&right.record, &self.sessions, death.as_ref());
        self.sessions.remove_kernel(&right.record).await?;
        let refusal = Refusal::new(format!("{obituary}; all its names are gone, and nothing was executed"));
        Ok(refusal.with_advice("call again to start a new kernel; run executes there what is needed"))
    }

    /// Goes on with what an earlier program has left, to its end; a refusal that names it where that takes longer.
    async fn recover(
        self: &Arc<Self>,
        right: Right,
        opened: OpenedSession,
        until: Instant,
    ) -> Result<(Right, OpenedSession), Refusal> {
        let notebook = keeping::newest(&self.sessions, &right.record).await?;
        let log = Arc::new(RunLog::new(right.record.path.clone()));
        let request = self.request(&right.record, &log);
        let Some(run) = opened.session.recover(notebook, request).await? else {
            return Ok((right, opened));
        };
        log.note("going on with what an earlier program has left");
        let (server, followed) = (Arc::clone(self), Arc::clone(&log));
        let (back_tx, back) = oneshot::channel();
        tokio::spawn(async move {
            server.follow(&right, &followed, run).await;
            followed.end();
            if let Err((_right, opened)) = back_tx.send((right, opened)) {
                opened.session.detach().await;
            }
        });
        let Ok(Ok(back)) = timeout_at(until, back).await else {
            let run = log.run_id().map_or_else(String::new, |run| format!(" {run}"));
            let message = format!(
                "run{run} of {}, which an earlier program has left, is going on; nothing else was begun",
                self.shown(&log.path)
            );
            return Err(Refusal::new(message).with_advice("run_status with that id and wait_seconds waits for it"));
        };
        Ok(back)
    }

    /// How this server executes, whatever it is.
    pub(super) fn request(&self, record: &SessionRecord, log: &Arc<RunLog>) -> SessionRun {
        SessionRun {
            stored_in: Some(self.sessions.stored_in(record)),
            offload: self.offload.clone(),
            input: Some(Arc::new(AgentInput(Arc::downgrade(log)))),
            ..SessionRun::default()
        }
    }

    async fn follow(self: &Arc<Self>, right: &Right, log: &Arc<RunLog>, mut run: Run) -> FinishedRun {
        right.lane.set_current(log);
        log.begin(run.control());
        while let Some(event) = run.next().await {
            if let Some(id) = log.apply(&event) {
                self.remember_run(id, log);
            }
        }
        run.finish().await
    }

    /// The place of one more run; a refusal that names those in progress where there are as many as there may be.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let runs = self.runs().into_iter().filter(|(_, log)| !log.has_ended());
            let runs = runs.map(|(id, log)| format!("{id} of {}", self.shown(&log.path)));
            let message = format!(
                "there are as many runs as this server may have at a time: {}; nothing was begun",
                runs.collect::<Vec<_>>().join(", ")
            );
            Refusal::new(message).with_advice("run_status waits for one of them, run_cancel interrupts it")
        })
    }

    /// Starts a run, which goes on by itself; gives its log once it has an id.
    pub(super) async fn start_run(
        self: &Arc<Self>,
        bound: Bound,
        notebook: Arc<Notebook>,
        wish: impl FnOnce(SessionRun) -> SessionRun,
    ) -> Result<Arc<RunLog>, Refusal> {
        let Bound { right, opened, started } = bound;
        let place = match self.place() {
            Ok(place) => place,
            Err(refusal) => {
                opened.session.detach().await;
                return Err(refusal);
            }
        };
        let log = Arc::new(RunLog::new(right.record.path.clone()));
        let run = opened.session.run(notebook, wish(self.request(&right.record, &log)))?;
        if let Some(name) = started {
            log.note(format!("a new kernel was started ({name}): it has no names yet"));
        }
        let (server, followed) = (Arc::clone(self), Arc::clone(&log));
        tokio::spawn(async move {
            server.follow(&right, &followed, run).await;
            opened.session.detach().await;
            drop(right);
            drop(place);
            followed.end();
        });
        log.known().await;
        Ok(log)
    }

    /// Goes on with the runs that an earlier server has left in the notebooks of the roots.
    pub(super) async fn recover_all(self: Arc<Self>) {
        let Ok(records) = self.sessions.store().list().await else {
            return;
        };
        for record in records.into_iter().filter(|record| self.roots.contains(&record.path)) {
            // That a kernel has died is told to whoever calls first.
            let kernel = record.kernel.as_ref();
            let found = kernel.and_then(|kernel| self.sessions.kernels().find(&kernel.kernel_id));
            if found.is_some_and(|found| found.is_alive) && self.has_leftover(&record).await {
                let server = Arc::clone(&self);
                tokio::spawn(async move {
                    let until = Instant::now() + Duration::from_secs(1);
                    if let Err(refusal) = server.bind(&record, Launch::Nothing, until).await {
                        tracing::info!(%refusal, "what an earlier server has left");
                    }
                });
            }
        }
    }

    async fn has_leftover(&self, record: &SessionRecord) -> bool {
        let runs = self.sessions.journal().runs(&record.id).await.unwrap_or_default();
        runs.last().is_some_and(|run| run.end.is_none())
    }
}
