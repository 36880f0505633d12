//! A notebook whose kernel lives while it is edited: every save executes what it has made stale.

mod changes;
mod editor;
mod file_events;
mod memory;

use std::sync::Arc;

use futures_util::StreamExt;
use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::preview::explain;
use mcp_jupyter_core::engine::{
    InputSource, KeptSessions, Offload, OpenedSession, RunControl, RunEvent, SessionRun, StopCause, Turn,
    resolve_target,
};
use mcp_jupyter_core::kernel::kept::KeptKernel;
use mcp_jupyter_core::model::{CellRef, SessionId};
use mcp_jupyter_core::scheduler::{StaleKind, StaleReason};
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};

use crate::args::WatchArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::{Destination, Kernels};
use crate::keeping::{self, Sync, SyncOptions};
use crate::report::{Report, Reporter};
use crate::signals::{Stop, Stops};

pub(crate) use self::editor::Editor;

use self::changes::{is_edited, is_overtaken};
use self::memory::Memory;

/// Executes what an editor makes stale, until somebody asks it to stop.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub(crate) args: &'a WatchArgs,
    pub(crate) editor: Editor,
    pub(crate) sessions: &'a KeptSessions,
    pub(crate) session: SessionId,
    pub(crate) kernels: &'a Kernels,
    pub(crate) input: Option<Arc<dyn InputSource>>,
    pub(crate) offload: Option<Offload>,
    pub(crate) report: &'a Report,
    pub(crate) stops: Stops,
    /// While we have it, it is not idle.
    pub(crate) kernel: Option<Arc<KeptKernel>>,
}

/// What a look for something to execute has come to.
struct Round {
    after: Arc<Notebook>,
    /// An edit has ended the run before its time.
    is_overtaken: bool,
    stopped: Option<Stop>,
}

/// What is known of a run in progress.
struct Progress {
    control: RunControl,
    running: Option<CellRef>,
    is_overtaken: bool,
    stopped: Option<Stop>,
}

impl Watch<'_> {
    /// Executes the notebook, and again after every edit. A kernel that was there before stays.
    pub(crate) async fn run(mut self) -> Result<Exit, CliError> {
        let had_kernel = self.record().await?.kernel.is_some();
        let mut notebook = self.read().await?;
        let mut memory = Memory::new(&notebook);
        let stop = loop {
            let round = self.round(&notebook).await?;
            if let Some(stop) = round.stopped {
                break stop;
            }
            memory.record(&notebook, &round.after);
            match self.next(&memory, &notebook, round.is_overtaken).await {
                Ok(next) => notebook = next,
                Err(stop) => break stop,
            }
        };
        if !had_kernel {
            self.end_kernel().await?;
        }
        Ok(stop.cause().into())
    }

    async fn record(&self) -> Result<SessionRecord, CliError> {
        Ok(self.sessions.store().get(&self.session).await?)
    }

    /// The notebook as its file has it, with all results that were recorded.
    async fn read(&self) -> Result<Arc<Notebook>, CliError> {
        let saved = self.sessions.store().save(&self.session, Durability::Process).await;
        saved
            .map(|saved| saved.notebook)
            .map_err(|error| self.editor.complaint(error))
    }

    /// Executes what is stale in `notebook`. A stop that comes before something is executed is a stop, too.
    async fn round(&mut self, notebook: &Arc<Notebook>) -> Result<Round, CliError> {
        let nothing = |stopped| Round {
            after: Arc::clone(notebook),
            is_overtaken: false,
            stopped,
        };
        let request = match self.request(notebook) {
            Ok(request) => request,
            Err(error) => {
                let error = CliError::from(error).about(&self.name());
                self.report.warning(&error);
                return Ok(nothing(None));
            }
        };
        let Some(turn) = self.turn().await? else {
            return Ok(nothing(self.stops.now()));
        };
        let record = self.record().await?;
        let mut sync = self.sync(&record, turn);
        let launch =
            async |notebook: &Notebook| keeping::launch(self.kernels, &self.args.kernel, &record.path, notebook).await;
        match sync.open(launch, self.args.idle.limit()).await? {
            Ok(opened) => self.execute(opened, notebook, request).await,
            Err(_) => Ok(nothing(self.stops.now())),
        }
    }

    fn name(&self) -> String {
        self.args.notebook.display().to_string()
    }

    /// The right to execute; none where somebody asks to stop before.
    async fn turn(&mut self) -> Result<Option<Turn>, CliError> {
        let record = self.record().await?;
        let mut stops = self.stops.clone();
        tokio::select! {
            turn = keeping::take_turn(self.sessions, &record, self.report) => turn.map(Some),
            _ = stops.first() => Ok(None),
        }
    }

    /// What takes up what was left.
    fn sync<'r>(&'r self, record: &'r SessionRecord, turn: Turn) -> Sync<'r> {
        let execution = &self.args.execution;
        Sync {
            sessions: self.sessions,
            record,
            options: SyncOptions {
                targets: execution.targets.clone(),
                allow_expensive: execution.allow_expensive,
                cell_timeout: execution.timeout,
                on_error: execution.on_error.policy(),
                input: self.input.clone(),
                offload: self.offload.clone(),
                ..SyncOptions::default()
            },
            report: self.report,
            stops: self.stops.clone(),
            turn,
        }
    }

    fn request(&self, notebook: &Notebook) -> Result<SessionRun, Error> {
        let execution = &self.args.execution;
        let targets = execution.targets.iter().map(|text| resolve_target(notebook, text));
        Ok(SessionRun {
            targets: targets.collect::<Result<_, _>>()?,
            allow_expensive: execution.allow_expensive,
            cell_timeout: execution.timeout,
            on_error: execution.on_error.policy(),
            // Times that change with every run would make every save of the editor a conflict.
            record_timing: false,
            input: self.input.clone(),
            offload: self.offload.clone(),
            ..SessionRun::default()
        })
    }

    async fn execute(
        &mut self,
        opened: OpenedSession,
        notebook: &Arc<Notebook>,
        mut request: SessionRun,
    ) -> Result<Round, CliError> {
        let record = self.record().await?;
        request.stored_in = Some(self.sessions.stored_in(&record));
        let mut run = opened.session.run(Arc::clone(notebook), request)?;
        let mut reporter = self
            .report
            .reporter(&self.name(), &Destination::File(self.args.notebook.clone()));
        reporter.begin(notebook.cells().iter().map(|cell| cell.source().to_owned()).collect());
        let mut progress = Progress::new(run.control());
        loop {
            tokio::select! {
                event = run.next() => match event {
                    Some(event) => self.tell(&event, notebook, &mut progress, &mut *reporter),
                    None => break,
                },
                () = self.editor.event() => self.overtake(notebook, &mut progress).await,
                stop = self.stops.changed() => progress.stop(stop, self.report),
            }
        }
        let after = run.finish().await.notebook;
        opened.session.detach().await;
        self.kernel = Some(opened.kernel);
        Ok(Round {
            after,
            is_overtaken: progress.is_overtaken,
            stopped: progress.stopped,
        })
    }

    fn tell(&self, event: &RunEvent, notebook: &Notebook, progress: &mut Progress, reporter: &mut dyn Reporter) {
        match event {
            RunEvent::CellStarted { cell, reason, .. } => {
                progress.running = Some(cell.clone());
                self.say_why(cell, reason, notebook);
            }
            RunEvent::CellFinished { .. } => progress.running = None,
            _ => {}
        }
        reporter.event(event);
    }

    /// Why a cell is executed again; that it never was is no news.
    fn say_why(&self, cell: &CellRef, reason: &StaleReason, notebook: &Notebook) {
        if !matches!(reason.kind, StaleKind::NeverRun | StaleKind::KernelRestarted) {
            let why = explain(reason, |id| notebook.position(id));
            self.report.executing(cell, &why);
        }
    }

    /// The file may have been edited while a cell is executed, which is interrupted where it would have to be executed
    /// again.
    async fn overtake(&mut self, notebook: &Notebook, progress: &mut Progress) {
        // A file that cannot be read is looked at again when the run has ended.
        let Ok(newest) = self.sessions.store().snapshot(&self.session).await else {
            return;
        };
        let mut newest = newest.notebook;
        Arc::make_mut(&mut newest).keep_ids(notebook);
        if let Some(cell) = &progress.running
            && !progress.is_overtaken
            && is_overtaken(cell, notebook, &newest)
        {
            progress.is_overtaken = true;
            self.report
                .remark(&format!("{} was edited: beginning anew", self.name()));
            progress.control.stop(StopCause::Interrupt);
        }
    }

    /// Waits for an edit of what was executed, unless it is there. A request to stop comes as an error.
    async fn next(&mut self, memory: &Memory, executed: &Notebook, mut is_due: bool) -> Result<Arc<Notebook>, Stop> {
        loop {
            let failure = match self.newest(memory, executed).await {
                Ok(newest) => {
                    self.editor.is_well();
                    if std::mem::take(&mut is_due) || is_edited(executed, &newest) {
                        return Ok(newest);
                    }
                    None
                }
                Err(error) => Some(error),
            };
            tokio::select! {
                () = wait(&mut self.editor, failure.as_ref(), self.report) => {}
                stop = self.stops.first() => return Err(stop),
            }
        }
    }

    /// The notebook as it is, after the editor was given what it has saved without.
    async fn newest(&self, memory: &Memory, executed: &Notebook) -> Result<Arc<Notebook>, CliError> {
        let mut newest = self.read().await?;
        let lost = memory.lost(&newest);
        if !lost.is_empty() {
            self.sessions.store().record(&self.session, lost).await?;
            newest = self.read().await?;
        }
        Arc::make_mut(&mut newest).keep_ids(executed);
        Ok(newest)
    }

    async fn end_kernel(&mut self) -> Result<(), CliError> {
        self.kernel = None;
        let record = self.record().await?;
        let Ok(turn) = self.sessions.try_take_turn(&self.session)? else {
            // Somebody else executes on it by now.
            return Ok(());
        };
        self.sessions.remove_kernel(&record).await?;
        drop(turn);
        Ok(())
    }
}

async fn wait(editor: &mut Editor, failure: Option<&CliError>, report: &Report) {
    match failure {
        Some(error) => editor.is_unwell(error, report).await,
        None => editor.event().await,
    }
}

impl Progress {
    fn new(control: RunControl) -> Self {
        Self {
            control,
            running: None,
            is_overtaken: false,
            stopped: None,
        }
    }

    fn stop(&mut self, stop: Stop, report: &Report) {
        stop.apply(&self.control);
        report.stopping(stop);
        self.stopped = Some(stop);
    }
}
