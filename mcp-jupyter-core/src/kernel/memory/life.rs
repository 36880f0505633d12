//! One life of a scripted kernel: the task that takes requests in order, as a process would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_core::stream::BoxStream;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::kernel::{Death, ExecuteRequest, Header, KernelError, KernelState, Message};
use crate::model::JsonMap;

use super::execution::Answers;
use super::interpreter::Names;
use super::outlet::{self, Outlet, Voice};
use super::script::Script;
use super::{RunningGuard, killed};

/// Requests that may wait for the kernel; the sender waits where there are more.
const SHELL_LIMIT: usize = 1024;

/// Answers to requests for input that may wait for the kernel.
const STDIN_LIMIT: usize = 16;

/// What the kernel is asked on shell.
#[derive(Debug)]
pub(super) enum ShellRequest {
    Execute {
        number: u64,
        request: ExecuteRequest,
        voice: Voice,
    },
    Other {
        header: Header,
        msg_type: String,
        content: JsonMap,
        reply: oneshot::Sender<Result<JsonMap, KernelError>>,
    },
    Comm {
        header: Header,
        msg_type: String,
        content: JsonMap,
    },
}

/// A kernel that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) outlet: Outlet,
    shell: mpsc::Sender<ShellRequest>,
    /// The `msg_id` of a request for input, and the answer.
    pub(super) stdin: mpsc::Sender<(String, String)>,
    signals: Arc<Signals>,
}

/// What reaches a kernel whatever it is doing.
#[derive(Debug)]
pub(super) struct Signals {
    pub(super) death: watch::Sender<Option<Death>>,
    /// Set by a `shutdown_request`: end when the execution in progress has ended.
    asked_to_end: watch::Sender<bool>,
    /// The number of the execution that has been interrupted.
    pub(super) interrupted: watch::Sender<u64>,
    /// The number of the last execution that was handed over, and of the last that has ended.
    pub(super) handed_over: AtomicU64,
    pub(super) ended: AtomicU64,
}

impl Signals {
    /// Ends the kernel; the first way to die is the one that counts.
    pub(super) fn kill(&self, death: Death) {
        self.death.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(death);
            }
            first
        });
    }
}

/// What the kernel keeps between requests.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) script: Arc<Script>,
    pub(super) outlet: Outlet,
    pub(super) signals: Arc<Signals>,
    pub(super) answers: Answers,
    pub(super) names: Names,
    pub(super) execution_count: i64,
    pub(super) history: Vec<(i64, String)>,
    /// Open comms, by id, with the names of their targets.
    pub(super) comms: BTreeMap<String, String>,
    /// Executions up to this number are aborted, because one before them has raised.
    pub(super) abort_through: u64,
    /// Threads that executions have started.
    pub(super) threads: JoinSet<()>,
}

impl Life {
    pub(super) fn begin(
        script: Arc<Script>,
        unsolicited: broadcast::Sender<Message>,
        state: watch::Sender<KernelState>,
        running: RunningGuard,
    ) -> Self {
        let outlet = Outlet {
            session: uuid::Uuid::new_v4().to_string(),
            unsolicited,
            state,
        };
        let signals = Arc::new(Signals {
            death: watch::Sender::new(None),
            asked_to_end: watch::Sender::new(false),
            interrupted: watch::Sender::new(0),
            handed_over: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        });
        let (shell, requests) = mpsc::channel(SHELL_LIMIT);
        let (stdin, answers) = mpsc::channel(STDIN_LIMIT);
        let process = Process {
            script,
            outlet: outlet.clone(),
            signals: Arc::clone(&signals),
            answers,
            names: Names::new(),
            execution_count: 0,
            history: Vec::new(),
            comms: BTreeMap::new(),
            abort_through: 0,
            threads: JoinSet::new(),
        };
        outlet.state.send_replace(KernelState::Idle);
        tokio::spawn(run(process, requests, running));
        Self {
            outlet,
            shell,
            stdin,
            signals,
        }
    }

    pub(super) fn watch_death(&self) -> watch::Receiver<Option<Death>> {
        self.signals.death.subscribe()
    }

    /// An error where the kernel is dead.
    pub(super) fn alive(&self) -> Result<(), KernelError> {
        match &*self.signals.death.borrow() {
            Some(death) => Err(KernelError::Died(death.clone())),
            None => Ok(()),
        }
    }

    /// The error where something was not answered: only a dead kernel does not answer.
    pub(super) async fn died(&self) -> KernelError {
        KernelError::Died(outlet::death(&mut self.watch_death()).await)
    }

    /// Hands an execution over.
    pub(super) async fn execute(
        &self,
        header: Header,
        request: ExecuteRequest,
    ) -> Result<BoxStream<'static, Result<Message, KernelError>>, KernelError> {
        self.alive()?;
        let Ok(place) = self.shell.reserve().await else {
            return Err(self.died().await);
        };
        let number = self.signals.handed_over.fetch_add(1, Ordering::SeqCst) + 1;
        let (voice, messages) = Voice::new(self.outlet.clone(), header, self.watch_death());
        place.send(ShellRequest::Execute { number, request, voice });
        Ok(messages)
    }

    /// Hands a request over.
    pub(super) async fn hand_over(&self, request: ShellRequest) -> Result<(), KernelError> {
        self.alive()?;
        match self.shell.send(request).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.died().await),
        }
    }

    /// Interrupts the oldest execution that has not ended.
    pub(super) fn interrupt(&self) {
        let oldest = self.signals.ended.load(Ordering::SeqCst) + 1;
        if oldest <= self.signals.handed_over.load(Ordering::SeqCst) {
            self.signals.interrupted.send_replace(oldest);
        }
    }

    /// Asks the kernel to end once it has nothing in progress.
    pub(super) fn ask_to_end(&self) {
        self.signals.asked_to_end.send_replace(true);
    }

    pub(super) fn kill(&self, death: Death) {
        self.signals.kill(death);
    }

    /// Returns when the kernel has ended and its state says so.
    pub(super) async fn ended(&self) {
        let mut state = self.outlet.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, KernelState::Dead(_))).await;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.signals.kill(killed());
    }
}

/// Serves requests until the kernel dies; what it had not said by then is never said.
async fn run(mut process: Process, mut requests: mpsc::Receiver<ShellRequest>, running: RunningGuard) {
    let outlet = process.outlet.clone();
    let mut watch = process.signals.death.subscribe();
    let death = tokio::select! {
        biased;
        death = outlet::death(&mut watch) => death,
        death = process.serve(&mut requests) => death,
    };
    drop((process, requests, running));
    outlet.state.send_replace(KernelState::Dead(death));
}

impl Process {
    async fn serve(&mut self, requests: &mut mpsc::Receiver<ShellRequest>) -> Death {
        let mut asked_to_end = self.signals.asked_to_end.subscribe();
        loop {
            let request = tokio::select! {
                biased;
                _ = asked_to_end.wait_for(|asked| *asked) => break,
                request = requests.recv() => request,
            };
            match request {
                Some(request) => self.handle(request).await,
                None => break,
            }
        }
        let death = Death {
            exit_code: Some(0),
            ..Death::default()
        };
        self.signals.kill(death.clone());
        death
    }

    async fn handle(&mut self, request: ShellRequest) {
        match request {
            ShellRequest::Execute { number, request, voice } => self.execute(number, request, &voice).await,
            ShellRequest::Other {
                header,
                msg_type,
                content,
                reply,
            } => {
                let _ = reply.send(self.answer(&header, &msg_type, &content));
            }
            ShellRequest::Comm {
                header,
                msg_type,
                content,
            } => self.take_comm(&header, &msg_type, &content),
        }
    }
}
