//! What searching and reading 100 MB of text in a folder costs.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_jupyter_core::assets::reading::{AssetReader, LineLimits, LineRange, Pattern, Search};
use mcp_jupyter_core::assets::{AssetMetadata, AssetStoreExt, MimeType, ObjectAssets};
use tokio::runtime::{Builder, Runtime};

const SIZE: usize = 100 << 20;

/// Lines of a log, of which one in 100,000 tells of an error.
fn log() -> Vec<u8> {
    let mut text = Vec::with_capacity(SIZE + 100);
    for number in 0_u64.. {
        if text.len() >= SIZE {
            break;
        }
        let level = if number % 100_000 == 99_999 { "ERROR" } else { "info" };
        let line = format!(
            "2026-01-01T00:00:00 {level} step={number} loss=0.{:06}\n",
            number % 999_983
        );
        text.extend_from_slice(line.as_bytes());
    }
    text
}

fn assets(criterion: &mut Criterion) {
    let runtime: Runtime = Builder::new_current_thread().build().expect("nothing else runs");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let store = ObjectAssets::directory(folder.path()).expect("the folder is new");
    let asset: AssetMetadata = runtime
        .block_on(store.put_bytes(log().into(), MimeType::plain()))
        .expect("the folder is writable");
    let reader = AssetReader::new(Arc::new(store));
    let mut group = criterion.benchmark_group("100 MB of text");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(asset.length));
    for (name, pattern, ignore_case) in [
        ("literal", Pattern::Literal("ERROR".to_owned()), false),
        ("literal in any case", Pattern::Literal("error".to_owned()), true),
        ("regex", Pattern::Regex(r"ERROR.*loss=0\.\d+$".to_owned()), false),
    ] {
        let mut search = Search::new(pattern);
        search.ignore_case = ignore_case;
        group.bench_function(format!("search, {name}"), |bencher| {
            bencher.iter(|| {
                let found = runtime.block_on(reader.search(&asset.digest, &search));
                assert!(found.expect("the asset is there").matches > 10);
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("20 lines of 100 MB");
    for (name, range) in [
        ("middle", LineRange::between(1_000_000, 1_000_019)),
        ("end", LineRange::last(20)),
    ] {
        let range = range.expect("it is a range");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                runtime
                    .block_on(reader.lines(&asset.digest, range, LineLimits::default()))
                    .expect("there are as many lines")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, assets);
criterion_main!(benches);
