//! A cell as the parts of it that change by themselves.

use serde::{Deserialize, Serialize};

use super::cell::{Cell, CellType};
use super::write::canonical;
use crate::model::{Digest, Json, JsonMap};

/// One part of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::session) enum Part {
    CellType,
    Source,
    Outputs,
    ExecutionCount,
    /// A member of the metadata.
    Metadata(String),
    /// A member that is none of the others, such as the attachments.
    Other(String),
}

impl Part {
    /// Whether a run changes it, and not an author.
    pub(in crate::session) fn is_result(&self) -> bool {
        match self {
            Part::Outputs | Part::ExecutionCount => true,
            Part::Metadata(name) => name == "execution",
            Part::CellType | Part::Source | Part::Other(_) => false,
        }
    }
}

impl Cell {
    /// What the part is; none where the cell lacks it.
    pub(in crate::session) fn part(&self, part: &Part) -> Option<Json> {
        match part {
            Part::CellType => Some(self.kind.name().into()),
            Part::Source => self.source.as_deref().map(Json::from),
            Part::Outputs => Some(Json::Array(self.outputs.clone())),
            Part::ExecutionCount => self.execution_count.clone(),
            Part::Metadata(name) => self.metadata.get(name).cloned(),
            Part::Other(name) => self.rest.get(name).cloned(),
        }
    }

    /// Makes the part what [`Cell::part`] has given.
    pub(in crate::session) fn set_part(&mut self, part: &Part, value: Option<Json>) {
        match part {
            Part::CellType => self.kind = cell_type(value.as_ref()),
            Part::Source => self.source = value.and_then(text),
            Part::Outputs => self.outputs = value.map_or_else(Vec::new, items),
            Part::ExecutionCount => self.execution_count = value,
            Part::Metadata(name) => set_member(&mut self.metadata, name, value),
            Part::Other(name) => set_member(&mut self.rest, name, value),
        }
    }

    /// The parts that the cell has.
    pub(in crate::session) fn parts(&self) -> Vec<Part> {
        let own = [Part::CellType, Part::Source, Part::Outputs, Part::ExecutionCount];
        let metadata = self.metadata.keys().cloned().map(Part::Metadata);
        let others = self.rest.keys().cloned().map(Part::Other);
        own.into_iter().chain(metadata).chain(others).collect()
    }

    /// The parts in which the cell differs from `other`.
    pub(in crate::session) fn differing_parts(&self, other: &Cell) -> Vec<Part> {
        let own = [
            (Part::CellType, self.kind != other.kind),
            (Part::Source, self.source != other.source),
            (Part::Outputs, self.outputs != other.outputs),
            (Part::ExecutionCount, self.execution_count != other.execution_count),
        ];
        let own = own.into_iter().filter_map(|(part, differs)| differs.then_some(part));
        let metadata = differing_members(&self.metadata, &other.metadata).map(Part::Metadata);
        own.chain(metadata)
            .chain(differing_members(&self.rest, &other.rest).map(Part::Other))
            .collect()
    }
}

/// The names of the members in which the two differ: those of the first in their order, then those that only the
/// second has.
pub(in crate::session) fn differing_members<'a>(
    one: &'a JsonMap,
    other: &'a JsonMap,
) -> impl Iterator<Item = String> + 'a {
    let changed = one.iter().filter(|(name, value)| other.get(*name) != Some(*value));
    let added = other.keys().filter(|name| !one.contains_key(*name));
    changed.map(|(name, _)| name).chain(added).cloned()
}

/// Sets or removes a member.
pub(in crate::session) fn set_member(members: &mut JsonMap, name: &str, value: Option<Json>) {
    match value {
        Some(value) => drop(members.insert(name.to_owned(), value)),
        None => drop(members.shift_remove(name)),
    }
}

/// The digest of a value, the same in whatever order the members come.
pub(in crate::session) fn digest(value: &Json) -> Digest {
    Digest::of(&canonical(value))
}

fn cell_type(name: Option<&Json>) -> CellType {
    match name.and_then(Json::as_str).as_deref() {
        Some("code") => CellType::Code,
        Some("markdown") => CellType::Markdown,
        _ => CellType::Raw,
    }
}

fn text(value: Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.into_string()),
        _ => None,
    }
}

fn items(value: Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_the_sum_of_its_parts() {
        let mut cell = Cell::new_code("a".into(), "1");
        cell.outputs = vec![Json::from("out")];
        cell.execution_count = Some(Json::from(3_i64));
        cell.add_tag("t");
        cell.rest.insert("odd".to_owned(), Json::Null);
        let mut copy = Cell::new_markdown("a".into(), "");
        for part in cell.parts() {
            copy.set_part(&part, cell.part(&part));
        }
        assert_eq!(copy, cell);
        assert!(cell.differing_parts(&copy).is_empty());
    }

    #[test]
    fn what_differs_is_named() {
        let mut one = Cell::new_code("a".into(), "1");
        one.metadata.insert("only".to_owned(), Json::Null);
        let mut other = Cell::new_markdown("a".into(), "1");
        other.rest.insert("attachments".to_owned(), JsonMap::new().into());
        let expected = [
            Part::CellType,
            Part::ExecutionCount,
            Part::Metadata("only".to_owned()),
            Part::Other("attachments".to_owned()),
        ];
        assert_eq!(one.differing_parts(&other), expected);
    }

    #[test]
    fn the_order_of_members_does_not_count() {
        let parse = |text: &str| digest(&Json::parse(text.as_bytes()).unwrap());
        assert_eq!(
            parse(r#"{"a": [{"b": 1, "c": 2}], "d": 3}"#),
            parse(r#"{"d":3,"a":[{"c":2,"b":1}]}"#)
        );
        assert_ne!(parse("1.0"), parse("1"));
    }
}
