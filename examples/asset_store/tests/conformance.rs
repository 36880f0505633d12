//! The cases that every store has to pass.

use std::sync::Arc;

use asset_store::Shelf;
use async_trait::async_trait;
use mcp_jupyter_core::assets::AssetStore;
use mcp_jupyter_core::assets::conformance::{Fixture, cases};
use mcp_jupyter_core::model::Digest;

#[derive(Debug)]
struct OneShelf(Shelf);

#[async_trait]
impl Fixture for OneShelf {
    async fn store(&self) -> Arc<dyn AssetStore> {
        Arc::new(self.0.clone())
    }

    async fn again(&self) -> Arc<dyn AssetStore> {
        self.store().await
    }

    async fn plant(&self, _: &Digest) -> bool {
        // Nobody else reaches into the map.
        false
    }

    async fn is_planted(&self) -> bool {
        unreachable!("nothing is ever planted")
    }
}

#[test]
fn a_shelf_does_what_every_store_must() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .expect("a runtime can be made");
    for case in cases() {
        // Names the case that fails: a panic has no more to say than what was wrong.
        println!("{case:?}");
        runtime.block_on(case.run(&OneShelf(Shelf::new())));
    }
}
