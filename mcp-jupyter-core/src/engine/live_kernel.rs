//! A kernel, and what is known of it for as long as it lives.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use futures_core::stream::BoxStream;

use crate::kernel::{Kernel, KernelError, KernelState, Message};
use crate::model::{CellId, Json};
use crate::scheduler::KernelEpoch;

use super::cell_outputs::CellOutputs;
use super::widgets::Widgets;

/// A kernel with what belongs to it across runs.
pub(super) struct LiveKernel {
    pub(super) kernel: Arc<dyn Kernel>,
    /// What belongs to no execution in progress.
    pub(super) strays: BoxStream<'static, Message>,
    /// The cells that requests were for, by `msg_id`: the latest of each.
    requests: HashMap<String, CellId>,
    latest: HashMap<CellId, String>,
    pub(super) outputs: CellOutputs,
    pub(super) widgets: Widgets,
    pub(super) epoch: KernelEpoch,
    /// How many cells it has executed.
    pub(super) executed: i64,
    pub(super) helper: Helper,
    /// The doubts about the analysis of cells that the user has been told.
    pub(super) told: HashSet<String>,
}

/// Whether the observer knows the namespace as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Helper {
    /// The kernel has none.
    Absent,
    /// Something was executed since it has looked.
    Behind,
    /// It has looked after the last execution.
    Current,
}

impl LiveKernel {
    pub(super) fn new(kernel: Arc<dyn Kernel>, epoch: KernelEpoch) -> Self {
        Self {
            strays: kernel.unsolicited(),
            kernel,
            requests: HashMap::new(),
            latest: HashMap::new(),
            outputs: CellOutputs::default(),
            widgets: Widgets::default(),
            epoch,
            executed: 0,
            helper: Helper::Absent,
            told: HashSet::new(),
        }
    }

    /// Replaces the process; all that the old one had is gone. Outputs stay where they are.
    pub(super) async fn restart(&mut self) -> Result<(), KernelError> {
        self.kernel.restart().await?;
        self.strays = self.kernel.unsolicited();
        self.requests.clear();
        self.latest.clear();
        self.widgets = Widgets::default();
        self.epoch = KernelEpoch(self.epoch.0 + 1);
        self.executed = 0;
        self.helper = Helper::Absent;
        Ok(())
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(*self.kernel.state().borrow(), KernelState::Dead(_))
    }

    /// The kernel's language as it says itself, in lower case.
    pub(super) fn language(&self) -> Option<String> {
        let info = self.kernel.info();
        let name = info.language_info()?.get("name").and_then(Json::as_str)?;
        Some(name.to_lowercase())
    }

    /// From now on the messages of this request belong to `cell`, and those of no other one.
    pub(super) fn requested(&mut self, msg_id: &str, cell: &CellId) {
        if let Some(before) = self.latest.insert(cell.clone(), msg_id.to_owned()) {
            self.requests.remove(&before);
        }
        self.requests.insert(msg_id.to_owned(), cell.clone());
    }

    /// The cell that a message belongs to.
    pub(super) fn cell_of(&self, message: &Message) -> Option<&CellId> {
        self.requests.get(&*message.parent_id()?)
    }
}

impl fmt::Debug for LiveKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveKernel")
            .field("kernel", &self.kernel)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
