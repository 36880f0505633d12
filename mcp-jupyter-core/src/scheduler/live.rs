//! What a kernel holds: which cells it has executed, and the versions of its names.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::model::CellId;

use super::analysis::{NameId, Names, SourceDigest};
use super::flow::WriteKind;
use super::types::KernelEpoch;
use super::version::Version;

/// What a kernel process holds as far as the scheduler knows, in a form that journals keep. What is in it is the
/// planner's own business.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The kernel process that this is about.
    pub epoch: KernelEpoch,
    serial: u64,
    names: BTreeMap<String, LiveName>,
    cells: BTreeMap<CellId, Execution<String>>,
    /// Cells that an earlier process has executed.
    former: Vec<CellId>,
    opaque: Option<(u64, Version)>,
    /// What cells were seen to write though their code does not show it, sorted.
    pub(super) found: Vec<Found>,
}

/// A write that was seen and that the code does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) cell: CellId,
    /// It says nothing about another source of the cell.
    pub(super) source: SourceDigest,
    pub(super) name: String,
    pub(super) kind: WriteKind,
}

/// The value of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LiveName {
    pub(super) version: Version,
    /// The execution that wrote it last.
    pub(super) serial: u64,
    /// The cell that wrote it last.
    pub(super) writer: CellId,
}

/// The last execution of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Execution<N> {
    pub(super) source: SourceDigest,
    /// Of its source and of what it read.
    pub(super) version: Version,
    /// Its number: later executions have higher ones.
    pub(super) serial: u64,
    pub(super) succeeded: bool,
    pub(super) inputs: Vec<Input<N>>,
    pub(super) outputs: Vec<Output<N>>,
}

/// What an execution read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input<N> {
    pub(super) name: N,
    pub(super) version: Option<Version>,
    pub(super) writer: Option<CellId>,
    /// Where it keeps a reference: the execution that had made the object.
    pub(super) kept: Option<u64>,
}

/// What an execution left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Output<N> {
    pub(super) name: N,
    /// None where it deleted the name.
    pub(super) version: Option<Version>,
    /// The digest of the value, where it is of a type that cannot change and was digested whole.
    pub(super) digest: Option<String>,
}

/// The same with interned names, for planning.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveState {
    pub(super) epoch: KernelEpoch,
    pub(super) serial: u64,
    pub(super) names: FxHashMap<NameId, LiveName>,
    pub(super) cells: FxHashMap<CellId, Execution<NameId>>,
    pub(super) former: FxHashSet<CellId>,
    /// The last execution that may have written everything, and what it depended on.
    pub(super) opaque: Option<(u64, Version)>,
}

impl<N> Execution<N> {
    fn with_names<M>(&self, convert: impl Fn(&N) -> M) -> Execution<M> {
        let inputs = self.inputs.iter().map(|input| Input {
            name: convert(&input.name),
            version: input.version,
            writer: input.writer.clone(),
            kept: input.kept,
        });
        let outputs = self.outputs.iter().map(|output| Output {
            name: convert(&output.name),
            version: output.version,
            digest: output.digest.clone(),
        });
        Execution {
            source: self.source,
            version: self.version,
            serial: self.serial,
            succeeded: self.succeeded,
            inputs: inputs.collect(),
            outputs: outputs.collect(),
        }
    }
}

impl LiveState {
    pub(super) fn import(live: Live, names: &mut Names) -> Self {
        let mut interned = FxHashMap::default();
        for (name, value) in live.names {
            interned.insert(names.intern(&name), value);
        }
        let mut cells = FxHashMap::default();
        for (cell, execution) in live.cells {
            for name in execution.inputs.iter().map(|input| &input.name) {
                names.intern(name);
            }
            for name in execution.outputs.iter().map(|output| &output.name) {
                names.intern(name);
            }
            let known = |name: &String| names.find(name).expect("it was interned above");
            cells.insert(cell, execution.with_names(known));
        }
        Self {
            epoch: live.epoch,
            serial: live.serial,
            names: interned,
            cells,
            former: live.former.into_iter().collect(),
            opaque: live.opaque,
        }
    }

    pub(super) fn export(&self, names: &Names) -> Live {
        let text = |name: &NameId| names.get(*name).to_owned();
        let mut former: Vec<CellId> = self.former.iter().cloned().collect();
        former.sort_unstable();
        Live {
            epoch: self.epoch,
            serial: self.serial,
            names: self
                .names
                .iter()
                .map(|(name, value)| (text(name), value.clone()))
                .collect(),
            cells: self
                .cells
                .iter()
                .map(|(cell, execution)| (cell.clone(), execution.with_names(text)))
                .collect(),
            former,
            opaque: self.opaque,
            found: Vec::new(),
        }
    }

    /// A new process: nothing is live any more.
    pub(super) fn restart(&mut self, epoch: KernelEpoch) {
        let cells = std::mem::take(&mut self.cells);
        self.former.extend(cells.into_keys());
        self.names.clear();
        self.opaque = None;
        self.epoch = epoch;
    }
}
