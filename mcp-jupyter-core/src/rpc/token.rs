//! What a client shows to be let in, and where that leads.

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
    fn is_in(&self, header: &[u8]) -> bool {
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

/// The tokens of a service, each with the namespace that it leads to. A client sees nothing of other namespaces.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<(String, Token)>);

/// Text that gives no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokens {
    /// One of them is none.
    #[error("line {line}: {reason}")]
    Token {
        /// Where it stands.
        line: usize,
        /// What is wrong with it.
        reason: InvalidToken,
    },
    /// A namespace has another form.
    #[error("line {line}: a namespace has letters, digits, `-` and `_` only, at most 64, not {namespace:?}")]
    Namespace {
        /// Where it stands.
        line: usize,
        /// What stands there.
        namespace: String,
    },
    /// There is no line with a token.
    #[error("there is no token")]
    Empty,
}

impl Tokens {
    /// The tokens in the lines of a text: `TOKEN`, or `NAMESPACE TOKEN`. Empty lines and those that begin with `#` say
    /// nothing.
    ///
    /// # Errors
    /// Where a line is neither, or there is none.
    pub fn read(text: &str) -> Result<Self, InvalidTokens> {
        let lines = text.lines().map(str::trim).enumerate();
        let said = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let tokens: Vec<_> = said
            .map(|(index, line)| read_line(index + 1, line))
            .collect::<Result<_, _>>()?;
        if tokens.is_empty() {
            return Err(InvalidTokens::Empty);
        }
        Ok(Self(tokens))
    }

    /// Whether anybody may come in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The namespaces that tokens lead to, besides that without a name.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        let names = self.0.iter().map(|(namespace, _)| namespace.as_str());
        names.filter(|namespace| !namespace.is_empty())
    }

    /// Where the value of an `authorization` header leads. All are compared, whichever it is.
    pub(crate) fn namespace_of(&self, header: Option<&[u8]>) -> Result<&str, &'static str> {
        if self.0.is_empty() {
            return Ok("");
        }
        let header = header.ok_or("the service asks for a token, and none was given")?;
        let matching = |found, (namespace, token): &'_ (String, Token)| {
            let is_it = token.is_in(header);
            if is_it { Some(namespace.clone()) } else { found }
        };
        let found = self.0.iter().fold(None::<String>, matching);
        let place = self.0.iter().find(|(namespace, _)| Some(namespace) == found.as_ref());
        place
            .map(|(namespace, _)| namespace.as_str())
            .ok_or("the token is not the service's")
    }
}

impl From<Token> for Tokens {
    fn from(token: Token) -> Self {
        Self(vec![(String::new(), token)])
    }
}

fn read_line(line: usize, text: &str) -> Result<(String, Token), InvalidTokens> {
    let (namespace, token) = text.split_once(char::is_whitespace).unwrap_or(("", text));
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if namespace.len() > 64 || !namespace.bytes().all(is_allowed) {
        let namespace = namespace.to_owned();
        return Err(InvalidTokens::Namespace { line, namespace });
    }
    let token = Token::new(token).map_err(|reason| InvalidTokens::Token { line, reason })?;
    Ok((namespace.to_owned(), token))
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

    #[test]
    fn each_token_leads_to_its_namespace() {
        let tokens =
            Tokens::read("# ours\n\n0123456789abcdef\nteam-a  aaaaaaaaaaaaaaaa\nteam_b bbbbbbbbbbbbbbbb\n").unwrap();
        let namespace = |token: &str| tokens.namespace_of(Some(format!("Bearer {token}").as_bytes()));
        assert_eq!(namespace("0123456789abcdef"), Ok(""));
        assert_eq!(namespace("aaaaaaaaaaaaaaaa"), Ok("team-a"));
        assert_eq!(namespace("bbbbbbbbbbbbbbbb"), Ok("team_b"));
        namespace("cccccccccccccccc").unwrap_err();
        tokens.namespace_of(None).unwrap_err();
        assert_eq!(tokens.namespaces().collect::<Vec<_>>(), ["team-a", "team_b"]);
        assert_eq!(Tokens::default().namespace_of(None), Ok(""));
        for bad in [
            "",
            "# nothing",
            "short",
            "../up aaaaaaaaaaaaaaaa",
            "two words aaaaaaaaaaaaaaaa",
        ] {
            assert!(Tokens::read(bad).is_err(), "{bad}");
        }
    }
}
