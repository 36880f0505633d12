use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// A writer that digests what passes.
pub(super) struct Hashing<'a> {
    out: &'a mut dyn Write,
    hasher: Sha256,
}

impl<'a> Hashing<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            hasher: Sha256::new(),
        }
    }

    /// The digest of what has passed.
    pub(super) fn finish(self) -> Digest {
        Digest::from_bytes(self.hasher.finalize().into())
    }
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
