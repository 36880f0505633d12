//! The loop of a run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::kernel::{
    Channel, ExecuteRequest, Header, Kernel, KernelError, KernelProvisioner, LaunchRequest, Message, ShutdownMode,
};
use crate::model::{CellRef, Json, JsonMap, RunId};
use crate::scheduler::SkipReason;
use crate::session::notebook::{Cell, Durability, Notebook};

use super::FinishedRun;
use super::cell_outputs::{CellOutputs, OutputChange};
use super::event::{CellOutcome, EscalationStep, RunEvent, RunOutcome};
use super::event_log::EventLog;
use super::limits::{Cause, Limits, StopRequest};
use super::outcome::{failed, outcome_of_reply, sentence};
use super::plan::{EXPECTED_ERROR_TAG, Plan};
use super::request::{InputSource, OnError, RunRequest};
use super::saver::Saver;
use super::summary::Summary;
use super::widgets::Widgets;

/// How long a kernel that is asked to end may take before it is told to; jupyter_client waits as long.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(2500);

/// Everything that one run knows.
pub(super) struct RunLoop {
    run_id: RunId,
    notebook: Arc<Notebook>,
    plan: Plan,
    launch: LaunchRequest,
    cell_timeout: Option<Duration>,
    on_error: OnError,
    record_timing: bool,
    input: Option<Arc<dyn InputSource>>,
    limits: Limits,
    saver: Saver,
    log: EventLog,
    summary: Summary,
    outputs: CellOutputs,
    widgets: Widgets,
    /// The requests of this run, by `msg_id`.
    requests: HashMap<String, CellRef>,
    /// Outputs that belong to no request of this run.
    unsolicited: usize,
}

/// An answer that is awaited, and the header of the request for it.
type Answer = BoxFuture<'static, (Header, Option<String>)>;

impl RunLoop {
    pub(super) fn new(
        run_id: RunId,
        request: RunRequest,
        plan: Plan,
        log: EventLog,
        requests: watch::Receiver<StopRequest>,
    ) -> Self {
        Self {
            run_id,
            notebook: Arc::new(request.notebook),
            plan,
            launch: request.kernel,
            cell_timeout: request.cell_timeout,
            on_error: request.on_error,
            record_timing: request.record_timing,
            input: request.input,
            limits: Limits::new(requests, request.run_timeout, request.patience),
            saver: Saver::new(request.save),
            log,
            summary: Summary::default(),
            outputs: CellOutputs::default(),
            widgets: Widgets::default(),
            requests: HashMap::new(),
            unsolicited: 0,
        }
    }

    fn emit(&mut self, event: RunEvent) {
        self.summary.apply(&event);
        if self.log.is_read() {
            self.log.push(event);
        }
    }

    fn warn(&mut self, message: String) {
        self.emit(RunEvent::Warning { message });
    }

    fn notebook(&mut self) -> &mut Notebook {
        Arc::make_mut(&mut self.notebook)
    }

    fn cell(&mut self, cell: &CellRef) -> &mut Cell {
        &mut self.notebook().cells_mut()[cell.index]
    }

    /// Runs to the end, whatever happens.
    pub(super) async fn run(mut self, provisioner: Arc<dyn KernelProvisioner>) -> FinishedRun {
        let started = Instant::now();
        let _closer = self.log.closer();
        self.announce();
        let nothing_to_resume =
            self.plan.cells.is_empty() && self.plan.skipped.iter().any(|(_, reason)| *reason == SkipReason::Fresh);
        let outcome = if nothing_to_resume {
            RunOutcome::Ok
        } else {
            match self.launch(provisioner).await {
                Ok(kernel) => self.run_on(kernel).await,
                Err(outcome) => outcome,
            }
        };
        self.emit(RunEvent::RunFinished {
            outcome,
            seconds: started.elapsed().as_secs_f64(),
        });
        FinishedRun {
            notebook: self.notebook,
            summary: self.summary,
        }
    }

    fn announce(&mut self) {
        let (run_id, kernel) = (self.run_id.clone(), self.launch.spec.name.clone());
        self.emit(RunEvent::RunStarted {
            run_id,
            kernel,
            cells: self.plan.cells.len(),
        });
        for (cell, reason) in self.plan.skipped.clone() {
            self.emit(RunEvent::CellSkipped { cell, reason });
        }
        if let Some((cell, above)) = self.plan.resumed.take() {
            self.warn(format!(
                "resuming at cell #{} ({}): the kernel is new, so what is above it is executed again first ({above} cells)",
                cell.index, cell.id
            ));
        }
    }

    async fn launch(&mut self, provisioner: Arc<dyn KernelProvisioner>) -> Result<Arc<dyn Kernel>, RunOutcome> {
        let started = Instant::now();
        let launched = tokio::select! {
            launched = provisioner.launch(self.launch.clone()) => launched,
            _ = self.limits.next_step() => return Err(self.stopped(None)),
        };
        let kernel = launched.map_err(|error| failed(error.kind(), &error))?;
        self.emit(RunEvent::KernelStarted {
            seconds: started.elapsed().as_secs_f64(),
        });
        Ok(kernel)
    }

    /// How the run ends when it is ended from outside.
    fn stopped(&self, cell: Option<&CellRef>) -> RunOutcome {
        match self.limits.cause() {
            Some(Cause::Stopped(cause)) => RunOutcome::Interrupted { cause },
            _ => RunOutcome::TimedOut { cell: cell.cloned() },
        }
    }

    async fn run_on(&mut self, kernel: Arc<dyn Kernel>) -> RunOutcome {
        if let Some(language) = kernel.info().language_info().cloned() {
            self.notebook()
                .metadata_mut()
                .insert("language_info".to_owned(), language);
        }
        let cells = std::mem::take(&mut self.plan.cells);
        for cell in &cells {
            let index = cell.index;
            self.outputs
                .reset(&mut Arc::make_mut(&mut self.notebook).cells_mut()[index]);
        }
        let mut strays = kernel.unsolicited();
        let mut outcome = RunOutcome::Ok;
        for (position, cell) in cells.into_iter().enumerate() {
            if let Some(end) = self.run_cell(&*kernel, &mut strays, &cell, position).await {
                outcome = end;
                break;
            }
        }
        while let Some(Some(message)) = strays.next().now_or_never() {
            self.take_stray(&*kernel, message).await;
        }
        self.finish(&*kernel, outcome).await
    }

    /// Saves the notebook while the kernel ends.
    async fn finish(&mut self, kernel: &dyn Kernel, outcome: RunOutcome) -> RunOutcome {
        if let Some(widgets) = self.widgets.metadata() {
            self.notebook().metadata_mut().insert("widgets".to_owned(), widgets);
        }
        if self.unsolicited > 0 {
            self.warn(format!(
                "{} outputs belonged to no cell of this run and were not kept",
                self.unsolicited
            ));
        }
        let mode = match outcome {
            RunOutcome::KernelDied { .. } | RunOutcome::Interrupted { .. } => ShutdownMode::Immediate,
            _ => ShutdownMode::Graceful(SHUTDOWN_PATIENCE),
        };
        let saved = self.saver.save(&self.notebook, Durability::Power);
        let (saved, ended) = tokio::join!(saved, kernel.shutdown(mode));
        if let Err(error) = ended {
            self.warn(sentence(&error));
        }
        match saved {
            Ok(()) => outcome,
            Err(error) => {
                self.warn(format!("the notebook was not saved: {}", sentence(&error)));
                if outcome == RunOutcome::Ok {
                    failed(error.kind(), &error)
                } else {
                    outcome
                }
            }
        }
    }

    /// Executes one cell; gives the run's outcome where it ends with this cell.
    async fn run_cell(
        &mut self,
        kernel: &dyn Kernel,
        strays: &mut BoxStream<'static, Message>,
        cell: &CellRef,
        position: usize,
    ) -> Option<RunOutcome> {
        let allowed = self.on_error == OnError::Continue || self.cell(cell).has_tag(EXPECTED_ERROR_TAG);
        let execution_count = i64::try_from(position).unwrap_or(i64::MAX) + 1;
        if self.record_timing {
            let empty = Json::Object(JsonMap::new());
            self.cell(cell).metadata_mut().insert("execution".to_owned(), empty);
        }
        self.emit(RunEvent::CellStarted {
            cell: cell.clone(),
            position,
        });
        let started = Instant::now();
        self.limits.begin_cell(self.cell_timeout);
        let outcome = self.execute(kernel, strays, cell, allowed).await;
        self.cell(cell).set_execution_count(Some(execution_count));
        let (outcome, failure) = match outcome {
            Ok(outcome) => (outcome, None),
            Err(error) => (CellOutcome::Incomplete, Some(failed(error.kind(), &error))),
        };
        let end = self.end_of_run(cell, &outcome, allowed).or(failure);
        self.emit(RunEvent::CellFinished {
            cell: cell.clone(),
            accepted: end.is_none() && (outcome == CellOutcome::Ok || allowed),
            outcome,
            execution_count,
            seconds: started.elapsed().as_secs_f64(),
        });
        self.saver.cell_ended();
        end
    }

    fn end_of_run(&self, cell: &CellRef, outcome: &CellOutcome, allowed: bool) -> Option<RunOutcome> {
        match outcome {
            CellOutcome::Ok => None,
            CellOutcome::Error { .. } | CellOutcome::Aborted if allowed => None,
            CellOutcome::Error { .. } | CellOutcome::Aborted | CellOutcome::Incomplete => {
                Some(RunOutcome::CellFailed { cell: cell.clone() })
            }
            CellOutcome::Interrupted | CellOutcome::TimedOut { .. } => Some(self.stopped(Some(cell))),
            CellOutcome::KernelDied { .. } => Some(RunOutcome::KernelDied { cell: cell.clone() }),
        }
    }

    /// Executes a cell's code and takes in all that the kernel says about it.
    async fn execute(
        &mut self,
        kernel: &dyn Kernel,
        strays: &mut BoxStream<'static, Message>,
        cell: &CellRef,
        allowed: bool,
    ) -> Result<CellOutcome, KernelError> {
        let request = ExecuteRequest {
            allow_stdin: self.input.is_some(),
            stop_on_error: !allowed,
            ..ExecuteRequest::new(self.cell(cell).source())
        };
        let mut execution = match kernel.execute(request).await {
            Err(KernelError::Died(death)) => return Ok(CellOutcome::KernelDied { death }),
            result => result?,
        };
        self.requests.insert(execution.msg_id.clone(), cell.clone());
        let mut reply = CellOutcome::Incomplete;
        let mut answer: Option<Answer> = None;
        let ended = loop {
            let due = self.saver.due();
            tokio::select! {
                message = execution.messages.next() => match message {
                    Some(Ok(message)) if message.channel == Channel::Stdin => answer = self.ask(cell, &message),
                    Some(Ok(message)) => {
                        if let Some(outcome) = self.take(kernel, cell, message).await {
                            reply = outcome;
                        }
                    }
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                },
                Some(message) = strays.next() => self.take_stray(kernel, message).await,
                step = self.limits.next_step() => self.escalate(kernel, cell, step).await,
                (request, text) = async { answer.as_mut().expect("checked").await }, if answer.is_some() => {
                    answer = None;
                    reply_to_input(kernel, &request, text).await?;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.save_point().await,
            }
        };
        self.outcome(ended, reply)
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

    /// Takes in a message about the execution of `cell`; gives the outcome where it is the reply.
    async fn take(&mut self, kernel: &dyn Kernel, cell: &CellRef, message: Message) -> Option<CellOutcome> {
        if message.channel == Channel::Shell {
            self.record_time(cell, "shell.execute_reply", &message.header);
            return Some(outcome_of_reply(&message.content));
        }
        match &*message.msg_type() {
            "status" => match message.content.get("execution_state").and_then(Json::as_str).as_deref() {
                Some("busy") => {
                    self.record_time(cell, "iopub.status.busy", &message.header);
                    // An interrupt that came before the kernel had begun was without effect.
                    if self.limits.cause().is_some() {
                        self.interrupt(kernel).await;
                    }
                }
                Some("idle") => self.record_time(cell, "iopub.status.idle", &message.header),
                _ => {}
            },
            "execute_input" => self.record_time(cell, "iopub.execute_input", &message.header),
            _ => self.take_output(kernel, Some(cell), message).await,
        }
        None
    }

    /// Takes in a message of code that goes on after its cell has ended, or of no cell at all.
    async fn take_stray(&mut self, kernel: &dyn Kernel, message: Message) {
        let cell = message.parent_id().and_then(|id| self.requests.get(&*id).cloned());
        self.take_output(kernel, cell.as_ref(), message).await;
    }

    async fn take_output(&mut self, kernel: &dyn Kernel, cell: Option<&CellRef>, mut message: Message) {
        if message.msg_type().starts_with("comm_") {
            return self.widgets.apply(&message);
        }
        let Some(change) = OutputChange::from_message(&mut message) else {
            return;
        };
        if let Some(parent) = message
            .parent_header
            .as_ref()
            .filter(|parent| self.widgets.captures(&parent.msg_id()))
        {
            if let Some(comm) = self.widgets.redirect(parent, change)
                && let Err(error) = kernel
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
        let (log, summary) = (&self.log, &mut self.summary);
        let tell = |event: RunEvent| {
            summary.apply(&event);
            if log.is_read() {
                log.push(event);
            }
        };
        self.outputs
            .apply(Arc::make_mut(&mut self.notebook), cell, change, tell);
        self.saver.changed();
    }

    /// Records when the kernel made a message, under the key that nbclient uses, in UTC to the microsecond.
    fn record_time(&mut self, cell: &CellRef, key: &str, header: &Header) {
        if !self.record_timing {
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
        let input = Arc::clone(self.input.as_ref()?);
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
        self.emit(RunEvent::InputRequested {
            cell: cell.clone(),
            prompt: prompt.clone(),
            password,
        });
        let header = request.header.clone();
        Some(Box::pin(async move { (header, input.ask(&prompt, password).await) }))
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

    async fn interrupt(&mut self, kernel: &dyn Kernel) {
        if let Err(error) = kernel.interrupt().await {
            self.warn(sentence(&error));
        }
    }

    async fn save_point(&mut self) {
        if let Err(error) = self.saver.save(&self.notebook, Durability::Process).await {
            self.warn(format!("the notebook was not saved: {}", sentence(&error)));
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
