use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use super::handle::Jobs;
use super::run::Item;
use crate::model::RunId;
use crate::scheduler::Step;

/// The steps of a run, each asked for when it is polled for. Dropping it before its end cancels the run.
pub(super) fn stream(run: RunId, items: mpsc::UnboundedReceiver<Item>, jobs: Option<Jobs>) -> BoxStream<'static, Item> {
    let steps = Steps { run, items, jobs };
    unfold(steps, |mut steps| async move {
        let item = steps.next().await?;
        Some((item, steps))
    })
    .boxed()
}

struct Steps {
    run: RunId,
    items: mpsc::UnboundedReceiver<Item>,
    /// None once the run has ended.
    jobs: Option<Jobs>,
}

impl Steps {
    async fn next(&mut self) -> Option<Item> {
        let jobs = self.jobs.as_ref()?;
        // The end comes without being asked for; it may be there.
        let item = match self.items.try_recv() {
            Ok(item) => Some(item),
            Err(_) => {
                let run = self.run.clone();
                jobs.send(move |session| Box::pin(async move { session.wanted(&run) }));
                self.items.recv().await
            }
        };
        if !matches!(&item, Some(Ok(step)) if !matches!(step, Step::Finished(_))) {
            self.jobs = None;
        }
        item
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(jobs) = &self.jobs {
            let run = self.run.clone();
            jobs.send(move |session| Box::pin(async move { session.abandoned(&run).await }));
        }
    }
}
