use std::path::PathBuf;

use mcp_jupyter_core::engine::{CellNames, OnError};
use mcp_jupyter_core::kernel::local::Transport;
use mcp_jupyter_core::model::JsonMap;
use mcp_jupyter_core::redaction::Redactor;
use mcp_jupyter_core::session::parameters::ParameterArguments;

use crate::args::{DestinationArgs, DisplayArgs, KernelArgs, ParameterArgs, RedactArg, RunArgs, TransportArg};
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::{Batch, Cwd, Input, Job, Kernels, Options, TerminalInput, Wanted, destinations, expand, run_batch};
use crate::report::{Mode, Report};
use crate::services;
use crate::signals::Stops;

/// Runs notebooks.
pub(crate) async fn run(args: RunArgs) -> Result<Exit, CliError> {
    let stops = Stops::listen()?;
    let parameters = parameters(&args.parameters, JsonMap::new())?;
    let jobs = jobs(&args, &parameters)?;
    let report = Report::new(mode(&args.display), jobs.len() > 1);
    let at_once = usize::from(args.jobs);
    let options = options(args, parameters, &jobs, &report).await?;
    Ok(run_batch(Batch { jobs, at_once, options }, &report, stops).await)
}

pub(super) fn mode(args: &DisplayArgs) -> Mode {
    match args {
        display if display.json => Mode::Json,
        display if display.quiet => Mode::Quiet,
        display => Mode::Human {
            log_output: display.log_output,
            progress: true,
        },
    }
}

fn jobs(args: &RunArgs, parameters: &JsonMap) -> Result<Vec<Job>, CliError> {
    let destination = wanted(&args.destination).ok_or_else(|| nowhere(&args.notebooks))?;
    let inputs = expand(&args.notebooks)?;
    if args.display.json && matches!(destination, Wanted::Output("-")) {
        return Err(CliError::usage(
            "the notebook and events (`--json`) cannot both go to standard output",
        ));
    }
    let destinations = destinations(&inputs, destination, parameters)?;
    Ok(inputs
        .into_iter()
        .zip(destinations)
        .map(|(input, destination)| Job { input, destination })
        .collect())
}

fn wanted(args: &DestinationArgs) -> Option<Wanted<'_>> {
    match &args.output {
        Some(output) => Some(Wanted::Output(output)),
        None if args.inplace => Some(Wanted::Inplace),
        None => args.no_output.then_some(Wanted::Nowhere),
    }
}

/// The habit of papermill, `IN OUT`, deserves its own hint.
fn nowhere(notebooks: &[PathBuf]) -> CliError {
    let hint = match notebooks {
        [input, output] if input.exists() && !output.exists() => {
            let (input, output) = (input.display(), output.display());
            return CliError::usage_with_hint(
                format!("{output} does not exist, and nothing says where to save the result"),
                format!("to write it to {output}, use `mcp-jupyter run {input} -o {output}`"),
            );
        }
        _ => "use `-o FILE` (or `-o -`, `-o FOLDER/`), `--inplace`, or `--no-output`",
    };
    CliError::usage_with_hint("nothing says where to save the result", hint)
}

/// The values of parameters.
pub(super) fn parameters(args: &ParameterArgs, defaults: JsonMap) -> Result<JsonMap, CliError> {
    let pairs = |flat: &[String]| {
        flat.chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect()
    };
    let arguments = ParameterArguments {
        defaults,
        base64: args.base64.clone(),
        files: args.files.clone(),
        yaml: args.yaml.clone(),
        typed: pairs(&args.parameters),
        raw: pairs(&args.raw),
    };
    arguments
        .read()
        .map_err(|error| CliError::usage(crate::error::chain(&error)))
}

async fn options(args: RunArgs, parameters: JsonMap, jobs: &[Job], report: &Report) -> Result<Options, CliError> {
    let transport = transport(&args.kernel);
    let redactor = redactor(&args);
    let scheduler = services::scheduler_of_run(&args.services).await?;
    let (assets, threshold) = (args.destination.assets.as_deref(), args.destination.asset_threshold);
    let offload = services::offload(assets, threshold, &args.services.connection).await?;
    let control = args.control;
    let reads_stdin = jobs.iter().any(|job| job.input == Input::Stdin);
    Ok(Options {
        parameters,
        kernels: Kernels::new(args.kernel.kernel, args.kernel.python, transport),
        cwd: cwd(args.kernel.cwd, Cwd::Notebook)?,
        env: args.kernel.env.into_iter().collect(),
        startup_timeout: args.kernel.startup_timeout,
        cell_timeout: control.timeout,
        run_timeout: control.notebook_timeout,
        on_error: if control.allow_errors {
            OnError::Continue
        } else {
            control.on_error.policy()
        },
        cells: CellNames {
            tags: control.tags,
            skip_tags: control.skip_tags,
            from: control.from,
            to: control.to,
            targets: control.targets,
            resume: control.resume,
        },
        save: args.destination.save,
        strip_timing: args.destination.strip_timing,
        offload,
        scheduler,
        redactor,
        input: if reads_stdin {
            None
        } else {
            TerminalInput::source(report.screen())
        },
        papermill: None,
    })
}

/// What masks secrets, those among the variables of the kernel as well.
fn redactor(args: &RunArgs) -> Option<Redactor> {
    let RedactArg::Stored = args.destination.redact?;
    let given = args.kernel.env.iter().map(|(name, value)| (name, value));
    Some(
        Redactor::new()
            .with_environment(std::env::vars_os())
            .with_environment(given),
    )
}

pub(crate) fn transport(args: &KernelArgs) -> Option<Transport> {
    args.transport.map(|transport| match transport {
        TransportArg::Ipc => Transport::Ipc,
        TransportArg::Tcp => Transport::Tcp,
    })
}

/// The kernels' folder, which has to exist.
pub(crate) fn cwd(folder: Option<PathBuf>, default: Cwd) -> Result<Cwd, CliError> {
    match folder {
        None => Ok(default),
        Some(folder) if folder.is_dir() => Ok(Cwd::Folder(folder)),
        Some(folder) => Err(CliError::usage(format!(
            "{}: no such folder for --cwd",
            folder.display()
        ))),
    }
}
