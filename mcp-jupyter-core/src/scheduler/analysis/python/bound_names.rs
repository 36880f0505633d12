//! Which names a function's or class's body binds, and so owns.

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_pattern, walk_stmt};
use ruff_python_ast::{ExceptHandler, Expr, Identifier, Pattern, Stmt};
use rustc_hash::FxHashSet;

use crate::scheduler::analysis::names::{NameId, Names};

/// What a body says about names.
#[derive(Debug, Default)]
pub(super) struct BoundNames {
    pub(super) bound: FxHashSet<NameId>,
    pub(super) global: FxHashSet<NameId>,
    pub(super) nonlocal: FxHashSet<NameId>,
    pub(super) yields: bool,
}

impl BoundNames {
    /// The names of a body; those that are declared `global` or `nonlocal` are not its own.
    pub(super) fn of(body: &[Stmt], names: &mut Names) -> Self {
        let mut collector = Collector {
            names,
            found: Self::default(),
            in_comprehension: false,
        };
        collector.visit_body(body);
        let mut found = collector.found;
        let foreign: Vec<NameId> = found.global.iter().chain(&found.nonlocal).copied().collect();
        for name in foreign {
            found.bound.remove(&name);
        }
        found
    }
}

struct Collector<'a> {
    names: &'a mut Names,
    found: BoundNames,
    in_comprehension: bool,
}

impl Collector<'_> {
    fn bind(&mut self, name: &Identifier) {
        let name = self.names.intern(&name.id);
        self.found.bound.insert(name);
    }

    fn bind_alias(&mut self, alias: &ruff_python_ast::Alias) {
        let name = alias.asname.as_ref().unwrap_or(&alias.name);
        let root = name.id.split('.').next().unwrap_or_default();
        let name = self.names.intern(root);
        self.found.bound.insert(name);
    }
}

impl<'a> Visitor<'a> for Collector<'_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => {
                self.bind(&function.name);
                function
                    .decorator_list
                    .iter()
                    .for_each(|decorator| self.visit_decorator(decorator));
                self.visit_parameters(&function.parameters);
            }
            Stmt::ClassDef(class) => {
                self.bind(&class.name);
                class
                    .decorator_list
                    .iter()
                    .for_each(|decorator| self.visit_decorator(decorator));
                class
                    .arguments
                    .iter()
                    .for_each(|arguments| self.visit_arguments(arguments));
            }
            Stmt::Global(global) => {
                let ids = global.names.iter().map(|name| self.names.intern(&name.id));
                self.found.global.extend(ids);
            }
            Stmt::Nonlocal(nonlocal) => {
                let ids = nonlocal.names.iter().map(|name| self.names.intern(&name.id));
                self.found.nonlocal.extend(ids);
            }
            Stmt::Import(import) => import.names.iter().for_each(|alias| self.bind_alias(alias)),
            Stmt::ImportFrom(import) => import.names.iter().for_each(|alias| self.bind_alias(alias)),
            Stmt::AnnAssign(assign) if assign.value.is_none() => {
                if let Expr::Name(name) = &*assign.target {
                    let name = self.names.intern(&name.id);
                    self.found.bound.insert(name);
                }
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if !name.ctx.is_load() && !self.in_comprehension => {
                let name = self.names.intern(&name.id);
                self.found.bound.insert(name);
            }
            Expr::Named(named) => {
                if let Expr::Name(name) = &*named.target {
                    let name = self.names.intern(&name.id);
                    self.found.bound.insert(name);
                }
                self.visit_expr(&named.value);
            }
            Expr::Lambda(_) => {}
            Expr::ListComp(_) | Expr::SetComp(_) | Expr::DictComp(_) | Expr::Generator(_) => {
                let outer = std::mem::replace(&mut self.in_comprehension, true);
                walk_expr(self, expr);
                self.in_comprehension = outer;
            }
            Expr::Yield(_) | Expr::YieldFrom(_) => {
                self.found.yields = true;
                walk_expr(self, expr);
            }
            _ => walk_expr(self, expr),
        }
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(inner) = handler;
        inner.name.iter().for_each(|name| self.bind(name));
        ruff_python_ast::visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        match pattern {
            Pattern::MatchStar(star) => star.name.iter().for_each(|name| self.bind(name)),
            Pattern::MatchAs(capture) => capture.name.iter().for_each(|name| self.bind(name)),
            Pattern::MatchMapping(mapping) => mapping.rest.iter().for_each(|name| self.bind(name)),
            _ => {}
        }
        walk_pattern(self, pattern);
    }
}
