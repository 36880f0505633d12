//! What planning costs: from nothing, and after one edit.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mcp_jupyter_benches::{Shape, sources};
use mcp_jupyter_core::scheduler::{CodeCell, Document, Outcome, PlanRequest, Planner};

const CELLS: usize = 10_000;

fn document(sources: &[String]) -> Document {
    let cells = sources.iter().enumerate().map(|(index, source)| CodeCell {
        id: format!("cell-{index}").as_str().into(),
        index,
        source: source.as_str().into(),
        tags: Vec::new(),
    });
    Document {
        language: "python".to_owned(),
        cells: cells.collect(),
    }
}

fn planned(document: Document) -> Planner {
    let mut planner = Planner::default();
    planner.sync(document);
    black_box(
        planner
            .plan(&PlanRequest::default())
            .expect("nothing is asked for that is not there"),
    );
    planner
}

/// A planner whose cells were all executed.
fn executed(document: &Document) -> Planner {
    let mut planner = planned(document.clone());
    for cell in &document.cells {
        planner.executed(&cell.id, &Outcome::Ok, None);
    }
    planner
}

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan 10,000 cells");
    group.sample_size(20);
    for shape in [Shape::Realistic, Shape::Chain, Shape::Star] {
        let before = sources(shape, CELLS);
        let old = document(&before);
        group.bench_function(format!("cold, {shape:?}"), |bencher| {
            bencher.iter_batched(|| old.clone(), planned, BatchSize::LargeInput);
        });
        let mut after = before;
        let middle = CELLS / 2;
        after[middle].push_str("\nedited = 1");
        let new = document(&after);
        let mut planner = executed(&old);
        group.bench_function(format!("after an edit, {shape:?}"), |bencher| {
            let mut documents = [new.clone(), old.clone()].into_iter().cycle();
            bencher.iter_batched(
                || documents.next().expect("it cycles"),
                |document| {
                    planner.sync(document);
                    black_box(
                        planner
                            .plan(&PlanRequest::default())
                            .expect("nothing is asked for that is not there"),
                    )
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
