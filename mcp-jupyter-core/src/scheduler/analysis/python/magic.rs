//! IPython's magics and shell escapes.

use ruff_python_ast::IpyEscapeKind;

use crate::scheduler::analysis::ir::{Instr, Made, Reg};

use super::scope::{Compiler, IMMUTABLE};
use super::{parse_sound, split_word};

/// Line magics that leave names alone.
const HARMLESS: &str = "\
    alias autoawait autocall autoindent automagic autoreload bookmark cat clear colors conda config connect_info cp \
    debug dhist dirs doctest_mode gui hist history killbgscripts ldir less lf lk ll load_ext logoff logon logstart \
    logstate logstop ls lsmagic lx magic mamba man matplotlib micromamba mkdir more mv notebook page pastebin pdb \
    pip popd pprint precision profile psearch pwd pycat qtconsole quickref rehashx reload_ext rm rmdir save tb \
    unalias unload_ext uv watermark xmode";

/// Cell magics whose body is no Python and touches no name.
const FOREIGN: &str = "\
    ! HTML SVG bash cmd html javascript js latex markdown node perl powershell pypy python python2 python3 ruby \
    script sh svg sx system";

impl Compiler<'_> {
    pub(super) fn escape(&mut self, kind: IpyEscapeKind, value: &str) -> Reg {
        match kind {
            IpyEscapeKind::Shell | IpyEscapeKind::ShCap => self.shell(value),
            IpyEscapeKind::Help | IpyEscapeKind::Help2 => {
                let reg = self.expression_in(value.trim_matches(|sign: char| "?%".contains(sign)));
                self.show(reg);
                IMMUTABLE
            }
            IpyEscapeKind::Magic => self.line_magic(value),
            IpyEscapeKind::Magic2 => {
                let (name, line) = split_word(value);
                self.cell_magic(name, line, "");
                self.unknown()
            }
            IpyEscapeKind::Quote | IpyEscapeKind::Quote2 | IpyEscapeKind::Paren => {
                let (function, rest) = split_word(value);
                let arguments = if kind == IpyEscapeKind::Paren { rest } else { "" };
                self.code(&format!("{function}({arguments})"))
            }
        }
    }

    /// A shell command; `{expression}` and `$name` in it are replaced by values.
    pub(super) fn shell(&mut self, command: &str) -> Reg {
        self.interpolate(command);
        self.process();
        self.make(Made::Container, Vec::new())
    }

    /// Another process: it sees the environment and the working directory.
    fn process(&mut self) {
        self.emit(Instr::Nondeterministic);
        self.touch("<environ>", true, false);
        self.touch("<cwd>", true, false);
    }

    fn interpolate(&mut self, line: &str) {
        let mut rest = line;
        while let Some(at) = rest.find(['{', '$']) {
            let after = &rest[at + 1..];
            if rest[at..].starts_with('{') {
                let Some(end) = after.find('}') else { return };
                self.expression_in(&after[..end]);
                rest = &after[end + 1..];
            } else {
                let is_part = |c: char| c.is_alphanumeric() || c == '_';
                let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
                self.expression_in(&after[..end]);
                rest = &after[end..];
            }
        }
    }

    /// The value of an expression in a text; none where it is no expression, as IPython leaves it then.
    fn expression_in(&mut self, text: &str) -> Reg {
        let Some(parsed) = parse_sound(text.trim()) else {
            return IMMUTABLE;
        };
        match &parsed.syntax().body[..] {
            [ruff_python_ast::Stmt::Expr(expression)] => self.nested(IMMUTABLE, |this| this.expr(&expression.value)),
            _ => IMMUTABLE,
        }
    }

    pub(super) fn line_magic(&mut self, text: &str) -> Reg {
        let (name, line) = split_word(text);
        match name {
            "time" | "prun" | "memit" | "mprun" | "lprun" => {
                let code = without_options(line).to_owned();
                return self.nested(IMMUTABLE, |this| this.code(&code));
            }
            "timeit" => self.timed(without_options(line)),
            _ => {
                self.interpolate(line);
                return self.plain_magic(name, line);
            }
        }
        self.unknown()
    }

    fn timed(&mut self, code: &str) {
        self.nested((), |this| this.code_in_function(code));
        self.emit(Instr::Nondeterministic);
    }

    fn plain_magic(&mut self, name: &str, line: &str) -> Reg {
        match name {
            "cd" | "pushd" | "popd" => self.touch("<cwd>", true, true),
            "env" | "set_env" | "dotenv" => self.environment_magic(line),
            "sx" | "system" | "!" | "sc" => {
                self.emit(Instr::Nondeterministic);
                if let Some((target, _)) = line.split_once('=').filter(|_| name == "sc") {
                    let reg = self.make(Made::Container, Vec::new());
                    let (_, target) = target.rsplit_once(' ').unwrap_or(("", target));
                    self.bind_word(target, reg);
                }
                return self.make(Made::Container, Vec::new());
            }
            "pinfo" | "pinfo2" | "pdoc" | "pdef" | "psource" | "pfile" => {
                let reg = self.expression_in(line);
                self.show(reg);
            }
            "who" | "whos" | "who_ls" => self.opaque(true, false, "it lists all names"),
            "xdel" => line.split_whitespace().for_each(|word| {
                let name = self.names.intern(word);
                self.load(name);
                self.emit(Instr::Delete { name });
            }),
            "reset" | "reset_selective" => self.opaque(false, true, "%reset deletes names"),
            "store" => self.store(line),
            "run" => self.opaque(true, true, "%run executes another file"),
            "pylab" => {
                let path = self.names.intern("pylab");
                self.emit(Instr::ImportStar { path });
            }
            "sql" => return self.sql(line, ""),
            _ if is_among(HARMLESS, name) => {}
            _ => self.opaque(true, true, "it calls a magic that is not known"),
        }
        self.unknown()
    }

    fn environment_magic(&mut self, line: &str) {
        let variable = line.split(['=', ' ']).next().unwrap_or_default();
        if variable.is_empty() || line.starts_with('-') {
            self.touch("<environ>", true, line.starts_with('-'));
        } else {
            let writes = variable.len() < line.len();
            self.touch(&format!("<environ:{variable}>"), !writes, writes);
        }
    }

    fn store(&mut self, line: &str) {
        if line.is_empty() || line.starts_with('-') {
            return self.opaque(false, true, "%store brings names of other sessions");
        }
        line.split_whitespace().for_each(|word| {
            let name = self.names.intern(word);
            self.load(name);
        });
    }

    pub(super) fn cell_magic(&mut self, name: &str, line: &str, body: &str) {
        match name {
            "time" | "prun" | "memit" | "mprun" | "debug" => {
                self.cell_code(body);
            }
            "timeit" => {
                let code = format!("{}\n{body}", without_options(line));
                self.timed(&code);
            }
            "capture" => {
                self.cell_code(body);
                if let Some(target) = line.split_whitespace().find(|word| !word.starts_with('-')) {
                    let reg = self.unknown();
                    self.bind_word(target, reg);
                }
            }
            "writefile" | "file" => {
                self.interpolate(line);
                let appends = line.split_whitespace().any(|word| word == "-a" || word == "--append");
                if let Some(path) = line.split_whitespace().find(|word| !word.starts_with('-')) {
                    let path = format!("<file:{}>", path.trim_matches(['"', '\'']));
                    self.touch(&path, appends, true);
                }
            }
            "sql" => {
                self.sql(line, body);
            }
            "bigquery" => self.outputs(line.split_whitespace().next()),
            "R" => {
                self.touch("<R>", true, true);
                let option = |wanted: &str| after_option(line, wanted);
                option("-i")
                    .into_iter()
                    .flat_map(|names| names.split(','))
                    .for_each(|word| {
                        let name = self.names.intern(word);
                        self.load(name);
                    });
                option("-o")
                    .into_iter()
                    .flat_map(|names| names.split(','))
                    .for_each(|word| self.outputs(Some(word)));
            }
            _ if is_among(FOREIGN, name) => {
                self.interpolate(line);
                self.process();
                for option in ["--out", "--err", "--proc"] {
                    self.outputs(after_option(line, option));
                }
            }
            _ => self.opaque(true, true, "it is under a cell magic that is not known"),
        }
    }

    /// The body of a cell magic that executes it as it is.
    fn cell_code(&mut self, body: &str) {
        let body = super::dedent(body);
        if let Some((name, line, body)) = super::split_cell_magic(&body) {
            return self.nested((), |this| this.cell_magic(name, line, body));
        }
        match parse_sound(&body) {
            Some(parsed) => self.module(parsed.syntax(), &body),
            None => self.opaque(true, true, "it is not valid Python, so what it does is not known"),
        }
    }

    /// A magic puts its result into a variable.
    fn outputs(&mut self, target: Option<&str>) {
        self.emit(Instr::Nondeterministic);
        if let Some(target) = target {
            let reg = self.unknown();
            self.bind_word(target, reg);
        }
    }

    fn bind_word(&mut self, word: &str, src: Reg) {
        let word = word.trim();
        let is_name =
            word.chars().all(|c| c.is_alphanumeric() || c == '_') && !word.starts_with(|c: char| c.is_numeric());
        if is_name && !word.is_empty() {
            let name = self.names.intern(word);
            self.bind(name, src, false);
        }
    }

    /// JupySQL: `{{name}}`, `:name` and `$name` are values, `name << SELECT …` binds one.
    fn sql(&mut self, line: &str, body: &str) -> Reg {
        let mut statement = format!("{line}\n{body}");
        self.emit(Instr::Nondeterministic);
        self.touch("<sql>", true, true);
        let result = self.unknown();
        if let Some((target, query)) = statement.clone().split_once("<<") {
            let target = target.split_whitespace().last().unwrap_or_default();
            self.bind_word(target, result);
            query.clone_into(&mut statement);
        }
        let mut rest = statement.as_str();
        while let Some(at) = rest.find(['{', ':', '$']) {
            let after = rest[at + 1..].trim_start_matches('{');
            let end = after
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
                .unwrap_or(after.len());
            if rest[at..].starts_with("{{") || !rest[at..].starts_with('{') {
                self.expression_in(&after[..end]);
            }
            rest = &after[end..];
        }
        result
    }
}

/// Whether a cell magic executes its cell as Python.
pub(super) fn is_python(name: &str) -> bool {
    matches!(name, "time" | "timeit" | "capture" | "prun")
}

fn is_among(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|found| found == word)
}

/// The word behind an option.
fn after_option<'a>(line: &'a str, option: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == option)?;
    words.next()
}

/// A line without the options at its start, as `-n 10 -r3 -o`.
fn without_options(line: &str) -> &str {
    let mut rest = line.trim_start();
    while let Some(option) = rest.strip_prefix('-') {
        let letter = option.chars().next();
        let (word, after) = split_word(rest);
        let takes_value = matches!(letter, Some('n' | 'r' | 'f' | 'm' | 's' | 'l' | 'T' | 'D')) && word.len() == 2;
        rest = if takes_value { split_word(after).1 } else { after };
    }
    rest
}
