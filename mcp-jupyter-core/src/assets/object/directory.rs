//! What a local folder can do better than an object store in general: take a staged file as it is, read in large pieces,
//! and be listed at once.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::path::Path as Key;

use crate::assets::ByteStream;
use crate::assets::error::AssetError;

use super::keys;

/// What is read at once: handing less from thread to thread costs more than the reading, more falls out of the caches.
const CHUNK: u64 = 1 << 20;
/// How many pieces are read before they are wanted.
const READ_AHEAD: usize = 2;
/// What most records are far shorter than.
const SHORT: usize = 1 << 10;
/// How many threads read records; more only wait for each other.
const READERS: usize = 4;

/// A folder on local disk.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The folder, which is made if it is not there; then all of it is closed to git.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        if !root.is_dir() {
            fs::create_dir_all(root)?;
            fs::write(root.join(".gitignore"), "*\n")?;
        }
        Ok(Self {
            root: root.canonicalize()?,
        })
    }

    /// Closes what is ours in a folder of somebody else's to git, before the first of it is there, unless the folder says
    /// itself what git is to leave alone.
    pub(super) fn close_to_git(&self) -> io::Result<()> {
        let file = self.root.join(".gitignore");
        if self.root.join(keys::ASSETS).exists() || file.exists() {
            return Ok(());
        }
        let ours = keys::FOLDERS.map(|folder| format!("/{folder}/\n"));
        fs::write(file, ours.concat())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_ref())
    }

    /// Gives the file that has no name its name. What has the name is the whole, also after a loss of power, which may
    /// take the name away again. Tells whether that could be done.
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
            Ok(()) | Err(Errno::EXIST) => Ok(true),
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

    /// The file of this key; none where it is not there.
    pub(super) fn open_file(&self, key: &Key) -> io::Result<Option<File>> {
        found(File::open(self.path(key)))
    }

    /// The bytes of a file from `from` to `to`, read as they are wanted, and a little ahead.
    pub(super) fn read(file: File, from: u64, to: u64, name: &str) -> ByteStream {
        let name = name.to_owned();
        let file = Arc::new(file);
        let starts = std::iter::successors(Some(from), |at| at.checked_add(CHUNK)).take_while(move |at| *at < to);
        stream::iter(starts)
            .map(move |at| {
                let (file, name) = (Arc::clone(&file), name.clone());
                let reading = tokio::task::spawn_blocking(move || read_at(&file, at, (to - at).min(CHUNK)));
                async move {
                    let read = reading.await.map_err(io::Error::other).flatten();
                    read.map(Bytes::from).map_err(|source| AssetError::Io {
                        store: name,
                        action: "read".to_owned(),
                        source,
                    })
                }
            })
            .buffered(READ_AHEAD)
            .boxed()
    }

    /// The whole of a short file, in as few system calls as can be; none where it is not there.
    pub(super) fn read_short(path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = found(File::open(path))? else {
            return Ok(None);
        };
        let mut bytes = vec![0; SHORT];
        let length = file.read(&mut bytes)?;
        bytes.truncate(length);
        // Of a file less comes than is asked for only where it ends.
        if length == SHORT {
            file.read_to_end(&mut bytes)?;
        }
        Ok(Some(bytes))
    }

    /// The paths of all files right below a folder's folders, or deeper below.
    pub(super) fn files(&self, folder: &str, depth: usize) -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        entries(&self.root.join(folder), &mut folders)?;
        let below = Self::each(&folders, |folder| {
            let mut found = Vec::new();
            collect(folder, depth - 1, &mut found)?;
            Ok(found)
        })?;
        Ok(below.into_iter().flatten().flatten().collect())
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
    if depth == 0 {
        return entries(folder, all);
    }
    let mut folders = Vec::new();
    entries(folder, &mut folders)?;
    folders.iter().try_for_each(|folder| collect(folder, depth - 1, all))
}

/// What is right below a folder; nothing where it is none.
fn entries(folder: &Path, all: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in found(fs::read_dir(folder))?.into_iter().flatten() {
        all.push(entry?.path());
    }
    Ok(())
}

/// Reads into memory that was not cleared before: all of it is written over.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn read_at(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let from = at + bytes.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), from) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may be more room than was asked for.
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn read_at(mut file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    use std::io::Seek as _;
    file.seek(io::SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
