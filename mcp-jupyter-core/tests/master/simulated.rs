//! The scheduler alone, on a namespace in the helper's process instead of a kernel: many times faster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::model::{CellId, SessionId};
use mcp_jupyter_core::scheduler::{
    CodeCell, Dispatch, Document, KernelEpoch, LocalScheduler, MemoryJournal, Outcome, Report, RunEnd, Scheduler,
    SchedulerError, SessionStatus, StartRequest, Step,
};

use crate::bench::{End, cell_id};
use crate::helper::Helper;
use crate::scenario::Cell;

pub(crate) struct Simulated {
    scheduler: LocalScheduler,
    session: SessionId,
    epoch: u64,
    texts: BTreeMap<CellId, String>,
}

impl Simulated {
    pub(crate) fn new(helper: &mut Helper) -> Self {
        helper.open();
        Self {
            scheduler: LocalScheduler::new(Arc::new(MemoryJournal::new())),
            session: "s".into(),
            epoch: 0,
            texts: BTreeMap::new(),
        }
    }

    pub(crate) async fn restart(&mut self, helper: &mut Helper) {
        helper.open();
        self.epoch += 1;
        match self
            .scheduler
            .kernel_epoch(&self.session, KernelEpoch(self.epoch))
            .await
        {
            Ok(()) | Err(SchedulerError::NoSuchSession { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn sync(&self, cells: &[Cell]) -> SessionStatus {
        let cells = cells.iter().enumerate().map(|(index, cell)| CodeCell {
            id: cell_id(cell.number),
            index,
            source: cell.source.as_str().into(),
            tags: Vec::new(),
        });
        let document = Document {
            language: "python".to_owned(),
            cells: cells.collect(),
        };
        self.scheduler.sync(&self.session, document).await.unwrap();
        let told = self.scheduler.kernel_epoch(&self.session, KernelEpoch(self.epoch));
        told.await.unwrap();
        self.scheduler.status(&self.session).await.unwrap()
    }

    pub(crate) fn text(&self, cell: &Cell) -> &str {
        self.texts.get(&cell_id(cell.number)).map_or("", String::as_str)
    }

    pub(crate) async fn run(&mut self, helper: &mut Helper, cells: &[Cell], request: StartRequest) -> End {
        let status = self.sync(cells).await;
        let writes: BTreeMap<CellId, Vec<String>> = status
            .cells
            .into_iter()
            .map(|(cell, effects)| (cell.id, effects.writes))
            .collect();
        let mut end = End::default();
        let mut run = match self.scheduler.start(&self.session, request).await {
            Ok(run) => run,
            Err(SchedulerError::NotAppendable { .. }) => return end,
            Err(error) => panic!("{error}"),
        };
        while let Some(step) = run.steps.next().await {
            match step.unwrap() {
                Step::Execute(dispatch) => {
                    end.executed += 1;
                    let written = writes.get(&dispatch.cell.id).map_or(&[][..], Vec::as_slice);
                    self.execute(helper, dispatch, written, &mut end).await;
                }
                Step::Delete(names) => helper.delete(&names),
                Step::Finished(how) => end.is_completed = how == RunEnd::Completed,
                Step::Warn(warning) => end.warnings.push(warning),
                Step::Skip(_) => {}
                Step::Interrupt(_) | Step::RestartKernel(_) => unreachable!("nobody has asked for it"),
            }
        }
        end
    }

    async fn execute(&mut self, helper: &mut Helper, dispatch: Dispatch, written: &[String], end: &mut End) {
        helper.delete(&dispatch.delete_before);
        let executed = helper.run(&dispatch.source, written);
        end.failure = executed
            .ename
            .clone()
            .map(|ename| (dispatch.cell.index, ename))
            .or(end.failure.take());
        self.texts.insert(dispatch.cell.id.clone(), executed.text);
        let outcome = executed.ename.map_or(Outcome::Ok, |ename| Outcome::Error {
            ename,
            evalue: String::new(),
        });
        let report = Report {
            run_id: dispatch.run_id,
            cell: dispatch.cell.id,
            attempt: dispatch.attempt,
            outcome,
            observation: executed.observation.filter(|_| dispatch.verify),
            duration: Duration::ZERO,
        };
        self.scheduler.report(report).await.unwrap();
    }
}
