//! What one message costs: signing, checking, decoding.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcp_jupyter_benches::stream_message;
use mcp_jupyter_core::kernel::Channel;
use mcp_jupyter_core::kernel::local::Codec;

const KEY: &[u8] = b"2b5e9f4c-6a5d-4c0e-9d5f-0d3c5a3f6a4e";

fn wire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    for (name, size) in [("line", 20), ("64 KiB", 64 << 10), ("8 MiB", 8 << 20)] {
        let message = stream_message(&"0123456789abcdef\n".repeat(size / 17 + 1));
        let frames: Vec<Bytes> = Codec::new(KEY).encode(&message);
        group.throughput(Throughput::Bytes(frames.iter().map(|frame| frame.len() as u64).sum()));
        group.bench_function(format!("encode {name}"), |bencher| {
            let codec = Codec::new(KEY);
            bencher.iter(|| codec.encode(black_box(&message)));
        });
        group.bench_function(format!("decode {name}"), |bencher| {
            // A codec refuses what it has seen, so every message has a codec of its own.
            bencher.iter_batched(
                || Codec::new(KEY),
                |codec| {
                    codec
                        .decode(Channel::Iopub, black_box(&frames))
                        .expect("it was encoded with the same key")
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
