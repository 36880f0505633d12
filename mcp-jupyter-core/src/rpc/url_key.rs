//! URLs that open one asset to whoever has them, for a while.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::token::InvalidToken;
use crate::model::Digest;

/// The secret with which URLs are signed. It is never printed.
#[derive(Clone)]
pub struct UrlKey(Vec<u8>);

impl UrlKey {
    /// The key that stands in this text, such as the content of a file.
    ///
    /// # Errors
    /// Where it is shorter than a token may be.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        super::token::Token::new(text)?;
        Ok(Self(text.trim().as_bytes().to_vec()))
    }

    /// The path of an asset of a namespace, with a signature that is good until then.
    pub fn path(&self, namespace: &str, digest: &Digest, expires: Timestamp) -> String {
        let expires = expires.as_second();
        let signature = hex::encode(self.code(namespace, digest, expires).finalize().into_bytes());
        let namespace = match namespace {
            "" => String::new(),
            namespace => format!("&namespace={namespace}"),
        };
        format!("/assets/{digest}?expires={expires}{namespace}&signature={signature}")
    }

    /// Whether a signature is that of this asset and time. How long that takes says nothing of where they differ.
    pub(super) fn is_valid(&self, namespace: &str, digest: &Digest, expires: i64, signature: &str) -> bool {
        let signature = hex::decode(signature).unwrap_or_default();
        self.code(namespace, digest, expires).verify_slice(&signature).is_ok()
    }

    fn code(&self, namespace: &str, digest: &Digest, expires: i64) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key will do");
        mac.chain_update(format!("GET\n{namespace}\n{digest}\n{expires}\n"))
    }
}

impl fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_asset_and_time() {
        let key = UrlKey::new("0123456789abcdef\n").unwrap();
        let (digest, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let path = key.path("team", &digest, Timestamp::from_second(1_800_000_000).unwrap());
        assert!(path.contains("?expires=1800000000&namespace=team&signature="), "{path}");
        let signature = path.rsplit('=').next().unwrap();
        assert!(key.is_valid("team", &digest, 1_800_000_000, signature));
        assert!(!key.is_valid("team", &digest, 1_800_000_001, signature));
        assert!(!key.is_valid("", &digest, 1_800_000_000, signature));
        assert!(!key.is_valid("team", &other, 1_800_000_000, signature));
        assert!(!key.is_valid("team", &digest, 1_800_000_000, ""));
        let another = UrlKey::new("fedcba9876543210").unwrap();
        assert!(!another.is_valid("team", &digest, 1_800_000_000, signature));
    }
}
