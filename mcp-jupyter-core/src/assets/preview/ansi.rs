//! Where a text with ANSI escape sequences may be cut, and whether a style is open there.

/// A longer sequence counts as text: terminals give up on those as well, and a cut has to look back this far.
pub(super) const LONGEST_SEQUENCE: usize = 1024;

/// What ends all styles.
pub(super) const RESET: &str = "\x1b[0m";

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// The last place up to the end of `text` where it can be cut so that no sequence loses its end.
pub(super) fn cut_before_end(text: &str) -> usize {
    let mut cut = text.len();
    // An unfinished sequence may itself stand at what looked like the end of an earlier one.
    while let Some(at) = text[..cut].rfind('\x1b') {
        if sequence_length(&text.as_bytes()[at..cut]).is_some() {
            break;
        }
        cut = at;
    }
    cut
}

/// The first place from `from` on where `text` can be cut so that no sequence loses its start.
pub(super) fn cut_after(text: &str, from: usize) -> usize {
    let Some(at) = text[..from].rfind('\x1b') else {
        return from;
    };
    let length = sequence_length(&text.as_bytes()[at..]).unwrap_or(text.len() - at);
    from.max(at + length)
}

/// Whether a style that `text` sets is still set at its end.
pub(super) fn leaves_style_open(text: &str) -> bool {
    let mut open = false;
    for (at, _) in text.match_indices('\x1b') {
        let length = sequence_length(&text.as_bytes()[at..]).unwrap_or(1);
        let parameters = text[at..at + length]
            .strip_prefix("\x1b[")
            .and_then(|sequence| sequence.strip_suffix('m'));
        if let Some(parameters) = parameters {
            open = is_open_after(parameters, open);
        }
    }
    open
}

fn is_open_after(parameters: &str, mut open: bool) -> bool {
    let mut parameters = parameters.split(';');
    while let Some(parameter) = parameters.next() {
        match parameter.trim_start_matches('0') {
            "" => open = false,
            // The colour follows: an index after 5, three channels after 2. Zeros in it reset nothing.
            "38" | "48" | "58" => {
                let more = match parameters.next() {
                    Some("5") => 1,
                    Some("2") => 3,
                    _ => 0,
                };
                parameters.by_ref().take(more).for_each(drop);
                open = true;
            }
            _ => open = true,
        }
    }
    open
}

/// The length of the sequence at the start of `bytes`, which is an escape character; none where it goes on after them.
fn sequence_length(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.get(1)? {
        b'[' => ended_by(bytes, 2, 0x20..=0x3f, 0x40..=0x7e),
        b']' | b'P' | b'X' | b'^' | b'_' => string_length(bytes),
        0x20..=0x2f => ended_by(bytes, 2, 0x20..=0x2f, 0x30..=0x7e),
        0x30..=0x7e => Some(2),
        _ => Some(1),
    };
    if length.unwrap_or(bytes.len()) > LONGEST_SEQUENCE {
        return Some(1);
    }
    length
}

/// A sequence of bytes `inner` from `start` on and one of `last`; it ends early before any other byte.
fn ended_by(
    bytes: &[u8],
    start: usize,
    inner: std::ops::RangeInclusive<u8>,
    last: std::ops::RangeInclusive<u8>,
) -> Option<usize> {
    let rest = &bytes[start..];
    let end = start + rest.iter().position(|byte| !inner.contains(byte))?;
    Some(end + usize::from(last.contains(&bytes[end])))
}

/// A command string, such as a hyperlink: up to BEL or `ESC \`; it ends early before a newline or another sequence.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let end = 2 + bytes[2..].iter().position(|byte| matches!(*byte, ESC | BEL | b'\n'))?;
    match bytes[end] {
        BEL => Some(end + 1),
        ESC => bytes.get(end + 1).map(|next| end + 2 * usize::from(*next == b'\\')),
        _ => Some(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_as_long_as_a_terminal_takes_it() {
        for (bytes, expected) in [
            ("\x1b", None),
            ("\x1b[", None),
            ("\x1b[1;31", None),
            ("\x1b[1;31mred", Some(7)),
            ("\x1b[1\nred", Some(3)),
            ("\x1b[1é", Some(3)),
            ("\x1b(B", Some(3)),
            ("\x1b(", None),
            ("\x1b7", Some(2)),
            ("\x1b\n", Some(1)),
            ("\x1bé", Some(1)),
            ("\x1b]8;;https://é.org", None),
            ("\x1b]8;;https://é.org\x1b", None),
            ("\x1b]8;;x\x1b\\text", Some(8)),
            ("\x1b]8;;x\x07text", Some(7)),
            ("\x1b]8;;x\ntext", Some(6)),
            ("\x1b]8;;x\x1b[0m", Some(6)),
        ] {
            assert_eq!(sequence_length(bytes.as_bytes()), expected, "{bytes:?}");
        }
        assert_eq!(
            sequence_length(format!("\x1b]{}", "x".repeat(2000)).as_bytes()),
            Some(1)
        );
    }

    #[test]
    fn a_cut_keeps_sequences_whole() {
        for (text, before) in [
            ("plain", 5),
            ("a\x1b[31m", 6),
            ("a\x1b[3", 1),
            ("a\x1b]8;;x\x1b", 1),
            ("a\x1b]8;;x\x1b\\", 9),
        ] {
            assert_eq!(cut_before_end(text), before, "{text:?}");
        }
        assert_eq!(cut_after("a\x1b[31mb", 3), 6);
        assert_eq!(cut_after("a\x1b[31mb", 6), 6);
        assert_eq!(cut_after("a\x1b[31mb", 1), 1);
        assert_eq!(cut_after("a\x1b]x\x1b\\b", 4), 6);
        assert_eq!(cut_after("a\x1b]x\x1b\\b", 5), 6);
    }

    #[test]
    fn styles_are_open_until_they_are_reset() {
        for (text, open) in [
            ("", false),
            ("\x1b[31m", true),
            ("\x1b[31mx\x1b[0m", false),
            ("\x1b[31mx\x1b[m", false),
            ("\x1b[0;1m", true),
            ("\x1b[1;0m", false),
            ("\x1b[38;5;0m", true),
            ("\x1b[48;2;0;0;0m", true),
            ("\x1b[48;2;0;0;0;0m", false),
            ("\x1b[31m\x1b[2K", true),
        ] {
            assert_eq!(leaves_style_open(text), open, "{text:?}");
        }
    }
}
