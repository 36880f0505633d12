use mcp_jupyter_core::kernel::kept;

use crate::args::KeepArgs;
use crate::error::CliError;
use crate::exit::Exit;

/// Keeps a kernel until it ends.
pub(crate) async fn keep(args: KeepArgs) -> Result<Exit, CliError> {
    let kept = kept::keep(&args.home).await;
    kept.map_err(|source| CliError::Output {
        path: args.home,
        source,
    })?;
    Ok(Exit::Ok)
}
