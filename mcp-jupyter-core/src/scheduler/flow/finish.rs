//! What comes of a cell when all of it has been executed.

use rustc_hash::FxHashSet;

use crate::scheduler::analysis::NameId;
use crate::scheduler::graph::is_pseudo;

use super::cell::{CellRun, Change, extend};
use super::store::{Binding, ObjId};
use super::{Carried, CellFlow, EVERYTHING, Kept, Read, Write, WriteKind};

impl CellRun<'_> {
    /// Code that cannot be followed reads every name that is bound above; what it may write has a name of its own, so
    /// that others of its kind depend on it.
    fn read_everything(&mut self) {
        for name in self.store.bound_names() {
            if !self.is_definite(name) && !is_pseudo(self.names.get(name)) {
                self.load(name);
            }
        }
    }

    /// What came of it. Unless it `commits`, the names stay bound as they are.
    pub(super) fn finish(mut self, commits: bool) -> CellFlow {
        if self.reads_all || self.flow.writes_all {
            let everything = self.names.intern(EVERYTHING);
            self.touch(everything, true, self.flow.writes_all);
        }
        if self.reads_all {
            self.read_everything();
        }
        if self.flow.writes_all && commits {
            *self.star = Some(self.position);
        }
        self.flow.connects = self.store.has_connected();
        let kept = self.kept_objects(false);
        let kept_by_temporaries = self.kept_objects(true);
        let mut writes: Vec<Write> = Vec::with_capacity(self.changes.len() + self.mutated.len());
        let changes = std::mem::take(&mut self.changes);
        for (name, change) in changes {
            let Some(write) = self.write_of(name, &change) else {
                continue;
            };
            writes.push(write);
            let (shape, holds_old) = self.store.shape(&change.objs);
            self.flow.shapes.push((name, shape, holds_old));
            if commits {
                self.commit(name, change, write.kind);
            }
        }
        let mutated = std::mem::take(&mut self.mutated);
        for name in mutated {
            if writes.iter().all(|write| write.name != name) {
                writes.push(Write {
                    name,
                    kind: WriteKind::Mutate,
                    import: None,
                    is_temporary: false,
                });
                if commits {
                    self.store.set_writer(name, self.position);
                }
            }
        }
        writes.sort_unstable_by_key(|write| write.name);
        let mut reads: Vec<Read> = self.reads.values().copied().collect();
        reads.sort_unstable_by_key(|read| read.name);
        for read in &mut reads {
            read.kept = match (kept.contains(&read.name), kept_by_temporaries.contains(&read.name)) {
                (true, _) => Kept::Yes,
                (false, true) => Kept::ByTemporary,
                (false, false) => Kept::No,
            };
        }
        self.flow.looked_below = self.looked_below;
        CellFlow {
            reads,
            writes,
            ..self.flow
        }
    }

    /// The names that are read and whose objects can be reached from what the cell leaves.
    fn kept_objects(&self, by_temporaries: bool) -> FxHashSet<NameId> {
        let mut left = FxHashSet::default();
        let is_meant = |change: &&Change| change.is_bound && change.is_temporary == by_temporaries;
        let bound = self.changes.values().filter(is_meant);
        let escaped: &[ObjId] = if by_temporaries { &[] } else { &self.escaped };
        for id in bound.flat_map(|change| &change.objs).chain(escaped) {
            if !self.store.is_immutable(*id) {
                self.store.reach(*id, &mut left);
            }
        }
        let mut kept = FxHashSet::default();
        if left.is_empty() {
            return kept;
        }
        for name in self.reads.keys() {
            let objs = self
                .store
                .binding(*name)
                .map(|binding| &binding.objs[..])
                .unwrap_or_default();
            let mut objs = objs.iter().filter(|id| !self.store.is_immutable(**id));
            if objs.any(|id| self.store.reaches(*id, &left)) {
                kept.insert(*name);
            }
        }
        kept
    }

    /// What the changes of a name come to. A name that is perhaps bound keeps its value otherwise, so it is read, too.
    fn write_of(&mut self, name: NameId, change: &Change) -> Option<Write> {
        let kind = if change.deleted {
            WriteKind::Delete
        } else if change.clobbered && !change.is_bound {
            WriteKind::Clobber
        } else if !change.is_bound {
            return None;
        } else if self.is_definite(name) {
            WriteKind::Bind
        } else if change.in_branch {
            WriteKind::MayBind
        } else {
            WriteKind::LoopBind
        };
        let carried = match kind {
            WriteKind::MayBind => Carried::Branch,
            WriteKind::LoopBind => Carried::Loop,
            _ => Carried::No,
        };
        if carried != Carried::No {
            self.look_at(name);
            let binding = self.store.binding(name);
            let (writer, binder) = (binding.map(|b| b.writer), binding.map(|b| b.binder));
            self.read(name, writer, binder, carried);
        }
        Some(Write {
            name,
            kind,
            import: change.import.filter(|_| kind == WriteKind::Bind),
            is_temporary: change.is_temporary,
        })
    }

    fn commit(&mut self, name: NameId, change: Change, kind: WriteKind) {
        let mut objs = change.objs;
        let old = self.store.binding(name).cloned();
        let mut binder = self.position;
        match kind {
            WriteKind::Bind => {}
            WriteKind::Delete => objs.clear(),
            WriteKind::Clobber | WriteKind::MayBind | WriteKind::LoopBind | WriteKind::Mutate => {
                if let Some(old) = &old {
                    extend(&mut objs, &old.objs);
                    if kind == WriteKind::Clobber {
                        binder = old.binder;
                    }
                }
            }
        }
        let objs = self.store.merged(objs);
        self.store.set_binding(
            name,
            Binding {
                objs,
                writer: self.position,
                binder,
            },
        );
    }
}
