use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::SchedulerError;
use super::types::{CellEffects, Document, Edge, KernelEpoch, Observation, Outcome, Plan, PlanRequest, SessionStatus};
use crate::model::{CellId, CellRef};

/// The pure heart of the scheduler for one session: the cells, what is live in the kernel, and plans. No input, no
/// output, no clock.
#[derive(Debug, Default)]
pub struct Planner {
    document: Document,
    live: Live,
}

/// What a kernel process holds as far as the scheduler knows: which cells it has executed, and the version of every
/// name. Journals keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The kernel process that this is about.
    pub epoch: KernelEpoch,
}

impl Planner {
    /// A planner for a kernel that holds `live`.
    pub fn new(live: Live) -> Self {
        Self {
            document: Document::default(),
            live,
        }
    }

    /// What the kernel holds.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The cells as they are.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Takes the cells as they are now. Only sources that were never seen are analysed.
    pub fn sync(&mut self, document: Document) {
        self.document = document;
    }

    /// The effects of every code cell, in notebook order.
    pub fn effects(&self) -> Vec<(CellRef, CellEffects)> {
        Vec::new()
    }

    /// All edges, by reader and then by writer.
    pub fn edges(&self) -> Vec<Edge> {
        Vec::new()
    }

    /// The cells that depend on `cell`, directly or not, in notebook order.
    pub fn downstream(&self, _cell: &CellId) -> BTreeSet<CellId> {
        BTreeSet::new()
    }

    /// What has to be executed.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchCell`], [`SchedulerError::NoSuchTag`], [`SchedulerError::NotAppendable`].
    pub fn plan(&self, _request: &PlanRequest) -> Result<Plan, SchedulerError> {
        Ok(Plan::default())
    }

    /// Notes that a cell of the present document was executed: its names are live now, in the versions that its source
    /// and its inputs give. After any other outcome than [`Outcome::Ok`] whatever it might have written counts as
    /// written, in a version that nothing expects. Gives warnings about what the analysis had not foreseen.
    pub fn executed(&mut self, _cell: &CellId, _outcome: &Outcome, _observation: Option<&Observation>) -> Vec<String> {
        Vec::new()
    }

    /// Notes that these names were deleted from the kernel.
    pub fn deleted(&mut self, _names: &[String]) {}

    /// A new kernel process: nothing is live any more. Without effect for the present epoch or an earlier one.
    pub fn kernel_epoch(&mut self, epoch: KernelEpoch) {
        if epoch > self.live.epoch {
            self.live.epoch = epoch;
        }
    }

    /// Everything about the session but its runs.
    pub fn status(&self) -> SessionStatus {
        SessionStatus {
            epoch: self.live.epoch,
            cells: self.effects(),
            edges: self.edges(),
            plan: self.plan(&PlanRequest::default()).unwrap_or_default(),
            runs: Vec::new(),
        }
    }
}
