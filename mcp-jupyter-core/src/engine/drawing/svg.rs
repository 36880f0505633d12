//! The graph as SVG: cells in a column, in notebook order, and edges in lanes beside it.

use std::fmt::Write as _;

use super::escape::xml;
use super::lanes::lanes;
use super::{Drawing, Mark, Node, Row, fit, list, width};

const STYLE: &str = include_str!("svg.css");

/// Widths of characters of a monospaced font of 12 and 10.5 px, and a little.
const COLUMN: f64 = 7.25;
const SMALL_COLUMN: f64 = 6.35;
const MOST_TITLE: usize = 64;
const LEAST_TITLE: usize = 24;
const MOST_REASON: usize = 44;
/// What a tooltip shows of a source.
const SHOWN_LINES: usize = 12;

const MARGIN: usize = 16;
const TOP: usize = 68;
const ROW: usize = 30;
const BOX: usize = 24;
/// From the column of cells to the first lane.
const LANE_GAP: usize = 20;
/// How far a line's ends in a row are from its middle.
const SHIFT: usize = 5;
const BEND: usize = 5;
const PALETTE: usize = 6;

/// Where everything is, in pixels.
struct Layout {
    /// The middle of each node.
    middles: Vec<usize>,
    lanes: Vec<Option<usize>>,
    is_reader: Vec<bool>,
    lane_width: usize,
    title_at: usize,
    /// How wide the boxes are.
    box_width: usize,
    width: usize,
    height: usize,
}

impl Layout {
    fn new(drawing: &Drawing<'_>) -> Self {
        let (lanes, count) = lanes(drawing.nodes.len(), &drawing.edges);
        let lane_width = match count {
            0..=24 => 9,
            25..=60 => 7,
            _ => 5,
        };
        let widest = |text: &dyn Fn(&Node<'_>) -> usize| drawing.nodes.iter().map(text).max().unwrap_or(0);
        let index = widest(&|node| node.index.to_string().len());
        let title = widest(&|node| width(node.title())).clamp(LEAST_TITLE, MOST_TITLE);
        let reason = widest(&|node| width(&reason(node)));
        let title_at = 30 + pixels(index + 1, COLUMN) + 8;
        let box_width = title_at + pixels(title, COLUMN) + 20 + pixels(reason, SMALL_COLUMN) + 10;
        let header = [drawing.name.len() + 4, drawing.summary().len(), LEGEND_COLUMNS];
        let header = MARGIN * 2 + pixels(header.into_iter().max().unwrap_or(0), COLUMN);
        let mut y = TOP;
        let mut middles = Vec::with_capacity(drawing.nodes.len());
        for row in &drawing.rows {
            if let Row::Node(_) = row {
                middles.push(y + ROW / 2);
            }
            y += ROW;
        }
        let mut is_reader = vec![false; drawing.nodes.len()];
        drawing.edges.iter().for_each(|edge| is_reader[edge.to] = true);
        Self {
            middles,
            lanes,
            is_reader,
            lane_width,
            title_at,
            box_width,
            width: (MARGIN + box_width + LANE_GAP + count * lane_width + MARGIN).max(header),
            height: y + MARGIN,
        }
    }

    /// Where lines leave and reach the boxes.
    fn side(&self) -> usize {
        MARGIN + self.box_width
    }

    fn lane(&self, node: usize) -> usize {
        self.side() + LANE_GAP + self.lanes[node].unwrap_or(0) * self.lane_width
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "lengths of short texts"
)]
fn pixels(columns: usize, column: f64) -> usize {
    (columns as f64 * column).ceil() as usize
}

/// The graph as a file of its own.
pub fn svg(drawing: &Drawing<'_>) -> String {
    let mut text = String::new();
    write_svg(&mut text, drawing, true);
    text.push('\n');
    text
}

/// The graph as an element, with or without its style.
pub(super) fn write_svg(text: &mut String, drawing: &Drawing<'_>, with_style: bool) {
    let layout = Layout::new(drawing);
    let (width, height) = (layout.width, layout.height);
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mj\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"dependencies of {}\">",
        xml(drawing.name)
    );
    if with_style {
        let _ = write!(text, "<style>{STYLE}</style>");
    }
    let _ = write!(text, "<rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>");
    header(text, drawing);
    edges(text, drawing, &layout);
    rows(text, drawing, &layout);
    text.push_str("</svg>");
}

/// Signs and what they mean; only those that occur are shown.
const LEGEND: [(Mark, bool, &str); 8] = [
    (Mark::New, true, "new to the kernel"),
    (Mark::Edited, true, "edited or moved"),
    (Mark::Upstream, true, "reads what changes"),
    (Mark::Again, true, "makes values again"),
    (Mark::Failed, true, "failed"),
    (Mark::Failed, false, "blocked"),
    (Mark::Fresh, false, "fresh"),
    (Mark::Off, false, "left out"),
];
const LEGEND_COLUMNS: usize = 60;

fn header(text: &mut String, drawing: &Drawing<'_>) {
    let _ = write!(
        text,
        "<text class=\"name\" x=\"{MARGIN}\" y=\"24\">{}</text><text class=\"soft\" x=\"{MARGIN}\" y=\"41\">{}</text>",
        xml(drawing.name),
        xml(&drawing.summary())
    );
    let mut x = MARGIN;
    for (mark, is_executed, meaning) in LEGEND {
        let occurs = |node: &Node<'_>| node.mark == mark && node.is_executed == is_executed;
        if !drawing.nodes.iter().any(occurs) {
            continue;
        }
        let _ = write!(text, "<g class=\"{}\">", classes(mark, is_executed, false));
        sign(text, mark, is_executed, x + 5, 55);
        let _ = write!(
            text,
            "<text class=\"soft\" x=\"{}\" y=\"59\">{meaning}</text></g>",
            x + 15
        );
        x += 15 + pixels(meaning.len(), SMALL_COLUMN) + 16;
    }
}

fn rows(text: &mut String, drawing: &Drawing<'_>, layout: &Layout) {
    for (row, y) in drawing.rows.iter().zip((TOP..).step_by(ROW)) {
        match row {
            Row::Node(position) => node(text, drawing, *position, layout),
            Row::Heading(heading) => {
                let columns = layout.box_width / 8;
                let heading = xml(&fit(heading, columns));
                let _ = write!(
                    text,
                    "<text class=\"head\" x=\"{MARGIN}\" y=\"{}\">{heading}</text>",
                    y + ROW - 9
                );
            }
        }
    }
}

fn node(text: &mut String, drawing: &Drawing<'_>, position: usize, layout: &Layout) {
    let node = &drawing.nodes[position];
    let (middle, right) = (layout.middles[position], layout.side());
    let baseline = middle + 4;
    let _ = write!(
        text,
        "<g class=\"n {}\" data-n=\"{position}\"><title>{}</title><rect class=\"box\" x=\"{MARGIN}\" y=\"{}\" width=\"{}\" height=\"{BOX}\" rx=\"5\"/>",
        classes(node.mark, node.is_executed, node.effects.unknown.is_some()),
        xml(&tooltip(node)),
        middle - BOX / 2,
        layout.box_width
    );
    sign(text, node.mark, node.is_executed, MARGIN + 14, middle);
    let _ = write!(
        text,
        "<text class=\"soft\" x=\"{}\" y=\"{baseline}\">#{}</text><text x=\"{}\" y=\"{baseline}\">{}</text><text class=\"why\" text-anchor=\"end\" x=\"{}\" y=\"{baseline}\">{}</text>",
        MARGIN + 30,
        node.index,
        MARGIN + layout.title_at,
        xml(&fit(node.title(), MOST_TITLE)),
        right - 10,
        xml(&reason(node))
    );
    if layout.is_reader[position] {
        let y = middle - SHIFT;
        let _ = write!(text, "<path class=\"tip\" d=\"M{},{y}l8,-4v8z\"/>", right + 1);
    }
    text.push_str("</g>");
}

fn classes(mark: Mark, is_executed: bool, is_uncertain: bool) -> String {
    let run = if is_executed { " run" } else { "" };
    let maybe = if is_uncertain { " maybe" } else { "" };
    format!("{}{run}{maybe}", mark.name())
}

/// A triangle for what is executed, a ring for what is fresh, a cross for what is blocked, a dash for the rest.
fn sign(text: &mut String, mark: Mark, is_executed: bool, x: usize, y: usize) {
    let (left, top) = (x - 4, y - 4);
    let path = match mark {
        _ if is_executed => format!("M{left},{top}l8,4l-8,4z"),
        Mark::Fresh => format!("M{left},{y}a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z"),
        Mark::Failed => format!("M{left},{top}l8,8m0,-8l-8,8"),
        _ => format!("M{left},{y}h8"),
    };
    let _ = write!(text, "<path class=\"sign\" d=\"{path}\"/>");
}

/// Why, with a mark where something about the cell cannot be known.
fn reason(node: &Node<'_>) -> String {
    let doubt = if node.effects.unknown.is_some() { "? " } else { "" };
    fit(&format!("{doubt}{}", node.reason), MOST_REASON)
}

fn tooltip(node: &Node<'_>) -> String {
    let mut lines = vec![format!("#{} {}", node.index, node.id), node.reason.clone()];
    let facts = [
        ("reads", list(&node.effects.reads)),
        ("writes", list(&node.effects.writes)),
        ("unknown", node.effects.unknown.clone()),
    ];
    lines.extend(
        facts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}: {}", value?))),
    );
    lines.push(String::new());
    lines.extend(node.source.lines().take(SHOWN_LINES).map(str::to_owned));
    if node.source.lines().count() > SHOWN_LINES {
        lines.push("…".to_owned());
    }
    lines.join("\n")
}

/// Long ones first, so that short ones, which are near to the cells, lie above them.
fn edges(text: &mut String, drawing: &Drawing<'_>, layout: &Layout) {
    let mut edges: Vec<_> = drawing.edges.iter().collect();
    edges.sort_by_key(|edge| std::cmp::Reverse(layout.lanes[edge.from]));
    text.push_str("<g>");
    for edge in edges {
        let (from, to) = (&drawing.nodes[edge.from], &drawing.nodes[edge.to]);
        let path = route(layout, edge.from, edge.to);
        let names = xml(&edge.names.join(", "));
        let _ = write!(
            text,
            "<g class=\"e c{}\" data-f=\"{}\" data-t=\"{}\"><title>#{} → #{}: {names}</title><path class=\"hit\" d=\"{path}\"/><path class=\"line\" d=\"{path}\"/></g>",
            layout.lanes[edge.from].unwrap_or(0) % PALETTE,
            edge.from,
            edge.to,
            from.index,
            to.index
        );
    }
    text.push_str("</g>");
}

/// Out of the lower half of a box, down the lane, and into the upper half of the other.
fn route(layout: &Layout, from: usize, to: usize) -> String {
    let (side, lane) = (layout.side(), layout.lane(from));
    let (start, end) = (layout.middles[from] + SHIFT, layout.middles[to] - SHIFT);
    format!(
        "M{side},{start}H{}q{BEND},0 {BEND},{BEND}V{}q0,{BEND} -{BEND},{BEND}H{}",
        lane - BEND,
        end - BEND,
        side + 8
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_sample;
    use super::*;

    #[test]
    fn every_cell_and_edge_is_drawn_as_text() {
        let text = with_sample(svg);
        assert_eq!(text.matches("<g class=\"n ").count(), 3);
        assert_eq!(text.matches("<g class=\"e ").count(), 2);
        assert!(text.contains("<g class=\"n edited run maybe\" data-n=\"0\">"));
        assert!(text.contains("<title>#1 → #4: x = &#39;&lt;/script&gt;"));
        assert!(text.contains(">y = x</text>") && text.contains(">fresh: x = "));
        assert!(!text.contains("script>") && !text.contains('\u{1b}') && !text.contains("]]>"));
    }

    #[test]
    fn elements_are_balanced() {
        let text = with_sample(svg);
        for name in ["svg", "g", "text", "title", "style"] {
            let opened = text.matches(&format!("<{name}>")).count() + text.matches(&format!("<{name} ")).count();
            assert_eq!(opened, text.matches(&format!("</{name}>")).count(), "{name}");
        }
    }

    #[test]
    fn lines_run_from_lower_to_upper_halves() {
        with_sample(|drawing| {
            let layout = Layout::new(drawing);
            let side = layout.side();
            assert_eq!(layout.middles, [TOP + 45, TOP + 75, TOP + 105]);
            assert_eq!(
                route(&layout, 0, 1),
                format!(
                    "M{side},{}H{}q5,0 5,5V{}q0,5 -5,5H{}",
                    TOP + 50,
                    side + 15,
                    TOP + 65,
                    side + 8
                )
            );
        });
    }

    #[test]
    fn an_empty_notebook_is_a_picture_too() {
        let nothing = Drawing {
            name: "empty.ipynb",
            rows: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            remarks: Vec::new(),
        };
        assert!(svg(&nothing).contains("0 of 0 cells to execute"));
    }
}
