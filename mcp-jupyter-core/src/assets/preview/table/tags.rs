/// Elements whose content is text up to their end tag, whatever stands in it.
const RAW: [&str; 8] = [
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes",
];

/// Elements without content.
const VOID: [&str; 13] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
];

/// A part of an HTML document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text, its character references included. A `<` in it begins no tag.
    Text(&'a str),
    Tag(Tag<'a>),
    /// An element whose content is no markup: its start tag and its content.
    Raw {
        name: &'a str,
        source: &'a str,
    },
}

/// A start or an end tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) is_end: bool,
    /// Whether it ends with `/>`.
    pub(super) is_closed: bool,
    /// How many columns it covers, as its attribute `colspan` says.
    pub(super) columns: u64,
    pub(super) source: &'a str,
}

impl Tag<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    pub(super) fn is_one_of(&self, names: &[&str]) -> bool {
        is_one_of(self.name, names)
    }

    /// Whether no end tag belongs to it.
    pub(super) fn is_void(&self) -> bool {
        self.is_one_of(&VOID)
    }
}

pub(super) fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// The text and the tags of an HTML document in their order, as the HTML standard tells them apart.
///
/// Comments, declarations and what the document ends in the middle of are left out.
pub(super) struct Pieces<'a> {
    html: &'a str,
    at: usize,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(html: &'a str) -> Self {
        Self { html, at: 0 }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a str {
        &self.html[self.at..]
    }

    fn skip_past(&mut self, end: &str) {
        self.at = match self.rest().find(end) {
            Some(found) => self.at + found + end.len(),
            None => self.html.len(),
        };
    }

    fn skip_comment(&mut self) {
        let rest = self.rest();
        match ["<!-->", "<!--->"].into_iter().find(|empty| rest.starts_with(empty)) {
            Some(empty) => self.at += empty.len(),
            None => {
                self.at += "<!--".len();
                self.skip_past("-->");
            }
        }
    }

    fn tag(&mut self) -> Option<Piece<'a>> {
        let rest = self.rest();
        let is_end = rest.starts_with("</");
        let name_start = 1 + usize::from(is_end);
        let name = &rest[name_start..];
        let name = &name[..name.find(ends_name).unwrap_or(name.len())];
        let mut columns = 1;
        let end = attributes_end(rest, name_start + name.len(), |attribute, value| {
            if attribute.eq_ignore_ascii_case("colspan") {
                columns = value.trim().parse().unwrap_or(1).clamp(1, 1000);
            }
        });
        let Some(end) = end else {
            self.at = self.html.len();
            return None;
        };
        let start = self.at;
        self.at += end;
        if !is_end && is_one_of(name, &RAW) {
            let source = &self.html[start..self.skip_raw(name)?];
            return Some(Piece::Raw { name, source });
        }
        let source = &rest[..end];
        let is_closed = source.ends_with("/>");
        Some(Piece::Tag(Tag {
            name,
            is_end,
            is_closed,
            columns,
            source,
        }))
    }

    /// Goes past the end tag of the element `name` and gives where that begins; none where the document ends before.
    fn skip_raw(&mut self, name: &str) -> Option<usize> {
        loop {
            self.skip_past("</");
            let rest = self.rest();
            if rest.is_empty() {
                return None;
            }
            let is_name = rest
                .get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name));
            if is_name && rest[name.len()..].starts_with(ends_name) {
                let start = self.at - "</".len();
                let length = attributes_end(rest, name.len(), |_, _| ());
                self.at += length.unwrap_or(rest.len());
                return length.map(|_| start);
            }
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let rest = self.rest();
            let second = rest.as_bytes().get(1);
            match (rest.as_bytes().first()?, second) {
                (b'<', Some(letter)) if letter.is_ascii_alphabetic() => return self.tag(),
                (b'<', Some(b'/')) if rest.as_bytes().get(2).is_some_and(u8::is_ascii_alphabetic) => return self.tag(),
                (b'<', Some(b'!')) if rest.starts_with("<!--") => self.skip_comment(),
                (b'<', Some(b'!' | b'?' | b'/')) => self.skip_past(">"),
                _ => {
                    // A `<` that got here begins no tag.
                    let start = usize::from(rest.starts_with('<'));
                    let length = rest[start..].find('<').map_or(rest.len(), |found| start + found);
                    self.at += length;
                    return Some(Piece::Text(&rest[..length]));
                }
            }
        }
    }
}

fn ends_name(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0c' | '/' | '>')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

/// Calls `seen` with the attributes from `at` on; gives the end of the tag, none where it has none.
fn attributes_end<'a>(html: &'a str, mut at: usize, mut seen: impl FnMut(&'a str, &'a str)) -> Option<usize> {
    let bytes = html.as_bytes();
    let next = |from: usize, is_wanted: fn(u8) -> bool| {
        let found = bytes[from..].iter().position(|byte| is_wanted(*byte));
        found.map(|found| from + found)
    };
    loop {
        at = next(at, |byte| !is_space(byte) && byte != b'/')?;
        if bytes[at] == b'>' {
            return Some(at + 1);
        }
        // The first byte belongs to the name even where it is `=`.
        let name_end = next(at + 1, |byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'='))?;
        let name = &html[at..name_end];
        at = next(name_end, |byte| !is_space(byte))?;
        if bytes[at] != b'=' {
            seen(name, "");
            continue;
        }
        at = next(at + 1, |byte| !is_space(byte))?;
        let (value_start, value_end) = match bytes[at] {
            b'"' => (at + 1, next(at + 1, |byte| byte == b'"')?),
            b'\'' => (at + 1, next(at + 1, |byte| byte == b'\'')?),
            _ => (at, next(at, |byte| is_space(byte) || byte == b'>')?),
        };
        seen(name, &html[value_start..value_end]);
        at = value_end + (value_start - at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(html: &str) -> Vec<&str> {
        Pieces::of(html)
            .map(|piece| match piece {
                Piece::Text(source) | Piece::Raw { source, .. } => source,
                Piece::Tag(tag) => tag.source,
            })
            .collect()
    }

    #[test]
    fn tags_end_where_browsers_end_them() {
        for (html, expected) in [
            ("", vec![]),
            ("a<b>c</b >", vec!["a", "<b>", "c", "</b >"]),
            (r#"<td title="a>b">c"#, vec![r#"<td title="a>b">"#, "c"]),
            ("<td title='a>b' x>c", vec!["<td title='a>b' x>", "c"]),
            (r#"<td title = "a>b">c"#, vec![r#"<td title = "a>b">"#, "c"]),
            (r#"<td a"b>c"#, vec![r#"<td a"b>"#, "c"]),
            (r#"<td a=b"c>d"#, vec![r#"<td a=b"c>"#, "d"]),
            (r#"<td =">c"#, vec![r#"<td =">"#, "c"]),
            ("<td a=>c", vec!["<td a=>", "c"]),
            ("<td/>", vec!["<td/>"]),
            ("<é>1 < 2 <", vec!["<é>1 ", "< 2 ", "<"]),
            ("<!DOCTYPE html><?xml?></ b>x", vec!["x"]),
            ("<!-- <b> -->x<!-->y<!--->z<!-- ", vec!["x", "y", "z"]),
            ("x<td a=\"b>", vec!["x"]),
            ("x<td", vec!["x"]),
            (
                "<style>a > b </styles> </é </STYLE >x",
                vec!["<style>a > b </styles> </é ", "x"],
            ),
            ("<style></style a='>'>x", vec!["<style>", "x"]),
            ("<script>'<b>'", vec![]),
            ("<script></scrip", vec![]),
            ("<script></script", vec![]),
        ] {
            assert_eq!(sources(html), expected, "{html}");
        }
    }

    #[test]
    fn tags_are_described() {
        let tag = |html| match Pieces::of(html).next() {
            Some(Piece::Tag(tag)) => tag,
            other => panic!("{other:?} is no tag"),
        };
        assert_eq!(tag("<TD é=1 ColSpan=' 3 '>").columns, 3);
        assert_eq!(tag("<td colspan=99999999>").columns, 1000);
        assert_eq!(tag("<td colspan=x>").columns, 1);
        assert!(tag("<TD>").is("td") && tag("</td>").is_end && tag("<br/>").is_closed && tag("<BR>").is_void());
    }
}
