//! Replacing a file so that no reader and no crash ever sees a part of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::exchange::{Expected, exchange};
use crate::session::SessionError;

/// What a save outlives once it has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The end of any process: the content is with the operating system and the file renamed.
    Process,
    /// A loss of power as well: file and directory are synchronised with the disk, which costs milliseconds.
    Power,
}

/// Writes the content into whatever it is given; may be called again, for another file, after a failure.
type Content<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// The links that are followed before they are held to be a circle, as in Linux.
const LINK_LIMIT: usize = 40;

/// Replaces the file at `path`; see [`Notebook::save`](super::Notebook::save) for the promises.
pub(super) fn replace(path: &Path, durability: Durability, content: Content<'_>) -> Result<(), SessionError> {
    replace_if(path, durability, None, content).map(drop)
}

/// Replaces the file at `path`, unless it is not as `expected` says any more: then there is nothing to be told of the
/// new one.
pub(super) fn replace_unchanged(
    path: &Path,
    durability: Durability,
    expected: &Expected,
    content: Content<'_>,
) -> Result<Option<fs::Metadata>, SessionError> {
    replace_if(path, durability, Some(expected), content)
}

fn replace_if(
    path: &Path,
    durability: Durability,
    expected: Option<&Expected>,
    content: Content<'_>,
) -> Result<Option<fs::Metadata>, SessionError> {
    let written = resolve(path).and_then(|target| match fs::metadata(&target) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => {
            content(&mut OpenOptions::new().write(true).open(&target)?)?;
            Ok(Some(found))
        }
        Ok(found) => match rename_over(&target, Some(&found), durability, expected, content) {
            Err(error) if is_irreplaceable(&error) => {
                if expected.is_some_and(|expected| !expected.is_at(&target)) {
                    return Ok(None);
                }
                overwrite(&target, durability, content, error).map(Some)
            }
            result => result,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            rename_over(&target, None, durability, expected, content)
        }
        Err(error) => Err(error),
    });
    written.map_err(|source| SessionError::Io {
        action: format!("write {}", path.display()),
        source,
    })
}

/// Whether [`replace`] can be expected to succeed, found out without touching the file.
pub(super) fn check_writable(path: &Path) -> Result<(), SessionError> {
    let checked = resolve(path).and_then(|target| match fs::metadata(&target) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => OpenOptions::new()
            .write(true)
            .open(&target)
            .map(drop)
            .or_else(|_| temporary_file(directory(&target), None).map(drop)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => temporary_file(directory(&target), None).map(drop),
        Err(error) => Err(error),
    });
    checked.map_err(|source| SessionError::Io {
        action: format!("write {}", path.display()),
        source,
    })
}

/// Follows symbolic links, so that what they lead to is replaced and not they.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..LINK_LIMIT {
        match fs::read_link(&target) {
            Ok(link) => target = directory(&target).join(link),
            Err(_) => return Ok(target),
        }
    }
    Err(io::ErrorKind::InvalidInput.into())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

fn rename_over(
    target: &Path,
    found: Option<&fs::Metadata>,
    durability: Durability,
    expected: Option<&Expected>,
    content: Content<'_>,
) -> io::Result<Option<fs::Metadata>> {
    let mut temporary = temporary_file(directory(target), found)?;
    content(temporary.as_file_mut())?;
    if let Some(found) = found {
        keep_owner_and_mode(temporary.as_file(), found)?;
    }
    if durability == Durability::Power {
        temporary.as_file().sync_all()?;
    }
    let written = temporary.as_file().metadata()?;
    let is_replaced = match expected {
        Some(expected) => exchange(temporary, target, expected)?,
        None => temporary.persist(target).map(|_| true).map_err(|error| error.error)?,
    };
    if durability == Durability::Power {
        File::open(directory(target))?.sync_all()?;
    }
    Ok(is_replaced.then_some(written))
}

/// A file that vanishes when it is dropped, open to nobody whom the one that it is to replace is closed to.
fn temporary_file(directory: &Path, found: Option<&fs::Metadata>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mcp-jupyter-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = found.map_or(0o666, |found| found.permissions().mode() & 0o777);
        builder.permissions(fs::Permissions::from_mode(mode | 0o200));
    }
    #[cfg(not(unix))]
    let _ = found;
    builder.tempfile_in(directory)
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, found: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
        // Only root gives files away, and others only to groups of theirs: what is refused stays as it is.
        let _ = fchown(file, None, Some(found.gid()));
        let _ = fchown(file, Some(found.uid()), None);
    }
    // After the owner, whose change takes away the set-id bits.
    file.set_permissions(found.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(file: &File, found: &fs::Metadata) -> io::Result<()> {
    file.set_permissions(found.permissions())
}

/// Whether a file that cannot be replaced may still be open to being overwritten: its directory is not writable or
/// sticky, or it is a mount of its own.
fn is_irreplaceable(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(
        error.kind(),
        CrossesDevices | PermissionDenied | ReadOnlyFilesystem | ResourceBusy
    )
}

/// Writes over the old content, a copy of which is put back on failure. `cause` is why the file was not replaced.
fn overwrite(
    target: &Path,
    durability: Durability,
    content: Content<'_>,
    cause: io::Error,
) -> io::Result<fs::Metadata> {
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(target) else {
        return Err(cause);
    };
    let found = file.metadata()?;
    let mut backup = temporary_file(directory(target), Some(&found)).or_else(|_| NamedTempFile::new())?;
    io::copy(&mut file, backup.as_file_mut())?;
    if durability == Durability::Power {
        backup.as_file().sync_all()?;
    }
    let Err(error) = fill(&mut file, durability, content) else {
        return file.metadata();
    };
    let old = &mut backup;
    let restored = old.rewind().and_then(|()| {
        fill(&mut file, durability, &|out| {
            io::copy(&mut old.as_file(), out).map(drop)
        })
    });
    if restored.is_ok() {
        return Err(error);
    }
    let (_, kept) = backup.keep().map_err(|error| error.error)?;
    let message = format!("{error}; the old content is in {}", kept.display());
    Err(io::Error::new(error.kind(), message))
}

/// Makes `content` the whole of `file`. The end is cut off last, so that on a full disk the old file's space is there
/// for putting its content back.
fn fill(file: &mut File, durability: Durability, content: Content<'_>) -> io::Result<()> {
    file.rewind()?;
    content(file)?;
    let length = file.stream_position()?;
    file.set_len(length)?;
    if durability == Durability::Power {
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn half(out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"half of what is ")?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn names(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_no_other() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.ipynb");
        let error = replace(&path, Durability::Power, &half).unwrap_err();
        assert!(names(folder.path()).is_empty());
        assert!(matches!(error, SessionError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull));
        fs::write(&path, "old").unwrap();
        replace(&path, Durability::Process, &half).unwrap_err();
        assert_eq!(names(folder.path()), std::slice::from_ref(&path));
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn what_cannot_be_replaced_is_overwritten_in_place() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.ipynb");
        fs::write(&path, "old and longer").unwrap();
        let cause = || io::Error::from(io::ErrorKind::ResourceBusy);
        overwrite(&path, Durability::Power, &|out| out.write_all(b"new"), cause()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let error = overwrite(&path, Durability::Process, &half, cause()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), [path]);
    }

    #[test]
    fn the_cause_is_told_where_overwriting_is_forbidden_too() {
        let folder = TempDir::new().unwrap();
        let cause = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let error = overwrite(&folder.path().join("none"), Durability::Process, &half, cause).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
    }
}
