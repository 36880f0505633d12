use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, oneshot};

use super::super::packet::{self, Answer, Numbered, Refusal, Request, Said, Sending, Status, VERSION, WireState};
use super::super::spool::Position;
use super::recorder::Recorded;
use super::table::Table;
use super::{Ending, Keeper, begin};
use crate::kernel::local::dialogue::Letter;
use crate::kernel::{Channel, Kernel, KernelError, KernelState, ShutdownMode};

/// One client.
#[derive(Debug)]
struct Client {
    keeper: Arc<Keeper>,
    out: Mutex<OwnedWriteHalf>,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, Default)]
struct Rights {
    token: u64,
}

/// Serves a client until it goes.
pub(super) async fn serve(keeper: Arc<Keeper>, stream: UnixStream) {
    keeper.clients.send_modify(|clients| *clients += 1);
    let (from, out) = stream.into_split();
    let client = Arc::new(Client {
        keeper: Arc::clone(&keeper),
        out: Mutex::new(out),
    });
    let growth = tokio::spawn(tell_growth(Arc::clone(&client)));
    let mut from = BufReader::new(from);
    let mut rights = Rights::default();
    loop {
        match packet::read::<Numbered>(&mut from).await {
            Ok(Some((numbered, frames))) => client.take(numbered, frames, &mut rights).await,
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "a client has gone");
                break;
            }
        }
    }
    growth.abort();
    keeper.clients.send_modify(|clients| *clients -= 1);
}

/// Tells how far the spool reaches; a client that does not read holds up nobody but itself.
async fn tell_growth(client: Arc<Client>) {
    let mut end = client.keeper.recorder.end();
    loop {
        let position = *end.borrow_and_update();
        if client.say(&Said::Grown(position)).await.is_err() || end.changed().await.is_err() {
            return;
        }
    }
}

impl Client {
    async fn say(&self, said: &Said) -> io::Result<()> {
        packet::write(&mut *self.out.lock().await, said, &[]).await
    }

    async fn answer(&self, id: u64, answer: Result<Answer, KernelError>) {
        let answer = answer.map_err(Refusal::from);
        // Where it has gone, nobody waits for it.
        let _ = self.say(&Said::Answer { id, answer }).await;
    }

    /// Does what is asked for. Only what is done at once is done before the next request is read.
    async fn take(self: &Arc<Self>, Numbered { id, request }: Numbered, frames: Vec<Bytes>, rights: &mut Rights) {
        self.keeper.stir();
        match request {
            Request::Hello { version, token } => {
                let welcome = self.welcome(version, token, rights);
                self.answer(id, welcome).await;
            }
            Request::Send(sending) => self.send(id, sending, frames, *rights).await,
            request => {
                let client = Arc::clone(self);
                tokio::spawn(async move {
                    let done = client.keeper.carry_out(request).await;
                    client.answer(id, done).await;
                });
            }
        }
    }

    /// A token counts from now on, and with it every higher one.
    fn welcome(&self, version: u32, token: Option<u64>, rights: &mut Rights) -> Result<Answer, KernelError> {
        if version != VERSION {
            return Err(KernelError::Unsupported {
                what: format!("version {version} of the keeper's protocol"),
                by: format!("a keeper of version {VERSION}; stop the kernel with the program that has started it"),
            });
        }
        if let Some(token) = token {
            self.keeper.check(token)?;
            rights.token = token;
            self.keeper
                .describe(|description| description.token = token)
                .map_err(|error| KernelError::io("write down the session's token", error))?;
        }
        Ok(Answer::Status(Box::new(self.keeper.status())))
    }

    /// Records a message, and has it handed over after those before it.
    async fn send(self: &Arc<Self>, id: u64, sending: Sending, frames: Vec<Bytes>, rights: Rights) {
        match self.keeper.record(&sending, &frames, rights) {
            Ok(Recorded::Before(msg_id, position)) => self.answer(id, Ok(Answer::Repeated { msg_id, position })).await,
            Ok(Recorded::New(position)) => {
                let handed_over = self.keeper.hand_over(sending, frames);
                let client = Arc::clone(self);
                tokio::spawn(async move {
                    let sent = handed_over.await.unwrap_or_else(|_| Err(gone()));
                    client.answer(id, sent.map(|()| Answer::Sent { position })).await;
                });
            }
            Err(error) => self.answer(id, Err(error)).await,
        }
    }
}

fn gone() -> KernelError {
    KernelError::io("reach the kernel", io::Error::other("its keeper is ending"))
}

impl Keeper {
    fn check(&self, token: u64) -> Result<(), KernelError> {
        let newest = self.description().token;
        if token < newest {
            return Err(KernelError::Fenced { token, newest });
        }
        Ok(())
    }

    fn alive(&self) -> Result<(), KernelError> {
        match &*self.kernel.state().borrow() {
            KernelState::Dead(death) => Err(KernelError::Died(death.clone())),
            _ => Ok(()),
        }
    }

    fn record(&self, sending: &Sending, frames: &Vec<Bytes>, rights: Rights) -> Result<Recorded, KernelError> {
        self.alive()?;
        if sending.execution.is_some() {
            self.check(rights.token)?;
        }
        if Channel::from(sending.channel) == Channel::Heartbeat {
            return Ok(Recorded::New(0));
        }
        let recorded = self.recorder.sending(sending, frames);
        recorded.map_err(|error| KernelError::io("record a request before it is sent to the kernel", error))
    }

    fn hand_over(&self, sending: Sending, frames: Vec<Bytes>) -> oneshot::Receiver<Result<(), KernelError>> {
        let (handed_over_tx, handed_over) = oneshot::channel();
        let letter = Letter {
            channel: sending.channel.into(),
            msg_id: sending.msg_id,
            frames,
            execution: sending.execution,
        };
        if let Some((_, outbox)) = self.outboxes.iter().find(|(channel, _)| *channel == sending.channel) {
            let _ = outbox.send((letter, handed_over_tx));
        }
        handed_over
    }

    async fn carry_out(&self, request: Request) -> Result<Answer, KernelError> {
        match request {
            Request::Interrupt => self.kernel.interrupt().await?,
            Request::Restart => self.restart().await?,
            Request::Shutdown { graceful_millis } => return self.shutdown(graceful_millis).await,
            Request::Keep { idle_millis } => self.keep(idle_millis)?,
            Request::Acknowledge { position } => self.acknowledge(position)?,
            Request::Status => return Ok(Answer::Status(Box::new(self.status()))),
            Request::End => drop(self.ending.send_replace(Some(Ending::Unwanted))),
            Request::Hello { .. } | Request::Send(_) => {}
        }
        Ok(Answer::Done)
    }

    async fn restart(&self) -> Result<(), KernelError> {
        self.kernel.restart().await?;
        let key = self.description().generation.key.clone();
        let generation = begin::generation(&self.kernel, &self.recorder, key);
        let described = self.describe(|description| {
            description.born = crate::kernel::local::process::birth(generation.pid);
            description.generation = generation;
            description.connection = self.kernel.connection();
            description.death = None;
        });
        described.map_err(|error| KernelError::io("write down the kernel's new process", error))
    }

    async fn shutdown(&self, graceful_millis: Option<u64>) -> Result<Answer, KernelError> {
        let patience = graceful_millis.map(Duration::from_millis);
        self.kernel
            .shutdown(patience.map_or(ShutdownMode::Immediate, ShutdownMode::Graceful))
            .await?;
        match &*self.kernel.state().borrow() {
            KernelState::Dead(death) => Ok(Answer::Ended(death.clone())),
            _ => Ok(Answer::Done),
        }
    }

    fn keep(&self, idle_millis: Option<u64>) -> Result<(), KernelError> {
        let kept = self.describe(|description| {
            description.is_kept = true;
            description.idle_timeout = idle_millis.map(Duration::from_millis);
        });
        // So that the new limit counts from now on.
        self.clients.send_modify(|_| {});
        kept.map_err(|error| KernelError::io("write down that the kernel is kept", error))
    }

    fn acknowledge(&self, position: Position) -> Result<(), KernelError> {
        let trimmed = self.recorder.trim(position);
        trimmed.map_err(|error| KernelError::io("trim the record of the kernel's messages", error))
    }

    fn status(&self) -> Status {
        let description = self.description();
        Status {
            version: VERSION,
            acknowledged: self.home.acknowledged(),
            end: *self.recorder.end().borrow(),
            state: match &*self.kernel.state().borrow() {
                KernelState::Starting => WireState::Starting,
                KernelState::Busy => WireState::Busy,
                KernelState::Idle => WireState::Idle,
                KernelState::Dead(death) => WireState::Dead(death.clone()),
            },
            executed: self.recorder.look(|table| table.executed),
            requests: self.recorder.look(Table::requests),
            running: self.recorder.look(Table::running),
            token: description.token,
            generation: description.generation.clone(),
        }
    }
}
