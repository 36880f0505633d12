//! Going on after a crash: what an earlier process has begun is taken in, and its run goes on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::kernel::{KernelError, Unfinished};
use crate::model::CellRef;
use crate::scheduler::{Dispatch, Outcome, Plan, ResumedRun, RunEnd, StaleKind, StaleReason, Step};

use super::FinishedRun;
use super::event::RunOutcome;
use super::live_kernel::LiveKernel;
use super::outcome::failed;
use super::run::RunLoop;
use super::session::Kept;

/// What a crash has left of a session.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// A run that has not ended.
    pub(super) run: Option<ResumedRun>,
    /// Executions that have begun, and perhaps ended, and whose outputs may not be in the notebook.
    pub(super) executions: Vec<Unfinished>,
    /// Whether the kernel that the run was on is gone.
    pub(super) is_kernel_new: bool,
}

impl Leftover {
    pub(super) fn is_empty(&self) -> bool {
        self.run.is_none() && self.executions.is_empty()
    }
}

impl RunLoop {
    /// Goes on to the end, whatever happens.
    pub(super) async fn recovering(mut self, kept: Arc<Kept>, leftover: Leftover) -> FinishedRun {
        let started = Instant::now();
        let _closer = self.log.closer();
        let outcome = self.recover(&kept, leftover).await;
        self.end(outcome, started)
    }

    async fn recover(&mut self, kept: &Kept, leftover: Leftover) -> RunOutcome {
        let mut live = kept.live().await;
        let Some(live) = live.as_mut() else {
            self.announce(&Plan::default());
            return self.closed();
        };
        let (plan, in_flight) = self.take_up_leftover(&leftover.executions, leftover.run);
        self.announce(&plan);
        if let Err(error) = self.sync(&kept.language(live), live.epoch).await {
            return failed(error.kind(), &error);
        }
        live.outputs.recall(&self.notebook);
        let outcome = match self
            .take_in_leftover(live, leftover.executions, in_flight, leftover.is_kernel_new)
            .await
        {
            Ok(()) => self.drive(live, &plan).await,
            Err(outcome) => outcome,
        };
        self.leave(live, outcome).await
    }

    /// Becomes the loop of the run that was left, or of nothing but executions.
    fn take_up_leftover(&mut self, executions: &[Unfinished], run: Option<ResumedRun>) -> (Plan, Option<Dispatch>) {
        match run {
            Some(ResumedRun {
                run,
                request,
                in_flight,
            }) => {
                self.setup.start = request;
                (self.take_up(run), in_flight)
            }
            None => {
                if let Some(last) = executions.last() {
                    self.call_itself(last.dispatch.run_id.clone());
                }
                self.steps = stream::iter([Ok(Step::Finished(RunEnd::Completed))]).boxed();
                (Plan::default(), None)
            }
        }
    }

    /// Takes in what was executed, in order, and tells the scheduler what came of the cell that it waits for.
    async fn take_in_leftover(
        &mut self,
        live: &mut LiveKernel,
        executions: Vec<Unfinished>,
        mut in_flight: Option<Dispatch>,
        is_kernel_new: bool,
    ) -> Result<(), RunOutcome> {
        live.expect_recovered(executions.len());
        for execution in executions {
            let awaited = in_flight.take_if(|dispatch| is_of(dispatch, &execution));
            self.take_over(live, execution, awaited).await?;
        }
        match in_flight {
            // It was never sent, or whoever has it says so.
            Some(dispatch) if !is_kernel_new => self.execute_and_report(live, &dispatch).await,
            Some(dispatch) => self.report(&dispatch, Outcome::KernelDied, None, Duration::ZERO).await,
            None => Ok(()),
        }
    }

    /// Takes in one execution. Its outputs go into the cell where that still has the source that was executed.
    async fn take_over(
        &mut self,
        live: &mut LiveKernel,
        unfinished: Unfinished,
        awaited: Option<Dispatch>,
    ) -> Result<(), RunOutcome> {
        let started = Instant::now();
        let is_awaited = awaited.is_some();
        let dispatch = awaited.unwrap_or_else(|| dispatch_of(&unfinished));
        let place = self.place_of(&unfinished.dispatch.cell);
        let place = place.filter(|cell| self.notebook.cells()[cell.index].source() == unfinished.code);
        let Some(cell) = place else {
            let outcome = self.hear_out(live, unfinished).await;
            if is_awaited {
                self.report(&dispatch, outcome, None, started.elapsed()).await?;
            }
            return Ok(());
        };
        let (outcome, observation) = self.perform(live, &cell, &dispatch, Some(unfinished.execution)).await;
        if !is_awaited {
            self.ending = None;
            return Ok(());
        }
        if self.ending.is_some() {
            self.cancel().await;
        }
        if self.early.is_some() {
            return Ok(());
        }
        self.report(&dispatch, outcome, observation, started.elapsed()).await
    }

    /// Waits for the end of an execution whose outputs have no place.
    async fn hear_out(&mut self, live: &mut LiveKernel, mut unfinished: Unfinished) -> Outcome {
        let cell = &unfinished.dispatch.cell;
        self.warn(format!(
            "cell {cell} was edited or removed while it was executed: its outputs were left out"
        ));
        let mut outcome = Outcome::Ok;
        while let Some(message) = unfinished.execution.messages.next().await {
            match message {
                Ok(message) => live.took(&message),
                Err(KernelError::Died(_)) => outcome = Outcome::KernelDied,
                Err(_) => outcome = Outcome::Lost,
            }
        }
        outcome
    }

    fn closed(&self) -> RunOutcome {
        RunOutcome::Failed {
            kind: crate::error::ErrorKind::KernelDied,
            message: format!("session {} is closed", self.session),
        }
    }

    /// Ends a run in a session: all that it has changed is saved.
    pub(super) async fn leave(&mut self, live: &mut LiveKernel, outcome: RunOutcome) -> RunOutcome {
        self.record_widgets(live);
        live.outputs.leave(&self.notebook);
        let saved = match self.save().await {
            Ok(kept) => self.note_kept(live, kept).await.map_or(Ok(()), Err),
            Err(error) => Err(error),
        };
        self.after_saving(saved, outcome)
    }
}

fn is_of(dispatch: &Dispatch, unfinished: &Unfinished) -> bool {
    let found = &unfinished.dispatch;
    found.run_id == dispatch.run_id && found.cell == dispatch.cell.id && found.attempt == dispatch.attempt
}

/// The dispatch of an execution that the scheduler does not wait for any more.
fn dispatch_of(unfinished: &Unfinished) -> Dispatch {
    Dispatch {
        run_id: unfinished.dispatch.run_id.clone(),
        cell: CellRef {
            id: unfinished.dispatch.cell.clone(),
            index: 0,
        },
        attempt: unfinished.dispatch.attempt,
        reason: StaleReason {
            kind: StaleKind::Mode,
            via: None,
            names: Vec::new(),
        },
        source: unfinished.code.as_str().into(),
        delete_before: Vec::new(),
        stop_on_error: true,
        verify: false,
        remaining: 0,
    }
}
