use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::{CellId, Digest, Json, JsonMap};

/// The type of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellType {
    /// Source that a kernel executes, with its outputs.
    Code,
    /// Markdown.
    Markdown,
    /// Text that is neither executed nor rendered; also a cell of a type that nbformat 4.5 does not know, which is
    /// kept and written as the type that it has.
    Raw,
}

impl CellType {
    pub(in crate::session) fn name(self) -> &'static str {
        match self {
            CellType::Code => "code",
            CellType::Markdown => "markdown",
            CellType::Raw => "raw",
        }
    }
}

/// One cell of a notebook.
///
/// ```
/// use mcp_jupyter_core::session::notebook::Cell;
///
/// let mut cell = Cell::new_code("setup".into(), "import math\n");
/// cell.add_tag("parameters");
/// assert!(cell.has_tag("parameters"));
/// assert_eq!(cell.source(), "import math\n");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub(in crate::session) id: CellId,
    pub(in crate::session) kind: CellType,
    /// `None` where a cell that is no code cell came without one.
    pub(in crate::session) source: Option<String>,
    pub(in crate::session) metadata: JsonMap,
    /// Of a code cell; empty in any other.
    pub(in crate::session) outputs: Vec<Json>,
    /// Of a code cell, as it was found; `None` where the member is missing.
    pub(in crate::session) execution_count: Option<Json>,
    /// All other members as they were found: attachments, what nbformat does not know, an `id` below nbformat 4.5,
    /// and the `cell_type` where it is none of ours.
    pub(in crate::session) rest: JsonMap,
}

impl Cell {
    /// A code cell that has not been executed.
    ///
    /// The id is written where the notebook is of nbformat 4.5 or later; it must be unique in the notebook and, to be
    /// valid there, of 1 to 64 ASCII letters, digits, hyphens and underscores.
    pub fn new_code(id: CellId, source: &str) -> Self {
        Self {
            execution_count: Some(Json::Null),
            ..Self::new(id, CellType::Code, source)
        }
    }

    /// A Markdown cell; of its id the same holds as in [`Cell::new_code`].
    pub fn new_markdown(id: CellId, source: &str) -> Self {
        Self::new(id, CellType::Markdown, source)
    }

    /// A cell of this type; a code cell has not been executed.
    pub(in crate::session) fn of_type(id: CellId, kind: CellType, source: &str) -> Self {
        match kind {
            CellType::Code => Self::new_code(id, source),
            CellType::Markdown | CellType::Raw => Self::new(id, kind, source),
        }
    }

    fn new(id: CellId, kind: CellType, source: &str) -> Self {
        Self {
            id,
            kind,
            source: Some(source.to_owned()),
            metadata: JsonMap::new(),
            outputs: Vec::new(),
            execution_count: None,
            rest: JsonMap::new(),
        }
    }

    /// The identity of the cell: its nbformat `id`, or, where the file holds none, one derived from position and
    /// source, the same on every reading of the same file.
    pub fn id(&self) -> &CellId {
        &self.id
    }

    /// The type of the cell.
    pub fn cell_type(&self) -> CellType {
        self.kind
    }

    /// The whole source.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or_default()
    }

    /// The identity of the source, by which a change of it is noticed.
    pub fn source_digest(&self) -> Digest {
        Digest::of(self.source().as_bytes())
    }

    /// Replaces the source; outputs and execution count stay.
    pub fn set_source(&mut self, source: impl Into<String>) {
        self.source = Some(source.into());
    }

    /// The cell's metadata.
    pub fn metadata(&self) -> &JsonMap {
        &self.metadata
    }

    /// The cell's metadata, to change. Its `trusted` member is never written, as in nbformat.
    pub fn metadata_mut(&mut self) -> &mut JsonMap {
        &mut self.metadata
    }

    /// The tags in `metadata.tags`; what is no string is passed over, a lone string is one tag.
    pub fn tags(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let tags = match self.metadata.get("tags") {
            Some(Json::Array(tags)) => tags.as_slice(),
            Some(tag) => std::slice::from_ref(tag),
            None => &[],
        };
        tags.iter().filter_map(Json::as_str)
    }

    /// Whether `tag` is one of the tags.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags().any(|found| found == tag)
    }

    /// Adds `tag` unless it is there.
    pub fn add_tag(&mut self, tag: &str) {
        if self.has_tag(tag) {
            return;
        }
        if let Some(Json::Array(tags)) = self.metadata.get_mut("tags") {
            tags.push(tag.into());
            return;
        }
        let tags = self
            .tags()
            .map(|found| Json::from(&*found))
            .chain([Json::from(tag)])
            .collect();
        self.metadata.insert("tags".to_owned(), Json::Array(tags));
    }

    /// The outputs of a code cell as nbformat 4 defines them, multi-line strings whole; none in another cell.
    pub fn outputs(&self) -> &[Json] {
        &self.outputs
    }

    /// The outputs of a code cell, to change; what is put into another cell is never written.
    pub fn outputs_mut(&mut self) -> &mut Vec<Json> {
        &mut self.outputs
    }

    /// The `n` of `In [n]`; none where the cell has not been executed or is no code cell.
    pub fn execution_count(&self) -> Option<i64> {
        self.execution_count.as_ref().and_then(Json::as_i64)
    }

    /// Sets the execution count of a code cell; what is set in another cell is never written.
    pub fn set_execution_count(&mut self, count: Option<i64>) {
        self.execution_count = Some(count.into());
    }
}
