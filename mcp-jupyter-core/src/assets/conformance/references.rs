//! Why assets stay.

use futures_util::future::join_all;

use super::fixture::{Fixture, all_references, assert_not_found, cell, pin, put, refer};
use super::list_cases;
use crate::assets::Reference;
use crate::model::Digest;

list_cases! {
    references_kept: "references come back sorted, whatever is in their names",
    reference_repeated: "a reference that is added twice is one, and one removal takes it away",
    reference_removed: "removing what is not there does nothing, and takes away nothing else",
    reference_to_nothing: "what is not there cannot be referred to, and nothing is noted",
    references_at_once: "references that are added at once are all kept",
    references_listed: "all references of all assets are listed",
}

fn tricky() -> Vec<Reference> {
    let long = "n".repeat(10_000);
    let names = [
        "",
        "/",
        "..",
        "../../etc/passwd",
        "a/b.ipynb",
        "a\\b.ipynb",
        "%2e%2e/x",
        "ü\u{1f600}\u{202e}.ipynb",
        "line\nend\0",
        "A.ipynb",
        "a.ipynb",
        &long,
    ];
    let mut all: Vec<Reference> = names.iter().flat_map(|name| [cell(name, "c-1_A"), pin(name)]).collect();
    all.extend(["", "..", "../x", "a/b", "C-1_a", "é", &long].map(|id| cell("a.ipynb", id)));
    all.sort_unstable();
    all
}

async fn references_kept(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "needed").await;
    for reference in tricky().iter().rev() {
        refer(&*store, &asset.digest, reference).await;
    }
    let other = fixture.again().await;
    let kept = other.references(&asset.digest).await.expect("they can be read");
    assert_eq!(kept, tricky());
    for reference in tricky() {
        let removed = other.remove_reference(&asset.digest, &reference).await;
        removed.expect("it can be removed");
    }
    assert!(all_references(&*store).await.is_empty());
}

async fn reference_repeated(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let asset = put(&*store, "needed").await;
    let reference = cell("a.ipynb", "c");
    for _ in 0..2 {
        refer(&*store, &asset.digest, &reference).await;
        let kept = store.references(&asset.digest).await.expect("they can be read");
        assert_eq!(kept, std::slice::from_ref(&reference));
    }
    let removed = store.remove_reference(&asset.digest, &reference).await;
    removed.expect("it can be removed");
    let kept = store.references(&asset.digest).await.expect("they can be read");
    assert!(kept.is_empty());
}

async fn reference_removed(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let (asset, other) = (put(&*store, "one").await, put(&*store, "two").await);
    refer(&*store, &asset.digest, &pin("kept")).await;
    refer(&*store, &other.digest, &cell("a.ipynb", "c")).await;
    for (digest, reference) in [
        (asset.digest, cell("a.ipynb", "c")),
        (other.digest, pin("kept")),
        (Digest::of(b"never put"), pin("kept")),
    ] {
        let removed = store.remove_reference(&digest, &reference).await;
        removed.expect("removing what is not there does nothing");
    }
    let mut expected = [(asset.digest, pin("kept")), (other.digest, cell("a.ipynb", "c"))];
    expected.sort_unstable();
    assert_eq!(all_references(&*store).await, expected);
}

async fn reference_to_nothing(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let digest = Digest::of(b"never put");
    for reference in [cell("a.ipynb", "c"), pin("p")] {
        let added = store.add_reference(&digest, &reference).await;
        assert_not_found(&added.expect_err("there is nothing to refer to"), &digest);
    }
    assert!(all_references(&*store).await.is_empty());
    let kept = store.references(&digest).await.expect("there are none");
    assert!(kept.is_empty());
}

async fn references_at_once(fixture: &dyn Fixture) {
    let (store, other) = (fixture.store().await, fixture.again().await);
    let asset = put(&*store, "needed").await;
    let mut expected: Vec<Reference> = (0..20).map(|number| cell("a.ipynb", &format!("c{number}"))).collect();
    expected.sort_unstable();
    let adding = expected.iter().flat_map(|reference| {
        // Each by both.
        [&store, &other].map(|store| refer(&**store, &asset.digest, reference))
    });
    join_all(adding).await;
    let kept = store.references(&asset.digest).await.expect("they can be read");
    assert_eq!(kept, expected);
}

async fn references_listed(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let mut expected = Vec::new();
    for number in 0..5 {
        let asset = put(&*store, format!("asset {number}")).await;
        for reference in [cell("a.ipynb", "c"), cell("b.ipynb", "c"), pin("p")] {
            refer(&*store, &asset.digest, &reference).await;
            expected.push((asset.digest, reference));
        }
    }
    expected.sort_unstable();
    assert_eq!(all_references(&*fixture.again().await).await, expected);
}
