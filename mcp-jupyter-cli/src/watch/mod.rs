//! A notebook whose kernel lives while it is edited: every save executes what it has made stale.

mod editor;
mod file_events;
mod memory;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::{
    InputSource, OnError, RunControl, RunEvent, Session, SessionRun, StopCause, planner, resolve_target,
};
use mcp_jupyter_core::model::CellRef;
use mcp_jupyter_core::scheduler::{PlanRequest, StaleKind, StaleReason};
use mcp_jupyter_core::session::notebook::{Cell, Notebook};

use crate::error::CliError;
use crate::exit::Exit;
use crate::job::Destination;
use crate::preview::explain;
use crate::report::{Report, Reporter};
use crate::signals::{Stop, Stops};

pub(crate) use self::editor::Editor;

use self::memory::Memory;

/// How to execute.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) targets: Vec<String>,
    pub(crate) allow_expensive: bool,
    pub(crate) cell_timeout: Option<Duration>,
    pub(crate) on_error: OnError,
    pub(crate) input: Option<Arc<dyn InputSource>>,
}

/// Executes what an editor makes stale, until somebody asks it to stop.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub(crate) editor: Editor,
    pub(crate) path: PathBuf,
    pub(crate) session: Session,
    pub(crate) options: Options,
    pub(crate) report: &'a Report,
    pub(crate) stops: Stops,
}

/// How a run has ended.
enum Ended {
    /// The file may have been edited meanwhile.
    Well {
        after: Arc<Notebook>,
        is_edited: bool,
    },
    Stopped(Stop),
}

/// What is known of a run in progress.
struct Progress {
    control: RunControl,
    running: Option<CellRef>,
    is_edited: bool,
    is_overtaken: bool,
    stopped: Option<Stop>,
}

impl Watch<'_> {
    /// Executes the notebook, and again after every edit.
    pub(crate) async fn run(mut self, first: Notebook) -> Result<Exit, CliError> {
        let mut found = Arc::new(first);
        let mut memory = Memory::new(&found);
        let stop = loop {
            let mut given = Arc::clone(&found);
            if memory.restore(Arc::make_mut(&mut given)) {
                // Should it fail: it is done again after the run.
                let _ = self.editor.write_back(&found, &given).await;
            }
            let (after, is_edited) = match self.execute(&found, &given).await? {
                Ended::Well { after, is_edited } => (after, is_edited),
                Ended::Stopped(stop) => break stop,
            };
            memory.record(&found, &after);
            match self.next(&after, is_edited).await {
                Ok(next) => found = Arc::new(next),
                Err(stop) => break stop,
            }
        };
        self.session.close().await?;
        Ok(stop.cause().into())
    }

    /// Executes what is stale in `notebook`, and writes all that differs from what was found in the file.
    async fn execute(&mut self, found: &Arc<Notebook>, notebook: &Arc<Notebook>) -> Result<Ended, CliError> {
        let mut run = match self.request(notebook) {
            Ok(request) => self.session.run(Arc::clone(notebook), request)?,
            Err(error) => {
                self.report.warning(&CliError::from(error).about(self.editor.name()));
                let after = Arc::clone(notebook);
                return Ok(Ended::Well {
                    after,
                    is_edited: false,
                });
            }
        };
        let mut reporter = self.reporter();
        reporter.begin(notebook.cells().iter().map(|cell| cell.source().to_owned()).collect());
        let mut progress = Progress::new(run.control());
        loop {
            tokio::select! {
                event = run.next() => match event {
                    Some(event) => self.tell(&event, notebook, &mut progress, &mut *reporter),
                    None => break,
                },
                () = self.editor.event() => self.overtake(notebook, &mut progress).await,
                stop = self.stops.changed() => {
                    stop.apply(&progress.control);
                    self.report.stopping(stop);
                    progress.stopped = Some(stop);
                }
            }
        }
        let after = run.finish().await.notebook;
        self.write_back(found, &after, &mut progress).await?;
        let is_edited = progress.is_edited;
        Ok(progress
            .stopped
            .map_or(Ended::Well { after, is_edited }, Ended::Stopped))
    }

    fn request(&self, notebook: &Notebook) -> Result<SessionRun, Error> {
        let options = &self.options;
        let targets = options.targets.iter().map(|text| resolve_target(notebook, text));
        Ok(SessionRun {
            targets: targets.collect::<Result<_, _>>()?,
            allow_expensive: options.allow_expensive,
            cell_timeout: options.cell_timeout,
            on_error: options.on_error,
            write_back: Some(self.editor.file()),
            // Times that change with every run would make every save of the editor a conflict.
            record_timing: false,
            input: options.input.clone(),
            ..SessionRun::default()
        })
    }

    fn reporter(&self) -> Box<dyn Reporter> {
        let destination = Destination::File(self.path.clone());
        self.report.reporter(self.editor.name(), &destination)
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

    /// The editor has saved something while a cell is executed, which is interrupted where it would have to be executed
    /// again.
    async fn overtake(&mut self, notebook: &Notebook, progress: &mut Progress) {
        let mut newest = match self.editor.look().await {
            Ok(None) => return,
            Ok(Some(newest)) => newest,
            // It is looked at again when the run has ended.
            Err(_) => return progress.is_edited = true,
        };
        progress.is_edited = true;
        newest.keep_ids(notebook);
        if let Some(cell) = &progress.running
            && !progress.is_overtaken
            && is_overtaken(cell, notebook, &newest)
        {
            progress.is_overtaken = true;
            self.report
                .remark(&format!("{} was edited: beginning anew", self.editor.name()));
            progress.control.stop(StopCause::Interrupt);
        }
    }

    /// Writes what the run has left, as soon as the file is one that it can be written into.
    async fn write_back(
        &mut self,
        before: &Arc<Notebook>,
        after: &Arc<Notebook>,
        progress: &mut Progress,
    ) -> Result<(), CliError> {
        while let Err(error) = self.editor.write_back(before, after).await {
            progress.is_edited = true;
            if progress.stopped.is_some() {
                return Err(error);
            }
            tokio::select! {
                () = self.editor.is_unwell(&error, self.report) => {}
                stop = self.stops.changed() => progress.stopped = Some(stop),
            }
        }
        Ok(())
    }

    /// Waits for the next edit, unless there has been one. A request to stop comes as an error.
    async fn next(&mut self, last: &Notebook, mut is_edited: bool) -> Result<Notebook, Stop> {
        let mut failure = None;
        loop {
            let news = if is_edited {
                self.editor.read().await.map(Some)
            } else {
                self.editor.look().await
            };
            match news {
                Ok(Some(mut notebook)) => {
                    self.editor.is_well();
                    notebook.keep_ids(last);
                    return Ok(notebook);
                }
                // No news: what was wrong with the file still is. One save may be told as two events.
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
            is_edited = false;
            tokio::select! {
                () = wait(&mut self.editor, failure.as_ref(), self.report) => {}
                stop = self.stops.first() => return Err(stop),
            }
        }
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
            is_edited: false,
            is_overtaken: false,
            stopped: None,
        }
    }
}

/// Whether the cell that is being executed would have to be executed again: it is gone, or what has changed since `before`
/// makes it stale.
fn is_overtaken(cell: &CellRef, before: &Notebook, newest: &Notebook) -> bool {
    let same_sources = |before: &Notebook, newest: &Notebook| {
        let sources = |notebook: &Notebook| notebook.cells().iter().map(Cell::source).collect::<Vec<_>>().join("\0");
        sources(before) == sources(newest)
    };
    if newest.position(&cell.id).is_none() {
        return true;
    }
    if same_sources(before, newest) {
        return false;
    }
    let plan = planner(newest, Some(before)).plan(&PlanRequest::default());
    plan.is_ok_and(|plan| plan.cells.iter().any(|planned| planned.cell.id == cell.id))
}
