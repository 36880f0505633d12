//! When and how a run saves its notebook.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::assets::ObjectFile;
use crate::model::{CellId, JsonMap, SessionId};
use crate::session::notebook::{Durability, MergeConflict, Notebook, SharedFile};
use crate::session::{CellResult, ExecutionEnd, SessionError, SessionStore};

use super::request::SavePolicy;
use super::setup::Setup;

/// Under [`SavePolicy::EveryCell`], what a long cell prints is saved this often.
const WITHIN_CELL: Duration = Duration::from_secs(30);

/// For every second of saving, so many of running.
const BUDGET: u32 = 19;

/// Where the results of a run are recorded, and merged into a file that others write too.
#[derive(Clone, Debug)]
pub struct StoredIn {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// The session in it.
    pub id: SessionId,
    /// Where the notebook is.
    pub path: PathBuf,
}

/// What a save has come to.
#[derive(Debug)]
pub(super) enum Kept {
    /// There is nothing to save into, or not now.
    Not,
    /// Another process finds it whatever happens to this one.
    Safely {
        /// Cells whose results were left out, because they have another source by now.
        left_out: Vec<CellId>,
        /// Where another program has changed the same as we did.
        conflicts: Vec<MergeConflict>,
        /// Why it is not in the notebook's file yet.
        not_in_file: Option<SessionError>,
    },
}

impl Kept {
    fn whole() -> Self {
        Self::Safely {
            left_out: Vec::new(),
            conflicts: Vec::new(),
            not_in_file: None,
        }
    }
}

/// Decides when to save: saving is bounded to a share of the run, so that it never makes a long run quadratic.
#[derive(Debug)]
pub(super) struct Saver {
    target: Target,
    policy: Option<SavePolicy>,
    last: Instant,
    /// The earliest time at which the budget allows another save.
    allowed: Instant,
    due: Option<Instant>,
    results: Results,
}

/// What has changed since the last save.
#[derive(Debug, Default)]
struct Results {
    cells: BTreeSet<CellId>,
    ends: HashMap<CellId, ExecutionEnd>,
    /// The notebook's metadata as it was saved last.
    metadata: JsonMap,
}

impl Results {
    /// Takes what there is to record.
    fn take(&mut self, notebook: &Notebook) -> Vec<CellResult> {
        let metadata = notebook.metadata().iter();
        let news = metadata.filter(|(name, value)| self.metadata.get(*name) != Some(*value));
        let mut news: JsonMap = news.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut results = Vec::new();
        for id in std::mem::take(&mut self.cells) {
            let Some(cell) = notebook.cell(&id) else { continue };
            let execution = cell.metadata().get_key_value("execution");
            results.push(CellResult {
                source: cell.source_digest(),
                outputs: cell.outputs().to_vec(),
                execution_count: cell.execution_count(),
                metadata: execution
                    .into_iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                notebook_metadata: std::mem::take(&mut news),
                end: self.ends.remove(&id),
                cell: id,
            });
        }
        if !results.is_empty() {
            self.metadata.clone_from(notebook.metadata());
        }
        results
    }
}

/// Where to save.
#[derive(Clone, Debug)]
enum Target {
    Nowhere,
    File(PathBuf),
    Object(ObjectFile),
    /// Into what others write too; this is the notebook before the run.
    Shared(Arc<Mutex<SharedFile>>, Arc<Notebook>),
    Stored(StoredIn),
}

impl Target {
    /// A shared file that cannot be merged into just now is, later.
    async fn save(self, notebook: Arc<Notebook>, results: Vec<CellResult>, durability: Durability) -> Saved {
        match self {
            Self::Nowhere => Ok(Kept::Not),
            Self::File(path) => blocking(move || notebook.save(&path, durability))
                .await
                .map(|()| Kept::whole()),
            Self::Object(object) => put(&object, &notebook).await.map(|()| Kept::whole()),
            Self::Shared(file, before) => blocking(move || Ok(write_back(&file, &before, &notebook))).await,
            Self::Stored(stored) => stored.save(results, durability).await,
        }
    }
}

async fn put(object: &ObjectFile, notebook: &Arc<Notebook>) -> Result<(), SessionError> {
    let notebook = Arc::clone(notebook);
    let content = blocking(move || Ok(notebook.to_bytes())).await?;
    let written = object.write(content.into()).await;
    written.map_err(|error| SessionError::Io {
        action: format!("save the notebook as {object}"),
        source: std::io::Error::other(error),
    })
}

type Saved = Result<Kept, SessionError>;

fn write_back(file: &Mutex<SharedFile>, before: &Notebook, notebook: &Notebook) -> Kept {
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    match file.write_back(before, notebook) {
        Ok(_) => Kept::whole(),
        Err(error) => {
            tracing::debug!(path = %file.path().display(), %error, "results are merged later");
            Kept::Not
        }
    }
}

impl StoredIn {
    async fn save(&self, results: Vec<CellResult>, durability: Durability) -> Saved {
        if !results.is_empty() {
            self.store.record(&self.id, results).await?;
        }
        match self.store.save(&self.id, durability).await {
            Ok(saved) => Ok(Kept::Safely {
                left_out: saved.left_out,
                conflicts: saved.conflicts,
                not_in_file: None,
            }),
            Err(error @ SessionError::NotSaved { .. }) => Ok(Kept::Safely {
                left_out: Vec::new(),
                conflicts: Vec::new(),
                not_in_file: Some(error),
            }),
            Err(error) => Err(error),
        }
    }
}

/// Works on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(SessionError::Io {
            action: "save the notebook".to_owned(),
            source: std::io::Error::other(error),
        })
    })
}

impl Saver {
    /// Saves `notebook` where the setup of its run says.
    pub(super) fn new(notebook: &Arc<Notebook>, setup: &Setup) -> Self {
        let shared = setup.write_back.as_ref();
        let shared = shared.map(|file| Target::Shared(Arc::clone(file), Arc::clone(notebook)));
        let stored = setup.stored_in.clone().map(Target::Stored);
        let (target, policy) = match (&setup.save_object, &setup.save, stored.or(shared)) {
            (Some(save), ..) => (Target::Object(save.object.clone()), Some(save.policy)),
            (None, Some(save), _) => (Target::File(save.path.clone()), Some(save.policy)),
            (None, None, Some(shared)) => (shared, Some(SavePolicy::EveryCell)),
            (None, None, None) => (Target::Nowhere, None),
        };
        let mut saver = Self::with_target(target, policy);
        saver.results.metadata.clone_from(notebook.metadata());
        saver
    }

    /// What a cell has is another thing now.
    pub(super) fn touch(&mut self, cell: &CellId) {
        if matches!(self.target, Target::Stored(_)) && !self.results.cells.contains(cell) {
            self.results.cells.insert(cell.clone());
        }
    }

    /// An execution has ended.
    pub(super) fn ended(&mut self, cell: &CellId, end: ExecutionEnd) {
        self.touch(cell);
        if matches!(self.target, Target::Stored(_)) {
            self.results.ends.insert(cell.clone(), end);
        }
    }

    fn with_target(target: Target, policy: Option<SavePolicy>) -> Self {
        let now = Instant::now();
        Self {
            target,
            policy,
            last: now,
            allowed: now,
            due: None,
            results: Results::default(),
        }
    }

    /// Something in the notebook has changed; a save is due some time.
    pub(super) fn changed(&mut self) {
        let period = match self.policy {
            None | Some(SavePolicy::OnExit) => return,
            Some(SavePolicy::EveryCell) => WITHIN_CELL,
            Some(SavePolicy::Interval(period)) => period,
        };
        self.due.get_or_insert(self.allowed.max(self.last + period));
    }

    /// A cell has ended: under [`SavePolicy::EveryCell`] a save is due.
    pub(super) fn cell_ended(&mut self) {
        match self.policy {
            Some(SavePolicy::EveryCell) => self.due = Some(self.allowed),
            _ => self.changed(),
        }
    }

    /// When the next save is due; none while nothing is to be saved.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Saves, without blocking.
    pub(super) async fn save(&mut self, notebook: &Arc<Notebook>, durability: Durability) -> Saved {
        if self.policy.is_none() {
            return Ok(Kept::Not);
        }
        let started = Instant::now();
        let results = match self.target {
            Target::Stored(_) => self.results.take(notebook),
            _ => Vec::new(),
        };
        let cells: Vec<CellId> = results.iter().map(|result| result.cell.clone()).collect();
        let saved = self
            .target
            .clone()
            .save(Arc::clone(notebook), results, durability)
            .await;
        if saved.is_err() {
            self.results.cells.extend(cells);
        }
        self.last = Instant::now();
        self.allowed = self.last + BUDGET * (self.last - started);
        self.due = None;
        saved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saver(policy: SavePolicy) -> Saver {
        Saver::with_target(Target::File("notebook.ipynb".into()), Some(policy))
    }

    #[tokio::test(start_paused = true)]
    async fn a_cell_is_saved_at_its_end_and_now_and_then_before() {
        let mut saver = saver(SavePolicy::EveryCell);
        let start = Instant::now();
        saver.changed();
        assert_eq!(saver.due(), Some(start + WITHIN_CELL));
        saver.cell_ended();
        assert_eq!(saver.due(), Some(start));
    }

    #[tokio::test(start_paused = true)]
    async fn saving_waits_for_its_budget() {
        let mut saver = saver(SavePolicy::EveryCell);
        saver.allowed = Instant::now() + Duration::from_secs(7);
        saver.cell_ended();
        assert_eq!(saver.due(), Some(saver.allowed));
    }

    #[tokio::test(start_paused = true)]
    async fn on_exit_nothing_is_due_before() {
        let mut saver = saver(SavePolicy::OnExit);
        saver.changed();
        saver.cell_ended();
        assert_eq!(saver.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_counts_from_the_last_save() {
        let mut saver = saver(SavePolicy::Interval(Duration::from_secs(5)));
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        saver.changed();
        saver.cell_ended();
        assert_eq!(saver.due(), Some(start + Duration::from_secs(5)));
    }
}
