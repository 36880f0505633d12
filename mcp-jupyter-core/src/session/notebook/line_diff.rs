//! How two texts differ, line by line, as `diff -u` tells it.

use std::fmt;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, DiffOp, TextDiff};

/// Lines that have changed, with some before and after them that have not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// The first of the older text's lines, from 1; of none, the one that they would come after.
    pub old_start: usize,
    /// How many they are.
    pub old_lines: usize,
    /// The same of the newer text.
    pub new_start: usize,
    /// The same of the newer text.
    pub new_lines: usize,
    /// The lines of both.
    pub lines: Vec<DiffLine>,
}

/// One line of a [`Hunk`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// In which of the texts it is.
    pub kind: LineKind,
    /// The line with its end, which the last one may lack.
    pub text: String,
}

/// In which of the two texts a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// In both.
    Context,
    /// In the older one.
    Removed,
    /// In the newer one.
    Added,
}

/// The hunks in which `newer` differs from `older`, with `context` unchanged lines around each change; none where they
/// are equal. A hunk is displayed as in a unified diff.
///
/// ```
/// use mcp_jupyter_core::session::notebook::line_diff;
///
/// let hunks = line_diff("a = 1\nb = 2\n", "a = 1\nb = 3\n", 3);
/// assert_eq!(hunks[0].to_string(), "@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n");
/// ```
pub fn line_diff(older: &str, newer: &str, context: usize) -> Vec<Hunk> {
    let diff = TextDiff::from_lines(older, newer);
    let context = context.min(diff.old_len());
    diff.grouped_ops(context)
        .iter()
        .filter_map(|ops| hunk(&diff, ops))
        .collect()
}

fn hunk(diff: &TextDiff<'_, '_, str>, ops: &[DiffOp]) -> Option<Hunk> {
    let (first, last) = (ops.first()?, ops.last()?);
    let old = first.old_range().start..last.old_range().end;
    let new = first.new_range().start..last.new_range().end;
    let lines = ops.iter().flat_map(|op| diff.iter_changes(op)).map(|change| DiffLine {
        kind: match change.tag() {
            ChangeTag::Equal => LineKind::Context,
            ChangeTag::Delete => LineKind::Removed,
            ChangeTag::Insert => LineKind::Added,
        },
        text: change.value().to_owned(),
    });
    Some(Hunk {
        old_start: old.start + usize::from(!old.is_empty()),
        old_lines: old.len(),
        new_start: new.start + usize::from(!new.is_empty()),
        new_lines: new.len(),
        lines: lines.collect(),
    })
}

impl fmt::Display for Hunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("@@ -")?;
        range(f, self.old_start, self.old_lines)?;
        f.write_str(" +")?;
        range(f, self.new_start, self.new_lines)?;
        f.write_str(" @@\n")?;
        self.lines.iter().try_for_each(|line| line.fmt(f))
    }
}

fn range(f: &mut fmt::Formatter<'_>, start: usize, lines: usize) -> fmt::Result {
    match lines {
        1 => write!(f, "{start}"),
        _ => write!(f, "{start},{lines}"),
    }
}

impl fmt::Display for DiffLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            LineKind::Context => ' ',
            LineKind::Removed => '-',
            LineKind::Added => '+',
        };
        write!(f, "{sign}{}", self.text)?;
        if self.text.ends_with(['\n', '\r']) {
            return Ok(());
        }
        f.write_str("\n\\ No newline at end of file\n")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unified(older: &str, newer: &str, context: usize) -> String {
        let hunks = line_diff(older, newer, context);
        hunks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hunks_are_those_of_diff() {
        assert_eq!(unified("a\nb\n", "a\nb\n", 3), "");
        assert_eq!(unified("", "a\nb\n", 3), "@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(unified("a\n", "", 3), "@@ -1 +0,0 @@\n-a\n");
        assert_eq!(unified("a\nb\nc\n", "a\nc\n", 0), "@@ -2 +1,0 @@\n-b\n");
        assert_eq!(
            unified("1\n2\n3\n4\n5\n6\n7\n", "0\n2\n3\n4\n5\n6\n8\n", 1),
            "@@ -1,2 +1,2 @@\n-1\n+0\n 2\n@@ -6,2 +6,2 @@\n 6\n-7\n+8\n"
        );
    }

    #[test]
    fn a_missing_line_end_is_a_difference() {
        assert_eq!(
            unified("a", "a\nb", 3),
            "@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n"
        );
        assert_eq!(line_diff("a\r\n", "a\n", 3)[0].lines[0].text, "a\r\n");
    }

    #[test]
    fn a_hunk_is_json() {
        let hunks = line_diff("a\n", "b\n", 3);
        let json = serde_json::to_value(&hunks).unwrap();
        assert_eq!(
            json[0]["lines"][0],
            serde_json::json!({"kind": "removed", "text": "a\n"})
        );
        assert_eq!(serde_json::from_value::<Vec<Hunk>>(json).unwrap(), hunks);
    }

    proptest! {
        #[test]
        fn hunks_with_all_context_are_both_texts(older in "([ab]?[\r\n]?){0,12}", newer in "([ab]?[\r\n]?){0,12}") {
            let hunks = line_diff(&older, &newer, usize::MAX);
            prop_assert_eq!(hunks.is_empty(), older == newer);
            prop_assert!(hunks.len() <= 1);
            for hunk in hunks {
                let side = |not: LineKind| hunk.lines.iter().filter(|line| line.kind != not).map(|line| &*line.text).collect::<String>();
                prop_assert_eq!(side(LineKind::Added), &*older);
                prop_assert_eq!(side(LineKind::Removed), &*newer);
            }
        }

        #[test]
        fn hunks_applied_to_the_older_text_give_the_newer(
            older in "([ab]\n){0,30}", newer in "([ab]\n){0,30}", context in 0..4_usize,
        ) {
            let mut rest = older.split_inclusive('\n').zip(1..).peekable();
            let mut made = String::new();
            for hunk in line_diff(&older, &newer, context) {
                let first = hunk.old_start + usize::from(hunk.old_lines == 0);
                while let Some((line, _)) = rest.next_if(|(_, number)| *number < first) {
                    made.push_str(line);
                }
                for line in hunk.lines {
                    if line.kind != LineKind::Added {
                        prop_assert_eq!(rest.next().map(|(line, _)| line), Some(&*line.text));
                    }
                    if line.kind != LineKind::Removed {
                        made.push_str(&line.text);
                    }
                }
            }
            made.extend(rest.map(|(line, _)| line));
            prop_assert_eq!(made, newer);
        }
    }
}
