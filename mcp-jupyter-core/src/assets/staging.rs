//! Bytes on their way into a store: on local disk, in a file that has no name and so leaves nothing behind.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::model::{Digest, Text};

use super::ByteStream;
use super::error::AssetError;
use super::types::MimeType;

/// What is written at once. A write of less costs more for the change of threads than for the bytes.
const BATCH: usize = 1 << 20;
/// What is read at once.
const CHUNK: usize = 1 << 20;

/// Takes bytes in while they are made: hashed, counted and written to disk, at most two mebibytes of them in memory.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), mcp_jupyter_core::assets::AssetError> {
/// use mcp_jupyter_core::assets::{AssetStore, MimeType, ObjectAssets, Staging};
///
/// let assets = ObjectAssets::memory();
/// let mut staging = Staging::new(assets.staging_folder());
/// staging.write(b"loss 0.1\n").await?;
/// staging.write(b"loss 0.05\n").await?;
/// let staged = staging.finish(MimeType::plain()).await?;
/// let asset = assets.create(&staged).await?;
/// assert_eq!((asset.length, asset.lines), (19, Some(2)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Staging {
    folder: Option<PathBuf>,
    batch: Vec<u8>,
    /// The writer is with the thread that has written last.
    writing: Writing,
}

#[derive(Debug)]
enum Writing {
    NotYet,
    Busy(JoinHandle<io::Result<Box<Writer>>>),
    Failed,
}

#[derive(Debug)]
struct Writer {
    file: File,
    hasher: Sha256,
    length: u64,
    line_ends: u64,
    last: u8,
}

/// Bytes that are ready to be put into a store, any number of times.
#[derive(Clone, Debug)]
pub struct StagedAsset {
    file: Arc<File>,
    /// Their identity.
    pub digest: Digest,
    /// How many they are.
    pub length: u64,
    /// What they are.
    pub mime: MimeType,
    /// How many lines they are, if they are text.
    pub lines: Option<u64>,
    /// Width and height, if they are an image in a known format.
    pub pixels: Option<(u32, u32)>,
}

impl Staging {
    /// Stages in this folder, or in the system's for temporary files. Nothing is created before there is a byte.
    pub fn new(folder: Option<&Path>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            batch: Vec::new(),
            writing: Writing::NotYet,
        }
    }

    /// Takes in more bytes. What a dropped call leaves is not the whole: then the staging has to be dropped as well.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), AssetError> {
        for part in bytes.chunks(BATCH) {
            if self.batch.len() + part.len() > BATCH {
                self.flush().await?;
            }
            self.batch.extend_from_slice(part);
        }
        Ok(())
    }

    /// Takes in a text, which may be very large, without copying the whole.
    ///
    /// # Errors
    /// As [`Staging::write`].
    pub async fn write_text(&mut self, text: Text) -> Result<(), AssetError> {
        let mut writer = self.writer().await?;
        let mut batch = std::mem::take(&mut self.batch);
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || {
            let mut written = Ok(());
            text.for_each_chunk(|chunk| {
                batch.extend_from_slice(chunk.as_bytes());
                if batch.len() >= BATCH && written.is_ok() {
                    written = writer.write(&batch);
                    batch.clear();
                }
            });
            written?;
            writer.write(&batch)?;
            Ok(writer)
        }));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), AssetError> {
        let mut writer = self.writer().await?;
        let batch = std::mem::take(&mut self.batch);
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || {
            writer.write(&batch)?;
            Ok(writer)
        }));
        Ok(())
    }

    async fn writer(&mut self) -> Result<Box<Writer>, AssetError> {
        let failed = |source| AssetError::Io {
            store: "staging".to_owned(),
            action: "write to disk".to_owned(),
            source,
        };
        match std::mem::replace(&mut self.writing, Writing::Failed) {
            Writing::Busy(writing) => match writing.await {
                Ok(written) => written.map_err(failed),
                Err(error) => Err(failed(io::Error::other(error))),
            },
            Writing::NotYet => Writer::new(self.folder.as_deref()).map(Box::new).map_err(failed),
            Writing::Failed => Err(failed(io::Error::other("an earlier part was not written"))),
        }
    }

    /// The whole of what was taken in.
    ///
    /// # Errors
    /// Where some of it could not be written.
    pub async fn finish(mut self, mime: MimeType) -> Result<StagedAsset, AssetError> {
        self.flush().await?;
        let writer = self.writer().await?;
        let lines = mime.is_text().then(|| writer.lines());
        let pixels = mime.is_image().then(|| pixels(&writer.file)).flatten();
        Ok(StagedAsset {
            digest: Digest::from_output(writer.hasher.finalize()),
            length: writer.length,
            file: Arc::new(writer.file),
            mime,
            lines,
            pixels,
        })
    }
}

impl Writer {
    fn new(folder: Option<&Path>) -> io::Result<Self> {
        Ok(Self {
            file: folder.map_or_else(tempfile::tempfile, tempfile::tempfile_in)?,
            hasher: Sha256::new(),
            length: 0,
            line_ends: 0,
            last: b'\n',
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.line_ends += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.last = bytes.last().copied().unwrap_or(self.last);
        Ok(())
    }

    fn lines(&self) -> u64 {
        self.line_ends + u64::from(self.last != b'\n')
    }
}

impl StagedAsset {
    /// The file that holds them.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The bytes from `offset` on, at most `limit` of them; blocks.
    ///
    /// # Errors
    /// As the operating system's.
    pub fn read_at(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let mut file = self.file.try_clone()?;
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; limit.min(left)];
        read_exact_at(&mut file, &mut bytes, offset)?;
        Ok(bytes)
    }

    /// All bytes, read as they are wanted.
    pub fn content(&self) -> ByteStream {
        let staged = self.clone();
        stream::try_unfold(0, move |offset| {
            let staged = staged.clone();
            async move {
                if offset >= staged.length {
                    return Ok(None);
                }
                let read = tokio::task::spawn_blocking(move || staged.read_at(offset, CHUNK)).await;
                let bytes = read
                    .map_err(io::Error::other)
                    .flatten()
                    .map_err(|source| AssetError::Io {
                        store: "staging".to_owned(),
                        action: "read from disk".to_owned(),
                        source,
                    })?;
                let next = offset + bytes.len() as u64;
                Ok(Some((Bytes::from(bytes), next)))
            }
        })
        .boxed()
    }
}

#[cfg(unix)]
fn read_exact_at(file: &mut File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exact_at(file: &mut File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

/// Width and height of an image, from its header.
fn pixels(file: &File) -> Option<(u32, u32)> {
    let mut file = file.try_clone().ok()?;
    file.seek(SeekFrom::Start(0)).ok()?;
    let reader = image::ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .ok()?;
    reader.into_dimensions().ok()
}
