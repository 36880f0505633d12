use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr_iter, memrchr, memrchr_iter};
use serde::Serialize;

use crate::assets::AssetMetadata;
use crate::assets::error::AssetError;
use crate::model::Digest;

use super::content::whole_characters;
use super::index::count;
use super::left::{Left, Unit};
use super::line_range::LineRange;
use super::{AssetReader, require};

/// What is read at once from the end, at first; it doubles each time.
const WINDOW: u64 = 64 << 10;
/// What is read at once at most.
const WINDOW_LIMIT: u64 = 4 << 20;
/// Lines that are farther from the end are looked for from the start: going forward leaves an index behind.
const BACKWARD: u64 = 100_000;

/// How much [`AssetReader::lines`] gives at most. Of several lines only whole ones are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineLimits {
    /// How many lines.
    pub lines: u64,
    /// How many bytes.
    pub bytes: usize,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self {
            lines: 2000,
            bytes: 64 << 10,
        }
    }
}

/// Lines of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// The number of the first one; the asset has no lines if this is after `last`.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    /// The lines with their ends, as they are in the asset.
    pub text: String,
    /// Where in the asset they are.
    pub bytes: Range<u64>,
    /// Whether bytes that are no UTF-8 were replaced by U+FFFD.
    pub replaced: bool,
    /// The line that was too long to be given whole; it is the only one then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<CutLine>,
    /// What of the asset is not among them.
    pub left: Left,
    /// As many lines that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<LineRange>,
}

/// A line that is longer than the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutLine {
    /// Its number.
    pub line: u64,
    /// The bytes of the asset that follow what is shown.
    pub next: Range<u64>,
}

impl Lines {
    /// What is left out, and how to read on.
    pub fn notice(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(CutLine { line, next }) = &self.cut {
            let shown = self.bytes.end - self.bytes.start;
            let (start, end) = (next.start, next.end);
            parts.push(format!(
                "line {line} is cut after {shown} bytes; read on with bytes {start}..{end}"
            ));
        }
        parts.extend(self.left.sentence());
        if let Some(next) = &self.next {
            parts.push(format!("read on with lines {next}"));
        }
        if self.replaced {
            parts.push("bytes that are no UTF-8 are shown as U+FFFD".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

impl AssetReader {
    /// The lines of a range, as many as the limits allow. They end with a line feed, and the last perhaps with nothing.
    ///
    /// The last lines are looked for from the end; others from the nearest line whose place is known by an earlier call.
    /// Where nobody has counted the lines yet, a range from the end goes through the whole asset once.
    ///
    /// # Errors
    /// As [`super::super::AssetStore::get`]; [`AssetError::Invalid`] where no line is in the range, unless there are none
    /// at all, or for a limit of nothing.
    pub async fn lines(&self, digest: &Digest, range: LineRange, limits: LineLimits) -> Result<Lines, AssetError> {
        require(limits.bytes)?;
        require(usize::try_from(limits.lines).unwrap_or(usize::MAX))?;
        let metadata = self.store.head(digest).await?;
        let mut total = self.known_total(digest, &metadata);
        if total.is_none() && (range.begins_from_end() || range.ends_from_end()) {
            total = Some(self.count_lines(digest, metadata.length).await?);
        }
        if metadata.length == 0 {
            return Ok(Piece::default().into_lines(1, 0, Some(0), limits));
        }
        let Some((first, last)) = range.resolve(total) else {
            return Err(no_such_line(digest, &range.to_string(), total));
        };
        let Some(start) = self.locate(digest, metadata.length, first, total).await? else {
            let total = self.known_total(digest, &metadata);
            return Err(no_such_line(digest, &range.to_string(), total));
        };
        let wanted = (last - first).saturating_add(1).min(limits.lines);
        let piece = self.piece(digest, start, metadata.length, wanted, limits.bytes).await?;
        Ok(piece.into_lines(first, metadata.length, total, limits))
    }

    /// How many lines there are, if that is known without reading.
    pub(super) fn known_total(&self, digest: &Digest, metadata: &AssetMetadata) -> Option<u64> {
        metadata
            .lines
            .or_else(|| self.indices.get(digest).total(metadata.length))
    }

    async fn count_lines(&self, digest: &Digest, length: u64) -> Result<u64, AssetError> {
        let mut index = self.indices.get(digest);
        let seen = index.seen().min(length);
        let mut content = self.content(digest, seen..length).await?;
        while let Some((at, bytes)) = content.next().await? {
            Arc::make_mut(&mut index).observe(at, &bytes);
        }
        self.indices.put(digest, Arc::clone(&index));
        Ok(index.total(length).unwrap_or_default())
    }

    /// Where a line begins, if there is such a line.
    pub(super) async fn locate(
        &self,
        digest: &Digest,
        length: u64,
        line: u64,
        total: Option<u64>,
    ) -> Result<Option<u64>, AssetError> {
        let known = self.indices.get(digest).before(line);
        let start = match total.map(|total| total.checked_sub(line)) {
            Some(None) => return Ok(None),
            Some(Some(after)) if after < BACKWARD && after < line - 1 - known.line_ends => {
                self.locate_backward(digest, length, after + 1).await?
            }
            _ => self.locate_forward(digest, length, line).await?,
        };
        Ok(start.filter(|start| *start < length))
    }

    async fn locate_forward(&self, digest: &Digest, length: u64, line: u64) -> Result<Option<u64>, AssetError> {
        let mut index = self.indices.get(digest);
        let from = index.before(line);
        let mut missing = line - 1 - from.line_ends;
        if missing == 0 {
            return Ok(Some(from.offset));
        }
        let to = index.after(line).unwrap_or(length);
        let mut content = self.content(digest, from.offset..to).await?;
        let mut found = None;
        while let Some((at, bytes)) = content.next().await? {
            let end = at + bytes.len() as u64;
            let ends = if end > index.seen() {
                Arc::make_mut(&mut index).observe(at, &bytes)
            } else {
                count(&bytes)
            };
            if ends >= missing {
                let position = usize::try_from(missing - 1)
                    .ok()
                    .and_then(|skipped| memchr_iter(b'\n', &bytes).nth(skipped));
                found = position.map(|position| at + position as u64 + 1);
                break;
            }
            missing -= ends;
        }
        self.indices.put(digest, index);
        Ok(found)
    }

    /// Where the line begins that is `back`-th from the end, 1 for the last.
    async fn locate_backward(&self, digest: &Digest, length: u64, back: u64) -> Result<Option<u64>, AssetError> {
        let (mut end, mut window, mut missing) = (length, WINDOW, back);
        while end > 0 {
            let start = end.saturating_sub(window);
            let bytes = self.content(digest, start..end).await?.rest().await?;
            // The very last line end does not begin another line.
            let looked_at = match bytes.split_last() {
                Some((b'\n', before)) if end == length => before,
                _ => &bytes,
            };
            let ends = count(looked_at);
            if ends >= missing {
                let position = usize::try_from(missing - 1)
                    .ok()
                    .and_then(|skipped| memrchr_iter(b'\n', looked_at).nth(skipped));
                return Ok(position.map(|position| start + position as u64 + 1));
            }
            missing -= ends;
            end = start;
            window = (window * 2).min(WINDOW_LIMIT);
        }
        Ok(Some(0))
    }

    /// Up to `wanted` lines from `start` on, within `limit` bytes.
    async fn piece(
        &self,
        digest: &Digest,
        start: u64,
        length: u64,
        wanted: u64,
        limit: usize,
    ) -> Result<Piece, AssetError> {
        let stop = length.min(start.saturating_add(limit as u64));
        let mut content = self.content(digest, start..stop).await?;
        let (mut bytes, mut missing) = (Vec::new(), wanted);
        while let Some((_, more)) = content.next().await? {
            let ends = count(&more);
            if ends >= missing {
                let skipped = usize::try_from(missing - 1).unwrap_or(usize::MAX);
                let position = memchr_iter(b'\n', &more).nth(skipped).unwrap_or(more.len() - 1);
                bytes.extend_from_slice(&more[..=position]);
                return Ok(Piece {
                    start,
                    bytes,
                    cut: false,
                });
            }
            missing -= ends;
            bytes.extend_from_slice(&more);
        }
        if stop == length {
            return Ok(Piece {
                start,
                bytes,
                cut: false,
            });
        }
        let whole = memrchr(b'\n', &bytes).map(|position| position + 1);
        let cut = whole.is_none();
        let kept = whole.unwrap_or_else(|| whole_characters(&bytes));
        // A limit of less than one character still gives something, so that reading on comes to an end.
        if kept > 0 {
            bytes.truncate(kept);
        }
        Ok(Piece { start, bytes, cut })
    }
}

pub(super) fn no_such_line(digest: &Digest, lines: &str, total: Option<u64>) -> AssetError {
    let total = total.map_or_else(|| "fewer".to_owned(), |total| total.to_string());
    AssetError::invalid(
        format!("lines {lines} of {digest}"),
        format!("the asset has {total} lines"),
    )
}

/// Whole lines, or the start of one.
#[derive(Default)]
struct Piece {
    start: u64,
    bytes: Vec<u8>,
    cut: bool,
}

impl Piece {
    fn into_lines(self, first: u64, length: u64, total: Option<u64>, limits: LineLimits) -> Lines {
        let is_open = self.bytes.last().is_some_and(|last| *last != b'\n');
        let shown = count(&self.bytes) + u64::from(is_open);
        let last = first + shown - 1;
        let end = self.start + self.bytes.len() as u64;
        let total = if end == length { Some(last) } else { total };
        let next = match total {
            Some(total) if last >= total => None,
            _ if self.cut => LineRange::between(last + 1, last + 1).ok(),
            Some(total) => LineRange::between(last + 1, total.min(last + shown)).ok(),
            None => LineRange::between(last + 1, last + shown).ok(),
        };
        let (text, replaced) = match String::from_utf8(self.bytes) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        Lines {
            first,
            last,
            text,
            bytes: self.start..end,
            replaced,
            cut: self.cut.then(|| CutLine {
                line: first,
                next: end..length.min(end.saturating_add(limits.bytes as u64)),
            }),
            left: Left::new(Unit::Lines, first - 1, shown, total),
            next,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
