//! Collecting while others want the asset.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;

use super::fixture::{Fixture, all_references, assert_not_found, collect, is_there, mark, pin, put};
use super::list_cases;
use crate::assets::AssetStore;
use crate::model::Digest;

list_cases! {
    collect_or_create: "an asset whose put has succeeded is there, whoever collects meanwhile",
    collect_or_refer: "an asset that could be referred to is there, whoever collects meanwhile",
    collect_at_once: "of several that collect at once none deletes what was put meanwhile",
    collect_dropped: "a dropped call leaves the whole asset or none, and holds up nobody",
}

/// Lets others go first by so many turns, so that every round meets at another point.
async fn after(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// How many turns the side that is late lets pass.
fn delay(round: u32) -> u32 {
    round * 7 % 41
}

/// Collects in a task of its own.
fn collecting(store: &Arc<dyn AssetStore>, digest: Digest, turns: u32) -> tokio::task::JoinHandle<bool> {
    let store = Arc::clone(store);
    tokio::spawn(async move {
        after(turns).await;
        collect(&*store, &digest, Timestamp::MAX).await
    })
}

async fn collect_or_create(fixture: &dyn Fixture) {
    let (store, other) = (fixture.store().await, fixture.again().await);
    for round in 0..fixture.rounds() {
        let text = format!("wanted {round}\n");
        let asset = put(&*store, text.clone()).await;
        mark(&*store, &asset.digest).await;
        let (early, late) = if round % 2 == 0 {
            (0, delay(round))
        } else {
            (delay(round), 0)
        };
        let collected = collecting(&other, asset.digest, early);
        after(late).await;
        let made = put(&*store, text).await;
        assert_eq!((made.length, made.lines), (asset.length, asset.lines));
        collected.await.expect("it ends");
        assert!(is_there(&*store, &asset.digest).await, "round {round}");
        let head = store.head(&asset.digest).await.expect("it is there");
        assert_eq!((head.mime, head.lines), (asset.mime, asset.lines), "round {round}");
    }
}

async fn collect_or_refer(fixture: &dyn Fixture) {
    let (store, other) = (fixture.store().await, fixture.again().await);
    let mut expected = Vec::new();
    for round in 0..fixture.rounds() {
        let asset = put(&*store, format!("wanted {round}\n")).await;
        mark(&*store, &asset.digest).await;
        let (early, late) = if round % 2 == 0 {
            (0, delay(round))
        } else {
            (delay(round), 0)
        };
        let collected = collecting(&other, asset.digest, early);
        after(late).await;
        let referred = store.add_reference(&asset.digest, &pin("p")).await;
        let collected = collected.await.expect("it ends");
        let is_there = is_there(&*store, &asset.digest).await;
        assert_eq!(is_there, !collected, "round {round}");
        match referred {
            Ok(()) => {
                assert!(is_there, "round {round}");
                expected.push((asset.digest, pin("p")));
            }
            Err(error) => {
                assert_not_found(&error, &asset.digest);
                assert!(collected, "round {round}: only what was collected is not found");
            }
        }
    }
    expected.sort_unstable();
    assert_eq!(all_references(&*store).await, expected);
}

async fn collect_at_once(fixture: &dyn Fixture) {
    let (store, other) = (fixture.store().await, fixture.again().await);
    for round in 0..fixture.rounds() {
        let text = format!("wanted {round}\n");
        let asset = put(&*store, text.clone()).await;
        mark(&*store, &asset.digest).await;
        let collectors = [
            collecting(&other, asset.digest, 0),
            collecting(&store, asset.digest, delay(round)),
            collecting(&other, asset.digest, delay(round + 1)),
        ];
        after(delay(round + 2)).await;
        put(&*store, text).await;
        for collector in collectors {
            collector.await.expect("it ends");
        }
        assert!(is_there(&*store, &asset.digest).await, "round {round}");
    }
}

async fn collect_dropped(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    for round in 0..fixture.rounds() {
        let text = format!("dropped {round}\n");
        let asset = put(&*store, text.clone()).await;
        mark(&*store, &asset.digest).await;
        {
            let mut collecting = collect(&*store, &asset.digest, Timestamp::MAX).boxed();
            for _ in 0..=round * 37 % 1000 {
                if (&mut collecting).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        put(&*store, text).await;
        assert!(is_there(&*store, &asset.digest).await, "round {round}");
    }
}
