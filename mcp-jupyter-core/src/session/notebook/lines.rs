//! Where nbformat holds a multi-line string as a list of its lines: joined on reading, split on writing
//! (`nbformat/v4/rwbase.py`).

use crate::model::{Json, JsonMap};

/// Whether a MIME type holds JSON, which is no text and so neither joined nor split.
pub(super) fn is_json_mime(mime_type: &str) -> bool {
    mime_type == "application/json" || (mime_type.starts_with("application/") && mime_type.ends_with("+json"))
}

/// Whether the text of a MIME type is written as a list of lines.
pub(super) fn is_split_mime(mime_type: &str) -> bool {
    mime_type.starts_with("text/") || matches!(mime_type, "application/javascript" | "image/svg+xml")
}

/// Whether the data of an output of this type is a MIME bundle.
pub(super) fn has_bundle(output_type: &str) -> bool {
    matches!(output_type, "execute_result" | "display_data")
}

/// Joins every list of lines of a notebook of format 4; what has another shape is left as it is.
pub(super) fn join_document(document: &mut Json) {
    if let Some(members) = document.as_object_mut() {
        items_mut(members, "cells").iter_mut().for_each(join_cell);
    }
}

fn join_cell(cell: &mut Json) {
    let is_code = cell.get("cell_type").and_then(Json::as_str).as_deref() == Some("code");
    let Some(members) = cell.as_object_mut() else {
        return;
    };
    members.get_mut("source").map(join);
    if let Some(attachments) = members.get_mut("attachments").and_then(Json::as_object_mut) {
        attachments.values_mut().for_each(join_bundle);
    }
    if is_code {
        items_mut(members, "outputs").iter_mut().for_each(join_output);
    }
}

fn join_output(output: &mut Json) {
    let Some(members) = output.as_object_mut() else {
        return;
    };
    let output_type = members.get("output_type").and_then(Json::as_str).unwrap_or_default();
    if has_bundle(&output_type) {
        members.get_mut("data").map(join_bundle);
    } else if !output_type.is_empty() {
        members.get_mut("text").map(join);
    }
}

fn join_bundle(bundle: &mut Json) {
    let members = bundle.as_object_mut().into_iter().flatten();
    for (_, value) in members.filter(|(mime_type, _)| !is_json_mime(mime_type)) {
        join(value);
    }
}

/// Makes a list of strings one string.
fn join(value: &mut Json) {
    join_with(value, |_| "");
}

/// Makes a list of strings one string, with the separator that `separator` chooses by the first of them.
pub(super) fn join_with(value: &mut Json, separator: impl Fn(&str) -> &'static str) {
    let Json::Array(items) = value else {
        return;
    };
    if !items.iter().all(|item| item.as_text().is_some()) {
        return;
    }
    if let [Json::String(only)] = items.as_mut_slice() {
        *value = Json::String(std::mem::take(only));
        return;
    }
    let separator = items
        .first()
        .and_then(Json::as_str)
        .map_or("", |first| separator(&first));
    let texts = || items.iter().filter_map(Json::as_text);
    let mut whole = String::with_capacity(texts().map(|text| text.size() + separator.len()).sum());
    for (index, text) in texts().enumerate() {
        if index > 0 {
            whole.push_str(separator);
        }
        text.for_each_chunk(|chunk| whole.push_str(chunk));
    }
    *value = whole.into();
}

/// The items of the member `name`, none where it is no list.
pub(super) fn items_mut<'a>(members: &'a mut JsonMap, name: &str) -> &'a mut [Json] {
    match members.get_mut(name) {
        Some(Json::Array(items)) => items,
        _ => &mut [],
    }
}

/// Finds the first line boundary of Python's `str.splitlines`: its position and its length, in bytes.
///
/// `"\r\n"` counts as one boundary where both are in `text`.
pub(super) fn find_boundary(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| MAY_END_LINE[usize::from(*byte)])?;
        let length = match &bytes[at..] {
            [b'\r', b'\n', ..] | [0xc2, 0x85, ..] => 2,
            [b'\n' | 0x0b | 0x0c | b'\r' | 0x1c..=0x1e, ..] => 1,
            [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
            _ => 0,
        };
        if length > 0 {
            return Some((at, length));
        }
        from = at + 1;
    }
}

/// The bytes that a line boundary may start with; U+0085 starts with C2, U+2028 and U+2029 start with E2.
const MAY_END_LINE: [bool; 256] = {
    let mut table = [false; 256];
    let starts = [b'\n', 0x0b, 0x0c, b'\r', 0x1c, 0x1d, 0x1e, 0xc2, 0xe2];
    let mut index = 0;
    while index < starts.len() {
        table[starts[index] as usize] = true;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_boundary_of_splitlines_and_nothing_else() {
        let boundaries = "\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}";
        for char in (0..0x3000).filter_map(char::from_u32) {
            let expected = boundaries.contains(char).then_some((1, char.len_utf8()));
            assert_eq!(find_boundary(&format!("a{char}b")), expected, "{char:?}");
        }
        assert_eq!(find_boundary("é\r\n"), Some((2, 2)));
        assert_eq!(find_boundary("\n\r"), Some((0, 1)));
    }

    #[test]
    fn only_lists_of_strings_are_joined() {
        let joined = |document: &str| {
            let mut value = Json::parse(document.as_bytes()).unwrap();
            join(&mut value);
            value.to_string()
        };
        assert_eq!(joined(r#"["a\n","b"]"#), r#""a\nb""#);
        assert_eq!(joined("[]"), r#""""#);
        assert_eq!(joined(r#"["a",1]"#), r#"["a",1]"#);
        assert_eq!(joined(r#"{"a":["b"]}"#), r#"{"a":["b"]}"#);
    }
}
