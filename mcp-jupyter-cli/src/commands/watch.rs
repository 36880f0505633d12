use std::path::Path;

use mcp_jupyter_core::engine::{Engine, Session, SessionRequest, resolve_target};
use mcp_jupyter_core::kernel::LaunchRequest;
use mcp_jupyter_core::session::notebook::Notebook;

use crate::args::{KernelArgs, WatchArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::{Cwd, Input, Kernels, TerminalInput};
use crate::report::Report;
use crate::signals::Stops;
use crate::watch::{Editor, Options, Watch};

use super::run::{cwd, mode, transport};

/// Keeps a kernel for a notebook, and executes what every edit makes stale.
pub(crate) async fn watch(args: WatchArgs) -> Result<Exit, CliError> {
    let mut stops = Stops::listen()?;
    let path = args.notebook.clone();
    if Input::new(&path) == Input::Stdin {
        return Err(CliError::usage("standard input cannot be watched: name a file"));
    }
    // Before anything is watched, for a file that is not there says more than a folder that is not.
    let notebook = Input::new(&path).read()?;
    for target in &args.execution.targets {
        resolve_target(&notebook, target)?;
    }
    let report = Report::new(mode(&args.display), false);
    let mut editor = Editor::new(&path)?;
    let notebook = editor.read().await?;
    let session = tokio::select! {
        biased;
        stop = stops.first() => return Ok(stop.cause().into()),
        session = open(&args.kernel, &path, &notebook) => session?,
    };
    report.remark(&format!("watching {}; Ctrl-C ends it", path.display()));
    let watch = Watch {
        editor,
        path,
        session,
        options: Options {
            targets: args.execution.targets,
            allow_expensive: args.execution.allow_expensive,
            cell_timeout: args.execution.timeout,
            on_error: args.execution.on_error.policy(),
            input: TerminalInput::source(report.screen()),
        },
        report: &report,
        stops,
    };
    watch.run(notebook).await
}

/// Starts the kernel of the notebook.
async fn open(args: &KernelArgs, path: &Path, notebook: &Notebook) -> Result<Session, CliError> {
    let kernels = Kernels::new(args.kernel.clone(), args.python.clone(), transport(args));
    let mut kernel = LaunchRequest::new(kernels.choose(notebook).await?);
    kernel.env = args.env.iter().cloned().collect();
    kernel.startup_timeout = args.startup_timeout;
    kernel.cwd = match cwd(args.cwd.clone(), Cwd::Notebook)? {
        Cwd::Folder(folder) => Some(folder),
        Cwd::Notebook | Cwd::Ours => Input::new(path).folder().map(Path::to_owned),
    };
    let engine = Engine::new(std::sync::Arc::new(kernels.provisioner().clone()));
    Ok(engine.open(SessionRequest::new(kernel)).await?)
}
