//! Taking over a kernel whose keeper was killed.

use std::sync::Arc;

use tokio::net::UnixListener;

use super::super::home::{Description, Home};
use super::super::spool::{Kind, Spool};
use super::Keeper;
use super::begin::{failed, keeping};
use super::recorder::{Recorder, Requests};
use super::table::Table;
use crate::kernel::local::connection_file::{Connection, Folder};
use crate::kernel::local::kernel::{LocalKernel, Taken};
use crate::kernel::local::process::Process;
use crate::kernel::{Channel, Kernel, KernelError};
use crate::model::{Json, JsonMap};

/// Takes over a kernel whose keeper is gone. What it has said meanwhile is lost, which the record tells; what was asked
/// of it and is answered to nobody is found by a request that it answers after those.
pub(super) async fn adopt(home: Home) -> Result<(Arc<Keeper>, UnixListener), KernelError> {
    let description = home.description().map_err(|error| failed(&home, error))?;
    let connection = Connection::reopen(description.connection.clone());
    let dir = connection.hold_dir();
    let adopted = take_over(home, description, connection).await;
    if adopted.is_err() {
        // The kernel listens in it, and the next keeper may reach it.
        std::mem::forget(dir);
    }
    adopted
}

async fn take_over(
    home: Home,
    mut description: Description,
    connection: Connection,
) -> Result<(Arc<Keeper>, UnixListener), KernelError> {
    let gone = || KernelError::Died(description.death.clone().unwrap_or_default());
    let born = description.born.clone().ok_or_else(gone)?;
    let process =
        Process::adopt(description.generation.pid, &born, home.log()).map_err(|error| failed(&home, error))?;
    let process = process.ok_or_else(gone)?;
    let spool = Spool::reopen(home.path(), description.spool_limit).map_err(|error| failed(&home, error))?;
    let requests = Requests::read(&home);
    let table = recall(&home, &description, &requests);
    let next_epoch = description.generation.epoch + 1;
    let recorder = Arc::new(Recorder::new(home.clone(), spool, table, next_epoch));
    let adopted = serde_json::json!({ "keeper_pid": std::process::id() });
    recorder
        .tell(Kind::Adopted, &adopted)
        .map_err(|error| failed(&home, error))?;
    let keeping = keeping(&home, &recorder, description.generation.key.clone());
    let info = match &description.generation.info {
        Json::Object(info) => info.clone(),
        _ => JsonMap::new(),
    };
    let taken = Taken {
        process,
        connection,
        info,
    };
    let (id, request) = (description.kernel_id.clone(), description.request.clone());
    let kernel = LocalKernel::adopt(id, request, description.transport, keeping, taken).await?;
    let _ = std::fs::remove_dir_all(&description.socket_dir);
    let socket_dir = Folder::that_outlives_us().map_err(|error| failed(&home, error))?;
    description.socket_dir.clone_from(&socket_dir.0);
    description.keeper_pid = std::process::id();
    let (keeper, listener) = Keeper::open(home, kernel, recorder, description, socket_dir)?;
    tokio::spawn(settle(Arc::clone(&keeper), requests.unanswered()));
    Ok((keeper, listener))
}

/// A kernel answers one request of its shell after the other: where a later one is answered, nothing more will be said
/// to the earlier ones.
async fn settle(keeper: Arc<Keeper>, unanswered: Vec<String>) {
    if unanswered.is_empty() {
        return;
    }
    let probe = keeper
        .kernel
        .request(Channel::Shell, "kernel_info_request", JsonMap::new());
    if probe.await.is_ok()
        && let Err(error) = keeper.recorder.settle(&unanswered)
    {
        tracing::error!(%error, "what was lost was not recorded");
    }
}

/// What the keeper before us has sent, and which of that has ended by its record.
fn recall(home: &Home, description: &Description, requests: &Requests) -> Table {
    let mut table = Table::default();
    for noted in home.executions() {
        let is_of_this_process = noted.epoch == description.generation.epoch;
        let msg_id = noted.msg_id.clone();
        table.remember(noted);
        if is_of_this_process {
            table.executed += 1;
        } else {
            table.replied(&msg_id);
            table.idle(&msg_id);
        }
    }
    for (sending, position) in &requests.sent {
        if let Some(order) = sending.execution.as_ref().filter(|order| order.dispatch.is_none()) {
            table.sent(sending.msg_id.clone(), order.dispatch.clone(), *position);
        }
    }
    requests.replied.iter().for_each(|msg_id| table.replied(msg_id));
    requests.idle.iter().for_each(|msg_id| table.idle(msg_id));
    table
}
