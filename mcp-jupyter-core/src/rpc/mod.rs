//! What the two services and their clients share: the generated code of the protocol, addresses, the way from an error to
//! a status and back, the connection that comes back by itself, and the server around a service.
//!
//! The protocol itself is documented in `proto/mcp_jupyter/v1`. Its types stay here and in the `convert`, `remote` and
//! `service` modules of the domains.

mod admin;
mod asset_pages;
mod away;
mod breaker;
#[cfg(test)]
mod compatibility;
mod convert;
mod endpoint;
mod gate;
mod link;
mod listener;
mod metrics;
mod peer;
mod server;
mod status;
mod token;
mod url_key;

/// The generated code.
pub(crate) mod pb {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        reason = "it is generated"
    )]
    tonic::include_proto!("mcp_jupyter.v1");
}

/// The protocol as descriptors, for whoever asks the services what they offer.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mcp_jupyter.v1.bin"));

pub use admin::Admin;
pub use asset_pages::AssetPages;
pub(crate) use away::Pauses;
pub use away::WhenAway;
pub(crate) use convert::{Malformed, all, duration, malformed, required, timestamp, to_duration, to_timestamp};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use link::ClientSettings;
pub(crate) use link::{Attempt, Link, Trouble, cause, is_away};
pub use listener::{ListenAddress, ListenError, Listener};
pub(crate) use metrics::Metrics;
pub(crate) use server::LARGEST_MESSAGE;
pub use server::{Limits, ServeError, Server, ServerSettings};
pub(crate) use status::{code, status, unpack};
pub use token::{InvalidToken, InvalidTokens, Token, Tokens};
pub use url_key::UrlKey;
