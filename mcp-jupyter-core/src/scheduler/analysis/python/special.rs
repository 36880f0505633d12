//! Calls and subscripts that reach into the namespace, the environment or IPython.

use ruff_python_ast::{Arguments, Expr, ExprCall, ExprSubscript};

use crate::scheduler::analysis::NameId;
use crate::scheduler::analysis::ir::{Instr, Reg};

use super::scope::{Compiler, IMMUTABLE};

impl Compiler<'_> {
    /// `globals()["name"]`
    pub(super) fn namespace_item(&mut self, subscript: &ExprSubscript) -> Option<NameId> {
        let Expr::StringLiteral(name) = &*subscript.slice else {
            return None;
        };
        self.is_namespace(&subscript.value)
            .then(|| self.names.intern(name.value.to_str()))
    }

    /// Whether this is `globals()`, or `locals()` or `vars()` in a cell itself.
    pub(super) fn is_namespace(&mut self, expr: &Expr) -> bool {
        let Expr::Call(call) = expr else { return false };
        let Expr::Name(name) = &*call.func else { return false };
        let in_cell = self.frames.len() == 1;
        let is_function = match name.id.as_str() {
            "globals" => true,
            "locals" | "vars" => in_cell,
            _ => false,
        };
        is_function && call.arguments.is_empty() && self.is_in_namespace(&name.id)
    }

    /// Calls of functions that reach into the namespace, where their arguments are literals.
    pub(super) fn special_call(&mut self, call: &ExprCall) -> Option<Reg> {
        if let Expr::Attribute(attribute) = &*call.func {
            return self.special_method(&attribute.value, attribute.attr.as_str(), &call.arguments);
        }
        let Expr::Name(function) = &*call.func else {
            return None;
        };
        let literal = |index: usize| match call.arguments.args.get(index) {
            Some(Expr::StringLiteral(text)) => Some(text.value.to_str()),
            _ => None,
        };
        match function.id.as_str() {
            "exec" | "eval" if self.is_in_namespace(&function.id) && call.arguments.len() == 1 => {
                let code = literal(0)?;
                Some(self.literal_code(code))
            }
            "super" if self.frames.len() > 1 && call.arguments.is_empty() => self.receiver(),
            _ => None,
        }
    }

    fn special_method(&mut self, of: &Expr, method: &str, arguments: &Arguments) -> Option<Reg> {
        let literal = |index: usize| match arguments.args.get(index) {
            Some(Expr::StringLiteral(text)) => Some(text.value.to_str()),
            _ => None,
        };
        if self.is_namespace(of) {
            return match method {
                "get" | "pop" | "setdefault" | "__getitem__" => {
                    let name = self.names.intern(literal(0)?);
                    arguments.args.iter().skip(1).for_each(|argument| {
                        self.expr(argument);
                    });
                    let value = self.load(name);
                    match method {
                        "pop" => self.emit(Instr::Delete { name }),
                        "setdefault" => self.bind(name, value, false),
                        _ => {}
                    }
                    Some(value)
                }
                "update" if arguments.args.is_empty() => {
                    for keyword in &arguments.keywords {
                        let src = self.expr(&keyword.value);
                        let name = self.names.intern(&keyword.arg.as_ref()?.id);
                        self.emit(Instr::Bind {
                            name,
                            src,
                            temporary: false,
                        });
                    }
                    Some(IMMUTABLE)
                }
                _ => None,
            };
        }
        match (method, literal(0)) {
            ("get" | "setdefault" | "pop", Some(variable)) if is_environment(of) => {
                self.environment(of);
                self.touch(&format!("<environ:{variable}>"), true, method != "get");
                return Some(IMMUTABLE);
            }
            ("getenv", Some(variable)) => {
                self.expr(of);
                self.touch(&format!("<environ:{variable}>"), true, false);
                return Some(IMMUTABLE);
            }
            ("query" | "eval", Some(text)) => self.names_in_query(text),
            _ => {}
        }
        let is_shell =
            matches!(of, Expr::Call(call) if matches!(&*call.func, Expr::Name(name) if name.id == "get_ipython"));
        match method {
            "run_line_magic" | "magic" if is_shell => {
                let line = match arguments.args.len() {
                    1 => literal(0)?.to_owned(),
                    _ => format!("{} {}", literal(0)?, literal(1)?),
                };
                Some(self.line_magic(&line))
            }
            "run_cell_magic" if is_shell => {
                let (name, line, body) = (literal(0)?, literal(1)?, literal(2)?);
                self.cell_magic(name, line, body);
                Some(self.unknown())
            }
            "system" | "getoutput" if is_shell => {
                let command = literal(0)?.to_owned();
                Some(self.shell(&command))
            }
            _ => None,
        }
    }

    /// Loads `os` of `os.environ`, without a look at the variables.
    pub(super) fn environment(&mut self, expr: &Expr) {
        match expr {
            Expr::Attribute(attribute) => self.expr(&attribute.value),
            expr => self.expr(expr),
        };
    }

    /// The names that a query of pandas reads: `@name`.
    fn names_in_query(&mut self, text: &str) {
        for part in text.split('@').skip(1) {
            let end = part
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(part.len());
            let name = self.names.intern(&part[..end]);
            self.load(name);
        }
    }

    /// The first parameter of the method that this is in.
    fn receiver(&mut self) -> Option<Reg> {
        let slots = &self.frame().scopes.first()?.slots;
        let slot = *slots.values().find(|slot| **slot == 0)?;
        let dst = self.reg();
        self.emit(Instr::LoadSlot { dst, slot });
        Some(dst)
    }
}

/// The pseudo-name of the variable in `os.environ["…"]`.
pub(super) fn environment_variable(subscript: &ExprSubscript) -> Option<String> {
    match &*subscript.slice {
        Expr::StringLiteral(variable) if is_environment(&subscript.value) => {
            Some(format!("<environ:{}>", variable.value.to_str()))
        }
        _ => None,
    }
}

/// Whether this is `os.environ`, or `environ` alone.
fn is_environment(expr: &Expr) -> bool {
    match expr {
        Expr::Attribute(attribute) => &attribute.attr == "environ",
        Expr::Name(name) => name.id == "environ",
        _ => false,
    }
}
