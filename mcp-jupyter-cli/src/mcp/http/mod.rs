//! Streamable HTTP: many clients, one server.
//!
//! The protocol, its sessions and their streams are rmcp's, as is the check of `Host` and `Origin`; the [`Gate`] in front
//! of it asks for the token and bounds what is sent. There is no TLS here.

mod gate;
mod refusing;
mod token;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::serve::ListenerExt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::gate::Gate;
use self::token::Chosen;
use super::fixtures::Fixtures;
use super::handler::Handler;
use super::messages::MESSAGE_LIMIT;
use super::server::Server;
use crate::args::HttpArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;
use crate::signals::Stops;

/// How long the session of a client lives that is not heard of.
const SESSION_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the last answers may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// The names of this machine that only it resolves.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Serves until the system asks for the end.
pub(super) async fn serve(
    server: Arc<Server>,
    args: HttpArgs,
    address: SocketAddr,
    mut stops: Stops,
) -> Result<Exit, CliError> {
    check_reach(&args, address.ip())?;
    let (token, new) = Chosen::from_args(&args)?.split();
    allow_many_connections();
    let listener = listen(address).await?;
    let bound = listener.local_addr().unwrap_or(address);
    let gate = Arc::new(Gate::new(token));
    let ended = CancellationToken::new();
    let config = config(&args, bound.ip(), ended.clone());
    let shared = Arc::clone(&server);
    let handler = move || Handler::new(Arc::clone(&shared));
    let router = if args.conformance_fixtures {
        let shared = Arc::default();
        router(move || Fixtures::new(handler(), Arc::clone(&shared)), &gate, config)
    } else {
        router(handler, &gate, config)
    };

    let listener = listener.tap_io(|stream| {
        // Without it answers are only late.
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(server.closing.clone().cancelled_owned());
    let serving = tokio::spawn(serving.into_future());
    report::show_note(&ready(bound, new.as_deref()));
    let stop = stops.first().await;

    // Waits end with what there is, and the runs go on.
    server.closing.cancel();
    gate.answering.close();
    let orderly = async {
        gate.answering.wait().await;
        ended.cancel();
        serving.await
    };
    tokio::select! {
        _ = timeout(GRACE, orderly) => {}
        _ = stops.changed() => {}
    }
    Ok(stop.cause().into())
}

/// Refuses to serve other machines by oversight.
fn check_reach(args: &HttpArgs, address: IpAddr) -> Result<(), CliError> {
    if args.allow_remote || address.is_loopback() {
        return Ok(());
    }
    Err(CliError::usage_with_hint(
        format!("{address} can be reached from other machines, and whoever has the token executes code on this one"),
        "serve 127.0.0.1 and let clients come by an SSH tunnel or a proxy with TLS, or say --allow-remote",
    ))
}

/// As many open files as the system lets this process have: each connection is one.
fn allow_many_connections() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::info!(%error, "no more than {soft} connections at once");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    let listening = TcpListener::bind(address).await;
    listening.map_err(|source| CliError::Bind { address, source })
}

fn ready(bound: SocketAddr, new: Option<&str>) -> String {
    match new {
        Some(token) => format!("listening on http://{bound}/mcp with the token {token}"),
        None => format!("listening on http://{bound}/mcp"),
    }
}

fn config(args: &HttpArgs, bound: IpAddr, ended: CancellationToken) -> StreamableHttpServerConfig {
    let own = match bound {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let hosts = LOCAL.iter().map(ToString::to_string).chain([own]);
    let origins = LOCAL
        .iter()
        .flat_map(|host| [format!("http://{host}:*"), format!("https://{host}:*")]);
    StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts.chain(args.allow_host.iter().cloned()))
        .with_allowed_origins(origins.chain(args.allow_origin.iter().map(|origin| with_port(origin))))
        .with_max_request_body_bytes(MESSAGE_LIMIT)
        .with_cancellation_token(ended)
}

/// An origin with the port that it leaves out, as browsers do.
fn with_port(origin: &str) -> String {
    let port = match origin.split_once("://") {
        Some((scheme, host)) if !host.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(':') => match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        },
        _ => "",
    };
    format!("{origin}{port}")
}

fn router<H: ServerHandler + Send + 'static>(
    handler: impl Fn() -> H + Send + Sync + 'static,
    gate: &Arc<Gate>,
    config: StreamableHttpServerConfig,
) -> Router {
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(SESSION_LIFE);
    let protocol = StreamableHttpService::new(move || Ok(handler()), Arc::new(sessions), config);
    Router::new()
        .route_service("/mcp", protocol.clone())
        .route_service("/mcp/", protocol)
        .layer(from_fn_with_state(Arc::clone(gate), gate::pass))
        .fallback(async || refusing::refusal(StatusCode::NOT_FOUND, "there is nothing here; the server is at /mcp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_without_a_port_has_that_of_its_scheme() {
        for (given, meant) in [
            ("https://a.example", "https://a.example:443"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://a.example:8080", "http://a.example:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("null", "null"),
        ] {
            assert_eq!(with_port(given), meant);
        }
    }
}
