//! What masking costs: ordinary text, with and without values to look for, whole and in chunks.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_jupyter_core::redaction::Redactor;

const LINE: &str =
    "2026-01-05 12:00:01,250 INFO trainer: epoch 12/50 step 4096 loss=0.01234 https://example.org/runs/ab12?x=1\n";

fn redaction(criterion: &mut Criterion) {
    let log = LINE.repeat((8 << 20) / LINE.len());
    let base64 = "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAYAAAA10dzkAAAAOXRFWHRTb2Z0d2FyZQ+/".repeat(100_000);
    let secrets = "tok: ghp_a1Bz9Kq7Xw3Lm5Td2a1Bz9Kq7Xw3Lm5Td2a1Bz at postgres://ada:lovelace@db/x\n".repeat(100_000);
    let plain = Redactor::new();
    let values = (0..40).fold(Redactor::new(), |redactor, n| {
        redactor.with_value(format!("{n}-s3cr3t-{n:x}-value"))
    });

    let mut group = criterion.benchmark_group("redaction");
    group.sample_size(20);
    for (name, text) in [("log", &log), ("base64", &base64), ("secrets", &secrets)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        for (kind, redactor) in [("forms", &plain), ("forms and 40 values", &values)] {
            group.bench_function(format!("{name}, {kind}"), |bencher| {
                bencher.iter(|| redactor.redact(black_box(text)).len());
            });
        }
        group.bench_function(format!("{name}, in chunks of 4 KiB"), |bencher| {
            bencher.iter(|| {
                let mut stream = values.stream();
                let chunks = text.as_bytes().chunks(4096);
                chunks.map(|chunk| stream.push(chunk).len()).sum::<usize>() + stream.finish().len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, redaction);
criterion_main!(benches);
