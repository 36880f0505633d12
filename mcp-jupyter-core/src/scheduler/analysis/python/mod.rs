//! Python as IPython takes it, to effects.
//!
//! ruff's parser knows IPython's syntax and recovers from errors; `Compiler` turns the tree into instructions. Magics are
//! known by name (`magic`); one that is not is called opaque.

mod bound_names;
mod depth;
mod expression;
mod function;
mod magic;
mod pattern;
mod scope;
mod special;
mod statement;

use std::borrow::Cow;

use ruff_python_ast::token::TokenKind;
use ruff_python_ast::{ModModule, Stmt};
use ruff_python_parser::{Mode, ParseOptions, Parsed, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};
use sha2::{Digest, Sha256};

use super::ir::Used;
use super::names::Names;
use super::opaque::{digest_of, opaque};
use super::{Analysis, Analyzer, Marks, SourceDigest};

use self::scope::Compiler;

/// Sources of more bytes than this are not analysed.
const LONGEST_SOURCE: usize = 4 << 20;

/// Magics that work without their `%` (IPython's automagic), where the line is no Python.
const AUTOMAGIC: &[&str] = &[
    "cat", "cd", "clear", "conda", "cp", "ls", "ll", "mamba", "man", "mkdir", "more", "mv", "pip", "pwd", "rm",
    "rmdir", "uv",
];

/// Knows Python.
#[derive(Clone, Copy, Debug, Default)]
pub struct PythonAnalyzer;

impl Analyzer for PythonAnalyzer {
    fn analyze(&self, source: &str, names: &mut Names) -> Analysis {
        let marks = Marks::of(source);
        if source.len() > LONGEST_SOURCE || depth::is_too_deep(source) {
            return Analysis {
                body: opaque("the cell is too large or nested too deeply to be analysed").into(),
                digest: digest_of(source.as_bytes()),
                marks,
            };
        }
        let text = dedent(source);
        let mut compiler = Compiler::new(names);
        let digest = match split_cell_magic(&text) {
            Some((name, line, body)) => {
                compiler.cell_magic(name, line, body);
                if magic::is_python(name) {
                    digest_under(&[name, line], body)
                } else {
                    digest_of(source.as_bytes())
                }
            }
            None => compiler.cell(&text),
        };
        Analysis {
            body: compiler.finish(),
            digest,
            marks,
        }
    }
}

impl Compiler<'_> {
    /// A cell without a cell magic; gives the digest of its code.
    fn cell(&mut self, text: &str) -> SourceDigest {
        let parsed = parse(text);
        if parsed.has_valid_syntax() {
            self.module(parsed.syntax(), text);
            return digest_of_code(&parsed, text);
        }
        if let Some(explicit) = with_automagic(text)
            && let Some(parsed) = parse_sound(&explicit)
        {
            self.module(parsed.syntax(), &explicit);
            return digest_of_code(&parsed, &explicit);
        }
        let errors: Vec<TextRange> = parsed.errors().iter().map(|error| error.location).collect();
        let is_sound = |statement: &&Stmt| {
            let lines = lines_around(statement.range(), text);
            !errors
                .iter()
                .any(|error| lines.contains_range(*error) || lines.intersect(*error).is_some())
        };
        parsed
            .syntax()
            .body
            .iter()
            .filter(is_sound)
            .for_each(|statement| self.statement(statement));
        self.opaque(true, true, "it is not valid Python, so what it does is not known");
        digest_of(text.as_bytes())
    }

    /// The statements of a cell, of which the last shows its value if it is an expression.
    fn module(&mut self, module: &ModModule, text: &str) {
        let Some((last, rest)) = module.body.split_last() else {
            return;
        };
        self.statements(rest);
        match last {
            Stmt::Expr(expression) if !is_muted(last.range(), text) => {
                let value = self.expression_statement(&expression.value, Used::Displayed);
                self.show(value);
            }
            last => self.statement(last),
        }
    }

    /// Code in a literal, as `exec("…")` and magics have it; gives the value of its last expression.
    fn code(&mut self, code: &str) -> super::ir::Reg {
        let Some(parsed) = parse_sound(code) else {
            self.opaque(true, true, "it executes code that is not valid Python");
            return self.unknown();
        };
        let Some((last, rest)) = parsed.syntax().body.split_last() else {
            return scope::IMMUTABLE;
        };
        self.statements(rest);
        if let Stmt::Expr(expression) = last {
            return self.expression_statement(&expression.value, Used::Yes);
        }
        self.statement(last);
        scope::IMMUTABLE
    }

    /// `exec("…")` and `eval("…")`; in a function, what the code binds is not seen outside.
    fn literal_code(&mut self, code: &str) -> super::ir::Reg {
        if self.frames.len() == 1 {
            return self.nested(scope::IMMUTABLE, |this| this.code(code));
        }
        self.nested((), |this| this.code_in_function(code));
        self.unknown()
    }

    /// Code that cannot bind names outside, as `%timeit` has it.
    fn code_in_function(&mut self, code: &str) {
        match parse_sound(code) {
            Some(parsed) => self.in_function(&parsed.syntax().body),
            None => self.opaque(true, true, "it executes code that is not valid Python"),
        }
    }
}

/// The tree of a text that is Python, and one that can be walked.
fn parse_sound(text: &str) -> Option<Parsed<ModModule>> {
    if depth::is_too_deep(text) {
        return None;
    }
    Some(parse(text)).filter(Parsed::has_valid_syntax)
}

fn parse(text: &str) -> Parsed<ModModule> {
    let parsed = parse_unchecked(text, ParseOptions::from(Mode::Ipython));
    parsed.try_into_module().expect("IPython's mode gives a module")
}

/// The code without comments, blank lines and the blanks between tokens.
fn digest_of_code(parsed: &Parsed<ModModule>, text: &str) -> SourceDigest {
    let mut digest = Sha256::new();
    let mut code = Vec::with_capacity(text.len());
    for token in parsed.tokens() {
        match token.kind() {
            TokenKind::Comment | TokenKind::NonLogicalNewline => {}
            TokenKind::Newline => code.push(b'\n'),
            TokenKind::Indent => code.extend(b"\x01"),
            TokenKind::Dedent => code.extend(b"\x02"),
            _ => {
                code.extend(text[token.range()].as_bytes());
                code.push(0);
            }
        }
    }
    digest.update(&code);
    *digest.finalize().first_chunk().expect("SHA-256 has 32 bytes")
}

/// The digest of a cell under a magic that executes it as Python.
fn digest_under(magic: &[&str], body: &str) -> SourceDigest {
    let body = dedent(body);
    let mut whole = magic.join(" ").into_bytes();
    whole.push(b'\n');
    let parsed = parse_sound(&body).filter(|_| split_cell_magic(&body).is_none());
    whole.extend(match parsed {
        Some(parsed) => digest_of_code(&parsed, &body),
        None => digest_of(body.as_bytes()),
    });
    digest_of(&whole)
}

/// The source without blank lines at its start and without the indentation of its first line, as IPython takes it.
fn dedent(source: &str) -> Cow<'_, str> {
    let start = source
        .split_inclusive('\n')
        .take_while(|line| line.trim().is_empty())
        .map(str::len)
        .sum();
    let text = &source[start..];
    let indent = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
    if indent.is_empty() {
        return Cow::Borrowed(text);
    }
    let lines = text
        .split_inclusive('\n')
        .map(|line| line.strip_prefix(indent).unwrap_or(line));
    Cow::Owned(lines.collect())
}

fn with_automagic(text: &str) -> Option<String> {
    let mut changed = false;
    let lines: Vec<Cow<'_, str>> = text
        .split_inclusive('\n')
        .map(|line| {
            let (word, rest) = split_word(line);
            let is_magic = AUTOMAGIC.contains(&word) && !rest.starts_with(['=', '(', '.', ',', ':', '[']);
            changed |= is_magic;
            if is_magic {
                Cow::Owned(format!("%{line}"))
            } else {
                Cow::Borrowed(line)
            }
        })
        .collect();
    changed.then(|| lines.concat())
}

/// The name, the line and the body of a cell magic.
fn split_cell_magic(text: &str) -> Option<(&str, &str, &str)> {
    let magic = text.strip_prefix("%%")?;
    let (first, body) = magic.split_once(['\n', '\r']).unwrap_or((magic, ""));
    let (name, line) = split_word(first);
    Some((name, line, body))
}

/// The first word and what follows it.
fn split_word(line: &str) -> (&str, &str) {
    let line = line.trim();
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    (&line[..end], line[end..].trim_start())
}

/// The whole lines that a range is on.
fn lines_around(range: TextRange, text: &str) -> TextRange {
    let (start, end) = (range.start().to_usize(), range.end().to_usize());
    let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at);
    let size = |at: usize| u32::try_from(at).unwrap_or(u32::MAX).into();
    TextRange::new(size(start), size(end))
}

/// Whether a semicolon behind the last statement keeps its value from being shown.
fn is_muted(range: TextRange, text: &str) -> bool {
    text[range.end().to_usize()..].trim_start().starts_with(';')
}
