use std::fmt::Write as _;

use super::escape::mermaid as escape;
use super::{Drawing, Node, fit, list};

const TITLE_WIDTH: usize = 48;

const STYLES: &str = "\
  classDef new fill:#ddf4ff,stroke:#0969da,stroke-width:2px,color:#1f2328
  classDef edited fill:#fff8c5,stroke:#9a6700,stroke-width:2px,color:#1f2328
  classDef upstream fill:#fff1e5,stroke:#bc4c00,stroke-width:2px,color:#1f2328
  classDef again fill:#fbefff,stroke:#8250df,stroke-width:2px,color:#1f2328
  classDef failed fill:#ffebe9,stroke:#cf222e,stroke-width:2px,color:#1f2328
  classDef fresh fill:#ffffff,stroke:#8c959f,color:#1f2328
  classDef off fill:#f6f8fa,stroke:#d0d7de,color:#59636e
";

/// The graph for Mermaid. Cells that are executed are stadiums, the others boxes.
pub fn mermaid(drawing: &Drawing<'_>) -> String {
    let mut text = String::from("flowchart TD\n");
    for node in &drawing.nodes {
        let (open, close) = if node.is_executed { ("([", "])") } else { ("[", "]") };
        let _ = writeln!(
            text,
            "  c{}{open}\"{}\"{close}:::{}",
            node.index,
            label(node),
            node.mark.name()
        );
    }
    for edge in &drawing.edges {
        let (from, to) = (drawing.nodes[edge.from].index, drawing.nodes[edge.to].index);
        match list(edge.names) {
            Some(names) => drop(writeln!(text, "  c{from} -->|\"{}\"| c{to}", escape(&names))),
            None => drop(writeln!(text, "  c{from} --> c{to}")),
        }
    }
    text.push_str(STYLES);
    text
}

fn label(node: &Node<'_>) -> String {
    let title = escape(&fit(node.title(), TITLE_WIDTH));
    format!("#35;{} {title}<br/>{}", node.index, escape(&node.reason))
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_sample;

    #[test]
    fn labels_hold_nothing_but_text() {
        let text = with_sample(super::mermaid);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "flowchart TD");
        assert!(
            lines[2].starts_with("  c2([\"#35;2 y = x<br/>upstream: x = #39;#60;#47;script#62;"),
            "{text}"
        );
        assert!(lines[3].starts_with("  c4[\"#35;4 <br/>fresh: ") && lines[3].ends_with("\"]:::fresh"));
        assert!(lines[5].starts_with("  c1 -->|\"x = ") && lines[5].ends_with("\"| c4"));
        for line in &lines[1..6] {
            assert_eq!(line.matches('"').count(), 2, "{line}");
            assert!(!line.contains("script>") && !line.contains('`'), "{line}");
        }
    }
}
