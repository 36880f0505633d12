//! What a full run of the cells would give.

use crate::model::CellId;
use crate::scheduler::analysis::{NameId, Names};
use crate::scheduler::flow::{CellFlow, Read, Write, WriteKind};
use crate::scheduler::graph::{Graph, Node, is_pseudo};
use crate::scheduler::live::LiveState;
use crate::scheduler::version::{Ingredients, Version};

/// Where versions come from: the expectation of a full run, or what is live in a kernel.
pub(in crate::scheduler) trait Given {
    /// The version of a name as it was written; none where it is not bound.
    fn written(&self, name: NameId) -> Option<Version>;

    /// The version of a name as it is seen: code that may write everything may have changed it since.
    fn seen(&self, name: NameId) -> Option<Version>;
}

/// The version of a value after code that may have changed it.
pub(in crate::scheduler) fn opaque_version(written: Option<Version>, code: Version) -> Version {
    Ingredients::of("opaque").version(written).version(Some(code)).finish()
}

/// What a read gives.
pub(in crate::scheduler) fn read_version(
    read: &Read,
    given: &dyn Given,
    graph: &Graph,
    bases: &dyn Fn(u32) -> Version,
    names: &Names,
) -> Option<Version> {
    match read.writer {
        // What is found of it is what the cell itself, or one below, has left: a full run finds nothing.
        None if is_pseudo(names.get(read.name)) => None,
        None => given.written(read.name),
        Some(writer) if is_star(graph.flow(writer), read.name) => {
            let version = Ingredients::of("star").version(Some(bases(writer))).finish();
            Some(opaque_version(given.seen(read.name), version))
        }
        _ => given.seen(read.name),
    }
}

/// Whether a name comes from a cell that does not say so: by a star import.
pub(super) fn is_star(flow: &CellFlow, name: NameId) -> bool {
    flow.writes.binary_search_by_key(&name, |write| write.name).is_err()
        && flow.writes.iter().all(|write| write.name != name)
}

/// The version of an execution: its source and what it reads.
pub(in crate::scheduler) fn execution_version(
    node: &Node,
    cell: &CellId,
    reads: &[Option<Version>],
    names: &Names,
    ingredients: &mut Ingredients,
) -> Version {
    ingredients
        .again("cell")
        .text(cell.as_str())
        .bytes(&node.analysis.digest);
    for (read, version) in node.flow.reads.iter().zip(reads) {
        if version.is_some() || !read.is_builtin {
            ingredients.text(names.get(read.name)).version(*version);
        }
    }
    ingredients.finish()
}

/// The version that a write leaves. `version` is that of the execution, with its number where it gives another result
/// every time.
pub(in crate::scheduler) fn output_version(
    write: &Write,
    version: Version,
    given: &dyn Given,
    names: &Names,
    ingredients: &mut Ingredients,
) -> Option<Version> {
    if let Some(path) = write.import {
        return Some(ingredients.again("import").text(names.get(path)).finish());
    }
    let name = names.get(write.name);
    match write.kind {
        WriteKind::Delete => None,
        WriteKind::Bind => Some(ingredients.again("bind").text(name).version(Some(version)).finish()),
        WriteKind::Clobber if given.seen(write.name).is_none() => None,
        WriteKind::MayBind | WriteKind::LoopBind | WriteKind::Mutate | WriteKind::Clobber => {
            let old = given.seen(write.name);
            ingredients
                .again("change")
                .text(name)
                .version(Some(version))
                .version(old);
            Some(ingredients.finish())
        }
    }
}

/// The version of an execution that gives another result every time: with a number that is its own.
pub(in crate::scheduler) fn numbered(version: Version, serial: Option<u64>, ingredients: &mut Ingredients) -> Version {
    ingredients
        .again("execution")
        .version(Some(version))
        .number(serial.unwrap_or(u64::MAX))
        .finish()
}

/// The names as a full run has left them so far.
#[derive(Debug, Default)]
pub(super) struct Expected {
    versions: Vec<Option<Version>>,
    written_at: Vec<u32>,
    /// The last cell that may have written everything.
    opaque: Option<(u32, Version)>,
}

impl Expected {
    pub(super) fn new(names: usize) -> Self {
        Self {
            versions: vec![None; names],
            written_at: vec![0; names],
            ..Self::default()
        }
    }

    pub(super) fn write(&mut self, name: NameId, version: Option<Version>, position: u32) {
        self.versions[name.index()] = version;
        self.written_at[name.index()] = position;
    }

    pub(super) fn write_all(&mut self, position: u32, version: Version) {
        self.opaque = Some((position, version));
    }
}

impl Given for Expected {
    fn written(&self, name: NameId) -> Option<Version> {
        self.versions[name.index()]
    }

    fn seen(&self, name: NameId) -> Option<Version> {
        let written = self.written(name);
        match self.opaque {
            Some((position, version)) if written.is_none() || self.written_at[name.index()] < position => {
                Some(opaque_version(written, version))
            }
            _ => written,
        }
    }
}

impl Given for LiveState {
    fn written(&self, name: NameId) -> Option<Version> {
        self.names.get(&name).map(|value| value.version)
    }

    fn seen(&self, name: NameId) -> Option<Version> {
        let value = self.names.get(&name);
        match self.opaque {
            Some((serial, version)) if value.is_none_or(|value| value.serial < serial) => {
                Some(opaque_version(value.map(|value| value.version), version))
            }
            _ => value.map(|value| value.version),
        }
    }
}
