//! What every journal must do, as data: [`cases`] lists named cases, each of which gets a journal from a [`Fixture`].

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::future::BoxFuture;
use jiff::Timestamp;

use super::{Change, Checkpoint, Entry, Journal, Logged, Unfinished};
use crate::model::{CellRef, RunId, SessionId};
use crate::scheduler::{
    CodeCell, Document, KernelEpoch, Live, Mode, Observation, OnKernelDeath, Outcome, Plan, PlanRequest, PlannedCell,
    Planner, Priority, RunEnd, RunRecord, SkipReason, SkippedCell, StaleKind, StaleReason, StartRequest, Target,
};

/// What a case may take at most: this ends only those that hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backend under test.
#[async_trait]
pub trait Fixture: Debug + Send + Sync + 'static {
    /// A journal that knows nothing. A case asks once.
    async fn journal(&self) -> Arc<dyn Journal>;

    /// What the journal has kept, as another process sees it after the first one has crashed. The case has dropped the
    /// first one.
    async fn reopen(&self) -> Arc<dyn Journal>;
}

/// One thing that every backend must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, unique and fit for the name of a test.
    pub name: &'static str,
    /// What the backend must do, as a sentence.
    pub description: &'static str,
    run: for<'a> fn(&'a dyn Fixture) -> BoxFuture<'a, ()>,
}

impl Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.description)
    }
}

impl Case {
    /// Runs the case.
    ///
    /// # Panics
    /// Where the backend does not do what the case is about.
    pub async fn run(&self, fixture: &dyn Fixture) {
        let done = tokio::time::timeout(PATIENCE, (self.run)(fixture)).await;
        assert!(done.is_ok(), "{} hangs ({})", self.name, self.description);
    }
}

macro_rules! list_cases {
    ($($name:ident: $description:literal,)*) => {
        /// All cases.
        pub fn cases() -> Vec<Case> {
            vec![$(Case {
                name: stringify!($name),
                description: $description,
                run: |fixture| Box::pin($name(fixture)),
            }),*]
        }
    };
}

list_cases! {
    unknown: "a session or a run that was never heard of is not there, and can be forgotten",
    changes_kept: "changes come back in their order, whatever is in them",
    checkpoint_replaces: "a checkpoint stands for the changes before it",
    checkpoint_without_document: "a checkpoint without cells keeps those of the one before",
    runs_kept: "runs come back with all that is known of them, oldest first",
    run_found: "a run is found with its session",
    unfinished_listed: "the runs without an end are listed, with their cells in flight",
    runs_dropped: "old runs are dropped, those without an end never",
    sessions_apart: "sessions do not mix",
    forgotten: "of a session that is forgotten nothing is left",
    in_parallel: "appending at the same time loses nothing",
    kept_after_crash: "all this holds after a crash",
}

fn session() -> SessionId {
    "s \"1\" ü\n".into()
}

fn cell(id: &str, index: usize) -> CellRef {
    CellRef { id: id.into(), index }
}

fn document(source: &str) -> Document {
    Document {
        language: "python".to_owned(),
        cells: vec![CodeCell {
            id: "a".into(),
            index: 3,
            source: source.into(),
            tags: vec!["t".to_owned()],
        }],
    }
}

/// What a kernel holds that has executed the document.
fn live(source: &str) -> Live {
    let mut planner = Planner::new(Live::default());
    planner.sync(document(source));
    planner.kernel_epoch(KernelEpoch(2));
    planner.executed(&"a".into(), &Outcome::Ok, None);
    planner.live()
}

fn raised() -> Outcome {
    Outcome::Error {
        ename: "E".to_owned(),
        evalue: "'\"\\\u{0}\u{1f600}".to_owned(),
    }
}

fn changes() -> Vec<Change> {
    let observation = Observation {
        bound: vec!["x".to_owned()],
        digests: [("x".to_owned(), "d".to_owned())].into(),
        ..Observation::default()
    };
    vec![
        Change::Synced(document("x = 1\n\u{0}'")),
        Change::Epoch(KernelEpoch(u64::MAX)),
        Change::Begun {
            cell: "a".into(),
            delete_before: vec!["y".to_owned()],
        },
        Change::Ended {
            outcome: raised(),
            observation: Some(observation),
        },
        Change::Deleted(vec!["z".to_owned()]),
    ]
}

async fn append(journal: &dyn Journal, session: &SessionId, entries: impl IntoIterator<Item = Entry>) {
    let entries: Vec<Entry> = entries.into_iter().collect();
    let appended = journal.append(session, entries.into()).await;
    appended.expect("a journal can be appended to");
}

async fn load(journal: &dyn Journal, session: &SessionId) -> Option<Logged> {
    let loaded = journal.load(session).await;
    loaded.expect("a journal can be read")
}

async fn runs(journal: &dyn Journal, session: &SessionId) -> Vec<RunRecord> {
    let runs = journal.runs(session).await;
    runs.expect("a journal can be read")
}

async fn run(journal: &dyn Journal, run: &str) -> Option<(SessionId, RunRecord)> {
    let found = journal.run(&run.into()).await;
    found.expect("a journal can be read")
}

fn request() -> StartRequest {
    StartRequest {
        plan: PlanRequest {
            mode: Mode::Incremental,
            targets: vec![Target::Range("a".into(), "b".into()), Target::Tag("t".to_owned())],
            excluded: ["c".into()].into(),
            allow_expensive: true,
        },
        on_kernel_death: OnKernelDeath::Restart(3),
        priority: Priority::Interactive,
        deadline: Some(Duration::from_millis(1500)),
        ..StartRequest::default()
    }
}

fn plan() -> Plan {
    let reason = StaleReason {
        kind: StaleKind::Upstream,
        via: Some("b".into()),
        names: vec!["x".to_owned()],
    };
    Plan {
        cells: vec![PlannedCell {
            cell: cell("a", 0),
            reason,
            delete_before: vec!["y".to_owned()],
        }],
        skipped: vec![SkippedCell {
            cell: cell("b", 1),
            reason: SkipReason::Blocked,
            via: None,
        }],
        warnings: vec!["w".to_owned()],
        ..Plan::default()
    }
}

fn started(run: &str) -> Entry {
    Entry::Started {
        run_id: run.into(),
        request: request(),
        plan: plan(),
        due: Some(due()),
    }
}

fn due() -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_123_456).expect("it is a time")
}

fn stopping(run: &str) -> Entry {
    Entry::Stopping {
        run_id: run.into(),
        end: RunEnd::Cancelled,
    }
}

fn dispatched(run: &str, id: &str, attempt: u32) -> Entry {
    Entry::Dispatched {
        run_id: run.into(),
        cell: cell(id, 7),
        attempt,
    }
}

fn reported(run: &str, id: &str, attempt: u32, outcome: Outcome) -> Entry {
    Entry::Reported {
        run_id: run.into(),
        cell: id.into(),
        attempt,
        outcome,
    }
}

fn ended(run: &str, end: RunEnd) -> Entry {
    Entry::Ended {
        run_id: run.into(),
        end,
    }
}

/// A run with two attempts at a cell, and one cell in flight.
fn half_a_run(run: &str) -> Vec<Entry> {
    vec![
        started(run),
        dispatched(run, "b", 1),
        reported(run, "b", 1, raised()),
        dispatched(run, "b", 2),
        reported(run, "b", 2, Outcome::Ok),
        dispatched(run, "a", 1),
        stopping(run),
    ]
}

fn record(run: &str, end: Option<RunEnd>) -> RunRecord {
    RunRecord {
        run_id: run.into(),
        request: request(),
        plan: plan(),
        executions: vec![
            (cell("b", 7), 1, Some(raised())),
            (cell("b", 7), 2, Some(Outcome::Ok)),
            (cell("a", 7), 1, None),
        ],
        due: Some(due()),
        stopping: Some(RunEnd::Cancelled),
        end,
    }
}

async fn unknown(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    assert_eq!(load(&*journal, &session()).await, None);
    assert!(runs(&*journal, &session()).await.is_empty());
    assert_eq!(run(&*journal, "r").await, None);
    let forgotten = journal.forget(&session()).await;
    forgotten.expect("forgetting what is not known is no error");
}

async fn changes_kept(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    for _ in 0..2 {
        append(&*journal, &session(), changes().into_iter().map(Entry::Changed)).await;
    }
    let logged = load(&*journal, &session()).await.expect("the session has begun");
    assert_eq!(logged.changes, [changes(), changes()].concat());
    assert_eq!((logged.live, logged.document), (Live::default(), Document::default()));
}

async fn checkpoint_replaces(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    let checkpoint = Entry::Checkpoint(Checkpoint {
        live: live("x = 1"),
        document: Some(document("x = 1")),
    });
    let before = changes().into_iter().map(Entry::Changed);
    let after = Entry::Changed(Change::Epoch(KernelEpoch(5)));
    append(&*journal, &session(), before.chain([checkpoint, after])).await;
    let logged = load(&*journal, &session()).await.expect("the session has begun");
    let expected = Logged {
        live: live("x = 1"),
        document: document("x = 1"),
        changes: vec![Change::Epoch(KernelEpoch(5))],
        unfinished: Vec::new(),
    };
    assert_eq!(logged, expected);
}

async fn checkpoint_without_document(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    let first = Checkpoint {
        live: Live::default(),
        document: Some(document("x = 1")),
    };
    let second = Checkpoint {
        live: live("x = 1"),
        document: None,
    };
    append(&*journal, &session(), [first, second].map(Entry::Checkpoint)).await;
    let logged = load(&*journal, &session()).await.expect("the session has begun");
    assert_eq!((logged.live, logged.document), (live("x = 1"), document("x = 1")));
}

async fn runs_kept(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    let failed = RunEnd::Failed { cell: cell("b", 7) };
    append(&*journal, &session(), half_a_run("2")).await;
    append(&*journal, &session(), half_a_run("1")).await;
    append(&*journal, &session(), [ended("2", failed.clone())]).await;
    let expected = [record("2", Some(failed)), record("1", None)];
    assert_eq!(runs(&*journal, &session()).await, expected);
}

async fn run_found(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    append(&*journal, &"other".into(), [started("x")]).await;
    append(&*journal, &session(), half_a_run("r")).await;
    assert_eq!(run(&*journal, "r").await, Some((session(), record("r", None))));
}

async fn unfinished_listed(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    append(&*journal, &session(), half_a_run("1")).await;
    append(
        &*journal,
        &session(),
        [started("2"), started("3"), ended("2", RunEnd::Completed)],
    )
    .await;
    let logged = load(&*journal, &session()).await.expect("the session has begun");
    let unfinished = |run: &str, in_flight| Unfinished {
        run_id: run.into(),
        in_flight,
    };
    assert_eq!(
        logged.unfinished,
        [unfinished("1", vec![("a".into(), 1)]), unfinished("3", Vec::new())]
    );
}

async fn runs_dropped(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    append(&*journal, &session(), [started("open")]).await;
    for number in 0..super::KEPT_RUNS + 5 {
        let run = number.to_string();
        append(&*journal, &session(), [started(&run), ended(&run, RunEnd::Completed)]).await;
    }
    let kept = runs(&*journal, &session()).await;
    assert_eq!(kept.len(), super::KEPT_RUNS + 1);
    assert_eq!(kept[0].run_id, RunId::from("open"));
    assert_eq!(kept[1].run_id, RunId::from("5"));
    assert_eq!(run(&*journal, "4").await, None);
}

async fn sessions_apart(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    let other: SessionId = "other".into();
    append(&*journal, &session(), half_a_run("1")).await;
    append(&*journal, &other, changes().into_iter().map(Entry::Changed)).await;
    let checkpoint = Checkpoint {
        live: live("y = 2"),
        document: None,
    };
    append(&*journal, &session(), [Entry::Checkpoint(checkpoint)]).await;
    let logged = load(&*journal, &other).await.expect("the session has begun");
    assert_eq!((logged.changes, logged.unfinished), (changes(), Vec::new()));
    assert!(runs(&*journal, &other).await.is_empty());
}

async fn forgotten(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    append(&*journal, &session(), half_a_run("1")).await;
    append(&*journal, &session(), changes().into_iter().map(Entry::Changed)).await;
    append(&*journal, &"other".into(), [started("2")]).await;
    let forgotten = journal.forget(&session()).await;
    forgotten.expect("a session can be forgotten");
    assert_eq!(load(&*journal, &session()).await, None);
    assert!(runs(&*journal, &session()).await.is_empty());
    assert_eq!(run(&*journal, "1").await, None);
    assert!(run(&*journal, "2").await.is_some());
    append(&*journal, &session(), [started("3")]).await;
    let logged = load(&*journal, &session()).await.expect("the session has begun anew");
    assert!(logged.changes.is_empty());
    assert_eq!(logged.unfinished.len(), 1);
}

async fn in_parallel(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    let names: Vec<SessionId> = (0..8).map(|number| number.to_string().into()).collect();
    let appends = names.iter().map(|session| async {
        for number in 0..20 {
            let change = Entry::Changed(Change::Epoch(KernelEpoch(number)));
            append(&*journal, session, [change]).await;
        }
    });
    futures_util::future::join_all(appends).await;
    for session in &names {
        let logged = load(&*journal, session).await.expect("the session has begun");
        let expected: Vec<Change> = (0..20).map(|number| Change::Epoch(KernelEpoch(number))).collect();
        assert_eq!(logged.changes, expected);
    }
}

async fn kept_after_crash(fixture: &dyn Fixture) {
    let journal = fixture.journal().await;
    let checkpoint = Checkpoint {
        live: live("x = 1"),
        document: Some(document("x = 1")),
    };
    append(&*journal, &session(), half_a_run("1")).await;
    append(&*journal, &session(), [Entry::Checkpoint(checkpoint)]).await;
    append(&*journal, &session(), changes().into_iter().map(Entry::Changed)).await;
    let before = (load(&*journal, &session()).await, runs(&*journal, &session()).await);
    drop(journal);
    let journal = fixture.reopen().await;
    let after = (load(&*journal, &session()).await, runs(&*journal, &session()).await);
    assert_eq!(before, after);
    append(&*journal, &session(), [ended("1", RunEnd::Lost)]).await;
    assert_eq!(runs(&*journal, &session()).await, [record("1", Some(RunEnd::Lost))]);
}
