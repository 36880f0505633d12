use crate::model::CellId;
use crate::scheduler::journal::Change;
use crate::scheduler::{CodeCell, Document, KernelEpoch, Live, Observation, Outcome, Planner};

/// What the scheduler knows of a session's notebook and kernel. It changes by [`Change`]s alone, so that a journal can
/// repeat them.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    planner: Planner,
    in_flight: Option<InFlight>,
    generation: u64,
}

/// The cell that is being executed.
#[derive(Debug)]
struct InFlight {
    cell: CellId,
    delete_before: Vec<String>,
    /// The kernel process that executes it.
    epoch: KernelEpoch,
    /// The document that it was taken from, where that is not the present one any more.
    document: Option<Document>,
}

impl Knowledge {
    pub(super) fn new(live: Live, document: Document) -> Self {
        let mut planner = Planner::new(live);
        planner.sync(document);
        Self {
            planner,
            ..Self::default()
        }
    }

    pub(super) fn planner(&self) -> &Planner {
        &self.planner
    }

    pub(super) fn epoch(&self) -> KernelEpoch {
        self.planner.epoch()
    }

    /// The cell that is being executed, as it was handed out, and the names that were deleted before.
    pub(super) fn in_flight(&self) -> Option<(CodeCell, Vec<String>)> {
        let in_flight = self.in_flight.as_ref()?;
        let document = in_flight.document.as_ref().unwrap_or(self.planner.document());
        let cell = document.cells.iter().find(|cell| cell.id == in_flight.cell)?;
        Some((cell.clone(), in_flight.delete_before.clone()))
    }

    pub(super) fn is_executing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Rises with everything that may change a plan.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes in a change; gives warnings about what the analysis had not foreseen.
    pub(super) fn apply(&mut self, change: &Change) -> Vec<String> {
        self.generation += 1;
        match change {
            Change::Synced(document) => self.synced(document.clone()),
            Change::Begun { cell, delete_before } => {
                self.in_flight = Some(InFlight {
                    cell: cell.clone(),
                    delete_before: delete_before.clone(),
                    epoch: self.epoch(),
                    document: None,
                });
            }
            Change::Ended { outcome, observation } => return self.ended(outcome, observation.as_ref()),
            Change::Deleted(names) => self.planner.deleted(names),
            Change::Epoch(epoch) => self.planner.kernel_epoch(*epoch),
        }
        Vec::new()
    }

    fn synced(&mut self, document: Document) {
        if let Some(in_flight) = &mut self.in_flight
            && in_flight.document.is_none()
        {
            in_flight.document = Some(self.planner.document().clone());
        }
        self.planner.sync(document);
    }

    fn ended(&mut self, outcome: &Outcome, observation: Option<&Observation>) -> Vec<String> {
        let Some(in_flight) = self.in_flight.take() else {
            return Vec::new();
        };
        // Handed out for a kernel process that is gone, it may have been executed by that one or by the present one.
        let is_overtaken = in_flight.epoch != self.epoch();
        if is_overtaken && *outcome == Outcome::KernelDied {
            return Vec::new();
        }
        let (outcome, observation) = match (outcome, is_overtaken) {
            (outcome, false) | (outcome @ Outcome::Aborted, true) => (outcome, observation),
            (_, true) => (&Outcome::Lost, None),
        };
        // It is the source that was handed out that was executed, in the place where it stood then. Every source of
        // both documents has been analysed, so going back and forth is cheap.
        let present = in_flight.document.map(|document| {
            let present = self.planner.document().clone();
            self.planner.sync(document);
            present
        });
        if *outcome != Outcome::Aborted && !in_flight.delete_before.is_empty() {
            self.planner.deleted(&in_flight.delete_before);
        }
        let warnings = self.planner.executed(&in_flight.cell, outcome, observation);
        if let Some(present) = present {
            self.planner.sync(present);
        }
        warnings
    }
}
