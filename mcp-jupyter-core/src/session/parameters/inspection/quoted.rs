//! Where the texts and comments of a language end.

use super::super::language::Language;

/// The length of the text literal at the start of `rest`; nothing where there is none.
///
/// One that is not closed ends with its line or, where the language lets it go on, with the source.
pub(super) fn literal_length(language: Language, rest: &str, before: Option<char>) -> Option<usize> {
    let quote = match rest.as_bytes().first()? {
        b'"' => "\"",
        b'\'' => "'",
        b'`' => "`",
        _ => return None,
    };
    match language {
        Language::Python => python_length(rest, quote),
        Language::R => Some(r_length(rest, quote, before)),
        Language::Julia => julia_length(rest, quote, before),
        Language::Scala => scala_length(rest, quote),
        Language::Bash => Some(closed_by(rest, quote, quote != "'" || before == Some('$'))),
        _ => None,
    }
}

fn python_length(rest: &str, quote: &str) -> Option<usize> {
    match triple(rest) {
        Some(quotes) => Some(closed_by(rest, quotes, true)),
        None => (quote != "`").then(|| closed_on_line(rest, quote)),
    }
}

fn r_length(rest: &str, quote: &str, before: Option<char>) -> usize {
    let raw = before.filter(|letter| matches!(letter, 'r' | 'R'));
    raw.and_then(|_| raw_r_length(rest))
        .unwrap_or_else(|| closed_by(rest, quote, true))
}

fn julia_length(rest: &str, quote: &str, before: Option<char>) -> Option<usize> {
    match quote {
        // After a value it is the adjoint operator.
        "'" if before.is_some_and(ends_value) => None,
        "'" => Some(closed_on_line(rest, quote)),
        quote => Some(closed_by(rest, triple(rest).unwrap_or(quote), true)),
    }
}

fn scala_length(rest: &str, quote: &str) -> Option<usize> {
    match quote {
        "'" => scala_character_length(rest),
        quote => match triple(rest) {
            Some(quotes) => Some(closed_by(rest, quotes, false)),
            None => Some(closed_on_line(rest, quote)),
        },
    }
}

fn triple(rest: &str) -> Option<&'static str> {
    ["\"\"\"", "'''"].into_iter().find(|quotes| rest.starts_with(quotes))
}

/// The length of the comment at the start of `rest`, and what it says.
pub(super) fn comment(language: Language, rest: &str, before: Option<char>) -> Option<(usize, &str)> {
    let block = match language {
        Language::Julia => Some(("#=", "=#")),
        Language::Scala => Some(("/*", "*/")),
        _ => None,
    };
    if let Some((open, close)) = block
        && let Some(content) = rest.strip_prefix(open)
    {
        let end = content.find(close);
        let length = end.map_or(rest.len(), |end| open.len() + end + close.len());
        return Some((length, content[..end.unwrap_or(content.len())].trim()));
    }
    let mark = if language == Language::Scala { "//" } else { "#" };
    // In bash `#` within a word is a character as any other.
    if language == Language::Bash && before.is_some_and(|c| !c.is_whitespace() && !matches!(c, ';' | '(' | ')')) {
        return None;
    }
    let content = rest.strip_prefix(mark)?;
    let end = content.find(['\n', '\r']).unwrap_or(content.len());
    Some((mark.len() + end, content[..end].trim()))
}

/// Whether what stands before a quote is the end of a value.
fn ends_value(before: char) -> bool {
    before.is_alphanumeric() || matches!(before, '_' | ')' | ']' | '}' | '\'' | '.')
}

/// A literal that may go on over several lines.
fn closed_by(rest: &str, quote: &str, escapes: bool) -> usize {
    end_of(rest, quote, |_| false, escapes)
}

fn closed_on_line(rest: &str, quote: &str) -> usize {
    end_of(rest, quote, |character| matches!(character, '\n' | '\r'), true)
}

/// Where a literal ends that begins, as it ends, with `quote`, or that is cut off.
fn end_of(rest: &str, quote: &str, cut_off: impl Fn(char) -> bool, escapes: bool) -> usize {
    let mut at = quote.len();
    while let Some(first) = rest[at..].chars().next() {
        if rest[at..].starts_with(quote) {
            return at + quote.len();
        }
        if cut_off(first) {
            return at;
        }
        at += first.len_utf8();
        if escapes && first == '\\' {
            at += rest[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    at
}

/// `"--(…)--"` after an `r`, also with `[]` and `{}`.
fn raw_r_length(rest: &str) -> Option<usize> {
    let quote = &rest[..1];
    let dashes = rest[1..].bytes().take_while(|byte| *byte == b'-').count();
    let close = match rest.as_bytes().get(1 + dashes)? {
        b'(' => ")",
        b'[' => "]",
        b'{' => "}",
        _ => return None,
    };
    let close = format!("{close}{}{quote}", "-".repeat(dashes));
    rest.find(&close).map(|at| at + close.len())
}

/// `'x'` or `'\n'`; anything else that begins with the quote is a symbol.
fn scala_character_length(rest: &str) -> Option<usize> {
    let content = &rest[1..];
    let length = match content.strip_prefix('\\') {
        Some(escape) => escape.find('\'').filter(|at| *at <= 5).map(|at| at.max(1) + 1),
        None => content.chars().next().map(char::len_utf8),
    }?;
    content.get(length..)?.starts_with('\'').then_some(length + 2)
}

/// The first character outside of texts that is wanted, given how many brackets are open before it.
pub(super) fn find_code(language: Language, code: &str, wanted: impl Fn(char, usize) -> bool) -> Option<(usize, char)> {
    let mut depth = 0_usize;
    let mut at = 0;
    let mut before = None;
    while let Some(character) = code[at..].chars().next() {
        if let Some(length) = literal_length(language, &code[at..], before) {
            at += length;
            before = Some('"');
            continue;
        }
        if wanted(character, depth) {
            return Some((at, character));
        }
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += character.len_utf8();
        before = Some(character);
    }
    None
}
