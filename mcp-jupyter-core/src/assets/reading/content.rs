use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use crate::assets::ByteStream;
use crate::assets::error::AssetError;

/// Pieces that come smaller, from a network, are put together up to this.
pub(super) const BLOCK: usize = 256 << 10;
/// Pieces that come larger are looked at in parts, so that nothing depends on a whole asset in one piece.
const BLOCK_LIMIT: usize = 1 << 20;

/// Bytes of an asset in blocks of a convenient size, with their place.
pub(super) struct Content {
    stream: ByteStream,
    at: u64,
    block: usize,
    ready: VecDeque<Bytes>,
}

impl Content {
    pub(super) fn new(stream: ByteStream, at: u64, block: usize) -> Self {
        Self {
            stream,
            at,
            block,
            ready: VecDeque::new(),
        }
    }

    /// The next block, and where in the asset it begins. None is empty.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Bytes)>, AssetError> {
        if self.ready.is_empty() {
            self.fill().await?;
        }
        Ok(self.ready.pop_front().map(|bytes| {
            let at = self.at;
            self.at += bytes.len() as u64;
            (at, bytes)
        }))
    }

    async fn fill(&mut self) -> Result<(), AssetError> {
        let mut block = BytesMut::new();
        while block.len() < self.block {
            let Some(mut piece) = self.stream.try_next().await? else {
                break;
            };
            if block.is_empty() && piece.len() >= self.block {
                while piece.len() > BLOCK_LIMIT {
                    self.ready.push_back(piece.split_to(BLOCK_LIMIT));
                }
                self.ready.push_back(piece);
                return Ok(());
            }
            block.extend_from_slice(&piece);
        }
        let mut block = block.freeze();
        while block.len() > BLOCK_LIMIT {
            self.ready.push_back(block.split_to(BLOCK_LIMIT));
        }
        if !block.is_empty() {
            self.ready.push_back(block);
        }
        Ok(())
    }

    /// All that is left, for a range that is known to be small.
    pub(super) async fn rest(mut self) -> Result<Vec<u8>, AssetError> {
        let mut all = Vec::new();
        while let Some((_, bytes)) = self.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

/// The length of the start of `bytes` that does not end within a character.
pub(super) fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3)..bytes.len();
    for at in tail.rev() {
        let needed = match bytes[at] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return bytes.len(),
        };
        return if at + needed > bytes.len() { at } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_is_left_out_and_whole_ones_are_kept() {
        let cases: [(&[u8], usize); 7] = [
            (b"", 0),
            (b"ab", 2),
            ("aé".as_bytes(), 3),
            (&"aé".as_bytes()[..2], 1),
            (&"a😀".as_bytes()[..4], 1),
            ("a😀".as_bytes(), 5),
            (b"\x80\x80\x80\x80", 4),
        ];
        for (bytes, whole) in cases {
            assert_eq!(whole_characters(bytes), whole, "{bytes:?}");
        }
    }
}
