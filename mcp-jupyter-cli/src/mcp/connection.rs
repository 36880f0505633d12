//! What is known of one connection. Revisions of the protocol without sessions have none of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rmcp::RoleServer;
use rmcp::model::ProtocolVersion;
use rmcp::service::{Peer, RequestContext};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::resources::Subscriptions;
use super::server::Server;

/// How long a client may take to tell its roots.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// The server as narrowed by the client's roots, once they are known.
    narrowed: Mutex<Option<Arc<Server>>>,
    /// What it is told of.
    pub(super) subscriptions: Subscriptions,
}

impl Connection {
    /// The server as this client may use it: within its own roots, where it has some and can be asked for them.
    pub(super) async fn server(&self, server: &Arc<Server>, context: &RequestContext<RoleServer>) -> Arc<Server> {
        let has_roots = context.client_capabilities().is_some_and(|client| has_roots(&client));
        if !has_roots || !can_be_asked(context) {
            return Arc::clone(server);
        }
        let mut narrowed = self.narrowed.lock().await;
        if let Some(narrowed) = &*narrowed {
            return Arc::clone(narrowed);
        }
        let found = narrow(server, &context.peer).await;
        *narrowed = Some(Arc::clone(&found));
        found
    }

    /// Asks for the client's roots again. Whatever it calls once it has been asked is answered by the new ones.
    pub(super) async fn renew_roots(&self, server: &Arc<Server>, peer: &Peer<RoleServer>) {
        let mut narrowed = self.narrowed.lock().await;
        *narrowed = Some(narrow(server, peer).await);
    }
}

async fn narrow(server: &Arc<Server>, peer: &Peer<RoleServer>) -> Arc<Server> {
    match roots(peer).await {
        Some(folders) if !folders.is_empty() => server.narrowed(&folders),
        _ => Arc::clone(server),
    }
}

fn has_roots(client: &rmcp::model::ClientCapabilities) -> bool {
    client.roots.is_some()
}

/// Whether the server may send requests of its own, as until the revision 2026-07-28.
pub(super) fn can_be_asked(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| version.as_str() < ProtocolVersion::V_2026_07_28.as_str())
}

/// The folders that the client works in; none where it does not tell.
#[expect(deprecated, reason = "the revisions before 2026-07-28 have roots")]
async fn roots(peer: &Peer<RoleServer>) -> Option<Vec<PathBuf>> {
    let told = match timeout(PATIENCE, peer.list_roots()).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the client does not tell its roots");
            return None;
        }
        Err(_) => {
            tracing::warn!("the client does not tell its roots in time");
            return None;
        }
    };
    Some(told.roots.iter().map(|root| folder(&root.uri)).collect())
}

/// The folder that a URI names. What names none is in no root.
fn folder(uri: &str) -> PathBuf {
    let path = uri
        .strip_prefix("file://")
        .map(|rest| rest.strip_prefix("localhost").unwrap_or(rest));
    let path = path.filter(|path| path.starts_with('/')).unwrap_or_default();
    PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_folders_of_this_machine() {
        assert_eq!(folder("file:///a%20b/c"), PathBuf::from("/a b/c"));
        assert_eq!(folder("file://localhost/a"), PathBuf::from("/a"));
        for other in ["https://a/b", "file://host/a", "a"] {
            assert_eq!(folder(other), PathBuf::new(), "{other}");
        }
    }
}
