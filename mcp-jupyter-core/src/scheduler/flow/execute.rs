//! Executing instructions on sets of objects.

use std::sync::Arc;

use smallvec::smallvec;

use crate::scheduler::analysis::NameId;
use crate::scheduler::analysis::ir::{Block, Function, Instr, Made, Reg, Slot};

use super::call::Passed;
use super::cell::{CellRun, Frame, extend};
use super::store::{ClassValue, FunctionValue, IMMUTABLE, Kind, ObjId, Objs, Pending};

impl CellRun<'_> {
    /// Executes a block; gives whether its end is never reached.
    pub(super) fn block(&mut self, frame: &mut Frame, block: &Block) -> bool {
        for instr in block {
            if !self.burn() {
                return false;
            }
            if matches!(instr, Instr::Diverge) {
                return true;
            }
            self.instr(frame, instr);
        }
        false
    }

    fn instr(&mut self, frame: &mut Frame, instr: &Instr) {
        match instr {
            Instr::Load { dst, name } => frame.regs[*dst as usize] = self.load(*name),
            Instr::Bind { name, src, temporary } => {
                let objs = reg(frame, *src);
                self.bind(frame, *name, objs, *temporary);
            }
            Instr::Delete { name } => self.delete(frame, *name),
            Instr::Clobber { name } => self.clobber(*name),
            Instr::LoadSlot { dst, slot } => frame.regs[*dst as usize] = frame.slot(*slot),
            Instr::StoreSlot { slot, src } => self.store_slot(frame, *slot, *src),
            Instr::StoreCaptured { slot, src } => {
                let objs = reg(frame, *src);
                extend(&mut frame.slots[*slot as usize], &objs);
                if let Some(callee) = frame.callee {
                    self.store_into(&[callee], &objs);
                }
            }
            Instr::Join { dst, of } => {
                let mut objs = Objs::new();
                for of in of {
                    extend(&mut objs, &frame.regs[*of as usize]);
                }

                frame.regs[*dst as usize] = objs;
            }
            Instr::Touch { name, reads, writes } => {
                self.touch(*name, *reads, *writes);
            }
            Instr::Nondeterministic => self.nondeterministic(),
            Instr::Opaque { reads, writes, reason } => self.opaque(*reads, *writes, reason),
            Instr::Return { src } => {
                let objs = reg(frame, *src);
                extend(&mut frame.returned, &objs);
                frame.may_have_returned |= self.branches > 0 || self.loops > 0;
            }
            Instr::Branch { arms, exhaustive } => self.branch(frame, arms, *exhaustive),
            Instr::Loop { body, entered } => self.loop_body(frame, body, *entered),
            Instr::Diverge => {}
            _ => self.value(frame, instr),
        }
    }

    /// Instructions about values.
    fn value(&mut self, frame: &mut Frame, instr: &Instr) {
        match instr {
            Instr::Make { dst, made, parts } => frame.regs[*dst as usize] = self.made(frame, *made, parts),
            Instr::Item { dst, of } => {
                let of = reg(frame, *of);
                self.implicit(&of, &["__getitem__"]);
                frame.regs[*dst as usize] = self.items(&of);
            }
            Instr::Selection { dst, of, is_slice } => {
                let of = reg(frame, *of);
                self.implicit(&of, &["__getitem__"]);
                frame.regs[*dst as usize] = self.selection(&of, *is_slice);
            }
            Instr::Attr { dst, of, name } => {
                let of = reg(frame, *of);
                frame.regs[*dst as usize] = self.attribute(&of, *name);
            }
            Instr::Unpack { of, dsts } => {
                let of = reg(frame, *of);
                self.unpack(frame, &of, dsts);
            }
            Instr::Iterate { dst, of } => {
                let of = reg(frame, *of);
                self.implicit(&of, &["__iter__", "__next__", "__getitem__"]);
                frame.regs[*dst as usize] = self.consume(&of);
            }
            Instr::Augmented { dst, old, new } => {
                let (old, new) = (reg(frame, *old), reg(frame, *new));
                let mut objs: Objs = old.iter().copied().filter(|id| !self.store.is_immutable(*id)).collect();
                if objs.len() < old.len() || objs.is_empty() {
                    extend(&mut objs, &new);
                }
                frame.regs[*dst as usize] = objs;
            }
            Instr::Store { of, value } => {
                let holders = reg(frame, *of);
                let values = value.map(|value| reg(frame, value)).unwrap_or_default();
                self.implicit(&holders, &["__setitem__", "__setattr__", "__iadd__", "__delitem__"]);
                self.assign_into(&holders, &values);
            }
            Instr::Show { src } => {
                let objs = reg(frame, *src);
                self.show(&objs);
            }
            _ => self.definition_or_call(frame, instr),
        }
    }

    fn definition_or_call(&mut self, frame: &mut Frame, instr: &Instr) {
        match instr {
            Instr::Import { dst, path } => frame.regs[*dst as usize] = self.import(*path),
            Instr::ImportStar { path } => self.star(frame, *path),
            Instr::Function {
                dst,
                function,
                defaults,
                is_lazy,
            } => {
                frame.regs[*dst as usize] = self.function(frame, function, defaults, *is_lazy);
            }
            Instr::Class { dst, bases, members } => frame.regs[*dst as usize] = self.class(frame, bases, members),
            Instr::Call {
                dst,
                callee,
                args,
                used,
            } => {
                let (callee, args) = (reg(frame, *callee), Passed::of(frame, args));
                frame.regs[*dst as usize] = self.call(&callee, &args, *used);
            }
            Instr::Method {
                dst,
                of,
                name,
                args,
                used,
            } => {
                let (of, args) = (reg(frame, *of), Passed::of(frame, args));
                frame.regs[*dst as usize] = self.call_method(&of, *name, &args, *used);
            }
            Instr::Decorate { dst, decorator, args } => {
                let (decorator, args) = (reg(frame, *decorator), Passed::of(frame, args));
                frame.regs[*dst as usize] = self.decorate(&decorator, &args);
            }
            _ => {}
        }
    }

    fn store_slot(&mut self, frame: &mut Frame, slot: Slot, src: Reg) {
        let objs = reg(frame, src);
        if self.is_certain(frame) {
            frame.slots[slot as usize] = objs;
        } else {
            extend(&mut frame.slots[slot as usize], &objs);
        }
    }

    fn branch(&mut self, frame: &mut Frame, arms: &[Block], exhaustive: bool) {
        self.branches += 1;
        let mut common: Option<Vec<NameId>> = None;
        for arm in arms {
            let mark = self.mark();
            let diverges = self.block(frame, arm);
            let definite = self.take_definite(mark);
            if !diverges {
                common = Some(match common {
                    None => definite,
                    Some(common) => common.into_iter().filter(|name| definite.contains(name)).collect(),
                });
            }
        }
        self.branches -= 1;
        if exhaustive {
            self.add_definite(common.unwrap_or_default());
        }
    }

    fn loop_body(&mut self, frame: &mut Frame, body: &Block, entered: bool) {
        if entered {
            self.block(frame, body);
            return;
        }
        self.loops += 1;
        let mark = self.mark();
        self.block(frame, body);
        self.take_definite(mark);
        self.loops -= 1;
    }

    fn made(&mut self, frame: &Frame, made: Made, parts: &[Reg]) -> Objs {
        let parts: Vec<Objs> = parts.iter().map(|part| reg(frame, *part)).collect();
        match made {
            Made::Text(text) => self.make_one(Kind::Text(text), None),
            Made::Container => self.holding(Kind::Container, &parts),
            Made::Tuple => self.holding(Kind::Tuple, &parts),
            Made::Unknown => self.make_one(Kind::Unknown, None),
            Made::Computed => self.computed(&parts),
        }
    }

    pub(super) fn holding(&mut self, kind: Kind, parts: &[Objs]) -> Objs {
        let id = self.make(kind, None);
        parts.iter().flatten().for_each(|part| self.store.hold(id, *part));
        smallvec![id]
    }

    /// The result of an operator: a new object, which holds the items of containers (`a + b`).
    fn computed(&mut self, parts: &[Objs]) -> Objs {
        let operands: Vec<ObjId> = parts.iter().flatten().copied().collect();
        self.implicit(&operands, OPERATORS);
        if operands
            .iter()
            .all(|id| self.store.is_immutable(*id) && !matches!(self.store.kind(*id), Kind::Tuple))
        {
            return smallvec![IMMUTABLE];
        }
        self.read_options(&operands, &["decimal", "numpy"]);
        let are_containers = operands
            .iter()
            .all(|id| self.store.is_immutable(*id) || matches!(self.store.kind(*id), Kind::Container | Kind::Tuple));
        let origin = operands.iter().find_map(|id| self.store.obj(*id).origin);
        let kind = if are_containers { Kind::Container } else { Kind::Unknown };
        let id = self.make(kind, origin);
        if are_containers {
            let items: Objs = operands
                .iter()
                .flat_map(|id| self.store.obj(*id).parts.clone())
                .collect();
            items.iter().for_each(|item| self.store.hold(id, *item));
        }
        smallvec![id]
    }

    /// What an item of these may be.
    pub(super) fn items(&mut self, of: &[ObjId]) -> Objs {
        let mut items = Objs::new();
        for id in of {
            match self.store.kind(*id) {
                Kind::Immutable | Kind::Text(_) => extend(&mut items, &[IMMUTABLE]),
                Kind::Namespace => self.opaque(true, false, "it looks names up by their text"),
                Kind::Container | Kind::Tuple => {
                    let parts = self.store.obj(*id).parts.clone();
                    extend(&mut items, if parts.is_empty() { &[IMMUTABLE] } else { &parts });
                }
                _ => {
                    let parts = self.store.obj(*id).parts.clone();
                    extend(&mut items, &parts);
                    let element = self.store.element(*id);
                    extend(&mut items, &[element]);
                }
            }
        }
        items
    }

    fn selection(&mut self, of: &[ObjId], is_slice: bool) -> Objs {
        let mut selected = Objs::new();
        for id in of {
            let new = match self.store.kind(*id) {
                Kind::Immutable | Kind::Text(_) => IMMUTABLE,
                Kind::Container | Kind::Tuple => {
                    let parts = self.store.obj(*id).parts.clone();
                    let kind = self.store.kind(*id).clone();
                    self.holding(kind, &[parts])[0]
                }
                _ => {
                    let origin = self.store.obj(*id).origin;
                    let new = self.make(Kind::Unknown, origin);
                    if is_slice && !self.is_pandas(*id) {
                        self.store.hold(*id, new);
                        self.store.hold(new, *id);
                    }
                    new
                }
            };
            extend(&mut selected, &[new]);
        }
        selected
    }

    /// The values of `a, b = of`: one object for each place, because they are seldom the same.
    fn unpack(&mut self, frame: &mut Frame, of: &[ObjId], dsts: &[Reg]) {
        self.implicit(of, &["__iter__", "__getitem__"]);
        let consumed = self.consume(of);
        let parts: Option<Vec<ObjId>> = match of {
            [only] if matches!(self.store.kind(*only), Kind::Tuple | Kind::Container) => {
                let parts = &self.store.obj(*only).parts;
                (parts.len() == dsts.len()).then(|| parts.to_vec())
            }
            _ => None,
        };
        for (index, dst) in dsts.iter().enumerate() {
            frame.regs[*dst as usize] = match &parts {
                Some(parts) => smallvec![parts[index]],
                None => self.place_of(of, &consumed),
            };
        }
    }

    fn place_of(&mut self, of: &[ObjId], items: &Objs) -> Objs {
        let is_known = of
            .iter()
            .all(|id| matches!(self.store.kind(*id), Kind::Container | Kind::Tuple | Kind::Immutable));
        if is_known {
            return items.clone();
        }
        let origin = of.first().and_then(|id| self.store.obj(*id).origin);
        let place = self.make(Kind::Unknown, origin);
        for id in of {
            self.store.hold(*id, place);
        }
        smallvec![place]
    }

    /// Takes the items of something, which uses up an iterator and runs a generator.
    pub(super) fn consume(&mut self, of: &[ObjId]) -> Objs {
        let mut items = Objs::new();
        for id in of {
            match self.store.kind(*id).clone() {
                Kind::Iterator | Kind::File(_) | Kind::Random => {
                    let held = self.advance(*id);
                    extend(&mut items, &held);
                }
                Kind::Generator(pending) => {
                    self.mutate(&[*id]);
                    extend(&mut items, &self.resume(&pending));
                }
                _ => extend(&mut items, &self.items(&[*id])),
            }
        }
        items
    }

    /// Takes the items of an iterator: those of what it goes over, passed through the functions that it has.
    fn advance(&mut self, id: ObjId) -> Objs {
        self.mutate(&[id]);
        let held = self.store.obj(id).parts.clone();
        let is_function = |this: &Self, id: ObjId| {
            matches!(
                this.store.kind(id),
                Kind::Function(_) | Kind::Method(..) | Kind::LibraryMethod(..) | Kind::Cached(_) | Kind::Partial(_)
            )
        };
        let (functions, sources): (Vec<ObjId>, Vec<ObjId>) = held.iter().partition(|id| is_function(self, **id));
        let mut items = Objs::new();
        for source in sources.into_iter().filter(|source| *source != id) {
            if self.depth_of_iteration < MAX_ITERATION {
                self.depth_of_iteration += 1;
                let found = self.consume(&[source]);
                self.depth_of_iteration -= 1;
                extend(&mut items, &found);
            }
        }
        self.call_back(&functions);
        if items.is_empty() || !functions.is_empty() {
            items.push(IMMUTABLE);
        }
        items
    }

    fn import(&mut self, path: NameId) -> Objs {
        let text = self.names.get(path).to_owned();
        if super::library::may_be_local(&text) {
            let name = self.names.intern("<sys.path>");
            self.touch(name, true, false);
        }
        let file = self.names.intern(&format!("<file:{}.py>", text.replace('.', "/")));
        if self.is_written(file) {
            self.touch(file, true, false);
            return self.make_one(Kind::Unknown, None);
        }
        let parent = text.rsplit_once('.').map(|(parent, _)| parent.to_owned());
        let parent = parent
            .filter(|parent| !parent.is_empty())
            .map(|parent| self.external_named(&parent));
        smallvec![self.store.external(path, parent)]
    }

    fn star(&mut self, frame: &Frame, path: NameId) {
        let module = self.names.get(path).to_owned();
        let mut is_known = false;
        for name in super::library::exports(&module) {
            is_known = true;
            let external = self.external_named(&format!("{module}.{name}"));
            let name = self.names.intern(name);
            self.bind(frame, name, smallvec![external], false);
        }
        if !is_known {
            self.import_star();
        }
    }

    fn function(&mut self, frame: &Frame, function: &Arc<Function>, defaults: &[Reg], is_lazy: bool) -> Objs {
        let captures = function
            .captures
            .iter()
            .map(|(outer, inner)| (*inner, frame.slot(*outer)))
            .collect();
        let defaults: Vec<(Slot, Objs)> = function
            .defaulted
            .iter()
            .zip(defaults)
            .map(|(slot, default)| (*slot, reg(frame, *default)))
            .collect();
        let value = FunctionValue {
            function: Arc::clone(function),
            captures,
            defaults,
        };
        let held: Vec<Objs> = value
            .captures
            .iter()
            .chain(&value.defaults)
            .map(|(_, objs)| objs.clone())
            .collect();
        let made = self.holding(Kind::Function(Arc::new(value.clone())), &held);
        if !is_lazy {
            return made;
        }
        let mut slots = vec![Objs::new(); function.body.slots as usize];
        for (slot, objs) in value.captures.iter().chain(&value.defaults) {
            slots[*slot as usize].clone_from(objs);
        }
        let pending = Pending { callee: made[0], slots };
        self.holding(Kind::Generator(Arc::new(pending)), &held)
    }

    fn class(&mut self, frame: &Frame, bases: &[Reg], members: &[(NameId, Slot)]) -> Objs {
        let mut all = Objs::new();
        for base in bases {
            extend(&mut all, &frame.regs[*base as usize]);
        }
        let members: Vec<(NameId, Objs)> = members.iter().map(|(name, slot)| (*name, frame.slot(*slot))).collect();
        let held: Vec<Objs> = members
            .iter()
            .map(|(_, objs)| objs.clone())
            .chain([all.clone()])
            .collect();
        for (name, objs) in &members {
            for id in objs {
                if matches!(self.store.kind(*id), Kind::Function(_)) {
                    self.store.add_method(*name, *id);
                }
            }
        }
        let value = ClassValue { bases: all, members };
        self.holding(Kind::Class(Arc::new(value)), &held)
    }
}

/// How many iterators may go over each other.
const MAX_ITERATION: u32 = 16;

/// Methods that operators call.
const OPERATORS: &[&str] = &[
    "__abs__",
    "__add__",
    "__and__",
    "__bool__",
    "__contains__",
    "__eq__",
    "__floordiv__",
    "__ge__",
    "__gt__",
    "__iadd__",
    "__invert__",
    "__le__",
    "__lshift__",
    "__lt__",
    "__matmul__",
    "__mod__",
    "__mul__",
    "__ne__",
    "__neg__",
    "__or__",
    "__pow__",
    "__radd__",
    "__rmul__",
    "__rshift__",
    "__rsub__",
    "__sub__",
    "__truediv__",
    "__xor__",
];

pub(super) fn reg(frame: &Frame, reg: Reg) -> Objs {
    frame.regs.get(reg as usize).cloned().unwrap_or_default()
}
