//! What a client shows to be let in.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A bearer token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Text that cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is one word of at least {SHORTEST} visible ASCII characters")]
pub struct InvalidToken;

/// What is shorter can be guessed.
const SHORTEST: usize = 16;

impl Token {
    /// The token that stands in this text, such as the content of a file.
    ///
    /// # Errors
    /// Where it is no single word, or can be guessed.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        let token = text.trim();
        if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken);
        }
        Ok(Self(token.to_owned()))
    }

    /// The value of the header `authorization`.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a header is that of this token. How long that takes says nothing of where they differ.
    pub(crate) fn is_in(&self, header: &[u8]) -> bool {
        let code = |text: &[u8]| {
            let mac = Hmac::<Sha256>::new_from_slice(b"compare").expect("any key will do");
            mac.chain_update(text)
        };
        let expected = code(self.header().as_bytes()).finalize().into_bytes();
        code(header).verify_slice(&expected).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_is_let_in() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        assert!(token.is_in(b"Bearer 0123456789abcdef"));
        for wrong in [
            "",
            "Bearer",
            "Bearer 0123456789abcdeg",
            "0123456789abcdef",
            "Bearer 0123456789abcdef ",
        ] {
            assert!(!token.is_in(wrong.as_bytes()), "{wrong}");
        }
        assert!(!format!("{token:?}").contains("0123"));
        for bad in ["", "short", "two words of some length", "0123456789abcdé"] {
            assert_eq!(Token::new(bad), Err(InvalidToken), "{bad}");
        }
    }
}
