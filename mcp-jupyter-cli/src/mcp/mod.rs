//! The MCP server: notebooks and kernels for AI agents.
//!
//! A [`Server`](server::Server) is what all clients share: the sessions, the roots, the runs in progress. Each tool is a
//! file in `tools`; `show` makes short text of what they have found. What a notebook, a run or a kernel is, the library
//! says.

mod answer;
mod audit;
mod caller;
mod completion;
mod connection;
mod deciding;
mod eliciting;
mod executing;
mod fixtures;
mod handler;
mod http;
mod logging;
mod messages;
mod prompts;
mod resources;
mod roots;
mod run_log;
mod server;
mod show;
mod stdio;
mod structured;
mod tasks;
mod tool;
mod tools;

use std::path::PathBuf;
use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::transport::io::stdio_pipes;

use self::handler::Handler;
use self::roots::Roots;
use self::server::Server;
use self::stdio::Lines;
use crate::args::ServeArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::signals::Stops;

/// The folders that a server with these roots may use.
pub(crate) fn folders(roots: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    Ok(Roots::new(roots)?.folders().to_vec())
}

/// Serves until the client goes, or the system asks for the end. Kernels live on.
pub(crate) async fn serve(mut args: ServeArgs) -> Result<Exit, CliError> {
    let stops = Stops::listen()?;
    tools::check_names(args.allow_tools.iter().chain(&args.deny_tools))?;
    let http = std::mem::take(&mut args.http);
    let server = Server::new(args).await?;
    if !server.policy.read_only {
        tokio::spawn(Arc::clone(&server).recover_all());
    }
    match http.http {
        Some(address) => http::serve(server, http, address, stops).await,
        None => serve_stdio(server, stops).await,
    }
}

async fn serve_stdio(server: Arc<Server>, mut stops: Stops) -> Result<Exit, CliError> {
    let (read, write) = stdio_pipes();
    let service = match Handler::new(server).serve(Lines::new(read, write)).await {
        Ok(service) => service,
        Err(error) => {
            tracing::info!(%error, "the client went before it had said what it wants");
            return Ok(Exit::Ok);
        }
    };
    let ended = service.cancellation_token();
    tokio::select! {
        _ = service.waiting() => Ok(Exit::Ok),
        stop = stops.first() => {
            ended.cancel();
            Ok(stop.cause().into())
        }
    }
}
