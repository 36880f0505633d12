//! When and how a run saves its notebook.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::session::SessionError;
use crate::session::notebook::{Durability, Notebook, SharedFile};

use super::request::SavePolicy;
use super::setup::Setup;

/// Under [`SavePolicy::EveryCell`], what a long cell prints is saved this often.
const WITHIN_CELL: Duration = Duration::from_secs(30);

/// For every second of saving, so many of running.
const BUDGET: u32 = 19;

/// Decides when to save: saving is bounded to a share of the run, so that it never makes a long run quadratic.
#[derive(Debug)]
pub(super) struct Saver {
    target: Target,
    policy: Option<SavePolicy>,
    last: Instant,
    /// The earliest time at which the budget allows another save.
    allowed: Instant,
    due: Option<Instant>,
}

/// Where to save.
#[derive(Clone, Debug)]
enum Target {
    Nowhere,
    File(PathBuf),
    /// Into what others write too; this is the notebook before the run.
    Shared(Arc<Mutex<SharedFile>>, Arc<Notebook>),
}

impl Target {
    /// Tells whether it is saved; a shared file that cannot be merged into just now is, later. May block.
    fn save(&self, notebook: &Notebook, durability: Durability) -> Result<bool, SessionError> {
        match self {
            Self::Nowhere => Ok(false),
            Self::File(path) => notebook.save(path, durability).map(|()| true),
            Self::Shared(file, before) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let written = file.write_back(before, notebook);
                if let Err(error) = &written {
                    tracing::debug!(path = %file.path().display(), %error, "results are merged later");
                }
                Ok(written.is_ok())
            }
        }
    }
}

impl Saver {
    /// Saves `notebook` where the setup of its run says.
    pub(super) fn new(notebook: &Arc<Notebook>, setup: &Setup) -> Self {
        let shared = setup.write_back.as_ref();
        let shared = shared.map(|file| Target::Shared(Arc::clone(file), Arc::clone(notebook)));
        let (target, policy) = match (&setup.save, shared) {
            (Some(save), _) => (Target::File(save.path.clone()), Some(save.policy)),
            (None, Some(shared)) => (shared, Some(SavePolicy::EveryCell)),
            (None, None) => (Target::Nowhere, None),
        };
        Self::with_target(target, policy)
    }

    fn with_target(target: Target, policy: Option<SavePolicy>) -> Self {
        let now = Instant::now();
        Self {
            target,
            policy,
            last: now,
            allowed: now,
            due: None,
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

    /// Saves on a thread that may block; tells whether it is saved.
    pub(super) async fn save(
        &mut self,
        notebook: &Arc<Notebook>,
        durability: Durability,
    ) -> Result<bool, SessionError> {
        if self.policy.is_none() {
            return Ok(false);
        }
        let (target, notebook, started) = (self.target.clone(), Arc::clone(notebook), Instant::now());
        let saved = tokio::task::spawn_blocking(move || target.save(&notebook, durability)).await;
        self.last = Instant::now();
        self.allowed = self.last + BUDGET * (self.last - started);
        self.due = None;
        saved.unwrap_or_else(|error| {
            Err(SessionError::Io {
                action: "save the notebook".to_owned(),
                source: std::io::Error::other(error),
            })
        })
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
