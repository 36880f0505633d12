//! Statements.

use ruff_python_ast::{
    ElifElseClause, ExceptHandler, Expr, Stmt, StmtAugAssign, StmtFor, StmtIf, StmtImportFrom, StmtTry, StmtWith,
};

use crate::scheduler::analysis::ir::{Block, Instr, Made, Reg, Used};

use super::scope::{Compiler, IMMUTABLE};
use super::special::environment_variable;

impl Compiler<'_> {
    pub(super) fn statements(&mut self, statements: &[Stmt]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    pub(super) fn statement(&mut self, statement: &Stmt) {
        self.nested((), |this| this.statement_inner(statement));
    }

    fn statement_inner(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Expr(statement) => {
                self.expression_statement(&statement.value, Used::No);
            }
            Stmt::Assign(statement) => self.assignment(&statement.targets, &statement.value),
            Stmt::AugAssign(statement) => self.augmented(statement),
            Stmt::AnnAssign(statement) => {
                if self.frames.len() == 1 || !statement.simple {
                    self.expr(&statement.annotation);
                }
                if let Some(value) = &statement.value {
                    self.assignment(std::slice::from_ref(&statement.target), value);
                }
            }
            Stmt::Import(statement) => statement.names.iter().for_each(|alias| {
                let module = alias.name.id.as_str();
                let root = module.split('.').next().unwrap_or(module);
                let (path, name) = match &alias.asname {
                    Some(name) => (module, name.id.as_str()),
                    None => (root, root),
                };
                self.import(path, name);
            }),
            Stmt::ImportFrom(statement) => self.import_from(statement),
            Stmt::FunctionDef(def) => self.function_def(def),
            Stmt::ClassDef(def) => self.class_def(def),
            Stmt::Return(statement) => {
                let src = statement.value.as_ref().map_or(IMMUTABLE, |value| self.expr(value));
                self.emit(Instr::Return { src });
                self.emit(Instr::Diverge);
            }
            Stmt::Delete(statement) => statement.targets.iter().for_each(|target| self.delete(target)),
            Stmt::TypeAlias(statement) => {
                if let Expr::Name(name) = &*statement.name {
                    let name = self.names.intern(&name.id);
                    self.bind(name, IMMUTABLE, false);
                }
            }
            Stmt::Raise(statement) => {
                for part in [&statement.exc, &statement.cause].into_iter().flatten() {
                    self.expr(part);
                }
                self.emit(Instr::Diverge);
            }
            Stmt::Assert(statement) => {
                self.expr(&statement.test);
                if let Some(message) = &statement.msg {
                    let src = self.expr(message);
                    self.show(src);
                }
            }
            Stmt::IpyEscapeCommand(command) => {
                self.escape(command.kind, &command.value);
            }
            _ => self.compound(statement),
        }
    }

    fn compound(&mut self, statement: &Stmt) {
        match statement {
            Stmt::For(statement) => self.for_loop(statement),
            Stmt::While(statement) => {
                self.expr(&statement.test);
                let entered = is_true(&statement.test);
                let body = self.block(|this| this.statements(&statement.body));
                self.emit(Instr::Loop { body, entered });
                self.after_loop(&statement.body, &statement.orelse);
            }
            Stmt::If(statement) => self.if_statement(statement),
            Stmt::Try(statement) => self.try_statement(statement),
            Stmt::With(statement) => self.with_statement(statement),
            Stmt::Match(statement) => self.match_statement(statement),
            _ => {}
        }
    }

    /// An expression that stands alone; gives its value.
    pub(super) fn expression_statement(&mut self, value: &Expr, used: Used) -> Reg {
        match value {
            Expr::Call(call) => self.call(call, used),
            value => self.expr(value),
        }
    }

    fn assignment(&mut self, targets: &[Expr], value: &Expr) {
        if let ([target], Some(values)) = (targets, elements(value))
            && let Some(targets) = elements(target)
            && targets.len() == values.len()
            && targets.iter().chain(values).all(|element| !element.is_starred_expr())
        {
            let regs: Vec<Reg> = values.iter().map(|value| self.expr(value)).collect();
            targets
                .iter()
                .zip(regs)
                .for_each(|(target, reg)| self.assign(target, reg, false));
            return;
        }
        let reg = self.expr(value);
        for target in targets {
            self.assign(target, reg, false);
        }
    }

    pub(super) fn assign(&mut self, target: &Expr, value: Reg, temporary: bool) {
        match target {
            Expr::Name(name) => {
                let name = self.names.intern(&name.id);
                self.bind(name, value, temporary);
            }
            Expr::Starred(starred) => {
                let list = self.make(Made::Container, vec![value]);
                self.assign(&starred.value, list, temporary);
            }
            Expr::Tuple(_) | Expr::List(_) => {
                let targets = elements(target).unwrap_or_default();
                let dsts: Vec<Reg> = targets.iter().map(|_| self.reg()).collect();
                self.emit(Instr::Unpack {
                    of: value,
                    dsts: dsts.clone(),
                });
                targets
                    .iter()
                    .zip(dsts)
                    .for_each(|(target, dst)| self.assign(target, dst, temporary));
            }
            Expr::Attribute(attribute) => {
                let of = self.expr(&attribute.value);
                self.emit(Instr::Store { of, value: Some(value) });
            }
            Expr::Subscript(subscript) => {
                if let Some(name) = self.namespace_item(subscript) {
                    return self.emit(Instr::Bind {
                        name,
                        src: value,
                        temporary,
                    });
                }
                if let Some(variable) = environment_variable(subscript) {
                    self.environment(&subscript.value);
                    return self.touch(&variable, false, true);
                }
                let of = self.expr(&subscript.value);
                self.expr(&subscript.slice);
                self.emit(Instr::Store { of, value: Some(value) });
            }
            _ => {}
        }
    }

    fn augmented(&mut self, statement: &StmtAugAssign) {
        let old = self.expr(&statement.target);
        let value = self.expr(&statement.value);
        self.emit(Instr::Store {
            of: old,
            value: Some(value),
        });
        let new = self.computed(vec![old, value]);
        if let Expr::Name(name) = &*statement.target {
            let name = self.names.intern(&name.id);
            let src = self.reg();
            self.emit(Instr::Augmented { dst: src, old, new });
            self.bind(name, src, false);
        } else if let Expr::Attribute(_) | Expr::Subscript(_) = &*statement.target {
            self.assign(&statement.target, new, false);
        }
    }

    fn import(&mut self, path: &str, name: &str) {
        let (path, name) = (self.names.intern(path), self.names.intern(name));
        let dst = self.reg();
        self.emit(Instr::Import { dst, path });
        self.bind(name, dst, false);
    }

    fn import_from(&mut self, statement: &StmtImportFrom) {
        let dots = ".".repeat(statement.level as usize);
        let module = statement.module.as_ref().map_or("", |module| module.id.as_str());
        for alias in &statement.names {
            if &alias.name == "*" {
                let path = self.names.intern(&format!("{dots}{module}"));
                self.emit(Instr::ImportStar { path });
                continue;
            }
            let name = alias.asname.as_ref().unwrap_or(&alias.name);
            self.import(&format!("{dots}{module}.{}", alias.name.id), &name.id);
        }
    }

    fn delete(&mut self, target: &Expr) {
        match target {
            Expr::Name(name) => {
                let name = self.names.intern(&name.id);
                if self.resolve(name) == super::scope::Place::Namespace {
                    self.load(name);
                    self.emit(Instr::Delete { name });
                }
            }
            Expr::Tuple(_) | Expr::List(_) => {
                elements(target)
                    .into_iter()
                    .flatten()
                    .for_each(|target| self.delete(target));
            }
            Expr::Attribute(attribute) => {
                let of = self.expr(&attribute.value);
                self.emit(Instr::Store { of, value: None });
            }
            Expr::Subscript(subscript) => {
                if let Some(name) = self.namespace_item(subscript) {
                    self.load(name);
                    return self.emit(Instr::Delete { name });
                }
                if let Some(variable) = environment_variable(subscript) {
                    self.environment(&subscript.value);
                    return self.touch(&variable, true, true);
                }
                let of = self.expr(&subscript.value);
                self.expr(&subscript.slice);
                self.emit(Instr::Store { of, value: None });
            }
            _ => {}
        }
    }

    fn for_loop(&mut self, statement: &StmtFor) {
        let of = self.expr(&statement.iter);
        let length = literal_length(&statement.iter);
        if length == Some(0) {
            return self.statements(&statement.orelse);
        }
        let item = self.iterate(of);
        self.assign(&statement.target, item, true);
        let entered = length.is_some();
        let body = self.block(|this| this.statements(&statement.body));
        self.emit(Instr::Loop { body, entered });
        self.after_loop(&statement.body, &statement.orelse);
    }

    /// The `else` of a loop is skipped by a `break` only.
    fn after_loop(&mut self, body: &[Stmt], orelse: &[Stmt]) {
        if orelse.is_empty() {
            return;
        }
        let arm = self.block(|this| this.statements(orelse));
        let exhaustive = !may_break(body);
        self.emit(Instr::Branch {
            arms: vec![arm],
            exhaustive,
        });
    }

    fn if_statement(&mut self, statement: &StmtIf) {
        if is_main_guard(&statement.test) || is_true(&statement.test) {
            return self.statements(&statement.body);
        }
        self.expr(&statement.test);
        let mut arms = vec![self.block(|this| this.statements(&statement.body))];
        for clause in &statement.elif_else_clauses {
            arms.push(self.clause(clause));
        }
        let exhaustive = statement
            .elif_else_clauses
            .last()
            .is_some_and(|clause| clause.test.is_none());
        self.emit(Instr::Branch { arms, exhaustive });
    }

    fn clause(&mut self, clause: &ElifElseClause) -> Block {
        if let Some(test) = &clause.test {
            self.expr(test);
        }
        self.block(|this| this.statements(&clause.body))
    }

    fn try_statement(&mut self, statement: &StmtTry) {
        if statement.handlers.is_empty() {
            self.statements(&statement.body);
        } else {
            let first = self.block(|this| {
                this.statements(&statement.body);
                this.statements(&statement.orelse);
            });
            let mut arms = vec![first];
            arms.extend(statement.handlers.iter().map(|handler| self.handler(handler)));
            self.emit(Instr::Branch { arms, exhaustive: true });
        }
        self.statements(&statement.finalbody);
    }

    fn handler(&mut self, handler: &ExceptHandler) -> Block {
        let ExceptHandler::ExceptHandler(handler) = handler;
        self.block(|this| {
            if let Some(kind) = &handler.type_ {
                this.expr(kind);
            }
            let name = handler.name.as_ref().map(|name| this.names.intern(&name.id));
            if let Some(name) = name {
                let error = this.unknown();
                this.bind(name, error, false);
            }
            let body = this.block(|this| this.statements(&handler.body));
            let diverges = body.iter().any(|instr| matches!(instr, Instr::Diverge));
            body.into_iter()
                .filter(|instr| !matches!(instr, Instr::Diverge))
                .for_each(|instr| this.emit(instr));
            if let Some(name) = name
                && this.resolve(name) == super::scope::Place::Namespace
            {
                this.emit(Instr::Clobber { name });
            }
            if diverges {
                this.emit(Instr::Diverge);
            }
        })
    }

    fn with_statement(&mut self, statement: &StmtWith) {
        let mut contexts = Vec::new();
        for item in &statement.items {
            let context = self.expr(&item.context_expr);
            let entered = self.context_method(context, "__enter__");
            if let Some(target) = &item.optional_vars {
                self.assign(target, entered, false);
            }
            contexts.push(context);
        }
        if statement.items.iter().any(|item| swallows(&item.context_expr)) {
            let arm = self.block(|this| this.statements(&statement.body));
            self.emit(Instr::Branch {
                arms: vec![arm],
                exhaustive: false,
            });
        } else {
            self.statements(&statement.body);
        }
        for context in contexts.into_iter().rev() {
            self.context_method(context, "__exit__");
        }
    }

    fn context_method(&mut self, of: Reg, name: &str) -> Reg {
        if of == IMMUTABLE {
            return IMMUTABLE;
        }
        let name = self.names.intern(name);
        let dst = self.reg();
        let (args, used) = (Box::default(), Used::Yes);
        self.emit(Instr::Method {
            dst,
            of,
            name,
            args,
            used,
        });
        dst
    }
}

/// The elements of a tuple or list.
fn elements(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(tuple) => Some(&tuple.elts),
        Expr::List(list) => Some(&list.elts),
        _ => None,
    }
}

/// How many items an iterable has, at least whether it has any, where it is a literal.
fn literal_length(iterable: &Expr) -> Option<u64> {
    let number = |expr: &Expr| match expr {
        Expr::NumberLiteral(number) => number.value.as_int().and_then(ruff_python_ast::Int::as_u64),
        _ => None,
    };
    match iterable {
        Expr::List(list) => known_length(&list.elts),
        Expr::Tuple(tuple) => known_length(&tuple.elts),
        Expr::Set(set) => known_length(&set.elts),
        Expr::Dict(dict) => (dict.items.iter().all(|item| item.key.is_some())).then_some(dict.items.len() as u64),
        Expr::StringLiteral(text) => Some(text.value.to_str().len() as u64),
        Expr::Call(call) => {
            let Expr::Name(function) = &*call.func else { return None };
            let args = &call.arguments.args;
            match (function.id.as_str(), args.len()) {
                ("range", 1) => number(&args[0]),
                ("range", 2) => Some(number(&args[1])?.saturating_sub(number(&args[0])?)),
                ("enumerate" | "sorted" | "reversed" | "list" | "tuple", 1) => literal_length(&args[0]),
                _ => None,
            }
        }
        _ => None,
    }
}

fn known_length(elements: &[Expr]) -> Option<u64> {
    let starred = elements.iter().any(Expr::is_starred_expr);
    (!starred).then_some(elements.len() as u64)
}

fn is_true(test: &Expr) -> bool {
    match test {
        Expr::BooleanLiteral(literal) => literal.value,
        Expr::NumberLiteral(number) => number
            .value
            .as_int()
            .and_then(ruff_python_ast::Int::as_u64)
            .is_some_and(|n| n > 0),
        _ => false,
    }
}

/// `__name__ == "__main__"`, which is so in every notebook.
fn is_main_guard(test: &Expr) -> bool {
    let Expr::Compare(comparison) = test else { return false };
    matches!(&*comparison.left, Expr::Name(name) if name.id == "__name__")
        && matches!(&comparison.comparators[..], [Expr::StringLiteral(text)] if text.value.to_str() == "__main__")
        && matches!(&comparison.ops[..], [ruff_python_ast::CmpOp::Eq])
}

/// Whether a context ends its body by an exception and goes on behind it.
fn swallows(context: &Expr) -> bool {
    let Expr::Call(call) = context else { return false };
    let name = match &*call.func {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.as_str(),
        _ => return false,
    };
    matches!(name, "suppress" | "raises" | "assertRaises" | "assertRaisesRegex")
}

/// Whether a loop's body may leave it by `break`.
fn may_break(body: &[Stmt]) -> bool {
    body.iter().any(|statement| match statement {
        Stmt::Break(_) => true,
        Stmt::If(statement) => {
            let clauses = statement.elif_else_clauses.iter();
            may_break(&statement.body) || clauses.into_iter().any(|clause| may_break(&clause.body))
        }
        Stmt::With(statement) => may_break(&statement.body),
        Stmt::Try(statement) => {
            let handlers = statement
                .handlers
                .iter()
                .map(|ExceptHandler::ExceptHandler(handler)| &handler.body);
            [&statement.body, &statement.orelse, &statement.finalbody]
                .into_iter()
                .chain(handlers)
                .any(|body| may_break(body))
        }
        Stmt::Match(statement) => statement.cases.iter().any(|case| may_break(&case.body)),
        Stmt::For(statement) => may_break(&statement.orelse),
        Stmt::While(statement) => may_break(&statement.orelse),
        _ => false,
    })
}
