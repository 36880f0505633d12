use std::sync::Arc;

use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::{FinishedRun, OpenedSession, SessionRun, Turn};
use mcp_jupyter_core::kernel::{Death, LaunchRequest};
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};

use super::Kept;
use crate::run::{Queue, follow};
use crate::runtime;

/// The right to execute in a session, and what is known of its kernel.
pub(super) struct Binding<'a> {
    kept: &'a Kept,
    /// Who is told of what an earlier program has left.
    queue: Option<&'a Queue>,
    turn: Turn,
    warnings: Vec<String>,
}

/// What comes of asking for a kernel.
pub(super) enum Bind {
    /// It is there.
    Living {
        opened: OpenedSession,
        warnings: Vec<String>,
    },
    /// What an earlier program had left was taken up first, and has not ended well.
    Failed(FinishedRun),
}

/// What was left on a kernel.
enum TakenUp {
    Living(OpenedSession),
    Nothing,
    Failed(FinishedRun),
}

impl<'a> Binding<'a> {
    /// Waits until no other program executes in the session.
    pub(super) async fn new(kept: &'a Kept, queue: Option<&'a Queue>) -> Result<Self, Error> {
        Ok(Self {
            kept,
            queue,
            turn: kept.sessions.take_turn(&kept.id).await?,
            warnings: Vec::new(),
        })
    }

    /// The session with a kernel that lives: the one that it has, once all that was left there is taken up, or a new one.
    pub(super) async fn bind(mut self) -> Result<Bind, Error> {
        let opened = match self.try_take_up().await? {
            TakenUp::Living(opened) => opened,
            TakenUp::Failed(finished) => return Ok(Bind::Failed(finished)),
            TakenUp::Nothing => {
                let opened = self.start().await?;
                // What was in flight when the last kernel died is known to be lost from now on.
                if let Some(finished) = self.recover(&opened).await?.filter(has_failed) {
                    opened.session.detach().await;
                    return Ok(Bind::Failed(finished));
                }
                opened
            }
        };
        Ok(Bind::Living {
            opened,
            warnings: self.warnings,
        })
    }

    /// Takes up what was left, and leaves the kernel as it is.
    pub(super) async fn take_up(mut self) -> Result<(), Error> {
        if let TakenUp::Living(opened) = self.try_take_up().await? {
            opened.session.detach().await;
        }
        Ok(())
    }

    async fn try_take_up(&mut self) -> Result<TakenUp, Error> {
        let record = self.kept.record().await?;
        let Some(opened) = self.kept.sessions.attach(&self.turn, &record).await? else {
            if record.kernel.is_some() {
                self.bury(&record, None).await?;
            }
            return Ok(TakenUp::Nothing);
        };
        let failed = self.recover(&opened).await?.filter(has_failed);
        let death = opened.death();
        if failed.is_some() || death.is_some() {
            opened.session.detach().await;
            drop(opened.kernel);
            if death.is_some() {
                self.bury(&record, death.as_ref()).await?;
            }
            return Ok(failed.map_or(TakenUp::Nothing, TakenUp::Failed));
        }
        Ok(TakenUp::Living(opened))
    }

    /// Removes what there is of a dead kernel.
    async fn bury(&mut self, record: &SessionRecord, death: Option<&Death>) -> Result<(), Error> {
        let path = record.path.display();
        self.warnings.push(match death {
            Some(death) => format!("the kernel of {path} {death}"),
            None => format!("the kernel of {path} is gone, and nothing is known of its end"),
        });
        self.kept.sessions.remove_kernel(record).await
    }

    /// Goes on with what an earlier program has left, to its end.
    async fn recover(&self, opened: &OpenedSession) -> Result<Option<FinishedRun>, Error> {
        let notebook = self.newest().await?;
        let request = SessionRun {
            stored_in: Some(self.kept.sessions.stored_in(&self.kept.record().await?)),
            ..SessionRun::default()
        };
        let Some(run) = opened.session.recover(notebook, request).await? else {
            return Ok(None);
        };
        let message = "going on with what an earlier program has left".to_owned();
        Ok(Some(match self.queue {
            Some(queue) => follow(queue, run, vec![message]).await,
            None => run.finish().await,
        }))
    }

    async fn newest(&self) -> Result<Arc<Notebook>, Error> {
        let saved = self
            .kept
            .sessions
            .store()
            .save(&self.kept.id, Durability::Process)
            .await?;
        Ok(saved.notebook)
    }

    async fn start(&self) -> Result<OpenedSession, Error> {
        let record = self.kept.record().await?;
        let launch = self.launch(&record).await?;
        let idle = self.kept.idle_timeout;
        self.kept.sessions.start(&self.turn, &record, launch, idle).await
    }

    async fn launch(&self, record: &SessionRecord) -> Result<LaunchRequest, Error> {
        let (notebook, options) = (self.newest().await?, self.kept.launch.clone());
        let mut launch = runtime::blocking(move || options.request_for(&notebook)).await?;
        if launch.cwd.is_none() {
            launch.cwd = record.path.parent().map(ToOwned::to_owned);
        }
        Ok(launch)
    }
}

/// What has failed, or was lost, is executed again only where that is asked for once more.
fn has_failed(finished: &FinishedRun) -> bool {
    !finished.summary.is_ok()
}
