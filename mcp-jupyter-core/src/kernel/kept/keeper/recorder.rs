use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::super::home::{Home, NotedExecution};
use super::super::packet::Sending;
use super::super::spool::{Appended, Kind, Position, Record, Spool, SpoolReader};
use super::table::Table;
use crate::kernel::local::frame_queue::Frames;
use crate::kernel::local::tap::Tap;
use crate::kernel::local::wire::{msg_type, parent_id, raw_content};
use crate::kernel::{Channel, Death, DispatchId};

/// How long what a dead kernel has said may take to be recorded.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Messages on iopub that may be dropped where there is no room: what a cell outputs.
const OUTPUTS: [&str; 7] = [
    "stream",
    "display_data",
    "update_display_data",
    "execute_result",
    "comm_open",
    "comm_msg",
    "comm_close",
];

/// Writes down what a kernel says, and what it is asked.
#[derive(Debug)]
pub(super) struct Recorder {
    spool: Spool,
    home: Home,
    table: Mutex<Table>,
    /// Counts the kernel's processes.
    epoch: watch::Sender<u64>,
    /// Whether the process that ran last is dead and all of it recorded.
    has_ended: watch::Sender<bool>,
}

/// What became of an execution that was asked for.
pub(super) enum Recorded {
    /// It is in the record now, here.
    New(Position),
    /// It was sent before, as this request.
    Before(String, Position),
}

impl Recorder {
    /// Writes into the spool of a home; `epoch` is that of the next process.
    pub(super) fn new(home: Home, spool: Spool, table: Table, epoch: u64) -> Self {
        Self {
            spool,
            home,
            table: Mutex::new(table),
            epoch: watch::Sender::new(epoch),
            has_ended: watch::Sender::new(false),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is known of executions.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.table())
    }

    pub(super) fn is_executing(&self) -> bool {
        self.table().is_executing()
    }

    /// The process that runs, or has run last.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.borrow().saturating_sub(1)
    }

    pub(super) fn end(&self) -> watch::Receiver<Position> {
        self.spool.end()
    }

    pub(super) fn trim(&self, before: Position) -> io::Result<()> {
        self.home.acknowledge(before)?;
        self.spool.trim(before)
    }

    /// Records a message before it is handed to the kernel. An execution of a run is recorded once.
    pub(super) fn sending(&self, sending: &Sending, frames: &Frames) -> io::Result<Recorded> {
        let dispatch = sending.execution.as_ref().map(|order| order.dispatch.clone());
        let mut table = self.table();
        if let Some(Some(dispatch)) = &dispatch
            && let Some((msg_id, position)) = table.find(dispatch)
        {
            return Ok(Recorded::Before(msg_id, position));
        }
        let head = serde_json::to_vec(sending).map_err(io::Error::other)?;
        // What is typed may be a secret, and is of no use to whoever comes next.
        let frames = if Channel::from(sending.channel) == Channel::Stdin {
            &[][..]
        } else {
            frames
        };
        let parts: Vec<Bytes> = std::iter::once(head.into()).chain(frames.iter().cloned()).collect();
        let Appended::At(position) = self
            .spool
            .append(Kind::Sent, Some(sending.channel.into()), &parts, true)?
        else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        if let Some(dispatch) = dispatch {
            self.note(sending, dispatch.as_ref(), position)?;
            table.sent(sending.msg_id.clone(), dispatch, position);
        }
        Ok(Recorded::New(position))
    }

    fn note(&self, sending: &Sending, dispatch: Option<&DispatchId>, position: Position) -> io::Result<()> {
        let Some(dispatch) = dispatch else { return Ok(()) };
        self.home.note_execution(&NotedExecution {
            msg_id: sending.msg_id.clone(),
            dispatch: dispatch.clone(),
            position,
            epoch: self.epoch(),
        })
    }

    /// Appends what is no message.
    pub(super) fn tell(&self, kind: Kind, what: &impl serde::Serialize) -> io::Result<()> {
        let what = serde_json::to_vec(what).map_err(io::Error::other)?;
        self.spool.append(kind, None, &[what.into()], true).map(drop)
    }

    /// What was asked of the process before this is answered; what has no answer by now never will have one.
    pub(super) fn settle(&self, asked: &[String]) -> io::Result<()> {
        let unanswered = Requests::read(&self.home).unanswered();
        for msg_id in asked.iter().filter(|asked| unanswered.contains(asked)) {
            {
                let mut table = self.table();
                table.replied(msg_id);
                table.idle(msg_id);
            }
            self.tell(Kind::Lost, msg_id)?;
        }
        Ok(())
    }

    /// Returns when all that the dead process has said is recorded.
    pub(super) async fn ended(&self) {
        let mut ended = self.has_ended.subscribe();
        let _ = tokio::time::timeout(LAST_WORDS, ended.wait_for(|ended| *ended)).await;
    }

    /// Notes which executions have ended.
    fn follow(&self, channel: Channel, msg_type: &str, frames: &Frames) {
        let Some(parent) = parent_id(frames) else { return };
        match (channel, msg_type) {
            (Channel::Shell, "execute_reply") => self.table().replied(parent),
            (Channel::Iopub, "status") if is_idle(frames) => self.table().idle(parent),
            _ => {}
        }
    }
}

fn is_idle(frames: &Frames) -> bool {
    raw_content(frames).is_some_and(|content| memchr::memmem::find(content, b"\"idle\"").is_some())
}

impl Tap for Recorder {
    fn started(&self, pid: u32) {
        if let Err(error) = self.home.note_process(pid) {
            tracing::error!(%error, "the process was not written down");
        }
        let epoch = *self.epoch.borrow();
        self.epoch.send_replace(epoch + 1);
        self.has_ended.send_replace(false);
        let told = self.tell(Kind::Started, &serde_json::json!({ "epoch": epoch, "pid": pid }));
        if let Err(error) = told {
            tracing::error!(%error, "the start of a process was not recorded");
        }
    }

    fn received(&self, channel: Channel, frames: &Frames) {
        let msg_type = msg_type(frames).unwrap_or_default();
        let is_essential = channel != Channel::Iopub || !OUTPUTS.contains(&msg_type);
        match self.spool.append(Kind::Received, Some(channel), frames, is_essential) {
            Ok(_) => self.follow(channel, msg_type, frames),
            Err(error) => tracing::error!(%error, msg_type, "a message was not recorded"),
        }
    }

    fn died(&self, death: &Death) {
        if let Err(error) = self.tell(Kind::Died, death) {
            tracing::error!(%error, "the end of the process was not recorded");
        }
        self.table().died();
        self.has_ended.send_replace(true);
    }
}

/// What a record tells of requests, as far back as it reaches.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// All that were sent, oldest first.
    pub(super) sent: Vec<(Sending, Position)>,
    /// Those that were answered on the channel that they came on.
    pub(super) replied: HashSet<String>,
    /// Those after which the kernel became idle.
    pub(super) idle: HashSet<String>,
}

impl Requests {
    /// Reads a record to its end.
    pub(super) fn read(home: &Home) -> Self {
        let mut requests = Self::default();
        let mut reader = SpoolReader::new(home.path().to_owned(), home.acknowledged());
        while let Ok(Some(header)) = reader.peek(Position::MAX) {
            let is_told = matches!(header.kind, Kind::Received | Kind::Sent | Kind::Died);
            if !is_told {
                reader.skip(&header);
                continue;
            }
            let Ok(record) = reader.read(&header) else { break };
            requests.take(&record);
        }
        requests
    }

    fn take(&mut self, record: &Record) {
        match (record.kind, record.channel) {
            (Kind::Sent, _) => {
                let sending = record.parts.first().and_then(|head| serde_json::from_slice(head).ok());
                self.sent.extend(sending.map(|sending| (sending, record.position)));
            }
            // What a process was asked ends with it.
            (Kind::Died, _) => *self = Self::default(),
            (_, channel) => {
                let Some(parent) = parent_id(&record.parts) else { return };
                match (channel, msg_type(&record.parts)) {
                    (Some(Channel::Shell | Channel::Control), _) => drop(self.replied.insert(parent.to_owned())),
                    (Some(Channel::Iopub), Some("status")) if is_idle(&record.parts) => {
                        self.idle.insert(parent.to_owned());
                    }
                    _ => {}
                }
            }
        }
    }

    /// The requests that have no answer, oldest first.
    pub(super) fn unanswered(&self) -> Vec<String> {
        let ids = self.sent.iter().map(|(sending, _)| &sending.msg_id);
        ids.filter(|id| !self.replied.contains(*id)).cloned().collect()
    }
}
