//! Edits that agents propose and people accept: a file each, beside the sessions.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::model::{CellId, RunId};
use mcp_jupyter_core::session::edit::{Edit, EditBatch};
use mcp_jupyter_core::session::{Edited, SessionError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::StateArgs;
use crate::error::CliError;
use crate::keeping;

/// Edits of a notebook, with the digests of the sources that they are based on.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Proposal {
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    /// Who has proposed it, as that program calls itself.
    pub(crate) client: String,
    pub(crate) path: PathBuf,
    pub(crate) batch: EditBatch,
    /// What it changes, in the notebook as it was then.
    pub(crate) diff: String,
}

impl Proposal {
    pub(crate) fn new(path: PathBuf, client: String, batch: EditBatch, diff: String) -> Self {
        Self {
            id: RunId::random().as_str()[..8].to_owned(),
            created: Timestamp::now(),
            client,
            path,
            batch,
            diff,
        }
    }
}

/// The cells that an edit is about.
pub(crate) fn cells(edit: &Edit) -> Vec<CellId> {
    // All kinds of edits call them alike, those to come as well.
    let edit = serde_json::to_value(edit).unwrap_or_default();
    let several = edit["cells"].as_array().into_iter().flatten();
    let named = several.chain([&edit["cell"]]).filter_map(Value::as_str);
    named.map(CellId::from).collect()
}

/// The proposals that are open.
#[derive(Debug)]
pub(crate) struct Proposals {
    folder: PathBuf,
}

/// A proposal that nobody else accepts or rejects meanwhile.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) proposal: Proposal,
    path: PathBuf,
    _locked: File,
}

impl Proposals {
    pub(crate) fn of(state: &StateArgs) -> Result<Self, CliError> {
        let folder = keeping::folder(state)?.join("proposals");
        Ok(Self { folder })
    }

    pub(crate) fn keep(&self, proposal: &Proposal) -> Result<(), CliError> {
        let path = self.file(&proposal.id);
        self.write(&path, proposal)
            .map_err(|source| CliError::Output { path, source })
    }

    fn write(&self, path: &Path, proposal: &Proposal) -> std::io::Result<()> {
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec_pretty(proposal)?)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// All of them, the oldest first.
    pub(crate) fn list(&self) -> Result<Vec<Proposal>, CliError> {
        let entries = match self.folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(CliError::usage(format!(
                    "cannot read {}: {error}",
                    self.folder.display()
                )));
            }
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let mut proposals = files
            .filter_map(|path| read(&path).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        proposals.sort_by_key(|proposal: &Proposal| proposal.created);
        Ok(proposals)
    }

    /// The one whose id begins so.
    pub(crate) fn find(&self, id: &str) -> Result<Proposal, CliError> {
        let mut found = self.list()?.into_iter().filter(|proposal| proposal.id.starts_with(id));
        match (found.next(), found.next()) {
            (Some(proposal), None) if !id.is_empty() => Ok(proposal),
            (Some(_), Some(_)) => Err(CliError::usage(format!("more than one proposal begins with {id:?}"))),
            _ => Err(CliError::usage_with_hint(
                format!("there is no proposal {id:?}"),
                "`mcp-jupyter proposals list` names those that are open",
            )),
        }
    }

    /// The one whose id begins so, for whoever decides.
    pub(crate) fn take(&self, id: &str) -> Result<Taken, CliError> {
        let path = self.file(&self.find(id)?.id);
        let failed = |source| CliError::Output {
            path: path.clone(),
            source,
        };
        let locked = File::open(&path).map_err(failed)?;
        locked.lock().map_err(failed)?;
        // Somebody may have decided before the lock was ours.
        let proposal = self.find(id)?;
        Ok(Taken {
            proposal,
            path,
            _locked: locked,
        })
    }

    fn file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

impl Taken {
    /// Edits the notebook as it says, where that still fits. It stays open until it is removed.
    pub(crate) async fn apply(&self, sessions: &KeptSessions) -> Result<Edited, SessionError> {
        let record = sessions.store().open(&self.proposal.path).await?;
        sessions.store().apply(&record.id, &self.proposal.batch).await
    }

    /// It is decided.
    pub(crate) fn remove(self) -> Result<(), CliError> {
        fs::remove_file(&self.path).map_err(|source| CliError::Output {
            path: self.path.clone(),
            source,
        })
    }
}

/// A proposal; nothing where it was decided meanwhile.
fn read(path: &Path) -> Result<Option<Proposal>, CliError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::usage(format!("cannot read {}: {error}", path.display()))),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| CliError::usage(format!("{} is no proposal: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use mcp_jupyter_core::session::edit::Place;

    use super::*;

    #[test]
    fn the_cells_of_an_edit_are_those_it_changes() {
        let of = |edit: Edit| cells(&edit).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of(Edit::Delete { cell: "a".into() }), ["a"]);
        let cells = vec!["a".into(), "b".into()];
        assert_eq!(of(Edit::Merge { cells }), ["a", "b"]);
        let moved = Edit::Move {
            cell: "a".into(),
            to: Place::After("b".into()),
        };
        assert_eq!(of(moved), ["a"]);
    }
}
