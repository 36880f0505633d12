use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{
    FinishedRun, InputSource, KeptSessions, Offload, OnError, OnKernelDeath, OpenedSession, Run, RunEvent, RunOutcome,
    SessionRun, Turn, resolve_target,
};
use mcp_jupyter_core::kernel::LaunchRequest;
use mcp_jupyter_core::kernel::kept::KeptKernel;
use mcp_jupyter_core::scheduler::Mode;
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::Notebook;

use super::catch_up::{catch_up, newest};
use super::memory::{MemoryLimits, MemoryWatch};
use super::obituary;
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::Destination;
use crate::report::{Report, Reporter};
use crate::signals::Stops;

/// What happens where the kernel dies while it executes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AfterDeath {
    /// The run ends.
    #[default]
    Leave,
    /// The run ends, and a new kernel is started.
    Restart,
    /// The run goes on with a new kernel, so many times.
    Rerun(u32),
}

/// How to execute.
#[derive(Debug, Default)]
pub(crate) struct SyncOptions {
    pub(crate) mode: Mode,
    pub(crate) targets: Vec<String>,
    pub(crate) allow_expensive: bool,
    pub(crate) cell_timeout: Option<Duration>,
    pub(crate) on_error: OnError,
    pub(crate) after_death: AfterDeath,
    pub(crate) memory: MemoryLimits,
    pub(crate) offload: Option<Offload>,
    pub(crate) input: Option<Arc<dyn InputSource>>,
    /// Print the id of the run, once it has one, and nothing else.
    pub(crate) announces: bool,
}

/// What has come of taking up what was left.
#[derive(Debug, Default)]
pub(crate) struct TakenUp {
    /// The session with its kernel, where that lives.
    pub(crate) opened: Option<OpenedSession>,
    /// How what was left has ended. What has failed, or was lost, is executed again only when that is asked for once more.
    pub(crate) exit: Exit,
}

/// Executes in one session.
#[derive(Debug)]
pub(crate) struct Sync<'a> {
    pub(crate) sessions: &'a KeptSessions,
    pub(crate) record: &'a SessionRecord,
    pub(crate) options: SyncOptions,
    pub(crate) report: &'a Report,
    pub(crate) stops: Stops,
    pub(crate) turn: Turn,
}

impl Sync<'_> {
    /// Takes up what was left, and executes what is stale, on a new kernel where there is none: that is started with what
    /// `launch` gives.
    pub(crate) async fn run(
        mut self,
        launch: impl AsyncFn(&Notebook) -> Result<LaunchRequest, CliError>,
        idle_timeout: Option<Duration>,
    ) -> Result<Exit, CliError> {
        let opened = match self.open(&launch, idle_timeout).await? {
            Ok(opened) => opened,
            Err(exit) => return Ok(exit),
        };
        let notebook = newest(self.sessions, self.record).await?;
        let run = opened.session.run(Arc::clone(&notebook), self.request(&notebook)?)?;
        let outcome = self.follow(run, &notebook, &opened.kernel).await.summary.outcome;
        opened.session.detach().await;
        drop(opened.kernel);
        if let (Some(RunOutcome::KernelDied { .. }), AfterDeath::Restart) = (&outcome, self.options.after_death) {
            self.replace(launch, idle_timeout).await?;
        }
        Ok(outcome.as_ref().map_or(Exit::Failed, Exit::from))
    }

    /// Starts a new kernel in the place of one that has died.
    async fn replace(
        &mut self,
        launch: impl AsyncFn(&Notebook) -> Result<LaunchRequest, CliError>,
        idle_timeout: Option<Duration>,
    ) -> Result<(), CliError> {
        let dead = self.sessions.store().get(&self.record.id).await?;
        self.sessions.remove_kernel(&dead).await?;
        if let Ok(opened) = self.start(launch, idle_timeout).await? {
            self.report.remark(&format!(
                "started a new kernel, on which nothing was executed: {}",
                opened.kernel
            ));
            opened.session.detach().await;
        }
        Ok(())
    }

    /// The session with its kernel, a new one where there is none, after what was left on it was taken up. None where that
    /// has ended badly, or somebody has asked to stop: then the exit code.
    pub(crate) async fn open(
        &mut self,
        launch: impl AsyncFn(&Notebook) -> Result<LaunchRequest, CliError>,
        idle_timeout: Option<Duration>,
    ) -> Result<Result<OpenedSession, Exit>, CliError> {
        let TakenUp { opened: living, exit } = self.take_up().await?;
        if exit != Exit::Ok {
            return Ok(Err(exit));
        }
        if let Some(stop) = self.stops.now() {
            return Ok(Err(stop.cause().into()));
        }
        let opened = match living {
            Some(living) => return Ok(Ok(living)),
            None => match self.start(launch, idle_timeout).await? {
                Ok(opened) => opened,
                Err(stopped) => return Ok(Err(stopped)),
            },
        };
        match catch_up(self, &opened).await? {
            None | Some(Exit::Ok) => Ok(Ok(opened)),
            Some(exit) => {
                opened.session.detach().await;
                Ok(Err(exit))
            }
        }
    }

    /// The session with a new kernel; none where somebody asks to stop before.
    async fn start(
        &mut self,
        launch: impl AsyncFn(&Notebook) -> Result<LaunchRequest, CliError>,
        idle_timeout: Option<Duration>,
    ) -> Result<Result<OpenedSession, Exit>, CliError> {
        let launch = launch(&*newest(self.sessions, self.record).await?).await?;
        let record = self.sessions.store().get(&self.record.id).await?;
        let mut early = self.stops.clone();
        tokio::select! {
            biased;
            stop = early.first() => Ok(Err(stop.cause().into())),
            opened = self.sessions.start(&self.turn, &record, launch, idle_timeout) => Ok(Ok(opened?)),
        }
    }

    /// Takes up what was left on the kernel that there is.
    pub(crate) async fn take_up(&mut self) -> Result<TakenUp, CliError> {
        let had_kernel = self.record.kernel.is_some();
        let Some(opened) = self.sessions.attach(&self.turn, self.record).await? else {
            if had_kernel {
                self.report.warning(&obituary(self.record, self.sessions, None));
                self.sessions.remove_kernel(self.record).await?;
            }
            return Ok(TakenUp::default());
        };
        let exit = catch_up(self, &opened).await?.unwrap_or_default();
        let Some(death) = opened.death() else {
            let opened = Some(opened);
            return Ok(TakenUp { opened, exit });
        };
        self.report.warning(&obituary(self.record, self.sessions, Some(&death)));
        opened.session.detach().await;
        drop(opened.kernel);
        self.sessions.remove_kernel(self.record).await?;
        Ok(TakenUp { opened: None, exit })
    }

    /// Takes up what was left on a kernel that was asked to end, and removes it.
    pub(crate) async fn take_up_quietly(&mut self) -> Result<(), CliError> {
        if let Some(opened) = self.sessions.attach(&self.turn, self.record).await? {
            catch_up(self, &opened).await?;
            opened.session.detach().await;
        }
        newest(self.sessions, self.record).await?;
        Ok(self.sessions.remove_kernel(self.record).await?)
    }

    pub(super) fn request(&self, notebook: &Notebook) -> Result<SessionRun, CliError> {
        let options = &self.options;
        let targets = options.targets.iter().map(|text| resolve_target(notebook, text));
        Ok(SessionRun {
            mode: options.mode,
            targets: targets.collect::<Result<_, _>>()?,
            allow_expensive: options.allow_expensive,
            cell_timeout: options.cell_timeout,
            on_error: options.on_error,
            on_kernel_death: match options.after_death {
                AfterDeath::Leave | AfterDeath::Restart => OnKernelDeath::Stop,
                AfterDeath::Rerun(times) => OnKernelDeath::Restart(times),
            },
            stored_in: Some(self.sessions.stored_in(self.record)),
            offload: options.offload.clone(),
            input: options.input.clone(),
            ..SessionRun::default()
        })
    }

    /// Reports a run to its end, and passes on what is asked of it.
    pub(super) async fn follow(&mut self, mut run: Run, notebook: &Notebook, kernel: &KeptKernel) -> FinishedRun {
        let name = self.record.path.display().to_string();
        let destination = Destination::File(self.record.path.clone());
        let mut reporter = self.report.reporter(&name, &destination);
        reporter.begin(notebook.cells().iter().map(|cell| cell.source().to_owned()).collect());
        let control = run.control();
        let mut memory = MemoryWatch::new(self.options.memory);
        if let Some(stop) = self.stops.now() {
            stop.apply(&control);
        }
        loop {
            tokio::select! {
                event = run.next() => match event {
                    Some(event) => self.tell(&event, &mut *reporter),
                    None => return run.finish().await,
                },
                stop = self.stops.changed() => {
                    stop.apply(&control);
                    self.report.stopping(stop);
                }
                () = memory.due(), if memory.has_limits() => memory.look(self.sessions, kernel, self.report).await,
            }
        }
    }

    fn tell(&mut self, event: &RunEvent, reporter: &mut dyn Reporter) {
        if let RunEvent::RunStarted { run_id, .. } = event
            && std::mem::take(&mut self.options.announces)
        {
            crate::report::show_data(format!("{run_id}\n").as_bytes());
            crate::report::close();
        }
        reporter.event(event);
    }
}
