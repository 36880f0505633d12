use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, watch};

use super::home::Home;
use super::link::Connection;
use super::packet::{Answer, Request, Status, graceful_millis};
use super::program::KeeperProgram;
use super::reading::{Beginning, Reading};
use super::replay::replay;
use crate::kernel::local::dialogue::Begun;
use crate::kernel::local::kernel::{stream_of, unsolicited};
use crate::kernel::{
    Channel, DispatchId, ExecuteRequest, Executed, Execution, Header, Kernel, KernelError, KernelInfo, KernelState,
    Message, ShutdownMode, Unfinished,
};
use crate::model::{Json, JsonMap, KernelId};

/// A kernel behind its keeper. Dropping it lets the kernel live on if it is kept, and ends it if it is not.
#[derive(Debug)]
pub struct KeptKernel {
    id: KernelId,
    spec: String,
    reading: Arc<Reading>,
    unfinished: Mutex<Option<mpsc::UnboundedReceiver<Unfinished>>>,
    executed: Mutex<Executed>,
    is_kept: Mutex<bool>,
    /// Held during a restart: one at a time.
    restarting: tokio::sync::Mutex<()>,
}

impl KeptKernel {
    /// Reaches the kernel of `home`.
    pub(super) async fn open(
        home: Home,
        program: KeeperProgram,
        token: Option<u64>,
        tether: Option<ChildStdin>,
    ) -> Result<Self, KernelError> {
        let is_kept = tether.is_none();
        let (connection, status) = Connection::open(home.clone(), program, token, tether).await?;
        let description = home.description().map_err(|error| {
            KernelError::io(
                format!("read what is known of the kernel in {}", home.path().display()),
                error,
            )
        })?;
        let Json::Object(info) = description.generation.info.clone() else {
            return Err(KernelError::InvalidKernelSpec {
                path: home.path().to_owned(),
                reason: "what is written down of this kernel is no object".to_owned(),
            });
        };
        let end = *connection.end().borrow();
        let executed = executed(status.as_ref());
        let (reading, unfinished) = Reading::begin(Beginning {
            connection,
            info,
            key: description.generation.key,
            from: home.acknowledged(),
            end,
        });
        reading.replied_to(end).await;
        if let Some(status) = status {
            reading.enter(status.state.into());
        }
        Ok(Self {
            id: description.kernel_id,
            spec: description.request.spec.name,
            reading,
            unfinished: Mutex::new(Some(unfinished)),
            executed: Mutex::new(executed),
            is_kept: Mutex::new(is_kept),
            restarting: tokio::sync::Mutex::default(),
        })
    }

    async fn ask(&self, request: Request) -> Result<Answer, KernelError> {
        self.reading.connection.ask(&request, &[], || None).await
    }

    /// From now on the kernel lives on without us, until it is ended, or has been idle without any client for this long.
    ///
    /// # Errors
    /// [`KernelError::Io`] where the keeper cannot write that down.
    pub async fn keep(&self, idle_timeout: Option<Duration>) -> Result<(), KernelError> {
        let idle_millis = idle_timeout.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self.ask(Request::Keep { idle_millis }).await?;
        *self.is_kept.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }

    /// Ends the kernel, if it lives, and its keeper; nothing of it stays. Returns when its process has ended.
    pub(super) async fn end(&self) -> Result<(), KernelError> {
        match self.ask(Request::End).await {
            Ok(_) => {}
            Err(KernelError::Died(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut state = self.state();
        // Whoever tells the state lives as long as we do.
        let _ = state.wait_for(|state| matches!(state, KernelState::Dead(_))).await;
        Ok(())
    }

    /// The folder with all that is known of the kernel.
    pub fn home(&self) -> &Path {
        self.reading.connection.home().path()
    }

    /// The executions that the kernel is about, oldest first.
    ///
    /// # Errors
    /// [`KernelError::Died`] where there is no kernel any more.
    pub async fn running(&self) -> Result<Vec<DispatchId>, KernelError> {
        match self.ask(Request::Status).await? {
            Answer::Status(status) => Ok(status.running),
            _ => Ok(Vec::new()),
        }
    }

    /// Executes beside what the kernel is executing, in a subshell that is made for it, and gives the `execute_reply`. It
    /// needs no right to execute, and is no execution of a run: this is for looking.
    ///
    /// What it publishes is given to [`Kernel::unsolicited`]. Dropping the future leaves the subshell to the kernel.
    ///
    /// # Errors
    /// [`KernelError::Unsupported`] where the kernel has no subshells; [`KernelError::Died`] where it is dead.
    pub async fn execute_aside(&self, request: ExecuteRequest) -> Result<Message, KernelError> {
        self.alive()?;
        let unsupported = || KernelError::Unsupported {
            what: "executing beside a cell".to_owned(),
            by: self.to_string(),
        };
        if !self.info().has_subshells() {
            return Err(unsupported());
        }
        let dialogue = self.reading.generation().dialogue;
        let made = dialogue.request(Channel::Control, "create_subshell_request", JsonMap::new());
        let subshell = made
            .await?
            .content
            .get("subshell_id")
            .cloned()
            .ok_or_else(unsupported)?;
        let reply = dialogue.execute_in(subshell.clone(), request).await;
        let named = JsonMap::from_iter([("subshell_id".to_owned(), subshell)]);
        dialogue
            .request(Channel::Control, "delete_subshell_request", named)
            .await?;
        reply
    }

    /// Fails at once on a kernel that is known to be dead.
    fn alive(&self) -> Result<(), KernelError> {
        match &*self.reading.state.borrow() {
            KernelState::Dead(death) => Err(KernelError::Died(death.clone())),
            _ => Ok(()),
        }
    }
}

fn executed(status: Option<&Status>) -> Executed {
    let Some(status) = status else {
        return Executed::default();
    };
    let requests = status.requests.iter();
    Executed {
        epoch: status.generation.epoch,
        cells: status.executed,
        requests: requests
            .map(|(msg_id, dispatch)| (msg_id.clone(), dispatch.cell.clone()))
            .collect(),
    }
}

impl fmt::Display for KeptKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kernel {} ({}, kept in {})",
            self.id,
            self.spec,
            self.home().display()
        )
    }
}

impl Drop for KeptKernel {
    fn drop(&mut self) {
        let is_kept = *self.is_kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.reading.release(is_kept);
    }
}

#[async_trait]
impl Kernel for KeptKernel {
    fn id(&self) -> &KernelId {
        &self.id
    }

    fn info(&self) -> KernelInfo {
        self.reading.generation().dialogue.info()
    }

    fn state(&self) -> watch::Receiver<KernelState> {
        self.reading.state.subscribe()
    }

    async fn execute(&self, request: ExecuteRequest) -> Result<Execution, KernelError> {
        self.alive()?;
        let dispatch = request.dispatch.clone();
        match self.reading.generation().dialogue.execute(request).await? {
            Begun::New(msg_id, messages, position) => Ok(Execution {
                msg_id,
                messages: stream_of(messages),
                position,
            }),
            Begun::Before(msg_id, position) => replay(&self.reading, msg_id, position, dispatch),
        }
    }

    async fn request(&self, channel: Channel, msg_type: &str, content: JsonMap) -> Result<Message, KernelError> {
        self.alive()?;
        let dialogue = self.reading.generation().dialogue;
        dialogue.request(channel, msg_type, content).await
    }

    async fn send(
        &self,
        channel: Channel,
        msg_type: &str,
        content: JsonMap,
        parent: Option<&Header>,
    ) -> Result<String, KernelError> {
        self.alive()?;
        let dialogue = self.reading.generation().dialogue;
        dialogue.send(channel, msg_type, content, parent).await
    }

    fn unsolicited(&self) -> BoxStream<'static, Message> {
        unsolicited(self.reading.unsolicited.subscribe())
    }

    async fn ping(&self) -> Result<(), KernelError> {
        self.alive()?;
        self.reading.generation().dialogue.ping().await
    }

    async fn interrupt(&self) -> Result<(), KernelError> {
        self.alive()?;
        self.ask(Request::Interrupt).await.map(drop)
    }

    async fn restart(&self) -> Result<(), KernelError> {
        let _one_at_a_time = self.restarting.lock().await;
        let before = self.reading.generation().epoch;
        self.ask(Request::Restart).await?;
        let mut end = self.reading.connection.end();
        while self.reading.generation().epoch == before {
            let known = *end.borrow_and_update();
            self.reading.replied_to(known).await;
            if self.reading.generation().epoch == before && end.changed().await.is_err() {
                break;
            }
        }
        let mut executed = self.executed.lock().unwrap_or_else(PoisonError::into_inner);
        *executed = Executed {
            epoch: self.reading.generation().epoch,
            ..Executed::default()
        };
        Ok(())
    }

    async fn shutdown(&self, mode: ShutdownMode) -> Result<(), KernelError> {
        let graceful_millis = graceful_millis(mode);
        match self.ask(Request::Shutdown { graceful_millis }).await {
            Ok(Answer::Ended(death)) => {
                self.reading.generation().dialogue.router.note_death(&death);
                Ok(())
            }
            Ok(_) | Err(KernelError::Died(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn unfinished(&self) -> BoxStream<'static, Unfinished> {
        let found = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).take();
        match found {
            // All of them have been found when the kernel was reached.
            Some(mut found) => {
                found.close();
                stream::unfold(found, |mut found| async move { Some((found.recv().await?, found)) }).boxed()
            }
            None => stream::empty().boxed(),
        }
    }

    fn executed(&self) -> Executed {
        self.executed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn acknowledge(&self, position: u64) -> Result<(), KernelError> {
        match self.ask(Request::Acknowledge { position }).await {
            // Nobody keeps the record of a dead kernel but its folder.
            Err(KernelError::Died(_)) => {
                let noted = self.reading.connection.home().acknowledge(position);
                noted.map_err(|error| KernelError::io("note what of the kernel's record is kept elsewhere", error))
            }
            asked => asked.map(drop),
        }
    }
}
