use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{CellId, Digest};

use super::error::AssetError;

/// What is known of an asset without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AssetMetadata {
    /// Its identity.
    pub digest: Digest,
    /// Its length, in bytes.
    pub length: u64,
    /// What it is, as a MIME type.
    pub mime: MimeType,
    /// When it was first put here.
    pub created: Timestamp,
    /// How many lines a text has, a last one without a line end included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Width and height of an image, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<(u32, u32)>,
}

impl AssetMetadata {
    /// What is known of every asset; what depends on its type is to be added.
    pub fn new(digest: Digest, length: u64, mime: MimeType, created: Timestamp) -> Self {
        Self {
            digest,
            length,
            mime,
            created,
            lines: None,
            pixels: None,
        }
    }
}

/// A MIME type, of which only the form is checked: `type/subtype`, perhaps with parameters (RFC 9110, 8.3.1).
///
/// ```
/// use mcp_jupyter_core::assets::MimeType;
///
/// assert!("text/plain; charset=utf-8".parse::<MimeType>().is_ok());
/// assert!("../text\n".parse::<MimeType>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MimeType(String);

/// No registered type comes near it.
const MIME_LIMIT: usize = 255;

impl MimeType {
    /// `text/plain`.
    pub fn plain() -> Self {
        Self("text/plain".to_owned())
    }

    /// `application/octet-stream`: nothing is known of the bytes.
    pub fn unknown() -> Self {
        Self("application/octet-stream".to_owned())
    }

    /// The type, as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `type/subtype`, without parameters.
    pub fn essence(&self) -> &str {
        self.0.split(';').next().unwrap_or_default().trim_end()
    }

    /// Whether the content is text that has lines.
    pub fn is_text(&self) -> bool {
        let essence = self.essence();
        essence.starts_with("text/")
            || essence.ends_with("+json")
            || essence.ends_with("+xml")
            || matches!(
                essence,
                "application/json" | "application/xml" | "application/javascript" | "application/x-ndjson"
            )
    }

    /// Whether the content is JSON.
    pub fn is_json(&self) -> bool {
        self.essence() == "application/json" || self.essence().ends_with("+json")
    }

    /// Whether the content is an image of pixels.
    pub fn is_image(&self) -> bool {
        self.essence().starts_with("image/") && !self.essence().ends_with("+xml")
    }
}

impl fmt::Display for MimeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for MimeType {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, AssetError> {
        let is_token = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        };
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let is_valid = text.len() <= MIME_LIMIT
            && essence
                .split_once('/')
                .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
            && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !is_valid {
            let shown: String = text.chars().take(80).collect();
            return Err(AssetError::invalid(
                format!("MIME type {shown:?}"),
                "expected the form type/subtype",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for MimeType {
    type Error = AssetError;

    fn try_from(text: String) -> Result<Self, AssetError> {
        text.parse()
    }
}

impl From<MimeType> for String {
    fn from(mime: MimeType) -> Self {
        mime.0
    }
}

/// Why an asset must stay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// An output of a cell shows it.
    Cell {
        /// Where the notebook was when the reference was made. It may be renamed: nothing is read from there.
        notebook: String,
        /// The cell.
        cell: CellId,
    },
    /// Somebody wants it kept, whatever refers to it.
    Pin {
        /// What for, at most 200 characters.
        pin: String,
    },
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell { notebook, cell } => write!(f, "{notebook}#{cell}"),
            Self::Pin { pin } => write!(f, "pin {pin}"),
        }
    }
}
