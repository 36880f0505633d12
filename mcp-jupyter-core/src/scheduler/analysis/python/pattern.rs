//! The `match` statement.

use ruff_python_ast::{MatchCase, Pattern, StmtMatch};

use crate::scheduler::analysis::ir::{Block, Instr, Made, Reg};

use super::scope::Compiler;

impl Compiler<'_> {
    pub(super) fn match_statement(&mut self, statement: &StmtMatch) {
        let subject = self.expr(&statement.subject);
        let arms = statement.cases.iter().map(|case| self.case(case, subject)).collect();
        let exhaustive = statement
            .cases
            .last()
            .is_some_and(|case| case.guard.is_none() && case.pattern.is_irrefutable());
        self.emit(Instr::Branch { arms, exhaustive });
    }

    fn case(&mut self, case: &MatchCase, subject: Reg) -> Block {
        self.block(|this| {
            this.pattern(&case.pattern, subject);
            if let Some(guard) = &case.guard {
                this.expr(guard);
            }
            this.statements(&case.body);
        })
    }

    fn pattern(&mut self, pattern: &Pattern, subject: Reg) {
        self.nested((), |this| this.pattern_inner(pattern, subject));
    }

    fn pattern_inner(&mut self, pattern: &Pattern, subject: Reg) {
        let capture = |this: &mut Self, name: &Option<ruff_python_ast::Identifier>, value: Reg| {
            if let Some(name) = name {
                let name = this.names.intern(&name.id);
                this.bind(name, value, true);
            }
        };
        match pattern {
            Pattern::MatchValue(value) => {
                self.expr(&value.value);
            }
            Pattern::MatchSingleton(_) => {}
            Pattern::MatchSequence(sequence) => {
                let item = self.item(subject);
                sequence.patterns.iter().for_each(|pattern| self.pattern(pattern, item));
            }
            Pattern::MatchMapping(mapping) => {
                mapping.keys.iter().for_each(|key| {
                    self.expr(key);
                });
                let item = self.item(subject);
                mapping.patterns.iter().for_each(|pattern| self.pattern(pattern, item));
                let rest = self.make(Made::Container, vec![item]);
                capture(self, &mapping.rest, rest);
            }
            Pattern::MatchClass(class) => {
                self.expr(&class.cls);
                let item = self.item(subject);
                let keywords = class.arguments.keywords.iter().map(|keyword| &keyword.pattern);
                class
                    .arguments
                    .patterns
                    .iter()
                    .chain(keywords)
                    .for_each(|pattern| self.pattern(pattern, item));
            }
            Pattern::MatchStar(star) => {
                let list = self.make(Made::Container, vec![subject]);
                capture(self, &star.name, list);
            }
            Pattern::MatchAs(inner) => {
                inner.pattern.iter().for_each(|pattern| self.pattern(pattern, subject));
                capture(self, &inner.name, subject);
            }
            Pattern::MatchOr(or) => or.patterns.iter().for_each(|pattern| self.pattern(pattern, subject)),
        }
    }

    fn item(&mut self, of: Reg) -> Reg {
        let dst = self.reg();
        self.emit(Instr::Item { dst, of });
        dst
    }
}
