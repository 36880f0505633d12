use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::{Kernel, KernelError, ShutdownMode};

use crate::args::{DisplayArgs, StopArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::keeping::{self, Sync, SyncOptions};
use crate::report::{Report, show_note};
use crate::signals::Stops;

use super::run::mode;

/// How long a kernel may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends a notebook's kernel. What it has said is saved first.
pub(crate) async fn stop(args: StopArgs) -> Result<Exit, CliError> {
    let stops = Stops::listen()?;
    let sessions = keeping::open_existing(&args.state).await?;
    let sessions = keeping::scheduled(sessions, &args.state).await?;
    let record = keeping::find(&sessions, &args.session).await?;
    let report = Report::new(mode(&DisplayArgs::default()), false);
    if let Some(kernel) = sessions.observe(&record).await? {
        // A run in progress ends with it, in whatever process that is.
        match kernel.shutdown(ShutdownMode::Graceful(PATIENCE)).await {
            Ok(()) | Err(KernelError::Died(_)) => {}
            Err(error) => return Err(Error::from(error).into()),
        }
    }
    let turn = keeping::take_turn(&sessions, &record, &report).await?;
    let record = sessions.store().get(&record.id).await?;
    let had_kernel = record.kernel.is_some();
    let mut sync = Sync {
        sessions: &sessions,
        record: &record,
        options: SyncOptions::default(),
        report: &report,
        stops,
        turn,
    };
    sync.take_up_quietly().await?;
    if args.forget {
        sessions.forget(&record.id).await?;
    }
    let path = record.path.display();
    show_note(&match (had_kernel, args.forget) {
        (true, _) => format!("stopped the kernel of {path}"),
        (false, true) => format!("forgot the session of {path}"),
        (false, false) => format!("{path} had no kernel"),
    });
    Ok(Exit::Ok)
}
