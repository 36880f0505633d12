//! Who calls a tool, and how to tell them what happens meanwhile.

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::logging::ClientLog;

/// The request that a tool answers.
#[derive(Debug)]
pub(super) struct Caller {
    /// Its client, as that calls itself.
    pub(super) name: String,
    /// Cancelled when the client does not wait any more.
    pub(super) gone: CancellationToken,
    /// Where its client listens to the log.
    pub(super) log: Option<ClientLog>,
    progress: Option<Progress>,
}

#[derive(Debug)]
struct Progress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    /// What was told last: it has to rise.
    told: Mutex<f64>,
}

impl Caller {
    pub(super) fn new(context: &RequestContext<RoleServer>) -> Self {
        let progress = context.meta.get_progress_token().map(|token| Progress {
            peer: context.peer.clone(),
            token,
            told: Mutex::default(),
        });
        Self {
            name: context
                .client_info()
                .map_or_else(|| "unknown".to_owned(), |client| client.name),
            gone: context.ct.clone(),
            log: None,
            progress,
        }
    }

    /// Has its client hear the log, too.
    #[must_use]
    pub(super) fn with_log(mut self, log: Option<ClientLog>) -> Self {
        self.log = log;
        self
    }

    /// Whether the client wants to hear of progress, or the log.
    pub(super) fn listens(&self) -> bool {
        self.hears_progress() || self.log.is_some()
    }

    pub(super) fn hears_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Tells what is new, where the client wants to hear it.
    pub(super) async fn tell(&self, message: String) {
        let Some(progress) = &self.progress else { return };
        let mut told = progress.told.lock().await;
        *told += 1.0;
        let notification = ProgressNotificationParam::new(progress.token.clone(), *told).with_message(message);
        // Where it cannot be told, the client is gone.
        let _ = progress.peer.notify_progress(notification).await;
    }
}
