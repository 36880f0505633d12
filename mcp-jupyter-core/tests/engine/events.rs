//! What the stream of events promises, whatever the notebook does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::{CellOutcome, Engine, FinishedRun, OnError, RunEvent, RunOutcome, Summary};
use mcp_jupyter_core::kernel::memory::MemoryProvisioner;
use mcp_jupyter_core::kernel::{Kernel, KernelError, KernelProvisioner, KernelSpec, LaunchRequest};
use mcp_jupyter_core::model::{CellId, Json};
use proptest::prelude::*;

use crate::scene::{describe, names, outcomes, request, run, run_cells, shown};

#[derive(Clone, Debug)]
struct RandomCell {
    source: String,
    tag: Option<&'static str>,
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z]{0,4}".prop_map(|text| format!("print {text}")),
        2 => Just("eprint oh".to_owned()),
        2 => (0..3, "[a-z]{1,3}").prop_map(|(id, text)| format!("display d{id} {text}")),
        2 => (0..3, "[a-z]{1,3}").prop_map(|(id, text)| format!("update d{id} {text}")),
        1 => Just("clear".to_owned()),
        1 => Just("clear wait".to_owned()),
        1 => Just("x = 1".to_owned()),
        1 => Just("x".to_owned()),
        1 => Just("sleep 0.5".to_owned()),
        1 => Just("raise ValueError bad".to_owned()),
        1 => Just("input name? ".to_owned()),
        1 => Just("exit 3".to_owned()),
        1 => Just("hang".to_owned()),
        1 => Just("repeat 3 print again".to_owned()),
    ]
}

fn cells() -> impl Strategy<Value = Vec<RandomCell>> {
    let tag = prop_oneof![4 => Just(None), 1 => Just(Some("raises-exception")), 1 => Just(Some("skip-execution"))];
    let source = prop::collection::vec(line(), 0..6).prop_map(|lines| lines.join("\n"));
    prop::collection::vec((source, tag).prop_map(|(source, tag)| RandomCell { source, tag }), 0..6)
}

fn on_error() -> impl Strategy<Value = OnError> {
    prop_oneof![
        Just(OnError::Stop),
        Just(OnError::Continue),
        Just(OnError::ContinueIndependent)
    ]
}

fn run_random(cells: &[RandomCell], on_error: OnError) -> (Vec<RunEvent>, FinishedRun) {
    let provisioner = MemoryProvisioner::new();
    let sources: Vec<&str> = cells.iter().map(|cell| cell.source.as_str()).collect();
    let mut request = request(&provisioner, &sources);
    for (cell, random) in request.notebook.cells_mut().iter_mut().zip(cells) {
        random.tag.into_iter().for_each(|tag| cell.add_tag(tag));
    }
    request.on_error = on_error;
    request.cell_timeout = Some(Duration::from_secs(60));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(&provisioner, request))
}

fn check_order(events: &[RunEvent]) {
    let names = names(events);
    assert_eq!(names.first().map(String::as_str), Some("run_started"), "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("run_finished"), "{names:?}");
    for once in ["run_started", "run_finished"] {
        assert_eq!(names.iter().filter(|name| *name == once).count(), 1, "{names:?}");
    }
    let mut open: Option<CellId> = None;
    for event in events {
        match event {
            RunEvent::CellStarted { cell, .. } => assert_eq!(open.replace(cell.id.clone()), None),
            RunEvent::CellFinished { cell, .. } => assert_eq!(open.take().as_ref(), Some(&cell.id)),
            RunEvent::Output { cell, .. } | RunEvent::OutputCleared { cell } => {
                assert_eq!(open.as_ref(), Some(&cell.id));
            }
            _ => {}
        }
    }
    assert_eq!(open, None);
}

/// The outputs that a reader of the events would show; those that were updated are only counted.
fn outputs_of(events: &[RunEvent]) -> HashMap<CellId, Vec<Option<String>>> {
    let mut cells: HashMap<CellId, Vec<Json>> = HashMap::new();
    let mut updated: Vec<(CellId, usize)> = Vec::new();
    for event in events {
        match event {
            RunEvent::Output { cell, output } => {
                append(cells.entry(cell.id.clone()).or_default(), output.clone().into_json());
            }
            RunEvent::OutputCleared { cell } => {
                cells.entry(cell.id.clone()).or_default().clear();
                updated.retain(|(id, _)| *id != cell.id);
            }
            RunEvent::OutputUpdated { cell, output } => updated.push((cell.id.clone(), *output)),
            _ => {}
        }
    }
    let visible =
        |id: &CellId, place: usize, output: &Json| (!updated.contains(&(id.clone(), place))).then(|| describe(output));
    cells
        .into_iter()
        .map(|(id, outputs)| {
            let outputs = outputs
                .iter()
                .enumerate()
                .map(|(place, output)| visible(&id, place, output))
                .collect();
            (id, outputs)
        })
        .collect()
}

fn append(outputs: &mut Vec<Json>, output: Json) {
    let name = |output: &Json| output.get("name").cloned();
    if let Some(last) = outputs.last_mut()
        && name(last).is_some()
        && name(last) == name(&output)
        && let (Some(Json::String(text)), Some(Json::String(more))) =
            (last.as_object_mut().unwrap().get_mut("text"), output.get("text"))
    {
        return text.append(more.clone());
    }
    outputs.push(output);
}

fn check_outputs(events: &[RunEvent], finished: &FinishedRun) {
    let told = outputs_of(events);
    for (index, cell) in finished.notebook.cells().iter().enumerate() {
        let saved = shown(finished, index);
        let told = told.get(cell.id()).cloned().unwrap_or_default();
        assert_eq!(told.len(), saved.len(), "cell {index}: {told:?} {saved:?}");
        for (told, saved) in told.iter().zip(&saved) {
            assert!(
                told.as_ref().is_none_or(|told| told == saved),
                "cell {index}: {told:?} {saved}"
            );
        }
    }
}

fn check_summary(events: &[RunEvent], finished: &FinishedRun) {
    let log: Vec<String> = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    let mut replayed = Summary::default();
    for line in &log {
        replayed.apply(&serde_json::from_str(line).unwrap());
    }
    assert_eq!(replayed, finished.summary);
    let executed = finished.summary.cells.len();
    if finished.summary.is_ok() {
        assert_eq!(executed, finished.summary.planned);
        assert!(finished.summary.cells.iter().all(|cell| cell.accepted));
    } else {
        assert!(executed <= finished.summary.planned);
        assert!(finished.summary.failure().is_some(), "{:?}", finished.summary);
    }
}

fn check_counts(finished: &FinishedRun) {
    let cells = finished.notebook.cells().iter();
    let counts: Vec<i64> = cells
        .filter_map(mcp_jupyter_core::session::notebook::Cell::execution_count)
        .collect();
    let expected = 1..=i64::try_from(finished.summary.cells.len()).unwrap();
    assert_eq!(counts, expected.collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_for_any_notebook(cells in cells(), on_error in on_error()) {
        let (events, finished) = run_random(&cells, on_error);
        check_order(&events);
        check_outputs(&events, &finished);
        check_summary(&events, &finished);
        check_counts(&finished);
    }

    #[test]
    fn the_same_run_twice_leaves_the_same_notebook(cells in cells()) {
        let bytes = || {
            let mut notebook = (*run_random(&cells, OnError::Stop).1.notebook).clone();
            notebook.cells_mut().iter_mut().for_each(|cell| drop(cell.metadata_mut().shift_remove("execution")));
            notebook.to_bytes()
        };
        prop_assert_eq!(bytes(), bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_tells_what_happens_in_order() {
    let (events, finished) = run_cells(&["print one", "", "x = 2\nx"]).await;
    let expected = [
        "run_started",
        "cell_skipped",
        "kernel_started",
        "cell_started",
        "output",
        "cell_finished",
        "cell_started",
        "output",
        "cell_finished",
        "run_finished",
    ];
    assert_eq!(names(&events), expected);
    assert_eq!(outcomes(&finished), [&CellOutcome::Ok, &CellOutcome::Ok]);
    assert_eq!(finished.summary.outcome, Some(RunOutcome::Ok));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_what_it_missed_and_the_notebook_has_it() {
    let provisioner = MemoryProvisioner::new();
    let request = request(&provisioner, &["repeat 10000 print x"]);
    let mut run = Engine::new(Arc::new(provisioner)).run(request).unwrap();
    let RunEvent::RunStarted { .. } = run.next().await.unwrap() else {
        panic!("the run starts first")
    };
    // Time passes only when the run has nothing left to do.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events: Vec<RunEvent> = run.by_ref().collect().await;
    let finished = run.finish().await;
    assert_eq!(shown(&finished, 0), [format!("stdout: {}", "x\n".repeat(10_000))]);
    let delivered = events
        .iter()
        .filter(|event| matches!(event, RunEvent::Output { .. }))
        .count();
    let missed = events.iter().map(|event| match event {
        RunEvent::Lagged { missed } => *missed,
        _ => 0,
    });
    assert_eq!(delivered + missed.sum::<usize>(), 10_000);
    assert!(delivered < 10_000, "nothing was missed");
    assert_eq!(events.last().map(crate::scene::name).as_deref(), Some("run_finished"));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_reader_is_bounded() {
    let provisioner = MemoryProvisioner::new();
    let request = request(
        &provisioner,
        &["display d x\nrepeat 50000 update d y", "repeat 50000 clear"],
    );
    let mut run = Engine::new(Arc::new(provisioner)).run(request).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = run.by_ref().count().await;
    assert!(events < 10_000, "{events} events waited");
    assert!(run.finish().await.summary.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_has_to_read() {
    let provisioner = MemoryProvisioner::new();
    let request = request(&provisioner, &["repeat 100 print x", "x = 1\nx"]);
    let finished = Engine::new(Arc::new(provisioner)).run(request).unwrap().finish().await;
    assert!(finished.summary.is_ok());
    assert_eq!(shown(&finished, 1), ["result: 1"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_run_ends_its_kernel() {
    let provisioner = MemoryProvisioner::new();
    let request = request(&provisioner, &["hang"]);
    let mut run = Engine::new(Arc::new(provisioner.clone())).run(request).unwrap();
    while !matches!(run.next().await.unwrap(), RunEvent::CellStarted { .. }) {}
    assert_eq!(provisioner.running(), 1);
    drop(run);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(provisioner.running(), 0);
}

/// Breaks its promise to give errors.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

#[async_trait::async_trait]
impl KernelProvisioner for Broken {
    async fn kernelspecs(&self) -> Result<Vec<KernelSpec>, KernelError> {
        Ok(Vec::new())
    }

    async fn launch(&self, _: LaunchRequest) -> Result<Arc<dyn Kernel>, KernelError> {
        panic!("broken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_ends_its_stream() {
    let request = request(&MemoryProvisioner::new(), &["print x"]);
    let mut run = Engine::new(Arc::new(Broken)).run(request).unwrap();
    assert_eq!(run.by_ref().count().await, 1);
    let finished = tokio::spawn(run.finish()).await;
    assert!(finished.unwrap_err().is_panic());
}
