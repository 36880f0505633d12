//! Which assets nothing needs any more, and deleting them: only when asked, in two phases, with time between them.
//!
//! Needed is what has a registered reference or a pin, and what the files under the given folders name: a notebook in an
//! output's metadata, a link or an attachment, a page or a text in a link. A file names an asset where the 64 digits of
//! its digest stand in it, whatever is around them; so no damaged notebook and no unknown way of linking costs an asset.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::Serialize;

use crate::model::Digest;

use super::AssetStore;
use super::error::AssetError;
use super::types::{AssetMetadata, Reference};

/// What may name an asset.
const NAMING: [&str; 8] = ["ipynb", "md", "markdown", "html", "htm", "rst", "txt", "json"];
/// How many digits a digest has.
const DIGITS: usize = 64;
/// What is read at once.
const CHUNK: usize = 1 << 20;

/// What to look at, and what to spare.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The folders whose notebooks, pages and texts are looked through.
    pub roots: Vec<PathBuf>,
    /// How long an asset has to have been without need before it is deleted. It has to be longer than any run takes from
    /// an output to the next time the notebook is saved.
    pub grace: Duration,
    /// Delete the oldest only, until no more than this is left, in bytes; all if none.
    pub quota: Option<u64>,
    /// Change nothing: say what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pruned {
    /// What was deleted.
    pub deleted: Vec<PrunedAsset>,
    /// What nothing needs, but not for long enough, or within the quota.
    pub waiting: Vec<PrunedAsset>,
    /// References that their notebooks do not bear out any more.
    pub stale_references: Vec<(Digest, Reference)>,
    /// How many assets are needed.
    pub needed: usize,
    /// The size of what was deleted, in bytes.
    pub freed: u64,
    /// The size of what is left, in bytes.
    pub left: u64,
}

/// An asset that nothing needs.
#[derive(Clone, Debug, Serialize)]
pub struct PrunedAsset {
    /// Which.
    pub digest: Digest,
    /// Its length, in bytes.
    pub length: u64,
    /// When it was made.
    pub created: Timestamp,
    /// Why it goes, or why it stays for now.
    pub why: String,
}

/// Marks what nothing needs, and deletes what was marked long enough ago and is still not needed. Somebody who makes the
/// same asset again, or refers to it, at any time before it is deleted keeps it.
///
/// # Errors
/// Where the store fails, or a folder cannot be looked through: then nothing is deleted, for it might name anything.
pub async fn prune(store: &dyn AssetStore, retention: &Retention) -> Result<Pruned, AssetError> {
    let began = Timestamp::now();
    let named = named_under(retention.roots.clone()).await?;
    let assets: Vec<AssetMetadata> = store.list().try_collect().await?;
    let mut pruned = Pruned::default();
    let needed = needed(store, &named, retention, &mut pruned).await?;
    let marks: BTreeMap<Digest, Timestamp> = store.list_marks().try_collect().await?;
    pruned.left = assets.iter().map(|asset| asset.length).sum();
    let (keep, mut spare): (Vec<_>, Vec<_>) = assets.into_iter().partition(|asset| needed.contains(&asset.digest));
    pruned.needed = keep.len();
    if !retention.dry_run {
        for asset in keep.iter().filter(|asset| marks.contains_key(&asset.digest)) {
            store.unmark(&asset.digest).await?;
        }
    }
    spare.sort_by_key(|asset| asset.created);
    for asset in spare {
        let marked = match marks.get(&asset.digest) {
            Some(marked) => *marked,
            None if retention.dry_run => began,
            None => match store.mark(&asset.digest).await {
                Ok(marked) => marked,
                // Somebody else has deleted it.
                Err(AssetError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            },
        };
        decide(store, retention, asset, marked, &mut pruned).await?;
    }
    Ok(pruned)
}

/// Deletes an asset that nothing needs, if its time has come.
async fn decide(
    store: &dyn AssetStore,
    retention: &Retention,
    asset: AssetMetadata,
    marked: Timestamp,
    pruned: &mut Pruned,
) -> Result<(), AssetError> {
    let now = Timestamp::now();
    let wait = retention.grace.saturating_sub(since(marked, now));
    let is_within_quota = retention.quota.is_some_and(|quota| pruned.left <= quota);
    let why = if is_within_quota {
        "nothing refers to it; what is stored is within the quota".to_owned()
    } else if !wait.is_zero() {
        format!(
            "nothing refers to it; it goes in {} s unless that changes",
            wait.as_secs().max(1)
        )
    } else {
        format!("nothing has referred to it for {} s", since(marked, now).as_secs())
    };
    let entry = PrunedAsset {
        digest: asset.digest,
        length: asset.length,
        created: asset.created,
        why,
    };
    if is_within_quota || !wait.is_zero() {
        pruned.waiting.push(entry);
        return Ok(());
    }
    if retention.dry_run || store.collect(&asset.digest, marked).await? {
        pruned.freed += asset.length;
        pruned.left = pruned.left.saturating_sub(asset.length);
        pruned.deleted.push(entry);
    } else {
        pruned.needed += 1;
    }
    Ok(())
}

fn since(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(time)).unwrap_or_default()
}

/// What is needed. Takes away the references of notebooks under the folders that do not name the asset any more.
async fn needed(
    store: &dyn AssetStore,
    named: &Named,
    retention: &Retention,
    pruned: &mut Pruned,
) -> Result<BTreeSet<Digest>, AssetError> {
    let mut needed: BTreeSet<Digest> = named.all.clone();
    let references: Vec<(Digest, Reference)> = store.list_references().try_collect().await?;
    for (digest, reference) in references {
        let is_stale = match &reference {
            Reference::Cell { notebook, .. } => named
                .by_file
                .get(Path::new(notebook))
                .is_some_and(|names| !names.contains(&digest)),
            Reference::Pin { .. } => false,
        };
        if !is_stale {
            needed.insert(digest);
            continue;
        }
        if !retention.dry_run {
            store.remove_reference(&digest, &reference).await?;
        }
        pruned.stale_references.push((digest, reference));
    }
    Ok(needed)
}

/// The digests that files name.
#[derive(Debug, Default)]
struct Named {
    all: BTreeSet<Digest>,
    by_file: BTreeMap<PathBuf, BTreeSet<Digest>>,
}

async fn named_under(roots: Vec<PathBuf>) -> Result<Named, AssetError> {
    let look = move || {
        let mut named = Named::default();
        for root in &roots {
            let failed = |source| AssetError::Io {
                store: root.display().to_string(),
                action: "look for what refers to assets".to_owned(),
                source,
            };
            let root = std::path::absolute(root).map_err(failed)?;
            look_through(&root, &mut named).map_err(failed)?;
        }
        Ok(named)
    };
    tokio::task::spawn_blocking(look).await.expect("looking does not panic")
}

fn look_through(path: &Path, named: &mut Named) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            look_through(&entry?.path(), named)?;
        }
        return Ok(());
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_naming = extension.is_some_and(|extension| NAMING.iter().any(|known| extension.eq_ignore_ascii_case(known)));
    // A link to a folder may lead in a circle; one to a file does not.
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    if is_naming && is_file {
        let names = digests_in(File::open(path)?)?;
        named.all.extend(&names);
        named.by_file.insert(path.to_owned(), names);
    }
    Ok(())
}

/// All digests whose digits stand in a file: a run of so many digits, or the beginning or the end of a longer one, for
/// `%3A` before them is made of digits as well.
fn digests_in(mut file: impl Read) -> io::Result<BTreeSet<Digest>> {
    let mut found = BTreeSet::new();
    let mut run = Run::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        for &byte in &buffer[..read] {
            if byte.is_ascii_hexdigit() {
                run.push(byte.to_ascii_lowercase());
            } else if !run.first.is_empty() {
                run.end(&mut found);
            }
        }
        if read == 0 {
            run.end(&mut found);
            return Ok(found);
        }
    }
}

/// A run of digits, of which the first and the last matter.
#[derive(Debug, Default)]
struct Run {
    first: Vec<u8>,
    last: VecDeque<u8>,
}

impl Run {
    fn push(&mut self, digit: u8) {
        if self.first.len() < DIGITS {
            self.first.push(digit);
        }
        if self.last.len() == DIGITS {
            self.last.pop_front();
        }
        self.last.push_back(digit);
    }

    fn end(&mut self, found: &mut BTreeSet<Digest>) {
        if self.first.len() == DIGITS {
            for digits in [&self.first[..], self.last.make_contiguous()] {
                let digits = std::str::from_utf8(digits).expect("digits are ASCII");
                found.extend(Digest::from_hex(digits));
            }
        }
        self.first.clear();
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AssetStoreExt, MimeType, ObjectAssets};
    use super::*;

    fn retention(root: &Path) -> Retention {
        Retention {
            roots: vec![root.to_owned()],
            grace: Duration::ZERO,
            quota: None,
            dry_run: false,
        }
    }

    async fn stored(store: &ObjectAssets, names: &[&'static str]) -> Vec<Digest> {
        let mut digests = Vec::new();
        for name in names {
            let asset = store.put_bytes((*name).into(), MimeType::plain()).await.unwrap();
            digests.push(asset.digest);
        }
        digests
    }

    fn deleted(pruned: &Pruned) -> Vec<Digest> {
        pruned.deleted.iter().map(|asset| asset.digest).collect()
    }

    #[tokio::test]
    async fn what_anything_names_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectAssets::memory();
        let all = stored(&store, &["metadata", "link", "path", "pin", "registered", "nothing"]).await;
        let notebook = format!("{{\"digest\": \"{}\"}} broken", all[0]);
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/a.ipynb"), notebook).unwrap();
        fs::write(folder.path().join("a.md"), format!("![x](../{}.png)", all[1].hex())).unwrap();
        fs::write(folder.path().join("a.HTML"), format!("sha256%3A{}", all[2].hex())).unwrap();
        fs::write(folder.path().join("a.py"), all[5].to_string()).unwrap();
        store
            .add_reference(&all[3], &Reference::Pin { pin: "paper".into() })
            .await
            .unwrap();
        let elsewhere = Reference::Cell {
            notebook: "/gone/x.ipynb".into(),
            cell: "c".into(),
        };
        store.add_reference(&all[4], &elsewhere).await.unwrap();
        let dry = Retention {
            dry_run: true,
            ..retention(folder.path())
        };
        assert_eq!(deleted(&prune(&store, &dry).await.unwrap()), all[5..]);
        assert_eq!(store.list().try_collect::<Vec<_>>().await.unwrap().len(), 6);
        let pruned = prune(&store, &retention(folder.path())).await.unwrap();
        assert_eq!(
            (deleted(&pruned), pruned.needed, pruned.freed),
            (all[5..].to_vec(), 5, 7)
        );
        assert!(store.head(&all[5]).await.is_err());
    }

    #[tokio::test]
    async fn nothing_goes_before_its_time_and_what_is_needed_again_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectAssets::memory();
        let all = stored(&store, &["a", "b"]).await;
        let patient = Retention {
            grace: Duration::from_secs(3600),
            ..retention(folder.path())
        };
        let pruned = prune(&store, &patient).await.unwrap();
        assert_eq!((pruned.waiting.len(), pruned.deleted.len()), (2, 0));
        // The same bytes again: nobody has marked them now.
        stored(&store, &["a"]).await;
        assert_eq!(store.list_marks().try_collect::<Vec<_>>().await.unwrap().len(), 1);
        fs::write(folder.path().join("a.md"), all[1].hex()).unwrap();
        let pruned = prune(&store, &retention(folder.path())).await.unwrap();
        assert_eq!(deleted(&pruned), all[..1]);
        assert!(store.list_marks().try_collect::<Vec<_>>().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_notebook_that_shows_it_no_more_needs_it_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectAssets::memory();
        let all = stored(&store, &["old", "new"]).await;
        let path = std::path::absolute(folder.path().join("a.ipynb")).unwrap();
        fs::write(&path, all[1].to_string()).unwrap();
        for digest in &all {
            let notebook = path.display().to_string();
            let reference = Reference::Cell {
                notebook,
                cell: "c".into(),
            };
            store.add_reference(digest, &reference).await.unwrap();
        }
        let pruned = prune(&store, &retention(folder.path())).await.unwrap();
        assert_eq!(
            (deleted(&pruned), pruned.stale_references.len()),
            (all[..1].to_vec(), 1)
        );
    }

    #[tokio::test]
    async fn a_quota_takes_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectAssets::memory();
        let all = stored(&store, &["1111", "2222", "3333"]).await;
        let limited = Retention {
            quota: Some(8),
            ..retention(folder.path())
        };
        let pruned = prune(&store, &limited).await.unwrap();
        assert_eq!(
            (deleted(&pruned), pruned.left, pruned.waiting.len()),
            (all[..1].to_vec(), 8, 2)
        );
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_read_deletes_nothing() {
        let store = ObjectAssets::memory();
        stored(&store, &["a"]).await;
        assert!(
            prune(&store, &retention(Path::new("/nonexistent/folder")))
                .await
                .is_err()
        );
        assert_eq!(store.list().try_collect::<Vec<_>>().await.unwrap().len(), 1);
    }

    #[test]
    fn digits_are_found_across_borders_and_in_longer_runs() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let (plain, before, after, short) = (digest("plain"), digest("before"), digest("after"), digest("short"));
        let text = format!(
            "{} 3a{} {}0 {}",
            plain.hex().to_uppercase(),
            before.hex(),
            after.hex(),
            &short.hex()[1..]
        );
        for size in [1, 3, 64, 1000] {
            let pieces = text.as_bytes().chunks(size);
            let reader: Box<dyn Read> = pieces.fold(Box::new(io::empty()), |all, piece| Box::new(all.chain(piece)));
            let found = digests_in(reader).unwrap();
            assert!([plain, before, after].iter().all(|digest| found.contains(digest)));
            // The other ends of the two longer runs name nothing that exists.
            assert_eq!((found.contains(&short), found.len()), (false, 5));
        }
    }
}
