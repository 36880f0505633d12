//! One cell: what it has bound so far, what it has read, and what comes of it.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::smallvec;

use crate::scheduler::analysis::ir::{Body, Slot};
use crate::scheduler::analysis::{NameId, Names};

use super::library::is_builtin;
use super::store::{IMMUTABLE, Kind, ObjId, Objs, Store};
use super::{Carried, CellFlow, Flow, Kept, Read};

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
pub(super) struct Change {
    pub(super) objs: Objs,
    pub(super) is_bound: bool,
    pub(super) in_branch: bool,
    pub(super) is_temporary: bool,
    pub(super) import: Option<NameId>,
    pub(super) deleted: bool,
    pub(super) clobbered: bool,
}

/// The abstract execution of one cell.
pub(super) struct CellRun<'a> {
    pub(super) store: &'a mut Store,
    pub(super) names: &'a mut Names,
    pub(super) star: &'a mut Option<u32>,
    unsettled: &'a FxHashSet<NameId>,
    pub(super) position: u32,
    /// It has looked at something that this cell or one below has written.
    pub(super) looked_below: bool,
    pub(super) changes: FxHashMap<NameId, Change>,
    /// Names that are bound on every path to here, in the order in which they were.
    pub(super) definite: Vec<NameId>,
    pub(super) reads: FxHashMap<NameId, Read>,
    pub(super) mutated: FxHashSet<NameId>,
    /// Objects to which somebody else may keep a reference.
    pub(super) escaped: Objs,
    pub(super) branches: u32,
    pub(super) loops: u32,
    /// Functions that are being executed, by their identity.
    pub(super) active: Vec<*const ()>,
    pub(super) depth_of_iteration: u32,
    fuel: u32,
    pub(super) reads_all: bool,
    pub(super) flow: CellFlow,
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
    pub(super) fn look_at(&mut self, name: NameId) {
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

    pub(super) fn is_definite(&self, name: NameId) -> bool {
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

    pub(super) fn read(&mut self, name: NameId, writer: Option<u32>, binder: Option<u32>, carried: Carried) {
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
