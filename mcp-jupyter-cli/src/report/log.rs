use mcp_jupyter_core::model::{MimeBundle, Output, Text};

use super::terminal::{clean, last_overwrite};

/// More of a line than this is shown as a line of its own.
const LINE_LIMIT: usize = 64 << 10;

/// Makes lines of what cells print: a print may come in pieces, or many at a time.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What came of a line that has not ended yet.
    partial: String,
    /// The stream it belongs to.
    stream: String,
}

impl Lines {
    /// The lines that `output` completes, joined; none where there are none.
    pub(super) fn push(&mut self, output: &Output, colour: bool) -> Option<String> {
        let mut lines = String::new();
        match output {
            Output::Stream { name, text } => {
                if *name != self.stream {
                    lines.extend(self.flush(colour).map(|line| line + "\n"));
                    self.stream.clone_from(name);
                }
                self.push_text(text, &mut lines, colour);
            }
            Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. } => {
                lines.extend(self.flush(colour).map(|line| line + "\n"));
                lines.push_str(&clean(&shown(data), colour));
                lines.push('\n');
            }
            // Told with the end of its cell.
            Output::Error { .. } => {}
        }
        lines.pop().map(|_| lines)
    }

    fn push_text(&mut self, text: &Text, lines: &mut String, colour: bool) {
        text.for_each_chunk(|chunk| {
            for piece in chunk.split_inclusive('\n') {
                self.partial.push_str(piece);
                if piece.ends_with('\n') || self.partial.len() > LINE_LIMIT {
                    lines.extend(self.flush(colour).map(|line| line + "\n"));
                }
            }
        });
        // What has been overwritten need not wait for the line's end.
        if let Some(at) = self.partial.trim_end_matches('\r').rfind('\r') {
            self.partial.drain(..=at);
        }
    }

    /// What is left of a line without an end.
    pub(super) fn flush(&mut self, colour: bool) -> Option<String> {
        if self.partial.is_empty() {
            return None;
        }
        let line = std::mem::take(&mut self.partial);
        Some(clean(last_overwrite(line.strip_suffix('\n').unwrap_or(&line)), colour))
    }
}

fn shown(data: &MimeBundle) -> String {
    match data.plain() {
        Some(text) => text.to_str().into_owned(),
        None => format!("<{}>", data.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str, text: &str) -> Output {
        Output::Stream {
            name: name.to_owned(),
            text: text.to_owned().into(),
        }
    }

    #[test]
    fn lines_are_shown_when_they_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&stream("stdout", "a"), false), None);
        assert_eq!(lines.push(&stream("stdout", "b\n\nc"), false).as_deref(), Some("ab\n"));
        assert_eq!(lines.push(&stream("stderr", "d\n"), false).as_deref(), Some("c\nd"));
        assert_eq!(lines.flush(false), None);
    }

    #[test]
    fn a_progress_bar_is_shown_as_it_ends() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&stream("stderr", "\r 10 %"), false), None);
        assert_eq!(lines.push(&stream("stderr", "\r 60 %"), false), None);
        assert_eq!(
            lines.push(&stream("stderr", "\r100 %\n"), false).as_deref(),
            Some("100 %")
        );
    }

    #[test]
    fn endless_lines_do_not_pile_up() {
        let mut lines = Lines::default();
        let shown = lines.push(&stream("stdout", &"x".repeat(LINE_LIMIT + 1)), false);
        assert_eq!(shown.map(|text| text.len()), Some(LINE_LIMIT + 1));
        assert!(lines.partial.is_empty());
    }
}
