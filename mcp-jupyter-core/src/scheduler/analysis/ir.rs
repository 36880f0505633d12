//! What code does to names and objects, in the order in which it does it: a small language between Python's syntax and
//! the interpreter that follows objects through a notebook (`scheduler::flow`).
//!
//! Values live in registers; a register holds the *objects* that an expression may yield. Names of the kernel's namespace
//! are loaded and bound by name, local variables of functions, classes and comprehensions live in slots of their frame.

use std::sync::Arc;

use super::names::NameId;

/// Where an expression's value is kept within its frame.
pub(crate) type Reg = u32;
/// A local variable of a frame.
pub(crate) type Slot = u32;
/// Instructions that are executed one after the other.
pub(crate) type Block = Vec<Instr>;

/// What the code of a cell, a function or a lambda does.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Body {
    pub(crate) code: Block,
    pub(crate) regs: u32,
    pub(crate) slots: u32,
}

/// A function, a lambda or a generator expression.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    /// Positional parameters, then keyword-only ones: their names and slots.
    pub(crate) parameters: Vec<(NameId, Slot)>,
    /// How many of them are positional.
    pub(crate) positional: usize,
    /// The slots of parameters that have defaults.
    pub(crate) defaulted: Vec<Slot>,
    pub(crate) star: Option<Slot>,
    pub(crate) double_star: Option<Slot>,
    /// Variables of enclosing frames: the slot there and the slot here.
    pub(crate) captures: Vec<(Slot, Slot)>,
    pub(crate) is_generator: bool,
    pub(crate) body: Body,
}

/// A value that is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A literal text.
    Text(NameId),
    /// A list, set or dict, or a comprehension of one.
    Container,
    /// A tuple or slice: as mutable as its parts.
    Tuple,
    /// The result of an operator.
    Computed,
    /// Nothing is known about it.
    Unknown,
}

/// What becomes of the value of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Used {
    /// Something is done with it.
    Yes,
    /// Nothing: the call stands alone.
    No,
    /// It is the cell's last expression, so it is shown where it is not `None`.
    Displayed,
}

/// The arguments of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Reg>,
    pub(crate) keywords: Vec<(NameId, Reg)>,
    /// What is unpacked by `*` and `**`.
    pub(crate) unpacked: Vec<Reg>,
    /// Keywords whose value is the literal `True`, as in `inplace=True`.
    pub(crate) is_true: Vec<NameId>,
}

impl Args {
    /// Every argument.
    pub(crate) fn all(&self) -> impl Iterator<Item = Reg> + '_ {
        let keywords = self.keywords.iter().map(|(_, reg)| *reg);
        self.positional
            .iter()
            .copied()
            .chain(keywords)
            .chain(self.unpacked.iter().copied())
    }
}

/// One step.
#[derive(Debug, PartialEq)]
pub(crate) enum Instr {
    /// The value of a name of the kernel's namespace.
    Load {
        dst: Reg,
        name: NameId,
    },
    /// Binds a name of the kernel's namespace. Loop targets are `temporary`.
    Bind {
        name: NameId,
        src: Reg,
        temporary: bool,
    },
    Delete {
        name: NameId,
    },
    /// Unbinds a name where it was bound, as the end of an `except … as name` does.
    Clobber {
        name: NameId,
    },
    LoadSlot {
        dst: Reg,
        slot: Slot,
    },
    StoreSlot {
        slot: Slot,
        src: Reg,
    },
    /// A function changes a variable of the frame that made it (`nonlocal`).
    StoreCaptured {
        slot: Slot,
        src: Reg,
    },
    Make {
        dst: Reg,
        made: Made,
        parts: Vec<Reg>,
    },
    Join {
        dst: Reg,
        of: Vec<Reg>,
    },
    /// `of[…]`.
    Item {
        dst: Reg,
        of: Reg,
    },
    /// Several items of `of`: `of[1:2]`, which shares memory with an array, or `of[mask]`, which is a copy.
    Selection {
        dst: Reg,
        of: Reg,
        is_slice: bool,
    },
    /// `of.name`.
    Attr {
        dst: Reg,
        of: Reg,
        name: NameId,
    },
    /// `a, b = of`.
    Unpack {
        of: Reg,
        dsts: Vec<Reg>,
    },
    /// The items of `of`, one after the other.
    Iterate {
        dst: Reg,
        of: Reg,
    },
    Import {
        dst: Reg,
        path: NameId,
    },
    ImportStar {
        path: NameId,
    },
    Function {
        dst: Reg,
        function: Arc<Function>,
        defaults: Vec<Reg>,
        is_lazy: bool,
    },
    Class {
        dst: Reg,
        bases: Vec<Reg>,
        members: Vec<(NameId, Slot)>,
    },
    Call {
        dst: Reg,
        callee: Reg,
        args: Box<Args>,
        used: Used,
    },
    Method {
        dst: Reg,
        of: Reg,
        name: NameId,
        args: Box<Args>,
        used: Used,
    },
    /// Something of `of` is assigned or deleted: `of[…] = value`, `of.name = value`, `of += value`.
    Store {
        of: Reg,
        value: Option<Reg>,
    },
    /// What `old += …` leaves in its target: the same object where it can change, else the new one.
    Augmented {
        dst: Reg,
        old: Reg,
        new: Reg,
    },
    /// Shows a value, or turns it into a text.
    Show {
        src: Reg,
    },
    Return {
        src: Reg,
    },
    /// Reads or writes what behaves like a name.
    Touch {
        name: NameId,
        reads: bool,
        writes: bool,
    },
    /// Something that gives another result every time.
    Nondeterministic,
    /// Code that cannot be followed.
    Opaque {
        reads: bool,
        writes: bool,
        reason: &'static str,
    },
    /// Alternatives, of which one is taken; if not `exhaustive`, perhaps none.
    Branch {
        arms: Vec<Block>,
        exhaustive: bool,
    },
    /// A body that is executed again and again; if not `entered`, perhaps never.
    Loop {
        body: Block,
        entered: bool,
    },
    /// `@decorator`
    Decorate {
        dst: Reg,
        decorator: Reg,
        args: Box<Args>,
    },
    /// Nothing below in this block is reached, as after `raise`.
    Diverge,
}
