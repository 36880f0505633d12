//! Between the assets' types and those of the protocol. Nothing is lost on the way, and what comes in is checked.

use tonic::{Code, Status};

use super::{AssetError, AssetMetadata, MimeType, Reference};
use crate::model::Digest;
use crate::rpc::pb::asset_error_detail as detail;
use crate::rpc::pb::{AssetErrorDetail, Damaged, FailedAction, Unsupported};
use crate::rpc::{Malformed, code, malformed, pb, status, timestamp, to_timestamp, unpack};

/// A digest on its way in.
pub(super) fn digest(text: &str) -> Result<Digest, Malformed> {
    text.parse().map_err(|_| malformed("digest"))
}

impl From<AssetMetadata> for pb::AssetMetadata {
    fn from(asset: AssetMetadata) -> Self {
        let pixels = asset.pixels;
        Self {
            digest: asset.digest.to_string(),
            length: asset.length,
            mime: asset.mime.into(),
            created: Some(timestamp(asset.created)),
            lines: asset.lines,
            pixels: pixels.map(|(width, height)| pb::asset_metadata::Pixels { width, height }),
        }
    }
}

impl TryFrom<pb::AssetMetadata> for AssetMetadata {
    type Error = Malformed;

    fn try_from(asset: pb::AssetMetadata) -> Result<Self, Malformed> {
        Ok(Self {
            digest: digest(&asset.digest)?,
            length: asset.length,
            mime: mime(asset.mime)?,
            created: to_timestamp(asset.created)?,
            lines: asset.lines,
            pixels: asset.pixels.map(|pixels| (pixels.width, pixels.height)),
        })
    }
}

/// A MIME type on its way in.
pub(super) fn mime(text: String) -> Result<MimeType, Malformed> {
    text.try_into().map_err(|_| malformed("MIME type"))
}

impl From<Reference> for pb::Reference {
    fn from(reference: Reference) -> Self {
        use pb::reference::{Cell, Reason};
        let reason = match reference {
            Reference::Cell { notebook, cell } => Reason::Cell(Cell {
                notebook,
                cell_id: cell.as_str().to_owned(),
            }),
            Reference::Pin { pin } => Reason::Pin(pin),
        };
        Self { reason: Some(reason) }
    }
}

impl TryFrom<pb::Reference> for Reference {
    type Error = Malformed;

    fn try_from(reference: pb::Reference) -> Result<Self, Malformed> {
        use pb::reference::Reason;
        Ok(match reference.reason.ok_or(malformed("reason"))? {
            Reason::Cell(cell) => Self::Cell {
                notebook: cell.notebook,
                cell: cell.cell_id.into(),
            },
            Reason::Pin(pin) => Self::Pin { pin },
        })
    }
}

/// The status that tells a client of an error.
pub(super) fn to_status(error: AssetError) -> Status {
    let code = match &error {
        AssetError::Denied { .. } => Code::PermissionDenied,
        _ => code(error.kind()),
    };
    let message = error.to_string();
    let detail = AssetErrorDetail {
        error: Some(to_detail(error)),
    };
    status(code, &message, &detail, None)
}

/// The error that a status tells of; none where it tells of none.
pub(super) fn from_status(status: &Status) -> Option<AssetError> {
    from_detail(unpack::<AssetErrorDetail>(status)?.error?).ok()
}

fn to_detail(error: AssetError) -> detail::Error {
    use AssetError as E;
    use detail::Error as D;
    match error {
        E::NotFound { store, digest } => D::NotFound(detail::NoSuchAsset {
            store,
            digest: digest.to_string(),
        }),
        E::Invalid { what, reason } => D::Invalid(detail::Invalid { what, reason }),
        E::Corrupt { store, what, reason } => D::Corrupt(Damaged {
            backend: store,
            what,
            reason,
        }),
        E::Unsupported { what } => D::Unsupported(Unsupported { what }),
        E::Denied { store, action, source } => D::Denied(FailedAction::new(store, action, &*source)),
        E::Unavailable { store, action, source } => D::Unavailable(FailedAction::new(store, action, &*source)),
        E::Io { store, action, source } => D::Io(FailedAction::new(store, action, &source)),
    }
}

fn from_detail(error: detail::Error) -> Result<AssetError, Malformed> {
    use AssetError as E;
    use detail::Error as D;
    Ok(match error {
        D::NotFound(of) => E::NotFound {
            store: of.store,
            digest: digest(&of.digest)?,
        },
        D::Invalid(of) => E::Invalid {
            what: of.what,
            reason: of.reason,
        },
        D::Corrupt(of) => E::Corrupt {
            store: of.backend,
            what: of.what,
            reason: of.reason,
        },
        D::Unsupported(of) => E::Unsupported { what: of.what },
        D::Denied(of) => E::Denied {
            store: of.backend,
            action: of.action,
            source: of.cause.into(),
        },
        D::Unavailable(of) => E::Unavailable {
            store: of.backend,
            action: of.action,
            source: of.cause.into(),
        },
        D::Io(of) => E::Io {
            store: of.backend,
            action: of.action,
            source: std::io::Error::other(of.cause),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_comes_back_as_it_was() {
        use AssetError as E;
        let text = str::to_owned;
        let errors = [
            E::NotFound {
                store: text("s"),
                digest: Digest::of(b"x"),
            },
            E::invalid("range 3..1", "backwards"),
            E::Corrupt {
                store: text("s"),
                what: text("a record"),
                reason: text("no JSON"),
            },
            E::Unsupported { what: text("that") },
            E::Denied {
                store: text("s"),
                action: text("write"),
                source: "forbidden".into(),
            },
            E::Unavailable {
                store: text("s"),
                action: text("write"),
                source: "timed out".into(),
            },
            E::Io {
                store: text("s"),
                action: text("write"),
                source: std::io::Error::other("no space left"),
            },
        ];
        for error in errors {
            let (shown, kind) = (format!("{error:?}"), error.kind());
            let back = from_status(&to_status(error)).unwrap();
            assert_eq!(format!("{back:?}"), shown);
            assert_eq!(back.kind(), kind);
        }
    }

    #[test]
    fn what_is_known_of_an_asset_comes_back() {
        let mut asset = AssetMetadata::new(Digest::of(b""), 7, MimeType::plain(), jiff::Timestamp::now());
        assert_eq!(pb::AssetMetadata::from(asset.clone()).try_into(), Ok(asset.clone()));
        asset.lines = Some(3);
        asset.pixels = Some((4, 5));
        assert_eq!(pb::AssetMetadata::from(asset.clone()).try_into(), Ok(asset));
    }
}
