//! Reading what a keeper records, and giving each message to whoever waits for it.
//!
//! Two readers go through the same record. One gives replies, and never waits; the other one gives what came on iopub,
//! and waits for whoever reads it, which is all the queue that there has to be. The second one stays behind the first,
//! so that an execution is known before its outputs come.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};

use super::link::Connection;
use super::packet::Sending;
use super::spool::{Kind, Position, Record, RecordHeader, SpoolReader};
use crate::kernel::local::dialogue::{Dialogue, watch_for_idle};
use crate::kernel::local::kernel::stream_of;
use crate::kernel::local::router::{LARGE, Router};
use crate::kernel::local::wire::{Codec, raw_content};
use crate::kernel::{Channel, Death, Execution, KernelState, Message, Unfinished};
use crate::model::{Json, JsonMap};

use super::carrier::KeptCarrier;

/// A record longer than this is read on a thread that may block, in bytes.
const LONG: u64 = 1 << 20;

/// How far replies have been given when there will be no more.
const LAST: Position = Position::MAX;

/// What the readers of one kernel's record share.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) connection: Arc<Connection>,
    pub(super) unsolicited: broadcast::Sender<Message>,
    pub(super) state: watch::Sender<KernelState>,
    /// The processes of the kernel, the present one last.
    generations: Mutex<Vec<Generation>>,
    /// What the kernel says about itself.
    info: JsonMap,
    key: String,
    unfinished: mpsc::UnboundedSender<Unfinished>,
    /// Executions before this may have been asked for by earlier clients.
    caught_up_at: Position,
    /// How far replies have been given.
    replied_to: watch::Sender<Position>,
    /// Set when nobody holds the kernel any more.
    released: watch::Sender<bool>,
}

/// One process of the kernel.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) epoch: u64,
    pub(super) dialogue: Arc<Dialogue>,
    pub(super) death: watch::Sender<Option<Death>>,
}

/// What a record of a start says.
#[derive(serde::Deserialize)]
struct Started {
    epoch: u64,
}

/// What it takes to begin to read.
pub(super) struct Beginning {
    pub(super) connection: Arc<Connection>,
    pub(super) info: JsonMap,
    pub(super) key: String,
    /// Where to begin.
    pub(super) from: Position,
    /// Where the record ended when we came.
    pub(super) end: Position,
}

impl Reading {
    /// Begins to read; gives the executions that earlier clients have begun as they are found.
    pub(super) fn begin(beginning: Beginning) -> (Arc<Self>, mpsc::UnboundedReceiver<Unfinished>) {
        let (unfinished, found) = mpsc::unbounded_channel();
        let reading = Arc::new(Self {
            connection: beginning.connection,
            unsolicited: Router::unsolicited_channel(),
            state: watch::Sender::new(KernelState::Starting),
            generations: Mutex::default(),
            info: beginning.info,
            key: beginning.key,
            unfinished,
            caught_up_at: beginning.end,
            replied_to: watch::Sender::new(beginning.from),
            released: watch::Sender::new(false),
        });
        reading.begin_generation(0);
        // Both begin with the first process: the one must not have come to the next before the other one is made.
        let (replies, published) = (
            Replies::over(&reading, beginning.from),
            Published::over(&reading, beginning.from),
        );
        tokio::spawn(replies.run());
        tokio::spawn(published.run());
        (reading, found)
    }

    fn generations(&self) -> MutexGuard<'_, Vec<Generation>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process that runs now, or has run last.
    pub(super) fn generation(&self) -> Generation {
        self.generations()
            .last()
            .cloned()
            .expect("there is one from the beginning")
    }

    fn generation_of(&self, epoch: u64) -> Option<Generation> {
        // The first one stands for whatever ran where reading began.
        self.generations()
            .iter()
            .rfind(|generation| generation.epoch == epoch)
            .cloned()
    }

    fn begin_generation(&self, epoch: u64) -> Generation {
        let death = watch::Sender::new(None);
        let carrier = KeptCarrier::new(Arc::clone(&self.connection), death.subscribe());
        let router = Router::new(self.unsolicited.clone(), self.state.clone());
        let dialogue = Dialogue::new(Arc::new(carrier), router, self.codec());
        dialogue.learn(self.info.clone());
        let generation = Generation {
            epoch,
            dialogue: Arc::new(dialogue),
            death,
        };
        let mut generations = self.generations();
        generations.push(generation.clone());
        // The reader of iopub may be behind by a few.
        let surplus = generations.len().saturating_sub(16);
        generations.drain(..surplus);
        generation
    }

    /// A codec that has seen nothing yet.
    pub(super) fn codec(&self) -> Codec {
        Codec::new(self.key.as_bytes())
    }

    /// The keeper knows the state that the kernel is in now, whatever of that has been read.
    pub(super) fn enter(&self, state: KernelState) {
        self.state.send_if_modified(|known| {
            let is_news = *known == KernelState::Starting && state != KernelState::Starting;
            if is_news {
                *known = state;
            }
            is_news
        });
    }

    /// Returns when replies have been given up to this position.
    pub(super) async fn replied_to(&self, position: Position) {
        let _ = self.replied_to.subscribe().wait_for(|at| *at >= position).await;
    }

    /// Nobody holds the kernel any more: its record is read to its death, or not at all where it lives on.
    pub(super) fn release(&self, lives_on: bool) {
        if lives_on {
            self.released.send_replace(true);
        }
        self.connection.let_go();
    }

    fn died(generation: &Generation, death: &Death) {
        generation.dialogue.router.note_death(death);
        generation.death.send_replace(Some(death.clone()));
        generation.dialogue.router.end_requests();
    }
}

/// A place in the record.
struct Cursor {
    reading: Arc<Reading>,
    reader: Option<SpoolReader>,
    generation: Generation,
}

/// What a cursor comes to.
enum Found {
    Record(RecordHeader),
    /// The kernel has ended without a record of it.
    Silence(Death),
    /// Nobody wants more.
    Released,
}

impl Cursor {
    fn new(reading: &Arc<Reading>, from: Position) -> Self {
        Self {
            reading: Arc::clone(reading),
            reader: Some(SpoolReader::new(reading.connection.home().path().to_owned(), from)),
            generation: reading.generation(),
        }
    }

    fn reader(&mut self) -> &mut SpoolReader {
        self.reader.as_mut().expect("it is put back after every use")
    }

    fn position(&mut self) -> Position {
        self.reader().position()
    }

    /// The next record before the end that `limit` tells. Where the kernel is silent, all has been read once that end is
    /// the `last` one, if there is such.
    async fn next(&mut self, limit: &mut watch::Receiver<Position>, last: Option<Position>) -> io::Result<Found> {
        let mut silence = self.reading.connection.silence();
        let mut released = self.reading.released.subscribe();
        loop {
            let end = *limit.borrow_and_update();
            if let Some(header) = self.reader().peek(end)? {
                return Ok(Found::Record(header));
            }
            // Looked at before the end is: what is found then is all that there will be.
            let is_silent = silence.borrow_and_update().clone();
            if let Some(death) = is_silent
                && *limit.borrow() == end
                && last.is_none_or(|last| last == end)
            {
                return Ok(Found::Silence(death));
            }
            tokio::select! {
                biased;
                _ = released.wait_for(|released| *released) => return Ok(Found::Released),
                _ = limit.changed() => {}
                _ = silence.changed() => {}
            }
        }
    }

    async fn read(&mut self, header: &RecordHeader) -> io::Result<Record> {
        if header.end() - header.position <= LONG {
            return self.reader().read(header);
        }
        let mut reader = self.reader.take().expect("it is put back after every use");
        let header = header.clone();
        let read = tokio::task::spawn_blocking(move || {
            let record = reader.read(&header);
            (reader, record)
        });
        let (reader, record) = read.await.map_err(io::Error::other)?;
        self.reader = Some(reader);
        record
    }

    fn message(&self, record: &Record) -> Option<Message> {
        let channel = record.channel?;
        match self.generation.dialogue.codec.decode(channel, &record.parts) {
            Ok(mut message) => {
                message.position = Some(record.end);
                Some(message)
            }
            Err(error) => {
                tracing::warn!(%error);
                None
            }
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(record: &Record) -> io::Result<T> {
    let first = record.parts.first().map(|part| &part[..]).unwrap_or_default();
    Ok(serde_json::from_slice(first)?)
}

/// Gives replies and requests for input, and follows the life of the kernel.
struct Replies(Cursor);

impl Replies {
    fn over(reading: &Arc<Reading>, from: Position) -> Self {
        Self(Cursor::new(reading, from))
    }

    async fn run(mut self) {
        let mut end = self.0.reading.connection.end();
        let failure = loop {
            match self.0.next(&mut end, None).await {
                Ok(Found::Record(header)) => {
                    if let Err(error) = self.take(&header).await {
                        break error.to_string();
                    }
                    let position = self.0.position();
                    self.0.reading.replied_to.send_replace(position);
                }
                Ok(Found::Silence(death)) => return self.silence(&death),
                Ok(Found::Released) => return,
                Err(error) => break error.to_string(),
            }
        };
        tracing::error!(failure, "the kernel's messages cannot be read any more");
        self.silence(&Death {
            stderr: failure,
            ..Death::default()
        });
    }

    fn silence(&self, death: &Death) {
        if self.0.generation.death.borrow().is_none() {
            Reading::died(&self.0.generation, death);
        }
        self.0.reading.replied_to.send_replace(LAST);
    }

    async fn take(&mut self, header: &RecordHeader) -> io::Result<()> {
        let is_ours = match header.kind {
            Kind::Received => header.channel != Some(Channel::Iopub),
            Kind::Gap | Kind::Adopted => false,
            Kind::Sent | Kind::Died | Kind::Started | Kind::Lost => true,
        };
        if !is_ours {
            self.0.reader().skip(header);
            return Ok(());
        }
        let record = self.0.read(header).await?;
        match record.kind {
            Kind::Received => self.give(&record),
            Kind::Sent => self.found(&parse(&record)?, &record),
            Kind::Died => Reading::died(&self.0.generation, &parse(&record)?),
            Kind::Started => {
                let Started { epoch } = parse(&record)?;
                self.0.reading.state.send_replace(KernelState::Starting);
                self.0.generation = self.0.reading.begin_generation(epoch);
            }
            Kind::Lost => {
                let (router, msg_id) = (
                    Arc::clone(&self.0.generation.dialogue.router),
                    parse::<String>(&record)?,
                );
                tokio::spawn(async move { router.idle_lost(&msg_id).await });
            }
            Kind::Gap | Kind::Adopted => {}
        }
        Ok(())
    }

    fn give(&self, record: &Record) {
        let Some(message) = self.0.message(record) else { return };
        let dialogue = &self.0.generation.dialogue;
        let replied = |msg_id| drop(tokio::spawn(watch_for_idle(Arc::downgrade(dialogue), msg_id)));
        dialogue.router.give_reply(message, &replied);
    }

    /// A request was sent. Where that was before we came, whoever asked for it is gone: it is found by whoever goes on.
    fn found(&self, sending: &Sending, record: &Record) {
        let (reading, position) = (&self.0.reading, record.position);
        if reading.connection.found(&sending.msg_id) || position >= reading.caught_up_at {
            return;
        }
        let dispatch = sending.execution.as_ref().and_then(|order| order.dispatch.clone());
        let Some(dispatch) = dispatch else { return };
        let Ok(messages) = self.0.generation.dialogue.router.expect_execution(&sending.msg_id) else {
            return;
        };
        let execution = Execution {
            msg_id: sending.msg_id.clone(),
            messages: stream_of(messages),
            position: Some(position),
        };
        let code = code_of(&record.parts).unwrap_or_default();
        let _ = reading.unfinished.send(Unfinished {
            dispatch,
            code,
            execution,
        });
    }
}

/// The code of an `execute_request`.
fn code_of(frames: &[Bytes]) -> Option<String> {
    let content = Json::parse_frame(raw_content(frames)?).ok()?;
    content
        .get("code")
        .and_then(Json::as_str)
        .map(std::borrow::Cow::into_owned)
}

/// Gives what came on iopub.
struct Published(Cursor);

impl Published {
    fn over(reading: &Arc<Reading>, from: Position) -> Self {
        Self(Cursor::new(reading, from))
    }

    async fn run(mut self) {
        let mut limit = self.0.reading.replied_to.subscribe();
        loop {
            match self.0.next(&mut limit, Some(LAST)).await {
                Ok(Found::Record(header)) => {
                    if self.take(&header).await.is_err() {
                        return self.end().await;
                    }
                }
                Ok(Found::Silence(_)) | Err(_) => return self.end().await,
                Ok(Found::Released) => return,
            }
        }
    }

    /// There is nothing more to give.
    async fn end(&self) {
        let mut death = self.0.generation.death.subscribe();
        let death = death
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|death| death.clone());
        let router = &self.0.generation.dialogue.router;
        router.end_executions(death.unwrap_or_default()).await;
    }

    async fn take(&mut self, header: &RecordHeader) -> io::Result<()> {
        let is_ours = match header.kind {
            Kind::Received => header.channel == Some(Channel::Iopub),
            Kind::Gap | Kind::Adopted | Kind::Died | Kind::Started => true,
            Kind::Sent | Kind::Lost => false,
        };
        if !is_ours {
            self.0.reader().skip(header);
            return Ok(());
        }
        let record = self.0.read(header).await?;
        let router = Arc::clone(&self.0.generation.dialogue.router);
        match record.kind {
            Kind::Received => {
                let is_large = header.end() - header.position >= LARGE as u64;
                let message = self.0.message(&record);
                drop(record);
                if let Some(message) = message {
                    router.give_iopub(message, is_large).await;
                }
            }
            Kind::Gap | Kind::Adopted => router.note_gap(),
            Kind::Died => router.end_executions(parse(&record)?).await,
            Kind::Started => {
                let Started { epoch } = parse(&record)?;
                if let Some(generation) = self.0.reading.generation_of(epoch) {
                    self.0.generation = generation;
                }
            }
            Kind::Sent | Kind::Lost => {}
        }
        Ok(())
    }
}
