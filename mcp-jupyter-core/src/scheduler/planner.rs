use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::model::{CellId, CellRef};

use super::SchedulerError;
use super::analysis::{Analysis, NameId, Names, SourceDigest, analyzer_for};
use super::flow::{CellFlow, Kept, Write, WriteKind};
use super::graph::{Graph, inactive};
use super::live::{Execution, Found, Input, Live, LiveName, LiveState, Output};
use super::plan::{Closure, Memo, execution_version, numbered, output_version, read_version};
use super::types::{
    CellEffects, CodeCell, Document, Edge, KernelEpoch, Observation, Outcome, Plan, PlanRequest, SessionStatus,
};
use super::version::{Ingredients, Version};

/// So many analyses of sources that are gone are kept at least, for when they come back.
const REMEMBERED: usize = 256;

/// The pure heart of the scheduler for one session: the cells, what is live in the kernel, and plans. No input, no
/// output, no clock.
///
/// ```
/// use mcp_jupyter_core::scheduler::{CodeCell, Document, Outcome, PlanRequest, Planner};
///
/// let cell = |index: usize, source: &str| CodeCell {
///     id: format!("cell-{index}").as_str().into(),
///     index,
///     source: source.into(),
///     tags: Vec::new(),
/// };
/// let document = |sources: [&str; 3]| Document {
///     language: "python".to_owned(),
///     cells: sources.iter().enumerate().map(|(index, source)| cell(index, source)).collect(),
/// };
///
/// let mut planner = Planner::default();
/// planner.sync(document(["x = []", "x.append(1)", "print(x)"]));
/// for id in ["cell-0", "cell-1", "cell-2"] {
///     planner.executed(&id.into(), &Outcome::Ok, None);
/// }
/// planner.sync(document(["x = []", "x.append(2)", "print(x)"]));
/// let plan = planner.plan(&PlanRequest::default())?;
/// let order: Vec<usize> = plan.cells.iter().map(|planned| planned.cell.index).collect();
/// assert_eq!(order, [0, 1, 2], "the list that the second cell changes has been changed already");
/// # Ok::<(), mcp_jupyter_core::scheduler::SchedulerError>(())
/// ```
#[derive(Debug, Default)]
pub struct Planner {
    names: Names,
    document: Document,
    analyses: FxHashMap<Arc<str>, Analysis>,
    graph: Graph,
    live: LiveState,
    memo: Mutex<Memo>,
    /// What cells were seen to write though their code does not show it.
    found: FxHashMap<(CellId, SourceDigest), Vec<Write>>,
}

impl Planner {
    /// A planner for a kernel that holds `live`.
    pub fn new(mut live: Live) -> Self {
        let mut planner = Self::default();
        for found in std::mem::take(&mut live.found) {
            let write = unforeseen_write(planner.names.intern(&found.name), found.kind);
            let writes = planner.found.entry((found.cell, found.source)).or_default();
            writes.push(write);
        }
        planner.live = LiveState::import(live, &mut planner.names);
        planner
    }

    /// What the kernel holds, and what it has taught about the cells.
    pub fn live(&self) -> Live {
        let mut found = Vec::new();
        for ((cell, source), writes) in &self.found {
            found.extend(writes.iter().map(|write| Found {
                cell: cell.clone(),
                source: *source,
                name: self.names.get(write.name).to_owned(),
                kind: write.kind,
            }));
        }
        found.sort_unstable_by(|a, b| (&a.cell, a.source, &a.name).cmp(&(&b.cell, b.source, &b.name)));
        let mut live = self.live.export(&self.names);
        live.found = found;
        live
    }

    /// The kernel process that this is about.
    pub fn epoch(&self) -> KernelEpoch {
        self.live.epoch
    }

    /// The cells as they are.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Takes the cells as they are now. Only sources that were never seen are analysed.
    pub fn sync(&mut self, document: Document) {
        if document.language != self.document.language {
            self.analyses.clear();
        }
        if document != self.document {
            let before = std::mem::replace(&mut self.document, document);
            self.rebuild(&before);
        }
    }

    /// Analyses what is new, and follows the cells anew unless all of them do what they did.
    fn rebuild(&mut self, before: &Document) {
        let analyses = self.analyze(before);
        if !self.graph.take_in(before, &self.document, &analyses, &mut self.names) {
            self.follow(analyses);
        }
    }

    /// The analyses of the cells: those that stand where they stood are known by their place, others by their source.
    fn analyze(&mut self, before: &Document) -> Vec<Option<Analysis>> {
        let analyzer = analyzer_for(&self.document.language);
        let mut known: Vec<Option<Analysis>> = vec![None; before.cells.len()];
        for node in &self.graph.nodes {
            known[node.place] = Some(node.analysis.clone());
        }
        let is_in_place = |place: usize, source: &Arc<str>| {
            before.cells.get(place).is_some_and(|cell| cell.source == *source)
                && before.language == self.document.language
        };
        for (place, analysis) in known.iter().enumerate() {
            let source = &before.cells[place].source;
            let is_gone = before.language == self.document.language
                && self.document.cells.get(place).is_none_or(|cell| cell.source != *source);
            if let Some(analysis) = analysis.as_ref().filter(|_| is_gone) {
                self.analyses.insert(Arc::clone(source), analysis.clone());
            }
        }
        if self.analyses.len() > REMEMBERED.max(2 * self.document.cells.len()) {
            self.analyses.clear();
        }
        let mut analyses = Vec::with_capacity(self.document.cells.len());
        for (place, cell) in self.document.cells.iter().enumerate() {
            if inactive(cell).is_some() {
                analyses.push(None);
                continue;
            }
            let in_place = known
                .get_mut(place)
                .filter(|_| is_in_place(place, &cell.source))
                .and_then(Option::take);
            let analysis = in_place.or_else(|| self.analyses.get(&cell.source).cloned());
            analyses.push(Some(analysis.unwrap_or_else(|| {
                let analysis = analyzer.analyze(&cell.source, &mut self.names);
                self.analyses.insert(Arc::clone(&cell.source), analysis.clone());
                analysis
            })));
        }
        analyses
    }

    /// The analyses that the graph was made of.
    fn graph_analyses(&self) -> Vec<Option<Analysis>> {
        let mut analyses = vec![None; self.document.cells.len()];
        for node in &self.graph.nodes {
            analyses[node.place] = Some(node.analysis.clone());
        }
        analyses
    }

    fn follow(&mut self, analyses: Vec<Option<Analysis>>) {
        self.memo.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        let found = &self.found;
        let found = |cell: &CodeCell, analysis: &Analysis| {
            if found.is_empty() {
                return Vec::new();
            }
            found
                .get(&(cell.id.clone(), analysis.digest))
                .cloned()
                .unwrap_or_default()
        };
        self.graph = Graph::new(&self.document, analyses, found, &mut self.names);
    }

    /// The effects of every code cell, in notebook order; none of cells that never run.
    pub fn effects(&self) -> Vec<(CellRef, CellEffects)> {
        let effects = |cell: &CodeCell| match self.graph.position(&cell.id) {
            Some(position) => self.graph.effects(position, &self.names),
            None => CellEffects::default(),
        };
        self.document
            .cells
            .iter()
            .map(|cell| (cell.cell_ref(), effects(cell)))
            .collect()
    }

    /// All edges, by reader and then by writer.
    pub fn edges(&self) -> Vec<Edge> {
        self.graph.edges(&self.document, &self.names)
    }

    /// The cells that depend on `cell`, directly or not; `cell` is not among them.
    pub fn downstream(&self, cell: &CellId) -> BTreeSet<CellId> {
        let Some(start) = self.graph.position(cell) else {
            return BTreeSet::new();
        };
        let reached = self
            .graph
            .downstream([start])
            .into_iter()
            .filter(|position| *position != start);
        reached
            .map(|position| {
                self.document.cells[self.graph.nodes[position as usize].place]
                    .id
                    .clone()
            })
            .collect()
    }

    /// What has to be executed.
    ///
    /// # Errors
    /// [`SchedulerError::NoSuchCell`], [`SchedulerError::NoSuchTag`], [`SchedulerError::NotAppendable`].
    pub fn plan(&self, request: &PlanRequest) -> Result<Plan, SchedulerError> {
        self.plan_with(request, &BTreeSet::new())
    }

    /// What has to be executed where these cells are executed though they are fresh, as a mode may ask for: they too
    /// find what they read as it should be, and leave nothing that should not be.
    ///
    /// # Errors
    /// As [`Planner::plan`].
    pub fn plan_with(&self, request: &PlanRequest, also: &BTreeSet<CellId>) -> Result<Plan, SchedulerError> {
        Closure::new(
            &self.graph,
            &self.document,
            &self.live,
            &self.names,
            request,
            also,
            &self.memo,
        )?
        .plan()
    }

    /// Notes that a cell of the present document was executed: its names are live now, in the versions that its source
    /// and its inputs give. After any other outcome than [`Outcome::Ok`] whatever it might have written counts as
    /// written, in a version that nothing expects. Gives warnings about what the analysis had not foreseen.
    pub fn executed(&mut self, cell: &CellId, outcome: &Outcome, observation: Option<&Observation>) -> Vec<String> {
        let Some(position) = self.graph.position(cell).filter(|_| *outcome != Outcome::Aborted) else {
            return Vec::new();
        };
        let warnings = observation.map(|seen| self.learn(position, seen)).unwrap_or_default();
        let position = self.graph.position(cell).unwrap_or(position);
        self.live.serial += 1;
        let execution = self.execution(position, cell, *outcome == Outcome::Ok, observation);
        let serial = execution.serial;
        for output in &execution.outputs {
            match output.version {
                Some(version) => {
                    let writer = cell.clone();
                    self.live.names.insert(
                        output.name,
                        LiveName {
                            version,
                            serial,
                            writer,
                        },
                    );
                }
                None => {
                    self.live.names.remove(&output.name);
                }
            }
        }
        if self.graph.flow(position).writes_all {
            self.live.opaque = Some((serial, execution.version));
        }
        self.live.former.remove(cell);
        self.live.cells.insert(cell.clone(), execution);
        warnings
    }

    /// What is recorded of an execution that has just ended.
    fn execution(
        &self,
        position: u32,
        cell: &CellId,
        succeeded: bool,
        observation: Option<&Observation>,
    ) -> Execution<NameId> {
        let node = &self.graph.nodes[position as usize];
        let flow = &node.flow;
        let serial = self.live.serial;
        let mut ingredients = Ingredients::of("");
        let bases = |writer: u32| self.recorded_version(writer);
        let reads: Vec<Option<Version>> = flow
            .reads
            .iter()
            .map(|read| read_version(read, &self.live, &self.graph, &bases, &self.names))
            .collect();
        let version = execution_version(node, cell, &reads, &self.names, &mut ingredients);
        let is_unique = flow.is_nondeterministic || !succeeded;
        let numbered = if is_unique {
            numbered(version, Some(serial), &mut ingredients)
        } else {
            version
        };
        let mut version_of = |write: &Write| output_version(write, numbered, &self.live, &self.names, &mut ingredients);
        let versions: Vec<Option<Version>> = flow.writes.iter().map(&mut version_of).collect();
        let inputs = flow.reads.iter().zip(reads).map(|(read, version)| Input {
            name: read.name,
            version,
            writer: read.writer.map(|writer| self.cell(writer).id.clone()),
            kept: read
                .binder
                .filter(|_| read.kept == Kept::Yes)
                .and_then(|binder| self.serial_of(binder)),
        });
        let outputs = flow.writes.iter().zip(versions).map(|(write, version)| {
            let digest = observation.and_then(|seen| seen.digests.get(self.names.get(write.name)));
            self.output(cell, write, version, digest.filter(|_| succeeded))
        });
        Execution {
            source: node.analysis.digest,
            version,
            serial,
            succeeded,
            inputs: inputs.collect(),
            outputs: outputs.collect(),
        }
    }

    /// Early cut-off: a value that is what the cell had left before keeps its version.
    fn output(
        &self,
        cell: &CellId,
        write: &Write,
        version: Option<Version>,
        digest: Option<&String>,
    ) -> Output<NameId> {
        let before = self.live.cells.get(cell).and_then(|execution| {
            execution
                .outputs
                .iter()
                .find(|output| output.name == write.name && output.digest.as_ref() == digest)
        });
        let version = match (digest, before) {
            (Some(_), Some(before)) if write.kind == WriteKind::Bind && before.version.is_some() => before.version,
            _ => version,
        };
        Output {
            name: write.name,
            version,
            digest: digest.cloned(),
        }
    }

    fn cell(&self, position: u32) -> &CodeCell {
        &self.document.cells[self.graph.nodes[position as usize].place]
    }

    fn serial_of(&self, position: u32) -> Option<u64> {
        self.live
            .cells
            .get(&self.cell(position).id)
            .map(|execution| execution.serial)
    }

    fn recorded_version(&self, position: u32) -> Version {
        let execution = self.live.cells.get(&self.cell(position).id);
        execution.map_or_else(|| Ingredients::of("never").finish(), |execution| execution.version)
    }

    /// Takes note of writes that the analysis has not foreseen.
    fn learn(&mut self, position: u32, observation: &Observation) -> Vec<String> {
        let mut unforeseen: Vec<(NameId, WriteKind)> = Vec::new();
        let seen = observation.bound.iter().map(|name| (name, WriteKind::Bind));
        let seen = seen.chain(observation.mutated.iter().map(|name| (name, WriteKind::Mutate)));
        let seen = seen.chain(observation.deleted.iter().map(|name| (name, WriteKind::Delete)));
        for (name, kind) in seen {
            let name = self.names.intern(name);
            if !foresees(self.graph.flow(position), name) {
                unforeseen.push((name, kind));
            }
        }
        if unforeseen.is_empty() {
            return Vec::new();
        }
        let cell = self.cell(position).cell_ref();
        let digest = self.graph.nodes[position as usize].analysis.digest;
        let writes = unforeseen.iter().map(|(name, kind)| unforeseen_write(*name, *kind));
        self.found.entry((cell.id.clone(), digest)).or_default().extend(writes);
        let analyses = self.graph_analyses();
        self.follow(analyses);
        let warning = |(name, kind): &(NameId, WriteKind)| {
            let verb = match kind {
                WriteKind::Bind => "binds",
                WriteKind::Delete => "deletes",
                _ => "changes",
            };
            let name = self.names.get(*name);
            format!(
                "#{} ({}) {verb} `{name}`, which its code does not show; cells that read `{name}` depend on it from now on",
                cell.index, cell.id
            )
        };
        unforeseen.iter().map(warning).collect()
    }

    /// Notes that these names were deleted from the kernel.
    pub fn deleted(&mut self, names: &[String]) {
        for name in names {
            if let Some(name) = self.names.find(name) {
                self.live.names.remove(&name);
            }
        }
    }

    /// A new kernel process: nothing is live any more. Without effect for the present epoch or an earlier one.
    pub fn kernel_epoch(&mut self, epoch: KernelEpoch) {
        if epoch > self.live.epoch {
            self.live.restart(epoch);
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

fn unforeseen_write(name: NameId, kind: WriteKind) -> Write {
    Write {
        name,
        kind,
        import: None,
        is_temporary: false,
    }
}

fn foresees(flow: &CellFlow, name: NameId) -> bool {
    flow.writes.iter().any(|write| write.name == name)
}
