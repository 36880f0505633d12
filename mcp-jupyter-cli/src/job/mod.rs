//! One notebook from its file to its result: read, prepare, run, hand on. What runs and papermill's runs have in common.

mod batch;
mod destination;
mod inputs;
mod kernels;
mod terminal_input;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{
    CellNames, Engine, FinishedRun, InputSource, Offload, OnError, PapermillOptions, Preparation, Prepared, Run,
    RunRequest, Save, SavePolicy,
};
use mcp_jupyter_core::kernel::{KernelSpec, LaunchRequest};
use mcp_jupyter_core::model::JsonMap;
use mcp_jupyter_core::redaction::Redactor;
use mcp_jupyter_core::scheduler::Scheduler;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};

use crate::error::CliError;
use crate::exit::Exit;
use crate::report::Reporter;
use crate::signals::Stops;

pub(crate) use self::batch::{Batch, run_batch};
pub(crate) use self::destination::{Destination, Wanted, destinations, path_values};
pub(crate) use self::inputs::{Input, expand};
pub(crate) use self::kernels::Kernels;
pub(crate) use self::terminal_input::TerminalInput;

/// What all notebooks of one command have in common.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) parameters: JsonMap,
    pub(crate) kernels: Kernels,
    pub(crate) cwd: Cwd,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) startup_timeout: Duration,
    pub(crate) cell_timeout: Option<Duration>,
    pub(crate) run_timeout: Option<Duration>,
    pub(crate) on_error: OnError,
    pub(crate) cells: CellNames,
    pub(crate) save: SavePolicy,
    pub(crate) strip_timing: bool,
    pub(crate) offload: Option<Offload>,
    /// The one in this process if none.
    pub(crate) scheduler: Option<Arc<dyn Scheduler>>,
    pub(crate) redactor: Option<Redactor>,
    pub(crate) input: Option<Arc<dyn InputSource>>,
    pub(crate) papermill: Option<PapermillWanted>,
}

/// The folder that kernels work in.
#[derive(Clone, Debug)]
pub(crate) enum Cwd {
    /// That of the notebook; ours for standard input.
    Notebook,
    /// Ours.
    Ours,
    Folder(PathBuf),
}

/// What papermill does besides.
#[derive(Clone, Debug, Default)]
pub(crate) struct PapermillWanted {
    pub(crate) report_mode: bool,
    pub(crate) language: Option<String>,
    pub(crate) prepare_only: bool,
}

/// One notebook to run.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) input: Input,
    pub(crate) destination: Destination,
}

impl Job {
    fn input_path(&self) -> String {
        match &self.input {
            Input::File(path) => path.display().to_string(),
            Input::Stdin => "-".to_owned(),
        }
    }

    fn output_path(&self) -> Option<String> {
        match &self.destination {
            Destination::File(path) => Some(path.display().to_string()),
            Destination::Stdout => Some("-".to_owned()),
            Destination::Nowhere => None,
        }
    }

    /// The file in which an earlier run has left its result, unless that is the input itself.
    fn previous_output(&self) -> Option<PathBuf> {
        let Destination::File(output) = &self.destination else {
            return None;
        };
        let is_input = matches!(&self.input, Input::File(input) if input == output);
        (!is_input && output.exists()).then(|| output.clone())
    }

    /// Runs the notebook to its end, whatever that is, and reports it.
    pub(crate) async fn run(&self, options: &Arc<Options>, mut stops: Stops, reporter: &mut dyn Reporter) -> Exit {
        match self.try_run(options, &mut stops, reporter).await {
            Ok(exit) => exit,
            Err(error) => {
                reporter.failed(&error);
                error.exit()
            }
        }
    }

    async fn try_run(
        &self,
        options: &Arc<Options>,
        stops: &mut Stops,
        reporter: &mut dyn Reporter,
    ) -> Result<Exit, CliError> {
        let mut early_stops = stops.clone();
        let (prepared, spec) = tokio::select! {
            biased;
            stop = early_stops.first() => return Ok(stop.cause().into()),
            ready = self.get_ready(options) => ready?,
        };
        reporter.begin(
            prepared
                .notebook
                .cells()
                .iter()
                .map(|cell| cell.source().to_owned())
                .collect(),
        );
        prepared.warnings.iter().for_each(|warning| reporter.warning(warning));
        let Some(spec) = spec else {
            self.hand_on(prepared.notebook).await?;
            return Ok(Exit::Ok);
        };
        let request = self.request(prepared, spec, options);
        let mut engine = Engine::new(Arc::new(options.kernels.provisioner().clone()));
        if let Some(scheduler) = &options.scheduler {
            engine = engine.with_scheduler(Arc::clone(scheduler));
        }
        let run = engine.run(request).map_err(CliError::from)?;
        let finished = follow(run, stops, reporter).await;
        let exit = finished.summary.outcome.as_ref().map_or(Exit::Failed, Exit::from);
        if self.destination == Destination::Stdout {
            write_to_stdout(finished).await?;
        }
        Ok(exit)
    }

    /// Reads and prepares the notebook, and finds its kernel unless nothing is to be executed.
    async fn get_ready(&self, options: &Arc<Options>) -> Result<(Prepared, Option<KernelSpec>), CliError> {
        let input = self.input.clone();
        let notebook = blocking(move || input.read()).await?;
        let prepare_only = options
            .papermill
            .as_ref()
            .is_some_and(|papermill| papermill.prepare_only);
        let spec = if prepare_only {
            None
        } else {
            Some(options.kernels.choose(&notebook).await?)
        };
        let (job, shared, known) = (self.clone(), Arc::clone(options), spec.clone());
        let prepared = blocking(move || {
            job.make_folder()?;
            let prepared = job.preparation(&shared).prepare(notebook, known.as_ref());
            prepared.map_err(CliError::from)
        });
        Ok((prepared.await?, spec))
    }

    fn preparation(&self, options: &Options) -> Preparation {
        let papermill = options.papermill.as_ref().map(|papermill| PapermillOptions {
            report_mode: papermill.report_mode,
            language: papermill.language.clone(),
            input_path: self.input_path(),
            output_path: self.output_path(),
        });
        Preparation {
            parameters: options.parameters.clone(),
            cells: options.cells.clone(),
            strip_timing: options.strip_timing,
            papermill,
            previous: self.previous_output(),
        }
    }

    /// Makes the folder of the output.
    fn make_folder(&self) -> Result<(), CliError> {
        let Destination::File(path) = &self.destination else {
            return Ok(());
        };
        let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
            return Ok(());
        };
        std::fs::create_dir_all(folder).map_err(|source| CliError::Output {
            path: folder.to_owned(),
            source,
        })
    }

    fn request(&self, prepared: Prepared, spec: KernelSpec, options: &Options) -> RunRequest {
        let mut kernel = LaunchRequest::new(spec);
        kernel.env.clone_from(&options.env);
        kernel.startup_timeout = options.startup_timeout;
        kernel.cwd = match &options.cwd {
            Cwd::Notebook => self.input.folder().map(Path::to_owned),
            Cwd::Ours => None,
            Cwd::Folder(folder) => Some(folder.clone()),
        };
        let save = match &self.destination {
            Destination::File(path) => Some(Save {
                path: path.clone(),
                policy: options.save,
            }),
            Destination::Stdout | Destination::Nowhere => None,
        };
        RunRequest {
            selection: prepared.selection,
            targets: prepared.targets,
            cell_timeout: options.cell_timeout,
            run_timeout: options.run_timeout,
            on_error: options.on_error,
            save,
            offload: options.offload.clone(),
            redactor: options.redactor.clone(),
            record_timing: !options.strip_timing,
            input: options.input.clone(),
            ..RunRequest::new(prepared.notebook, kernel)
        }
    }

    /// Saves a notebook that has not been run.
    async fn hand_on(&self, notebook: Notebook) -> Result<(), CliError> {
        let destination = self.destination.clone();
        blocking(move || match destination {
            Destination::File(path) => notebook.save(&path, Durability::Power).map_err(CliError::from),
            Destination::Stdout => print_notebook(&notebook),
            Destination::Nowhere => Ok(()),
        })
        .await
    }
}

/// Reports a run to its end, and passes on what is asked of it.
async fn follow(mut run: Run, stops: &mut Stops, reporter: &mut dyn Reporter) -> FinishedRun {
    let control = run.control();
    if let Some(stop) = stops.now() {
        stop.apply(&control);
    }
    loop {
        tokio::select! {
            event = run.next() => match event {
                Some(event) => reporter.event(&event),
                None => return run.finish().await,
            },
            stop = stops.changed() => stop.apply(&control),
        }
    }
}

async fn write_to_stdout(finished: FinishedRun) -> Result<(), CliError> {
    blocking(move || print_notebook(&finished.notebook)).await
}

/// Prints a notebook on stdout, where it is all that is printed.
pub(crate) fn print_notebook(notebook: &Notebook) -> Result<(), CliError> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let written = notebook.write_to(&mut stdout).and_then(|()| stdout.flush());
    written.map_err(|source| CliError::Output {
        path: "standard output".into(),
        source,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
