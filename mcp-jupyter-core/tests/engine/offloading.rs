//! Large outputs leave the notebook, and come back as they were.

use std::sync::Arc;

use futures_util::TryStreamExt;
use mcp_jupyter_core::assets::{AssetStore, AssetStoreExt, ObjectAssets, Reference};
use mcp_jupyter_core::engine::{METADATA_KEY, Offload, inline};
use mcp_jupyter_core::kernel::memory::{MemoryProvisioner, Reaction};
use mcp_jupyter_core::model::Json;
use mcp_jupyter_core::session::notebook::Notebook;
use proptest::prelude::*;

use crate::scene::{request, run};

fn kernel(reactions: &[Reaction]) -> MemoryProvisioner {
    MemoryProvisioner::new().with_response("cell", reactions.to_vec())
}

/// What a run leaves, with or without a store for what is too large.
async fn executed(provisioner: &MemoryProvisioner, offload: Option<Offload>) -> Notebook {
    let mut request = request(provisioner, &["cell", "cell"]);
    request.offload = offload;
    request.record_timing = false;
    let (_, finished) = run(provisioner, request).await;
    assert!(finished.summary.is_ok());
    Arc::unwrap_or_clone(finished.notebook)
}

fn text(output: &Json) -> String {
    let plain = output.get("data").and_then(|data| data.get("text/plain"));
    plain.unwrap().as_str().unwrap().into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_grows_in_small_steps_becomes_one_asset() {
    let steps: Vec<Reaction> = (0..100)
        .map(|step| Reaction::stdout(format!("line {step}\n")))
        .collect();
    let whole = (0..100).fold(String::new(), |whole, step| format!("{whole}line {step}\n"));
    let store = ObjectAssets::memory();
    let offload = Offload::new(Arc::new(store.clone())).with_threshold(300);
    let notebook = executed(&kernel(&steps), Some(offload)).await;
    let assets: Vec<_> = store.list().try_collect().await.unwrap();
    assert_eq!(assets.len(), 1);
    assert_eq!(store.bytes(&assets[0].digest, None).await.unwrap(), whole);
    assert_eq!((assets[0].lines, assets[0].mime.as_str()), (Some(100), "text/plain"));
    let output = &notebook.cells()[0].outputs()[0];
    assert!(output.get("metadata").unwrap().get(METADATA_KEY).is_some());
    let preview = text(output);
    assert!(
        preview.starts_with("line 0\n") && preview.ends_with("line 99\n"),
        "{preview}"
    );
    let said = format!(
        "60 of 100 lines (480 bytes) left out; all of it is {} in memory",
        assets[0].digest
    );
    assert!(preview.contains(&said), "{preview}");
    let references = store.references(&assets[0].digest).await.unwrap();
    let cells: Vec<String> = references.iter().map(Reference::to_string).collect();
    assert_eq!(cells.len(), 2, "{cells:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_small_stays() {
    let store = ObjectAssets::memory();
    let offload = Offload::new(Arc::new(store.clone()));
    let reactions = [Reaction::stdout("a".repeat(60_000)), Reaction::display("x")];
    let (plain, offloaded) = (
        executed(&kernel(&reactions), None).await,
        executed(&kernel(&reactions), Some(offload)).await,
    );
    assert_eq!(plain.cells(), offloaded.cells());
    assert!(store.list().try_collect::<Vec<_>>().await.unwrap().is_empty());
}

/// Stores over folders that cannot be written any more, or are none any more.
fn broken_stores(folder: &std::path::Path) -> [ObjectAssets; 2] {
    let (full, gone) = (folder.join("full"), folder.join("gone"));
    let stores = [&full, &gone].map(|folder| ObjectAssets::directory(folder).unwrap());
    std::fs::write(full.join("sha256"), "no folder").unwrap();
    std::fs::remove_dir_all(&gone).unwrap();
    std::fs::write(gone, "no folder").unwrap();
    stores
}

#[tokio::test]
async fn what_cannot_be_stored_stays_whole_and_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let reactions = [
        Reaction::stdout("a".repeat(1000)),
        Reaction::display(&"b".repeat(1000)),
        Reaction::stdout("c"),
    ];
    let provisioner = kernel(&reactions);
    let plain = executed(&provisioner, None).await;
    for store in broken_stores(folder.path()) {
        let mut request = request(&provisioner, &["cell", "cell"]);
        request.record_timing = false;
        request.offload = Some(Offload::new(Arc::new(store)).with_threshold(100));
        let (_, finished) = run(&provisioner, request).await;
        assert_eq!(finished.notebook.cells(), plain.cells());
        assert!(finished.summary.is_ok());
        let warnings = &finished.summary.warnings;
        assert!(
            warnings.len() == 4 && warnings[0].contains("stays in the notebook"),
            "{warnings:?}"
        );
    }
}

fn reaction() -> impl Strategy<Value = Reaction> {
    let size = prop_oneof![0..20_usize, 90..110_usize, 300..400_usize];
    let word =
        (size, "[a-zé\\n]{1,3}").prop_map(|(size, word)| word.repeat(size).chars().take(size).collect::<String>());
    prop_oneof![
        4 => word.clone().prop_map(Reaction::stdout),
        2 => word.clone().prop_map(Reaction::stderr),
        2 => word.clone().prop_map(|text| Reaction::display(&text)),
        1 => word.clone().prop_map(|text| Reaction::display_as("id", &text)),
        1 => word.prop_map(|text| Reaction::update_display("id", &text)),
        1 => any::<bool>().prop_map(|wait| Reaction::ClearOutput { wait }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever a cell does with its outputs, they come back as a plain run has them.
    #[test]
    fn inlining_undoes_offloading(reactions in prop::collection::vec(reaction(), 0..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let plain = executed(&kernel(&reactions), None).await;
            let store: Arc<dyn AssetStore> = Arc::new(ObjectAssets::memory());
            let offload = Offload::new(Arc::clone(&store)).with_threshold(100);
            let mut offloaded = executed(&kernel(&reactions), Some(offload.clone())).await;
            let mut later = plain.clone();
            offload.notebook(&mut later, "").await.unwrap();
            assert_eq!(later.cells(), offloaded.cells(), "offloading what a plain run has left is the same");
            inline(&mut offloaded, &*store).await.unwrap();
            assert_eq!(offloaded.cells(), plain.cells());
        });
    }
}
