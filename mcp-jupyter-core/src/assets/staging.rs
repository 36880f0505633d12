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
    writing: Option<JoinHandle<Box<Writer>>>,
}

#[derive(Debug, Default)]
struct Writer {
    file: Option<File>,
    hasher: Sha256,
    length: u64,
    line_ends: u64,
    ends_in_line: bool,
    /// Why no more could be written, and what was not.
    failure: Option<io::Error>,
    unwritten: Vec<u8>,
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
    /// Stages in this folder, or in the system's for temporary files where that cannot be. Nothing is created before there
    /// is a byte.
    pub fn new(folder: Option<&Path>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            batch: Vec::new(),
            writing: None,
        }
    }

    /// Takes in more bytes. What a dropped call leaves is not the whole.
    ///
    /// # Errors
    /// Where something could not be written to disk. It is kept in memory, as all is that is taken in afterwards: whoever
    /// needs it goes on, and has it all from [`Staging::rescue`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), AssetError> {
        let mut failure = None;
        for part in bytes.chunks(BATCH) {
            if self.batch.len() + part.len() > BATCH {
                let mut writer = self.writer().await;
                failure = writer.failure();
                let batch = std::mem::take(&mut self.batch);
                self.writing = Some(tokio::task::spawn_blocking(move || {
                    writer.write(&batch);
                    writer
                }));
            }
            self.batch.extend_from_slice(part);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Takes in a text, which may be very large, without copying the whole.
    ///
    /// # Errors
    /// As [`Staging::write`].
    pub async fn write_text(&mut self, text: Text) -> Result<(), AssetError> {
        let mut writer = self.writer().await;
        let failure = writer.failure();
        let mut batch = std::mem::take(&mut self.batch);
        self.writing = Some(tokio::task::spawn_blocking(move || {
            text.for_each_chunk(|chunk| {
                batch.extend_from_slice(chunk.as_bytes());
                if batch.len() >= BATCH {
                    writer.write(&batch);
                    batch.clear();
                }
            });
            writer.write(&batch);
            writer
        }));
        failure.map_or(Ok(()), Err)
    }

    async fn writer(&mut self) -> Box<Writer> {
        match self.writing.take() {
            Some(writing) => writing.await.expect("writing does not panic"),
            None => Box::new(Writer::new(self.folder.as_deref())),
        }
    }

    /// The whole of what was taken in.
    ///
    /// # Errors
    /// Where some of it could not be written.
    pub async fn finish(&mut self, mime: MimeType) -> Result<StagedAsset, AssetError> {
        let mut writer = self.writer().await;
        let batch = std::mem::take(&mut self.batch);
        let writing = tokio::task::spawn_blocking(move || {
            writer.write(&batch);
            writer
        });
        let mut writer = writing.await.expect("writing does not panic");
        if let Some(failure) = writer.failure() {
            self.writing = Some(tokio::task::spawn_blocking(move || writer));
            return Err(failure);
        }
        let file = writer.file.take().expect("where there is none, there is a reason");
        Ok(StagedAsset {
            lines: mime.is_text().then(|| writer.lines()),
            pixels: mime.is_image().then(|| pixels(&file)).flatten(),
            file: Arc::new(file),
            digest: Digest::from_output(writer.hasher.finalize()),
            length: writer.length,
            mime,
        })
    }

    /// All that was taken in, in memory, after [`Staging::finish`] has failed.
    ///
    /// # Errors
    /// Where what was written cannot be read again.
    pub async fn rescue(mut self) -> Result<Vec<u8>, AssetError> {
        let writer = self.writer().await;
        let rescued = tokio::task::spawn_blocking(move || writer.content()).await;
        let mut all = rescued.map_err(io::Error::other).flatten().map_err(failed)?;
        all.append(&mut self.batch);
        Ok(all)
    }
}

fn failed(source: io::Error) -> AssetError {
    AssetError::Io {
        store: "staging".to_owned(),
        action: "write to disk".to_owned(),
        source,
    }
}

impl Writer {
    /// A file without a name is there or not; where it is not, why is known, and all is kept.
    fn new(folder: Option<&Path>) -> Self {
        let opened = match folder {
            // The folder of a store may be gone; the store will say so itself.
            Some(folder) => tempfile::tempfile_in(folder).or_else(|_| tempfile::tempfile()),
            None => tempfile::tempfile(),
        };
        let (file, failure) = match opened {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            file,
            failure,
            ..Self::default()
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let written = match (&mut self.file, &self.failure) {
            (Some(file), None) => file.write_all(bytes),
            _ => return self.unwritten.extend_from_slice(bytes),
        };
        if let Err(error) = written {
            // Part of it may be in the file, behind the length that counts.
            self.failure = Some(error);
            return self.unwritten.extend_from_slice(bytes);
        }
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.line_ends += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.ends_in_line = bytes.last().map_or(self.ends_in_line, |last| *last != b'\n');
    }

    /// Why not all could be written, if so.
    fn failure(&self) -> Option<AssetError> {
        let failure = self.failure.as_ref()?;
        Some(failed(io::Error::new(failure.kind(), failure.to_string())))
    }

    fn lines(&self) -> u64 {
        self.line_ends + u64::from(self.ends_in_line)
    }

    fn content(self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.length).map_err(io::Error::other)?;
        let mut all = vec![0; length];
        if let Some(mut file) = self.file {
            read_exact_at(&mut file, &mut all, 0)?;
        }
        all.extend_from_slice(&self.unwritten);
        Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_is_gone_does_not_matter() {
        let mut staging = Staging::new(Some(Path::new("/nonexistent/folder")));
        staging.write(b"a\nb").await.unwrap();
        let staged = staging.finish(MimeType::plain()).await.unwrap();
        assert_eq!(
            (staged.read_at(0, 9).unwrap(), staged.lines),
            (b"a\nb".to_vec(), Some(2))
        );
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_kept() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"written ").unwrap();
        // Nothing can be written to this any more, as on a full disk.
        let writer = Box::new(Writer {
            file: Some(File::open(file.path()).unwrap()),
            length: 8,
            ..Writer::default()
        });
        let mut staging = Staging::new(None);
        staging.writing = Some(tokio::task::spawn_blocking(move || writer));
        let more = "x".repeat(3 * BATCH);
        let _ = staging.write(more.as_bytes()).await;
        staging.write_text(Text::from(" and".to_owned())).await.unwrap_err();
        staging.finish(MimeType::plain()).await.unwrap_err();
        let _ = staging.write(b" more").await;
        let rescued = staging.rescue().await.unwrap();
        assert_eq!(String::from_utf8(rescued).unwrap(), format!("written {more} and more"));
    }
}
