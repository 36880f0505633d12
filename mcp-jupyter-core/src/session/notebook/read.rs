//! From a JSON document to a notebook: what is structurally broken is refused, what is merely missing is noted.

use super::cell::{Cell, CellType};
use super::document::Notebook;
use super::place::Place;
use super::validate::Quirk;
use super::{ids, lines, upgrade, validate};
use crate::model::{CellId, Json, JsonError, JsonMap};
use crate::session::SessionError;

/// Members of the notebook's metadata that nbformat strips on reading and on writing.
pub(in crate::session) const TRANSIENT: &[&str] = &["orig_nbformat", "orig_nbformat_minor", "signature"];
/// The same of a cell's metadata.
pub(in crate::session) const TRANSIENT_IN_CELL: &[&str] = &["trusted"];

/// Reads a notebook from a text that `parse` parses.
pub(super) fn notebook(text: &[u8], parse: impl FnOnce() -> Result<Json, JsonError>) -> Result<Notebook, SessionError> {
    if text.trim_ascii().is_empty() {
        return Err(Place::Document.invalid("the file is empty; a notebook is a JSON object"));
    }
    let mut document = parse().map_err(|error| SessionError::InvalidNotebook {
        place: format!("line {}, column {}", error.line, error.column),
        reason: error.reason,
    })?;
    let mut quirks = Vec::new();
    match major_version(&document)? {
        4 => lines::join_document(&mut document),
        major @ (2 | 3) => upgrade::to_v4(&mut document, major, &mut quirks)?,
        1 => return Err(Place::Document.member("nbformat").invalid(TOO_OLD)),
        major => {
            let reason = format!("version {major} is not known; versions 2 to 4 are read");
            return Err(Place::Document.member("nbformat").invalid(reason));
        }
    }
    let Json::Object(members) = document else {
        return Err(Place::Document.invalid("an object was expected"));
    };
    from_members(members, quirks)
}

const TOO_OLD: &str = "version 1 of 2011 is not read; convert it with `jupyter nbconvert --to notebook`";

fn major_version(document: &Json) -> Result<i64, SessionError> {
    if document.as_object().is_none() {
        return Err(Place::Document.invalid(format!("an object was expected, not {}", document.kind())));
    }
    let place = Place::Document.member("nbformat");
    match document.get("nbformat") {
        Some(version) => version
            .as_i64()
            .ok_or_else(|| place.invalid(expected("an integer", version))),
        None => Err(place.invalid("missing; a notebook says its version, such as 4")),
    }
}

fn minor_version(members: &JsonMap, quirks: &mut Vec<Quirk>) -> Result<i64, SessionError> {
    let place = Place::Document.member("nbformat_minor");
    let Some(minor) = members.get("nbformat_minor") else {
        quirks.push(Quirk::new(place, "missing; read as 0"));
        return Ok(0);
    };
    minor
        .as_i64()
        .ok_or_else(|| place.invalid(expected("an integer", minor)))
}

fn from_members(mut members: JsonMap, mut quirks: Vec<Quirk>) -> Result<Notebook, SessionError> {
    let minor = minor_version(&members, &mut quirks)?;
    let metadata = metadata(&mut members, &Place::Document, TRANSIENT, &mut quirks)?;
    let place = Place::Document.member("cells");
    let found = match members.shift_remove("cells") {
        Some(Json::Array(cells)) => cells,
        Some(other) => return Err(place.invalid(expected("a list", &other))),
        None => return Err(place.invalid("missing; a notebook of version 4 has a list of cells")),
    };
    let mut cells = found
        .into_iter()
        .enumerate()
        .map(|(index, found)| cell(found, &place.item(index), minor, &mut quirks))
        .collect::<Result<Vec<_>, _>>()?;
    ids::settle(&mut cells, minor, &mut quirks);
    let mut notebook = Notebook {
        metadata,
        cells,
        rest: members,
        minor,
        quirks,
    };
    let more = validate::quirks(&notebook);
    notebook.quirks.extend(more);
    Ok(notebook)
}

fn cell(found: Json, place: &Place<'_>, minor: i64, quirks: &mut Vec<Quirk>) -> Result<Cell, SessionError> {
    let mut members = match found {
        Json::Object(members) => members,
        other => return Err(place.invalid(expected("an object", &other))),
    };
    let kind = cell_type(&mut members, place)?;
    let is_code = kind == CellType::Code;
    Ok(Cell {
        id: id(&mut members, minor),
        kind,
        source: source(&mut members, place, is_code)?,
        metadata: metadata(&mut members, place, TRANSIENT_IN_CELL, quirks)?,
        outputs: if is_code {
            outputs(&mut members, place, quirks)?
        } else {
            Vec::new()
        },
        execution_count: if is_code {
            members.shift_remove("execution_count")
        } else {
            None
        },
        rest: members,
    })
}

/// The type of a cell. One that is not known stays in `members`: nbclient passes such cells over, and so do we.
fn cell_type(members: &mut JsonMap, place: &Place<'_>) -> Result<CellType, SessionError> {
    let place = place.member("cell_type");
    let known = match members.get("cell_type") {
        Some(Json::String(name)) => match &*name.to_str() {
            "code" => CellType::Code,
            "markdown" => CellType::Markdown,
            "raw" => CellType::Raw,
            _ => return Ok(CellType::Raw),
        },
        Some(other) => return Err(place.invalid(expected("a string", other))),
        None => return Err(place.invalid("missing; code, markdown or raw was expected")),
    };
    members.shift_remove("cell_type");
    Ok(known)
}

/// The id that a cell came with, empty where there is none. Below 4.5 it is a member like any unknown one, and is kept
/// as nbformat keeps it.
fn id(members: &mut JsonMap, minor: i64) -> CellId {
    let found = if minor < 5 {
        members.get("id").cloned()
    } else {
        members.shift_remove("id")
    };
    match found {
        Some(Json::String(id)) => CellId::from(id.into_string()),
        _ => CellId::from(""),
    }
}

/// The source, which only a cell that is not executed may lack.
fn source(members: &mut JsonMap, place: &Place<'_>, is_code: bool) -> Result<Option<String>, SessionError> {
    let place = place.member("source");
    match members.shift_remove("source") {
        Some(Json::String(source)) => Ok(Some(source.into_string())),
        Some(other) => Err(place.invalid(expected("a string or a list of strings", &other))),
        None if is_code => Err(place.invalid("missing; a code cell has a string or a list of strings here")),
        None => Ok(None),
    }
}

fn metadata(
    members: &mut JsonMap,
    place: &Place<'_>,
    transient: &[&str],
    quirks: &mut Vec<Quirk>,
) -> Result<JsonMap, SessionError> {
    let place = place.member("metadata");
    let mut metadata = match members.shift_remove("metadata") {
        Some(Json::Object(metadata)) => metadata,
        Some(other) => return Err(place.invalid(expected("an object", &other))),
        None => {
            quirks.push(Quirk::new(place, "missing; an empty object is written"));
            JsonMap::new()
        }
    };
    for name in transient {
        metadata.shift_remove(*name);
    }
    Ok(metadata)
}

fn outputs(members: &mut JsonMap, place: &Place<'_>, quirks: &mut Vec<Quirk>) -> Result<Vec<Json>, SessionError> {
    let place = place.member("outputs");
    let outputs = match members.shift_remove("outputs") {
        Some(Json::Array(outputs)) => outputs,
        Some(other) => return Err(place.invalid(expected("a list", &other))),
        None => {
            quirks.push(Quirk::new(place, "missing; an empty list is written"));
            return Ok(Vec::new());
        }
    };
    match outputs.iter().position(|output| output.as_object().is_none()) {
        Some(index) => Err(place.item(index).invalid(expected("an object", &outputs[index]))),
        None => Ok(outputs),
    }
}

pub(super) fn expected(expected: &str, found: &Json) -> String {
    format!("{expected} was expected, not {}", found.kind())
}
