use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::digest::Output;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sha256:";

/// The identity of bytes: their SHA-256, written `sha256:<64 lower-case hexadecimal digits>`.
///
/// ```
/// use mcp_jupyter_core::model::Digest;
///
/// let digest = Digest::of(b"hello\n");
/// assert_eq!(digest.to_string(), "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
/// assert_eq!(digest.to_string().parse(), Ok(digest));
/// assert!("sha256:../../etc/passwd".parse::<Digest>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no digest: expected \"sha256:\" and 64 lower-case hexadecimal digits")]
pub struct InvalidDigest {
    text: String,
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_output(Sha256::digest(bytes))
    }

    /// From the 32 bytes of a SHA-256.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn from_output(output: Output<Sha256>) -> Self {
        Self(output.into())
    }

    /// The 64 digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// From the 64 digits.
    ///
    /// # Errors
    /// Where they are anything else.
    pub fn from_hex(digits: &str) -> Result<Self, InvalidDigest> {
        let invalid = || InvalidDigest {
            // Whatever was given is shown, but not a megabyte of it.
            text: digits.chars().take(80).collect(),
        };
        let is_canonical = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 32];
        if !is_canonical || hex::decode_to_slice(digits, &mut bytes).is_err() {
            return Err(invalid());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits = text.strip_prefix(PREFIX).ok_or_else(|| InvalidDigest {
            text: text.chars().take(80).collect(),
        })?;
        Self::from_hex(digits)
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_read() {
        let good = Digest::of(b"").to_string();
        assert_eq!(good.parse::<Digest>().unwrap().to_string(), good);
        let digits = good.strip_prefix(PREFIX).unwrap();
        for bad in [
            digits.to_owned(),
            good.to_uppercase(),
            format!("sha256:{}", digits.to_uppercase()),
            format!("{good}0"),
            good[..good.len() - 1].to_owned(),
            format!("{good}\n"),
            format!(" {good}"),
            "sha256:../../../../../../../../../../../../../../../../../../etc/passwd".to_owned(),
            format!("sha512:{digits}"),
            String::new(),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
