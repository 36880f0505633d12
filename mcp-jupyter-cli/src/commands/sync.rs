use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use mcp_jupyter_core::session::notebook::Notebook;

use crate::args::{OnKernelDeathArg, SyncArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::{Input, TerminalInput};
use crate::keeping::{self, AfterDeath, MemoryLimits, Sync, SyncOptions};
use crate::report::{self, Mode, Report};
use crate::services;
use crate::signals::Stops;

use super::run::mode;

/// How often a kernel that dies is restarted, where nobody says how often.
const RESTARTS: u32 = 3;

/// Executes on a notebook's kernel what is stale.
pub(crate) async fn sync(args: SyncArgs) -> Result<Exit, CliError> {
    let path = args.notebook.clone();
    if Input::new(&path) == Input::Stdin {
        return Err(CliError::usage("standard input has no session: name a file"));
    }
    if args.no_wait {
        return in_background();
    }
    let stops = Stops::listen()?;
    // What cannot be read is said before anything is made of it.
    Input::new(&path).read()?;
    let shown = if args.announce {
        Mode::Quiet
    } else {
        mode(&args.display)
    };
    let report = Report::new(shown, false);
    let kernels = keeping::kernels(&args.kernel);
    let sessions = keeping::open(&args.state, kernels.provisioner().clone()).await?;
    let sessions = sessions.with_kernel_limit(args.idle.max_kernels);
    let sessions = keeping::scheduled(sessions, &args.state).await?;
    let record = sessions.store().open(&path).await?;
    let turn = keeping::take_turn(&sessions, &record, &report).await?;
    let record = sessions.store().get(&record.id).await?;
    let sync = Sync {
        sessions: &sessions,
        record: &record,
        options: options(&args, &report).await?,
        report: &report,
        stops,
        turn,
    };
    let launch = async |notebook: &Notebook| keeping::launch(&kernels, &args.kernel, &record.path, notebook).await;
    sync.run(launch, args.idle.limit()).await
}

async fn options(args: &SyncArgs, report: &Report) -> Result<SyncOptions, CliError> {
    let (assets, threshold) = (args.assets.assets.as_deref(), args.assets.asset_threshold);
    Ok(SyncOptions {
        mode: args.plan.mode.into(),
        targets: args.plan.targets.clone(),
        allow_expensive: args.plan.allow_expensive,
        cell_timeout: args.timeout,
        on_error: args.on_error.policy(),
        after_death: after_death(args)?,
        memory: MemoryLimits {
            soft: args.memory_warning,
            hard: args.memory_limit,
        },
        offload: services::offload(assets, threshold, &args.state.services.connection).await?,
        input: TerminalInput::source(report.screen()).filter(|_| !args.announce),
        announces: args.announce,
    })
}

fn after_death(args: &SyncArgs) -> Result<AfterDeath, CliError> {
    match (args.on_kernel_death, args.restarts) {
        (None, None | Some(0)) | (Some(OnKernelDeathArg::Leave), None) => Ok(AfterDeath::Leave),
        (Some(OnKernelDeathArg::Restart), None) => Ok(AfterDeath::Restart),
        (None | Some(OnKernelDeathArg::Rerun), restarts) => Ok(AfterDeath::Rerun(restarts.unwrap_or(RESTARTS))),
        (Some(OnKernelDeathArg::Leave | OnKernelDeathArg::Restart), Some(_)) => Err(CliError::usage(
            "--restarts is about `--on-kernel-death rerun`, and something else is asked for",
        )),
    }
}

/// Has another process do it, and passes on the id of its run.
fn in_background() -> Result<Exit, CliError> {
    let failed = |source| CliError::Threads { source };
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--no-wait");
    let mut child = Command::new(keeping::this_program()?)
        .args(arguments)
        .arg("--announce")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A terminal's Ctrl-C, or its end, is not for it.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let mut run = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut run).map_err(failed)?;
    }
    if run.is_empty() {
        // It has said why.
        let status = child.wait().map_err(failed)?;
        return Ok(status.code().map_or(Exit::Failed, Exit::from_code));
    }
    report::show_data(run.as_bytes());
    Ok(Exit::Ok)
}
