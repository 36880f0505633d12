//! Splits source into statements: by line ends and semicolons outside of brackets and texts.

use super::super::language::Language;
use super::quoted;

/// A statement without its comments.
#[derive(Debug, PartialEq)]
pub(super) struct Statement {
    /// The code; line ends within brackets are taken out.
    pub(super) code: String,
    /// The comment on its last line, without the mark.
    pub(super) comment: String,
    /// Whether its line begins with white space.
    pub(super) indented: bool,
}

pub(super) fn split(language: Language, source: &str) -> Vec<Statement> {
    let mut splitter = Splitter {
        language,
        rest: source,
        statements: Vec::new(),
        code: String::new(),
        comment: String::new(),
        before: None,
        line_start: true,
        indented: false,
        depth: 0,
        joining: false,
    };
    while !splitter.rest.is_empty() {
        splitter.step();
    }
    splitter.end_statement();
    splitter.statements
}

struct Splitter<'a> {
    language: Language,
    rest: &'a str,
    statements: Vec<Statement>,
    code: String,
    comment: String,
    before: Option<char>,
    /// Nothing but white space since the line began.
    line_start: bool,
    /// The current line begins with white space.
    indented: bool,
    depth: usize,
    /// A line end was taken out, and no code has come since.
    joining: bool,
}

impl Splitter<'_> {
    fn step(&mut self) {
        let first = self.rest.chars().next().expect("called while something is left");
        if self.line_start && self.code.is_empty() && self.is_magic(first) {
            self.skip_line();
        } else if let Some(length) = quoted::literal_length(self.language, self.rest, self.before) {
            self.take_code(length);
        } else if let Some((length, text)) = quoted::comment(self.language, self.rest, self.before) {
            self.comment = text.to_owned();
            self.advance(length);
        } else if let Some(length) = self.continuation_length() {
            self.joining = true;
            self.advance(length);
        } else if matches!(first, '\n' | '\r') {
            self.end_line(first);
        } else if first.is_whitespace() {
            self.take_space(first);
        } else if first == ';' && self.depth == 0 {
            self.advance(1);
            self.end_statement();
        } else {
            self.take_character(first);
        }
    }

    /// Lines for IPython rather than Python, which follow no rules of quotes and brackets.
    fn is_magic(&self, first: char) -> bool {
        self.language == Language::Python && matches!(first, '%' | '!' | '?')
    }

    fn skip_line(&mut self) {
        let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        self.advance(end);
    }

    /// A backslash at the end of the line, where that continues it.
    fn continuation_length(&self) -> Option<usize> {
        let continued = matches!(self.language, Language::Python | Language::Bash);
        let line_end = self.rest.strip_prefix('\\').filter(|_| continued)?;
        ["\r\n", "\n", "\r"]
            .into_iter()
            .find(|end| line_end.starts_with(end))
            .map(|end| 1 + end.len())
    }

    fn end_line(&mut self, first: char) {
        self.advance(first.len_utf8());
        self.line_start = true;
        if self.depth > 0 || self.is_unfinished() {
            self.joining = true;
        } else {
            self.end_statement();
            self.indented = false;
        }
    }

    /// Whether the line ends with an operator after which the statement goes on.
    fn is_unfinished(&self) -> bool {
        let open_ended = matches!(self.language, Language::R | Language::Julia | Language::Scala);
        open_ended && self.code.trim_end().ends_with(['=', '-', '+', '*', ',', '|', '&'])
    }

    fn end_statement(&mut self) {
        let code = std::mem::take(&mut self.code);
        let comment = std::mem::take(&mut self.comment);
        self.depth = 0;
        self.joining = false;
        if !code.trim().is_empty() {
            self.statements.push(Statement {
                code: code.trim().to_owned(),
                comment,
                indented: self.indented,
            });
        }
    }

    fn take_space(&mut self, first: char) {
        if self.line_start && self.code.is_empty() {
            self.indented = true;
        }
        if !self.joining {
            self.code.push(first);
        }
        self.advance(first.len_utf8());
        if self.code.trim().is_empty() {
            self.code.clear();
        }
    }

    fn take_character(&mut self, first: char) {
        match first {
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.take_code(first.len_utf8());
    }

    fn take_code(&mut self, length: usize) {
        let code = &self.rest[..length];
        if std::mem::take(&mut self.joining) {
            self.code.truncate(self.code.trim_end().len());
            let apart = self.code.ends_with(needs_space) && code.starts_with(needs_space);
            self.code.push_str(if apart { " " } else { "" });
        }
        self.code.push_str(code);
        self.comment.clear();
        self.line_start = false;
        self.advance(length);
    }

    fn advance(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.before = taken.chars().next_back();
        self.rest = rest;
    }
}

/// Whether two such characters of two lines would run into one word.
fn needs_space(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '"' | '\'' | '`' | '$' | '+' | '-')
}
