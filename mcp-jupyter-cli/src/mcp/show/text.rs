use crate::report::terminal::{clean, last_overwrite};

/// The part of a bounded text that is its head, in thirds.
const HEAD: usize = 2;

/// Text of a kernel as a terminal would leave it: without control sequences, and without what was overwritten.
pub(in crate::mcp) fn cleaned(text: &str) -> String {
    if !text.contains('\r') {
        return clean(text, false);
    }
    let lines = text.split_inclusive('\n').map(|line| {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        format!("{}{end}", clean(last_overwrite(line), false))
    });
    lines.collect()
}

/// The text, or its head and its tail where it has more than `limit` bytes, with what was left out and how to get it.
pub(in crate::mcp) fn bounded(text: &str, limit: usize, how: &str) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let head = line_end(&text[..boundary(text, limit * HEAD / 3)]);
    let rest = &text[head.len()..];
    let tail = line_start(&rest[boundary_after(rest, rest.len() - (limit - limit * HEAD / 3).min(rest.len()))..]);
    let left = &rest[..rest.len() - tail.len()];
    let lines = left.bytes().filter(|byte| *byte == b'\n').count();
    let what = match lines {
        0 => format!("{} bytes of a line", left.len()),
        _ => format!("{lines} lines, {} bytes", left.len()),
    };
    let gap = if head.ends_with('\n') || head.is_empty() {
        ""
    } else {
        "\n"
    };
    format!("{head}{gap}[left out here: {what}; {how}]\n{tail}")
}

/// The lines from `first` to `last`, counted from 1, and how many there are.
pub(in crate::mcp) fn lines_of(text: &str, first: usize, last: usize) -> (String, usize) {
    let count = text.lines().count();
    let lines = text.split_inclusive('\n').skip(first.saturating_sub(1));
    (lines.take((last + 1).saturating_sub(first.max(1))).collect(), count)
}

fn boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

fn boundary_after(text: &str, at: usize) -> usize {
    text.ceil_char_boundary(at)
}

/// Without the last line where that is cut, unless there is no other.
fn line_end(head: &str) -> &str {
    head.rfind('\n').map_or(head, |end| &head[..=end])
}

/// Without the first line where that is cut, unless there is no other.
fn line_start(tail: &str) -> &str {
    match tail.find('\n') {
        Some(end) if end + 1 < tail.len() => &tail[end + 1..],
        _ => tail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_out_unsaid() {
        let text = "some line\n".repeat(1000);
        for limit in [50, 100, 333, 5000, 20_000] {
            let shown = bounded(&text, limit, "call X");
            let Some((head, rest)) = shown.split_once("[left out here: ") else {
                assert_eq!(shown, text);
                continue;
            };
            let (said, tail) = rest.split_once("; call X]\n").unwrap();
            let bytes: usize = said.split(' ').nth(2).unwrap().parse().unwrap();
            assert!(text.starts_with(head) && text.ends_with(tail), "{limit}");
            assert_eq!(head.len() + bytes + tail.len(), text.len(), "{limit}");
            assert!(head.len() + tail.len() <= limit, "{limit}");
        }
    }

    #[test]
    fn characters_stay_whole() {
        let text = "ä".repeat(1000);
        for limit in 3..40 {
            let shown = bounded(&text, limit, "call X");
            assert!(shown.contains("bytes of a line; call X"), "{shown}");
        }
    }

    #[test]
    fn what_a_progress_bar_has_overwritten_is_not_shown() {
        assert_eq!(cleaned("10%\r20%\r100%\ndone\n"), "100%\ndone\n");
        assert_eq!(cleaned("\u{1b}[31mred\u{1b}[0m\r\n"), "red\n");
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(lines_of("a\nb\nc", 2, 3), ("b\nc".to_owned(), 3));
        assert_eq!(lines_of("a\nb\nc", 0, 1), ("a\n".to_owned(), 3));
        assert_eq!(lines_of("a", 5, 9), (String::new(), 1));
    }
}
