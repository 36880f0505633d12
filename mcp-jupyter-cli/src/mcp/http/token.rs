//! The token that clients prove themselves by.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::args::HttpArgs;
use crate::error::CliError;

/// Where the token may be, beside the command line.
const VARIABLE: &str = "MCP_JUPYTER_TOKEN";

/// A token; only its digest is kept.
pub(super) struct Token(Sha256Digest);

type Sha256Digest = [u8; 32];

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Where a token is from.
#[derive(Debug)]
pub(super) enum Chosen {
    Given(Token),
    /// A new one, which nobody has seen yet.
    New(Token, String),
    /// None is needed.
    None,
}

impl Chosen {
    /// What the arguments or the environment give; otherwise a new one.
    pub(super) fn from_args(args: &HttpArgs) -> Result<Self, CliError> {
        if args.no_token {
            return Ok(Self::None);
        }
        let given = match (&args.token, &args.token_file) {
            (Some(token), _) => Some((token.clone(), "--token".to_owned())),
            (None, Some(path)) => Some((read(path)?, path.display().to_string())),
            (None, None) => std::env::var(VARIABLE).ok().map(|token| (token, VARIABLE.to_owned())),
        };
        match given {
            Some((token, from)) => Ok(Self::Given(checked(&token, &from)?)),
            None => {
                let token = generate();
                Ok(Self::New(Token::new(&token), token))
            }
        }
    }

    /// The token to ask for, and the text of a new one.
    pub(super) fn split(self) -> (Option<Token>, Option<String>) {
        match self {
            Self::Given(token) => (Some(token), None),
            Self::New(token, text) => (Some(token), Some(text)),
            Self::None => (None, None),
        }
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::usage(format!("cannot read the token in {}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// A token that can stand in a header.
fn checked(token: &str, from: &str) -> Result<Token, CliError> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::usage_with_hint(
            format!("the token of {from} has to be visible ASCII without spaces, and not empty"),
            "leave it out, and the server makes one",
        ));
    }
    Ok(Token::new(token))
}

/// 244 random bits of the system.
fn generate() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

impl Token {
    fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether this is it. How long that takes tells nothing about it.
    pub(super) fn is(&self, presented: &str) -> bool {
        let presented: Sha256Digest = Sha256::digest(presented).into();
        self.0.ct_eq(&presented).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_it() {
        let token = Token::new("s3cret");
        assert!(token.is("s3cret"));
        for other in ["", "s3cre", "s3crets", "S3cret"] {
            assert!(!token.is(other), "{other:?}");
        }
    }

    #[test]
    fn new_tokens_differ_and_are_long() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.len(), 64);
    }

    #[test]
    fn a_token_that_fits_no_header_is_refused() {
        for unfit in ["", "a b", "tab\t", "ü"] {
            assert!(checked(unfit, "--token").is_err(), "{unfit:?}");
        }
    }
}
