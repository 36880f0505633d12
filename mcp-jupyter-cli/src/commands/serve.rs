//! The services: until a signal ends them, and then without breaking anything off.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::assets::ObjectAssets;
use mcp_jupyter_core::rpc::{Limits, ListenAddress, ListenError, Listener, Server, ServerSettings};
use mcp_jupyter_core::scheduler::LocalScheduler;
use mcp_jupyter_core::scheduler::journal::{check_journal, open_journal};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::args::{AssetServiceArgs, OperationArgs, ProtectionArgs, SchedulerServiceArgs};
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
    let mut settings = settings(&args.protection)?;
    settings.limits = Limits {
        runs: args.max_runs,
        runs_per_client: args.max_runs_per_client,
    };
    check_journal(&args.journal).map_err(Error::from)?;
    if args.operation.check_config {
        return checked(&settings, &args.listen);
    }
    let claim = claim(&args.journal).await?;
    let open = async |namespace: &str| open_journal(&args.journal, namespace).await.map_err(Error::from);
    let opened = open("").await?;
    let counted = claim.as_ref().map(|claim| claim.token).or(opened.fencing_token);
    settings.fencing_token = counted.unwrap_or(1);
    let name = format!("journal {}", opened.journal);
    let namespaces: Vec<String> = settings.tokens.namespaces().map(str::to_owned).collect();
    let mut gone = vec![opened.gone];
    let mut server = Server::scheduler(Arc::new(LocalScheduler::new(opened.journal)), settings);
    for namespace in namespaces {
        let opened = open(&namespace).await?;
        gone.push(opened.gone);
        server = server.with_scheduler_for(&namespace, Arc::new(LocalScheduler::new(opened.journal)));
    }
    let told = Told {
        name: name.clone(),
        pages: Vec::new(),
        stop: CancellationToken::new(),
    };
    let lost = futures_util::future::select_all(gone.iter().map(|gone| Box::pin(gone.cancelled())));
    tokio::select! {
        served = serve(server, &args.listen, &args.protection, &args.operation, told) => served,
        // At once, without finishing anything: whatever comes next is another service's.
        _ = lost => Err(CliError::JournalLost { name }),
    }
}

/// Serves a store.
pub(crate) async fn serve_assets(args: AssetServiceArgs) -> Result<Exit, CliError> {
    let settings = settings(&args.protection)?;
    let key = args.url_key_file.as_deref().map(services::url_key).transpose()?;
    let store = ObjectAssets::open(&args.store)?;
    if args.operation.check_config {
        return checked(&settings, &args.listen);
    }
    let name = format!("store {store}");
    let namespaces: Vec<String> = settings.tokens.namespaces().map(str::to_owned).collect();
    let mut server = Server::assets(Arc::new(store), settings);
    for namespace in namespaces {
        let store = ObjectAssets::open(&beside(&args.store, &namespace))?;
        server = server.with_assets_for(&namespace, Arc::new(store));
    }
    let stop = CancellationToken::new();
    let mut pages = Vec::new();
    if let (Some(address), Some(assets)) = (&args.http, server.asset_pages(key)) {
        let listener = listen_for_http("--http", address).await?;
        let address = listener
            .local_addr()
            .map_err(|error| CliError::usage(format!("--http: {error}")))?;
        if !address.ip().is_loopback() && args.protection.unprotected < 2 {
            return Err(CliError::usage_with_hint(
                format!("--http: other machines can connect to {address}, and nothing encrypts what they are sent"),
                "listen on 127.0.0.1 behind something that does, or give --unprotected twice",
            ));
        }
        pages.push(format!("assets on http://{address}/assets/"));
        on_the_side(assets.serve(listener, stop.clone()));
    }
    let told = Told { name, pages, stop };
    serve(server, &args.listen, &args.protection, &args.operation, told).await
}

/// Where a namespace has its store, beside that of the one without a name.
fn beside(address: &str, namespace: &str) -> String {
    if address == "memory" {
        return address.to_owned();
    }
    format!("{}.{namespace}", address.trim_end_matches('/'))
}

fn checked(settings: &ServerSettings, listen: &ListenAddress) -> Result<Exit, CliError> {
    settings.check(&listen.to_string())?;
    report::show_data(b"the configuration can be used\n");
    Ok(Exit::Ok)
}

/// What is said once a service is ready, and what ends all that it serves.
struct Told {
    name: String,
    pages: Vec<String>,
    stop: CancellationToken,
}

async fn serve(
    server: Server,
    address: &ListenAddress,
    protection: &ProtectionArgs,
    operation: &OperationArgs,
    told: Told,
) -> Result<Exit, CliError> {
    let Told { name, mut pages, stop } = told;
    let mut stops = Stops::listen()?;
    let listener = once_free(async || Listener::bind(address).await, ListenError::is_taken).await?;
    server.check(&listener)?;
    if listener.is_public() && protection.unprotected > 1 {
        report::show_note(&format!(
            "warning: anybody who reaches {} can use this service",
            server.endpoint(&listener)
        ));
    }
    if let Some(address) = &operation.admin {
        let listener = listen_for_http("--admin", address).await?;
        let address = listener
            .local_addr()
            .map_err(|error| CliError::usage(format!("--admin: {error}")))?;
        pages.push(format!("metrics on http://{address}/metrics"));
        on_the_side(server.admin().serve(listener, stop.clone()));
    }
    pages.insert(0, format!("listening on {} ({name})", server.endpoint(&listener)));
    report::show_data(format!("{}\n", pages.join(", ")).as_bytes());
    let ended = server.serve(listener, stop.clone());
    tokio::pin!(ended);
    tokio::select! {
        served = &mut ended => served?,
        _ = stops.first() => {
            tracing::info!("asked to end: calls in progress are finished");
            stop.cancel();
            ended.await?;
        }
    }
    Ok(Exit::Ok)
}

async fn listen_for_http(flag: &str, address: &str) -> Result<TcpListener, CliError> {
    let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let bound = once_free(async || TcpListener::bind(address).await, in_use).await;
    bound.map_err(|error| CliError::usage(format!("{flag}: cannot listen on {address}: {error}")))
}

/// Serves pages beside the service itself.
fn on_the_side(serving: impl Future<Output = std::io::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::warn!(%error, "pages over HTTP are gone");
        }
    });
}

fn settings(args: &ProtectionArgs) -> Result<ServerSettings, CliError> {
    let (certificate, key) = (args.tls_certificate.as_deref(), args.tls_key.as_deref());
    let authority = args.tls_client_authority.as_deref();
    Ok(ServerSettings {
        tokens: services::tokens(args.token_file.as_deref())?,
        identity: services::identity("--tls", certificate, key)?,
        client_authority: authority.map(services::read).transpose()?,
        is_open_to_all: args.unprotected > 1,
        ..ServerSettings::default()
    })
}

/// A journal in a file that this service alone has, for as long as the process lives.
#[derive(Debug)]
struct Claim {
    _file: File,
    /// Higher than that of any service that had the journal before.
    token: u64,
}

/// Holds a journal in a file: two services that plan for the same sessions would not know of each other.
async fn claim(address: &str) -> Result<Option<Claim>, CliError> {
    let path = address.strip_prefix("sqlite://").unwrap_or(address);
    if address == "memory" || path.contains("://") || path.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(format!("{path}.service"));
    let failed = |source| CliError::Output {
        path: path.clone(),
        source,
    };
    let mut file = open_lock(&path).map_err(failed)?;
    match once_free(async || try_lock(&file), is_locked).await {
        Ok(()) => {
            let token = next_token(&mut file).map_err(failed)?;
            Ok(Some(Claim { _file: file, token }))
        }
        Err(error) if is_locked(&error) => Err(CliError::usage(format!(
            "another scheduler service serves journal {address}"
        ))),
        Err(source) => Err(failed(source)),
    }
}

/// Counts the services that have held the lock.
fn next_token(file: &mut File) -> std::io::Result<u64> {
    let mut last = String::new();
    file.read_to_string(&mut last)?;
    let token = last.trim().parse::<u64>().unwrap_or_default() + 1;
    file.rewind()?;
    // As long as the one before it, so that no crash leaves a part of either.
    writeln!(file, "{token:020}")?;
    file.sync_data()?;
    Ok(token)
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
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
