use std::fmt::Write as _;

use super::escape::dot as escape;
use super::{Drawing, Mark, Node, fit};

const TITLE_WIDTH: usize = 60;

/// The graph for Graphviz. Cells that are executed have a thick border and the reason in their text.
pub fn dot(drawing: &Drawing<'_>) -> String {
    let mut text = String::from(
        "digraph notebook {\n  node [shape=box style=\"rounded,filled\" fontname=\"monospace\" fontsize=11];\n  edge [fontname=\"monospace\" fontsize=9];\n",
    );
    let _ = writeln!(
        text,
        "  label=\"{}\";",
        escape(&format!("{}: {}", drawing.name, drawing.summary()))
    );
    for node in &drawing.nodes {
        let (fill, line) = colours(node.mark);
        let width = if node.is_executed { 2 } else { 1 };
        let _ = writeln!(
            text,
            "  c{} [label=\"{}\" tooltip=\"{}\" fillcolor=\"{fill}\" color=\"{line}\" penwidth={width}];",
            node.index,
            escape(&label(node)),
            escape(node.id)
        );
    }
    for edge in &drawing.edges {
        let (from, to) = (drawing.nodes[edge.from].index, drawing.nodes[edge.to].index);
        let names = escape(&edge.names.join(", "));
        let _ = writeln!(text, "  c{from} -> c{to} [label=\"{names}\" tooltip=\"{names}\"];");
    }
    text.push_str("}\n");
    text
}

fn label(node: &Node<'_>) -> String {
    format!("#{} {}\n{}", node.index, fit(node.title(), TITLE_WIDTH), node.reason)
}

/// Of the inside and of the border.
fn colours(mark: Mark) -> (&'static str, &'static str) {
    match mark {
        Mark::New => ("#ddf4ff", "#0969da"),
        Mark::Edited => ("#fff8c5", "#9a6700"),
        Mark::Upstream => ("#fff1e5", "#bc4c00"),
        Mark::Again => ("#fbefff", "#8250df"),
        Mark::Failed => ("#ffebe9", "#cf222e"),
        Mark::Fresh => ("#ffffff", "#8c959f"),
        Mark::Off => ("#f6f8fa", "#d0d7de"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_sample;

    #[test]
    fn strings_end_where_they_should() {
        let text = with_sample(super::dot);
        assert!(text.starts_with("digraph notebook {\n") && text.ends_with("  c1 -> c4 [label=\"x = '</script><script>alert(1)</script>' # \\\"&amp;amp;\\\" ]]> \\\\N `a`  [2J\" tooltip=\"x = '</script><script>alert(1)</script>' # \\\"&amp;amp;\\\" ]]> \\\\N `a`  [2J\"];\n}\n"), "{text}");
        for line in text.lines() {
            assert_eq!(
                line.replace("\\\\", "").replace("\\\"", "").matches('"').count() % 2,
                0,
                "{line}"
            );
        }
        assert!(text.contains("c2 [label=\"#2 y = x\\nupstream: "));
    }
}
