//! From nbformat 2 and 3 to 4.5, as `nbformat/v4/convert.py` does it.

use super::lines::{items_mut, join_with};
use super::place::Place;
use super::read::expected;
use super::validate::Quirk;
use crate::model::{Json, JsonMap};
use crate::session::SessionError;

/// What version 3 called the MIME types that it knew.
const ALIASES: [(&str, &str); 8] = [
    ("text", "text/plain"),
    ("html", "text/html"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("latex", "text/latex"),
    ("json", "application/json"),
    ("javascript", "application/javascript"),
];

/// The members of an output that versions 2 and 3 hold as lists of lines.
const MULTI_LINE_OUTPUTS: [&str; 6] = ["text", "html", "svg", "latex", "javascript", "json"];

/// A level of a heading beyond this is no heading's.
const LEVEL_LIMIT: i64 = 100;

/// Nesting of a JSON output beyond this stays text, because the whole document could not be read again.
const JSON_DEPTH_LIMIT: usize = 256;

/// Makes `document`, of version `major`, one of version 4.5, without ids.
pub(super) fn to_v4(document: &mut Json, major: i64, quirks: &mut Vec<Quirk>) -> Result<(), SessionError> {
    let Json::Object(members) = document else {
        return Ok(());
    };
    let sheets = match members.shift_remove("worksheets") {
        Some(Json::Array(sheets)) => sheets,
        Some(other) => return Err(Place::Document.member("worksheets").invalid(expected("a list", &other))),
        None => return Err(Place::Document.member("worksheets").invalid("missing")),
    };
    let place = Place::Document.member("worksheets");
    let mut cells = Vec::new();
    for (index, sheet) in sheets.into_iter().enumerate() {
        append_sheet(sheet, &place.item(index), major, &mut cells)?;
    }
    for name in ["orig_nbformat", "orig_nbformat_minor"] {
        members.shift_remove(name);
    }
    if let Some(metadata) = members.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.shift_remove("name");
    }
    members.insert("cells".to_owned(), Json::Array(cells));
    members.insert("nbformat".to_owned(), Json::from(4_i64));
    members.insert("nbformat_minor".to_owned(), Json::from(5_i64));
    quirks.push(Quirk::new(
        Place::Document.member("nbformat"),
        format!("version {major} was upgraded to 4.5"),
    ));
    Ok(())
}

fn append_sheet(mut sheet: Json, place: &Place<'_>, major: i64, cells: &mut Vec<Json>) -> Result<(), SessionError> {
    let place = place.member("cells");
    let found = match sheet.take("cells") {
        Some(Json::Array(found)) => found,
        Some(other) => return Err(place.invalid(expected("a list", &other))),
        None => return Err(place.invalid("missing")),
    };
    for (index, mut cell) in found.into_iter().enumerate() {
        let place = place.item(index);
        let Json::Object(members) = &mut cell else {
            return Err(place.invalid(expected("an object", &cell)));
        };
        join_lines(members, major);
        upgrade_cell(members, &place)?;
        cells.push(cell);
    }
    Ok(())
}

fn join_lines(cell: &mut JsonMap, major: i64) {
    let mut join = |value: &mut Json| join_with(value, |first| separator(first, major));
    if !is_of_type(cell, "code") {
        for name in ["source", "rendered"] {
            cell.get_mut(name).map(&mut join);
        }
        return;
    }
    cell.get_mut("input").map(&mut join);
    for output in items_mut(cell, "outputs").iter_mut().filter_map(Json::as_object_mut) {
        for name in MULTI_LINE_OUTPUTS {
            output.get_mut(name).map(&mut join);
        }
    }
}

/// What stands between joined lines: version 2 wrote them without their ends, version 3 sometimes.
fn separator(first: &str, major: i64) -> &'static str {
    if major >= 3 && first.ends_with(['\n', '\r']) {
        ""
    } else {
        "\n"
    }
}

fn is_of_type(cell: &JsonMap, cell_type: &str) -> bool {
    cell.get("cell_type").and_then(Json::as_str).as_deref() == Some(cell_type)
}

fn upgrade_cell(cell: &mut JsonMap, place: &Place<'_>) -> Result<(), SessionError> {
    cell.entry("metadata".to_owned())
        .or_insert_with(|| JsonMap::new().into());
    // Version 3 knows no ids; nbformat, too, replaces what is there.
    cell.shift_remove("id");
    if is_of_type(cell, "code") {
        return upgrade_code_cell(cell, place);
    }
    if is_of_type(cell, "heading") {
        let level = heading_level(cell.shift_remove("level"), &place.member("level"))?;
        let source = cell.get("source").and_then(Json::as_str).unwrap_or_default();
        let source = format!("{} {}", "#".repeat(level), one_line(&source));
        cell.insert("source".to_owned(), source.into());
    }
    if is_of_type(cell, "heading") || is_of_type(cell, "html") {
        cell.insert("cell_type".to_owned(), "markdown".into());
    }
    Ok(())
}

fn heading_level(level: Option<Json>, place: &Place<'_>) -> Result<usize, SessionError> {
    let Some(level) = level else {
        return Ok(1);
    };
    match level.as_i64() {
        Some(level) if level <= LEVEL_LIMIT => Ok(usize::try_from(level).unwrap_or(0)),
        _ => Err(place.invalid("a level from 1 to 6 was expected")),
    }
}

/// The lines of `text` with a space between them.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, length)) = super::lines::find_boundary(rest) {
        line.push_str(&rest[..at]);
        rest = &rest[at + length..];
        if !rest.is_empty() {
            line.push(' ');
        }
    }
    line.push_str(rest);
    line
}

fn upgrade_code_cell(cell: &mut JsonMap, place: &Place<'_>) -> Result<(), SessionError> {
    cell.shift_remove("language");
    if let Some(collapsed) = cell.shift_remove("collapsed")
        && let Some(metadata) = cell.get_mut("metadata").and_then(Json::as_object_mut)
    {
        metadata.insert("collapsed".to_owned(), collapsed);
    }
    let source = cell.shift_remove("input").unwrap_or_else(|| "".into());
    cell.insert("source".to_owned(), source);
    let count = cell.shift_remove("prompt_number").unwrap_or_default();
    cell.insert("execution_count".to_owned(), count);
    let outputs = place.member("outputs");
    for (index, output) in items_mut(cell, "outputs").iter_mut().enumerate() {
        if let Some(output) = output.as_object_mut() {
            upgrade_output(output, &outputs.item(index))?;
        }
    }
    Ok(())
}

fn upgrade_output(output: &mut JsonMap, place: &Place<'_>) -> Result<(), SessionError> {
    let output_type = output
        .get("output_type")
        .and_then(Json::as_str)
        .unwrap_or_default()
        .into_owned();
    match output_type.as_str() {
        "pyout" => {
            let count = output.shift_remove("prompt_number").unwrap_or_default();
            output.insert("execution_count".to_owned(), count);
            output.insert("output_type".to_owned(), "execute_result".into());
            gather_data(output, place)
        }
        "display_data" => gather_data(output, place),
        "pyerr" => {
            output.insert("output_type".to_owned(), "error".into());
            Ok(())
        }
        "stream" => {
            let name = output.shift_remove("stream").unwrap_or_else(|| "stdout".into());
            output.insert("name".to_owned(), name);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Moves what version 3 holds beside the output's own members into a MIME bundle.
fn gather_data(output: &mut JsonMap, place: &Place<'_>) -> Result<(), SessionError> {
    let (own, mut data): (JsonMap, JsonMap) = std::mem::take(output)
        .into_iter()
        .partition(|(name, _)| matches!(name.as_str(), "output_type" | "execution_count" | "metadata"));
    *output = own;
    name_mime_types(&mut data);
    if let Some(json) = data.get_mut("application/json") {
        parse_json(json, &place.member("json"))?;
    }
    output.insert("data".to_owned(), data.into());
    let metadata = output
        .entry("metadata".to_owned())
        .or_insert_with(|| JsonMap::new().into());
    metadata.as_object_mut().map(name_mime_types);
    Ok(())
}

fn name_mime_types(members: &mut JsonMap) {
    for (alias, mime_type) in ALIASES {
        if let Some(value) = members.shift_remove(alias) {
            members.insert(mime_type.to_owned(), value);
        }
    }
}

/// Version 3 holds JSON as text.
fn parse_json(value: &mut Json, place: &Place<'_>) -> Result<(), SessionError> {
    let text = value
        .as_str()
        .ok_or_else(|| place.invalid(expected("JSON in a string", value)))?;
    let parsed = Json::parse(text.as_bytes()).map_err(|error| place.invalid(format!("no JSON: {error}")))?;
    if depth(&parsed) <= JSON_DEPTH_LIMIT {
        *value = parsed;
    }
    Ok(())
}

fn depth(value: &Json) -> usize {
    let deepest = match value {
        Json::Array(items) => items.iter().map(depth).max(),
        Json::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
