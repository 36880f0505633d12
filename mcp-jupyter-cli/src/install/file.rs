//! Reading a configuration file, and replacing it as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mcp_jupyter_core::session::notebook::line_diff;

use crate::error::CliError;
use crate::report::DiffText;

/// Of a new file: configurations may have secrets of other servers.
const CLOSED: u32 = 0o600;

/// Lines shown around what changes.
const CONTEXT: usize = 3;

/// A file as it is, and as it is to be.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// The text of a file; empty where there is none.
pub(super) fn read(path: &Path) -> Result<String, CliError> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| CliError::usage(format!("{}: this is no text; nothing was written", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(CliError::usage(format!("cannot read {}: {error}", path.display()))),
    }
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.before == self.after
    }

    pub(crate) fn diff(&self) -> DiffText {
        DiffText {
            title: self.path.display().to_string(),
            hunks: line_diff(&self.before, &self.after, CONTEXT),
        }
    }

    /// Writes the file; gives the backup of what it was, where it was there.
    pub(crate) fn write(&self) -> Result<Option<PathBuf>, CliError> {
        self.replace().map_err(|source| CliError::Output {
            path: self.path.clone(),
            source,
        })
    }

    fn replace(&self) -> io::Result<Option<PathBuf>> {
        // A link to a file elsewhere, as of people who keep their configuration in a repository, stays one.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let found = fs::metadata(&path).ok();
        let mode = found
            .as_ref()
            .map_or(CLOSED, |found| found.permissions().mode() & 0o777);
        let backup = found.map(|_| self.back_up(&path, mode)).transpose()?;
        let mut file = tempfile::Builder::new()
            .prefix(".mcp-jupyter-")
            .suffix(".tmp")
            .tempfile_in(folder)?;
        file.write_all(self.after.as_bytes())?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(backup)
    }

    /// A copy beside the file; earlier ones stay.
    fn back_up(&self, path: &Path, mode: u32) -> io::Result<PathBuf> {
        let (backup, mut file) = new_backup(path, mode)?;
        file.write_all(self.before.as_bytes())?;
        file.sync_all()?;
        Ok(backup)
    }
}

fn new_backup(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1;
    loop {
        let last = if number == 1 {
            String::new()
        } else {
            format!(".{number}")
        };
        let backup = path.with_file_name(format!("{name}.bak{last}"));
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(&backup) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            opened => return Ok((backup, opened?)),
        }
    }
}
