//! The dependencies between the cells of a notebook.

use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Bfs, Reversed};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::CellId;

use super::analysis::{Analysis, NameId, Names};
use super::flow::{Carried, CellFlow, Flow, Kept, Read, Write, WriteKind};
use super::types::{CellEffects, CodeCell, Document, Edge, SkipReason};

const SKIP_TAG: &str = "skip-execution";

/// A cell that takes part.
#[derive(Debug)]
pub(super) struct Node {
    /// Its place among the cells of the document.
    pub(super) place: usize,
    pub(super) analysis: Analysis,
    pub(super) flow: CellFlow,
}

/// The cells that may run, in notebook order, and who reads what from whom.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    positions: FxHashMap<CellId, u32>,
    /// Edges run from the writer to the reader.
    dag: DiGraph<(), Vec<NameId>, u32>,
    /// For every name the cells that write it, in notebook order.
    writers: Vec<Vec<u32>>,
    written: Vec<NameId>,
    /// Names that some cell reads from another.
    read_across: Vec<bool>,
    /// Where the reads and writes of each cell begin, all of them counted through.
    starts: Vec<(u32, u32)>,
    /// Cells that may write everything, in notebook order.
    opaque: Vec<u32>,
    flow: Flow,
}

impl Graph {
    /// The graph of a document whose cells have these analyses. `found` are writes that code does not show.
    pub(super) fn new(
        document: &Document,
        analyses: Vec<Option<Analysis>>,
        found: impl Fn(&CodeCell, &Analysis) -> Vec<Write>,
        names: &mut Names,
    ) -> Self {
        let mut graph = Self::default();
        let mut flow = Flow::default();
        for (place, analysis) in analyses.into_iter().enumerate() {
            let Some(analysis) = analysis else { continue };
            let cell = &document.cells[place];
            let position = u32::try_from(graph.nodes.len()).expect("memory ends before 2^32 cells");
            let mut effects = flow.next(&analysis, names);
            let found = found(cell, &analysis);
            flow.add_writes(position, &found, &mut effects);
            graph.positions.insert(cell.id.clone(), position);
            graph.nodes.push(Node {
                place,
                analysis,
                flow: effects,
            });
        }
        graph.drop_dead_carries(names.len());
        graph.index(names.len());
        graph.settle_kept();
        graph.connect();
        graph.flow = flow;
        graph
    }

    /// Takes the new sources of cells where that changes nothing else: the same cells in the same places, each doing what
    /// it did, as after the edit of a number. Gives whether it has.
    pub(super) fn take_in(
        &mut self,
        before: &Document,
        after: &Document,
        analyses: &[Option<Analysis>],
        names: &mut Names,
    ) -> bool {
        let is_same_cell = |(before, after): (&CodeCell, &CodeCell)| before.id == after.id;
        let are_same =
            before.cells.len() == after.cells.len() && before.cells.iter().zip(&after.cells).all(is_same_cell);
        let active = analyses.iter().flatten();
        if !are_same || before.language != after.language || active.clone().count() != self.nodes.len() {
            return false;
        }
        let does_the_same = |(node, analysis): (&Node, &Analysis)| {
            Arc::ptr_eq(&node.analysis.body, &analysis.body) || node.analysis.body == analysis.body
        };
        if !self.nodes.iter().all(|node| analyses[node.place].is_some()) {
            return false;
        }
        let others: Vec<(u32, &Analysis)> = (0..)
            .zip(self.nodes.iter().zip(active.clone()))
            .filter(|(_, pair)| !does_the_same(*pair))
            .map(|(position, (_, analysis))| (position, analysis))
            .collect();
        match others[..] {
            [] => {}
            [(position, analysis)] if self.take_in_one(position, analysis, names) => {}
            _ => return false,
        }
        for (node, analysis) in self.nodes.iter_mut().zip(active) {
            node.analysis = analysis.clone();
        }
        true
    }

    /// Takes in another version of one cell, where what the others do stays as it is.
    fn take_in_one(&mut self, position: u32, analysis: &Analysis, names: &mut Names) -> bool {
        let before = &self.nodes[position as usize].flow;
        let below = &self.nodes[position as usize + 1..];
        if below.iter().any(|node| node.flow.unknown.is_some()) {
            return false;
        }
        let is_used_below = |name: NameId| {
            below.iter().any(|node| {
                let changes = |write: &Write| write.name == name && !matches!(write.kind, WriteKind::Bind);
                node.flow.reads.iter().any(|read| read.name == name) || node.flow.writes.iter().any(changes)
            })
        };
        let Some(after) = self.flow.again(position, analysis, before, names, is_used_below) else {
            return false;
        };
        self.nodes[position as usize].flow = after;
        self.reconnect(position, names.len());
        true
    }

    /// Brings the edges into a cell, and what is known about all reads and writes, up to date.
    fn reconnect(&mut self, position: u32, names: usize) {
        let node = NodeIndex::from(position);
        while let Some(edge) = self.dag.first_edge(node, Direction::Incoming) {
            self.dag.remove_edge(edge);
        }
        self.connect_one(position, &mut Vec::new());
        self.starts.clear();
        self.written.clear();
        self.index(names);
    }

    /// A name that a loop binds is read, for the case that the loop is never entered, only if somebody reads it below.
    fn drop_dead_carries(&mut self, names: usize) {
        let mut live = vec![false; names];
        for node in self.nodes.iter_mut().rev() {
            let flow = &mut node.flow;
            flow.reads
                .retain(|read| read.carried != Carried::Loop || read.writer.is_none() || live[read.name.index()]);
            for write in &flow.writes {
                if matches!(write.kind, WriteKind::Bind | WriteKind::Delete | WriteKind::Clobber) {
                    live[write.name.index()] = false;
                }
            }
            for read in flow
                .reads
                .iter()
                .filter(|read| read.carried == Carried::No || read.writer.is_some())
            {
                live[read.name.index()] = true;
            }
        }
    }

    /// What only a loop's variable keeps is kept where another cell reads that variable.
    fn settle_kept(&mut self) {
        let read = &self.read_across;
        for flow in self.nodes.iter_mut().map(|node| &mut node.flow) {
            let matters = flow
                .writes
                .iter()
                .any(|write| write.is_temporary && read[write.name.index()]);
            for read in flow.reads.iter_mut().filter(|read| read.kept == Kept::ByTemporary) {
                read.kept = if matters { Kept::Yes } else { Kept::No };
            }
        }
    }

    fn index(&mut self, names: usize) {
        self.writers = vec![Vec::new(); names];
        self.read_across = vec![false; names];
        let (mut reads, mut writes) = (0_u32, 0_u32);
        for (position, node) in (0..).zip(&self.nodes) {
            self.starts.push((reads, writes));
            for write in &node.flow.writes {
                let writers = &mut self.writers[write.name.index()];
                if writers.is_empty() {
                    self.written.push(write.name);
                }
                writers.push(position);
                writes += 1;
            }
            for read in &node.flow.reads {
                self.read_across[read.name.index()] |= read.writer.is_some();
                reads += 1;
            }
        }
        self.starts.push((reads, writes));
    }

    /// The cells that write a name, in notebook order.
    pub(super) fn writers(&self, name: NameId) -> &[u32] {
        self.writers.get(name.index()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every name that some cell writes, in the order in which they first are.
    pub(super) fn written(&self) -> &[NameId] {
        &self.written
    }

    /// The cells that may write everything, in notebook order.
    pub(super) fn opaque(&self) -> impl Iterator<Item = u32> {
        self.opaque.iter().copied()
    }

    /// Whether some cell reads a name from another.
    pub(super) fn is_read_across(&self, name: NameId) -> bool {
        self.read_across.get(name.index()).is_some_and(|read| *read)
    }

    /// A loop's variable that no other cell reads: its value does not matter.
    pub(super) fn is_exempt(&self, name: NameId) -> bool {
        let is_temporary = |position: &u32| {
            let mut writes = self.flow(*position).writes.iter();
            writes.any(|write| write.name == name && write.is_temporary)
        };
        !self.is_read_across(name) && self.writers(name).iter().all(is_temporary)
    }

    /// Where the reads of a cell are among those of all.
    pub(super) fn reads_of(&self, position: u32) -> std::ops::Range<usize> {
        self.starts[position as usize].0 as usize..self.starts[position as usize + 1].0 as usize
    }

    /// Where the writes of a cell are among those of all.
    pub(super) fn writes_of(&self, position: u32) -> std::ops::Range<usize> {
        self.starts[position as usize].1 as usize..self.starts[position as usize + 1].1 as usize
    }

    fn connect(&mut self) {
        let writes_all = |position: &u32| self.nodes[*position as usize].flow.writes_all;
        self.opaque = self.positions().filter(writes_all).collect();
        self.dag.reserve_exact_nodes(self.nodes.len());
        for _ in &self.nodes {
            self.dag.add_node(());
        }
        let mut writers: Vec<(u32, NameId)> = Vec::new();
        for position in self.positions() {
            self.connect_one(position, &mut writers);
        }
    }

    /// Adds the edges into a cell. Where code that may write everything stands between a name's last known writer and the
    /// cell, it may have written the name as well: an edge without names, which nobody is shown.
    fn connect_one(&mut self, position: u32, writers: &mut Vec<(u32, NameId)>) {
        let reads = &self.nodes[position as usize].flow.reads;
        writers.clear();
        writers.extend(reads.iter().filter_map(|read| Some((read.writer?, read.name))));
        writers.sort_unstable();
        let opaque = self.opaque.partition_point(|opaque| *opaque < position).checked_sub(1);
        let opaque = opaque.map(|last| self.opaque[last]);
        let reader = NodeIndex::from(position);
        for group in writers.chunk_by(|a, b| a.0 == b.0) {
            let names = group.iter().map(|(_, name)| *name).collect();
            self.dag.add_edge(NodeIndex::from(group[0].0), reader, names);
        }
        if let Some(opaque) = opaque
            && writers.iter().any(|(writer, _)| *writer < opaque)
            && writers.iter().all(|(writer, _)| *writer != opaque)
        {
            self.dag.add_edge(NodeIndex::from(opaque), reader, Vec::new());
        }
    }

    /// All positions, in notebook order.
    pub(super) fn positions(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.nodes.len()).expect("memory ends before 2^32 cells")
    }

    pub(super) fn position(&self, cell: &CellId) -> Option<u32> {
        self.positions.get(cell).copied()
    }

    pub(super) fn flow(&self, position: u32) -> &CellFlow {
        &self.nodes[position as usize].flow
    }

    /// Everything that can be reached from these cells along the edges, themselves included.
    pub(super) fn downstream(&self, from: impl IntoIterator<Item = u32>) -> FxHashSet<u32> {
        let mut reached = FxHashSet::default();
        for start in from {
            let mut search = Bfs::new(&self.dag, NodeIndex::from(start));
            while let Some(node) = search.next(&self.dag) {
                reached.extend(u32::try_from(node.index()));
            }
        }
        reached
    }

    /// Everything from which these cells can be reached, themselves included.
    pub(super) fn upstream(&self, from: impl IntoIterator<Item = u32>) -> FxHashSet<u32> {
        let mut reached: FxHashSet<u32> = FxHashSet::default();
        for start in from {
            if reached.contains(&start) {
                continue;
            }
            let reversed = Reversed(&self.dag);
            let mut search = Bfs::new(reversed, NodeIndex::from(start));
            while let Some(node) = search.next(reversed) {
                reached.extend(u32::try_from(node.index()));
            }
        }
        reached
    }

    pub(super) fn edges(&self, document: &Document, names: &Names) -> Vec<Edge> {
        let cell = |node: NodeIndex<u32>| document.cells[self.nodes[node.index()].place].cell_ref();
        let shown = self.dag.edge_references().filter(|edge| !edge.weight().is_empty());
        let edges = shown.map(|edge| {
            use petgraph::visit::EdgeRef;
            Edge {
                from: cell(edge.source()),
                to: cell(edge.target()),
                names: sorted(edge.weight().iter().map(|name| names.get(*name))),
            }
        });
        edges.collect()
    }

    pub(super) fn effects(&self, position: u32, names: &Names) -> CellEffects {
        let flow = self.flow(position);
        let is_told = |read: &&Read| {
            let is_named = !read.is_builtin && read.carried == Carried::No && !is_pseudo(names.get(read.name));
            read.writer.is_some() || is_named
        };
        let reads = flow.reads.iter().filter(is_told);
        CellEffects {
            reads: sorted(reads.map(|read| names.get(read.name))),
            writes: sorted(flow.writes.iter().map(|write| names.get(write.name))),
            unknown: flow.unknown.map(str::to_owned),
        }
    }
}

pub(super) fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Why a cell takes no part at all.
pub(super) fn inactive(cell: &CodeCell) -> Option<SkipReason> {
    if cell.source.trim().is_empty() {
        Some(SkipReason::Empty)
    } else if cell.tags.iter().any(|tag| tag == SKIP_TAG) {
        Some(SkipReason::Tagged)
    } else {
        None
    }
}

/// Whether a name is none of Python's, but stands for something that behaves like one.
pub(super) fn is_pseudo(name: &str) -> bool {
    name.starts_with(['<', '*'])
}
