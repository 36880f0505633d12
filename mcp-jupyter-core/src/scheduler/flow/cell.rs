//! One cell: what it has bound so far, what it has read, and what comes of it.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::smallvec;

use crate::scheduler::analysis::ir::{Body, Slot};
use crate::scheduler::analysis::{NameId, Names};

use crate::scheduler::graph::is_pseudo;

use super::library::is_builtin;
use super::store::{Binding, IMMUTABLE, Kind, ObjId, Objs, Store};
use super::{Carried, CellFlow, EVERYTHING, Flow, Kept, Read, Write, WriteKind};

/// How many steps a cell is followed, calls included.
const FUEL: u32 = 50_000;

/// A body that is being executed.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) regs: Vec<Objs>,
    pub(super) slots: Vec<Objs>,
    pub(super) returned: Objs,
    /// Perhaps it has returned already, so that what follows is perhaps not reached.
    pub(super) may_have_returned: bool,
    pub(super) callee: Option<ObjId>,
}

impl Frame {
    pub(super) fn new(body: &Body, slots: Vec<Objs>, callee: Option<ObjId>) -> Self {
        let mut regs = vec![Objs::new(); body.regs as usize];
        if let Some(first) = regs.first_mut() {
            *first = smallvec![IMMUTABLE];
        }
        let mut slots = slots;
        slots.resize(body.slots as usize, Objs::new());
        Self {
            regs,
            slots,
            returned: Objs::new(),
            may_have_returned: false,
            callee,
        }
    }

    pub(super) fn slot(&self, slot: Slot) -> Objs {
        self.slots.get(slot as usize).cloned().unwrap_or_default()
    }
}

/// What the cell has done to a name.
#[derive(Clone, Debug, Default)]
struct Change {
    objs: Objs,
    is_bound: bool,
    in_branch: bool,
    is_temporary: bool,
    import: Option<NameId>,
    deleted: bool,
    clobbered: bool,
}

/// The abstract execution of one cell.
pub(super) struct CellRun<'a> {
    pub(super) store: &'a mut Store,
    pub(super) names: &'a mut Names,
    star: &'a mut Option<u32>,
    unsettled: &'a FxHashSet<NameId>,
    position: u32,
    /// It has looked at something that this cell or one below has written.
    looked_below: bool,
    changes: FxHashMap<NameId, Change>,
    /// Names that are bound on every path to here, in the order in which they were.
    definite: Vec<NameId>,
    reads: FxHashMap<NameId, Read>,
    mutated: FxHashSet<NameId>,
    /// Objects to which somebody else may keep a reference.
    escaped: Objs,
    pub(super) branches: u32,
    pub(super) loops: u32,
    /// Functions that are being executed, by their identity.
    pub(super) active: Vec<*const ()>,
    pub(super) depth_of_iteration: u32,
    fuel: u32,
    reads_all: bool,
    flow: CellFlow,
}

impl<'a> CellRun<'a> {
    pub(super) fn new(flow: &'a mut Flow, names: &'a mut Names, position: u32) -> Self {
        flow.store.begin();
        Self {
            store: &mut flow.store,
            names,
            star: &mut flow.star,
            unsettled: &flow.unsettled,
            position,
            looked_below: false,
            changes: FxHashMap::default(),
            definite: Vec::new(),
            reads: FxHashMap::default(),
            mutated: FxHashSet::default(),
            escaped: Objs::new(),
            branches: 0,
            loops: 0,
            active: Vec::new(),
            depth_of_iteration: 0,
            fuel: FUEL,
            reads_all: false,
            flow: CellFlow::default(),
        }
    }

    pub(super) fn run(mut self, body: &Body) -> CellFlow {
        let mut frame = Frame::new(body, Vec::new(), None);
        self.block(&mut frame, &body.code);
        self.finish(true)
    }

    /// What the cell does, without doing it; none where that depends on what it or the cells below have done.
    pub(super) fn look(mut self, body: &Body) -> Option<CellFlow> {
        let star = *self.star;
        let mut frame = Frame::new(body, Vec::new(), None);
        self.block(&mut frame, &body.code);
        self.looked_below |= *self.star != star;
        *self.star = star;
        let flow = self.finish(false);
        (!flow.looked_below).then_some(flow)
    }

    /// Notes that it matters what the cells above have done to a name.
    fn look_at(&mut self, name: NameId) {
        let is_below = self
            .store
            .binding(name)
            .is_some_and(|binding| binding.writer >= self.position);
        self.looked_below |= is_below || self.unsettled.contains(&name);
    }

    /// Whether there is fuel for one more step.
    pub(super) fn burn(&mut self) -> bool {
        if self.fuel == 0 {
            return false;
        }
        self.fuel -= 1;
        if self.fuel == 0 {
            self.opaque(true, true, "what it calls is too much to be followed");
        }
        true
    }

    pub(super) fn opaque(&mut self, reads: bool, writes: bool, reason: &'static str) {
        self.reads_all |= reads;
        self.flow.writes_all |= writes;
        self.flow.unknown.get_or_insert(reason);
    }

    pub(super) fn nondeterministic(&mut self) {
        self.flow.is_nondeterministic = true;
    }

    pub(super) fn make(&mut self, kind: Kind, origin: Option<NameId>) -> ObjId {
        self.store.add(kind, origin)
    }

    pub(super) fn make_one(&mut self, kind: Kind, origin: Option<NameId>) -> Objs {
        smallvec![self.store.add(kind, origin)]
    }

    pub(super) fn escape(&mut self, objs: &[ObjId]) {
        for id in objs {
            if !self.store.is_immutable(*id) && !self.escaped.contains(id) {
                self.escaped.push(*id);
            }
        }
    }

    /// The path of an external, as text.
    pub(super) fn external_named(&mut self, path: &str) -> ObjId {
        let path = self.names.intern(path);
        self.store.external(path, None)
    }

    /// Classes of the notebook have something to say, and nobody keeps which of them stand below.
    pub(super) fn look_at_classes(&mut self, matters: bool) {
        self.looked_below |= matters;
    }

    fn is_definite(&self, name: NameId) -> bool {
        self.definite.contains(&name)
    }

    pub(super) fn load(&mut self, name: NameId) -> Objs {
        let mut objs = self
            .changes
            .get(&name)
            .map(|change| change.objs.clone())
            .unwrap_or_default();
        if self.is_definite(name) {
            return objs;
        }
        self.look_at(name);
        if let Some(binding) = self.store.binding(name) {
            let (writer, binder) = (Some(binding.writer), Some(binding.binder));
            extend(&mut objs, &binding.objs.clone());
            self.read(name, writer, binder, Carried::No);
        } else if objs.is_empty() {
            objs = self.unbound(name);
        } else {
            self.read(name, None, None, Carried::No);
        }
        objs
    }

    fn read(&mut self, name: NameId, writer: Option<u32>, binder: Option<u32>, carried: Carried) {
        let read = self.reads.entry(name).or_insert(Read {
            name,
            writer,
            binder,
            kept: Kept::No,
            carried,
            is_builtin: false,
        });
        read.carried = read.carried.min(carried);
    }

    /// A name that no cell above has bound: a builtin, something from a star import, or IPython's own.
    fn unbound(&mut self, name: NameId) -> Objs {
        let text = self.names.get(name);
        if is_output_history(text) {
            self.opaque(true, false, "it reads the output history");
            return self.make_one(Kind::Unknown, None);
        }
        if is_builtin(text) {
            let path = format!("builtins.{text}");
            self.read(name, None, None, Carried::No);
            if let Some(read) = self.reads.get_mut(&name) {
                read.is_builtin = true;
            }
            return smallvec![self.external_named(&path)];
        }
        let star = *self.star;
        self.looked_below |= star.is_some_and(|star| star >= self.position);
        self.read(name, star, star, Carried::No);
        self.make_one(Kind::Unknown, None)
    }

    pub(super) fn is_certain(&self, frame: &Frame) -> bool {
        self.branches == 0 && self.loops == 0 && !frame.may_have_returned
    }

    pub(super) fn bind(&mut self, frame: &Frame, name: NameId, objs: Objs, is_temporary: bool) {
        if is_own_of_ipython(self.names.get(name)) {
            return;
        }
        let import = match objs[..] {
            [only] => match self.store.kind(only) {
                Kind::External(path) => Some(*path),
                _ => None,
            },
            _ => None,
        };
        let (is_certain, in_branch) = (self.is_certain(frame), self.branches > 0 || frame.may_have_returned);
        let change = self.changes.entry(name).or_insert_with(|| Change {
            is_temporary: true,
            import,
            ..Change::default()
        });
        if is_certain {
            change.objs = objs;
            change.in_branch = false;
        } else {
            extend(&mut change.objs, &objs);
            change.in_branch |= in_branch;
        }
        change.import = change.import.filter(|path| Some(*path) == import);
        change.is_bound = true;
        change.deleted = false;
        change.clobbered = false;
        change.is_temporary &= is_temporary;
        if is_temporary || !self.is_definite(name) {
            self.definite.push(name);
        }
    }

    pub(super) fn delete(&mut self, frame: &Frame, name: NameId) {
        let is_certain = self.is_certain(frame);
        let change = self.changes.entry(name).or_default();
        change.deleted = is_certain;
        change.is_bound |= !is_certain;
        if is_certain {
            change.objs = Objs::new();
            self.definite.push(name);
        }
    }

    /// The end of `except … as name`: whatever the name was bound to before, it is not any more.
    pub(super) fn clobber(&mut self, name: NameId) {
        let change = self.changes.entry(name).or_default();
        change.clobbered = true;
        change.is_bound = false;
        self.definite.retain(|definite| *definite != name);
    }

    /// Where the log of definite names stands.
    pub(super) fn mark(&self) -> usize {
        self.definite.len()
    }

    /// The names that have become definite since, which they are no longer.
    pub(super) fn take_definite(&mut self, mark: usize) -> Vec<NameId> {
        self.definite.split_off(mark.min(self.definite.len()))
    }

    pub(super) fn add_definite(&mut self, names: impl IntoIterator<Item = NameId>) {
        self.definite.extend(names);
    }

    /// Something in these objects changes.
    pub(super) fn mutate(&mut self, objs: &[ObjId]) {
        let mut names = Vec::new();
        for id in objs {
            if matches!(self.store.kind(*id), Kind::Immutable | Kind::Text(_)) {
                continue;
            }
            self.store.names_reaching(*id, &mut names);
        }
        for name in &names {
            self.look_at(*name);
        }
        self.mutated.extend(names);
    }

    pub(super) fn store_into(&mut self, holders: &[ObjId], values: &[ObjId]) {
        self.mutate(holders);
        for holder in holders {
            for value in values {
                self.store.hold(*holder, *value);
            }
        }
        if holders.iter().any(|holder| !self.store.is_immutable(*holder)) {
            self.escape(values);
        }
    }

    /// Reads or writes a pseudo-name; gives whether somebody above has written it.
    pub(super) fn touch(&mut self, name: NameId, reads: bool, writes: bool) -> bool {
        if self.names.get(name) == "<environ>" {
            for variable in self.store.ever_bound() {
                if self.names.get(variable).starts_with("<environ:") {
                    self.touch(variable, reads, writes);
                }
            }
        }
        self.look_at(name);
        let is_written = self.is_definite(name) || self.store.binding(name).is_some();
        if reads && !self.is_definite(name) {
            let binding = self.store.binding(name);
            let (writer, binder) = (binding.map(|b| b.writer), binding.map(|b| b.binder));
            self.read(name, writer, binder, Carried::No);
        }
        if writes && reads {
            self.mutated.insert(name);
            if !is_written {
                self.changes.entry(name).or_default().is_bound = true;
                self.definite.push(name);
            }
        } else if writes {
            let certain = self.branches == 0 && self.loops == 0;
            let change = self.changes.entry(name).or_default();
            change.is_bound = true;
            change.in_branch |= !certain;
            self.definite.push(name);
        }
        is_written
    }

    /// Whether somebody has written a pseudo-name, this cell or one above.
    pub(super) fn is_written(&self, name: NameId) -> bool {
        self.changes.get(&name).is_some_and(|change| change.is_bound) || self.store.binding(name).is_some()
    }

    /// Reads the options of the libraries that objects come from, where somebody has set any.
    pub(super) fn read_options(&mut self, objs: &[ObjId], libraries: &[&str]) {
        for id in objs {
            let Some(origin) = self.store.obj(*id).origin else {
                continue;
            };
            let library = self.names.get(origin);
            if !libraries.contains(&library) {
                continue;
            }
            let library = library.to_owned();
            self.read_options_of(&library);
        }
    }

    pub(super) fn read_options_of(&mut self, library: &str) {
        let options = self.names.intern(&format!("<options:{library}>"));
        if self.is_written(options) {
            self.touch(options, true, false);
        }
    }

    pub(super) fn import_star(&mut self) {
        *self.star = Some(self.position);
    }

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
    fn finish(mut self, commits: bool) -> CellFlow {
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

/// Adds what is not there.
pub(super) fn extend(objs: &mut Objs, more: &[ObjId]) {
    for id in more {
        if !objs.contains(id) {
            objs.push(*id);
        }
    }
}

/// Names that IPython binds by itself after every cell.
fn is_own_of_ipython(name: &str) -> bool {
    is_output_history(name) || matches!(name, "In" | "_ih" | "_oh" | "_dh")
}

fn is_output_history(name: &str) -> bool {
    matches!(
        name,
        "_" | "__" | "___" | "Out" | "_oh" | "In" | "_i" | "_ii" | "_iii" | "_ih"
    ) || name
        .strip_prefix("_i")
        .or_else(|| name.strip_prefix('_'))
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
