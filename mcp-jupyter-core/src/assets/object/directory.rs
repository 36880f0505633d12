//! What a local folder can do better than an object store in general: take a staged file as it is, read in large pieces,
//! and be listed at once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::path::Path as Key;

use crate::assets::ByteStream;
use crate::assets::error::AssetError;

/// What is read at once.
const CHUNK: u64 = 1 << 20;
/// How many threads read records; more only wait for each other.
const READERS: usize = 4;

/// A folder on local disk.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The folder, which is made if it is not there; then it tells git to leave it alone.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        if !root.is_dir() {
            fs::create_dir_all(root)?;
            fs::write(root.join(".gitignore"), "*\n")?;
        }
        Ok(Self {
            root: root.canonicalize()?,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_ref())
    }

    /// Gives the file that has no name its name. It is there as a whole from then on, also after a loss of power. Tells
    /// whether that could be done.
    #[cfg(target_os = "linux")]
    pub(super) fn link(&self, file: &File, key: &Key) -> io::Result<bool> {
        use std::os::fd::AsRawFd as _;

        use rustix::fs::{AtFlags, CWD, linkat};
        use rustix::io::Errno;

        file.sync_data()?;
        let target = self.path(key);
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        // The only way to name a file that was opened without one and without privileges (open(2), O_TMPFILE).
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(CWD, source.as_str(), CWD, &target, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) | Err(Errno::EXIST) => {
                File::open(folder)?.sync_all()?;
                Ok(true)
            }
            // It was made with a name that is gone, or elsewhere.
            Err(Errno::NOENT | Errno::XDEV | Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "Linux alone can do it")]
    pub(super) fn link(&self, _: &File, _: &Key) -> io::Result<bool> {
        Ok(false)
    }

    /// The bytes of a file from `from` to `to`, read as they are wanted.
    pub(super) fn read(file: File, from: u64, to: u64, name: &str) -> ByteStream {
        let name = name.to_owned();
        let file = std::sync::Arc::new(file);
        stream::try_unfold(from, move |at| {
            let (file, name) = (std::sync::Arc::clone(&file), name.clone());
            async move {
                if at >= to {
                    return Ok(None);
                }
                let length = (to - at).min(CHUNK);
                let read = tokio::task::spawn_blocking(move || read_at(&file, at, length)).await;
                let bytes = read
                    .map_err(io::Error::other)
                    .flatten()
                    .map_err(|source| AssetError::Io {
                        store: name,
                        action: "read".to_owned(),
                        source,
                    })?;
                Ok(Some((Bytes::from(bytes), at + length)))
            }
        })
        .boxed()
    }

    /// The paths of all files right below a folder's folders, or right below itself.
    pub(super) fn files(&self, folder: &str, depth: usize) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        collect(&self.root.join(folder), depth, &mut found)?;
        Ok(found)
    }

    /// What `read` makes of each, in the same order, by several threads; none where a file has vanished meanwhile.
    pub(super) fn each<T: Send, I: Sync>(
        items: &[I],
        read: impl Fn(&I) -> io::Result<T> + Sync,
    ) -> io::Result<Vec<Option<T>>> {
        let size = items.len().div_ceil(READERS).max(1);
        let (results_tx, results) = mpsc::channel();
        std::thread::scope(|scope| {
            for (at, part) in items.chunks(size).enumerate() {
                let (results_tx, read) = (results_tx.clone(), &read);
                scope.spawn(move || {
                    let done: io::Result<Vec<Option<T>>> = part.iter().map(|item| found(read(item))).collect();
                    // The receiver outlives the threads.
                    let _ = results_tx.send((at, done));
                });
            }
        });
        drop(results_tx);
        let mut parts: Vec<_> = results.into_iter().collect();
        parts.sort_by_key(|(at, _)| *at);
        let mut all = Vec::with_capacity(items.len());
        for (_, part) in parts {
            all.extend(part?);
        }
        Ok(all)
    }
}

/// None for what is not there.
pub(super) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn collect(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some(entries) = found(fs::read_dir(folder))? else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if depth == 0 {
            all.push(entry.path());
        } else if entry.file_type()?.is_dir() {
            collect(&entry.path(), depth - 1, all)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, at)?;
    Ok(bytes)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _};
    file.seek(io::SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
