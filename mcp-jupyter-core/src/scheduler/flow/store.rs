//! The objects that names of the namespace may be bound to, and who holds whom.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use smallvec::SmallVec;

use crate::scheduler::analysis::NameId;
use crate::scheduler::analysis::ir::{Function, Slot};

/// An object, or all the objects that one place of the code makes.
pub(super) type ObjId = u32;
/// The objects that something may be.
pub(super) type Objs = SmallVec<[ObjId; 2]>;

/// The object that stands for everything that cannot change.
pub(super) const IMMUTABLE: ObjId = 0;

/// Parts of an object beyond this many are not followed down, only up.
const MAX_PARTS: usize = 64;
/// How deep the shape of an object is looked at.
const MAX_SHAPE: u32 = 4;
/// How many objects a name may be bound to.
const MAX_OBJS: usize = 16;
/// How many objects a search looks at.
const MAX_REACH: usize = 512;

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Immutable,
    /// A known text.
    Text(NameId),
    /// A list, set or dict whose contents are its parts.
    Container,
    Tuple,
    Unknown,
    /// What is used up by reading it.
    Iterator,
    /// A file; the name is the pseudo-name of its path.
    File(NameId),
    Generator(Arc<Pending>),
    Function(Arc<FunctionValue>),
    Class(Arc<ClassValue>),
    Instance(ObjId),
    /// A function of a class with the object that it was looked up on.
    Method(ObjId, ObjId),
    /// A method that is called when the attribute is read.
    Property(ObjId),
    /// The same, once: its result is kept in the instance.
    CachedProperty(ObjId),
    /// A function that keeps its results.
    Cached(ObjId),
    /// A function with some of its arguments.
    Partial(ObjId),
    /// A method of an object of a library.
    LibraryMethod(ObjId, NameId),
    /// A module, or something in it, by its dotted path.
    External(NameId),
    /// A generator of random numbers.
    Random,
    /// What `globals()` gives.
    Namespace,
}

/// A function with the values that it was made with.
#[derive(Clone, Debug)]
pub(super) struct FunctionValue {
    pub(super) function: Arc<Function>,
    pub(super) captures: Vec<(Slot, Objs)>,
    pub(super) defaults: Vec<(Slot, Objs)>,
}

/// A generator whose body has not run.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) callee: ObjId,
    pub(super) slots: Vec<Objs>,
}

#[derive(Clone, Debug)]
pub(super) struct ClassValue {
    pub(super) bases: Objs,
    pub(super) members: Vec<(NameId, Objs)>,
}

#[derive(Clone, Debug)]
pub(super) struct Obj {
    pub(super) kind: Kind,
    pub(super) parts: Objs,
    /// The one that stands for parts that nobody knows.
    pub(super) element: Option<ObjId>,
    /// For a tuple: something in it can change.
    can_change: bool,
    holders: SmallVec<[ObjId; 2]>,
    /// Names that were bound to it; perhaps they are no longer.
    names: SmallVec<[NameId; 2]>,
    /// The library that it comes from.
    pub(super) origin: Option<NameId>,
}

/// What a name is bound to, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) objs: Objs,
    /// The cell that wrote it last: bound, mutated, deleted or clobbered it.
    pub(super) writer: u32,
    /// The cell that bound it last.
    pub(super) binder: u32,
}

/// The objects and the namespace.
#[derive(Debug)]
pub(super) struct Store {
    objs: Vec<Obj>,
    namespace: Vec<Option<Binding>>,
    ever_bound: Vec<NameId>,
    externals: FxHashMap<NameId, ObjId>,
    /// Objects from this one on were made by the cell that is followed.
    first_new: ObjId,
    /// That cell has connected objects that were there before, or defined a class.
    connected: bool,
    /// The methods of all classes, by name.
    methods: FxHashMap<NameId, Objs>,
}

impl Default for Store {
    fn default() -> Self {
        let mut store = Self {
            objs: Vec::new(),
            namespace: Vec::new(),
            ever_bound: Vec::new(),
            externals: FxHashMap::default(),
            first_new: 0,
            connected: false,
            methods: FxHashMap::default(),
        };
        store.add(Kind::Immutable, None);
        store
    }
}

impl Store {
    pub(super) fn add(&mut self, kind: Kind, origin: Option<NameId>) -> ObjId {
        self.objs.push(Obj {
            kind,
            parts: Objs::new(),
            element: None,
            can_change: false,
            holders: SmallVec::new(),
            names: SmallVec::new(),
            origin,
        });
        ObjId::try_from(self.objs.len() - 1).expect("memory ends before 2^32 objects")
    }

    /// The next cell begins.
    pub(super) fn begin(&mut self) {
        self.first_new = ObjId::try_from(self.objs.len()).expect("memory ends before 2^32 objects");
        self.connected = false;
    }

    /// Whether the cell has connected what was there before, so that it matters to others how.
    pub(super) fn has_connected(&self) -> bool {
        self.connected
    }

    /// What others can tell of these objects: of those that the cell has made their kinds and parts, of others which ones
    /// they are. The second value says whether there are others that may change.
    pub(super) fn shape(&self, objs: &[ObjId]) -> (u64, bool) {
        let mut hasher = FxHasher::default();
        let mut holds_old = false;
        for id in objs {
            self.add_shape(*id, 0, &mut hasher, &mut holds_old);
        }
        (hasher.finish(), holds_old)
    }

    fn add_shape(&self, id: ObjId, depth: u32, hasher: &mut FxHasher, holds_old: &mut bool) {
        let obj = self.obj(id);
        std::mem::discriminant(&obj.kind).hash(hasher);
        match &obj.kind {
            Kind::Immutable => return,
            Kind::Text(name) | Kind::External(name) | Kind::File(name) => return name.hash(hasher),
            _ if id < self.first_new => {
                *holds_old |= !self.is_immutable(id);
                return id.hash(hasher);
            }
            Kind::Instance(class) if depth < MAX_SHAPE => class.hash(hasher),
            Kind::Container | Kind::Tuple | Kind::Unknown | Kind::Random if depth < MAX_SHAPE => {}
            _ => {
                *holds_old = true;
                return id.hash(hasher);
            }
        }
        obj.origin.hash(hasher);
        for part in obj.parts.iter().chain(&obj.element) {
            self.add_shape(*part, depth + 1, hasher, holds_old);
        }
    }

    /// Few objects in the place of many: a name that cells perhaps bind, again and again, may be bound to any of theirs.
    pub(super) fn merged(&mut self, objs: Objs) -> Objs {
        if objs.len() <= MAX_OBJS {
            return objs;
        }
        let merged = self.unknown();
        for id in objs {
            self.hold(merged[0], id);
        }
        merged
    }

    pub(super) fn unknown(&mut self) -> Objs {
        let id = self.add(Kind::Unknown, None);
        Objs::from_slice(&[id])
    }

    pub(super) fn obj(&self, id: ObjId) -> &Obj {
        &self.objs[id as usize]
    }

    pub(super) fn kind(&self, id: ObjId) -> &Kind {
        &self.objs[id as usize].kind
    }

    /// The object for a module or something in it.
    pub(super) fn external(&mut self, path: NameId, parent: Option<ObjId>) -> ObjId {
        if let Some(id) = self.externals.get(&path) {
            return *id;
        }
        let id = self.add(Kind::External(path), None);
        self.externals.insert(path, id);
        if let Some(parent) = parent {
            self.objs[id as usize].holders.push(parent);
        }
        id
    }

    /// Nothing can change it, nor anything in it.
    pub(super) fn is_immutable(&self, id: ObjId) -> bool {
        match self.kind(id) {
            Kind::Immutable | Kind::Text(_) | Kind::External(_) => true,
            Kind::Tuple => !self.obj(id).can_change,
            _ => false,
        }
    }

    /// `part` can be reached from `holder` from now on.
    pub(super) fn hold(&mut self, holder: ObjId, part: ObjId) {
        if holder == part || holder == IMMUTABLE || matches!(self.kind(part), Kind::Immutable | Kind::Text(_)) {
            return;
        }
        let parts = &mut self.objs[holder as usize].parts;
        if parts.contains(&part) {
            return;
        }
        if parts.len() < MAX_PARTS {
            parts.push(part);
        }
        let is_old = |id: ObjId| id < self.first_new;
        self.connected |= is_old(holder) && (is_old(part) || !self.obj(part).parts.is_empty());
        self.objs[part as usize].holders.push(holder);
        if !self.is_immutable(part) {
            self.set_can_change(holder);
        }
    }

    /// A tuple got something that can change, so those that hold the tuple have, too.
    fn set_can_change(&mut self, tuple: ObjId) {
        let mut waiting = vec![tuple];
        while let Some(id) = waiting.pop() {
            let obj = &mut self.objs[id as usize];
            if matches!(obj.kind, Kind::Tuple) && !obj.can_change {
                obj.can_change = true;
                waiting.extend(&obj.holders);
            }
        }
    }

    /// Whoever changes `part` changes `holder`, though `part` is not one of its items.
    pub(super) fn reaches_up(&mut self, part: ObjId, holder: ObjId) {
        self.objs[part as usize].holders.push(holder);
    }

    /// The part of `id` that stands for all that are not known.
    pub(super) fn element(&mut self, id: ObjId) -> ObjId {
        if let Some(element) = self.obj(id).element {
            return element;
        }
        let origin = self.obj(id).origin;
        let element = self.add(Kind::Unknown, origin);
        self.objs[id as usize].element = Some(element);
        self.objs[element as usize].holders.push(id);
        element
    }

    /// Functions of classes of the notebook that have this name.
    pub(super) fn methods_named(&self, name: NameId) -> Objs {
        self.methods.get(&name).cloned().unwrap_or_default()
    }

    pub(super) fn add_method(&mut self, name: NameId, function: ObjId) {
        self.connected = true;
        let methods = self.methods.entry(name).or_default();
        if methods.len() < MAX_PARTS {
            methods.push(function);
        }
    }

    pub(super) fn binding(&self, name: NameId) -> Option<&Binding> {
        self.namespace.get(name.index())?.as_ref()
    }

    pub(super) fn set_binding(&mut self, name: NameId, binding: Binding) {
        if self.namespace.len() <= name.index() {
            self.namespace.resize(name.index() + 1, None);
        }
        for id in &binding.objs {
            let names = &mut self.objs[*id as usize].names;
            if *id != IMMUTABLE && !names.contains(&name) {
                names.push(name);
            }
        }
        if self.namespace[name.index()].replace(binding).is_none() {
            self.ever_bound.push(name);
        }
    }

    /// Names that were bound at some time, in the order in which they first were.
    pub(super) fn ever_bound(&self) -> Vec<NameId> {
        self.ever_bound.clone()
    }

    /// Names that are bound, in no order.
    pub(super) fn bound_names(&self) -> Vec<NameId> {
        let is_bound = |name: &&NameId| self.binding(**name).is_some_and(|binding| !binding.objs.is_empty());
        self.ever_bound.iter().filter(is_bound).copied().collect()
    }

    pub(super) fn set_writer(&mut self, name: NameId, cell: u32) {
        if let Some(Some(binding)) = self.namespace.get_mut(name.index()) {
            binding.writer = cell;
        }
    }

    /// The names from which `id` can be reached: whoever changes the object changes what they show.
    pub(super) fn names_reaching(&self, id: ObjId, names: &mut Vec<NameId>) {
        let mut seen = FxHashSet::default();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) || seen.len() > MAX_REACH {
                continue;
            }
            let obj = self.obj(id);
            let is_bound = |name: &&NameId| self.binding(**name).is_some_and(|binding| binding.objs.contains(&id));
            names.extend(obj.names.iter().filter(is_bound));
            waiting.extend(&obj.holders);
        }
    }

    /// Adds what can be reached from `id`, itself included.
    pub(super) fn reach(&self, id: ObjId, reached: &mut FxHashSet<ObjId>) {
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            if id == IMMUTABLE || reached.len() > MAX_REACH || !reached.insert(id) {
                continue;
            }
            let obj = self.obj(id);
            waiting.extend(&obj.parts);
            waiting.extend(obj.element);
            if let Kind::Instance(class) = obj.kind {
                waiting.push(class);
            }
        }
    }

    /// Whether one of `targets` can be reached from `id`.
    pub(super) fn reaches(&self, id: ObjId, targets: &FxHashSet<ObjId>) -> bool {
        let mut reached = FxHashSet::default();
        self.reach(id, &mut reached);
        reached.iter().any(|id| targets.contains(id))
    }
}
