//! Edits as agents write them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcp_jupyter_core::model::{CellId, Digest, JsonMap};
use mcp_jupyter_core::session::edit::{Edit, EditBatch, Place};
use mcp_jupyter_core::session::notebook::{Cell, CellType, Notebook};
use mcp_jupyter_core::session::{Edited, SessionRecord};
use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::cell;
use crate::commands::diff_texts;
use crate::mcp::answer::Refusal;
use crate::mcp::server::Server;
use crate::mcp::show::{Page, named, short};
use crate::report::plain_diff;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    Insert,
    ReplaceSource,
    ReplaceText,
    Delete,
    Move,
    Copy,
    Split,
    Merge,
    SetType,
    SetMetadata,
    AddTags,
    RemoveTags,
    ClearOutputs,
}

// Which members an edit needs, its `op` says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditArguments {
    op: Op,
    /// The cell it is about, by id
    cell: Option<String>,
    /// merge, clear_outputs: several cells
    #[serde(default)]
    cells: Vec<String>,
    /// The digest of the cell's source, as shown in [brackets]; replace_source and delete need it
    digest: Option<String>,
    /// insert, replace_source
    source: Option<String>,
    /// replace_text: occurs exactly once
    old: Option<String>,
    /// replace_text
    new: Option<String>,
    /// insert, move, copy: first, last, before:ID, after:ID [last]
    at: Option<String>,
    /// insert, set_type: code, markdown, raw [code]
    cell_type: Option<String>,
    /// insert, copy, split: the new cell's id
    id: Option<String>,
    /// split: the new cell's first line, from 2
    line: Option<usize>,
    /// add_tags, remove_tags
    #[serde(default)]
    tags: Vec<String>,
    /// set_metadata: members to set, of the notebook without a cell
    #[serde(default)]
    set: serde_json::Map<String, serde_json::Value>,
    /// set_metadata: members to remove
    #[serde(default)]
    remove: Vec<String>,
}

/// Applies edits to a notebook, and shows what they have changed.
pub(super) async fn apply(
    server: &Arc<Server>,
    record: &SessionRecord,
    edits: Vec<EditArguments>,
    revision: Option<&str>,
) -> Result<(Edited, Page), Refusal> {
    let (before, batch) = prepare(server, record, edits, revision).await?;
    let edited = server.sessions.store().apply(&record.id, &batch).await?;
    server.remember_state(&edited.notebook);
    let mut page = server.page();
    show(&before, &edited, &mut page);
    Ok((edited, page))
}

/// The notebook, and edits as a batch that fits it.
pub(super) async fn prepare(
    server: &Arc<Server>,
    record: &SessionRecord,
    edits: Vec<EditArguments>,
    revision: Option<&str>,
) -> Result<(Arc<Notebook>, EditBatch), Refusal> {
    if edits.is_empty() {
        return Err(Refusal::new("there are no edits"));
    }
    let before = server.sessions.store().snapshot(&record.id).await?;
    server.remember_state(&before.notebook);
    if let Some(revision) = revision
        && !before.revision.hex().starts_with(revision)
    {
        return Err(Refusal::new(format!(
            "the notebook has changed since revision {revision}: it is {} now; nothing was edited",
            short(&before.revision)
        ))
        .with_advice(format!(
            "notebook_read with \"since\": {revision:?} shows what has changed"
        )));
    }
    let batch = batch(&before.notebook, edits)?;
    Ok((before.notebook, batch))
}

pub(super) fn show(before: &Notebook, edited: &Edited, page: &mut Page) {
    let notebook = &edited.notebook;
    page.line(format!("revision {}", short(&edited.revision)));
    for id in &edited.applied.inserted {
        if let Some(at) = notebook.position(id) {
            page.line(format!("new: {}", named(at, &notebook.cells()[at])));
        }
    }
    for id in &edited.applied.deleted {
        page.line(format!("deleted: {id}"));
    }
    for id in edited.applied.changed.iter().chain(&edited.applied.moved) {
        if let Some(at) = notebook.position(id) {
            page.line(format!("now: {}", named(at, &notebook.cells()[at])));
        }
    }
    // What is new was written by whoever reads this.
    let mut diff = before.diff(notebook);
    diff.cells.retain(|cell| {
        use mcp_jupyter_core::session::notebook::CellDiff;
        matches!(cell, CellDiff::Changed { cell, .. } if edited.applied.changed.contains(cell))
    });
    page.text(
        &plain_diff(&diff_texts(&diff, before, notebook)),
        "notebook_read shows the cells",
    );
}

fn batch(notebook: &Notebook, edits: Vec<EditArguments>) -> Result<EditBatch, Refusal> {
    let mut batch = EditBatch::default();
    let mut made = Vec::new();
    for (number, edit) in edits.into_iter().enumerate() {
        let in_edit =
            |refusal: Refusal| Refusal::new(format!("nothing was edited, because of edits[{number}]: {refusal}"));
        check_digest(notebook, &edit, &made, &mut batch.based_on).map_err(in_edit)?;
        let edit = edit.into_edit(notebook, &made).map_err(in_edit)?;
        if let Edit::Insert { id: Some(id), .. } | Edit::Copy { id: Some(id), .. } | Edit::Split { id: Some(id), .. } =
            &edit
        {
            made.push(id.clone());
        }
        batch.edits.push(edit);
    }
    Ok(batch)
}

/// Has the batch depend on the sources that its author has seen.
fn check_digest(
    notebook: &Notebook,
    edit: &EditArguments,
    made: &[CellId],
    based_on: &mut BTreeMap<CellId, Digest>,
) -> Result<(), Refusal> {
    let Some(name) = &edit.cell else { return Ok(()) };
    if made.iter().any(|id| id.as_str() == name) {
        return Ok(());
    }
    let (_, cell) = cell(notebook, name)?;
    let present = cell.source_digest();
    let shown = || {
        format!(
            "Present source of {} [{}]:\n{}",
            cell.id(),
            short(&present),
            cell.source()
        )
    };
    match &edit.digest {
        Some(digest) if fits(digest, &present) => {
            based_on.insert(cell.id().clone(), present);
            Ok(())
        }
        Some(digest) => Err(Refusal::new(format!(
            "cell {} has changed since it had the digest {digest:?}. {}",
            cell.id(),
            shown()
        ))),
        None if matches!(edit.op, Op::ReplaceSource | Op::Delete) => Err(Refusal::new(format!(
            "name the digest of the source that this takes away. {}",
            shown()
        ))),
        None => Ok(()),
    }
}

/// Whether this is the start of the digest, long enough to tell.
fn fits(start: &str, digest: &Digest) -> bool {
    let start = start.trim_start_matches("sha256:").trim_matches(['[', ']']);
    start.len() >= 6 && digest.hex().starts_with(start)
}

impl EditArguments {
    /// Gives a cell this source, or makes one where none is named.
    pub(super) fn of_source(
        cell: Option<String>,
        digest: Option<String>,
        source: String,
        at: Option<String>,
        id: Option<String>,
    ) -> Self {
        Self {
            op: if cell.is_some() { Op::ReplaceSource } else { Op::Insert },
            cell,
            cells: Vec::new(),
            digest,
            source: Some(source),
            old: None,
            new: None,
            at,
            cell_type: None,
            id,
            line: None,
            tags: Vec::new(),
            set: serde_json::Map::new(),
            remove: Vec::new(),
        }
    }

    fn into_edit(self, notebook: &Notebook, made: &[CellId]) -> Result<Edit, Refusal> {
        let find = |name: &str| id_of(notebook, made, name);
        let subject = || match &self.cell {
            Some(name) => find(name),
            None => Err(missing("cell")),
        };
        let place = || match &self.at {
            Some(at) => place(at, find),
            None => Ok(Place::Last),
        };
        let id = self.id.as_deref().map(CellId::from);
        Ok(match self.op {
            Op::Insert => Edit::Insert {
                at: place()?,
                cell_type: cell_type(self.cell_type.as_deref().unwrap_or("code"))?,
                source: self.source.ok_or_else(|| missing("source"))?,
                id,
                metadata: JsonMap::new(),
            },
            Op::ReplaceSource => Edit::ReplaceSource {
                cell: subject()?,
                source: self.source.ok_or_else(|| missing("source"))?,
            },
            Op::ReplaceText => Edit::ReplaceText {
                cell: subject()?,
                old: self.old.ok_or_else(|| missing("old"))?,
                new: self.new.ok_or_else(|| missing("new"))?,
            },
            Op::Delete => Edit::Delete { cell: subject()? },
            Op::Move => Edit::Move {
                cell: subject()?,
                to: place()?,
            },
            Op::Copy => Edit::Copy {
                cell: subject()?,
                to: place()?,
                id,
            },
            Op::Split => Edit::Split {
                cell: subject()?,
                line: self.line.ok_or_else(|| missing("line"))?,
                id,
            },
            Op::Merge => Edit::Merge {
                cells: self.cells.iter().map(|name| find(name)).collect::<Result<_, _>>()?,
            },
            Op::SetType => Edit::SetType {
                cell: subject()?,
                cell_type: cell_type(&self.cell_type.clone().ok_or_else(|| missing("cell_type"))?)?,
            },
            Op::SetMetadata => Edit::SetMetadata {
                cell: self.cell.as_deref().map(find).transpose()?,
                set: members(self.set)?,
                remove: self.remove,
            },
            Op::AddTags => Edit::AddTags {
                cell: subject()?,
                tags: self.tags,
            },
            Op::RemoveTags => Edit::RemoveTags {
                cell: subject()?,
                tags: self.tags,
            },
            Op::ClearOutputs => Edit::ClearOutputs {
                cells: if self.cells.is_empty() && self.cell.is_none() {
                    None
                } else {
                    let named = self.cells.iter().chain(&self.cell);
                    Some(named.map(|name| find(name)).collect::<Result<_, _>>()?)
                },
            },
        })
    }
}

fn missing(member: &str) -> Refusal {
    Refusal::new(format!("this op needs `{member}`"))
}

/// A cell that the notebook has, or that an edit before this one makes.
fn id_of(notebook: &Notebook, made: &[CellId], name: &str) -> Result<CellId, Refusal> {
    if let Some(id) = made.iter().find(|id| id.as_str() == name) {
        return Ok(id.clone());
    }
    cell(notebook, name).map(|(_, cell): (usize, &Cell)| cell.id().clone())
}

fn place(at: &str, find: impl Fn(&str) -> Result<CellId, Refusal>) -> Result<Place, Refusal> {
    match at.split_once(':') {
        None if at == "first" => Ok(Place::First),
        None if at == "last" => Ok(Place::Last),
        Some(("before", name)) => find(name).map(Place::Before),
        Some(("after", name)) => find(name).map(Place::After),
        _ => Err(Refusal::new(format!(
            "{at:?} is no place; one is `first`, `last`, `before:ID` or `after:ID`"
        ))),
    }
}

fn cell_type(name: &str) -> Result<CellType, Refusal> {
    match name {
        "code" => Ok(CellType::Code),
        "markdown" => Ok(CellType::Markdown),
        "raw" => Ok(CellType::Raw),
        _ => Err(Refusal::new(format!(
            "{name:?} is no type of cell; the types are code, markdown and raw"
        ))),
    }
}

fn members(set: serde_json::Map<String, serde_json::Value>) -> Result<JsonMap, Refusal> {
    let text = serde_json::Value::Object(set).to_string();
    let parsed = mcp_jupyter_core::model::Json::parse(text.as_bytes());
    match parsed {
        Ok(mcp_jupyter_core::model::Json::Object(members)) => Ok(members),
        _ => Err(Refusal::new("`set` has to be an object")),
    }
}
