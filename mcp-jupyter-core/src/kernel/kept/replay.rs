use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::reading::Reading;
use super::spool::{Kind, Position, SpoolReader};
use crate::kernel::local::kernel::stream_of;
use crate::kernel::local::wire::{Codec, parent_id};
use crate::kernel::{Channel, Death, DispatchId, Execution, KernelError, Message};
use crate::model::Json;

/// Messages that wait for whoever reads a repeated execution.
const AHEAD: usize = 64;

/// An execution that was asked for before, read from the record: the kernel does not see it again.
pub(super) fn replay(
    reading: &Arc<Reading>,
    msg_id: String,
    position: Position,
    dispatch: Option<DispatchId>,
) -> Result<Execution, KernelError> {
    let home = reading.connection.home();
    if position < home.acknowledged() {
        let dispatch = dispatch.expect("only executions of runs are recognised");
        return Err(KernelError::Repeated {
            cell: dispatch.cell,
            attempt: dispatch.attempt,
        });
    }
    let (messages_tx, messages) = mpsc::channel(AHEAD);
    let replaying = Replaying {
        reader: SpoolReader::new(home.path().to_owned(), position),
        codec: reading.codec(),
        msg_id: msg_id.clone(),
        messages: messages_tx,
        replied: false,
        idle: false,
    };
    tokio::spawn(replaying.run(Arc::clone(reading)));
    Ok(Execution {
        msg_id,
        messages: stream_of(messages).boxed(),
        position: Some(position),
    })
}

struct Replaying {
    reader: SpoolReader,
    codec: Codec,
    msg_id: String,
    messages: mpsc::Sender<Result<Message, KernelError>>,
    replied: bool,
    idle: bool,
}

impl Replaying {
    async fn run(mut self, reading: Arc<Reading>) {
        let mut end = reading.connection.end();
        let mut silence = reading.connection.silence();
        while !(self.replied && self.idle) {
            let known = *end.borrow_and_update();
            let Ok(header) = self.reader.peek(known) else { return };
            let Some(header) = header else {
                let silent = silence.borrow_and_update().clone();
                if let Some(death) = silent {
                    return self.end(death).await;
                }
                tokio::select! {
                    biased;
                    () = self.messages.closed() => return,
                    _ = end.changed() => {}
                    _ = silence.changed() => {}
                }
                continue;
            };
            let Ok(record) = self.reader.read(&header) else { return };
            match (record.kind, record.channel) {
                (Kind::Received, Some(channel)) if parent_id(&record.parts) == Some(&self.msg_id) => {
                    if let Ok(message) = self.codec.decode(channel, &record.parts) {
                        self.give(message).await;
                    }
                }
                (Kind::Died, _) => {
                    let death = record
                        .parts
                        .first()
                        .and_then(|death| serde_json::from_slice(death).ok());
                    return self.end(death.unwrap_or_default()).await;
                }
                _ => {}
            }
        }
    }

    async fn give(&mut self, message: Message) {
        let state = message.content.get("execution_state").and_then(Json::as_str);
        self.idle |= message.channel == Channel::Iopub && state.as_deref() == Some("idle");
        self.replied |= message.channel == Channel::Shell;
        let _ = self.messages.send(Ok(message)).await;
    }

    async fn end(&self, death: Death) {
        let _ = self.messages.send(Err(KernelError::Died(death))).await;
    }
}
