//! When a file may have changed, as the operating system tells it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::error::CliError;

/// One save of an editor is several events; it is over when none has come for so long.
const QUIET: Duration = Duration::from_millis(40);
/// A file that never rests is looked at all the same.
const LONGEST: Duration = Duration::from_secs(1);

/// Tells when a file may have changed. Its folder is watched, for editors replace files, and for a symbolic link the
/// folder of what it leads to as well.
#[derive(Debug)]
pub(super) struct FileEvents {
    /// Stops when it is dropped.
    _watcher: RecommendedWatcher,
    changed: Arc<Notify>,
    /// Something has happened, and is perhaps not over.
    is_pending: bool,
}

impl FileEvents {
    pub(super) fn new(path: &Path) -> Result<Self, CliError> {
        let failed = |source| CliError::Watch {
            path: path.to_owned(),
            source,
        };
        let places = places(path);
        let changed = Arc::new(Notify::new());
        let (names, told) = (places.clone(), Arc::clone(&changed));
        let mut watcher = notify::recommended_watcher(move |event| {
            if may_concern(&event, &names) {
                told.notify_one();
            }
        })
        .map_err(failed)?;
        for (folder, _) in &places {
            watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed)?;
        }
        Ok(Self {
            _watcher: watcher,
            changed,
            is_pending: false,
        })
    }

    /// Waits until something has happened since the last call, and is over. Nothing is lost where it is dropped.
    pub(super) async fn next(&mut self) {
        if !self.is_pending {
            self.changed.notified().await;
            self.is_pending = true;
        }
        let began = Instant::now();
        while began.elapsed() < LONGEST && timeout(QUIET, self.changed.notified()).await.is_ok() {}
        self.is_pending = false;
    }

    /// Waits for [`FileEvents::next`], but not longer than `limit`; tells whether it has come.
    pub(super) async fn next_within(&mut self, limit: Duration) -> bool {
        timeout(limit, self.next()).await.is_ok()
    }
}

/// The folders to watch, and the names in them.
fn places(path: &Path) -> Vec<(PathBuf, OsString)> {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_name()?.to_owned();
        Some((folder.unwrap_or(Path::new(".")).to_owned(), name))
    };
    let target = path.canonicalize().ok().filter(|_| path.is_symlink());
    [Some(path.to_owned()), target]
        .into_iter()
        .flatten()
        .filter_map(|path| place(&path))
        .collect()
}

/// Whether the file may be another one after this. That we read it is an event too, which must not wake us.
fn may_concern(event: &notify::Result<Event>, places: &[(PathBuf, OsString)]) -> bool {
    let Ok(event) = event else { return true };
    let is_look = matches!(event.kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write));
    let is_named = |path: &PathBuf| {
        let is_folder = places.iter().any(|(folder, _)| path == folder);
        is_folder
            || path
                .file_name()
                .is_some_and(|name| places.iter().any(|(_, wanted)| wanted == name))
    };
    !is_look && (event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(is_named))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Fails the test where nothing comes, rather than to hang.
    async fn comes(events: &mut FileEvents) {
        assert!(events.next_within(Duration::from_secs(20)).await);
    }

    #[tokio::test]
    async fn writing_replacing_removing_and_making_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.ipynb");
        fs::write(&path, "1").unwrap();
        let mut events = FileEvents::new(&path).unwrap();
        fs::write(&path, "2").unwrap();
        comes(&mut events).await;
        fs::write(folder.path().join("new"), "3").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        comes(&mut events).await;
        fs::remove_file(&path).unwrap();
        comes(&mut events).await;
        fs::write(&path, "4").unwrap();
        comes(&mut events).await;
    }

    #[tokio::test]
    async fn what_a_link_leads_to_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let (target, link) = (folder.path().join("data/real.ipynb"), folder.path().join("in.ipynb"));
        fs::write(&target, "1").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut events = FileEvents::new(&link).unwrap();
        fs::write(&target, "2").unwrap();
        comes(&mut events).await;
    }

    #[test]
    fn looks_do_not_count() {
        let places = places(Path::new("d/in.ipynb"));
        let event = |kind, path: &str| Ok(Event::new(kind).add_path(path.into()));
        let any = EventKind::Any;
        assert!(may_concern(&event(any, "d/in.ipynb"), &places));
        assert!(may_concern(&event(any, "d"), &places));
        assert!(!may_concern(&event(any, "d/other.ipynb"), &places));
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert!(!may_concern(&event(open, "d/in.ipynb"), &places));
        let close = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(may_concern(&event(close, "d/in.ipynb"), &places));
    }
}
