use mcp_jupyter_core::session::notebook::{Hunk, LineKind};

use super::style::Style;
use super::terminal::clean;

/// What has changed in one place: what it is, and the lines.
#[derive(Debug)]
pub(crate) struct DiffText {
    pub(crate) title: String,
    pub(crate) hunks: Vec<Hunk>,
}

/// The changes for a terminal.
pub(super) fn diff_text(texts: &[DiffText], style: Style) -> String {
    let lines = texts.iter().flat_map(|text| lines(text, style));
    lines.flat_map(|line| [line, "\n".to_owned()]).collect()
}

fn lines(text: &DiffText, style: Style) -> Vec<String> {
    let mut lines = vec![clean(&text.title, false)];
    for hunk in &text.hunks {
        let (old, new) = ((hunk.old_start, hunk.old_lines), (hunk.new_start, hunk.new_lines));
        let place = format!("@@ -{},{} +{},{} @@", old.0, old.1, new.0, new.1);
        lines.push(format!("  {}", style.faint(&place)));
        for line in &hunk.lines {
            let text = clean(line.text.trim_end_matches(['\n', '\r']), false);
            lines.push(match line.kind {
                LineKind::Removed => format!("  {}", style.bad(&format!("-{text}"))),
                LineKind::Added => format!("  {}", style.good(&format!("+{text}"))),
                LineKind::Context => format!("   {text}"),
            });
        }
    }
    lines
}
