//! Calls: into the notebook's own functions, and of what libraries offer.

use std::sync::Arc;

use smallvec::smallvec;

use crate::scheduler::analysis::NameId;
use crate::scheduler::analysis::ir::{Args, Function, Used};

use super::cell::{CellRun, Frame, extend};
use super::execute::reg;
use super::library;
use super::store::{FunctionValue, IMMUTABLE, Kind, ObjId, Objs, Pending};

/// How many calls may be within each other.
const MAX_CALLS: usize = 24;

/// The objects that are passed to a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed {
    pub(super) positional: Vec<Objs>,
    pub(super) keywords: Vec<(NameId, Objs)>,
    pub(super) unpacked: Vec<Objs>,
    is_true: Vec<NameId>,
}

impl Passed {
    /// The objects of a call's arguments.
    pub(super) fn of(frame: &Frame, args: &Args) -> Self {
        Self {
            positional: args.positional.iter().map(|arg| reg(frame, *arg)).collect(),
            keywords: args
                .keywords
                .iter()
                .map(|(name, arg)| (*name, reg(frame, *arg)))
                .collect(),
            unpacked: args.unpacked.iter().map(|arg| reg(frame, *arg)).collect(),
            is_true: args.is_true.clone(),
        }
    }

    pub(super) fn all(&self) -> Vec<Objs> {
        let keywords = self.keywords.iter().map(|(_, objs)| objs);
        self.positional
            .iter()
            .chain(keywords)
            .chain(&self.unpacked)
            .cloned()
            .collect()
    }

    pub(super) fn flat(&self) -> Vec<ObjId> {
        self.all().into_iter().flatten().collect()
    }

    pub(super) fn first(&self) -> Objs {
        self.positional.first().cloned().unwrap_or_default()
    }
}

impl CellRun<'_> {
    pub(super) fn keyword(&self, args: &Passed, name: &str) -> Option<Objs> {
        let wanted = self.names.find(name)?;
        args.keywords
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, objs)| objs.clone())
    }

    pub(super) fn is_true(&self, args: &Passed, name: &str) -> bool {
        self.names.find(name).is_some_and(|name| args.is_true.contains(&name))
    }

    pub(super) fn call(&mut self, callee: &[ObjId], args: &Passed, used: Used) -> Objs {
        let mut result = Objs::new();
        for id in callee {
            extend(&mut result, &self.call_one(*id, args, used));
        }
        if result.is_empty() {
            result = self.make_one(Kind::Unknown, None);
        }
        result
    }

    fn call_one(&mut self, callee: ObjId, args: &Passed, used: Used) -> Objs {
        match self.store.kind(callee).clone() {
            Kind::Function(value) => self.call_function(callee, &value, args),
            Kind::Class(_) => self.construct(callee, args),
            Kind::Instance(class) => match self.member(class, "__call__") {
                Some(methods) => self.call_bound(callee, &methods, args),
                None => self.call_unknown(callee, args),
            },
            Kind::Method(this, method) => self.call_bound(this, &[method], args),
            Kind::LibraryMethod(this, name) => self.call_method(&[this], name, args, used),
            Kind::External(path) => self.call_library(path, args),
            Kind::Property(inner) | Kind::CachedProperty(inner) | Kind::Partial(inner) => {
                self.call_one(inner, args, used)
            }
            Kind::Cached(inner) => {
                self.mutate(&[callee]);
                self.call_one(inner, args, used)
            }
            _ => self.call_unknown(callee, args),
        }
    }

    /// A method with the object that it is called on.
    pub(super) fn call_bound(&mut self, this: ObjId, methods: &[ObjId], args: &Passed) -> Objs {
        let mut with_this = args.clone();
        with_this.positional.insert(0, smallvec![this]);
        self.call(methods, &with_this, Used::Yes)
    }

    /// Something that nobody knows is called: it may keep its arguments, and gives another result every time.
    fn call_unknown(&mut self, callee: ObjId, args: &Passed) -> Objs {
        self.nondeterministic();
        if self.is_namespace(&args.flat()) {
            self.opaque(true, true, "it passes on all names");
        }
        let held = self.store.obj(callee).parts.clone();
        self.call_back(&held);
        self.hand_over(&args.flat());
        let origin = self.store.obj(callee).origin;
        let result = self.make(Kind::Unknown, origin);
        self.store.hold(result, callee);
        smallvec![result]
    }

    /// Gives objects to somebody who may call them, use them up and keep them.
    pub(super) fn hand_over(&mut self, objs: &[ObjId]) {
        self.call_back(objs);
        self.escape(objs);
        for id in objs {
            if matches!(
                self.store.kind(*id),
                Kind::Iterator | Kind::File(_) | Kind::Generator(_)
            ) {
                self.consume(&[*id]);
            }
        }
    }

    /// Functions that are passed on are called there.
    pub(super) fn call_back(&mut self, objs: &[ObjId]) {
        for id in objs {
            match self.store.kind(*id).clone() {
                Kind::Function(value) => {
                    let unknown = self.make_one(Kind::Unknown, None);
                    let args = Passed {
                        positional: vec![unknown; value.function.positional],
                        ..Passed::default()
                    };
                    self.call_function(*id, &value, &args);
                }
                Kind::Method(this, method) => {
                    self.call_bound(this, &[method], &Passed::default());
                }
                Kind::LibraryMethod(this, name) => {
                    self.call_method(&[this], name, &Passed::default(), Used::No);
                }
                Kind::Cached(inner) | Kind::Partial(inner) => self.call_back(&[inner]),
                Kind::Container | Kind::Tuple => {
                    let parts = self.store.obj(*id).parts.clone();
                    let functions: Objs = parts
                        .into_iter()
                        .filter(|part| matches!(self.store.kind(*part), Kind::Function(_) | Kind::Method(..)))
                        .collect();
                    self.call_back(&functions);
                }
                Kind::Instance(_) => self.implicit(&[*id], &["__call__", "__iter__", "__getitem__", "__len__"]),
                _ => {}
            }
        }
    }

    fn call_function(&mut self, id: ObjId, value: &Arc<FunctionValue>, args: &Passed) -> Objs {
        let function = Arc::clone(&value.function);
        let slots = self.parameters(value, args);
        if function.is_generator {
            let held: Vec<Objs> = slots.clone().into_iter().chain([smallvec![id]]).collect();
            let pending = Pending { callee: id, slots };
            return self.holding(Kind::Generator(Arc::new(pending)), &held);
        }
        self.enter(id, &function, slots)
    }

    pub(super) fn resume(&mut self, pending: &Arc<Pending>) -> Objs {
        match self.store.kind(pending.callee).clone() {
            Kind::Function(value) => {
                let function = Arc::clone(&value.function);
                self.enter(pending.callee, &function, pending.slots.clone())
            }
            _ => Objs::new(),
        }
    }

    /// Executes a body, unless it is being executed already.
    fn enter(&mut self, id: ObjId, function: &Arc<Function>, slots: Vec<Objs>) -> Objs {
        let identity = Arc::as_ptr(function).cast::<()>();
        if self.active.contains(&identity) || self.active.len() >= MAX_CALLS {
            return self.make_one(Kind::Unknown, None);
        }
        self.active.push(identity);
        let mut frame = Frame::new(&function.body, slots, Some(id));
        self.block(&mut frame, &function.body.code);
        self.active.pop();
        if frame.returned.is_empty() {
            frame.returned.push(IMMUTABLE);
        }
        frame.returned
    }

    fn parameters(&mut self, value: &FunctionValue, args: &Passed) -> Vec<Objs> {
        let function = &value.function;
        let mut slots = vec![Objs::new(); function.body.slots as usize];
        for (slot, objs) in value.captures.iter().chain(&value.defaults) {
            slots[*slot as usize].clone_from(objs);
        }
        let mut surplus: Vec<Objs> = Vec::new();
        for (index, objs) in args.positional.iter().enumerate() {
            match function.parameters[..function.positional].get(index) {
                Some((_, slot)) => slots[*slot as usize].clone_from(objs),
                None => surplus.push(objs.clone()),
            }
        }
        let mut named: Vec<Objs> = Vec::new();
        for (name, objs) in &args.keywords {
            match function.parameters.iter().find(|(parameter, _)| parameter == name) {
                Some((_, slot)) => slots[*slot as usize].clone_from(objs),
                None => named.push(objs.clone()),
            }
        }
        for unpacked in &args.unpacked {
            for (_, slot) in &function.parameters {
                extend(&mut slots[*slot as usize], unpacked);
            }
        }
        surplus.extend(args.unpacked.iter().cloned());
        named.extend(args.unpacked.iter().cloned());
        if let Some(slot) = function.star {
            slots[slot as usize] = self.holding(Kind::Tuple, &surplus);
        }
        if let Some(slot) = function.double_star {
            slots[slot as usize] = self.holding(Kind::Container, &named);
        }
        slots
    }

    fn construct(&mut self, class: ObjId, args: &Passed) -> Objs {
        let instance = self.make(Kind::Instance(class), None);
        self.store.reaches_up(class, instance);
        let has_constructor = ["__init__", "__new__", "__post_init__"]
            .iter()
            .fold(false, |found, name| {
                let Some(methods) = self.member(class, name) else {
                    return found;
                };
                let passed = if *name == "__post_init__" {
                    Passed::default()
                } else {
                    args.clone()
                };
                self.call_bound(instance, &methods, &passed);
                found || *name == "__init__"
            });
        if !has_constructor {
            args.flat().iter().for_each(|arg| self.store.hold(instance, *arg));
        }
        smallvec![instance]
    }

    /// The member of a class, looked up in its bases as well.
    pub(super) fn member(&self, class: ObjId, name: &str) -> Option<Objs> {
        let name = self.names.find(name)?;
        self.member_named(class, name, 0)
    }

    pub(super) fn member_named(&self, class: ObjId, name: NameId, depth: usize) -> Option<Objs> {
        let Kind::Class(value) = self.store.kind(class) else {
            return None;
        };
        let own = value.members.iter().find(|(member, _)| *member == name);
        if let Some((_, objs)) = own {
            return Some(objs.clone());
        }
        if depth > 16 {
            return None;
        }
        value
            .bases
            .iter()
            .find_map(|base| self.member_named(*base, name, depth + 1))
    }

    /// Methods that Python calls by itself, where instances of the notebook's classes have them.
    pub(super) fn implicit(&mut self, objs: &[ObjId], methods: &[&str]) {
        for id in objs {
            let Kind::Instance(class) = *self.store.kind(*id) else {
                continue;
            };
            for name in methods {
                if let Some(found) = self.member(class, name) {
                    let unknown = self.make_one(Kind::Unknown, None);
                    let args = Passed {
                        positional: vec![unknown],
                        ..Passed::default()
                    };
                    self.call_bound(*id, &found, &args);
                }
            }
        }
    }

    /// Shows values: as a text, or as the result of a cell.
    pub(super) fn show(&mut self, objs: &[ObjId]) {
        self.read_options(objs, &["numpy", "pandas", "polars", "xarray", "torch"]);
        self.implicit(
            objs,
            &[
                "__repr__",
                "__str__",
                "__format__",
                "_repr_html_",
                "_repr_mimebundle_",
                "_repr_png_",
            ],
        );
    }

    pub(super) fn decorate(&mut self, decorators: &[ObjId], args: &Passed) -> Objs {
        let mut result = Objs::new();
        for id in decorators {
            let decorated = match self.store.kind(*id).clone() {
                Kind::Function(_) | Kind::Class(_) | Kind::Instance(_) | Kind::Method(..) => {
                    self.call_one(*id, args, Used::Yes)
                }
                Kind::External(path) => {
                    let wrap = library::wrapper(self.names.get(path));
                    self.wrapped(&args.first(), wrap)
                }
                _ => args.first(),
            };
            extend(&mut result, &decorated);
        }
        result
    }
}
