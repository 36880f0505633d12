//! Where scheduler and assets are: in this process, or in services that a URL names.

use std::path::Path;
use std::sync::Arc;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::assets::{AssetStore, ObjectAssets, RemoteAssets};
use mcp_jupyter_core::engine::Offload;
use mcp_jupyter_core::rpc::{ClientSettings, Endpoint, Token, Tokens, UrlKey, WhenAway};
use mcp_jupyter_core::scheduler::{RemoteScheduler, Scheduler, SchedulerError, StandbyScheduler};

use crate::args::{ConnectionArgs, ServiceArgs, WhenAwayArg};
use crate::error::{CliError, chain};
use crate::report;

const TOKEN: &str = "MCP_JUPYTER_SERVICE_TOKEN";

/// The scheduler service for runs that begin and end in this program: it may go on with them itself.
pub(crate) async fn scheduler_of_run(args: &ServiceArgs) -> Result<Option<Arc<dyn Scheduler>>, CliError> {
    if args.connection.when_away != Some(WhenAwayArg::Local) {
        return scheduler(args).await;
    }
    let Some(endpoint) = endpoint(args)? else {
        return Ok(None);
    };
    let settings = ClientSettings {
        when_away: WhenAway::Fail,
        ..settings(&args.connection)?
    };
    match RemoteScheduler::connect(endpoint, &settings).await {
        Ok(remote) => Ok(Some(Arc::new(StandbyScheduler::for_scheduler(Arc::new(remote))))),
        Err(error @ SchedulerError::Unavailable { .. }) => {
            report::show_note(&format!("warning: {}: this program plans itself", chain(&error)));
            Ok(None)
        }
        Err(error) => Err(Error::from(error).into()),
    }
}

/// The scheduler service that the arguments or the environment name; the scheduler is in this process if none.
pub(crate) async fn scheduler(args: &ServiceArgs) -> Result<Option<Arc<dyn Scheduler>>, CliError> {
    let Some(endpoint) = endpoint(args)? else {
        return Ok(None);
    };
    let remote = RemoteScheduler::connect(endpoint, &settings(&args.connection)?).await;
    Ok(Some(Arc::new(remote.map_err(Error::from)?)))
}

/// The same for whoever only looks.
pub(crate) async fn observed_scheduler(args: &ServiceArgs) -> Result<Option<Arc<dyn Scheduler>>, CliError> {
    let Some(endpoint) = endpoint(args)? else {
        return Ok(None);
    };
    let remote = RemoteScheduler::observe(endpoint, &settings(&args.connection)?).await;
    Ok(Some(Arc::new(remote.map_err(Error::from)?)))
}

fn endpoint(args: &ServiceArgs) -> Result<Option<Endpoint>, CliError> {
    let Some(address) = args.scheduler.as_ref().filter(|address| !address.is_empty()) else {
        return Ok(None);
    };
    let endpoint = address.parse().map_err(|error| {
        CliError::usage_with_hint(
            format!("--scheduler: {error}"),
            "`mcp-jupyter scheduler serve` starts one",
        )
    });
    endpoint.map(Some)
}

/// The store of large outputs at an address, in this process or in a service.
pub(crate) async fn assets(address: &str, args: &ConnectionArgs) -> Result<Arc<dyn AssetStore>, CliError> {
    if !Endpoint::is_meant_by(address) {
        return Ok(Arc::new(ObjectAssets::open(address)?));
    }
    let endpoint: Endpoint = address.parse().map_err(|error| CliError::usage(format!("{error}")))?;
    Ok(Arc::new(RemoteAssets::connect(endpoint, &settings(args)?).await?))
}

/// Where outputs go that are too large: to the store at this address, from this size on.
pub(crate) async fn offload(
    address: Option<&str>,
    threshold: Option<u64>,
    args: &ConnectionArgs,
) -> Result<Option<Offload>, CliError> {
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return Ok(None);
    };
    let offload = Offload::new(assets(address, args).await?);
    Ok(Some(match threshold {
        Some(threshold) => offload.with_threshold(threshold),
        None => offload,
    }))
}

fn settings(args: &ConnectionArgs) -> Result<ClientSettings, CliError> {
    let authority = args.service_authority.as_deref();
    Ok(ClientSettings {
        when_away: args.when_away.unwrap_or(WhenAwayArg::Wait).into(),
        token: token(args.service_token_file.as_deref())?,
        authority: authority.map(read).transpose()?,
        identity: identity(
            "--service",
            args.service_certificate.as_deref(),
            args.service_key.as_deref(),
        )?,
    })
}

/// A certificate and its key, each in PEM.
type Identity = (Vec<u8>, Vec<u8>);

/// What is in the files that options beginning so name.
pub(crate) fn identity(
    options: &str,
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<Identity>, CliError> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((read(certificate)?, read(key)?))),
        (None, None) => Ok(None),
        _ => Err(CliError::usage(format!(
            "{options}-certificate and {options}-key belong together"
        ))),
    }
}

/// The token in this file, or in the environment.
fn token(file: Option<&Path>) -> Result<Option<Token>, CliError> {
    let Some((from, text)) = token_text(file)? else {
        return Ok(None);
    };
    let token = Token::new(&text);
    token
        .map(Some)
        .map_err(|error| CliError::usage(format!("{from}: {error}")))
}

/// The tokens that a service asks for: in this file, or in the environment.
pub(crate) fn tokens(file: Option<&Path>) -> Result<Tokens, CliError> {
    let Some((from, text)) = token_text(file)? else {
        return Ok(Tokens::default());
    };
    Tokens::read(&text).map_err(|error| CliError::usage(format!("{from}: {error}")))
}

fn token_text(file: Option<&Path>) -> Result<Option<(String, String)>, CliError> {
    if let Some(path) = file {
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        return Ok(Some((path.display().to_string(), text)));
    }
    let text = std::env::var(TOKEN).ok().filter(|text| !text.is_empty());
    Ok(text.map(|text| (TOKEN.to_owned(), text)))
}

/// The secret in a file that signs URLs.
pub(crate) fn url_key(file: &Path) -> Result<UrlKey, CliError> {
    let text = String::from_utf8_lossy(&read(file)?).into_owned();
    UrlKey::new(&text).map_err(|error| CliError::usage(format!("{}: {error}", file.display())))
}

/// The content of a small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| CliError::usage(format!("cannot read {}: {error}", path.display())))
}
