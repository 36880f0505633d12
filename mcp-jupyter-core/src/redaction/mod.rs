//! Masking of secrets in what is shown, stored or sent on: tokens that are known by their form, private keys, passwords in
//! URLs, and the values of environment variables whose names say that they are secret. It is a filter over bytes, whole
//! or in chunks, that knows neither notebooks nor messages. It is not a boundary against code that wants to leak: whoever
//! encodes a secret before printing it gets past.
//!
//! A mask is as long as what it covers, so offsets into the text stay true. It consists of `*` alone and covers neither
//! quotes nor backslashes nor what a backslash escapes, nor a number that may be a bare one, so JSON stays JSON; the
//! prefix that tells the kind of a token stays readable.
//!
//! | form | is known by | masked |
//! |---|---|---|
//! | AWS | `AKIA`, `ASIA`; a name like `aws_secret_access_key` before the secret key | after the prefix; the secret key |
//! | Google | `AIza`, `ya29.` | after the prefix |
//! | GitHub | `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_`, `github_pat_` | after the prefix |
//! | GitLab | `glpat-`, `gldt-`, `glrt-`, `glptt-`, `glcbt-` | after the prefix |
//! | Slack | `xoxa-` and its kin, `xapp-`; `hooks.slack.com` | after the prefix; the path of the hook |
//! | Stripe | `sk_live_`, `rk_live_`, `sk_test_`, `rk_test_`, `whsec_` | after the prefix |
//! | OpenAI, Anthropic, OpenRouter | `sk-`, `sk-proj-`, `sk-ant-`, `sk-or-v1-` and others | after the prefix |
//! | Hugging Face | `hf_` | after the prefix |
//! | JSON web token | `eyJ….eyJ…`, with or without a signature | after the first `eyJ` |
//! | PEM private key | `-----BEGIN … PRIVATE KEY-----` | up to `-----`, or to what no key contains |
//! | URL | `scheme://user:password@host` | the password |
//! | value | the redactor was given it | all of it |
//!
//! A token stands alone: in the middle of a longer word, or of a base64 text, nothing is one.

mod ahead;
mod anchors;
mod behind;
mod environment;
mod pem;
mod shapes;
mod stream;
mod text;
mod values;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

pub use stream::RedactingStream;

use text::State;
use values::Values;

/// What masks secrets. A clone shares everything.
///
/// ```
/// use mcp_jupyter_core::redaction::Redactor;
///
/// let redactor = Redactor::new().with_environment([("DB_PASSWORD", "tr0ub4dor"), ("HOME", "/home/ada")]);
/// assert_eq!(redactor.redact("tr0ub4dor of /home/ada"), "********* of /home/ada");
/// assert_eq!(redactor.redact("postgres://ada:lovelace@db/x"), "postgres://ada:********@db/x");
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    values: Arc<Values>,
}

impl Redactor {
    /// The shortest value that is masked. Shorter ones would be found in too much that is no secret.
    pub const SHORTEST_VALUE: usize = values::SHORTEST;

    /// One that knows the forms, and no values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks also the values of those of the variables whose names say that they are secret: names that end in `TOKEN`,
    /// `SECRET`, `PASSWORD`, `PASSWD`, `API_KEY`, `APIKEY`, `ACCESS_KEY`, `PRIVATE_KEY` or `CREDENTIALS`, or have it as
    /// a word between underscores, in any case. Each value is treated as by [`Self::with_value`].
    ///
    /// ```
    /// use mcp_jupyter_core::redaction::Redactor;
    ///
    /// let redactor = Redactor::new().with_environment(std::env::vars_os());
    /// # drop(redactor);
    /// ```
    #[must_use]
    pub fn with_environment<N, V>(self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let secret = variables
            .into_iter()
            .filter(|(name, _)| environment::names_secret(name.as_ref()));
        let values: Vec<_> = secret
            .map(|(_, value)| value.as_ref().as_encoded_bytes().to_vec())
            .collect();
        self.with_values(values.iter().map(Vec::as_slice))
    }

    /// Masks also this value, as it is and as a JSON string holds it, wherever it stands but inside of long base64.
    ///
    /// White space around it does not count. One that is then shorter than [`Self::SHORTEST_VALUE`] is left out. What
    /// gives JSON its structure stays readable in it: white space, quotes, `{}[]:,`, and numbers between these. A value that
    /// is a number is masked where no bare number can stand, as after a quote or `=`, but not after a space or a comma.
    ///
    /// ```
    /// use mcp_jupyter_core::redaction::Redactor;
    ///
    /// let redactor = Redactor::new().with_value(r#"say "friend""#);
    /// assert_eq!(redactor.redact(r#"{"pw": "say \"friend\""}"#), r#"{"pw": "*** \"******\""}"#);
    /// ```
    #[must_use]
    pub fn with_value(self, value: impl AsRef<[u8]>) -> Self {
        self.with_values([value.as_ref()])
    }

    fn with_values<'a>(self, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            values: Arc::new(self.values.with(values)),
        }
    }

    /// The text with its secrets masked; borrowed if it has none.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(masked) => Cow::Owned(String::from_utf8(masked).expect("masks cover whole characters")),
        }
    }

    /// As [`Self::redact`], for bytes of any encoding that extends ASCII.
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut masked = Cow::Borrowed(bytes);
        self.values.scan(&mut masked, &mut 0, true);
        State::default().scan(&mut masked, &mut 0, true);
        masked
    }

    /// A filter for a text that comes in chunks, with the same result as for the whole.
    pub fn stream(&self) -> RedactingStream {
        RedactingStream::new(Arc::clone(&self.values))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}
