//! What all clients of a server share.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_jupyter_core::assets::reading::AssetReader;
use mcp_jupyter_core::engine::{KeptSessions, Offload};
use mcp_jupyter_core::kernel::kept::KeptKernel;
use mcp_jupyter_core::model::{Digest, RunId, SessionId};
use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::Notebook;
use tokio_util::sync::CancellationToken;

use tokio::sync::Semaphore;

use super::answer::Refusal;
use super::audit::Audit;
use super::roots::Roots;
use super::run_log::RunLog;
use crate::args::{KernelArgs, ServeArgs};
use crate::error::CliError;
use crate::job::Kernels;
use crate::keeping;
use crate::proposals::Proposals;
use crate::services;

/// Runs that are remembered after their end.
const REMEMBERED_RUNS: usize = 256;

/// States of notebooks that are remembered, to say what has changed since.
const REMEMBERED_STATES: usize = 64;

/// A server, as one of its clients may use it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) roots: Roots,
    shared: Arc<Shared>,
}

/// What is the same for all clients.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sessions: KeptSessions,
    pub(super) kernels: Kernels,
    pub(super) kernel: KernelArgs,
    pub(super) idle_timeout: Option<std::time::Duration>,
    pub(super) policy: Policy,
    pub(super) audit: Option<Audit>,
    pub(super) proposals: Proposals,
    pub(super) offload: Option<Offload>,
    /// Cancelled when the server is asked to end: nothing is waited for any more.
    pub(super) closing: CancellationToken,
    assets: Option<AssetReader>,
    notebooks: Mutex<HashMap<SessionId, Arc<Lane>>>,
    /// One for each run that there may be at a time.
    pub(super) places: Arc<Semaphore>,
    runs: Mutex<VecDeque<(RunId, Arc<RunLog>)>>,
    states: Mutex<VecDeque<(Digest, Arc<Notebook>)>>,
}

/// What clients may do, and how much they are told at a time.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) read_only: bool,
    pub(super) allowed: Vec<String>,
    pub(super) denied: Vec<String>,
    pub(super) packages: Vec<String>,
    /// How many runs are in progress at a time.
    pub(super) runs: usize,
    /// How much text a result has, in bytes.
    pub(super) text_limit: usize,
    /// How many pixels an image has per side.
    pub(super) image_limit: u32,
    pub(super) cancel_interrupts: bool,
    /// Whether tools say what their structured content is.
    pub(super) output_schemas: bool,
}

/// One notebook: held by whoever executes in it.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) held: Arc<tokio::sync::Mutex<()>>,
    current: Mutex<Option<Arc<RunLog>>>,
}

impl Lane {
    /// The run that is in progress, or was last.
    pub(super) fn current(&self) -> Option<Arc<RunLog>> {
        lock(&self.current).clone()
    }

    pub(super) fn set_current(&self, log: &Arc<RunLog>) {
        *lock(&self.current) = Some(Arc::clone(log));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deref for Server {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Server {
    pub(super) async fn new(args: ServeArgs) -> Result<Arc<Self>, CliError> {
        let roots = Roots::new(&args.root)?;
        let kernels = keeping::kernels(&args.kernel);
        let sessions = keeping::open(&args.state, kernels.provisioner().clone()).await?;
        let sessions = keeping::scheduled(sessions, &args.state).await?;
        let offload = offload(&args).await?;
        let shared = Shared {
            sessions: sessions.with_kernel_limit(args.idle.max_kernels),
            kernels,
            idle_timeout: args.idle.limit(),
            policy: Policy {
                read_only: args.read_only,
                allowed: args.allow_tools,
                denied: args.deny_tools,
                packages: args.allow_packages,
                runs: args.max_runs,
                text_limit: usize::try_from(args.text_limit).unwrap_or(usize::MAX),
                image_limit: args.image_limit,
                cancel_interrupts: args.cancel_interrupts,
                output_schemas: !args.no_output_schemas,
            },
            proposals: Proposals::of(&args.state)?,
            audit: args.audit.as_deref().map(Audit::open).transpose()?,
            assets: offload
                .as_ref()
                .map(|offload| AssetReader::new(Arc::clone(&offload.store))),
            offload,
            closing: CancellationToken::new(),
            kernel: args.kernel,
            notebooks: Mutex::default(),
            places: Arc::new(Semaphore::new(args.max_runs.min(Semaphore::MAX_PERMITS))),
            runs: Mutex::default(),
            states: Mutex::default(),
        };
        Ok(Arc::new(Self {
            roots,
            shared: Arc::new(shared),
        }))
    }

    /// The same server for a client that is to use these folders only.
    pub(super) fn narrowed(&self, folders: &[PathBuf]) -> Arc<Self> {
        Arc::new(Self {
            roots: self.roots.narrowed(folders),
            shared: Arc::clone(&self.shared),
        })
    }

    /// The reader of the assets, which remembers where their lines are.
    pub(super) fn assets(&self) -> Result<&AssetReader, Refusal> {
        self.assets
            .as_ref()
            .ok_or_else(|| Refusal::new("this server keeps no assets").with_advice("it was started with --assets none"))
    }

    pub(super) fn lane(&self, id: &SessionId) -> Arc<Lane> {
        Arc::clone(lock(&self.notebooks).entry(id.clone()).or_default())
    }

    /// The session of a notebook that a client names; a new one where it has none.
    pub(super) async fn session(&self, named: &str) -> Result<SessionRecord, Refusal> {
        let path = self.notebook_file(named)?;
        // What is no notebook gets no session.
        let checked = path.clone();
        tokio::task::spawn_blocking(move || Notebook::open(&checked))
            .await
            .map_err(|error| Refusal::new(format!("{named}: reading it failed: {error}")))?
            .map_err(|error| Refusal::new(format!("{named}: {}", crate::error::chain(&error))))?;
        Ok(self.sessions.store().open(&path).await?)
    }

    /// The kernel of a notebook, for whoever only looks at it or interrupts it.
    pub(super) async fn kernel_of(&self, named: &str) -> Result<KeptKernel, Refusal> {
        let path = self.notebook_file(named)?;
        let no_kernel = || Refusal::new(format!("{named} has no kernel")).with_advice("run or kernel_start starts one");
        let record = self.sessions.store().find(&path).await?.ok_or_else(no_kernel)?;
        self.sessions.observe(&record).await?.ok_or_else(no_kernel)
    }

    pub(super) fn notebook_file(&self, named: &str) -> Result<PathBuf, Refusal> {
        let path = self.roots.existing(named)?;
        if path.is_file() && path.extension().is_some_and(|extension| extension == "ipynb") {
            return Ok(path);
        }
        Err(
            Refusal::new(format!("{named} is no notebook: its name has to end in .ipynb"))
                .with_advice("notebook_list shows the notebooks"),
        )
    }

    /// A notebook as it is, with all results that were recorded.
    pub(super) async fn read(&self, named: &str) -> Result<(PathBuf, Arc<Notebook>), Refusal> {
        let (path, notebook) = self.peek(named).await?;
        self.remember_state(&notebook);
        Ok((path, notebook))
    }

    /// As [`Server::read`], for whoever shows it to nobody.
    pub(super) async fn peek(&self, named: &str) -> Result<(PathBuf, Arc<Notebook>), Refusal> {
        let path = self.notebook_file(named)?;
        let notebook = match self.sessions.store().find(&path).await? {
            Some(record) => self.sessions.store().snapshot(&record.id).await?.notebook,
            None => Arc::new(read_file(path.clone()).await?),
        };
        Ok((path, notebook))
    }

    pub(super) fn remember_state(&self, notebook: &Arc<Notebook>) {
        let revision = notebook.revision();
        let mut states = lock(&self.states);
        states.retain(|(known, _)| *known != revision);
        states.push_back((revision, Arc::clone(notebook)));
        if states.len() > REMEMBERED_STATES {
            states.pop_front();
        }
    }

    /// A state of a notebook that a client has seen, by the start of its revision.
    pub(super) fn state(&self, revision: &str) -> Option<Arc<Notebook>> {
        let states = lock(&self.states);
        let mut found = states.iter().filter(|(known, _)| known.hex().starts_with(revision));
        let state = found.next_back().map(|(_, notebook)| Arc::clone(notebook));
        state.filter(|_| !revision.is_empty())
    }

    pub(super) fn remember_run(&self, id: RunId, log: &Arc<RunLog>) {
        let mut runs = lock(&self.runs);
        runs.push_back((id, Arc::clone(log)));
        while runs.len() > REMEMBERED_RUNS {
            let Some(ended) = runs.iter().position(|(_, log)| log.has_ended()) else {
                return;
            };
            runs.remove(ended);
        }
    }

    /// A run of this server, by the start of its id.
    pub(super) fn run(&self, id: &str) -> Option<Arc<RunLog>> {
        let runs = lock(&self.runs);
        let is_meant = |known: &RunId, log: &RunLog| known.as_str().starts_with(id) && self.roots.contains(&log.path);
        let mut found = runs.iter().filter(|(known, log)| is_meant(known, log));
        let (first, second) = (found.next(), found.next());
        match (first, second) {
            (Some((_, log)), None) if !id.is_empty() => Some(Arc::clone(log)),
            _ => None,
        }
    }

    /// The run that waits for the answer to this question.
    pub(super) fn asking(&self, question: &str) -> Option<Arc<RunLog>> {
        let runs = lock(&self.runs);
        let asks =
            |log: &RunLog| log.question().is_some_and(|asked| asked.id == question) && self.roots.contains(&log.path);
        runs.iter().find(|(_, log)| asks(log)).map(|(_, log)| Arc::clone(log))
    }

    /// The runs that this server remembers, the newest first.
    pub(super) fn runs(&self) -> Vec<(RunId, Arc<RunLog>)> {
        let runs = lock(&self.runs);
        let runs = runs.iter().rev().filter(|(_, log)| self.roots.contains(&log.path));
        runs.cloned().collect()
    }

    pub(super) fn shown(&self, path: &Path) -> String {
        self.roots.shown(path)
    }
}

async fn read_file(path: PathBuf) -> Result<Notebook, Refusal> {
    let read = tokio::task::spawn_blocking(move || Notebook::open(&path)).await;
    let read = read.map_err(|error| Refusal::new(format!("reading the notebook failed: {error}")))?;
    Ok(read?)
}

/// Where large outputs go: beside the state of sessions, unless something else is asked for.
async fn offload(args: &ServeArgs) -> Result<Option<Offload>, CliError> {
    let address = match args.assets.as_deref() {
        Some("none") => return Ok(None),
        Some(address) => address.to_owned(),
        None => {
            let state = keeping::folder(&args.state)?;
            std::path::absolute(state.join("assets"))
                .unwrap_or_else(|_| state.join("assets"))
                .display()
                .to_string()
        }
    };
    services::offload(Some(&address), None, &args.state.services.connection).await
}
