use mcp_jupyter_core::engine::resolve_target;

use crate::args::WatchArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::{Input, TerminalInput};
use crate::keeping;
use crate::report::Report;
use crate::services;
use crate::signals::Stops;
use crate::watch::{Editor, Watch};

use super::run::mode;

/// Keeps a kernel for a notebook, and executes what every edit makes stale.
pub(crate) async fn watch(args: WatchArgs) -> Result<Exit, CliError> {
    let stops = Stops::listen()?;
    if Input::new(&args.notebook) == Input::Stdin {
        return Err(CliError::usage("standard input cannot be watched: name a file"));
    }
    // Before anything is watched, for a file that is not there says more than a folder that is not.
    let notebook = Input::new(&args.notebook).read()?;
    for target in &args.execution.targets {
        resolve_target(&notebook, target)?;
    }
    let report = Report::new(mode(&args.display), false);
    let editor = Editor::new(&args.notebook)?;
    let kernels = keeping::kernels(&args.kernel);
    let sessions = keeping::open(&args.state, kernels.provisioner().clone()).await?;
    let sessions = sessions.with_kernel_limit(args.idle.max_kernels);
    let sessions = keeping::scheduled(sessions, &args.state).await?;
    let (assets, threshold) = (args.assets.assets.as_deref(), args.assets.asset_threshold);
    let offload = services::offload(assets, threshold, &args.state.services.connection).await?;
    let session = sessions.store().open(&args.notebook).await?.id;
    report.remark(&format!("watching {}; Ctrl-C ends it", args.notebook.display()));
    let watch = Watch {
        args: &args,
        editor,
        sessions: &sessions,
        session,
        kernels: &kernels,
        input: TerminalInput::source(report.screen()),
        offload,
        report: &report,
        stops,
        kernel: None,
    };
    watch.run().await
}
