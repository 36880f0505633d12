use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::link::Connection;
use super::packet::{Answer, Request, Sending, WireChannel};
use crate::kernel::local::dialogue::{Carried, Carrier, Letter};
use crate::kernel::{Channel, Death, KernelError};

/// Takes messages to a kernel by way of its keeper.
#[derive(Debug)]
pub(super) struct KeptCarrier {
    connection: Arc<Connection>,
    death: watch::Receiver<Option<Death>>,
}

impl KeptCarrier {
    pub(super) fn new(connection: Arc<Connection>, death: watch::Receiver<Option<Death>>) -> Self {
        Self { connection, death }
    }
}

#[async_trait]
impl Carrier for KeptCarrier {
    async fn carry(&self, letter: Letter) -> Result<Carried, KernelError> {
        let sending = Sending {
            channel: wire_channel(letter.channel)?,
            msg_id: letter.msg_id.clone(),
            execution: letter.execution,
        };
        self.connection.announce(&letter.msg_id);
        let request = Request::Send(sending);
        let asked = self.connection.ask(&request, &letter.frames, || {
            self.connection.is_recorded(&letter.msg_id).then_some(Answer::Done)
        });
        match asked.await? {
            Answer::Sent { position } => Ok(Carried::Sent(Some(position))),
            Answer::Repeated { msg_id, position } => Ok(Carried::Before(msg_id, position)),
            _ => Ok(Carried::Sent(None)),
        }
    }

    async fn death(&self) -> Death {
        let mut death = self.death.clone();
        let death = death.wait_for(Option::is_some).await;
        death.ok().and_then(|death| death.clone()).unwrap_or_default()
    }
}

fn wire_channel(channel: Channel) -> Result<WireChannel, KernelError> {
    match channel {
        Channel::Shell => Ok(WireChannel::Shell),
        Channel::Stdin => Ok(WireChannel::Stdin),
        Channel::Control => Ok(WireChannel::Control),
        Channel::Heartbeat => Ok(WireChannel::Heartbeat),
        Channel::Iopub => Err(KernelError::Unsupported {
            what: "sending on iopub".to_owned(),
            by: "a client".to_owned(),
        }),
    }
}
