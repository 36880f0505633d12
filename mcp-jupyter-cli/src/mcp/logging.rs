//! The log that a client may listen to: what happens in the runs that it waits for.
//!
//! Nobody is sent anything who has not asked for it: by `logging/setLevel`, or in each request since 2026-07-28.

#![expect(deprecated, reason = "the protocol will drop its log, and clients have it")]

use std::sync::{Mutex, PoisonError};

use mcp_jupyter_core::engine::CellOutcome;
use rmcp::RoleServer;
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam};
use rmcp::service::{Peer, RequestContext};
use serde_json::{Value, json};

use super::run_log::{Item, News};

/// The level that a connection wants to hear of.
#[derive(Debug, Default)]
pub(super) struct WantedLevel(Mutex<Option<LoggingLevel>>);

impl WantedLevel {
    pub(super) fn set(&self, level: LoggingLevel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
    }

    /// The log for a request, where its client listens.
    pub(super) fn log(&self, context: &RequestContext<RoleServer>) -> Option<ClientLog> {
        let set = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let level = context.meta.log_level().or(set)?;
        Some(ClientLog {
            peer: context.peer.clone(),
            level,
        })
    }
}

/// What one client hears while it waits for an answer.
#[derive(Debug)]
pub(super) struct ClientLog {
    peer: Peer<RoleServer>,
    level: LoggingLevel,
}

impl ClientLog {
    pub(super) async fn tell(&self, level: LoggingLevel, data: Value) {
        if (level as u8) < self.level as u8 {
            return;
        }
        let notification = LoggingMessageNotificationParam::new(level, data).with_logger("mcp-jupyter");
        // Where it cannot be told, the client is gone.
        let _ = self.peer.notify_logging_message(notification).await;
    }

    /// Tells what has happened in a run of a notebook, but for its output.
    pub(super) async fn tell_news(&self, notebook: &str, news: &News) {
        for item in &news.items {
            if let Some((level, mut data)) = entry(item) {
                data["notebook"] = json!(notebook);
                self.tell(level, data).await;
            }
        }
    }
}

fn entry(item: &Item) -> Option<(LoggingLevel, Value)> {
    match item {
        Item::Output(..) | Item::Cleared => None,
        Item::Note(note) => Some((LoggingLevel::Notice, json!({ "message": note }))),
        Item::Finished {
            cell, outcome, seconds, ..
        } => {
            let level = match outcome {
                CellOutcome::Ok => LoggingLevel::Info,
                _ => LoggingLevel::Error,
            };
            let data = json!({ "message": outcome.name(), "cell": cell.id, "seconds": seconds });
            Some((level, data))
        }
    }
}

#[cfg(test)]
mod tests {
    use mcp_jupyter_core::engine::CellRef;

    use super::*;

    #[test]
    fn failures_are_errors_and_output_is_none_of_the_log() {
        let cell = CellRef {
            id: "a".into(),
            index: 0,
        };
        let finished = |outcome| Item::Finished {
            cell: cell.clone(),
            outcome,
            count: 1,
            seconds: 0.5,
        };
        let (level, data) = entry(&finished(CellOutcome::Ok)).unwrap();
        assert_eq!((level, &data["cell"]), (LoggingLevel::Info, &json!("a")));
        let (level, _) = entry(&finished(CellOutcome::TimedOut { limit: 1.0 })).unwrap();
        assert_eq!(level, LoggingLevel::Error);
        assert!(entry(&Item::Cleared).is_none());
    }
}
