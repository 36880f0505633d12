//! Results that are to go into a notebook's file.

use std::collections::HashMap;

use super::notebook::{Cell, CellType, Merged, Notebook};
use super::types::CellResult;
use crate::model::{Digest, Json, JsonMap};

/// The first minor version of nbformat 4 whose cells have ids in the file.
const FIRST_WITH_IDS: i64 = 5;

impl Notebook {
    /// Puts results into the cells whose source was executed, and tells which there are none of.
    pub(super) fn put_results(&mut self, results: &[CellResult]) -> Merged {
        let mut merged = Merged::default();
        let places = self.places();
        for result in results {
            merged.is_changed |= set_members(self.metadata_mut(), &result.notebook_metadata);
            match self.place_of(result, &places) {
                Some(place) => merged.is_changed |= put(&mut self.cells_mut()[place], result),
                None => merged.left_out.push(result.cell.clone()),
            }
        }
        merged
    }

    /// The code cells by the digest of their source.
    fn places(&self) -> HashMap<Digest, Vec<usize>> {
        let mut places: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, cell) in self.cells().iter().enumerate() {
            if cell.cell_type() == CellType::Code {
                places.entry(digest(cell)).or_default().push(place);
            }
        }
        places
    }

    /// Below nbformat 4.5 ids are derived from what an edit changes: there, the only cell with that source is the one.
    fn place_of(&self, result: &CellResult, places: &HashMap<Digest, Vec<usize>>) -> Option<usize> {
        let fitting = places.get(&result.source)?;
        let by_id = fitting.iter().find(|place| *self.cells()[**place].id() == result.cell);
        match fitting.as_slice() {
            [only] if self.nbformat_minor() < FIRST_WITH_IDS => Some(*only),
            _ => by_id.copied(),
        }
    }
}

fn digest(cell: &Cell) -> Digest {
    Digest::of(cell.source().as_bytes())
}

fn put(cell: &mut Cell, result: &CellResult) -> bool {
    let is_changed = set_members(cell.metadata_mut(), &result.metadata);
    if *cell.outputs() == result.outputs && cell.execution_count() == result.execution_count {
        return is_changed;
    }
    cell.outputs_mut().clone_from(&result.outputs);
    cell.set_execution_count(result.execution_count);
    true
}

fn set_members(members: &mut JsonMap, values: &JsonMap) -> bool {
    let mut is_changed = false;
    for (name, value) in values {
        is_changed |= members.insert(name.clone(), Json::clone(value)).as_ref() != Some(value);
    }
    is_changed
}

/// Puts a result among those that are pending. What the earlier one of this cell says about the notebook stays, unless
/// this one says otherwise: it is not about the cell.
pub(super) fn replace(earlier: Option<JsonMap>, mut later: CellResult) -> CellResult {
    let mut metadata = earlier.unwrap_or_default();
    set_members(&mut metadata, &later.notebook_metadata);
    later.notebook_metadata = metadata;
    later
}

/// A result in text, which loses nothing of it.
#[cfg(feature = "sqlite")]
pub(super) fn to_text(result: &CellResult) -> String {
    let mut members = JsonMap::new();
    members.insert("cell".to_owned(), result.cell.as_str().into());
    members.insert("source".to_owned(), result.source.to_string().into());
    members.insert("outputs".to_owned(), Json::Array(result.outputs.clone()));
    let count = result.execution_count.map_or(Json::Null, Json::from);
    members.insert("execution_count".to_owned(), count);
    members.insert("metadata".to_owned(), Json::Object(result.metadata.clone()));
    let notebook = Json::Object(result.notebook_metadata.clone());
    members.insert("notebook_metadata".to_owned(), notebook);
    Json::Object(members).to_string()
}

/// The result of a text; how its execution ended is in the history, not in it.
#[cfg(feature = "sqlite")]
pub(super) fn from_text(text: &str) -> Option<CellResult> {
    let document = Json::parse(text.as_bytes()).ok()?;
    let object = |name| match document.get(name) {
        Some(Json::Object(members)) => Some(members.clone()),
        _ => None,
    };
    Some(CellResult {
        cell: (*document.get("cell")?.as_str()?).into(),
        source: document.get("source")?.as_str()?.parse().ok()?,
        outputs: document.get("outputs")?.as_array()?.to_vec(),
        execution_count: document.get("execution_count").and_then(Json::as_i64),
        metadata: object("metadata")?,
        notebook_metadata: object("notebook_metadata")?,
        end: None,
    })
}
