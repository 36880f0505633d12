//! Expressions: each leaves the objects that it may yield in a register.

use ruff_python_ast::{
    Arguments, BoolOp, CmpOp, Comprehension, DictItem, Expr, ExprCall, ExprCompare, ExprSubscript,
    InterpolatedStringElement, Operator, UnaryOp,
};

use crate::scheduler::analysis::ir::{Args, Instr, Made, Reg, Used};

use super::scope::{Compiler, IMMUTABLE, Scope, ScopeKind};
use super::special::environment_variable;

/// Longer texts are no paths and no names.
const LONGEST_TEXT: usize = 200;

impl Compiler<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Reg {
        self.nested(IMMUTABLE, |this| this.expr_inner(expr))
    }

    fn expr_inner(&mut self, expr: &Expr) -> Reg {
        match expr {
            Expr::Name(name) => {
                let name = self.names.intern(&name.id);
                self.load(name)
            }
            Expr::NumberLiteral(_)
            | Expr::BytesLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::NoneLiteral(_)
            | Expr::EllipsisLiteral(_) => IMMUTABLE,
            Expr::StringLiteral(literal) => self.text(literal.value.to_str()),
            Expr::FString(string) => {
                string.value.elements().for_each(|element| self.interpolated(element));
                IMMUTABLE
            }
            Expr::TString(string) => {
                string.value.elements().for_each(|element| self.interpolated(element));
                self.unknown()
            }
            Expr::Call(call) => self.call(call, Used::Yes),
            Expr::Attribute(attribute) => {
                let of = self.expr(&attribute.value);
                let name = self.names.intern(&attribute.attr.id);
                let dst = self.reg();
                self.emit(Instr::Attr { dst, of, name });
                dst
            }
            Expr::Subscript(subscript) => self.subscript(subscript),
            Expr::Starred(starred) => {
                let of = self.expr(&starred.value);
                self.iterate(of)
            }
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::Await(awaited) => {
                let of = self.expr(&awaited.value);
                self.iterate(of)
            }
            Expr::Named(named) => {
                let value = self.expr(&named.value);
                if let Expr::Name(name) = &*named.target {
                    let name = self.names.intern(&name.id);
                    self.bind(name, value, false);
                }
                value
            }
            Expr::Yield(yielded) => {
                let src = yielded.value.as_ref().map_or(IMMUTABLE, |value| self.expr(value));
                self.emit(Instr::Return { src });
                self.unknown()
            }
            Expr::YieldFrom(yielded) => {
                let of = self.expr(&yielded.value);
                let src = self.iterate(of);
                self.emit(Instr::Return { src });
                self.unknown()
            }
            Expr::IpyEscapeCommand(command) => self.escape(command.kind, &command.value),
            _ => self.operator_or_display(expr),
        }
    }

    fn operator_or_display(&mut self, expr: &Expr) -> Reg {
        match expr {
            Expr::BoolOp(operation) => {
                let of = operation.values.iter().map(|value| self.expr(value)).collect();
                self.join(of)
            }
            Expr::BinOp(operation) => {
                let parts = vec![self.expr(&operation.left), self.expr(&operation.right)];
                self.computed(parts)
            }
            Expr::UnaryOp(operation) => {
                let operand = self.expr(&operation.operand);
                match operation.op {
                    UnaryOp::Not => IMMUTABLE,
                    _ => self.computed(vec![operand]),
                }
            }
            Expr::Compare(comparison) => self.comparison(comparison),
            Expr::If(choice) => {
                self.expr(&choice.test);
                let of = vec![self.expr(&choice.body), self.expr(&choice.orelse)];
                self.join(of)
            }
            Expr::Tuple(tuple) => self.display(Made::Tuple, &tuple.elts),
            Expr::List(list) => self.display(Made::Container, &list.elts),
            Expr::Set(set) => self.display(Made::Container, &set.elts),
            Expr::Dict(dict) => {
                let mut parts = Vec::new();
                dict.items.iter().for_each(|item| self.dict_item(item, &mut parts));
                self.make_of(Made::Container, parts)
            }
            Expr::ListComp(comprehension) => self.comprehension(&[&comprehension.elt], &comprehension.generators),
            Expr::SetComp(comprehension) => self.comprehension(&[&comprehension.elt], &comprehension.generators),
            Expr::DictComp(comprehension) => {
                let key = comprehension.key.as_deref();
                let parts: Vec<&Expr> = key.into_iter().chain([&*comprehension.value]).collect();
                self.comprehension(&parts, &comprehension.generators)
            }
            Expr::Generator(generator) => self.generator(&generator.elt, &generator.generators),
            Expr::Slice(slice) => {
                for part in [&slice.lower, &slice.upper, &slice.step].into_iter().flatten() {
                    self.expr(part);
                }
                IMMUTABLE
            }
            _ => IMMUTABLE,
        }
    }

    fn comparison(&mut self, comparison: &ExprCompare) -> Reg {
        let is_membership = |op: &CmpOp| matches!(op, CmpOp::In | CmpOp::NotIn);
        if let (Expr::StringLiteral(name), [comparator], [op]) =
            (&*comparison.left, &*comparison.comparators, &*comparison.ops)
            && is_membership(op)
            && self.is_namespace(comparator)
        {
            let name = self.names.intern(name.value.to_str());
            self.load(name);
            return IMMUTABLE;
        }
        let mut parts = vec![self.expr(&comparison.left)];
        for (op, operand) in comparison.ops.iter().zip(&comparison.comparators) {
            let operand = self.expr(operand);
            if is_membership(op) {
                self.iterate(operand);
            }
            parts.push(operand);
        }
        let is_scalar = |op: &CmpOp| is_membership(op) || matches!(op, CmpOp::Is | CmpOp::IsNot);
        if comparison.ops.iter().all(is_scalar) {
            IMMUTABLE
        } else {
            self.computed(parts)
        }
    }

    /// A literal text, which may be a path or a name.
    pub(super) fn text(&mut self, text: &str) -> Reg {
        if text.len() > LONGEST_TEXT {
            return IMMUTABLE;
        }
        let text = self.names.intern(text);
        self.make(Made::Text(text), Vec::new())
    }

    fn interpolated(&mut self, element: &InterpolatedStringElement) {
        if let InterpolatedStringElement::Interpolation(part) = element {
            let src = self.expr(&part.expression);
            self.show(src);
            if let Some(spec) = &part.format_spec {
                spec.elements.iter().for_each(|element| self.interpolated(element));
            }
        }
    }

    pub(super) fn show(&mut self, src: Reg) {
        if src != IMMUTABLE {
            self.emit(Instr::Show { src });
        }
    }

    pub(super) fn join(&mut self, mut of: Vec<Reg>) -> Reg {
        of.dedup();
        if let [only] = of[..] {
            return only;
        }
        let dst = self.reg();
        self.emit(Instr::Join { dst, of });
        dst
    }

    pub(super) fn computed(&mut self, parts: Vec<Reg>) -> Reg {
        if parts.iter().all(|part| *part == IMMUTABLE) {
            return IMMUTABLE;
        }
        self.make(Made::Computed, parts)
    }

    fn make_of(&mut self, made: Made, mut parts: Vec<Reg>) -> Reg {
        parts.retain(|part| *part != IMMUTABLE);
        if made == Made::Tuple && parts.is_empty() {
            return IMMUTABLE;
        }
        self.make(made, parts)
    }

    fn display(&mut self, made: Made, elements: &[Expr]) -> Reg {
        let parts = elements.iter().map(|element| self.expr(element)).collect();
        self.make_of(made, parts)
    }

    fn dict_item(&mut self, item: &DictItem, parts: &mut Vec<Reg>) {
        if let Some(key) = &item.key {
            parts.push(self.expr(key));
            parts.push(self.expr(&item.value));
        } else {
            let of = self.expr(&item.value);
            let dst = self.reg();
            self.emit(Instr::Item { dst, of });
            parts.push(dst);
        }
    }

    pub(super) fn iterate(&mut self, of: Reg) -> Reg {
        let dst = self.reg();
        self.emit(Instr::Iterate { dst, of });
        dst
    }

    fn subscript(&mut self, subscript: &ExprSubscript) -> Reg {
        if let Some(name) = self.namespace_item(subscript) {
            return self.load(name);
        }
        if let Some(variable) = environment_variable(subscript) {
            self.environment(&subscript.value);
            self.touch(&variable, true, false);
            return IMMUTABLE;
        }
        let of = self.expr(&subscript.value);
        self.expr(&subscript.slice);
        let dst = self.reg();
        let is_slice = subscript.slice.is_slice_expr();
        self.emit(if is_slice || selects(&subscript.slice) {
            Instr::Selection { dst, of, is_slice }
        } else {
            Instr::Item { dst, of }
        });
        dst
    }

    fn lambda(&mut self, lambda: &ruff_python_ast::ExprLambda) -> Reg {
        let mut defaults = Vec::new();
        if let Some(parameters) = &lambda.parameters {
            defaults = self.defaults(parameters);
        }
        let parameters = lambda.parameters.as_deref();
        self.function(parameters, defaults, None, |this| {
            let src = this.expr(&lambda.body);
            this.emit(Instr::Return { src });
        })
    }

    fn comprehension(&mut self, elements: &[&Expr], generators: &[Comprehension]) -> Reg {
        let mut parts = Vec::new();
        let Some((first, rest)) = generators.split_first() else {
            return IMMUTABLE;
        };
        let iterable = self.expr(&first.iter);
        let block = {
            let parts = &mut parts;
            let scope = self.comprehension_scope(generators);
            self.block(|this| {
                this.within(scope, |this| {
                    this.generate(first, Some(iterable));
                    for generator in rest {
                        this.generate(generator, None);
                    }
                    parts.extend(elements.iter().map(|element| this.expr(element)));
                });
            })
        };
        let binds = block.iter().any(|instr| matches!(instr, Instr::Bind { .. }));
        if binds {
            self.emit(Instr::Loop {
                body: block,
                entered: false,
            });
        } else {
            for instr in block {
                self.emit(instr);
            }
        }
        self.make_of(Made::Container, parts)
    }

    fn comprehension_scope(&mut self, generators: &[Comprehension]) -> Scope {
        let mut scope = Scope::new(ScopeKind::Comprehension);
        for generator in generators {
            self.add_targets(&generator.target, &mut scope);
        }
        scope
    }

    fn add_targets(&mut self, target: &Expr, scope: &mut Scope) {
        match target {
            Expr::Name(name) => {
                let name = self.names.intern(&name.id);
                let slot = self.frame().slot();
                scope.slots.insert(name, slot);
            }
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|target| self.add_targets(target, scope)),
            Expr::List(list) => list.elts.iter().for_each(|target| self.add_targets(target, scope)),
            Expr::Starred(starred) => self.add_targets(&starred.value, scope),
            _ => {}
        }
    }

    /// One `for … in … if …`; the iterable of the first one of a generator has been evaluated before.
    fn generate(&mut self, generator: &Comprehension, iterable: Option<Reg>) {
        let of = match iterable {
            Some(of) => of,
            None => self.expr(&generator.iter),
        };
        let item = self.iterate(of);
        self.assign(&generator.target, item, true);
        generator.ifs.iter().for_each(|condition| {
            self.expr(condition);
        });
    }

    fn generator(&mut self, element: &Expr, generators: &[Comprehension]) -> Reg {
        let Some(first) = generators.first() else {
            return IMMUTABLE;
        };
        let iterable = self.expr(&first.iter);
        self.lazily(iterable, |this, iterable| {
            let scope = this.comprehension_scope(generators);
            this.within(scope, |this| {
                this.generate(first, Some(iterable));
                generators
                    .iter()
                    .skip(1)
                    .for_each(|generator| this.generate(generator, None));
                let src = this.expr(element);
                this.emit(Instr::Return { src });
            });
        })
    }

    /// A call, unless it is one that means something of its own.
    pub(super) fn call(&mut self, call: &ExprCall, used: Used) -> Reg {
        if let Some(result) = self.special_call(call) {
            return result;
        }
        if let Expr::Attribute(attribute) = &*call.func {
            let of = self.expr(&attribute.value);
            let name = self.names.intern(&attribute.attr.id);
            let args = Box::new(self.args(&call.arguments));
            let dst = self.reg();
            self.emit(Instr::Method {
                dst,
                of,
                name,
                args,
                used,
            });
            return dst;
        }
        let callee = self.expr(&call.func);
        let args = Box::new(self.args(&call.arguments));
        let dst = self.reg();
        self.emit(Instr::Call {
            dst,
            callee,
            args,
            used,
        });
        dst
    }

    pub(super) fn args(&mut self, arguments: &Arguments) -> Args {
        let mut args = Args::default();
        for argument in &arguments.args {
            let reg = self.expr(argument);
            if argument.is_starred_expr() {
                args.unpacked.push(reg);
            } else {
                args.positional.push(reg);
            }
        }
        for keyword in &arguments.keywords {
            let reg = self.expr(&keyword.value);
            let Some(name) = &keyword.arg else {
                let dst = self.reg();
                self.emit(Instr::Item { dst, of: reg });
                args.unpacked.push(dst);
                continue;
            };
            let name = self.names.intern(&name.id);
            if matches!(&keyword.value, Expr::BooleanLiteral(literal) if literal.value) {
                args.is_true.push(name);
            }
            args.keywords.push((name, reg));
        }
        args
    }
}

/// Whether a subscript picks several items by a mask or a list, which copies them.
fn selects(slice: &Expr) -> bool {
    match slice {
        Expr::Compare(_) | Expr::List(_) | Expr::ListComp(_) => true,
        Expr::UnaryOp(operation) => operation.op == UnaryOp::Invert,
        Expr::BinOp(operation) => matches!(operation.op, Operator::BitAnd | Operator::BitOr | Operator::BitXor),
        Expr::BoolOp(operation) => matches!(operation.op, BoolOp::And | BoolOp::Or),
        Expr::Tuple(tuple) => tuple.elts.iter().any(selects),
        _ => false,
    }
}
