use super::super::size::counted;
use super::tags::Tag;

/// How many rows and columns a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: u64,
    pub(super) columns: u64,
}

impl Shape {
    /// The shape that a library printed into `text`, as pandas (`<p>3 rows × 2 columns</p>`) and polars
    /// (`shape: (3, 2)`) do where they show a part of a table.
    pub(super) fn printed_in(text: &str) -> Option<Self> {
        printed_by_pandas(text).or_else(|| printed_by_polars(text))
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", counted(self.rows, "row"), counted(self.columns, "column"))
    }
}

fn printed_by_pandas(text: &str) -> Option<Shape> {
    let (rows, columns) = text.split_once(" rows ")?;
    let columns = ["× ", "&times; ", "x "]
        .iter()
        .find_map(|times| columns.strip_prefix(times))?;
    let rows = rows.rsplit('>').next()?;
    let (columns, _) = columns.split_once(" columns")?;
    Some(Shape {
        rows: number(rows)?,
        columns: number(columns)?,
    })
}

fn printed_by_polars(text: &str) -> Option<Shape> {
    let (_, shape) = text.split_once("shape: (")?;
    let (shape, _) = shape.split_once(')')?;
    let (rows, columns) = shape.split_once(", ")?;
    Some(Shape {
        rows: number(rows)?,
        columns: number(columns)?,
    })
}

fn number(text: &str) -> Option<u64> {
    text.replace([',', '_'], "").parse().ok()
}

/// Counts the rows and columns of a table while its tags go by.
#[derive(Debug, Default)]
pub(super) struct Counter {
    shape: Shape,
    /// How many tables are open; only the outermost counts.
    depth: usize,
    section: Section,
    row: Option<Row>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    /// None that the table names.
    #[default]
    Unnamed,
    Head,
    Body,
    Foot,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    values: u64,
    headings: u64,
}

/// What a tag was to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Nothing,
    /// A row of the head or the foot ended before or with the tag.
    OtherRowEnded,
    /// A row of the body ended before or with the tag.
    RowEnded,
}

impl Counter {
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether the table is open.
    pub(super) fn is_inside(&self) -> bool {
        self.depth > 0
    }

    /// Whether the rows that come are those of the table's foot.
    pub(super) fn is_in_foot(&self) -> bool {
        self.depth > 0 && self.section == Section::Foot
    }

    pub(super) fn see(&mut self, tag: &Tag<'_>) -> Event {
        if tag.is("table") {
            return self.see_table(tag.is_end);
        }
        if self.depth != 1 {
            return Event::Nothing;
        }
        let section = [
            ("thead", Section::Head),
            ("tbody", Section::Body),
            ("tfoot", Section::Foot),
        ]
        .into_iter()
        .find(|(name, _)| tag.is(name));
        if let Some((_, section)) = section {
            let event = self.end_row();
            self.section = if tag.is_end { Section::Body } else { section };
            event
        } else if tag.is("tr") {
            let event = self.end_row();
            self.row = (!tag.is_end).then(Row::default);
            event
        } else {
            self.see_cell(tag);
            Event::Nothing
        }
    }

    fn see_table(&mut self, is_end: bool) -> Event {
        if !is_end {
            self.depth += 1;
            return Event::Nothing;
        }
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.end_row()
        } else {
            Event::Nothing
        }
    }

    fn see_cell(&mut self, tag: &Tag<'_>) {
        if tag.is_end {
            return;
        }
        if tag.is("td") {
            self.row.get_or_insert_default().values += tag.columns;
        } else if tag.is("th") {
            self.row.get_or_insert_default().headings += tag.columns;
        }
    }

    /// Counts the row that is open, for the document's end too.
    pub(super) fn end_row(&mut self) -> Event {
        let Some(row) = self.row.take().filter(|row| row.values + row.headings > 0) else {
            return Event::Nothing;
        };
        let is_heading = self.section == Section::Unnamed && self.shape.rows == 0 && row.values == 0;
        if is_heading || matches!(self.section, Section::Head | Section::Foot) {
            return Event::OtherRowEnded;
        }
        // As pandas counts, the names of rows are no column.
        self.shape.rows += 1;
        self.shape.columns = self.shape.columns.max(row.values);
        Event::RowEnded
    }
}

#[cfg(test)]
mod tests {
    use super::super::tags::{Piece, Pieces};
    use super::*;

    fn shape(html: &str) -> (u64, u64) {
        let mut counter = Counter::default();
        for piece in Pieces::of(html) {
            if let Piece::Tag(tag) = piece {
                counter.see(&tag);
            }
        }
        counter.end_row();
        (counter.shape.rows, counter.shape.columns)
    }

    #[test]
    fn rows_of_the_body_and_columns_of_values_are_counted() {
        for (html, expected) in [
            (
                "<table><thead><tr><th></th><th>a</th></tr></thead><tbody><tr><th>0</th><td>1</td></tr></tbody></table>",
                (1, 1),
            ),
            ("<table><tr><th>a<th>b<tr><td>1<td>2<tr><td>3<td>4", (2, 2)),
            (
                "<table><tbody><tr><td colspan=2>1</td></tr><tr><td>1</td></tr></tbody><tfoot><tr><td>s</td></tr></table>",
                (2, 2),
            ),
            (
                "<table><tr><td><table><tr><td>x</td><td>y</td></tr></table></td></tr></table>",
                (1, 1),
            ),
            ("<table><tr></tr><td>1</td></table>", (1, 1)),
            ("<tr><td>1</td></tr>", (0, 0)),
        ] {
            assert_eq!(shape(html), expected, "{html}");
        }
    }

    #[test]
    fn printed_shapes_are_read() {
        for (text, expected) in [
            ("</table>\n<p>1000 rows × 5 columns</p>", Some((1000, 5))),
            ("<p>1,000 rows &times; 5 columns</p>", Some((1000, 5))),
            ("<small>shape: (1_000, 5)</small>", Some((1000, 5))),
            ("<p>many rows × 5 columns</p>", None),
            ("shape: (3,)", None),
            ("", None),
        ] {
            let found = Shape::printed_in(text).map(|shape| (shape.rows, shape.columns));
            assert_eq!(found, expected, "{text}");
        }
    }
}
