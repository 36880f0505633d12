//! The queue between a kernel's iopub socket and whoever reads its messages.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, Bytes};
use tokio::sync::Notify;

/// What waits in memory before the rest goes to disk, in bytes.
const MEMORY_LIMIT: usize = 8 << 20;

/// How much is read back from disk at once, in bytes, unless one message is larger.
const READ_SIZE: usize = 1 << 20;

/// Frames from this size on, in bytes, are written by themselves: one record of all would be a copy of theirs.
const LARGE: usize = 64 << 10;

/// The frames of one message.
pub(in crate::kernel) type Frames = Vec<Bytes>;

/// A queue that takes whatever comes, at once: a kernel drops messages behind a slow reader, without a trace.
///
/// What exceeds [`MEMORY_LIMIT`] waits in an unlinked temporary file. Where that file cannot be written, memory is
/// used beyond the limit rather than a message dropped.
#[derive(Debug, Default)]
pub(in crate::kernel) struct FrameQueue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    memory: VecDeque<Frames>,
    bytes: usize,
    spill: Option<Spill>,
    closed: bool,
}

/// Messages on disk, all of them younger than those in memory.
#[derive(Debug)]
struct Spill {
    file: Arc<File>,
    /// Where the oldest unread message starts.
    read_at: u64,
    write_at: u64,
    /// The lengths of the unread messages, as stored.
    lengths: VecDeque<usize>,
}

impl FrameQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a message; never waits for the reader.
    pub(super) fn push(&self, frames: Frames) {
        self.state().push(frames);
        self.changed.notify_one();
    }

    /// No message will come any more; what waits can still be taken.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// The oldest message; none when the queue is closed and empty. For one reader.
    pub(super) async fn pop(&self) -> Option<Frames> {
        loop {
            if let Some(frames) = self.state().pop_memory() {
                return Some(frames);
            }
            self.read_back().await;
            {
                let state = self.state();
                if state.memory.is_empty() && state.spill.is_none() && state.closed {
                    return None;
                }
                if !state.memory.is_empty() || state.spill.is_some() {
                    continue;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Moves the oldest messages from disk to memory, which is empty.
    async fn read_back(&self) {
        let Some((file, at, lengths)) = self.state().next_batch() else {
            return;
        };
        let source = Arc::clone(&file);
        let batch = tokio::task::spawn_blocking(move || read_batch(&source, at, &lengths)).await;
        let batch = batch.map_err(io::Error::other).and_then(|result| result);
        self.state().take_batch(&file, batch);
    }
}

impl State {
    fn push(&mut self, frames: Frames) {
        let size: usize = frames.iter().map(Bytes::len).sum();
        if self.spill.is_some() || self.bytes + size > MEMORY_LIMIT && !self.memory.is_empty() {
            match self.spill(&frames) {
                Ok(()) => return,
                Err(error) if self.spill.is_none() => {
                    tracing::warn!(%error, "cannot write waiting messages to a temporary file; they stay in memory");
                }
                Err(error) => {
                    // What is on disk is older than this message: only reading it back keeps the order.
                    tracing::warn!(%error, "the temporary file is full; waiting messages are read back into memory");
                    self.unspill();
                }
            }
        }
        self.bytes += size;
        self.memory.push_back(frames);
    }

    fn spill(&mut self, frames: &Frames) -> io::Result<()> {
        if let Some(spill) = &mut self.spill {
            return spill.write(frames);
        }
        let mut spill = Spill {
            file: Arc::new(tempfile::tempfile()?),
            read_at: 0,
            write_at: 0,
            lengths: VecDeque::new(),
        };
        spill.write(frames)?;
        self.spill = Some(spill);
        Ok(())
    }

    fn unspill(&mut self) {
        let Some(spill) = self.spill.take() else { return };
        let lengths: Vec<usize> = spill.lengths.into();
        match read_batch(&spill.file, spill.read_at, &lengths) {
            Ok(batch) => self.extend(batch),
            Err(error) => tracing::error!(%error, messages = lengths.len(), "waiting messages were lost"),
        }
    }

    fn pop_memory(&mut self) -> Option<Frames> {
        let frames = self.memory.pop_front()?;
        self.bytes -= frames.iter().map(Bytes::len).sum::<usize>();
        Some(frames)
    }

    fn next_batch(&self) -> Option<(Arc<File>, u64, Vec<usize>)> {
        let spill = self.spill.as_ref()?;
        let mut size = 0;
        let fits = |length: &&usize| {
            size += **length;
            size <= READ_SIZE || size == **length
        };
        Some((
            Arc::clone(&spill.file),
            spill.read_at,
            spill.lengths.iter().take_while(fits).copied().collect(),
        ))
    }

    /// Takes what was read from `source`, unless a push has read that file back in the meantime.
    fn take_batch(&mut self, source: &Arc<File>, batch: io::Result<Vec<Frames>>) {
        let Some(spill) = self.spill.as_mut().filter(|spill| Arc::ptr_eq(&spill.file, source)) else {
            return;
        };
        match batch {
            Ok(batch) => {
                let length: usize = spill.lengths.drain(..batch.len()).sum();
                spill.read_at += length as u64;
                if spill.lengths.is_empty() {
                    self.spill = None;
                }
                self.extend(batch);
            }
            Err(error) => {
                tracing::error!(%error, messages = spill.lengths.len(), "waiting messages were lost");
                self.spill = None;
            }
        }
    }

    fn extend(&mut self, batch: Vec<Frames>) {
        for frames in batch {
            self.bytes += frames.iter().map(Bytes::len).sum::<usize>();
            self.memory.push_back(frames);
        }
    }
}

impl Spill {
    /// Appends a record: the number of frames, then each frame behind its length. What a failure leaves does not count.
    fn write(&mut self, frames: &Frames) -> io::Result<()> {
        let mut at = self.write_at;
        let mut append = |bytes: &[u8]| {
            self.file.write_all_at(bytes, at)?;
            at += bytes.len() as u64;
            io::Result::Ok(())
        };
        let mut short = Vec::new();
        short.put_u64(frames.len() as u64);
        for frame in frames {
            short.put_u64(frame.len() as u64);
            if frame.len() < LARGE {
                short.put_slice(frame);
            } else {
                append(&short)?;
                append(frame)?;
                short.clear();
            }
        }
        append(&short)?;
        let length = usize::try_from(at - self.write_at).expect("it is a length in memory");
        self.lengths.push_back(length);
        self.write_at = at;
        Ok(())
    }
}

fn read_batch(file: &File, at: u64, lengths: &[usize]) -> io::Result<Vec<Frames>> {
    let mut bytes = vec![0; lengths.iter().sum()];
    file.read_exact_at(&mut bytes, at)?;
    let mut bytes = Bytes::from(bytes);
    Ok(lengths.iter().map(|length| decode(bytes.split_to(*length))).collect())
}

fn decode(mut record: Bytes) -> Frames {
    let count = record.get_u64();
    let mut frames = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(record.get_u64()).expect("it was a length in memory");
        frames.push(record.split_to(length));
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Whatever the sizes and however far behind the reader, all messages come, in order.
        #[test]
        fn nothing_is_lost_or_reordered(
            sizes in prop::collection::vec(prop_oneof![4 => 0..200_usize, 2 => 1_000_000..9_000_000_usize], 1..40),
            reads in prop::collection::vec(0..3_usize, 40),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let queue = FrameQueue::default();
                let mut taken = 0;
                for (index, size) in sizes.iter().enumerate() {
                    let tag = Bytes::from(index.to_string());
                    queue.push(vec![tag, Bytes::new(), Bytes::from(vec![7; *size])]);
                    for _ in 0..reads[index].min(index + 1 - taken) {
                        let frames = queue.pop().await.unwrap();
                        assert_eq!(frames[0], taken.to_string());
                        assert_eq!(frames[2].len(), sizes[taken]);
                        taken += 1;
                    }
                }
                queue.close();
                while let Some(frames) = queue.pop().await {
                    assert_eq!((&frames[0][..], frames.len()), (taken.to_string().as_bytes(), 3));
                    assert_eq!(frames[2].len(), sizes[taken]);
                    taken += 1;
                }
                assert_eq!(taken, sizes.len());
            });
        }
    }

    #[test]
    fn what_exceeds_the_limit_waits_on_disk() {
        let queue = FrameQueue::default();
        for _ in 0..20 {
            queue.push(vec![Bytes::from(vec![0; 4 << 20])]);
        }
        let state = queue.state();
        assert!(state.bytes <= MEMORY_LIMIT && state.spill.is_some());
        assert_eq!(state.memory.len() + state.spill.as_ref().unwrap().lengths.len(), 20);
    }
}
