//! Why an object store has failed, in one sentence.

use std::error::Error;
use std::fmt;

/// What an answer is introduced with.
const STATUS: &str = "non-2xx status code: ";

/// The last cause of an error of an object store, whose own texts repeat all causes at every level, the whole answer of
/// the service included.
#[derive(Debug)]
pub(super) struct Failure {
    sentence: String,
}

impl Failure {
    pub(super) fn new(error: &object_store::Error) -> Self {
        let mut last: &dyn Error = error;
        while let Some(cause) = last.source() {
            last = cause;
        }
        Self {
            sentence: sentence(&last.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Error for Failure {}

/// The status, and what the service says in its own words, if that is where S3, Google and Azure say it.
fn sentence(text: &str) -> String {
    let answer = text.split_once(STATUS).map_or(text, |(_, answer)| answer);
    let said = answer
        .split_once("<Message>")
        .and_then(|(_, rest)| rest.split_once("</Message>"));
    let Some((message, _)) = said else {
        return answer.trim().to_owned();
    };
    let status = answer.split(": ").next().unwrap_or_default();
    format!("{status}: {}", message.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cause_is_told_once() {
        let answer = "Server returned non-2xx status code: 404 Not Found: <?xml version=\"1.0\"?>\n\
                      <Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>";
        let cause: Box<dyn Error + Send + Sync> = answer.into();
        let error = object_store::Error::Generic {
            store: "S3",
            source: cause,
        };
        let told = Failure::new(&error).to_string();
        assert_eq!(told, "404 Not Found: The specified bucket does not exist");
        let refused = std::io::Error::other("connection refused");
        let error = object_store::Error::Generic {
            store: "S3",
            source: refused.into(),
        };
        assert_eq!(Failure::new(&error).to_string(), "connection refused");
    }
}
