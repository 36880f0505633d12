//! Replacing a file only if nobody else has in the meantime.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::hashing::Hashing;
use crate::model::Digest;

/// Up to this length, in bytes, a look at the content costs next to nothing.
const SHORT: u64 = 1 << 20;

/// File systems note times so coarsely that two writes within this may have the same one.
const COARSE: Duration = Duration::from_secs(2);

/// What tells one state of a file from another without reading it.
#[derive(Debug)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    identity: Option<u64>,
    /// As long as it is open, no other file is given its identity.
    _held: Option<File>,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        (self.modified, self.length, self.identity) == (other.modified, other.length, other.identity)
    }
}

impl Stamp {
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    pub(super) fn of(path: &Path) -> Option<Self> {
        let held = File::open(path).ok();
        let found = held.as_ref().map_or_else(|| fs::metadata(path), File::metadata).ok()?;
        Some(Self::of_metadata(&found, held))
    }

    fn of_metadata(found: &Metadata, held: Option<File>) -> Self {
        Self {
            modified: found.modified().ok(),
            length: found.len(),
            identity: identity(found),
            _held: held,
        }
    }
}

/// The state in which a file was read.
#[derive(Debug)]
pub(super) struct Expected {
    stamp: Stamp,
    /// What was read, where the stamp alone does not tell whether the file was written in place since.
    content: Option<Digest>,
}

impl Expected {
    pub(super) fn new(stamp: Stamp, content: Digest) -> Self {
        let is_settled = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > COARSE);
        let is_told = stamp.length > SHORT && stamp.modified.is_some_and(is_settled);
        Self {
            stamp,
            content: (!is_told).then_some(content),
        }
    }

    /// Whether the file at `path` is still that.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.is_taken(Stamp::of(path).as_ref(), path)
    }

    fn is_taken(&self, found: Option<&Stamp>, path: &Path) -> bool {
        found == Some(&self.stamp)
            && self
                .content
                .is_none_or(|content| digest(path).is_ok_and(|found| found == content))
    }
}

fn digest(path: &Path) -> io::Result<Digest> {
    let mut nowhere = io::sink();
    let mut hashing = Hashing::new(&mut nowhere);
    io::copy(&mut File::open(path)?, &mut hashing)?;
    Ok(hashing.finish())
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn identity(found: &Metadata) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Some(found.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<u64> {
    None
}

/// Puts the temporary file in the place of `target`, unless that is not as `expected` says any more; tells whether it has.
///
/// A look before a rename leaves a moment in which an editor's save would be lost. Here the two files change places, in
/// one step, and the look is at what has come out: nobody can replace that any more. What should not have come out goes
/// back; what that brings out is ours, unless somebody has saved once more, which is then newer and goes back in turn.
pub(super) fn exchange(temporary: NamedTempFile, target: &Path, expected: &Expected) -> io::Result<bool> {
    let mut placed = Stamp::of_metadata(&temporary.as_file().metadata()?, None);
    match swap(temporary.path(), target) {
        Ok(()) => {}
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => return Ok(false),
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                return rename_unchanged(temporary, target, expected);
            }
            _ => return Err(error),
        },
    }
    let mut taken = Stamp::of(temporary.path());
    if expected.is_taken(taken.as_ref(), temporary.path()) {
        return Ok(true);
    }
    loop {
        match swap(temporary.path(), target) {
            Ok(()) => {}
            // Somebody has removed ours from the place, and with it what it stood for: what was saved last is put there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                temporary.persist(target).map_err(|error| error.error)?;
                return Ok(false);
            }
            Err(error) => return Err(keep(temporary, error)),
        }
        let newer = Stamp::of(temporary.path());
        if newer.as_ref() == Some(&placed) {
            return Ok(false);
        }
        let (Some(put_back), Some(newer)) = (taken, newer) else {
            return Err(keep(temporary, io::ErrorKind::NotFound.into()));
        };
        (placed, taken) = (put_back, Some(newer));
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn swap(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn swap(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn rename_unchanged(temporary: NamedTempFile, target: &Path, expected: &Expected) -> io::Result<bool> {
    if !expected.is_at(target) {
        return Ok(false);
    }
    temporary.persist(target).map_err(|error| error.error)?;
    Ok(true)
}

/// What another program has saved must not vanish with the temporary file.
fn keep(temporary: NamedTempFile, error: io::Error) -> io::Error {
    match temporary.keep() {
        Ok((_, kept)) => {
            let message = format!(
                "{error}; what another program has saved meanwhile is in {}",
                kept.display()
            );
            io::Error::new(error.kind(), message)
        }
        Err(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn expected(path: &Path) -> Expected {
        let stamp = Stamp::of(path).unwrap();
        Expected::new(stamp, digest(path).unwrap())
    }

    fn new_file(folder: &Path, content: &str) -> NamedTempFile {
        let file = tempfile::Builder::new().prefix("new").tempfile_in(folder).unwrap();
        fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn what_is_as_expected_is_replaced_and_nothing_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.ipynb");
        fs::write(&target, "old").unwrap();
        let expected = expected(&target);
        assert!(exchange(new_file(folder.path(), "new"), &target, &expected).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_stays() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.ipynb");
        fs::write(&target, "old").unwrap();
        let expected = expected(&target);
        new_file(folder.path(), "edited").persist(&target).unwrap();
        assert!(!exchange(new_file(folder.path(), "new"), &target, &expected).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"edited");
        fs::remove_file(&target).unwrap();
        assert!(!exchange(new_file(folder.path(), "new"), &target, &expected).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// Written in place within one tick of the clock, a file of the same length has the same stamp.
    #[test]
    fn what_was_written_in_place_is_told_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.ipynb");
        fs::write(&target, "old").unwrap();
        let expected = expected(&target);
        let time = fs::metadata(&target).unwrap().modified().unwrap();
        fs::write(&target, "own").unwrap();
        File::options()
            .write(true)
            .open(&target)
            .unwrap()
            .set_modified(time)
            .unwrap();
        assert_eq!(Stamp::of(&target).as_ref(), Some(&expected.stamp));
        assert!(!exchange(new_file(folder.path(), "new"), &target, &expected).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"own");
    }

    /// After a clock was set back, the time of the last change says nothing of when that was.
    #[test]
    fn a_time_that_is_still_to_come_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.ipynb");
        let length = usize::try_from(SHORT).unwrap() + 1;
        let write = |byte: u8, age: Duration| {
            fs::write(&target, vec![byte; length]).unwrap();
            let file = File::options().write(true).open(&target).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(3600) - age)
                .unwrap();
        };
        write(b'o', Duration::ZERO);
        let expected = expected(&target);
        let time = expected.stamp.modified.unwrap();
        fs::write(&target, vec![b'x'; length]).unwrap();
        File::options()
            .write(true)
            .open(&target)
            .unwrap()
            .set_modified(time)
            .unwrap();
        assert!(!exchange(new_file(folder.path(), "new"), &target, &expected).unwrap());
        write(b'o', Duration::from_secs(7200));
        assert!(
            Expected::new(Stamp::of(&target).unwrap(), Digest::of(b""))
                .content
                .is_none()
        );
    }

    /// An editor counts up by replacing the file, while we add to whatever we have read: no count is ever gone.
    #[test]
    fn no_replacement_of_another_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.ipynb");
        fs::write(&target, "0").unwrap();
        let is_over = AtomicBool::new(false);
        let lost = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let stamp = Stamp::of(&target).unwrap();
                    let seen = fs::read_to_string(&target).unwrap();
                    let expected = Expected::new(stamp, Digest::of(seen.as_bytes()));
                    let added = new_file(folder.path(), &format!("{seen} "));
                    exchange(added, &target, &expected).unwrap();
                }
            });
            let lost = (1..500).find(|count| {
                new_file(folder.path(), &count.to_string()).persist(&target).unwrap();
                // Ours may be in the place for a moment, until it has come out again.
                let began = Instant::now();
                let is_there = || fs::read_to_string(&target).unwrap().trim() == count.to_string();
                std::iter::repeat_with(is_there)
                    .take_while(|_| began.elapsed() < Duration::from_secs(10))
                    .all(|is_there| !is_there)
            });
            is_over.store(true, Ordering::Relaxed);
            lost
        });
        assert_eq!(lost, None);
    }
}
