//! When and how a run saves its notebook.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::session::SessionError;
use crate::session::notebook::{Durability, Notebook};

use super::request::{Save, SavePolicy};

/// Under [`SavePolicy::EveryCell`], what a long cell prints is saved this often.
const WITHIN_CELL: Duration = Duration::from_secs(30);

/// For every second of saving, so many of running.
const BUDGET: u32 = 19;

/// Decides when to save: saving is bounded to a share of the run, so that it never makes a long run quadratic.
#[derive(Debug)]
pub(super) struct Saver {
    save: Option<Save>,
    last: Instant,
    /// The earliest time at which the budget allows another save.
    allowed: Instant,
    due: Option<Instant>,
}

impl Saver {
    pub(super) fn new(save: Option<Save>) -> Self {
        let now = Instant::now();
        Self {
            save,
            last: now,
            allowed: now,
            due: None,
        }
    }

    /// Something in the notebook has changed; a save is due some time.
    pub(super) fn changed(&mut self) {
        let period = match self.policy() {
            None | Some(SavePolicy::OnExit) => return,
            Some(SavePolicy::EveryCell) => WITHIN_CELL,
            Some(SavePolicy::Interval(period)) => period,
        };
        self.due.get_or_insert(self.allowed.max(self.last + period));
    }

    /// A cell has ended: under [`SavePolicy::EveryCell`] a save is due.
    pub(super) fn cell_ended(&mut self) {
        match self.policy() {
            Some(SavePolicy::EveryCell) => self.due = Some(self.allowed),
            _ => self.changed(),
        }
    }

    fn policy(&self) -> Option<SavePolicy> {
        self.save.as_ref().map(|save| save.policy)
    }

    /// When the next save is due; none while nothing is to be saved.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Saves on a thread that may block.
    pub(super) async fn save(&mut self, notebook: &Arc<Notebook>, durability: Durability) -> Result<(), SessionError> {
        let Some(save) = &self.save else { return Ok(()) };
        let (path, notebook, started) = (save.path.clone(), Arc::clone(notebook), Instant::now());
        let action = format!("write {}", path.display());
        let saved = tokio::task::spawn_blocking(move || notebook.save(&path, durability)).await;
        self.last = Instant::now();
        self.allowed = self.last + BUDGET * (self.last - started);
        self.due = None;
        saved.unwrap_or_else(|error| {
            Err(SessionError::Io {
                action,
                source: std::io::Error::other(error),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saver(policy: SavePolicy) -> Saver {
        Saver::new(Some(Save {
            path: "notebook.ipynb".into(),
            policy,
        }))
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
