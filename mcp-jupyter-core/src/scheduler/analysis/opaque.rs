use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::ir::{Body, Instr};
use super::names::Names;
use super::{Analysis, Analyzer, Marks, SourceDigest};

/// For languages that nobody analyses: every cell depends on all above, and may change everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpaqueAnalyzer;

impl Analyzer for OpaqueAnalyzer {
    fn analyze(&self, source: &str, _names: &mut Names) -> Analysis {
        Analysis {
            body: Arc::new(opaque(
                "dependencies are analysed in Python only, so it counts as depending on all cells above",
            )),
            digest: digest_of(source.as_bytes()),
            marks: Marks::of(source),
        }
    }
}

/// A body that may do anything.
pub(super) fn opaque(reason: &'static str) -> Body {
    Body {
        code: vec![Instr::Opaque {
            reads: true,
            writes: true,
            reason,
        }],
        ..Body::default()
    }
}

/// The digest of the text as it is.
pub(super) fn digest_of(text: &[u8]) -> SourceDigest {
    let digest = Sha256::digest(text);
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}
