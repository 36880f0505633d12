//! Waiting for a run, on behalf of a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::mcp::answer::{Answer, Asking};
use crate::mcp::caller::Caller;
use crate::mcp::run_log::RunLog;
use crate::mcp::server::Server;
use crate::mcp::show::{Page, show_run};

/// How much new output one notification of progress carries, in bytes.
const PROGRESS_TEXT: usize = 2 << 10;

/// How often a client is told of progress at most.
const PROGRESS_PAUSE: Duration = Duration::from_millis(250);

impl Server {
    /// A result to fill, as large as the policy allows.
    pub(in crate::mcp) fn page(&self) -> Page {
        Page::new(self.policy.text_limit, self.policy.image_limit)
    }

    /// Waits until a run has ended or asks for input, the time is over or the client has gone, and shows what is new.
    pub(in crate::mcp) async fn wait_for(
        &self,
        log: &Arc<RunLog>,
        since: u64,
        until: Instant,
        caller: &Caller,
    ) -> Answer {
        let told = AtomicU64::new(since);
        tokio::select! {
            () = log.settled(until) => {}
            () = self.closing.cancelled() => {}
            () = caller.gone.cancelled() => if self.policy.cancel_interrupts {
                log.cancel();
            },
            () = self.tell(log, &told, caller), if caller.listens() => {}
        }
        if let Some(client) = &caller.log {
            let news = log.news(told.into_inner());
            client.tell_news(&self.shown(&log.path), &news).await;
        }
        let answer = show_run(log, &self.shown(&log.path), since, self.page());
        let asking = log.question().map(|question| Asking {
            log: Arc::clone(log),
            question,
            since,
            shown: answer.content.len(),
        });
        Answer { asking, ..answer }
    }

    /// Tells what is new, for as long as that is waited for. `told` is how far it has come.
    async fn tell(&self, log: &Arc<RunLog>, told: &AtomicU64, caller: &Caller) {
        loop {
            let since = told.load(Ordering::Relaxed);
            log.changed(since).await;
            let news = log.news(since);
            if news.cursor == since {
                return std::future::pending().await;
            }
            told.store(news.cursor, Ordering::Relaxed);
            if caller.hears_progress() {
                let mut page = Page::new(PROGRESS_TEXT, 1);
                crate::mcp::show::show_progress(log, since, &mut page);
                caller.tell(page.into_text()).await;
            }
            if let Some(client) = &caller.log {
                client.tell_news(&self.shown(&log.path), &news).await;
            }
            tokio::time::sleep(PROGRESS_PAUSE).await;
        }
    }
}
