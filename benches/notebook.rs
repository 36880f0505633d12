//! What reading and writing a notebook costs.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_jupyter_benches::notebook_document;
use mcp_jupyter_core::session::notebook::Notebook;

fn notebook(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("notebook");
    for cells in [100, 10_000] {
        let document = notebook_document(cells);
        let notebook = Notebook::parse(&document).expect("the generated document is a notebook");
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function(format!("parse {cells} cells"), |bencher| {
            bencher.iter(|| Notebook::parse(black_box(&document)));
        });
        group.bench_function(format!("write {cells} cells"), |bencher| {
            bencher.iter(|| black_box(&notebook).to_bytes());
        });
    }
    group.finish();
}

criterion_group!(benches, notebook);
criterion_main!(benches);
