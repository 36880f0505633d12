use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

/// Serving over HTTP.
#[derive(Debug, Default, Args)]
pub(crate) struct HttpArgs {
    /// Serve over streamable HTTP on this address, instead of standard input and output; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) http: Option<SocketAddr>,

    /// The token that clients have to send [default: the environment's MCP_JUPYTER_TOKEN, or a new one, which is printed]
    #[arg(long, value_name = "TOKEN", requires = "http")]
    pub(crate) token: Option<String>,

    /// A file with that token, where no other user of this machine may see it
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,

    /// Let every program of this machine in without a token
    #[arg(long, requires = "http", conflicts_with_all = ["token", "token_file", "allow_remote"])]
    pub(crate) no_token: bool,

    /// Serve other machines, too; there is no TLS, so whoever is in between reads and changes what is sent
    #[arg(long, requires = "http")]
    pub(crate) allow_remote: bool,

    /// Another name by which clients call this machine; may be repeated
    #[arg(long, value_name = "HOST", requires = "http")]
    pub(crate) allow_host: Vec<String>,

    /// Web pages that may be clients, such as https://app.example.org, beside those of this machine; may be repeated
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    pub(crate) allow_origin: Vec<String>,

    /// Serve what the official conformance suite asks for, too
    #[arg(long, hide = true, requires = "http")]
    pub(crate) conformance_fixtures: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:0".to_owned())
}
