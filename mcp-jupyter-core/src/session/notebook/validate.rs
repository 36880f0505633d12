//! What the nbformat schemas (`nbformat.v4.0` to `v4.5.schema.json`) demand and a document does not give.

use std::collections::HashSet;
use std::fmt;

use super::cell::{Cell, CellType};
use super::document::Notebook;
use super::lines::is_json_mime;
use super::place::Place;
use crate::model::{Json, JsonMap, Number};

/// Something in a document that the nbformat schema forbids and that was read nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirk {
    /// Where, as a path into the document: `cells[3].outputs[0].metadata`.
    pub place: String,
    /// What is there, what was expected or what was done about it.
    pub what: String,
}

impl Quirk {
    pub(super) fn new(place: Place<'_>, what: impl Into<String>) -> Self {
        Self {
            place: place.to_string(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Where `notebook` departs from the schema of its minor version. Of a version later than 4.5 what is not known is
/// no departure, as in nbformat's `get_validator`.
pub(super) fn quirks(notebook: &Notebook) -> Vec<Quirk> {
    let mut check = Check {
        quirks: Vec::new(),
        minor: notebook.minor,
    };
    check.notebook(notebook);
    check.quirks
}

/// Where a cell departs from the schema of nbformat 4 with this minor version; places are those within the cell.
pub(in crate::session) fn cell_quirks(cell: &Cell, minor: i64) -> Vec<Quirk> {
    let mut check = Check {
        quirks: Vec::new(),
        minor,
    };
    check.cell(cell, &Place::Member(&Place::Document, "cell"));
    check.quirks
}

/// The same of the notebook's metadata.
pub(in crate::session) fn metadata_quirks(metadata: &JsonMap, minor: i64) -> Vec<Quirk> {
    let mut check = Check {
        quirks: Vec::new(),
        minor,
    };
    check.notebook_metadata(metadata, &Place::Document.member("metadata"));
    check.quirks
}

struct Check {
    quirks: Vec<Quirk>,
    minor: i64,
}

impl Check {
    fn note(&mut self, place: &Place<'_>, what: impl Into<String>) {
        self.quirks.push(Quirk::new(*place, what));
    }

    /// Whether the document is of a version that is not known yet.
    fn is_newer(&self) -> bool {
        self.minor > 5
    }

    fn notebook(&mut self, notebook: &Notebook) {
        let minor = Place::Document.member("nbformat_minor");
        if self.is_newer() {
            self.note(&minor, "a version later than 4.5 is read by the rules of 4.5");
        } else if self.minor < 0 {
            self.note(&minor, "a number from 0 was expected");
        }
        self.only(&notebook.rest, &["nbformat", "nbformat_minor"], &Place::Document);
        self.notebook_metadata(&notebook.metadata, &Place::Document.member("metadata"));
        let cells = Place::Document.member("cells");
        for (index, cell) in notebook.cells.iter().enumerate() {
            self.cell(cell, &cells.item(index));
        }
    }

    fn notebook_metadata(&mut self, metadata: &JsonMap, place: &Place<'_>) {
        self.optional(metadata, "kernelspec", &OBJECT, place);
        if let Some(kernelspec) = metadata.get("kernelspec").and_then(Json::as_object) {
            let place = place.member("kernelspec");
            self.required(kernelspec, "name", &STRING, &place);
            self.required(kernelspec, "display_name", &STRING, &place);
        }
        self.optional(metadata, "language_info", &OBJECT, place);
        if let Some(language_info) = metadata.get("language_info").and_then(Json::as_object) {
            let place = place.member("language_info");
            self.required(language_info, "name", &STRING, &place);
            self.optional(language_info, "codemirror_mode", &STRING_OR_OBJECT, &place);
            for name in ["file_extension", "mimetype", "pygments_lexer"] {
                self.optional(language_info, name, &STRING, &place);
            }
        }
        if self.minor >= 2 {
            self.optional(metadata, "title", &STRING, place);
            self.optional(metadata, "authors", &LIST, place);
        }
    }

    fn cell(&mut self, cell: &Cell, place: &Place<'_>) {
        let metadata_place = place.member("metadata");
        self.optional(&cell.metadata, "name", &CELL_NAME, &metadata_place);
        self.optional(&cell.metadata, "tags", &TAGS, &metadata_place);
        if let Some(cell_type) = cell.rest.get("cell_type") {
            if !self.is_newer() {
                self.note(
                    &place.member("cell_type"),
                    format!("{cell_type} is not known; such a cell is passed over"),
                );
            }
            return;
        }
        if cell.source.is_none() {
            self.note(&place.member("source"), "missing");
        }
        if self.minor >= 3 {
            self.optional(&cell.metadata, "jupyter", &OBJECT, &metadata_place);
        }
        if cell.kind == CellType::Code {
            self.only(&cell.rest, &[], place);
            self.code_cell(cell, place);
        } else {
            self.only(&cell.rest, &["attachments"], place);
            self.text_cell(cell, place);
        }
    }

    fn text_cell(&mut self, cell: &Cell, place: &Place<'_>) {
        if cell.kind == CellType::Raw {
            self.optional(&cell.metadata, "format", &STRING, &place.member("metadata"));
        }
        self.optional(&cell.rest, "attachments", &OBJECT, place);
        let place = place.member("attachments");
        for (name, attachment) in cell
            .rest
            .get("attachments")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            self.bundle(attachment, &place.member(name));
        }
    }

    fn code_cell(&mut self, cell: &Cell, place: &Place<'_>) {
        let metadata_place = place.member("metadata");
        self.optional(&cell.metadata, "collapsed", &BOOLEAN, &metadata_place);
        self.optional(&cell.metadata, "scrolled", &SCROLLED, &metadata_place);
        if self.minor >= 4 {
            self.optional(&cell.metadata, "execution", &TIMES, &metadata_place);
        }
        match &cell.execution_count {
            Some(count) => self.value(count, &COUNT, &place.member("execution_count")),
            None => self.note(&place.member("execution_count"), "missing"),
        }
        let outputs = place.member("outputs");
        for (index, output) in cell.outputs.iter().enumerate() {
            if let Some(output) = output.as_object() {
                self.output(output, &outputs.item(index));
            }
        }
    }

    fn output(&mut self, output: &JsonMap, place: &Place<'_>) {
        let type_place = place.member("output_type");
        let Some(output_type) = output.get("output_type") else {
            return self.note(&type_place, "missing");
        };
        match output_type.as_str().as_deref() {
            Some("stream") => {
                self.only(output, &["output_type", "name", "text"], place);
                self.required(output, "name", &STRING, place);
                self.required(output, "text", &STRING_OR_LINES, place);
            }
            Some("display_data") => {
                self.only(output, &["output_type", "data", "metadata"], place);
                self.displayed(output, place);
            }
            Some("execute_result") => {
                self.only(output, &["output_type", "data", "metadata", "execution_count"], place);
                self.required(output, "execution_count", &COUNT, place);
                self.displayed(output, place);
            }
            Some("error") => {
                self.only(output, &["output_type", "ename", "evalue", "traceback"], place);
                self.required(output, "ename", &STRING, place);
                self.required(output, "evalue", &STRING, place);
                self.required(output, "traceback", &LINES, place);
            }
            _ if self.is_newer() => {}
            _ => self.note(
                &type_place,
                format!("{output_type} is not known; the output is kept as it is"),
            ),
        }
    }

    fn displayed(&mut self, output: &JsonMap, place: &Place<'_>) {
        self.required(output, "metadata", &OBJECT, place);
        match output.get("data") {
            Some(data) => self.bundle(data, &place.member("data")),
            None => self.note(&place.member("data"), "missing"),
        }
    }

    fn bundle(&mut self, bundle: &Json, place: &Place<'_>) {
        self.value(bundle, &OBJECT, place);
        if self.is_newer() {
            return;
        }
        for (mime_type, value) in bundle.as_object().into_iter().flatten() {
            if !is_json_mime(mime_type) {
                self.value(value, &STRING_OR_LINES, &place.member(mime_type));
            }
        }
    }

    fn only(&mut self, members: &JsonMap, known: &[&str], place: &Place<'_>) {
        if self.is_newer() {
            return;
        }
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.note(
                &place.member(name),
                format!("not known to nbformat 4.{}; kept as it is", self.minor),
            );
        }
    }

    fn required(&mut self, members: &JsonMap, name: &str, kind: &Kind, place: &Place<'_>) {
        if members.contains_key(name) {
            self.optional(members, name, kind, place);
        } else {
            self.note(&place.member(name), "missing");
        }
    }

    fn optional(&mut self, members: &JsonMap, name: &str, kind: &Kind, place: &Place<'_>) {
        if let Some(value) = members.get(name) {
            self.value(value, kind, &place.member(name));
        }
    }

    fn value(&mut self, value: &Json, kind: &Kind, place: &Place<'_>) {
        if !(kind.holds)(value) {
            self.note(place, format!("{} was expected; kept as it is", kind.name));
        }
    }
}

/// What the schema allows in one place.
struct Kind {
    name: &'static str,
    holds: fn(&Json) -> bool,
}

macro_rules! kinds {
    ($($kind:ident = $name:literal, $holds:expr;)*) => {
        $(const $kind: Kind = Kind { name: $name, holds: $holds };)*
    };
}

kinds! {
    STRING = "a string", |value| value.as_text().is_some();
    OBJECT = "an object", |value| value.as_object().is_some();
    STRING_OR_OBJECT = "a string or an object", |value| (STRING.holds)(value) || (OBJECT.holds)(value);
    BOOLEAN = "true or false", |value| value.as_bool().is_some();
    LIST = "a list", |value| value.as_array().is_some();
    LINES = "a list of strings", |value| value.as_array().is_some_and(|items| items.iter().all(STRING.holds));
    STRING_OR_LINES = "a string or a list of strings", |value| (STRING.holds)(value) || (LINES.holds)(value);
    COUNT = "a count from 0, or null,", |value| matches!(value, Json::Null) || is_count(value);
    SCROLLED = "true, false or \"auto\"", |value| {
        (BOOLEAN.holds)(value) || value.as_str().as_deref() == Some("auto")
    };
    TIMES = "an object of strings", |value| {
        value.as_object().is_some_and(|times| times.values().all(STRING.holds))
    };
    CELL_NAME = "a name of one line", |value| {
        value.as_str().is_some_and(|name| !name.is_empty() && !name.contains('\n'))
    };
    TAGS = "a list of different strings without commas", |value| value.as_array().is_some_and(are_tags);
}

fn is_count(value: &Json) -> bool {
    match value {
        Json::Number(number) => is_whole(number) && number.as_f64() >= 0.0,
        _ => false,
    }
}

/// JSON schema holds `1.0` to be an integer as well.
fn is_whole(number: &Number) -> bool {
    number.is_integer() || number.as_f64().fract() == 0.0
}

fn are_tags(tags: &[Json]) -> bool {
    let mut seen = HashSet::with_capacity(tags.len());
    tags.iter().all(|tag| {
        tag.as_str()
            .is_some_and(|tag| !tag.is_empty() && !tag.contains(',') && seen.insert(tag))
    })
}
