//! What a statement assigns.

use super::super::language::Language;
use super::literal::literal_type;
use super::statements::Statement;
use super::{Parameter, quoted};

/// Words that may stand where a name would, before `:` or `=`, or are no name.
const PYTHON_KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

pub(super) fn parameters(language: Language, statement: &Statement) -> Vec<Parameter> {
    let assigned = match language {
        Language::Python => python(&statement.code),
        Language::R => chain(language, &statement.code, r_target),
        Language::Julia => julia(&statement.code),
        Language::Scala => scala(&statement.code).into_iter().collect(),
        Language::Bash => bash(&statement.code),
        _ => Vec::new(),
    };
    let (comment_type, help) = match language {
        Language::Python => split_type_comment(&statement.comment),
        _ => (None, statement.comment.as_str()),
    };
    let parameter = |assigned: Assigned<'_>| Parameter {
        name: assigned.name.to_owned(),
        declared_type: assigned.declared_type.or(comment_type).map(str::to_owned),
        literal_type: literal_type(language, assigned.value),
        default: assigned.value.to_owned(),
        help: help.to_owned(),
    };
    assigned.into_iter().map(parameter).collect()
}

struct Assigned<'a> {
    name: &'a str,
    declared_type: Option<&'a str>,
    value: &'a str,
}

/// The name and the type of a target, and what follows the sign of assignment.
type Target<'a> = (&'a str, Option<&'a str>, &'a str);

/// `type: int what it is for` as a type and the rest.
fn split_type_comment(comment: &str) -> (Option<&str>, &str) {
    let Some(stated) = comment.strip_prefix("type:") else {
        return (None, comment);
    };
    let stated = stated.trim_start();
    let (stated, help) = stated.split_at(stated.find(char::is_whitespace).unwrap_or(stated.len()));
    (Some(stated).filter(|stated| !stated.is_empty()), help.trim_start())
}

/// `a = b = value` gives all its targets the value.
fn chain<'a>(
    language: Language,
    code: &'a str,
    target: impl Fn(Language, &'a str) -> Option<Target<'a>>,
) -> Vec<Assigned<'a>> {
    let mut assigned = Vec::new();
    let mut value = code;
    while let Some((name, declared_type, rest)) = target(language, value) {
        value = rest.trim();
        assigned.push(Assigned {
            name,
            declared_type,
            value,
        });
    }
    if value.is_empty() {
        return Vec::new();
    }
    for target in &mut assigned {
        target.value = value;
    }
    assigned
}

fn python(code: &str) -> Vec<Assigned<'_>> {
    chain(Language::Python, code, |language, code| {
        let (name, rest) = split_name(code)?;
        if PYTHON_KEYWORDS.contains(&name) {
            return None;
        }
        typed_target(language, name, rest, ":")
    })
}

fn r_target(_: Language, code: &str) -> Option<Target<'_>> {
    let (name, rest) = match code.strip_prefix('`') {
        Some(quoted) => quoted.split_once('`').filter(|(name, _)| !name.is_empty())?,
        None => split_name_of(code, |character| character == '.')?,
    };
    let rest = rest.trim_start();
    let value = ["<<-", "<-", "="]
        .into_iter()
        .find_map(|sign| rest.strip_prefix(sign))?;
    (!value.starts_with('=')).then_some((name, None, value))
}

fn julia(code: &str) -> Vec<Assigned<'_>> {
    let code = ["const ", "global "]
        .into_iter()
        .find_map(|word| code.strip_prefix(word))
        .unwrap_or(code);
    chain(Language::Julia, code.trim_start(), |language, code| {
        let (name, rest) = split_name_of(code, |character| character == '!')?;
        typed_target(language, name, rest, "::")
    })
}

fn scala(code: &str) -> Option<Assigned<'_>> {
    let mut rest = code;
    while let Some(after) = ["lazy ", "final ", "implicit "]
        .iter()
        .find_map(|word| rest.strip_prefix(word))
    {
        rest = after.trim_start();
    }
    let rest = rest.strip_prefix("val ").or_else(|| rest.strip_prefix("var "))?;
    let (name, rest) = split_name(rest.trim_start())?;
    let (name, declared_type, value) = typed_target(Language::Scala, name, rest, ":")?;
    let value = value.trim();
    (!value.is_empty()).then_some(Assigned {
        name,
        declared_type,
        value,
    })
}

/// Every word has to be an assignment: `NAME=value command` sets nothing here.
fn bash(code: &str) -> Vec<Assigned<'_>> {
    let mut words = bash_words(code).into_iter().peekable();
    let declares = |word: &&str| matches!(*word, "export" | "readonly" | "declare" | "typeset" | "local");
    if words.next_if(declares).is_some() {
        while words.next_if(|word| word.starts_with('-')).is_some() {}
    }
    let assigned = words.map(|word| {
        let (name, value) = split_name(word).filter(|(name, _)| name.is_ascii())?;
        value.strip_prefix('=').map(|value| Assigned {
            name,
            declared_type: None,
            value,
        })
    });
    assigned.collect::<Option<_>>().unwrap_or_default()
}

fn bash_words(code: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = code.trim();
    while !rest.is_empty() {
        let end = find_outside(Language::Bash, rest, char::is_whitespace).unwrap_or(rest.len());
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

/// `: type = value` or `= value`, where `mark` comes before the type.
fn typed_target<'a>(language: Language, name: &'a str, rest: &'a str, mark: &str) -> Option<Target<'a>> {
    let rest = rest.trim_start();
    let (declared_type, value) = match rest.strip_prefix(mark) {
        Some(typed) => {
            let sign = find_outside(language, typed, |character| character == '=')?;
            (Some(unquoted(typed[..sign].trim())), &typed[sign + 1..])
        }
        None => (None, rest.strip_prefix('=')?),
    };
    // `==` compares, Julia's `=>` pairs.
    (!value.starts_with(['=', '>'])).then_some((name, declared_type, value))
}

/// A type may be given as a text, to be looked up later.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

fn split_name(code: &str) -> Option<(&str, &str)> {
    split_name_of(code, |_| false)
}

fn split_name_of(code: &str, also: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let part = |character: char| character.is_alphanumeric() || character == '_' || also(character);
    let end = code.find(|character| !part(character)).unwrap_or(code.len());
    let starts_well = !code.starts_with(|first: char| first.is_numeric());
    (end > 0 && starts_well).then(|| code.split_at(end))
}

/// Where the first such character is, outside of brackets and texts.
fn find_outside(language: Language, code: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    quoted::find_code(language, code, |character, depth| depth == 0 && wanted(character)).map(|(at, _)| at)
}
