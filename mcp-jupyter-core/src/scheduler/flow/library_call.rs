//! Calls of what libraries offer, by what is known of them.

use smallvec::smallvec;

use crate::scheduler::analysis::NameId;

use super::call::Passed;
use super::cell::{CellRun, extend};
use super::library::{self, Access, Gives, Wrapper};
use super::store::{IMMUTABLE, Kind, ObjId, Objs};

impl CellRun<'_> {
    /// What a decorator of a library makes of functions.
    pub(super) fn wrapped(&mut self, functions: &[ObjId], wrapper: Wrapper) -> Objs {
        let wrap = |this: &mut Self, kind: Kind, function: ObjId| {
            let id = this.make(kind, None);
            this.store.hold(id, function);
            id
        };
        let wrapped = functions.iter().map(|function| match wrapper {
            Wrapper::Property => wrap(self, Kind::Property(*function), *function),
            Wrapper::CachedProperty => wrap(self, Kind::CachedProperty(*function), *function),
            Wrapper::Cache => wrap(self, Kind::Cached(*function), *function),
            Wrapper::None => *function,
        });
        wrapped.collect()
    }

    /// A function or class of a library, by its path.
    pub(super) fn call_library(&mut self, path: NameId, args: &Passed) -> Objs {
        let text = self.names.get(path).to_owned();
        let called = library::describe(&text);
        let flat = args.flat();
        if let Some(reason) = called.opaque {
            match text.as_str() {
                "builtins.vars" | "builtins.dir" if !flat.is_empty() => {}
                "builtins.exec" | "builtins.eval"
                    if args.positional.len() > 1 && !self.is_namespace(&args.positional[1]) =>
                {
                    let namespace = args.positional[1].clone();
                    let made = self.make_one(Kind::Unknown, None);
                    self.store_into(&namespace, &made);
                    return self.items(&namespace);
                }
                "builtins.globals" | "builtins.locals" | "builtins.vars" => {
                    return self.make_one(Kind::Namespace, None);
                }
                _ => self.opaque(true, called.writes_namespace, reason),
            }
        }
        if let Some(target) = self.keyword(args, "out") {
            self.mutate(&target);
        }
        self.options(&text);
        if !called.is_deterministic && !self.is_seeded(&text, args) {
            self.nondeterministic();
        }
        if called.calls_back {
            self.call_back(&flat);
        }
        if called.keeps && self.is_namespace(&flat) {
            self.opaque(true, true, "it passes on all names");
        }
        if called.consumes {
            self.note_namespace(args);
            let iterators: Vec<ObjId> = flat.iter().copied().filter(|id| self.is_used_up(*id)).collect();
            self.consume(&iterators);
            self.implicit(
                &flat,
                &["__iter__", "__next__", "__getitem__", "__len__", "__hash__", "__eq__"],
            );
            self.show(&flat);
        }
        self.pseudo(&text, called.random, args);
        if let Some(index) = called.mutates {
            let holders = args.positional.get(index).cloned().unwrap_or_default();
            let values: Vec<ObjId> = args.positional.iter().skip(index + 1).flatten().copied().collect();
            self.assign_into(&holders, &values);
        }
        if let Some(access) = called.file {
            return self.file(&text, access, args);
        }
        if called.keeps {
            self.escape(&flat);
        }
        self.given(&text, called.gives, args)
    }

    /// Whoever is given all names may read them.
    pub(super) fn note_namespace(&mut self, args: &Passed) {
        if self.is_namespace(&args.flat()) {
            self.opaque(true, false, "it passes on all names");
        }
    }

    pub(super) fn is_namespace(&self, objs: &[ObjId]) -> bool {
        objs.iter().any(|id| matches!(self.store.kind(*id), Kind::Namespace))
    }

    /// Sets, or uses, the options of a library.
    fn options(&mut self, path: &str) {
        if let Some(library) = library::sets_options(path) {
            let options = self.names.intern(&format!("<options:{library}>"));
            self.touch(options, true, true);
        } else if let Some(library) = library::uses_options(path) {
            self.read_options_of(library);
        }
    }

    fn is_used_up(&self, id: ObjId) -> bool {
        matches!(
            self.store.kind(id),
            Kind::Iterator | Kind::File(_) | Kind::Generator(_) | Kind::Random
        )
    }

    /// Whether what is random by default was given a seed.
    fn is_seeded(&self, path: &str, args: &Passed) -> bool {
        let seed = ["random_state", "seed", "rng"]
            .iter()
            .any(|name| self.keyword(args, name).is_some());
        seed || library::is_seeded_by_argument(path) && !args.positional.is_empty()
    }

    /// Draws from, or seeds, a global generator of random numbers.
    fn pseudo(&mut self, path: &str, random: Option<(&'static str, Access)>, args: &Passed) {
        let Some((generator, access)) = random else { return };
        let name = self.names.intern(generator);
        match access {
            Access::Write => {
                self.touch(name, false, true);
                if args.positional.is_empty() && args.keywords.is_empty() && !path.ends_with("set_state") {
                    self.nondeterministic();
                }
            }
            Access::Read | Access::Append => {
                if self.is_written(name) {
                    self.touch(name, true, true);
                } else {
                    self.nondeterministic();
                }
            }
        }
    }

    fn given(&mut self, path: &str, gives: Gives, args: &Passed) -> Objs {
        let origin = self.names.intern(library::library_of(path));
        match gives {
            Gives::Scalar => smallvec![IMMUTABLE],
            Gives::New => {
                if args.flat().iter().all(|id| *id == IMMUTABLE) && path.starts_with("builtins.") {
                    return smallvec![IMMUTABLE];
                }
                self.make_one(Kind::Unknown, Some(origin))
            }
            Gives::Container => {
                let items = self.consume(&args.flat());
                let known: Objs = items.into_iter().filter(|id| !self.is_element(*id, args)).collect();
                let mut held = vec![known];
                // Others take options as keywords; a dictionary takes values.
                if matches!(path, "builtins.dict" | "collections.OrderedDict") {
                    held.extend(args.keywords.iter().map(|(_, objs)| objs.clone()));
                }
                self.holding(Kind::Container, &held)
            }
            Gives::Iterator => self.holding(Kind::Iterator, &args.all()),
            Gives::Item => {
                let items = self.consume(&args.first());
                let mut all = items;
                if args.positional.len() > 1 {
                    extend(&mut all, &args.flat());
                }
                all
            }
            Gives::Same => {
                let mut same = args.first();
                if same.is_empty() {
                    same = self.make_one(Kind::Unknown, Some(origin));
                }
                same
            }
            Gives::Random => self.make_one(Kind::Random, Some(origin)),
            Gives::Path => match args.positional.first().map(|objs| &objs[..]) {
                Some([only]) if matches!(self.store.kind(*only), Kind::Text(_)) => smallvec![*only],
                _ => self.make_one(Kind::Unknown, Some(origin)),
            },
            Gives::Attribute => {
                let of = args.first();
                self.items(&of)
            }
            Gives::Figure => {
                let (axes, figure) = (
                    self.make(Kind::Unknown, Some(origin)),
                    self.make(Kind::Unknown, Some(origin)),
                );
                self.store.hold(figure, axes);
                self.holding(Kind::Tuple, &[smallvec![figure], smallvec![axes]])
            }
            Gives::Context => smallvec![self.external_named(&format!("{path}()"))],
            Gives::Decorator => {
                let functions: Objs = args.first().into_iter().filter(|id| *id != IMMUTABLE).collect();
                if functions.is_empty() {
                    return smallvec![self.external_named(path)];
                }
                self.wrapped(&functions, Wrapper::Cache)
            }
            Gives::Partial => {
                let function = args.first().first().copied().unwrap_or(IMMUTABLE);
                let id = self.make(Kind::Partial(function), Some(origin));
                for arg in args.flat() {
                    self.store.hold(id, arg);
                }
                smallvec![id]
            }
            Gives::Holder => {
                let id = self.make(Kind::Unknown, Some(origin));
                args.flat().iter().for_each(|arg| self.store.hold(id, *arg));
                smallvec![id]
            }
            Gives::Module => match args.positional.first().map(|objs| &objs[..]) {
                Some([only]) => match self.store.kind(*only) {
                    Kind::Text(path) => smallvec![self.store.external(*path, None)],
                    _ => self.make_one(Kind::Unknown, None),
                },
                _ => self.make_one(Kind::Unknown, None),
            },
        }
    }

    /// Whether an object only stands for the unknown items of an argument: copying that is copying enough.
    fn is_element(&self, id: ObjId, args: &Passed) -> bool {
        args.flat().iter().any(|arg| self.store.obj(*arg).element == Some(id))
    }
}
