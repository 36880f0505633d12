//! How the bytes of an asset stand in a notebook, so that they can be put back as they were.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::{Json, Text};

/// The length of a line of base64 in mail, which some kernels send.
const MAIL_LINE: usize = 76;

/// How bytes stand in the data of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As the text that they are.
    Text,
    /// As a JSON value.
    Json,
    /// In base64, without line ends.
    Base64,
    /// In base64, with one line end behind it.
    Base64Line,
    /// In base64, in lines as in mail, each with its end.
    Base64Lines,
}

impl Encoding {
    pub(super) const ALL: [Self; 5] = [
        Self::Text,
        Self::Json,
        Self::Base64,
        Self::Base64Line,
        Self::Base64Lines,
    ];

    /// The name under which it is noted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Base64 => "base64",
            Self::Base64Line => "base64-line",
            Self::Base64Lines => "base64-lines",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    pub(super) fn is_binary(self) -> bool {
        matches!(self, Self::Base64 | Self::Base64Line | Self::Base64Lines)
    }

    /// The bytes that base64 text stands for, if exactly this text can be made of them again.
    pub(super) fn decode(text: &str) -> Option<(Self, Vec<u8>)> {
        let (encoding, plain): (_, Cow<'_, str>) = match text.strip_suffix('\n') {
            None => (Self::Base64, text.into()),
            Some(line) if !line.contains('\n') => (Self::Base64Line, line.into()),
            Some(lines) => {
                let mut lengths = lines.split('\n').map(str::len).rev();
                let is_mail = lengths.next().is_some_and(|last| last <= MAIL_LINE && last > 0)
                    && lengths.all(|length| length == MAIL_LINE);
                is_mail.then(|| (Self::Base64Lines, lines.replace('\n', "").into()))?
            }
        };
        // Strict: other padding and stray bits are refused, so that decoding can be undone.
        Some((encoding, STANDARD.decode(plain.as_bytes()).ok()?))
    }

    /// What stands in the notebook for these bytes.
    pub(super) fn encode(self, bytes: Vec<u8>) -> Result<Json, String> {
        Ok(match self {
            Self::Text => Json::String(Text::from(String::from_utf8(bytes).map_err(|error| error.to_string())?)),
            Self::Json => Json::parse(&bytes).map_err(|error| error.to_string())?,
            Self::Base64 => STANDARD.encode(bytes).into(),
            Self::Base64Line => (STANDARD.encode(bytes) + "\n").into(),
            Self::Base64Lines => {
                let plain = STANDARD.encode(bytes);
                let mut lines = String::with_capacity(plain.len() + plain.len() / MAIL_LINE + 1);
                for line in plain.as_bytes().chunks(MAIL_LINE) {
                    lines.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
                    lines.push('\n');
                }
                lines.into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_clean_base64_stays_text() {
        for text in ["aGk", "aGl=", " aGk=", "aG\nk=", "aGk=\n\n", "a?==", "aGk=\r\n"] {
            assert_eq!(Encoding::decode(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
            for encoding in [Encoding::Base64, Encoding::Base64Line, Encoding::Base64Lines] {
                let text = encoding.encode(bytes.clone()).unwrap();
                let (found, decoded) = Encoding::decode(&text.as_str().unwrap()).unwrap();
                prop_assert_eq!(&decoded, &bytes);
                // One short line of mail is a line.
                prop_assert_eq!(found.encode(decoded).unwrap(), text);
            }
        }
    }
}
