//! Text of notebooks and kernels on its way to a terminal: colours may stay, whatever else could steer the terminal
//! must not.

/// The text without control characters but line ends and tabs; colours (SGR sequences) stay where `colour` is set.
pub(crate) fn clean(text: &str, colour: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\n' && c != '\t') {
        clean.push_str(&rest[..at]);
        rest = &rest[at..];
        let sequence = sequence(rest);
        if colour && is_colour(sequence) {
            clean.push_str(sequence);
            coloured = true;
        }
        rest = &rest[sequence.len()..];
    }
    clean.push_str(rest);
    if coloured {
        clean.push_str("\x1b[0m");
    }
    clean
}

/// The control character at the start of `text`, with what belongs to it (ECMA-48: CSI, and strings such as OSC, which
/// end with BEL or ST; an unfinished one takes the rest).
fn sequence(text: &str) -> &str {
    let mut chars = text.char_indices();
    let first = chars.next().map(|(_, c)| c);
    let kind = match first {
        Some('\x1b') => chars.next().map(|(_, c)| c),
        Some('\u{9b}') => Some('['),
        Some('\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => Some(']'),
        _ => return prefix(text, 1),
    };
    let body = text.len() - chars.as_str().len();
    match kind {
        Some('[') => {
            let last = chars.find(|(_, c)| !(' '..='?').contains(c));
            match last {
                Some((at, c)) if ('@'..='~').contains(&c) => &text[..=at],
                Some((at, _)) => &text[..at],
                None => text,
            }
        }
        Some('P' | 'X' | ']' | '^' | '_') => string(text, body),
        Some(' '..='/') => match chars.find(|(_, c)| !(' '..='/').contains(c)) {
            Some((at, c)) => &text[..at + c.len_utf8()],
            None => text,
        },
        _ => &text[..body],
    }
}

fn string(text: &str, body: usize) -> &str {
    let end = |end: &str| text[body..].find(end).map(|at| body + at + end.len());
    let ends = [end("\x07"), end("\x1b\\"), end("\u{9c}")];
    ends.into_iter().flatten().min().map_or(text, |end| &text[..end])
}

fn prefix(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

fn is_colour(sequence: &str) -> bool {
    let arguments = sequence.strip_prefix("\x1b[").and_then(|rest| rest.strip_suffix('m'));
    arguments.is_some_and(|arguments| arguments.chars().all(|c| c.is_ascii_digit() || c == ';' || c == ':'))
}

/// What a terminal would show of a line in which `\r` goes back to its start: only its last part, whole or not.
pub(crate) fn last_overwrite(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line)
}

/// The first line of a text, cleaned and cut to `width` characters.
pub(crate) fn first_line(text: &str, width: usize) -> String {
    let text = clean(text, false);
    let line = text.trim().lines().next().unwrap_or_default().trim_end();
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_where_they_are_wanted() {
        assert_eq!(clean("\x1b[0;31mno\x1b[0m", true), "\x1b[0;31mno\x1b[0m\x1b[0m");
        assert_eq!(clean("\x1b[0;31mno\x1b[0m", false), "no");
    }

    #[test]
    fn what_steers_a_terminal_goes() {
        let hostile = [
            "a\x1b[2Jb",
            "a\x1b]0;title\x07b",
            "a\x1b]8;;http://x\x1b\\b",
            "a\u{9b}31mb",
            "a\u{9d}0;t\u{9c}b",
            "a\x1bPq\x1b\\b",
            "a\x1b(0b",
            "a\x1bcb",
            "a\x07b",
            "a\x08b",
            "a\rb",
            "a\x7fb",
            "a\x1b[?1049hb",
            "a\x1b[6nb",
        ];
        for text in hostile {
            assert_eq!(clean(text, true), "ab", "{text:?}");
        }
    }

    #[test]
    fn unfinished_sequences_end_with_the_text() {
        assert_eq!(clean("a\x1b", true), "a");
        assert_eq!(clean("a\x1b[31", true), "a");
        assert_eq!(clean("a\x1b]0;b", true), "a");
        assert_eq!(clean("a\x1b[3\nb", true), "a\nb");
    }

    #[test]
    fn lines_tabs_and_letters_stay() {
        assert_eq!(clean("ä\t\n日本", false), "ä\t\n日本");
    }

    #[test]
    fn the_last_overwrite_is_what_one_sees() {
        assert_eq!(last_overwrite("10 %\r50 %\r100 %"), "100 %");
        assert_eq!(last_overwrite("line\r"), "line");
        assert_eq!(last_overwrite("plain"), "plain");
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(first_line("\nabcdef\nx", 4), "abc…");
        assert_eq!(first_line("abcd", 4), "abcd");
    }
}
