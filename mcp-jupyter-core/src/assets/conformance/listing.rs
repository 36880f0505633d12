//! What is listed, and what is not.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::fixture::{Fixture, all_marks, all_references, list, put};
use super::list_cases;
use crate::assets::AssetMetadata;
use crate::model::Digest;

list_cases! {
    list_nothing: "a new store lists nothing",
    list_ordered: "all assets are listed, in the order of their digests",
    list_meanwhile: "a list is complete while others put and delete",
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
