//! The services: until a signal ends them, and then without breaking anything off.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::assets::ObjectAssets;
use mcp_jupyter_core::rpc::{ListenAddress, ListenError, Listener, Server, ServerSettings};
use mcp_jupyter_core::scheduler::LocalScheduler;
use mcp_jupyter_core::scheduler::journal::open_journal;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::args::{AssetServiceArgs, ProtectionArgs, SchedulerServiceArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;
use crate::services;
use crate::signals::Stops;

/// How long a predecessor that was killed may take to be gone, and how often that is looked for.
const PREDECESSOR: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// Serves the scheduler.
pub(crate) async fn serve_scheduler(args: SchedulerServiceArgs) -> Result<Exit, CliError> {
    let _claim = claim(&args.journal).await?;
    let journal = open_journal(&args.journal).await.map_err(Error::from)?;
    let name = format!("journal {journal}");
    let scheduler = Arc::new(LocalScheduler::new(journal));
    let server = Server::scheduler(scheduler, settings(&args.protection)?);
    serve(server, &args.listen, &args.protection, &name).await
}

/// Serves a store.
pub(crate) async fn serve_assets(args: AssetServiceArgs) -> Result<Exit, CliError> {
    let store = ObjectAssets::open(&args.store)?;
    let name = format!("store {store}");
    let server = Server::assets(Arc::new(store), settings(&args.protection)?);
    serve(server, &args.listen, &args.protection, &name).await
}

async fn serve(
    server: Server,
    address: &ListenAddress,
    protection: &ProtectionArgs,
    name: &str,
) -> Result<Exit, CliError> {
    let mut stops = Stops::listen()?;
    let listener = once_free(async || Listener::bind(address).await, ListenError::is_taken).await?;
    server.check(&listener)?;
    if listener.is_public() && protection.unprotected > 1 {
        report::show_note(&format!(
            "warning: anybody who reaches {} can use this service",
            server.endpoint(&listener)
        ));
    }
    let ready = format!("listening on {} ({name})\n", server.endpoint(&listener));
    report::show_data(ready.as_bytes());
    let stop = CancellationToken::new();
    let ended = server.serve(listener, stop.clone());
    tokio::pin!(ended);
    tokio::select! {
        served = &mut ended => served?,
        _ = stops.first() => {
            stop.cancel();
            ended.await?;
        }
    }
    Ok(Exit::Ok)
}

fn settings(args: &ProtectionArgs) -> Result<ServerSettings, CliError> {
    let identity = match (&args.tls_certificate, &args.tls_key) {
        (Some(certificate), Some(key)) => Some((services::read(certificate)?, services::read(key)?)),
        _ => None,
    };
    let authority = args.tls_client_authority.as_deref();
    Ok(ServerSettings {
        token: services::token(args.token_file.as_deref())?,
        identity,
        client_authority: authority.map(services::read).transpose()?,
        is_open_to_all: args.unprotected > 1,
    })
}

/// Holds a journal in a file for this service alone, for as long as the process lives: two that plan for the same sessions
/// would not know of each other.
async fn claim(address: &str) -> Result<Option<File>, CliError> {
    let path = address.strip_prefix("sqlite://").unwrap_or(address);
    if address == "memory" || path.contains("://") || path.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(format!("{path}.service"));
    let failed = |source| CliError::Output {
        path: path.clone(),
        source,
    };
    let file = open_lock(&path).map_err(failed)?;
    match once_free(async || try_lock(&file), is_locked).await {
        Ok(()) => Ok(Some(file)),
        Err(error) if is_locked(&error) => Err(CliError::usage(format!(
            "another scheduler service serves journal {address}"
        ))),
        Err(source) => Err(failed(source)),
    }
}

fn try_lock(file: &File) -> std::io::Result<()> {
    file.try_lock().map_err(std::io::Error::from)
}

fn is_locked(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock
}

/// Takes what a predecessor may still hold: one that was killed a moment ago is not gone at once, and nobody tells when.
async fn once_free<T, E>(take: impl AsyncFn() -> Result<T, E>, is_taken: impl Fn(&E) -> bool) -> Result<T, E> {
    let end = Instant::now() + PREDECESSOR;
    loop {
        match take().await {
            Err(error) if is_taken(&error) && Instant::now() < end => tokio::time::sleep(PAUSE).await,
            taken => return taken,
        }
    }
}

fn open_lock(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600).open(path)
}
