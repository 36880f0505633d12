//! Marks, and what is collected.

use jiff::{SignedDuration, Timestamp};

use super::fixture::{
    Fixture, all_marks, all_references, assert_not_found, cell, collect, is_there, list, mark, pin, put, refer,
};
use super::list_cases;
use crate::model::Digest;

list_cases! {
    marks_kept: "a mark keeps the time when it was made first",
    mark_of_nothing: "what is not there cannot be marked",
    marks_listed: "all marks are listed",
    put_unmarks: "whoever puts an asset takes its mark away",
    collect_marked: "what is marked and not needed is collected as a whole",
    collect_unmarked: "what is not marked, or not any more, stays",
    collect_too_early: "what is marked since less than asked for stays",
    collect_referred: "what is referred to stays until the last reference is gone",
    collect_nothing: "nothing is collected where nothing is",
    collect_repeated: "what is collected is put again like anything new",
}

async fn marks_kept(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "old").await;
    let before = Timestamp::now();
    let marked = mark(&*store, &asset.digest).await;
    assert!(marked >= before && marked <= Timestamp::now());
    let other = fixture.again().await;
    assert_eq!(mark(&*other, &asset.digest).await, marked);
    assert_eq!(all_marks(&*other).await, [(asset.digest, marked)]);
    for _ in 0..2 {
        let unmarked = store.unmark(&asset.digest).await;
        unmarked.expect("taking away what is not there does nothing");
        assert!(all_marks(&*other).await.is_empty());
    }
    assert!(mark(&*other, &asset.digest).await >= marked);
    assert!(is_there(&*store, &asset.digest).await, "a mark does nothing by itself");
}

async fn mark_of_nothing(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let digest = Digest::of(b"never put");
    let marked = store.mark(&digest).await;
    assert_not_found(&marked.expect_err("there is nothing to mark"), &digest);
    store.unmark(&digest).await.expect("there is nothing to do");
    assert!(all_marks(&*store).await.is_empty());
}

async fn marks_listed(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let mut expected = Vec::new();
    for number in 0..5 {
        let asset = put(&*store, format!("asset {number}")).await;
        if number % 2 == 0 {
            expected.push((asset.digest, mark(&*store, &asset.digest).await));
        }
    }
    expected.sort_unstable();
    assert_eq!(all_marks(&*fixture.again().await).await, expected);
}

async fn put_unmarks(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "wanted again").await;
    mark(&*store, &asset.digest).await;
    assert_eq!(put(&*fixture.again().await, "wanted again").await, asset);
    assert!(all_marks(&*store).await.is_empty());
    assert!(!collect(&*store, &asset.digest, Timestamp::MAX).await);
    assert!(is_there(&*store, &asset.digest).await);
}

async fn collect_marked(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let (asset, other) = (put(&*store, "old").await, put(&*store, "other").await);
    let marked = mark(&*store, &asset.digest).await;
    mark(&*store, &other.digest).await;
    assert!(collect(&*store, &asset.digest, marked).await, "exactly at its time");
    assert!(!is_there(&*store, &asset.digest).await);
    let left: Vec<Digest> = all_marks(&*store).await.into_iter().map(|(digest, _)| digest).collect();
    assert_eq!(left, [other.digest], "the mark went with the asset");
    assert_eq!(list(&*store).await, [other]);
}

async fn collect_unmarked(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "new").await;
    assert!(!collect(&*store, &asset.digest, Timestamp::MAX).await);
    let marked = mark(&*store, &asset.digest).await;
    store.unmark(&asset.digest).await.expect("it can be unmarked");
    assert!(!collect(&*store, &asset.digest, marked).await);
    assert!(is_there(&*store, &asset.digest).await);
}

async fn collect_too_early(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "young").await;
    let marked = mark(&*store, &asset.digest).await;
    for earlier in [SignedDuration::from_nanos(1), SignedDuration::from_hours(1)] {
        assert!(!collect(&*store, &asset.digest, marked - earlier).await);
    }
    assert!(!collect(&*store, &asset.digest, Timestamp::MIN).await);
    assert!(is_there(&*store, &asset.digest).await);
    assert_eq!(all_marks(&*store).await, [(asset.digest, marked)], "it stays marked");
    assert!(collect(&*store, &asset.digest, marked).await);
}

async fn collect_referred(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "needed").await;
    let references = [cell("../a.ipynb", "c"), pin("for the paper")];
    for reference in &references {
        refer(&*store, &asset.digest, reference).await;
    }
    let marked = mark(&*store, &asset.digest).await;
    for reference in &references {
        assert!(!collect(&*store, &asset.digest, marked).await);
        assert!(is_there(&*store, &asset.digest).await);
        let removed = store.remove_reference(&asset.digest, reference).await;
        removed.expect("it can be removed");
    }
    assert!(collect(&*store, &asset.digest, marked).await);
    assert!(!is_there(&*store, &asset.digest).await);
    let added = store.add_reference(&asset.digest, &references[0]).await;
    assert_not_found(&added.expect_err("it was collected"), &asset.digest);
    assert!(all_references(&*store).await.is_empty());
}

async fn collect_nothing(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    assert!(!collect(&*store, &Digest::of(b"never put"), Timestamp::MAX).await);
}

async fn collect_repeated(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    for _ in 0..3 {
        let asset = put(&*store, "again").await;
        assert!(is_there(&*store, &asset.digest).await);
        let marked = mark(&*store, &asset.digest).await;
        assert!(collect(&*store, &asset.digest, marked).await);
        assert!(!collect(&*store, &asset.digest, marked).await, "once is enough");
        assert!(!is_there(&*store, &asset.digest).await);
    }
}
