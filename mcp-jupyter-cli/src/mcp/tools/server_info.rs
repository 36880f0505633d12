use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::tool::{Effect, Tool};

pub(super) struct ServerInfo;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {}

impl Tool for ServerInfo {
    const NAME: &'static str = "server_info";
    const DESCRIPTION: &'static str = "The version, the roots, what is allowed, and the limits of this server.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, _arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let policy = &server.policy;
        let roots: Vec<String> = server
            .roots
            .folders()
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        let allowed = if policy.read_only {
            "reading only"
        } else {
            "reading, editing, executing"
        };
        let packages = if policy.packages.is_empty() {
            "any".to_owned()
        } else {
            policy.packages.join(", ")
        };
        let assets = server
            .offload
            .as_ref()
            .map_or_else(|| "none".to_owned(), |offload| offload.store.to_string());
        Ok(Answer::text(format!(
            "mcp-server-jupyter {}\nroots: {}\nallowed: {allowed}\npackages: {packages}\nruns at a time: {}\ntext of a result: {} bytes\n\
             images: {} pixels per side\nassets: {assets}",
            env!("CARGO_PKG_VERSION"),
            roots.join(", "),
            policy.runs,
            policy.text_limit,
            policy.image_limit,
        )))
    }
}
