//! A kernel, and what is known of it for as long as it lives.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use futures_core::stream::BoxStream;

use crate::kernel::{Channel, Kernel, KernelError, KernelState, Message};
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
    record: Record,
    /// The count of the last execution of others that was taken in.
    recovered: i64,
}

/// How far what a kernel records of itself has been taken in.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// The end of the last message that was.
    taken: u64,
    /// Where the execution in progress begins.
    current: Option<u64>,
    acknowledged: u64,
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
            record: Record::default(),
            recovered: 0,
        }
    }

    /// A kernel that others have used before.
    pub(super) fn used(kernel: Arc<dyn Kernel>, epoch: KernelEpoch) -> Self {
        let executed = kernel.executed();
        let mut live = Self::new(kernel, epoch);
        live.executed = i64::try_from(executed.cells).unwrap_or(i64::MAX);
        for (msg_id, cell) in &executed.requests {
            live.requested(msg_id, cell);
        }
        live
    }

    /// The count of the next execution, or of the next one that others have begun.
    pub(super) fn next_count(&mut self, has_begun: bool) -> i64 {
        if has_begun {
            self.recovered += 1;
            return self.recovered;
        }
        self.executed += 1;
        self.executed
    }

    /// So many of the executions that others have begun are still to be taken in: the last ones.
    pub(super) fn expect_recovered(&mut self, count: usize) {
        self.recovered = (self.executed - i64::try_from(count).unwrap_or(i64::MAX)).max(0);
    }

    /// A message was taken in.
    pub(super) fn took(&mut self, message: &Message) {
        if message.channel == Channel::Iopub {
            self.record.taken = self.record.taken.max(message.position.unwrap_or_default());
        }
    }

    /// An execution begins here in the kernel's record, or has ended.
    pub(super) fn executes(&mut self, position: Option<u64>) {
        self.record.current = position;
    }

    /// All that was taken in is saved: the kernel need not keep it. What is being executed is kept whole, so that whoever
    /// goes on after us begins with it.
    pub(super) async fn acknowledge(&mut self) {
        let position = self.record.current.unwrap_or(self.record.taken);
        if position <= self.record.acknowledged {
            return;
        }
        match self.kernel.acknowledge(position).await {
            Ok(()) => self.record.acknowledged = position,
            Err(error) => tracing::debug!(%error, "the kernel keeps its record for now"),
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
