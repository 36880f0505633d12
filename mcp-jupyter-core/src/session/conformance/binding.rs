//! Kernels and tokens.

use futures_util::future::join_all;

use super::fixture::{Fixture, Folder, assert_no_such, open, result};
use super::list_cases;
use crate::kernel::KernelSpec;
use crate::model::{Json, SessionId};
use crate::session::KernelBinding;
use crate::session::notebook::Durability;

list_cases! {
    bound: "a session keeps its kernel, and its epoch never falls",
    tokens: "every token is higher than those before, in every handle",
    tokens_at_once: "no token is given twice",
    unknown: "a session that is not there is named",
}

fn binding(epoch: u64) -> KernelBinding {
    KernelBinding {
        kernel_id: "k".into(),
        spec: KernelSpec {
            name: "python3".to_owned(),
            resource_dir: "/kernels/python3".into(),
            argv: vec!["python".to_owned(), "{connection_file}".to_owned()],
            display_name: "Python 3".to_owned(),
            language: "python".to_owned(),
            env: [("A".to_owned(), "b".to_owned())].into_iter().collect(),
            interrupt_mode: crate::kernel::InterruptMode::Message,
            metadata: [("debugger".to_owned(), Json::Bool(true))].into_iter().collect(),
        },
        epoch,
    }
}

async fn bound(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    for (kernel, epoch) in [
        (Some(binding(3)), 3),
        (None, 3),
        (Some(binding(2)), 3),
        (Some(binding(4)), 4),
    ] {
        store.bind(&id, kernel.clone()).await.expect("a kernel can be bound");
        let session = fixture.again().await.get(&id).await.expect("it is there");
        assert_eq!((session.kernel, session.epoch), (kernel, epoch));
    }
}

async fn tokens(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let id = open(&*store, &folder).await.id;
    for expected in 1..4 {
        let handle = fixture.again().await;
        assert_eq!(handle.next_token(&id).await.expect("it is there"), expected);
        assert_eq!(store.get(&id).await.expect("it is there").token, expected);
    }
}

async fn tokens_at_once(fixture: &dyn Fixture) {
    let folder = Folder::new();
    let store = fixture.store().await;
    let other = fixture.again().await;
    let id = open(&*store, &folder).await.id;
    let tokens = (0..40).map(|at| {
        if at % 2 == 0 {
            store.next_token(&id)
        } else {
            other.next_token(&id)
        }
    });
    let mut tokens: Vec<_> = join_all(tokens).await.into_iter().flatten().collect();
    tokens.sort_unstable();
    assert_eq!(tokens, (1..=40).collect::<Vec<_>>());
}

async fn unknown(fixture: &dyn Fixture) {
    let store = fixture.store().await;
    let id = SessionId::from("unheard of");
    assert_no_such(&store.get(&id).await.expect_err("it is not there"), &id);
    assert_no_such(&store.next_token(&id).await.expect_err("it is not there"), &id);
    assert_no_such(
        &store.bind(&id, Some(binding(1))).await.expect_err("it is not there"),
        &id,
    );
    let results = vec![result("a", "1", "one")];
    assert_no_such(&store.record(&id, results).await.expect_err("it is not there"), &id);
    let saved = store.save(&id, Durability::Process).await;
    assert_no_such(&saved.expect_err("it is not there"), &id);
}
