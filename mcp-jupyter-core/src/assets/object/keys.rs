//! Where what lies in an object store. Keys are made of digests and of other digests, never of what a caller says, so that
//! no name leads anywhere else; what has another form was not written by us and does not exist for us.

use object_store::path::Path;

use uuid::Uuid;

use crate::assets::types::Reference;
use crate::model::{CellId, Digest};

/// Of the digest of a name this much tells it from others.
const NAME_DIGITS: usize = 32;
/// What nbformat 4.5 allows as a cell's id.
const CELL_ID_LIMIT: usize = 64;

pub(super) const ASSETS: &str = "sha256";
pub(super) const METADATA: &str = "meta";
pub(super) const REFERENCES: &str = "refs";
pub(super) const PINS: &str = "pins";
pub(super) const MARKS: &str = "marks";
pub(super) const CLAIMS: &str = "claims";
/// All of them: nothing of ours lies beside.
pub(super) const FOLDERS: [&str; 6] = [ASSETS, METADATA, REFERENCES, PINS, MARKS, CLAIMS];

/// `sha256/<first two digits>/<digits>`: the bytes.
pub(super) fn asset(digest: &Digest) -> Path {
    let digits = digest.hex();
    Path::from_iter([ASSETS, &digits[..2], &digits])
}

/// What is known of them.
pub(super) fn metadata(digest: &Digest) -> Path {
    Path::from_iter([METADATA, &digest.hex()])
}

/// That retention has found nothing that refers to them.
pub(super) fn mark(digest: &Digest) -> Path {
    Path::from_iter([MARKS, &digest.hex()])
}

/// That retention is about to delete them: an object for each who is, so that none takes away another's.
pub(super) fn claim(digest: &Digest, holder: &Uuid) -> Path {
    Path::from_iter([CLAIMS, &format!("{}.{}", digest.hex(), holder.simple())])
}

/// `refs/<digits>/<notebook>/<cell>` or `pins/<digits>/<name>`.
pub(super) fn reference(digest: &Digest, reference: &Reference) -> Path {
    let digits = digest.hex();
    match reference {
        Reference::Cell { notebook, cell } => {
            Path::from_iter([REFERENCES, &digits, &name(notebook), &cell_segment(cell)])
        }
        Reference::Pin { pin } => Path::from_iter([PINS, &digits, &name(pin)]),
    }
}

/// Where the references of an asset are, or its pins.
pub(super) fn references_of(kind: &str, digest: &Digest) -> Path {
    Path::from_iter([kind, &digest.hex()])
}

fn name(text: &str) -> String {
    let mut digits = Digest::of(text.as_bytes()).hex();
    digits.truncate(NAME_DIGITS);
    digits
}

fn cell_segment(cell: &CellId) -> String {
    let id = cell.as_str();
    if is_plain(id) {
        id.to_owned()
    } else {
        format!("id.{}", name(id))
    }
}

fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= CELL_ID_LIMIT
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The digest that the key of an asset stands for.
pub(super) fn digest_of_asset(key: &Path) -> Option<Digest> {
    let digest = Digest::from_hex(key.filename()?).ok()?;
    (asset(&digest) == *key).then_some(digest)
}

/// The digest that the key of a mark stands for.
pub(super) fn digest_of_mark(key: &Path) -> Option<Digest> {
    let digest = Digest::from_hex(key.filename()?).ok()?;
    (mark(&digest) == *key).then_some(digest)
}

/// The digest that the key of a claim stands for.
pub(super) fn digest_of_claim(key: &Path) -> Option<Digest> {
    let (digits, holder) = key.filename()?.split_once('.')?;
    let digest = Digest::from_hex(digits).ok()?;
    let holder = holder.parse().ok()?;
    (claim(&digest, &holder) == *key).then_some(digest)
}

/// The digest of what a reference of this key refers to.
pub(super) fn digest_of_reference(key: &Path) -> Option<Digest> {
    let parts: Vec<_> = key.parts().collect();
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let (digits, named) = match parts[..] {
        [REFERENCES, digits, named, cell] if is_cell_segment(cell) => (digits, named),
        [PINS, digits, named] => (digits, named),
        _ => return None,
    };
    is_name(named).then(|| Digest::from_hex(digits).ok()).flatten()
}

/// What the key of a cell's reference says by itself: the name that stands for the notebook, and the cell.
pub(super) fn cell_of_reference(key: &Path) -> Option<(String, CellId)> {
    let mut parts = key.parts();
    if parts.next()?.as_ref() != REFERENCES {
        return None;
    }
    let (notebook, cell) = (parts.nth(1)?, parts.next()?);
    let cell = cell.as_ref();
    is_plain(cell).then(|| (notebook.as_ref().to_owned(), CellId::from(cell)))
}

/// Whether a key's name for a notebook stands for this one.
pub(super) fn is_name_of(named: &str, notebook: &str) -> bool {
    name(notebook) == named
}

fn is_name(text: &str) -> bool {
    text.len() == NAME_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_cell_segment(text: &str) -> bool {
    text.strip_prefix("id.").map_or_else(|| is_plain(text), is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_lead_elsewhere() {
        let digest = Digest::of(b"x");
        for trick in [
            "../../etc/passwd",
            "",
            "/",
            "a/b",
            "..",
            "a\0b",
            "%2e%2e",
            &"é".repeat(200),
        ] {
            let cell = Reference::Cell {
                notebook: trick.to_owned(),
                cell: trick.into(),
            };
            let key = reference(&digest, &cell);
            assert_eq!(key.parts().count(), 4, "{key}");
            assert!(
                key.as_ref()
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'.')
            );
            let pin = reference(&digest, &Reference::Pin { pin: trick.to_owned() });
            assert_eq!(pin.parts().count(), 3, "{pin}");
            for key in [key, pin] {
                assert_eq!(digest_of_reference(&key), Some(digest), "{key}");
            }
        }
    }

    #[test]
    fn only_our_keys_are_assets() {
        let digest = Digest::of(b"x");
        assert_eq!(digest_of_asset(&asset(&digest)), Some(digest));
        let digits = digest.hex();
        for other in [
            format!("sha256/00/{digits}"),
            digits.clone(),
            format!("sha256/{digits}"),
            "sha256/ab/cd".into(),
        ] {
            assert_eq!(digest_of_asset(&Path::from(other)), None);
        }
        assert_eq!(digest_of_mark(&mark(&digest)), Some(digest));
        let claim = claim(&digest, &Uuid::new_v4());
        assert_eq!(digest_of_claim(&claim), Some(digest));
        for key in [claim, mark(&digest)] {
            assert_eq!(digest_of_reference(&key), None);
        }
        assert_eq!(digest_of_claim(&mark(&digest)), None);
        for other in ["x", "x/y", "x/y/z", ""].map(|rest| Path::from(format!("refs/{digits}/{rest}"))) {
            assert_eq!(digest_of_reference(&other), None);
        }
    }
}
