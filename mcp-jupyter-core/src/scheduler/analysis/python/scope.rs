//! Frames, scopes and registers: where the compiler puts what it finds.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::scheduler::analysis::ir::{Block, Body, Instr, Made, Reg, Slot};
use crate::scheduler::analysis::names::{NameId, Names};

/// The register of every frame that holds an immutable value.
pub(super) const IMMUTABLE: Reg = 0;

/// How deep code may be nested before it is called too complex to follow.
const MAX_DEPTH: u32 = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScopeKind {
    Function,
    Class,
    Comprehension,
    /// Of a generic function or class; invisible from outside, but no scope for assignments.
    TypeParameters,
}

#[derive(Debug)]
pub(super) struct Scope {
    pub(super) kind: ScopeKind,
    pub(super) slots: FxHashMap<NameId, Slot>,
    pub(super) global: FxHashSet<NameId>,
    pub(super) nonlocal: FxHashSet<NameId>,
    /// Names that a class body has bound so far; before, it sees those of outside.
    assigned: FxHashSet<NameId>,
}

impl Scope {
    pub(super) fn new(kind: ScopeKind) -> Self {
        Self {
            kind,
            slots: FxHashMap::default(),
            global: FxHashSet::default(),
            nonlocal: FxHashSet::default(),
            assigned: FxHashSet::default(),
        }
    }
}

/// What becomes one body: a cell, a function, a lambda.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) scopes: Vec<Scope>,
    pub(super) captures: Vec<(Slot, Slot)>,
    captured: FxHashMap<NameId, Slot>,
    blocks: Vec<Block>,
    regs: u32,
    slots: u32,
}

impl Frame {
    pub(super) fn new() -> Self {
        Self {
            scopes: Vec::new(),
            captures: Vec::new(),
            captured: FxHashMap::default(),
            blocks: vec![Vec::new()],
            regs: IMMUTABLE + 1,
            slots: 0,
        }
    }

    pub(super) fn slot(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    pub(super) fn into_body(mut self) -> Body {
        Body {
            code: self.blocks.pop().unwrap_or_default(),
            regs: self.regs,
            slots: self.slots,
        }
    }
}

/// Where a name lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Namespace,
    Slot(Slot),
    /// A variable of an enclosing frame that this one may change.
    Captured(Slot),
}

/// Turns Python into instructions.
#[derive(Debug)]
pub(super) struct Compiler<'a> {
    pub(super) names: &'a mut Names,
    pub(super) frames: Vec<Frame>,
    pub(super) depth: u32,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(names: &'a mut Names) -> Self {
        Self {
            names,
            frames: vec![Frame::new()],
            depth: 0,
        }
    }

    pub(super) fn finish(mut self) -> Arc<Body> {
        Arc::new(self.frames.pop().map(Frame::into_body).unwrap_or_default())
    }

    pub(super) fn frame(&mut self) -> &mut Frame {
        self.frames
            .last_mut()
            .expect("the frame of the cell is there until the end")
    }

    pub(super) fn emit(&mut self, instr: Instr) {
        self.frame().blocks.last_mut().expect("a frame has a block").push(instr);
    }

    pub(super) fn reg(&mut self) -> Reg {
        let frame = self.frame();
        frame.regs += 1;
        frame.regs - 1
    }

    pub(super) fn unknown(&mut self) -> Reg {
        self.make(Made::Unknown, Vec::new())
    }

    pub(super) fn make(&mut self, made: Made, parts: Vec<Reg>) -> Reg {
        let dst = self.reg();
        self.emit(Instr::Make { dst, made, parts });
        dst
    }

    /// The instructions that `compile` emits, apart.
    pub(super) fn block(&mut self, compile: impl FnOnce(&mut Self)) -> Block {
        self.frame().blocks.push(Vec::new());
        compile(self);
        self.frame().blocks.pop().unwrap_or_default()
    }

    /// Goes one level deeper, unless that is too deep; then the code is called opaque.
    pub(super) fn nested<T>(&mut self, otherwise: T, compile: impl FnOnce(&mut Self) -> T) -> T {
        if self.depth >= MAX_DEPTH {
            self.opaque(true, true, "code is nested too deeply to be followed");
            return otherwise;
        }
        self.depth += 1;
        let result = compile(self);
        self.depth -= 1;
        result
    }

    pub(super) fn opaque(&mut self, reads: bool, writes: bool, reason: &'static str) {
        self.emit(Instr::Opaque { reads, writes, reason });
    }

    pub(super) fn touch(&mut self, name: &str, reads: bool, writes: bool) {
        let name = self.names.intern(name);
        self.emit(Instr::Touch { name, reads, writes });
    }

    /// Compiles with the names of `scope` visible.
    pub(super) fn within<T>(&mut self, scope: Scope, compile: impl FnOnce(&mut Self) -> T) -> (T, Scope) {
        self.frame().scopes.push(scope);
        let result = compile(self);
        let scope = self.frame().scopes.pop().expect("scopes nest");
        (result, scope)
    }

    /// Where a load of `name` finds it.
    pub(super) fn resolve(&mut self, name: NameId) -> Place {
        self.resolve_from(self.frames.len() - 1, name, false)
    }

    fn resolve_from(&mut self, frame: usize, name: NameId, from_inside: bool) -> Place {
        let mut from_inside = from_inside;
        for scope in self.frames[frame].scopes.iter().rev() {
            if from_inside && scope.kind == ScopeKind::Class {
                continue;
            }
            from_inside |= scope.kind == ScopeKind::Comprehension;
            if scope.global.contains(&name) {
                return Place::Namespace;
            }
            if scope.nonlocal.contains(&name) {
                return match self.capture(frame, name) {
                    Place::Slot(slot) => Place::Captured(slot),
                    place => place,
                };
            }
            let is_bound = scope.kind != ScopeKind::Class || scope.assigned.contains(&name);
            if let Some(slot) = scope.slots.get(&name).filter(|_| is_bound) {
                return Place::Slot(*slot);
            }
        }
        self.capture(frame, name)
    }

    /// A variable of a frame around `frame`, which gets a slot there.
    fn capture(&mut self, frame: usize, name: NameId) -> Place {
        if let Some(slot) = self.frames[frame].captured.get(&name) {
            return Place::Slot(*slot);
        }
        if frame == 0 {
            return Place::Namespace;
        }
        match self.resolve_from(frame - 1, name, true) {
            Place::Namespace => Place::Namespace,
            Place::Slot(outer) | Place::Captured(outer) => {
                let frame = &mut self.frames[frame];
                let inner = frame.slot();
                frame.captures.push((outer, inner));
                frame.captured.insert(name, inner);
                Place::Slot(inner)
            }
        }
    }

    pub(super) fn load(&mut self, name: NameId) -> Reg {
        let place = self.resolve(name);
        let dst = self.reg();
        self.emit(match place {
            Place::Namespace => Instr::Load { dst, name },
            Place::Slot(slot) | Place::Captured(slot) => Instr::LoadSlot { dst, slot },
        });
        dst
    }

    pub(super) fn bind(&mut self, name: NameId, src: Reg, temporary: bool) {
        let place = self.resolve_binding(name);
        self.emit(match place {
            Place::Namespace => Instr::Bind { name, src, temporary },
            Place::Slot(slot) => Instr::StoreSlot { slot, src },
            Place::Captured(slot) => Instr::StoreCaptured { slot, src },
        });
    }

    /// Where an assignment puts a name: it belongs to the innermost function or class that is around it.
    fn resolve_binding(&mut self, name: NameId) -> Place {
        let frame = self.frames.len() - 1;
        if let Some(owner) = self.frames[frame]
            .scopes
            .last_mut()
            .filter(|owner| owner.kind == ScopeKind::Class)
        {
            owner.assigned.insert(name);
        }
        let owner = self.frames[frame].scopes.last();
        let owns = owner.is_some_and(|scope| {
            scope.slots.contains_key(&name) || scope.global.contains(&name) || scope.nonlocal.contains(&name)
        });
        if owner.is_none() && frame == 0 {
            return Place::Namespace;
        }
        if owns || frame > 0 || owner.is_some_and(|scope| scope.kind == ScopeKind::Comprehension) {
            return self.resolve(name);
        }
        Place::Namespace
    }

    pub(super) fn is_in_namespace(&mut self, name: &str) -> bool {
        let name = self.names.intern(name);
        self.resolve(name) == Place::Namespace
    }
}
