//! The little language of code that no response was given for; `Script` documents it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::script::Reaction;

/// The names that code has given to texts.
pub(super) type Names = BTreeMap<String, String>;

/// What one line does.
pub(super) fn interpret(line: &str, names: &mut Names) -> Vec<Reaction> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Vec::new();
    }
    if let Some((name, value)) = assignment(line) {
        names.insert(name.to_owned(), value.to_owned());
        return Vec::new();
    }
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    statement(verb, rest, names).unwrap_or_else(|| vec![value_of(line, names)])
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    is_name(name).then_some((name, value.trim()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_alphanumeric() || character == '_')
}

fn statement(verb: &str, rest: &str, names: &mut Names) -> Option<Vec<Reaction>> {
    let reaction = match verb {
        "print" => Reaction::stdout(format!("{rest}\n")),
        "eprint" => Reaction::stderr(format!("{rest}\n")),
        "display" => two(rest).map(|(id, text)| Reaction::display_as(id, text))?,
        "update" => two(rest).map(|(id, text)| Reaction::update_display(id, text))?,
        "clear" => Reaction::ClearOutput { wait: rest == "wait" },
        "raise" => two(rest).map(|(ename, evalue)| Reaction::error(ename, evalue))?,
        "input" => Reaction::input(rest),
        "sleep" => Reaction::Sleep(Duration::try_from_secs_f64(rest.parse().ok()?).ok()?),
        "hang" => Reaction::Hang,
        "exit" => Reaction::exit(rest.parse().ok()?),
        "kill" => Reaction::signal(rest.parse().ok()?),
        "repeat" => {
            let (times, line) = rest.split_once(' ')?;
            Reaction::Repeat(times.parse().ok()?, interpret(line, names))
        }
        "background" => Reaction::Background(interpret(rest, names)),
        _ => return None,
    };
    Some(vec![reaction])
}

/// A first word, and what follows it.
fn two(rest: &str) -> Option<(&str, &str)> {
    let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    (!first.is_empty()).then_some((first, rest))
}

fn value_of(line: &str, names: &Names) -> Reaction {
    let line = line.trim_end();
    match names.get(line) {
        Some(value) => Reaction::result(value),
        None if is_name(line) => Reaction::error("NameError", format!("name '{line}' is not defined")),
        None => Reaction::error("SyntaxError", format!("not understood: {line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debug(line: &str, names: &mut Names) -> String {
        format!("{:?}", interpret(line, names))
    }

    #[test]
    fn a_name_has_the_value_it_was_given() {
        let mut names = Names::new();
        assert!(interpret("answer = 42", &mut names).is_empty());
        assert!(debug("answer", &mut names).contains("42"));
        assert!(debug("question", &mut names).contains("NameError"));
    }

    #[test]
    fn what_is_not_understood_raises() {
        for line in ["sing a song", "sleep soon", "repeat often print x", "raise"] {
            assert!(debug(line, &mut Names::new()).contains("Error"), "{line}");
        }
    }
}
