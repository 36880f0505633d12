use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Position;
use crate::kernel::Channel;

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel::kept) enum Kind {
    /// A message has come from the kernel.
    Received,
    /// A message is about to be handed to the kernel; who asked for it is in its first part.
    Sent,
    /// The process has ended.
    Died,
    /// Another process has been started.
    Started,
    /// Messages had to be dropped here.
    Gap,
    /// Another keeper has taken over; what came in between is unknown.
    Adopted,
    /// What became of a request cannot be known any more.
    Lost,
}

const KINDS: [Kind; 7] = [
    Kind::Received,
    Kind::Sent,
    Kind::Died,
    Kind::Started,
    Kind::Gap,
    Kind::Adopted,
    Kind::Lost,
];

const CHANNELS: [Channel; 5] = [
    Channel::Shell,
    Channel::Iopub,
    Channel::Stdin,
    Channel::Control,
    Channel::Heartbeat,
];

/// Checksum, kind, channel, two bytes for later use, number of parts, length of what follows.
pub(super) const HEADER_LENGTH: usize = 4 + 1 + 1 + 2 + 4 + 8;

/// One thing that happened.
#[derive(Clone, Debug)]
pub(in crate::kernel::kept) struct Record {
    pub(in crate::kernel::kept) kind: Kind,
    pub(in crate::kernel::kept) channel: Option<Channel>,
    pub(in crate::kernel::kept) parts: Vec<Bytes>,
    /// Where it begins.
    pub(in crate::kernel::kept) position: Position,
    /// Where it ends.
    pub(in crate::kernel::kept) end: Position,
}

/// What can be known of a record before it is read.
#[derive(Clone, Debug)]
pub(in crate::kernel::kept) struct RecordHeader {
    pub(in crate::kernel::kept) position: Position,
    pub(in crate::kernel::kept) kind: Kind,
    pub(in crate::kernel::kept) channel: Option<Channel>,
    pub(super) checksum: u32,
    /// The header without its checksum.
    pub(super) raw: [u8; HEADER_LENGTH - 4],
    pub(super) parts: usize,
    /// The length of what follows the header, in bytes.
    pub(super) length: u64,
}

impl RecordHeader {
    /// Where the record ends.
    pub(in crate::kernel::kept) fn end(&self) -> Position {
        self.position + HEADER_LENGTH as u64 + self.length
    }
}

pub(super) fn damaged(position: Position, what: &str) -> io::Error {
    let sentence = format!("the record of the kernel's messages is damaged at byte {position}: {what}");
    io::Error::new(io::ErrorKind::InvalidData, sentence)
}

/// A record as it is written: its header, and then each part behind its length. Large parts are not copied.
pub(super) fn encode(kind: Kind, channel: Option<Channel>, parts: &[Bytes]) -> Vec<Bytes> {
    let length: usize = parts.iter().map(|part| part.len() + 8).sum();
    let mut header = BytesMut::with_capacity(HEADER_LENGTH);
    header.put_u32(0);
    header.put_u8(KINDS.iter().position(|known| *known == kind).map_or(u8::MAX, to_byte));
    header.put_u8(channel.map_or(0, |channel| {
        CHANNELS
            .iter()
            .position(|known| *known == channel)
            .map_or(0, |place| to_byte(place + 1))
    }));
    header.put_u16(0);
    header.put_u32(u32::try_from(parts.len()).unwrap_or(u32::MAX));
    header.put_u64(length as u64);
    let lengths = parts
        .iter()
        .map(|part| Bytes::copy_from_slice(&(part.len() as u64).to_be_bytes()));
    let body: Vec<Bytes> = lengths
        .zip(parts)
        .flat_map(|(length, part)| [length, part.clone()])
        .collect();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&header[4..]);
    for bytes in &body {
        checksum.update(bytes);
    }
    header[..4].copy_from_slice(&checksum.finalize().to_be_bytes());
    std::iter::once(header.freeze()).chain(body).collect()
}

fn to_byte(place: usize) -> u8 {
    u8::try_from(place).unwrap_or(u8::MAX)
}

/// Reads a header.
pub(super) fn decode_header(position: Position, bytes: [u8; HEADER_LENGTH]) -> io::Result<RecordHeader> {
    let mut raw = [0; HEADER_LENGTH - 4];
    raw.copy_from_slice(&bytes[4..]);
    let mut rest = &bytes[..];
    let checksum = rest.get_u32();
    let kind = KINDS.get(usize::from(rest.get_u8()));
    let kind = *kind.ok_or_else(|| damaged(position, "an unknown kind of record"))?;
    let channel = usize::from(rest.get_u8())
        .checked_sub(1)
        .and_then(|place| CHANNELS.get(place).copied());
    rest.advance(2);
    Ok(RecordHeader {
        position,
        kind,
        channel,
        checksum,
        raw,
        parts: rest.get_u32() as usize,
        length: rest.get_u64(),
    })
}

/// Reads what follows a header, and checks it.
pub(super) fn decode(header: &RecordHeader, mut body: Bytes) -> io::Result<Record> {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&header.raw);
    checksum.update(&body);
    if checksum.finalize() != header.checksum {
        return Err(damaged(header.position, "its checksum does not fit"));
    }
    let mut parts = Vec::with_capacity(header.parts.min(64));
    for _ in 0..header.parts {
        let length = (body.len() >= 8).then(|| body.get_u64());
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= body.len());
        parts.push(body.split_to(length.ok_or_else(|| damaged(header.position, "a part is too long"))?));
    }
    Ok(Record {
        kind: header.kind,
        channel: header.channel,
        parts,
        position: header.position,
        end: header.end(),
    })
}
