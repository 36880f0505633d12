//! Functions, lambdas, generator expressions and classes.

use std::sync::Arc;

use ruff_python_ast::{Decorator, Expr, Parameters, Stmt, StmtClassDef, StmtFunctionDef, TypeParam, TypeParams};

use crate::scheduler::analysis::NameId;
use crate::scheduler::analysis::ir::{Args, Function, Instr, Reg, Slot, Used};

use super::bound_names::BoundNames;
use super::scope::{Compiler, Frame, IMMUTABLE, Scope, ScopeKind};

impl Compiler<'_> {
    pub(super) fn function_def(&mut self, def: &StmtFunctionDef) {
        let decorators = self.decorators(&def.decorator_list);
        let defaults = self.defaults(&def.parameters);
        let scope = self.type_parameters(def.type_params.as_deref());
        let (function, _) = self.within(scope, |this| {
            this.annotations(&def.parameters, def.returns.as_deref());
            let body = Some((&def.body[..], def.is_async));
            this.function(Some(&def.parameters), defaults, body, |this| {
                this.statements(&def.body);
            })
        });
        self.bind_decorated(&def.name.id, function, decorators);
    }

    fn bind_decorated(&mut self, name: &str, mut value: Reg, decorators: Vec<Reg>) {
        for callee in decorators.into_iter().rev() {
            let args = Args {
                positional: vec![value],
                ..Args::default()
            };
            let dst = self.reg();
            self.emit(Instr::Decorate {
                dst,
                decorator: callee,
                args: Box::new(args),
            });
            value = dst;
        }
        let name = self.names.intern(name);
        self.bind(name, value, false);
    }

    fn decorators(&mut self, decorators: &[Decorator]) -> Vec<Reg> {
        decorators
            .iter()
            .map(|decorator| self.expr(&decorator.expression))
            .collect()
    }

    /// Type parameters are names that only the definition sees.
    fn type_parameters(&mut self, parameters: Option<&TypeParams>) -> Scope {
        let mut scope = Scope::new(ScopeKind::TypeParameters);
        for parameter in parameters.into_iter().flatten() {
            let name = match parameter {
                TypeParam::TypeVar(parameter) => &parameter.name,
                TypeParam::TypeVarTuple(parameter) => &parameter.name,
                TypeParam::ParamSpec(parameter) => &parameter.name,
            };
            let name = self.names.intern(&name.id);
            let slot = self.frame().slot();
            scope.slots.insert(name, slot);
        }
        scope
    }

    fn annotations(&mut self, parameters: &Parameters, returns: Option<&Expr>) {
        let annotations = parameters
            .iter()
            .filter_map(ruff_python_ast::AnyParameterRef::annotation);
        for annotation in annotations.chain(returns) {
            self.expr(annotation);
        }
    }

    /// The values of defaults, in the order of the parameters that have one.
    pub(super) fn defaults(&mut self, parameters: &Parameters) -> Vec<Reg> {
        let all = parameters.iter_non_variadic_params();
        all.filter_map(|parameter| parameter.default())
            .map(|default| self.expr(default))
            .collect()
    }

    /// Makes a function. `statements` is its body where it has one, as opposed to a lambda's expression, and whether it
    /// is a coroutine, which runs when it is awaited as a generator does when it is read.
    pub(super) fn function(
        &mut self,
        parameters: Option<&Parameters>,
        defaults: Vec<Reg>,
        statements: Option<(&[Stmt], bool)>,
        compile: impl FnOnce(&mut Self),
    ) -> Reg {
        let bound = statements
            .map(|(body, _)| BoundNames::of(body, self.names))
            .unwrap_or_default();
        let mut scope = Scope::new(ScopeKind::Function);
        self.frames.push(Frame::new());
        let (positional, parameters) = self.parameters(parameters, &mut scope);
        for name in &bound.bound {
            if !scope.slots.contains_key(name) {
                let slot = self.frame().slot();
                scope.slots.insert(*name, slot);
            }
        }
        scope.global = bound.global;
        scope.nonlocal = bound.nonlocal;
        let depth = self.depth;
        self.within(scope, compile);
        self.depth = depth;
        let frame = self.frames.pop().expect("it was pushed above");
        let function = Function {
            parameters: parameters.named,
            positional,
            defaulted: parameters.defaulted,
            star: parameters.star,
            double_star: parameters.double_star,
            captures: frame.captures.clone(),
            is_generator: bound.yields || statements.is_some_and(|(_, is_async)| is_async),
            body: frame.into_body(),
        };
        self.make_function(function, defaults, false)
    }

    fn make_function(&mut self, function: Function, defaults: Vec<Reg>, is_lazy: bool) -> Reg {
        let dst = self.reg();
        self.emit(Instr::Function {
            dst,
            function: Arc::new(function),
            defaults,
            is_lazy,
        });
        dst
    }

    fn parameters(&mut self, parameters: Option<&Parameters>, scope: &mut Scope) -> (usize, ParameterSlots) {
        let mut slots = ParameterSlots::default();
        let Some(parameters) = parameters else {
            return (0, slots);
        };
        for parameter in parameters.iter_non_variadic_params() {
            let (name, slot) = self.parameter(parameter.name(), scope);
            slots.named.push((name, slot));
            if parameter.default().is_some() {
                slots.defaulted.push(slot);
            }
        }
        slots.star = parameters
            .vararg
            .as_ref()
            .map(|parameter| self.parameter(&parameter.name.id, scope).1);
        slots.double_star = parameters
            .kwarg
            .as_ref()
            .map(|parameter| self.parameter(&parameter.name.id, scope).1);
        (parameters.posonlyargs.len() + parameters.args.len(), slots)
    }

    fn parameter(&mut self, name: &str, scope: &mut Scope) -> (NameId, Slot) {
        let name = self.names.intern(name);
        let slot = self.frame().slot();
        scope.slots.insert(name, slot);
        (name, slot)
    }

    /// A generator: its body runs when somebody takes its items. `iterable` was evaluated when it was made.
    pub(super) fn lazily(&mut self, iterable: Reg, compile: impl FnOnce(&mut Self, Reg)) -> Reg {
        self.frames.push(Frame::new());
        let slot = self.frame().slot();
        let scope = Scope::new(ScopeKind::Function);
        let depth = self.depth;
        self.within(scope, |this| {
            let dst = this.reg();
            this.emit(Instr::LoadSlot { dst, slot });
            compile(this, dst);
        });
        self.depth = depth;
        let frame = self.frames.pop().expect("it was pushed above");
        let parameter = self.names.intern(".0");
        let function = Function {
            parameters: vec![(parameter, slot)],
            positional: 1,
            defaulted: vec![slot],
            star: None,
            double_star: None,
            captures: frame.captures.clone(),
            is_generator: true,
            body: frame.into_body(),
        };
        self.make_function(function, vec![iterable], true)
    }

    /// Code that is compiled into a function of its own and called at once, as `%timeit` does.
    pub(super) fn in_function(&mut self, body: &[Stmt]) {
        let callee = self.function(None, Vec::new(), Some((body, false)), |this| this.statements(body));
        let dst = self.reg();
        let (args, used) = (Box::default(), Used::Yes);
        self.emit(Instr::Call {
            dst,
            callee,
            args,
            used,
        });
    }

    pub(super) fn class_def(&mut self, def: &StmtClassDef) {
        let decorators = self.decorators(&def.decorator_list);
        let scope = self.type_parameters(def.type_params.as_deref());
        let (class, _) = self.within(scope, |this| this.class(def));
        self.bind_decorated(&def.name.id, class, decorators);
    }

    fn class(&mut self, def: &StmtClassDef) -> Reg {
        let args = def
            .arguments
            .as_ref()
            .map(|arguments| self.args(arguments))
            .unwrap_or_default();
        let bound = BoundNames::of(&def.body, self.names);
        let mut scope = Scope::new(ScopeKind::Class);
        for name in &bound.bound {
            let slot = self.frame().slot();
            scope.slots.insert(*name, slot);
        }
        scope.global = bound.global;
        let slots: Vec<Slot> = scope.slots.values().copied().collect();
        for slot in slots {
            self.emit(Instr::StoreSlot { slot, src: IMMUTABLE });
        }
        let ((), scope) = self.within(scope, |this| this.statements(&def.body));
        let mut members: Vec<(NameId, Slot)> = scope.slots.into_iter().collect();
        members.sort_unstable();
        let dst = self.reg();
        self.emit(Instr::Class {
            dst,
            bases: args.all().collect(),
            members,
        });
        dst
    }
}

#[derive(Debug, Default)]
struct ParameterSlots {
    named: Vec<(NameId, Slot)>,
    defaulted: Vec<Slot>,
    star: Option<Slot>,
    double_star: Option<Slot>,
}
