//! What is listed, and what is not.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::fixture::{Fixture, all_marks, all_references, bytes, cell, collect, is_there, list, mark, pin, put, refer};
use super::list_cases;
use crate::assets::AssetMetadata;
use crate::model::Digest;

list_cases! {
    list_nothing: "a new store lists nothing",
    list_ordered: "all assets are listed, in the order of their digests",
    list_meanwhile: "a list is complete while others put and delete",
    foreign_left_alone: "what the store has not written is neither listed nor deleted, and does no harm",
}

async fn list_nothing(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    assert!(list(&*store).await.is_empty());
    assert!(all_references(&*store).await.is_empty());
    assert!(all_marks(&*store).await.is_empty());
}

async fn list_ordered(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let puts = (0..60).map(|number| put(&*store, format!("asset {number}\n")));
    let mut expected: Vec<AssetMetadata> = join_all(puts).await;
    expected.sort_unstable_by_key(|asset| asset.digest);
    assert_eq!(list(&*store).await, expected);
    assert_eq!(list(&*fixture.again().await).await, expected);
}

async fn list_meanwhile(fixture: &dyn Fixture) {
    let (store, other) = (fixture.store().await, fixture.again().await);
    let texts: Vec<String> = (0..20).map(|number| format!("stays {number}")).collect();
    let stays: BTreeSet<Digest> = join_all(texts.iter().map(|text| put(&*store, text.clone())))
        .await
        .iter()
        .map(|asset| asset.digest)
        .collect();
    let changing = async {
        for number in 0..fixture.rounds() {
            let asset = put(&*other, format!("comes and goes {number}")).await;
            other.delete(&asset.digest).await.expect("it can be deleted");
        }
    };
    let listing = async {
        for _ in 0..fixture.rounds() / 5 {
            let listed: Vec<Digest> = list(&*store).await.iter().map(|asset| asset.digest).collect();
            assert!(listed.is_sorted(), "in order, each once");
            let listed: BTreeSet<Digest> = listed.into_iter().collect();
            assert!(listed.is_superset(&stays));
        }
    };
    tokio::join!(changing, listing);
    assert_eq!(list(&*store).await.len(), stays.len());
}

async fn foreign_left_alone(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "ours").await;
    refer(&*store, &asset.digest, &pin("p")).await;
    let marked = mark(&*store, &asset.digest).await;
    if !fixture.plant(&asset.digest).await {
        return;
    }
    let store = fixture.again().await;
    assert_eq!(list(&*store).await, std::slice::from_ref(&asset));
    assert_eq!(all_references(&*store).await, [(asset.digest, pin("p"))]);
    assert_eq!(all_marks(&*store).await, [(asset.digest, marked)]);
    let references = store.references(&asset.digest).await;
    assert_eq!(references.expect("they can be read"), [pin("p")]);
    refer(&*store, &asset.digest, &cell("a.ipynb", "c")).await;
    assert_eq!(bytes(&*store, &asset.digest).await, "ours");
    for reference in [pin("p"), cell("a.ipynb", "c")] {
        let removed = store.remove_reference(&asset.digest, &reference).await;
        removed.expect("it can be removed");
    }
    assert!(collect(&*store, &asset.digest, marked).await);
    assert!(!is_there(&*store, &asset.digest).await);
    put(&*store, "ours").await;
    store.delete(&asset.digest).await.expect("it can be deleted");
    assert!(list(&*store).await.is_empty());
    assert!(fixture.is_planted().await, "what is not ours is left alone");
}
