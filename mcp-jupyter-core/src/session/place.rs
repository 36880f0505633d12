//! Where a notebook is: its path, and what makes its file the same one under another.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::SessionError;

/// Links that are followed before they are held to be a circle, as in Linux.
const LINK_LIMIT: usize = 40;

/// A notebook's file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Absolute and without symbolic links.
    pub(super) path: PathBuf,
    /// None where there is no file.
    pub(super) identity: Option<Identity>,
}

/// What stays when a file is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// When the file was made, in nanoseconds: an inode is given to another file once its own is gone.
    pub(super) born: Option<i64>,
}

impl Identity {
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().and_then(Self::of_metadata)
    }

    #[cfg(unix)]
    pub(super) fn of_metadata(found: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let born = found.created().ok();
        let born = born.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        found.is_file().then(|| Self {
            device: found.dev(),
            inode: found.ino(),
            born: born.and_then(|age| i64::try_from(age.as_nanos()).ok()),
        })
    }

    #[cfg(not(unix))]
    pub(super) fn of_metadata(_: &Metadata) -> Option<Self> {
        None
    }
}

/// Whether something is at a path that was resolved, and not only a link to it.
pub(super) fn is_in_place(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|found| found == path)
}

/// The notebook that has this identity in the folder of `path`, where it was before.
pub(super) fn renamed(path: &Path, identity: Identity) -> Option<PathBuf> {
    let beside = fs::read_dir(path.parent()?).ok()?.flatten().map(|entry| entry.path());
    // Programs give the old file another extension, or hide it, while they save a new one.
    let is_notebook = |path: &PathBuf| {
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        !is_hidden && path.extension().is_some_and(|extension| extension == "ipynb")
    };
    let mut notebooks = beside.filter(is_notebook);
    notebooks.find(|path| Identity::of(path) == Some(identity))
}

impl Place {
    /// Where `path` leads to, whether or not there is something.
    pub(super) fn find(path: &Path) -> Result<Self, SessionError> {
        let resolved = resolve(path).map_err(|source| refused(path, source))?;
        Ok(Self {
            identity: Identity::of(&resolved),
            path: resolved,
        })
    }

    /// That there is a file.
    pub(super) fn check(&self) -> Result<(), SessionError> {
        let found = fs::metadata(&self.path).map_err(|source| refused(&self.path, source))?;
        if found.is_dir() {
            return Err(refused(&self.path, io::ErrorKind::IsADirectory.into()));
        }
        Ok(())
    }
}

fn refused(path: &Path, source: io::Error) -> SessionError {
    match source.kind() {
        io::ErrorKind::NotFound => SessionError::NotFound { path: path.to_owned() },
        _ => SessionError::Io {
            action: format!("read {}", path.display()),
            source,
        },
    }
}

/// Follows all links; of a path that leads nowhere, those of its folder.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..LINK_LIMIT {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let Ok(link) = fs::read_link(&path) else {
            return Ok(with_resolved_folder(path));
        };
        path = path.parent().map(|folder| folder.join(&link)).unwrap_or(link);
    }
    Err(io::ErrorKind::InvalidInput.into())
}

fn with_resolved_folder(path: PathBuf) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}
