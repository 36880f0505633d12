use std::fmt::{self, Write};

use super::size::{as_u64, counted, grouped, human_size};
use crate::model::{Json, JsonMap, Number, Text};

/// How many bytes of JSON a preview may have.
const BYTES: usize = 8192;

/// What begins every text that stands for something left out.
const MARK: &str = "…";

/// How much of a value is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Levels of objects and arrays, the outermost included.
    pub(super) depth: usize,
    /// Members or items of each.
    pub(super) items: usize,
    /// Characters of each string.
    pub(super) chars: usize,
}

/// Tried in turn until the preview is small enough; the last always is.
const STEPS: [Shown; 7] = [
    Shown {
        depth: 3,
        items: 20,
        chars: 200,
    },
    Shown {
        depth: 3,
        items: 10,
        chars: 100,
    },
    Shown {
        depth: 3,
        items: 5,
        chars: 60,
    },
    Shown {
        depth: 2,
        items: 10,
        chars: 60,
    },
    Shown {
        depth: 2,
        items: 5,
        chars: 40,
    },
    Shown {
        depth: 1,
        items: 10,
        chars: 40,
    },
    Shown {
        depth: 1,
        items: 0,
        chars: 40,
    },
];

/// The first levels of `value`, in at most 8 KiB of JSON.
///
/// Three levels are shown of objects and arrays, 20 members or items of each, 200 characters of a string; less where that
/// is too much. A text that begins with `…` says what is left out: at the end of a string, as the last item of an array,
/// as the last member of an object (whose name is `…`), and in place of what lies deeper.
///
/// ```
/// use mcp_jupyter_core::assets::preview::json_preview;
/// use mcp_jupyter_core::model::Json;
///
/// let losses = Json::Array((0..1_000_000_i64).map(Json::from).collect::<Vec<_>>());
/// let value = Json::from_iter([("model", Json::from("small")), ("losses", losses)]);
///
/// let shown = json_preview(&value).to_string();
/// assert!(shown.starts_with(r#"{"model":"small","losses":[0,1,2,"#));
/// assert!(shown.ends_with(r#",19,"… 999,980 more items"]}"#));
/// ```
pub fn json_preview(value: &Json) -> Json {
    STEPS
        .into_iter()
        .map(|shown| shrunk(value, shown))
        .find(|preview| is_within(preview, BYTES))
        .expect("the last step keeps at most one string and a number of items")
}

/// The first levels of `value`, as much of it as `shown` says.
pub(super) fn shrunk(value: &Json, shown: Shown) -> Json {
    match value {
        Json::Null | Json::Bool(_) => value.clone(),
        Json::Number(number) => shrunk_number(number, shown.chars),
        Json::String(text) => shrunk_text(text, shown.chars),
        Json::Array(items) if items.is_empty() => value.clone(),
        Json::Object(members) if members.is_empty() => value.clone(),
        Json::Array(items) if shown.depth == 0 => format!("{MARK} {}", counted(as_u64(items.len()), "item")).into(),
        Json::Object(members) if shown.depth == 0 => {
            format!("{MARK} {}", counted(as_u64(members.len()), "member")).into()
        }
        Json::Array(items) => shrunk_array(items, shown),
        Json::Object(members) => shrunk_object(members, shown),
    }
}

fn shrunk_array(items: &[Json], shown: Shown) -> Json {
    let mut out: Vec<Json> = items
        .iter()
        .take(shown.items)
        .map(|item| shrunk(item, shown.inside()))
        .collect();
    if items.len() > shown.items {
        out.push(format!("{MARK} {}", counted_more(items.len() - shown.items, "item")).into());
    }
    out.into()
}

fn shrunk_object(members: &JsonMap, shown: Shown) -> Json {
    let mut out = JsonMap::new();
    for (name, value) in members.iter().take(shown.items) {
        let name = cut(name, shown.chars).unwrap_or_else(|| name.clone());
        out.insert(free_name(&out, name), shrunk(value, shown.inside()));
    }
    if members.len() > shown.items {
        let more = format!("{MARK} {}", counted_more(members.len() - shown.items, "member"));
        out.insert(free_name(&out, MARK.to_owned()), more.into());
    }
    out.into()
}

impl Shown {
    fn inside(self) -> Self {
        Self {
            depth: self.depth - 1,
            ..self
        }
    }
}

/// `name`, told apart from those that are there: names that differ late are alike when they are cut.
fn free_name(members: &JsonMap, mut name: String) -> String {
    while members.contains_key(&name) {
        name.push_str(MARK);
    }
    name
}

fn counted_more(number: usize, noun: &str) -> String {
    let number = as_u64(number);
    format!("{} more {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

fn shrunk_text(text: &Text, chars: usize) -> Json {
    let mut start = Start::of(chars);
    text.for_each_chunk(|chunk| start.take(chunk));
    Json::from(if start.is_cut {
        start.with_rest_of(text.size())
    } else {
        start.text
    })
}

fn shrunk_number(number: &Number, chars: usize) -> Json {
    let mut start = Start::of(chars);
    write!(start, "{number}").expect("a start takes everything");
    if start.is_cut {
        Json::from(format!("{}{MARK}", start.text))
    } else {
        Json::Number(number.clone())
    }
}

/// The first characters of `text` and how much follows; none where that is all of it.
pub(super) fn cut(text: &str, chars: usize) -> Option<String> {
    let mut start = Start::of(chars);
    start.take(text);
    start.is_cut.then(|| start.with_rest_of(text.len()))
}

/// The first characters of a text that comes in parts.
struct Start {
    text: String,
    chars_left: usize,
    is_cut: bool,
}

impl Start {
    fn of(chars: usize) -> Self {
        Self {
            text: String::new(),
            chars_left: chars,
            is_cut: false,
        }
    }

    fn take(&mut self, part: &str) {
        if self.is_cut {
            return;
        }
        let mut rest = part.chars();
        let taken = rest.by_ref().take(self.chars_left).count();
        self.chars_left -= taken;
        let rest = rest.as_str();
        self.text.push_str(&part[..part.len() - rest.len()]);
        self.is_cut = !rest.is_empty();
    }

    fn with_rest_of(self, size: usize) -> String {
        let rest = as_u64(size.saturating_sub(self.text.len()));
        format!("{}{MARK} {} more", self.text, human_size(rest))
    }
}

impl Write for Start {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.take(part);
        Ok(())
    }
}

/// Whether `value` is written in at most `bytes` bytes.
pub(super) fn is_within(value: &Json, bytes: usize) -> bool {
    write!(Room(bytes), "{value}").is_ok()
}

struct Room(usize);

impl Write for Room {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(part.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(document: &str) -> String {
        json_preview(&Json::parse(document.as_bytes()).unwrap()).to_string()
    }

    #[test]
    fn what_is_small_is_whole() {
        for document in [
            "null",
            "-0",
            "1e5",
            "NaN",
            r#""é""#,
            "[]",
            "{}",
            r#"{"a":[[1,{}],{"b":[]}],"…":true}"#,
        ] {
            assert_eq!(shown(document), document);
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        let digits = "7".repeat(300);
        for (document, expected) in [
            ("[[[[1]]]]".to_owned(), r#"[[["… 1 item"]]]"#.to_owned()),
            (r#"[[[{"a":1,"b":2}]]]"#.to_owned(), r#"[[["… 2 members"]]]"#.to_owned()),
            (
                format!("[{}0]", "0,".repeat(20)),
                format!(r#"[{}"… 1 more item"]"#, "0,".repeat(20)),
            ),
            (
                format!(r#""{}""#, "é".repeat(201)),
                format!(r#""{}… 2 bytes more""#, "é".repeat(200)),
            ),
            (digits.clone(), format!(r#""{}…""#, &digits[..200])),
        ] {
            assert_eq!(shown(&document), expected);
        }
    }

    #[test]
    fn members_keep_distinct_names() {
        let long = "k".repeat(300);
        let document = format!(r#"{{"{long}1":1,"{long}2":2,"…":3}}"#);
        let start = "k".repeat(200);
        let expected = format!(r#"{{"{start}… 101 bytes more":1,"{start}… 101 bytes more…":2,"…":3}}"#);
        assert_eq!(shown(&document), expected);
        let name = |at: i64| if at == 0 { "…".to_owned() } else { at.to_string() };
        let many: Json = (0..30).map(|at| (name(at), at)).collect();
        assert!(
            json_preview(&many)
                .to_string()
                .ends_with(r#""19":19,"……":"… 10 more members"}"#)
        );
    }

    #[test]
    fn a_text_of_many_pieces_is_cut() {
        let mut text = Text::from("a".repeat(2 << 20));
        text.append(Text::from("b".repeat(2 << 20)));
        let shown = json_preview(&Json::from(text)).to_string();
        assert_eq!(shown, format!(r#""{}… 4.2 MB more""#, "a".repeat(200)));
    }

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<f64>().prop_map(Json::from),
            ".{0,300}".prop_map(Json::from),
            Just(Json::from("\u{1}".repeat(5000))),
        ];
        leaf.prop_recursive(6, 400, 30, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..30).prop_map(Json::from),
                prop::collection::vec(("[a-c…]{0,2}|\u{1}{300}", inner), 0..30).prop_map(Json::from_iter),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_preview_is_small_json(value in values()) {
            let preview = json_preview(&value);
            let written = preview.to_string();
            prop_assert!(written.len() <= BYTES);
            prop_assert_eq!(Json::parse(written.as_bytes()).unwrap(), preview);
        }

        #[test]
        fn the_last_step_always_fits(value in values()) {
            prop_assert!(is_within(&shrunk(&value, STEPS[STEPS.len() - 1]), 1024));
        }
    }
}
