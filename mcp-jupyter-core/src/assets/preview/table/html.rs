use super::shape::{Counter, Event, Shape};
use super::tags::{Piece, Pieces, Tag, is_one_of};

/// How many rows of the body are shown.
const ROWS: u64 = 10;

/// How many bytes the start of the document may have up to the last row that is shown.
const BYTES: usize = 16 << 10;

/// The largest style sheet that is kept.
const STYLE_BYTES: usize = 4096;

/// Browsers give up on deeper documents as well.
const DEPTH: usize = 200;

/// How far behind a table its shape is looked for.
const SHAPE_BYTES: usize = 300;

const CELLS: [&str; 2] = ["td", "th"];
const SECTIONS: [&str; 3] = ["thead", "tbody", "tfoot"];
/// What a row or a section closes besides cells and rows.
const BEFORE_ROWS: [&str; 2] = ["caption", "colgroup"];

/// The head and the first ten rows of the first table of an HTML document, what the document has before it, and a
/// paragraph with the table's shape and `note`.
///
/// Fewer rows are shown where ten take more than 16 KiB; there is no preview where one does, and where there is no table
/// with rows. The shape is the one that pandas or polars printed beside the table, else it is counted. Scripts, comments
/// and style sheets of more than 4 KiB are left out; every element that the preview opens it closes.
///
/// ```
/// use mcp_jupyter_core::assets::preview::html_preview;
///
/// let rows: String = (0..5000).map(|at| format!("<tr><th>{at}</th><td>{}</td></tr>", at * at)).collect();
/// let html = format!("<div><table><thead><tr><th></th><th>square</th></tr></thead><tbody>{rows}</tbody></table></div>");
///
/// let preview = html_preview(&html, "all of them in squares.html").unwrap();
/// assert!(preview.contains("<th>9</th><td>81</td>") && !preview.contains("<th>10</th>"));
/// assert!(preview.ends_with("</table></div><p>5,000 rows × 1 column; all of them in squares.html</p>"));
/// ```
pub fn html_preview(html: &str, note: &str) -> Option<String> {
    let mut table = FirstTable::default();
    let mut pieces = Pieces::of(html);
    for piece in pieces.by_ref() {
        table.take(&piece)?;
        if table.is_over() {
            break;
        }
    }
    let rest = pieces.rest();
    table.finish(&rest[..rest.floor_char_boundary(SHAPE_BYTES)], note)
}

/// The first table of a document while its pieces go by.
#[derive(Default)]
struct FirstTable<'a> {
    copy: Excerpt<'a>,
    counter: Counter,
    has_begun: bool,
    /// The copy up to the last row of the body that ended.
    good: Option<Excerpt<'a>>,
    /// Whether all rows have been copied that are shown.
    is_copied: bool,
    printed: Option<Shape>,
}

impl<'a> FirstTable<'a> {
    /// None where there can be no preview.
    fn take(&mut self, piece: &Piece<'a>) -> Option<()> {
        if let Piece::Tag(tag) = piece {
            self.count(tag);
        }
        if self.is_copied || self.counter.is_in_foot() {
            return Some(());
        }
        let copied = match piece {
            Piece::Text(text) => self.copy.text(text),
            Piece::Raw { name, source } => self.copy.raw(name, source),
            Piece::Tag(tag) => self.copy.tag(tag),
        };
        if copied.is_none() {
            self.copy = self.good.take()?;
            self.is_copied = true;
        }
        Some(())
    }

    fn count(&mut self, tag: &Tag<'a>) {
        if !self.has_begun && tag.is("table") && !tag.is_end {
            self.has_begun = true;
            self.printed = Shape::printed_in(&self.copy.out);
        }
        let event = self.counter.see(tag);
        if event == Event::Nothing || self.is_copied {
            return;
        }
        self.copy.end_row();
        if event == Event::RowEnded {
            self.good = Some(self.copy.clone());
            self.is_copied = self.counter.shape().rows == ROWS;
        }
    }

    fn is_over(&self) -> bool {
        self.has_begun && !self.counter.is_inside()
    }

    fn finish(mut self, behind: &str, note: &str) -> Option<String> {
        self.counter.end_row();
        let counted = self.counter.shape();
        if counted.rows == 0 {
            return None;
        }
        let shape = self
            .printed
            .or_else(|| Shape::printed_in(behind))
            .filter(|printed| printed.rows >= counted.rows)
            .unwrap_or(counted);
        self.copy.close_from(0);
        let separator = if note.is_empty() { "" } else { "; " };
        Some(format!("{}<p>{shape}{separator}{}</p>", self.copy.out, escaped(note)))
    }
}

/// A part of a document in which every element that is opened can be closed.
#[derive(Clone, Default)]
struct Excerpt<'a> {
    out: String,
    /// The elements that are open, the innermost last.
    open: Vec<&'a str>,
    /// How many bytes their end tags will have.
    end_tags: usize,
}

/// Where a method gives an option, it is none where there is no room.
impl<'a> Excerpt<'a> {
    fn room_for(&self, size: usize) -> Option<()> {
        (self.out.len() + self.end_tags + size <= BYTES).then_some(())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        self.room_for(text.len() + "&lt;".len())?;
        // It begins no tag here, but might before what follows in the copy.
        let rest = text.strip_prefix('<').inspect(|_| self.out.push_str("&lt;"));
        self.out.push_str(rest.unwrap_or(text));
        Some(())
    }

    fn raw(&mut self, name: &str, source: &str) -> Option<()> {
        if !name.eq_ignore_ascii_case("style") || source.len() > STYLE_BYTES {
            return Some(());
        }
        self.room_for(source.len() + end_tag_length(name))?;
        self.out.push_str(source);
        self.push_end_tag(name);
        Some(())
    }

    fn tag(&mut self, tag: &Tag<'a>) -> Option<()> {
        if tag.is_end {
            self.end_tag(tag);
            return Some(());
        }
        let is_cell = tag.is_one_of(&CELLS);
        let is_row = tag.is("tr");
        let is_part = is_cell || is_row || tag.is_one_of(&SECTIONS) || tag.is_one_of(&BEFORE_ROWS);
        // Browsers ignore the parts of a table outside of one, and nothing after this tag is markup.
        if (is_part && self.table().is_none()) || tag.is("plaintext") {
            return Some(());
        }
        if is_part {
            self.close_before(|name| {
                is_one_of(name, &CELLS)
                    || !is_cell && (name.eq_ignore_ascii_case("tr") || is_one_of(name, &BEFORE_ROWS))
                    || !is_cell && !is_row && is_one_of(name, &SECTIONS)
            });
        }
        self.room_for(tag.source.len() + end_tag_length(tag.name))?;
        self.out.push_str(tag.source);
        // HTML ignores the slash of `<td/>`; other vocabularies inside of it do not.
        let has_content = is_part || tag.is("table") || !tag.is_closed;
        if has_content && !tag.is_void() {
            self.open.push(tag.name);
            self.end_tags += end_tag_length(tag.name);
        }
        (self.open.len() <= DEPTH).then_some(())
    }

    fn end_tag(&mut self, tag: &Tag<'a>) {
        let floor = match self.table() {
            Some(table) if tag.is("table") => table,
            Some(table) => table + 1,
            None => 0,
        };
        if let Some(at) = self.open[floor..].iter().rposition(|name| tag.is(name)) {
            self.close_from(floor + at);
        }
    }

    /// Closes the row of the innermost table.
    fn end_row(&mut self) {
        self.close_before(|name| is_one_of(name, &CELLS) || name.eq_ignore_ascii_case("tr"));
    }

    /// Where in `open` the innermost table is.
    fn table(&self) -> Option<usize> {
        self.open.iter().rposition(|name| name.eq_ignore_ascii_case("table"))
    }

    /// Closes the outermost element of the innermost table that `is_closed` names, and what it holds.
    fn close_before(&mut self, is_closed: impl Fn(&str) -> bool) {
        let Some(table) = self.table() else { return };
        if let Some(at) = self.open[table..].iter().position(|name| is_closed(name)) {
            self.close_from(table + at);
        }
    }

    fn close_from(&mut self, at: usize) {
        for name in self.open.split_off(at).into_iter().rev() {
            self.end_tags -= end_tag_length(name);
            self.push_end_tag(name);
        }
    }

    fn push_end_tag(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

fn end_tag_length(name: &str) -> usize {
    name.len() + "</>".len()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(count: usize) -> String {
        let row = |at| format!("<tr><th>{at}</th><td>v{at}</td></tr>\n");
        (0..count).map(row).collect()
    }

    fn pandas(rows: &str, behind: &str) -> String {
        format!(
            "<div>\n<style scoped>\n    .dataframe th {{ text-align: right; }}\n</style>\n<table border=\"1\" \
             class=\"dataframe\">\n<thead><tr><th></th><th>a</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n{behind}</div>"
        )
    }

    #[test]
    fn the_head_and_ten_rows_are_kept() {
        let preview = html_preview(&pandas(&rows(1234), ""), "see <a> & \"b\"").unwrap();
        let expected = pandas(&rows(10), "").replace("\n</tbody>\n</table>\n</div>", "</tbody></table></div>");
        assert_eq!(
            preview,
            expected + "<p>1,234 rows × 1 column; see &lt;a&gt; &amp; &quot;b&quot;</p>"
        );
    }

    #[test]
    fn a_small_table_is_whole() {
        let html = "<table><tr><th>a<tr><td>1<td>2<tr><td>3</table> <p>more</p>";
        let expected = "<table><tr><th>a</th></tr><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>";
        assert_eq!(
            html_preview(html, "").unwrap(),
            format!("{expected}<p>2 rows × 2 columns</p>")
        );
    }

    #[test]
    fn printed_shapes_are_preferred() {
        let html = pandas(&rows(60), "<p>100000 rows × 7 columns</p>\n");
        assert!(
            html_preview(&html, "n")
                .unwrap()
                .ends_with("<p>100,000 rows × 7 columns; n</p>")
        );
        let html = format!("<small>shape: (5_000, 1)</small>{}", pandas(&rows(8), ""));
        assert!(
            html_preview(&html, "")
                .unwrap()
                .ends_with("<p>5,000 rows × 1 column</p>")
        );
        let html = pandas(&rows(60), "<p>3 rows × 7 columns</p>");
        assert!(html_preview(&html, "").unwrap().ends_with("<p>60 rows × 1 column</p>"));
    }

    #[test]
    fn there_is_no_preview_without_rows_or_with_a_huge_one() {
        let huge = "x".repeat(BYTES);
        for html in [
            "",
            "<p>no</p>",
            "<!-- <table><tr><td>1</td></tr></table> -->",
            "<script>'<table><tr><td>1'</script>",
            "<table></table>",
            "<table><thead><tr><th>a</th></tr></thead></table>",
            "<tr><td>1</td></tr>",
            &format!("<table><tr><td>{huge}</td></tr></table>"),
            &format!("<p>{huge}</p>{}", pandas(&rows(3), "")),
            &("<b>".repeat(1000) + "<table><tr><td>1"),
        ] {
            assert_eq!(html_preview(html, "note"), None, "{html:.100}");
        }
    }

    #[test]
    fn only_rows_that_fit_are_shown() {
        let wide = format!("<tr><td>{}</td></tr>", "x".repeat(5000));
        let preview = html_preview(&format!("<table><tbody>{}</tbody></table>", wide.repeat(7)), "").unwrap();
        assert_eq!(
            preview,
            format!(
                "<table><tbody>{}</tbody></table><p>7 rows × 1 column</p>",
                wide.repeat(3)
            )
        );
    }

    #[test]
    fn scripts_comments_large_styles_and_feet_are_left_out() {
        let style = format!("<STYLE>{}</STYLE>", "x".repeat(STYLE_BYTES));
        let html = format!(
            "{style}<style>a > b</style><script>x()</script><!-- c --><table><tfoot><tr><td>sum</td></tr></tfoot>\
             <tbody><tr><td>1 <!-- -->< 2</td></tr></tbody></table>"
        );
        assert_eq!(
            html_preview(&html, "").unwrap(),
            "<style>a > b</style><table><tbody><tr><td>1 &lt; 2</td></tr></tbody></table><p>1 row × 1 column</p>"
        );
    }

    #[test]
    fn nested_tables_are_cells() {
        let inner = "<table><tr><td>a</td></tr><tr><td>b</td></tr></table>";
        let html = format!("<table>{}</table>", format!("<tr><td>{inner}</td></tr>").repeat(12));
        let expected = format!("<table>{}</table>", format!("<tr><td>{inner}</td></tr>").repeat(10));
        assert_eq!(html_preview(&html, "").unwrap(), expected + "<p>12 rows × 1 column</p>");
    }

    /// Whether every element is closed in the order in which they were opened.
    fn is_balanced(html: &str) -> bool {
        let mut open = Vec::new();
        for piece in Pieces::of(html) {
            let Piece::Tag(tag) = piece else { continue };
            let is_part = tag.is_one_of(&[
                "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "colgroup",
            ]);
            if tag.is_end {
                if open.pop().is_none_or(|name| !tag.is(name)) {
                    return false;
                }
            } else if !tag.is_void() && (is_part || !tag.is_closed) {
                open.push(tag.name);
            }
        }
        open.is_empty()
    }

    fn fragments() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "table",
            "TABLE",
            "thead",
            "tbody",
            "tfoot",
            "tr",
            "TR",
            "td",
            "th",
            "div",
            "b",
            "br",
            "style",
            "script",
            "caption",
            "colgroup",
            "col",
            "p",
            "title",
            "plaintext",
            "é",
        ]);
        let attributes = prop::sample::select(vec![
            "",
            " a=\"x>y\"",
            " a='",
            " a=\"",
            " colspan=3",
            "/",
            " =\"",
            " a = b\"c",
            " colspan='é'",
        ]);
        let fragment = prop_oneof![
            4 => (name.clone(), attributes).prop_map(|(name, attributes)| format!("<{name}{attributes}>")),
            3 => name.prop_map(|name| format!("</{name}>")),
            2 => "[a-zé<>&\"'/!= -]{0,8}",
            1 => prop::sample::select(vec!["<!--", "-->", "<!", "<?", "</", "<", "é", "<!-->", "x rows × y columns"])
                .prop_map(str::to_owned),
            1 => Just("<tr><td>1</td></tr>".repeat(4)),
            1 => Just("x".repeat(6000)),
        ];
        prop::collection::vec(fragment, 0..80).prop_map(|fragments| fragments.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_preview_is_balanced_and_small(start in ".{0,10}", html in fragments()) {
            for html in [format!("{start}{html}"), format!("<table><tr><td>1</td></tr>{html}")] {
                if let Some(preview) = html_preview(&html, "note") {
                    prop_assert!(is_balanced(&preview), "{preview}");
                    prop_assert!(preview.len() <= BYTES + 200);
                    prop_assert!(preview.ends_with("note</p>"));
                }
            }
        }
    }
}
