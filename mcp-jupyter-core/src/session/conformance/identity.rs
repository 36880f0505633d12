//! Which notebook has which session.

use std::fs;

use super::fixture::{Fixture, Folder, assert_no_such, open, output, record, result, save};
use super::list_cases;
use crate::session::SessionError;

list_cases! {
    open_again: "a notebook has one session, in every handle",
    open_through_links: "a file has one session, whatever leads to it",
    open_renamed: "a renamed notebook keeps its session",
    open_behind_link: "a notebook that was moved, and a link left in its place, is known",
    open_replaced_by_link: "a link that has taken the place of a notebook is the one that it leads to",
    open_copied: "a copy is another session",
    open_replaced: "a notebook that was replaced keeps its session",
    open_successor: "a new file in the place of a renamed one's inode is another session",
    open_nothing: "where nothing is, no session is begun",
    open_away: "a deleted notebook keeps its session",
    find_none: "finding begins no session",
    list_by_use: "the session that was used last is the first",
    close_twice: "a closed session is gone, and its notebook is not",
}

async fn open_again(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    assert_eq!(session.path, folder.path().canonicalize().expect("it is there"));
    assert_eq!((session.token, session.epoch, &session.kernel), (0, 0, &None));
    let again = fixture.again().await;
    let found = open(&*again, &folder).await;
    assert_eq!(found.id, session.id);
    assert_eq!(found.created, session.created);
    assert_eq!(again.get(&session.id).await.expect("it is there"), found);
    assert_eq!(store.list().await.expect("it can be listed"), [found]);
}

async fn open_through_links(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    fs::create_dir(folder.at("below")).expect("a folder can be made");
    let mut paths = vec![folder.at("below/../analysis.ipynb"), folder.at("./analysis.ipynb")];
    #[cfg(unix)]
    {
        let link = folder.at("below/link.ipynb");
        std::os::unix::fs::symlink("../analysis.ipynb", &link).expect("a link can be made");
        paths.push(link);
    }
    paths.push(folder.path());
    for path in paths {
        let found = store.open(&path).await.expect("it is there");
        assert_eq!(found.id, session.id, "{}", path.display());
        let found = store.find(&path).await.expect("it is there").expect("it is found");
        assert_eq!(found.id, session.id, "{}", path.display());
    }
}

async fn open_renamed(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    let renamed = folder.at("renamed.ipynb");
    fs::rename(folder.path(), &renamed).expect("a file can be renamed");
    let found = store.find(&renamed).await.expect("it is there").expect("it is found");
    assert_eq!(found.id, session.id);
    assert_eq!(found.path, renamed.canonicalize().expect("it is there"));
    assert_eq!(store.get(&session.id).await.expect("it is there").path, found.path);
    folder.write(&[("other", "1")]);
    assert_ne!(open(&*store, &folder).await.id, session.id);
}

/// The session goes with the notebook, not with the link that was left in its place.
async fn open_behind_link(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    fs::create_dir(folder.at("below")).expect("a folder can be made");
    let moved = folder.at("below/analysis.ipynb");
    fs::rename(folder.path(), &moved).expect("a file can be moved");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&moved, folder.path()).expect("a link can be made");
    let found = store.open(&folder.path()).await.expect("it is there");
    assert_eq!(found.id, session.id);
    assert_eq!(found.path, moved.canonicalize().expect("it is there"));
}

/// A link in the place of the file is what it leads to.
async fn open_replaced_by_link(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    let other = folder.at("other.ipynb");
    fs::copy(folder.path(), &other).expect("a file can be copied");
    fs::remove_file(folder.path()).expect("a file can be removed");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&other, folder.path()).expect("a link can be made");
    assert_ne!(open(&*store, &folder).await.id, session.id);
    record(&*store, &session.id, vec![result("a", "1", "one")]).await;
    assert!(save(&*store, &session.id).await.is_changed);
    let link = fs::symlink_metadata(folder.path()).expect("it is there");
    assert!(link.is_symlink());
    assert_eq!(folder.read().cells()[0].outputs(), [output("one")]);
}

async fn open_copied(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    let copy = folder.at("copy.ipynb");
    fs::copy(folder.path(), &copy).expect("a file can be copied");
    assert_ne!(store.open(&copy).await.expect("it is there").id, session.id);
    let linked = folder.at("linked.ipynb");
    fs::hard_link(folder.path(), &linked).expect("a file can be linked");
    assert_ne!(store.open(&linked).await.expect("it is there").id, session.id);
    assert_eq!(store.list().await.expect("it can be listed").len(), 3);
}

async fn open_replaced(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    folder.write(&[("a", "another")]);
    assert_eq!(open(&*store, &folder).await.id, session.id);
    let renamed = folder.at("renamed.ipynb");
    fs::rename(folder.path(), &renamed).expect("a file can be renamed");
    assert_eq!(store.open(&renamed).await.expect("it is there").id, session.id);
}

/// A file system gives the inode of a file that is gone to the next one.
async fn open_successor(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    fs::remove_file(folder.path()).expect("a file can be removed");
    let other = folder.at("other.ipynb");
    fs::write(&other, "{}").expect("a file can be written");
    assert_ne!(store.open(&other).await.expect("it is there").id, session.id);
}

async fn open_nothing(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let error = store.open(&folder.at("missing.ipynb")).await;
    assert!(matches!(error, Err(SessionError::NotFound { .. })), "{error:?}");
    fs::create_dir(folder.at("folder.ipynb")).expect("a folder can be made");
    let error = store.open(&folder.at("folder.ipynb")).await;
    assert!(matches!(error, Err(SessionError::Io { .. })), "{error:?}");
    assert_eq!(store.list().await.expect("it can be listed"), []);
}

async fn open_away(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    fs::remove_file(folder.path()).expect("a file can be removed");
    assert_eq!(open(&*store, &folder).await.id, session.id);
}

async fn find_none(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    for path in [folder.path(), folder.at("missing/missing.ipynb")] {
        assert_eq!(store.find(&path).await.expect("nothing is found"), None);
    }
    assert_eq!(store.list().await.expect("it can be listed"), []);
}

async fn list_by_use(fixture: &dyn Fixture) {
    let (one, other) = (Folder::new(), Folder::new());
    let store = fixture.store().await;
    let (one, other) = (open(&*store, &one).await.id, open(&*store, &other).await.id);
    let order = async || -> Vec<_> {
        let all = store.list().await.expect("it can be listed");
        all.into_iter().map(|session| session.id).collect()
    };
    assert_eq!(order().await, [other.clone(), one.clone()]);
    store.next_token(&one).await.expect("it is there");
    assert_eq!(order().await, [one.clone(), other.clone()]);
    store.bind(&other, None).await.expect("it is there");
    assert_eq!(order().await, [other, one]);
}

async fn close_twice(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let session = open(&*store, &folder).await;
    let before = folder.bytes();
    for _ in 0..2 {
        store.close(&session.id).await.expect("it can be closed");
    }
    assert_no_such(&store.get(&session.id).await.expect_err("it is gone"), &session.id);
    assert_eq!(store.find(&folder.path()).await.expect("nothing is found"), None);
    assert_eq!(folder.bytes(), before);
    assert_ne!(open(&*store, &folder).await.id, session.id);
}
