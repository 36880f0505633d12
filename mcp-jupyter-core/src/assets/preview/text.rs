use super::ansi;
use super::size::{as_u64, counted, grouped, human_size};

/// How many lines are kept of each end.
const LINES: usize = 20;

/// How many bytes are kept of each end.
const BYTES: usize = 4096;

/// What is remembered of the end: enough to tell whether its first byte lies in an escape sequence.
const REMEMBERED: usize = BYTES + ansi::LONGEST_SEQUENCE;

/// The first and the last lines of a text that arrives in parts and may be larger than the memory.
///
/// ```
/// use mcp_jupyter_core::assets::preview::TextPreview;
///
/// let mut preview = TextPreview::new();
/// for line in 1..=200_000 {
///     preview.push(&format!("line {line}\n"));
/// }
/// let shown = preview.render("the whole is in run.log");
///
/// assert!(shown.starts_with("line 1\nline 2\n"));
/// assert!(shown.contains("\n… 199,960 of 200,000 lines (2.3 MB) left out; the whole is in run.log …\n"));
/// assert!(shown.ends_with("line 200000\n"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TextPreview {
    head: String,
    /// Whether `head` has got all that it can hold; without it, it is the whole text.
    head_is_full: bool,
    head_lines: usize,
    /// The end of the text, the part in `head` included; up to three times `REMEMBERED`, so that bytes seldom move.
    end: String,
    bytes: u64,
    newlines: u64,
}

impl TextPreview {
    /// A preview of a text of which nothing has arrived.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next part of the text.
    pub fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.bytes += as_u64(text.len());
        self.newlines += as_u64(newlines(text));
        if !self.head_is_full {
            self.push_head(text);
        }
        if text.len() >= REMEMBERED {
            self.end.clear();
            self.end
                .push_str(&text[text.floor_char_boundary(text.len() - REMEMBERED)..]);
            return;
        }
        self.end.push_str(text);
        if self.end.len() > 3 * REMEMBERED {
            let surplus = self.end.floor_char_boundary(self.end.len() - REMEMBERED);
            self.end.drain(..surplus);
        }
    }

    fn push_head(&mut self, text: &str) {
        let room = &text[..text.floor_char_boundary(BYTES - self.head.len())];
        let fitting = match LINES - self.head_lines {
            0 => "",
            lines => match room.match_indices('\n').nth(lines - 1) {
                Some((last, _)) => &room[..=last],
                None => room,
            },
        };
        self.head.push_str(fitting);
        self.head_lines += newlines(fitting);
        if fitting.len() < text.len() {
            self.head_is_full = true;
            self.head.truncate(ansi::cut_before_end(&self.head));
        }
    }

    /// How many bytes have arrived.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many lines have arrived; the last counts even without a newline.
    pub fn lines(&self) -> u64 {
        self.newlines + u64::from(!self.end.is_empty() && !self.end.ends_with('\n'))
    }

    /// The first lines, one that says how much is left out, and the last lines; the whole text where nothing has to be
    /// left out.
    ///
    /// `note` says where the whole is. It becomes part of a sentence in a line of its own.
    pub fn render(&self, note: &str) -> String {
        if !self.head_is_full {
            return self.head.clone();
        }
        let tail_start = self.tail_start();
        let end_starts_at = self.bytes - as_u64(self.end.len());
        let head_end = as_u64(self.head.len());
        let left_out = (end_starts_at + as_u64(tail_start)).saturating_sub(head_end);
        let mut out = self.head.clone();
        if left_out == 0 {
            let shown = usize::try_from(head_end - end_starts_at).expect("what is remembered fits in memory");
            out.push_str(&self.end[shown..]);
            return out;
        }
        if ansi::leaves_style_open(&self.head) {
            out.push_str(ansi::RESET);
        }
        if !self.head.is_empty() && !self.head.ends_with('\n') {
            out.push('\n');
        }
        let tail = &self.end[tail_start..];
        out.push_str(&self.sentence(
            left_out,
            self.newlines - as_u64(newlines(&self.head) + newlines(tail)),
            note,
        ));
        out.push_str(tail);
        out
    }

    fn sentence(&self, bytes: u64, lines: u64, note: &str) -> String {
        let size = human_size(bytes);
        let amount = match lines {
            0 => size,
            _ => format!("{} of {} ({size})", grouped(lines), counted(self.lines(), "line")),
        };
        let separator = if note.is_empty() { "" } else { "; " };
        format!("… {amount} left out{separator}{note} …\n")
    }

    /// Where in `end` the part begins that is shown.
    fn tail_start(&self) -> usize {
        let from = self.end.ceil_char_boundary(self.end.len().saturating_sub(BYTES));
        let lines = self.end.strip_suffix('\n').unwrap_or(&self.end);
        match lines.rmatch_indices('\n').nth(LINES - 1) {
            Some((newline, _)) if newline + 1 >= from => newline + 1,
            _ => ansi::cut_after(&self.end, from),
        }
    }
}

fn newlines(text: &str) -> usize {
    // A sum over bytes of one `u8` per block is what compilers make wide instructions of.
    let block_sum = |block: &[u8]| usize::from(block.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>());
    text.as_bytes().chunks(255).map(block_sum).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn preview(text: &str) -> TextPreview {
        let mut preview = TextPreview::new();
        preview.push(text);
        preview
    }

    fn numbered(count: usize) -> String {
        let line = |number| format!("line {number}\n");
        (1..=count).map(line).collect()
    }

    #[test]
    fn what_fits_is_whole() {
        let texts = [
            String::new(),
            "no newline".to_owned(),
            numbered(20),
            numbered(40),
            numbered(39) + "last",
            "x".repeat(BYTES),
            "x".repeat(2 * BYTES),
            format!("\x1b[31m{}", "é".repeat(3000)),
        ];
        for text in texts {
            assert_eq!(preview(&text).render("note"), text);
        }
    }

    #[test]
    fn lines_between_the_ends_are_counted() {
        let shown = preview(&numbered(41)).render("all of it in a.txt");
        let expected = numbered(41).replace(
            "line 21\n",
            "… 1 of 41 lines (8 bytes) left out; all of it in a.txt …\n",
        );
        assert_eq!(shown, expected);
        let shown = preview(&(numbered(2000) + "end")).render("");
        assert!(
            shown.contains("line 20\n… 1,961 of 2,001 lines (18.6 kB) left out …\nline 1982\n"),
            "{shown}"
        );
        assert!(shown.ends_with("\nline 2000\nend"));
    }

    #[test]
    fn a_text_without_newlines_is_told_in_bytes() {
        let shown = preview(&"é".repeat(1_000_000)).render("note");
        let middle = "\n… 2.0 MB left out; note …\n";
        assert_eq!(shown.len(), 2 * BYTES + middle.len());
        assert_eq!(&shown[BYTES..BYTES + middle.len()], middle);
    }

    #[test]
    fn no_sequence_is_cut_and_styles_end_with_the_head() {
        let link = "\x1b]8;;https://example.org/a\x1b\\";
        for before in BYTES - 40..=BYTES {
            let text = "x".repeat(before) + link + "\x1b[31m" + &"y".repeat(50_000) + link + &"z".repeat(BYTES - 10);
            let shown = preview(&text).render("note");
            let (head, rest) = shown.split_once("\n…").unwrap();
            let tail = rest.split_once("…\n").unwrap().1;
            let head_is_whole = ["", link, &format!("{link}\x1b[31m\x1b[0m")]
                .iter()
                .any(|end| head.strip_suffix(end).is_some_and(|start| !start.contains('\x1b')));
            assert!(head_is_whole || head.ends_with("y\x1b[0m"), "{before}: {head:?}");
            assert!(tail.starts_with('z'), "{before}: {tail:?}");
        }
    }

    #[test]
    fn lines_and_bytes_are_counted() {
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)] {
            let preview = preview(text);
            assert_eq!(
                (preview.lines(), preview.bytes()),
                (lines, text.len() as u64),
                "{text:?}"
            );
        }
        assert_eq!(newlines(&"\n".repeat(100_000)), 100_000);
    }

    #[test]
    fn memory_stays_bounded() {
        let mut preview = TextPreview::new();
        for size in (0..200).map(|step| step * 97) {
            preview.push(&"x\n".repeat(size));
            assert!(preview.end.capacity() < 16 * REMEMBERED && preview.head.capacity() <= 2 * BYTES);
        }
    }

    fn fragments() -> impl Strategy<Value = Vec<String>> {
        let fragment = prop_oneof![
            4 => "[a-zé☃ ]{0,300}",
            2 => Just("\n".to_owned()),
            1 => "(line\n){0,30}",
            1 => Just("x".repeat(5000)),
            2 => "\x1b\\[[0-9;]{0,8}m",
            1 => "\x1b\\]8;;[a-z]{0,40}(\x1b\\\\|\x07)?",
            1 => "\x1b|\x1b\\[|\x1b\\]|\r",
        ];
        prop::collection::vec(fragment, 0..60)
    }

    proptest! {
            #[test]
            fn parts_do_not_matter(parts in fragments()) {
                let whole = parts.concat();
                let mut in_parts = TextPreview::new();
                for part in &parts {
     in_parts.push(part);
    }
                let mut in_chars = TextPreview::new();
                for char in whole.chars() {
     in_chars.push(char.encode_utf8(&mut [0; 4]));
    }
                let expected = preview(&whole).render("note");
                prop_assert_eq!(in_parts.render("note"), &*expected);
                prop_assert_eq!(in_chars.render("note"), &*expected);
            }

            #[test]
            fn ends_are_those_of_the_text(parts in fragments()) {
                let whole = parts.concat();
                let shown = preview(&whole).render("the note");
                prop_assert!(shown.len() <= 2 * BYTES + 200);
                match shown.split_once("; the note …\n") {
                    None => prop_assert_eq!(shown, whole),
                    Some((start, tail)) => {
                        prop_assert!(whole.ends_with(tail));
                        let head = &start[..start.rfind('…').unwrap()];
                        let head = head.strip_suffix('\n').unwrap_or(head);
                        let head = head.strip_suffix("\x1b[0m").unwrap_or(head);
                        prop_assert!(whole.starts_with(head));
                    }
                }
            }
        }
}
