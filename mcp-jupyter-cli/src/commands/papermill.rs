use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use mcp_jupyter_core::engine::{CellNames, OnError, SavePolicy};
use mcp_jupyter_core::model::{Json, JsonMap};
use mcp_jupyter_core::session::parameters::fill_path;

use crate::args::{InspectArgs, LogLevel, PapermillArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::{Batch, Cwd, Destination, Input, Job, Kernels, Options, PapermillWanted, path_values, run_batch};
use crate::report::{Mode, Report, StreamFiles};
use crate::services;
use crate::signals::Stops;

use super::inspect::inspect;
use super::run::{cwd, parameters};

/// Runs one notebook, as papermill's command line describes it.
pub(crate) async fn papermill(args: PapermillArgs) -> Result<Exit, CliError> {
    let stops = Stops::listen()?;
    let (input, output) = paths(&args)?;
    let values = parameters(&args.parameters, injected_paths(&args, &input, &output))?;
    let fill = |path: &str| fill_path(path, &values, &path_values()).map_err(CliError::from);
    let (input, output) = (fill(&input)?, fill(&output)?);
    if args.help_notebook {
        return inspect(&InspectArgs {
            notebook: input.into(),
            json: false,
        });
    }
    for path in [&input, &output] {
        refuse_remote(path)?;
    }
    let streams = StreamFiles::create(args.stdout_file.as_deref(), args.stderr_file.as_deref())?;
    let report = Report::new(mode(&args, output == "-"), false).with_streams(streams);
    let destination = if output == "-" {
        Destination::Stdout
    } else {
        Destination::File(output.into())
    };
    let jobs = vec![Job {
        input: Input::new(input),
        destination,
    }];
    let options = options(args, values).await?;
    Ok(run_batch(
        Batch {
            jobs,
            at_once: 1,
            options,
        },
        &report,
        stops,
    )
    .await)
}

/// Papermill's rule: pipes stand for what is not named.
fn paths(args: &PapermillArgs) -> Result<(String, String), CliError> {
    let from_pipe = is_pipe("/dev/stdin");
    let to_pipe = !std::io::IsTerminal::is_terminal(&std::io::stdout());
    let usage = |what: &str| {
        CliError::usage_with_hint(
            format!("{what} is missing"),
            "use `mcp-jupyter papermill NOTEBOOK_PATH OUTPUT_PATH`",
        )
    };
    match (args.notebook_path.clone(), args.output_path.clone()) {
        (Some(output), None) if from_pipe && !args.help_notebook => Ok(("-".to_owned(), output)),
        (None, _) if !from_pipe => Err(usage("NOTEBOOK_PATH")),
        (_, None) if !from_pipe && !to_pipe && !args.help_notebook => Err(usage("OUTPUT_PATH")),
        (input, output) => Ok((input.unwrap_or("-".to_owned()), output.unwrap_or("-".to_owned()))),
    }
}

fn is_pipe(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn injected_paths(args: &PapermillArgs, input: &str, output: &str) -> JsonMap {
    let input = (args.inject_input_path || args.inject_paths).then_some(("PAPERMILL_INPUT_PATH", input));
    let output = (args.inject_output_path || args.inject_paths).then_some(("PAPERMILL_OUTPUT_PATH", output));
    input
        .into_iter()
        .chain(output)
        .map(|(name, path)| (name.to_owned(), Json::from(path)))
        .collect()
}

/// Papermill reads and writes at these places; silently making a folder of that name would be worse than to refuse.
fn refuse_remote(path: &str) -> Result<(), CliError> {
    const SCHEMES: [&str; 9] = [
        "s3://",
        "adl://",
        "abs://",
        "http://",
        "https://",
        "gs://",
        "hdfs://",
        "http+unix://",
        "github://",
    ];
    if SCHEMES.iter().any(|scheme| path.starts_with(scheme)) {
        return Err(CliError::usage_with_hint(
            format!("{path}: only local files are read and written"),
            "fetch it first, or pass it through standard input and output with `-`",
        ));
    }
    Ok(())
}

fn mode(args: &PapermillArgs, to_stdout: bool) -> Mode {
    let level = if to_stdout && args.log_level == LogLevel::Info {
        LogLevel::Error
    } else {
        args.log_level
    };
    let shows_progress = !args.no_progress_bar && (args.progress_bar || !args.log_output && !to_stdout);
    match level {
        LogLevel::NotSet | LogLevel::Debug | LogLevel::Info => Mode::Human {
            log_output: args.log_output,
            progress: shows_progress,
        },
        LogLevel::Warning | LogLevel::Error | LogLevel::Critical => Mode::Quiet,
    }
}

async fn options(args: PapermillArgs, parameters: JsonMap) -> Result<Options, CliError> {
    let scheduler = services::scheduler_of_run(&args.services).await?;
    let offload = services::offload(args.assets.as_deref(), None, &args.services.connection).await?;
    Ok(Options {
        parameters,
        kernels: Kernels::new(args.kernel, None, None),
        cwd: cwd(args.cwd, Cwd::Ours)?,
        env: BTreeMap::new(),
        startup_timeout: Duration::from_secs(args.start_timeout),
        cell_timeout: args
            .execution_timeout
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
        run_timeout: None,
        on_error: OnError::Stop,
        cells: CellNames::default(),
        save: if args.no_request_save_on_cell_execute {
            SavePolicy::OnExit
        } else {
            SavePolicy::EveryCell
        },
        offload,
        scheduler,
        redactor: None,
        strip_timing: false,
        input: None,
        papermill: Some(PapermillWanted {
            report_mode: args.report_mode,
            language: args.language,
            prepare_only: args.prepare_only,
        }),
    })
}
