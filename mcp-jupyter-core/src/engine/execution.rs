//! The execution of one cell, and what the kernel says about it.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::kernel::{
    Channel, DispatchId, ExecuteRequest, Execution, Header, Kernel, KernelError, Message, ShutdownMode,
};
use crate::model::{CellRef, Json, JsonMap};
use crate::redaction::Redactor;
use crate::scheduler::{Dispatch, Observation, OnError, Outcome, SchedulerError, Step};
use crate::session::notebook::Durability;
use crate::session::{ExecutionEnd, SessionError};

use super::cell_outputs::OutputChange;
use super::event::{CellOutcome, EscalationStep, RunEvent, RunOutcome};
use super::input::InputRequest;
use super::limits::Cause;
use super::live_kernel::{Helper, LiveKernel};
use super::observer::{self, Seen};
use super::outcome::{failed, outcome_for_scheduler, outcome_of_reply, sentence};
use super::run::RunLoop;
use super::saver::Kept;

/// An answer that is awaited, and the header of the request for it.
type Answer = BoxFuture<'static, (Header, Option<String>)>;

/// What the kernel replied to an execution.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) outcome: CellOutcome,
    pub(super) seen: Seen,
}

impl From<CellOutcome> for Reply {
    fn from(outcome: CellOutcome) -> Self {
        let seen = Seen::Nothing;
        Self { outcome, seen }
    }
}

impl Reply {
    fn from_content(content: &Json) -> Self {
        let (outcome, seen) = (outcome_of_reply(content), observer::seen(content));
        match (outcome, seen) {
            // It came too late for the code, and in time for the helper: the cell was to end by it.
            (CellOutcome::Ok, Seen::Interrupted) => CellOutcome::Error {
                ename: "KeyboardInterrupt".to_owned(),
                evalue: String::new(),
                traceback: Vec::new(),
            }
            .into(),
            (outcome, seen) => Self { outcome, seen },
        }
    }
}

impl Reply {
    /// The reply without secrets.
    fn masked(mut self, redactor: Option<&Redactor>) -> Self {
        if let (Some(redactor), CellOutcome::Error { evalue, traceback, .. }) = (redactor, &mut self.outcome) {
            for text in traceback.iter_mut().chain([evalue]) {
                *text = redactor.redact(text).into_owned();
            }
        }
        self
    }
}

impl RunLoop {
    /// Executes a cell, unless that has begun, and tells of it; gives what came of it for the scheduler.
    pub(super) async fn run_cell(
        &mut self,
        live: &mut LiveKernel,
        cell: &CellRef,
        dispatch: &Dispatch,
        begun: Option<Execution>,
    ) -> (Outcome, Option<Observation>) {
        if self.setup.record_timing {
            let empty = Json::Object(JsonMap::new());
            self.cell(cell).metadata_mut().insert("execution".to_owned(), empty);
        }
        self.emit(RunEvent::CellStarted {
            cell: cell.clone(),
            position: self.position,
            reason: dispatch.reason.clone(),
        });
        self.position += 1;
        let execution_count = live.next_count(begun.is_some());
        let started = Instant::now();
        self.limits.begin_cell(self.setup.cell_timeout);
        let executed = match begun {
            Some(mut execution) => self.take_in_execution(live, cell, &mut execution).await,
            None => self.execute(live, cell, dispatch).await,
        };
        self.close_cell(live, cell).await;
        self.cell(cell).set_execution_count(Some(execution_count));
        let (reply, failure) = match executed {
            Ok(reply) => (reply, None),
            Err(error) => (CellOutcome::Incomplete.into(), Some(failed(error.kind(), &error))),
        };
        self.ending = self.end_of_run(cell, &reply.outcome).or(failure);
        let outcome = outcome_for_scheduler(&reply.outcome);
        let observation = self.observed(live, dispatch, &reply).await;
        let seconds = started.elapsed().as_secs_f64();
        self.note_end(live, cell, dispatch, &reply.outcome, seconds);
        self.emit(RunEvent::CellFinished {
            cell: cell.clone(),
            accepted: self.ending.is_none() && self.accepts(&reply.outcome, dispatch),
            outcome: reply.outcome,
            execution_count,
            seconds,
        });
        self.saver.cell_ended();
        (outcome, observation)
    }

    /// For the history of the cell.
    fn note_end(
        &mut self,
        live: &LiveKernel,
        cell: &CellRef,
        dispatch: &Dispatch,
        outcome: &CellOutcome,
        seconds: f64,
    ) {
        let end = ExecutionEnd {
            run_id: dispatch.run_id.clone(),
            attempt: dispatch.attempt,
            outcome: outcome.name().to_owned(),
            seconds,
            epoch: live.epoch.0,
            source: dispatch.source.to_string(),
        };
        self.saver.ended(&cell.id, end);
    }

    /// How the run ends with an execution that ends it whatever the scheduler's policy is.
    fn end_of_run(&self, cell: &CellRef, outcome: &CellOutcome) -> Option<RunOutcome> {
        match outcome {
            CellOutcome::Interrupted | CellOutcome::TimedOut { .. } => Some(self.stopped(Some(cell))),
            CellOutcome::Incomplete => Some(RunOutcome::CellFailed { cell: cell.clone() }),
            CellOutcome::Ok | CellOutcome::Error { .. } | CellOutcome::Aborted | CellOutcome::KernelDied { .. } => None,
        }
    }

    fn accepts(&self, outcome: &CellOutcome, dispatch: &Dispatch) -> bool {
        match outcome {
            CellOutcome::Ok => true,
            CellOutcome::Error { .. } => !dispatch.stop_on_error,
            CellOutcome::Aborted => self.setup.start.on_error == OnError::Continue,
            _ => false,
        }
    }

    /// Executes a cell's code and takes in all that the kernel says about it.
    async fn execute(
        &mut self,
        live: &mut LiveKernel,
        cell: &CellRef,
        dispatch: &Dispatch,
    ) -> Result<Reply, KernelError> {
        let kernel = Arc::clone(&live.kernel);
        let mut execution = match kernel.execute(self.request(live, cell, dispatch)).await {
            Err(KernelError::Died(death)) => return Ok(CellOutcome::KernelDied { death }.into()),
            result => result?,
        };
        self.take_in_execution(live, cell, &mut execution).await
    }

    /// Takes in all that the kernel says about an execution, whoever has asked for it.
    pub(super) async fn take_in_execution(
        &mut self,
        live: &mut LiveKernel,
        cell: &CellRef,
        execution: &mut Execution,
    ) -> Result<Reply, KernelError> {
        live.requested(&execution.msg_id, &cell.id);
        live.executes(execution.position);
        let taken = self.take_in_messages(live, cell, execution).await;
        live.executes(None);
        taken
    }

    async fn take_in_messages(
        &mut self,
        live: &mut LiveKernel,
        cell: &CellRef,
        execution: &mut Execution,
    ) -> Result<Reply, KernelError> {
        let kernel = Arc::clone(&live.kernel);
        let mut reply = Reply::from(CellOutcome::Incomplete);
        let mut answer: Option<Answer> = None;
        let ended = loop {
            let due = self.saver.due();
            tokio::select! {
                message = execution.messages.next() => match message {
                    Some(Ok(message)) if message.channel == Channel::Stdin => answer = self.ask(cell, &message),
                    Some(Ok(message)) => {
                        if let Some(replied) = self.take(live, cell, message).await {
                            reply = replied;
                        }
                    }
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                },
                Some(message) = live.strays.next() => self.take_stray(live, message).await,
                step = self.limits.next_step() => self.escalate(&*kernel, cell, step).await,
                step = self.steps.next(), if self.early.is_none() => self.cut_short(step),
                (request, text) = async { answer.as_mut().expect("checked").await }, if answer.is_some() => {
                    answer = None;
                    reply_to_input(&*kernel, &request, text).await?;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.save_point(live).await,
            }
        };
        reply.outcome = self.outcome(ended, reply.outcome)?;
        Ok(reply)
    }

    fn request(&self, live: &LiveKernel, cell: &CellRef, dispatch: &Dispatch) -> ExecuteRequest {
        let is_observed = dispatch.verify && live.helper == Helper::Current;
        let written = self.writes.get(&cell.id).map_or(&[][..], Vec::as_slice);
        ExecuteRequest {
            allow_stdin: self.setup.input.is_some(),
            stop_on_error: dispatch.stop_on_error,
            user_expressions: if is_observed {
                observer::look(written)
            } else {
                JsonMap::new()
            },
            dispatch: Some(DispatchId {
                run_id: dispatch.run_id.clone(),
                cell: dispatch.cell.id.clone(),
                attempt: dispatch.attempt,
            }),
            ..ExecuteRequest::new(&*dispatch.source)
        }
    }

    /// The scheduler does not wait for the report: the run was cancelled, or has ended without us.
    fn cut_short(&mut self, step: Option<Result<Step, SchedulerError>>) {
        if !matches!(step, Some(Ok(Step::Interrupt(_)))) {
            self.early = Some(step);
        }
        self.limits.cancel();
    }

    /// The outcome of an execution from its reply, how its messages ended, and what was done to it.
    fn outcome(&self, ended: Result<(), KernelError>, reply: CellOutcome) -> Result<CellOutcome, KernelError> {
        match (self.limits.cause(), ended) {
            (Some(Cause::Stopped(_)), _) => Ok(CellOutcome::Interrupted),
            (Some(Cause::CellTimeout(limit) | Cause::RunTimeout(limit)), _) => Ok(CellOutcome::TimedOut {
                limit: limit.as_secs_f64(),
            }),
            (None, Ok(())) => Ok(reply),
            (None, Err(KernelError::Died(death))) => Ok(CellOutcome::KernelDied { death }),
            (None, Err(KernelError::Incomplete)) => Ok(CellOutcome::Incomplete),
            (None, Err(error)) => Err(error),
        }
    }

    /// Takes in a message about the execution of `cell`; gives the reply where it is that.
    async fn take(&mut self, live: &mut LiveKernel, cell: &CellRef, message: Message) -> Option<Reply> {
        live.took(&message);
        if message.channel == Channel::Shell {
            self.record_time(cell, "shell.execute_reply", &message.header);
            return Some(Reply::from_content(&message.content).masked(self.setup.redactor.as_ref()));
        }
        match &*message.msg_type() {
            "status" => match message.content.get("execution_state").and_then(Json::as_str).as_deref() {
                Some("busy") => {
                    self.record_time(cell, "iopub.status.busy", &message.header);
                    // An interrupt that came before the kernel had begun was without effect.
                    if self.limits.cause().is_some() {
                        self.interrupt(&*live.kernel).await;
                    }
                }
                Some("idle") => self.record_time(cell, "iopub.status.idle", &message.header),
                _ => {}
            },
            "execute_input" => self.record_time(cell, "iopub.execute_input", &message.header),
            _ => self.take_output(live, Some(cell), message).await,
        }
        None
    }

    /// Takes in a message of code that goes on after its cell has ended, or of no cell at all.
    pub(super) async fn take_stray(&mut self, live: &mut LiveKernel, message: Message) {
        live.took(&message);
        let cell = live.cell_of(&message).and_then(|id| self.place_of(id));
        self.take_output(live, cell.as_ref(), message).await;
    }

    async fn take_output(&mut self, live: &mut LiveKernel, cell: Option<&CellRef>, mut message: Message) {
        if message.msg_type().starts_with("comm_") {
            return live.widgets.apply(&message);
        }
        let Some(change) = OutputChange::from_message(&mut message) else {
            return;
        };
        if let Some(parent) = message
            .parent_header
            .as_ref()
            .filter(|parent| live.widgets.captures(&parent.msg_id()))
        {
            if let Some(comm) = live.widgets.redirect(parent, change)
                && let Err(error) = live
                    .kernel
                    .send(Channel::Shell, "comm_msg", comm.content, Some(&comm.parent))
                    .await
            {
                tracing::debug!(%error, "the state of an output widget was not sent");
            }
            return;
        }
        let Some(cell) = cell else {
            self.unsolicited += 1;
            return;
        };
        match &mut self.redacting {
            Some(redacting) => {
                for change in redacting.mask(&cell.id, change) {
                    self.take_in(live, cell, change).await;
                }
            }
            None => self.take_in(live, cell, change).await,
        }
    }

    pub(super) fn apply(&mut self, live: &mut LiveKernel, cell: &CellRef, change: OutputChange) {
        let (log, summary, saver) = (&self.log, &mut self.summary, &mut self.saver);
        let tell = |event: RunEvent| {
            if let RunEvent::OutputUpdated { cell, .. } = &event {
                saver.touch(&cell.id);
            }
            summary.apply(&event);
            if log.is_read() {
                log.push(event);
            }
        };
        live.outputs
            .apply(Arc::make_mut(&mut self.notebook), cell, change, tell);
    }

    /// Records when the kernel made a message, under the key that nbclient uses, in UTC to the microsecond.
    fn record_time(&mut self, cell: &CellRef, key: &str, header: &Header) {
        if !self.setup.record_timing {
            return;
        }
        let date = header
            .date()
            .and_then(|date| date.parse().ok())
            .unwrap_or_else(jiff::Timestamp::now);
        let date = date.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        if let Some(Json::Object(execution)) = self.cell(cell).metadata_mut().get_mut("execution") {
            execution.insert(key.to_owned(), date.into());
        }
    }

    /// Passes a request for input on to whoever answers.
    fn ask(&mut self, cell: &CellRef, request: &Message) -> Option<Answer> {
        let input = Arc::clone(self.setup.input.as_ref()?);
        let prompt = request
            .content
            .get("prompt")
            .and_then(Json::as_str)
            .unwrap_or_default()
            .into_owned();
        let password = request
            .content
            .get("password")
            .and_then(Json::as_bool)
            .unwrap_or_default();
        let header = request.header.clone();
        let request = InputRequest {
            id: (*header.msg_id()).into(),
            session: self.session.clone(),
            run_id: self.run_id.clone(),
            cell: cell.clone(),
            prompt,
            password,
        };
        self.emit(RunEvent::InputRequested {
            id: request.id.clone(),
            cell: request.cell.clone(),
            prompt: request.prompt.clone(),
            password,
        });
        Some(Box::pin(async move { (header, input.answer(&request).await) }))
    }

    async fn escalate(&mut self, kernel: &dyn Kernel, cell: &CellRef, step: EscalationStep) {
        self.emit(RunEvent::Escalated {
            cell: cell.clone(),
            step,
        });
        match step {
            EscalationStep::Interrupt => self.interrupt(kernel).await,
            EscalationStep::Kill => {
                if let Err(error) = kernel.shutdown(ShutdownMode::Immediate).await {
                    self.warn(sentence(&error));
                }
            }
        }
    }

    pub(super) async fn interrupt(&mut self, kernel: &dyn Kernel) {
        if let Err(error) = kernel.interrupt().await {
            self.warn(sentence(&error));
        }
    }

    async fn save_point(&mut self, live: &mut LiveKernel) {
        self.take_strays(live).await;
        match self.saver.save(&self.notebook, Durability::Process).await {
            Ok(kept) => {
                if let Some(error) = self.note_kept(live, kept).await {
                    self.warn_once(format!("the notebook is saved later: {}", sentence(&error)));
                }
            }
            Err(error) => self.warn_once(format!("the notebook was not saved: {}", sentence(&error))),
        }
    }

    /// What is kept, the kernel need not keep; gives why the file does not have it yet.
    pub(super) async fn note_kept(&mut self, live: &mut LiveKernel, kept: Kept) -> Option<SessionError> {
        let Kept::Safely {
            left_out,
            conflicts,
            not_in_file,
        } = kept
        else {
            return None;
        };
        for conflict in conflicts {
            self.warn_once(format!("while this run saved, another program did: {conflict}"));
        }
        for cell in left_out {
            self.warn_once(format!(
                "cell {cell} was edited or removed while it was executed: its outputs were left out"
            ));
        }
        live.acknowledge().await;
        not_in_file
    }

    /// Takes in what belongs to no execution in progress and is there.
    pub(super) async fn take_strays(&mut self, live: &mut LiveKernel) {
        while let Some(Some(message)) = live.strays.next().now_or_never() {
            self.take_stray(live, message).await;
        }
    }
}

/// Answers a request for input; without an answer the execution is interrupted.
async fn reply_to_input(kernel: &dyn Kernel, request: &Header, text: Option<String>) -> Result<(), KernelError> {
    let Some(text) = text else {
        return kernel.interrupt().await;
    };
    let content = [
        ("value".to_owned(), Json::from(text)),
        ("status".to_owned(), "ok".into()),
    ]
    .into_iter()
    .collect();
    match kernel.send(Channel::Stdin, "input_reply", content, Some(request)).await {
        // The execution's own stream tells of the death.
        Err(KernelError::Died(_)) => Ok(()),
        sent => sent.map(drop),
    }
}
