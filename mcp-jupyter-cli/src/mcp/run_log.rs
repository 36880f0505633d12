//! What a run has done so far, for whoever asks: bounded, in the order in which it happened.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use mcp_jupyter_core::engine::{
    CellOutcome, CellRef, EscalationStep, InputSource, RunControl, RunEvent, RunOutcome, StopCause, Summary,
};
use mcp_jupyter_core::model::{Json, MimeBundle, Output, RunId};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// How much of a run's output is kept here, in bytes; the notebook and the asset store have all of it.
const LIMIT: usize = 2 << 20;

/// What an item takes beside its output, in bytes.
const ITEM: usize = 128;

/// How the id of scratch code begins.
pub(super) const SCRATCH: &str = "scratch-";

/// How a warning about it begins.
const SCRATCH_NOTE: &str = "cell scratch-";

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// With its place among the cell's outputs in the notebook, where printed text is joined.
    Output(CellRef, Json, usize),
    Cleared,
    Finished {
        cell: CellRef,
        outcome: CellOutcome,
        count: i64,
        seconds: f64,
    },
    Note(String),
}

/// A cell that asks for input.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) id: String,
    pub(super) prompt: String,
    pub(super) password: bool,
    /// Whether the client's user was asked and has not answered.
    pub(super) is_declined: bool,
}

/// What is new since a cursor.
#[derive(Debug)]
pub(super) struct News {
    pub(super) items: Vec<Item>,
    /// How many items between the cursor and the first of these are not kept here any more.
    pub(super) missed: u64,
    /// For the next time.
    pub(super) cursor: u64,
}

/// One run.
#[derive(Debug)]
pub(super) struct RunLog {
    pub(super) path: PathBuf,
    begun: Timestamp,
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When something has happened last.
    changed: Timestamp,
    run: Option<RunId>,
    control: Option<RunControl>,
    items: VecDeque<(Item, usize)>,
    /// The number of the first of the items.
    first: u64,
    bytes: usize,
    summary: Summary,
    running: Option<CellRef>,
    /// How many outputs the running cell has so far, and which stream the last of them is.
    outputs: (usize, Option<String>),
    question: Option<(Question, oneshot::Sender<String>)>,
    has_ended: bool,
}

impl RunLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            begun: Timestamp::now(),
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let changed = {
            let mut inner = self.inner();
            inner.changed = Timestamp::now();
            change(&mut inner)
        };
        self.changed.send_modify(|changes| *changes += 1);
        changed
    }

    pub(super) fn begin(&self, control: RunControl) {
        self.inner().control = Some(control);
    }

    /// Takes an event in; tells the run's id where the event does.
    pub(super) fn apply(&self, event: &RunEvent) -> Option<RunId> {
        self.change(|inner| {
            inner.summary.apply(event);
            inner.apply(event)
        })
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.change(|inner| inner.push(Item::Note(note.into()), ITEM));
    }

    /// All that the run has done is in the notebook, and others may execute.
    pub(super) fn end(&self) {
        self.change(|inner| {
            inner.running = None;
            inner.has_ended = true;
        });
    }

    /// When it has begun, and when something has happened last.
    pub(super) fn times(&self) -> (Timestamp, Timestamp) {
        (self.begun, self.inner().changed.max(self.begun))
    }

    pub(super) fn run_id(&self) -> Option<RunId> {
        self.inner().run.clone()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.inner().has_ended
    }

    pub(super) fn summary(&self) -> Summary {
        self.inner().summary.clone()
    }

    pub(super) fn running(&self) -> Option<CellRef> {
        self.inner().running.clone()
    }

    pub(super) fn question(&self) -> Option<Question> {
        self.inner().question.as_ref().map(|(question, _)| question.clone())
    }

    /// Answers a question; false where it is not asked any more.
    pub(super) fn answer(&self, id: &str, answer: String) -> bool {
        let asked = self.change(|inner| inner.question.take_if(|(question, _)| question.id == id));
        asked.is_some_and(|(_, answer_tx)| answer_tx.send(answer).is_ok())
    }

    /// Notes that the client's user does not answer a question.
    pub(super) fn decline(&self, id: &str) {
        self.change(|inner| {
            if let Some((question, _)) = inner.question.as_mut().filter(|(question, _)| question.id == id) {
                question.is_declined = true;
            }
        });
    }

    /// Waits until a question is not asked any more.
    pub(super) async fn unasked(&self, id: &str) {
        let mut changed = self.changed.subscribe();
        let asks = || self.question().is_some_and(|question| question.id == id);
        while asks() && !self.has_ended() && changed.changed().await.is_ok() {}
    }

    /// Interrupts the run; false where it has not begun, or has ended.
    pub(super) fn cancel(&self) -> bool {
        let inner = self.inner();
        match &inner.control {
            Some(control) if !inner.has_ended => {
                control.stop(StopCause::Interrupt);
                true
            }
            _ => false,
        }
    }

    /// What is new since the item with the number `since`.
    pub(super) fn news(&self, since: u64) -> News {
        let inner = self.inner();
        let from = since.max(inner.first);
        let skipped = usize::try_from(from - inner.first).unwrap_or(usize::MAX);
        let items = inner.items.iter().skip(skipped).map(|(item, _)| item.clone());
        News {
            items: items.collect(),
            missed: inner.first.saturating_sub(since),
            cursor: inner.first + inner.items.len() as u64,
        }
    }

    /// Waits until the run has ended, asks for input, or the time is over.
    pub(super) async fn settled(&self, until: Instant) {
        let mut changed = self.changed.subscribe();
        let settled =
            async { while !(self.has_ended() || self.question().is_some()) && changed.changed().await.is_ok() {} };
        let _ = tokio::time::timeout_at(until, settled).await;
    }

    /// Waits until there is something new.
    pub(super) async fn changed(&self, since: u64) {
        let mut changed = self.changed.subscribe();
        while self.news(since).items.is_empty() && !self.has_ended() && changed.changed().await.is_ok() {}
    }

    /// Waits until the run has an id, or has ended without one.
    pub(super) async fn known(&self) -> Option<RunId> {
        let mut changed = self.changed.subscribe();
        while self.run_id().is_none() && !self.has_ended() && changed.changed().await.is_ok() {}
        self.run_id()
    }
}

impl Inner {
    /// Where this output of the running cell is in the notebook.
    fn place(&mut self, output: &Output) -> usize {
        let stream = match output {
            Output::Stream { name, .. } => Some(name.clone()),
            _ => None,
        };
        if stream.is_none() || stream != self.outputs.1 {
            self.outputs = (self.outputs.0 + 1, stream);
        }
        self.outputs.0 - 1
    }

    fn push(&mut self, item: Item, bytes: usize) {
        self.items.push_back((item, bytes));
        self.bytes += bytes;
        while self.bytes > LIMIT && self.items.len() > 1 {
            if let Some((_, bytes)) = self.items.pop_front() {
                self.bytes -= bytes;
                self.first += 1;
            }
        }
    }

    fn apply(&mut self, event: &RunEvent) -> Option<RunId> {
        match event {
            RunEvent::RunStarted { run_id, .. } => {
                self.run = Some(run_id.clone());
                return Some(run_id.clone());
            }
            RunEvent::KernelRestarted { .. } => {
                self.push(
                    Item::Note("the kernel was dead; a new one was started".to_owned()),
                    ITEM,
                );
            }
            RunEvent::CellStarted { cell, .. } => {
                self.running = Some(cell.clone());
                self.outputs = (0, None);
            }
            RunEvent::Output { cell, output } => {
                let place = self.place(output);
                self.push(
                    Item::Output(cell.clone(), output.clone().into_json(), place),
                    ITEM + size(output),
                );
            }
            RunEvent::OutputCleared { .. } => {
                self.outputs = (0, None);
                self.push(Item::Cleared, ITEM);
            }
            RunEvent::OutputUpdated { cell, output } => {
                let note = format!(
                    "output {output} of cell {} was updated; notebook_read shows it",
                    cell.id
                );
                self.push(Item::Note(note), ITEM);
            }
            RunEvent::Escalated {
                step: EscalationStep::Kill,
                ..
            } => self.push(
                Item::Note("the kernel did not stop when it was interrupted: it is killed".to_owned()),
                ITEM,
            ),
            RunEvent::CellFinished {
                cell,
                outcome,
                execution_count,
                seconds,
                ..
            } => {
                self.running = None;
                let finished = Item::Finished {
                    cell: cell.clone(),
                    outcome: outcome.clone(),
                    count: *execution_count,
                    seconds: *seconds,
                };
                self.push(finished, ITEM);
            }
            // That scratch code is in no notebook is no news.
            RunEvent::Warning { message } if message.starts_with(SCRATCH_NOTE) => {}
            RunEvent::Warning { message }
            | RunEvent::RunFinished {
                outcome: RunOutcome::Failed { message, .. },
                ..
            } => self.push(Item::Note(message.clone()), ITEM + message.len()),
            RunEvent::Lagged { missed } => {
                let note = format!("{missed} outputs are not shown here; notebook_read shows them");
                self.push(Item::Note(note), ITEM);
            }
            _ => {}
        }
        None
    }
}

fn size(output: &Output) -> usize {
    match output {
        Output::Stream { text, .. } => text.size(),
        Output::DisplayData { data, .. } | Output::ExecuteResult { data, .. } => size_of_bundle(data),
        Output::Error { evalue, traceback, .. } => evalue.len() + traceback.iter().map(String::len).sum::<usize>(),
    }
}

fn size_of_bundle(data: &MimeBundle) -> usize {
    let values = data.0.iter().map(|(_, value)| value);
    values
        .map(|value| {
            value
                .as_text()
                .map_or_else(|| value.to_string().len(), mcp_jupyter_core::model::Text::size)
        })
        .sum()
}

/// Has the client of a run answer what its cells ask.
#[derive(Debug)]
pub(super) struct AgentInput(pub(super) std::sync::Weak<RunLog>);

/// Takes a question back when nobody waits for its answer any more.
struct Asked<'a> {
    log: &'a RunLog,
    id: String,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let id = &self.id;
        self.log
            .change(|inner| drop(inner.question.take_if(|(question, _)| question.id == *id)));
    }
}

#[async_trait]
impl InputSource for AgentInput {
    async fn ask(&self, prompt: &str, password: bool) -> Option<String> {
        let log = self.0.upgrade()?;
        let (answer_tx, answer) = oneshot::channel();
        let id = RunId::random().as_str()[..8].to_owned();
        let question = Question {
            id: id.clone(),
            prompt: prompt.to_owned(),
            password,
            is_declined: false,
        };
        log.change(|inner| inner.question = Some((question, answer_tx)));
        let _asked = Asked { log: &log, id };
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use mcp_jupyter_core::model::JsonMap;

    use super::*;

    fn cell() -> CellRef {
        CellRef {
            id: "a".into(),
            index: 0,
        }
    }

    fn printed(text: &str) -> RunEvent {
        RunEvent::Output {
            cell: cell(),
            output: Output::Stream {
                name: "stdout".to_owned(),
                text: text.into(),
            },
        }
    }

    #[test]
    fn news_begin_where_the_last_ones_ended() {
        let log = RunLog::new("a.ipynb".into());
        log.apply(&printed("1"));
        let first = log.news(0);
        assert_eq!((first.items.len(), first.missed, first.cursor), (1, 0, 1));
        log.apply(&printed("2"));
        let second = log.news(first.cursor);
        assert_eq!((second.items.len(), second.missed, second.cursor), (1, 0, 2));
        assert!(log.news(second.cursor).items.is_empty());
    }

    #[test]
    fn outputs_have_the_places_that_they_have_in_the_notebook() {
        let log = RunLog::new("a.ipynb".into());
        let shown = RunEvent::Output {
            cell: cell(),
            output: Output::DisplayData {
                data: MimeBundle::default(),
                metadata: JsonMap::default(),
            },
        };
        for event in [printed("1"), printed("2"), shown.clone(), shown, printed("3")] {
            log.apply(&event);
        }
        let places = log.news(0).items.into_iter().map(|item| match item {
            Item::Output(_, _, place) => place,
            other => panic!("{other:?}"),
        });
        assert_eq!(places.collect::<Vec<_>>(), [0, 0, 1, 2, 3]);
    }

    #[test]
    fn what_is_not_kept_is_counted() {
        let log = RunLog::new("a.ipynb".into());
        let large = "x".repeat(LIMIT / 4);
        for _ in 0..10 {
            log.apply(&printed(&large));
        }
        let news = log.news(2);
        assert_eq!(news.missed + news.items.len() as u64, 8);
        assert!(news.missed > 0 && !news.items.is_empty());
        assert_eq!(news.cursor, 10);
    }

    #[tokio::test]
    async fn a_question_settles_a_run_and_its_answer_reaches_the_cell() {
        let log = std::sync::Arc::new(RunLog::new("a.ipynb".into()));
        let input = AgentInput(std::sync::Arc::downgrade(&log));
        let asked = tokio::spawn(async move { input.ask("name? ", false).await });
        log.settled(Instant::now() + std::time::Duration::from_secs(60)).await;
        let question = log.question().unwrap();
        assert!(!log.answer("another", "x".to_owned()));
        assert!(log.answer(&question.id, "Ada".to_owned()));
        assert_eq!(asked.await.unwrap().as_deref(), Some("Ada"));
        assert!(log.question().is_none());
    }
}
