//! Attributes and methods, and files.

use smallvec::smallvec;

use crate::scheduler::analysis::NameId;
use crate::scheduler::analysis::ir::Used;

use super::call::Passed;
use super::cell::{CellRun, extend};
use super::library::{self, Access, Method};
use super::store::{IMMUTABLE, Kind, ObjId, Objs};

impl CellRun<'_> {
    pub(super) fn is_pandas(&self, id: ObjId) -> bool {
        self.is_from(id, |library| matches!(library, "pandas" | "polars"))
    }

    fn is_from(&self, id: ObjId, library: impl Fn(&str) -> bool) -> bool {
        self.store
            .obj(id)
            .origin
            .is_some_and(|origin| library(self.names.get(origin)))
    }

    /// `of[…] = values`, `of.name = values`
    pub(super) fn assign_into(&mut self, holders: &[ObjId], values: &[ObjId]) {
        for holder in holders {
            let path = match self.store.kind(*holder) {
                Kind::External(path) => self.names.get(*path).to_owned(),
                Kind::Namespace => {
                    self.opaque(false, true, "it binds names by their text");
                    self.escape(values);
                    continue;
                }
                _ => {
                    self.store_into(&[*holder], values);
                    continue;
                }
            };
            if !self.write_external(&path) {
                self.store_into(&[*holder], values);
            }
        }
    }

    /// State of the process that a module gives access to.
    fn write_external(&mut self, path: &str) -> bool {
        let Some(name) = library::state_of(path) else {
            return false;
        };
        let name = self.names.intern(&name);
        self.touch(name, true, true);
        true
    }

    fn read_external(&mut self, path: &str) {
        if let Some(name) = library::state_of(path) {
            let name = self.names.intern(&name);
            if self.is_written(name) {
                self.touch(name, true, false);
            }
        }
    }

    pub(super) fn attribute(&mut self, of: &[ObjId], name: NameId) -> Objs {
        let mut found = Objs::new();
        for id in of {
            let objs = self.attribute_of(*id, name);
            extend(&mut found, &objs);
        }
        found
    }

    fn attribute_of(&mut self, id: ObjId, name: NameId) -> Objs {
        match self.store.kind(id).clone() {
            Kind::Immutable | Kind::Text(_) => smallvec![IMMUTABLE],
            Kind::External(path) => {
                let path = format!("{}.{}", self.names.get(path), self.names.get(name));
                self.read_external(&path);
                let path = self.names.intern(&path);
                smallvec![self.store.external(path, Some(id))]
            }
            Kind::Instance(class) => match self.member_named(class, name, 0) {
                Some(members) => self.bound(id, &members),
                None => self.items(&[id]),
            },
            Kind::Class(_) => match self.member_named(id, name, 0) {
                Some(members) => members,
                None => self.items(&[id]),
            },
            Kind::Function(_) | Kind::Method(..) | Kind::LibraryMethod(..) | Kind::Property(_) | Kind::Cached(_) => {
                smallvec![self.make(Kind::LibraryMethod(id, name), None)]
            }
            _ if library::is_scalar_attribute(self.names.get(name)) => smallvec![IMMUTABLE],
            Kind::Unknown if let Some(path) = library::drawn_by(self.names.get(name)) => {
                smallvec![self.external_named(path)]
            }
            _ if library::method(self.names.get(name)) == Method::Mutates => {
                let method = self.make(Kind::LibraryMethod(id, name), None);
                self.store.hold(method, id);
                let mut objs = self.items(&[id]);
                objs.push(method);
                objs
            }
            _ => self.items(&[id]),
        }
    }

    fn bound(&mut self, this: ObjId, members: &[ObjId]) -> Objs {
        let mut found = Objs::new();
        for member in members {
            let objs = match self.store.kind(*member).clone() {
                Kind::Function(_) | Kind::Cached(_) => {
                    let method = self.make(Kind::Method(this, *member), None);
                    self.store.hold(method, this);
                    smallvec![method]
                }
                Kind::Property(getter) => self.call_bound(this, &[getter], &Passed::default()),
                Kind::CachedProperty(getter) => {
                    self.mutate(&[this]);
                    self.call_bound(this, &[getter], &Passed::default())
                }
                _ => smallvec![*member],
            };
            extend(&mut found, &objs);
        }
        found
    }

    pub(super) fn call_method(&mut self, of: &[ObjId], name: NameId, args: &Passed, used: Used) -> Objs {
        let mut result = Objs::new();
        for id in of {
            extend(&mut result, &self.method_of(*id, name, args, used));
        }
        if result.is_empty() {
            result = self.make_one(Kind::Unknown, None);
        }
        result
    }

    fn method_of(&mut self, id: ObjId, name: NameId, args: &Passed, used: Used) -> Objs {
        match self.store.kind(id).clone() {
            Kind::External(_) => {
                let functions = self.attribute_of(id, name);
                if let Kind::External(path) = self.store.kind(id) {
                    let path = self.names.get(*path).to_owned();
                    if library::method(self.names.get(name)) == Method::Mutates && library::state_of(&path).is_some() {
                        self.write_external(&path);
                    }
                }
                self.call(&functions, args, used)
            }
            Kind::Instance(class) => match self.member_named(class, name, 0) {
                Some(members) => self.call_member(id, &members, args, used),
                None => self.library_method(id, name, args, used),
            },
            Kind::Class(_) => match self.member_named(id, name, 0) {
                Some(members) => self.call_class_member(id, &members, args, used),
                None => self.library_method(id, name, args, used),
            },
            Kind::Namespace => {
                let changes = library::method(self.names.get(name)) == Method::Mutates;
                self.opaque(!changes, changes, "it handles all names at once");
                self.make_one(Kind::Unknown, None)
            }
            Kind::Text(path) => self.text_method(id, path, name, args),
            Kind::File(path) => {
                let writes = matches!(
                    self.names.get(name),
                    "write" | "writelines" | "truncate" | "close" | "flush"
                );
                self.mutate(&[id]);
                self.touch(path, true, writes && self.names.get(name) != "close");
                smallvec![IMMUTABLE]
            }
            Kind::Random => {
                self.mutate(&[id]);
                let first = args.positional.first().cloned().unwrap_or_default();
                if matches!(self.names.get(name), "shuffle") {
                    self.mutate(&first);
                }
                let made = self.make_one(Kind::Unknown, None);
                if self.names.get(name) == "choice" {
                    self.items(&first).into_iter().chain(made).collect()
                } else {
                    made
                }
            }
            _ => self.library_method(id, name, args, used),
        }
    }

    fn call_member(&mut self, this: ObjId, members: &[ObjId], args: &Passed, used: Used) -> Objs {
        let mut result = Objs::new();
        for member in members {
            let objs = match self.store.kind(*member) {
                Kind::Function(_) | Kind::Cached(_) => self.call_bound(this, &[*member], args),
                _ => self.call(&[*member], args, used),
            };
            extend(&mut result, &objs);
        }
        result
    }

    /// `Class.method(…)`: of a class method the class is the first argument, of others the caller gives it.
    fn call_class_member(&mut self, class: ObjId, members: &[ObjId], args: &Passed, used: Used) -> Objs {
        let takes_class = members.iter().any(|member| match self.store.kind(*member) {
            Kind::Function(value) => args.positional.len() < value.function.positional,
            _ => false,
        });
        if takes_class {
            return self.call_bound(class, members, args);
        }
        self.call(members, args, used)
    }

    /// A method of an object whose class is not the notebook's own.
    fn library_method(&mut self, id: ObjId, name: NameId, args: &Passed, used: Used) -> Objs {
        let text = self.names.get(name).to_owned();
        let flat: Vec<ObjId> = args.all().into_iter().flatten().collect();
        if library::method(&text) != Method::Mutates || text == "sort" {
            self.call_back(&flat);
        }
        self.note_namespace(args);
        if let Some(access) = library::file_method(&text) {
            self.file_at(args.positional.first(), access);
        }
        if let Some(target) = self.keyword(args, "out") {
            self.mutate(&target);
        }
        if self.is_true(args, "inplace") {
            self.mutate(&[id]);
            return smallvec![IMMUTABLE];
        }
        match self.effect(id, &text, args, used) {
            Method::Mutates => {
                self.own_methods(id, name, args);
                let parts = self.items(&[id]);
                let copies_data =
                    self.is_from(id, library::is_drawing) && !text.starts_with("add_") && text != "legend";
                self.store_into(&[id], if copies_data { &[] } else { &flat });
                let iterators: Vec<ObjId> = flat.into_iter().filter(|arg| self.is_iterator(*arg)).collect();
                let consumed = self.consume(&iterators);
                consumed.iter().for_each(|item| self.store.hold(id, *item));
                if library::returns_itself(&text) {
                    smallvec![id]
                } else {
                    parts
                }
            }
            Method::Scalar => {
                self.use_up(id, &flat);
                smallvec![IMMUTABLE]
            }
            Method::Copies => {
                self.use_up(id, &flat);
                if text == "sample" && self.keyword(args, "random_state").is_none() {
                    self.draw("<numpy.random>");
                }
                match library::drawn_by(&text) {
                    Some(drawing) => self.drawing(drawing),
                    None => self.copy_of(id),
                }
            }
            Method::Item => self.items(&[id]),
            Method::View => self.holding(view_kind(&text), &[smallvec![id]]),
            Method::Unknown | Method::Statement => {
                self.own_methods(id, name, args);
                self.hand_over(&flat);
                let origin = self.store.obj(id).origin;
                let result = self.make(Kind::Unknown, origin);
                self.store.hold(result, id);
                self.store.hold(id, result);
                smallvec![result]
            }
        }
    }

    /// What shows a table, and shares nothing with it.
    fn drawing(&mut self, path: &str) -> Objs {
        let origin = self.names.intern(library::library_of(path));
        self.make_one(Kind::Unknown, Some(origin))
    }

    fn is_iterator(&self, id: ObjId) -> bool {
        matches!(self.store.kind(id), Kind::Iterator | Kind::Generator(_) | Kind::File(_))
    }

    /// Reads an object and the arguments, which uses up iterators.
    fn use_up(&mut self, id: ObjId, args: &[ObjId]) {
        let iterators: Vec<ObjId> = args
            .iter()
            .copied()
            .chain([id])
            .filter(|id| self.is_iterator(*id))
            .collect();
        self.consume(&iterators);
    }

    fn copy_of(&mut self, id: ObjId) -> Objs {
        let obj = self.store.obj(id);
        let (kind, parts, origin) = (obj.kind.clone(), obj.parts.clone(), obj.origin);
        match kind {
            Kind::Immutable | Kind::Text(_) => smallvec![IMMUTABLE],
            Kind::Container | Kind::Tuple => self.holding(Kind::Container, &[parts]),
            _ => self.make_one(Kind::Unknown, origin),
        }
    }

    pub(super) fn draw(&mut self, generator: &str) {
        let name = self.names.intern(generator);
        if self.is_written(name) {
            self.touch(name, true, true);
        } else {
            self.nondeterministic();
        }
    }

    /// What a method does to its object: as its name says, else by whether its result is used.
    fn effect(&self, id: ObjId, method: &str, args: &Passed, used: Used) -> Method {
        let known = match library::method(method) {
            Method::Statement => self.statement(args),
            known => known,
        };
        match self.store.kind(id) {
            Kind::Immutable | Kind::Function(_) | Kind::Method(..) | Kind::LibraryMethod(..) => Method::Scalar,
            Kind::Unknown | Kind::Instance(_) if self.draws(id, method, used) => Method::Mutates,
            Kind::Unknown if matches!(known, Method::Mutates) && self.is_from(id, library::is_fluent) => {
                Method::Unknown
            }
            Kind::Unknown if matches!((method, used), ("append" | "add", Used::Yes)) && self.is_pandas(id) => {
                Method::Copies
            }
            _ if known == Method::Unknown && used != Used::Yes && !self.only_looks(id, method, args, used) => {
                Method::Mutates
            }
            _ => known,
        }
    }

    /// Whether a method adds to a drawing, whatever is done with its result.
    fn draws(&self, id: ObjId, method: &str, used: Used) -> bool {
        if self.is_from(id, library::is_drawing) {
            return library::draws(method);
        }
        method == "plot"
            && used != Used::Yes
            && !self.is_from(id, |library| library::is_table(library) || library::is_fluent(library))
    }

    /// Whether a method that nobody knows leaves its object alone though its result is not used.
    fn only_looks(&self, id: ObjId, method: &str, args: &Passed, used: Used) -> bool {
        let shows_table =
            used == Used::Displayed && self.is_from(id, library::is_table) && !self.is_true(args, "append");
        shows_table || library::only_looks(method) || self.is_from(id, library::is_fluent)
    }

    /// What a statement of SQL does to its connection: one that only reads gives a view.
    fn statement(&self, args: &Passed) -> Method {
        let text = args
            .positional
            .first()
            .and_then(|objs| self.text_of(objs))
            .unwrap_or_default();
        let verb = text.split_whitespace().next().unwrap_or_default().to_lowercase();
        match verb.as_str() {
            "select" | "with" | "explain" | "show" | "describe" | "values" => Method::View,
            _ => Method::Mutates,
        }
    }

    /// Methods of this name of the notebook's own classes: the object may be an instance of one of them.
    fn own_methods(&mut self, id: ObjId, name: NameId, args: &Passed) {
        if !matches!(self.store.kind(id), Kind::Unknown) {
            return;
        }
        let methods = self.store.methods_named(name);
        self.look_at_classes(!methods.is_empty());
        for method in methods {
            self.call_bound(id, &[method], args);
        }
    }

    /// A text, which may be a path (`pathlib.Path("…")` is taken for its text).
    fn text_method(&mut self, id: ObjId, path: NameId, name: NameId, args: &Passed) -> Objs {
        let text = self.names.get(name).to_owned();
        let this: Objs = smallvec![id];
        self.note_namespace(args);
        match text.as_str() {
            "read_text" | "read_bytes" | "exists" | "stat" | "is_file" => self.file_at(Some(&this), Access::Read),
            "write_text" | "write_bytes" | "unlink" | "touch" => self.file_at(Some(&this), Access::Write),
            "open" => return self.open(Some(&this), args.positional.first().cloned()),
            "iterdir" | "glob" | "rglob" => {
                self.file_at(None, Access::Read);
                return self.make_one(Kind::Iterator, None);
            }
            "split" | "splitlines" | "rsplit" | "partition" => return self.make_one(Kind::Container, None),
            "format" | "join" => {
                let flat: Vec<ObjId> = args.all().into_iter().flatten().collect();
                self.show(&flat);
                self.use_up(id, &flat);
            }
            "absolute" | "resolve" | "expanduser" | "strip" | "as_posix" => {
                return self.make_one(Kind::Text(path), None);
            }
            _ => {}
        }
        smallvec![IMMUTABLE]
    }

    /// `open(path, mode)`
    pub(super) fn open(&mut self, path: Option<&Objs>, mode: Option<Objs>) -> Objs {
        let mode = mode
            .and_then(|objs| self.text_of(&objs))
            .unwrap_or_else(|| "r".to_owned());
        let access = match mode.chars().next() {
            Some('w' | 'x') => Access::Write,
            Some('a') => Access::Append,
            _ if mode.contains('+') => Access::Append,
            _ => Access::Read,
        };
        self.file_at(path, access);
        let name = self.file_name(path);
        self.make_one(Kind::File(name), None)
    }

    fn text_of(&self, objs: &[ObjId]) -> Option<String> {
        match objs {
            [only] => match self.store.kind(*only) {
                Kind::Text(text) => Some(self.names.get(*text).to_owned()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The pseudo-name of a file: by its path where that is known, else one for all files.
    fn file_name(&mut self, path: Option<&Objs>) -> NameId {
        let path = path.and_then(|objs| self.text_of(objs));
        let name = path.map_or_else(|| "<files>".to_owned(), |path| format!("<file:{path}>"));
        self.names.intern(&name)
    }

    pub(super) fn file_at(&mut self, path: Option<&Objs>, access: Access) {
        let is_file = path.is_none_or(|objs| objs.iter().all(|id| !matches!(self.store.kind(*id), Kind::File(_))));
        if !is_file {
            let files = path.cloned().unwrap_or_default();
            self.mutate(&files);
            return;
        }
        let cwd = self.names.intern("<cwd>");
        if self.store.binding(cwd).is_some() {
            self.touch(cwd, true, false);
        }
        let name = self.file_name(path);
        let is_written = match access {
            Access::Read => self.touch(name, true, false),
            Access::Write => {
                self.touch(name, false, true);
                true
            }
            Access::Append => {
                self.touch(name, true, true);
                true
            }
        };
        let all = self.names.intern("<files>");
        let any_written = if name == all || self.store.binding(all).is_none() {
            false
        } else {
            self.touch(all, true, false)
        };
        if !is_written && !any_written {
            self.nondeterministic();
        }
    }

    /// A function that reads or writes files.
    pub(super) fn file(&mut self, function: &str, access: Access, args: &Passed) -> Objs {
        let position = library::path_argument(function);
        let path = args.positional.get(position).cloned().or_else(|| {
            let names = ["filepath_or_buffer", "path", "file", "fname", "filename", "fp"];
            names.iter().find_map(|name| self.keyword(args, name))
        });
        if matches!(function, "builtins.open" | "io.open" | "codecs.open") {
            let mode = args.positional.get(1).cloned().or_else(|| self.keyword(args, "mode"));
            return self.open(path.as_ref(), mode);
        }
        self.file_at(path.as_ref(), access);
        let origin = self.names.intern(function.split('.').next().unwrap_or(function));
        self.make_one(Kind::Unknown, Some(origin))
    }
}

fn view_kind(method: &str) -> Kind {
    if method == "__enter__" || method == "groupby" {
        Kind::Unknown
    } else {
        Kind::Container
    }
}
