//! The type of a default value that is a literal, in the words of its language.

use super::super::language::Language;
use super::super::number::{parse_float, parse_int};
use super::quoted;

/// What a piece of source is.
enum Literal {
    Null,
    Boolean,
    Integer,
    /// With the suffix that makes it an integer in R, a long one in Scala.
    LongInteger,
    Float,
    Text,
    Character,
    List,
    Mapping,
    Set,
    Tuple,
    Bytes,
}

pub(super) fn literal_type(language: Language, source: &str) -> Option<&'static str> {
    if language == Language::Bash {
        return Some(if source.starts_with('(') { "array" } else { "string" });
    }
    let literal = literal(language, source)?;
    match language {
        Language::Python => python_type(&literal),
        Language::R => r_type(&literal),
        Language::Julia => julia_type(&literal),
        Language::Scala => scala_type(&literal),
        _ => None,
    }
}

fn literal(language: Language, source: &str) -> Option<Literal> {
    match source {
        "None" | "NULL" | "nothing" | "null" => return Some(Literal::Null),
        "True" | "False" if language == Language::Python => return Some(Literal::Boolean),
        "TRUE" | "FALSE" if language == Language::R => return Some(Literal::Boolean),
        "true" | "false" if matches!(language, Language::Julia | Language::Scala) => return Some(Literal::Boolean),
        _ => {}
    }
    number(source)
        .or_else(|| text(language, source))
        .or_else(|| collection(language, source))
}

fn number(source: &str) -> Option<Literal> {
    let unsigned = source.strip_prefix('-').unwrap_or(source);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'_');
        return hexadecimal.then_some(Literal::Integer);
    }
    if let Some(digits) = unsigned.strip_suffix('L') {
        return parse_int(digits).map(|_| Literal::LongInteger);
    }
    let integer = parse_int(unsigned).map(|_| Literal::Integer);
    integer.or_else(|| parse_float(unsigned).map(|_| Literal::Float))
}

/// One text literal and nothing else.
fn text(language: Language, source: &str) -> Option<Literal> {
    let quote = source.find(['"', '\''])?;
    let (prefix, rest) = source.split_at(quote);
    let before = prefix.chars().next_back();
    if quoted::literal_length(language, rest, before) != Some(rest.len()) {
        return None;
    }
    let bytes = prefix.contains(['b', 'B']);
    let character = matches!(language, Language::Julia | Language::Scala) && rest.starts_with('\'');
    let prefixes: &[&str] = match language {
        Language::Python if is_python_prefix(prefix) => {
            return Some(if bytes { Literal::Bytes } else { Literal::Text });
        }
        _ if prefix.is_empty() && character => return Some(Literal::Character),
        Language::R => &["", "r", "R"],
        Language::Julia => &["", "raw"],
        Language::Scala => &["", "s", "f", "raw"],
        _ => &[],
    };
    prefixes.contains(&prefix).then_some(Literal::Text)
}

fn is_python_prefix(prefix: &str) -> bool {
    prefix.len() <= 2 && prefix.chars().all(|letter| "rRbBfFuUtT".contains(letter))
}

/// One pair of brackets around everything.
fn collection(language: Language, source: &str) -> Option<Literal> {
    let content = bracketed(language, source)?;
    match (language, source.as_bytes()[0]) {
        (Language::Python | Language::Julia, b'[') => Some(Literal::List),
        (Language::Python, b'{') if content.trim().is_empty() => Some(Literal::Mapping),
        (Language::Python, b'{') => {
            let pairs = first_outside(language, content, &[':', ',']) == Some(':') || content.starts_with("**");
            Some(if pairs { Literal::Mapping } else { Literal::Set })
        }
        (Language::Python | Language::Julia | Language::Scala, b'(') => {
            let tuple = content.trim().is_empty() || first_outside(language, content, &[',']).is_some();
            tuple.then_some(Literal::Tuple)
        }
        _ => None,
    }
}

fn bracketed(language: Language, source: &str) -> Option<&str> {
    let content = source.strip_prefix(['[', '{', '('])?;
    let closing = source.len() - 1;
    (first_closing(language, content)? + 1 == closing).then(|| &source[1..closing])
}

/// Where the bracket closes whose content this is.
fn first_closing(language: Language, content: &str) -> Option<usize> {
    let closes = |character, depth| depth == 0 && matches!(character, ')' | ']' | '}');
    quoted::find_code(language, content, closes).map(|(at, _)| at)
}

/// Which of these characters comes first outside of inner brackets and texts.
fn first_outside(language: Language, content: &str, wanted: &[char]) -> Option<char> {
    let hit = |character, depth| depth == 0 && wanted.contains(&character);
    quoted::find_code(language, content, hit).map(|(_, character)| character)
}

fn python_type(literal: &Literal) -> Option<&'static str> {
    Some(match literal {
        Literal::Null => "NoneType",
        Literal::Boolean => "bool",
        Literal::Integer => "int",
        Literal::Float => "float",
        Literal::Text => "str",
        Literal::Bytes => "bytes",
        Literal::List => "list",
        Literal::Mapping => "dict",
        Literal::Set => "set",
        Literal::Tuple => "tuple",
        Literal::LongInteger | Literal::Character => return None,
    })
}

fn r_type(literal: &Literal) -> Option<&'static str> {
    Some(match literal {
        Literal::Null => "NULL",
        Literal::Boolean => "logical",
        Literal::LongInteger => "integer",
        Literal::Integer | Literal::Float => "numeric",
        Literal::Text => "character",
        _ => return None,
    })
}

fn julia_type(literal: &Literal) -> Option<&'static str> {
    Some(match literal {
        Literal::Null => "Nothing",
        Literal::Boolean => "Bool",
        Literal::Integer => "Int",
        Literal::Float => "Float64",
        Literal::Text => "String",
        Literal::Character => "Char",
        Literal::List => "Vector",
        Literal::Tuple => "Tuple",
        _ => return None,
    })
}

fn scala_type(literal: &Literal) -> Option<&'static str> {
    Some(match literal {
        Literal::Null => "Null",
        Literal::Boolean => "Boolean",
        Literal::Integer => "Int",
        Literal::LongInteger => "Long",
        Literal::Float => "Double",
        Literal::Text => "String",
        Literal::Character => "Char",
        Literal::Tuple => "Tuple",
        _ => return None,
    })
}
