//! Versions: what a value depends on, as a digest.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a value, or an execution, depends on: equal versions mean equal values.
///
/// 128 bits of SHA-256, over the source of the cell and the versions of all that it reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Version([u8; 16]);

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..4]))
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        hex::encode(version.0)
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut version = [0; 16];
        hex::decode_to_slice(&text, &mut version).map_err(|error| format!("\"{text}\" is no version: {error}"))?;
        Ok(Self(version))
    }
}

/// Collects what a version depends on.
#[derive(Debug)]
pub(crate) struct Ingredients(Vec<u8>);

impl Ingredients {
    /// Of something of this kind: two kinds never give the same version.
    pub(crate) fn of(kind: &str) -> Self {
        let mut ingredients = Self(Vec::with_capacity(128));
        ingredients.text(kind);
        ingredients
    }

    /// Starts anew, with the memory that is there.
    pub(crate) fn again(&mut self, kind: &str) -> &mut Self {
        self.0.clear();
        self.text(kind)
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8; 16]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(crate) fn version(&mut self, version: Option<Version>) -> &mut Self {
        match version {
            Some(Version(bytes)) => self.0.extend(bytes),
            None => self.0.extend([0; 16]),
        }
        self
    }

    pub(crate) fn finish(&self) -> Version {
        let digest = Sha256::digest(&self.0);
        Version(*digest.first_chunk().expect("SHA-256 has 32 bytes"))
    }
}
