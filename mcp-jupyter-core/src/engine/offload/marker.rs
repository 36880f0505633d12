//! What an output's metadata says about what was taken out of it:
//!
//! ```json
//! {"mcp_jupyter": {
//!     "assets": {"image/png": {"digest": "sha256:…", "length": 5000000, "mime": "image/png", "encoding": "base64"}},
//!     "stream": "stdout",
//!     "added": ["text/plain"]
//! }}
//! ```
//!
//! `stream` names the stream that the output was, `added` the representations that were not there before.

use crate::assets::AssetMetadata;
use crate::model::{Digest, Json, JsonMap};

use super::encoding::Encoding;

/// What was taken out of one output.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Marker {
    /// By the MIME type of the representation.
    pub(super) assets: Vec<(String, Taken)>,
    pub(super) stream: Option<String>,
    pub(super) added: Vec<String>,
}

/// One representation that was taken out.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) digest: Digest,
    pub(super) length: u64,
    pub(super) encoding: Encoding,
}

impl Marker {
    pub(super) fn into_json(self) -> Json {
        let assets = self.assets.into_iter().map(|(mime, taken)| {
            let entry: Json = [
                ("digest", Json::from(taken.digest.to_string())),
                ("encoding", taken.encoding.name().into()),
                ("length", i64::try_from(taken.length).unwrap_or(i64::MAX).into()),
                ("mime", mime.as_str().into()),
            ]
            .into_iter()
            .collect();
            (mime, entry)
        });
        let mut all: JsonMap = [("assets".to_owned(), Json::Object(assets.collect()))]
            .into_iter()
            .collect();
        if let Some(stream) = self.stream {
            all.insert("stream".to_owned(), stream.into());
        }
        if !self.added.is_empty() {
            let added = self.added.into_iter().map(Json::from).collect();
            all.insert("added".to_owned(), Json::Array(added));
        }
        Json::Object(all)
    }

    /// Reads what is noted; none where it is not what we write.
    pub(super) fn from_json(json: &Json) -> Option<Self> {
        let assets = json
            .get("assets")?
            .as_object()?
            .iter()
            .map(|(mime, entry)| Some((mime.clone(), Taken::from_json(entry)?)));
        let added = json.get("added").and_then(Json::as_array).unwrap_or_default();
        Some(Self {
            assets: assets.collect::<Option<_>>()?,
            stream: json
                .get("stream")
                .and_then(Json::as_str)
                .map(std::borrow::Cow::into_owned),
            added: added
                .iter()
                .filter_map(Json::as_str)
                .map(std::borrow::Cow::into_owned)
                .collect(),
        })
    }
}

impl Taken {
    pub(super) fn new(asset: &AssetMetadata, encoding: Encoding) -> Self {
        Self {
            digest: asset.digest,
            length: asset.length,
            encoding,
        }
    }

    fn from_json(json: &Json) -> Option<Self> {
        Some(Self {
            digest: json.get("digest")?.as_str()?.parse().ok()?,
            length: json.get("length")?.as_i64()?.try_into().ok()?,
            encoding: Encoding::from_name(&json.get("encoding")?.as_str()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        let taken = Taken {
            digest: Digest::of(b"x"),
            length: 1,
            encoding: Encoding::Base64Line,
        };
        let marker = || Marker {
            assets: vec![(
                "image/png".to_owned(),
                Taken {
                    digest: taken.digest,
                    length: taken.length,
                    encoding: taken.encoding,
                },
            )],
            stream: Some("stdout".to_owned()),
            added: vec!["text/plain".to_owned()],
        };
        assert_eq!(Marker::from_json(&marker().into_json()), Some(marker()));
        assert_eq!(Marker::from_json(&Json::from("x")), None);
        let trick = br#"{"assets": {"a/b": {"digest": "sha256:../..", "length": 1, "encoding": "text"}}}"#;
        assert_eq!(Marker::from_json(&Json::parse(trick).unwrap()), None);
    }
}
