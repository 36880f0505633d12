//! Telling clients what has changed.
//!
//! A resource changes by this server, by other programs that execute or edit, and by the death of a kernel, of which
//! nobody tells. So what is watched is looked at again and again, at a cost that is a fraction of the time.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_jupyter_core::session::SessionRecord;
use mcp_jupyter_core::session::notebook::Notebook;
use rmcp::RoleServer;
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionSink};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{Address, all};
use crate::mcp::answer::Refusal;
use crate::mcp::server::Server;
use crate::mcp::show::run_state;

/// How long is waited between two looks, at least.
const PAUSE: Duration = Duration::from_millis(250);

/// How many times as long as looking takes.
const REST: u32 = 20;

/// What one client watches.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Subscriptions {
    wanted: Arc<Mutex<Wanted>>,
    watcher: Mutex<Option<AbortOnDropHandle<()>>>,
    /// What subscriptions that are about to begin are to be compared with.
    begun: Mutex<Wanted>,
}

/// What is watched, as it was when it was looked at last.
#[derive(Debug, Default)]
struct Wanted {
    resources: BTreeMap<String, u64>,
    list: Option<u64>,
}

/// Who is told.
#[derive(Clone, Debug)]
enum Listener {
    /// A session of the revisions before 2026-07-28.
    Session(Peer<RoleServer>),
    Subscription(SubscriptionSink),
}

impl Listener {
    /// False where nobody listens any more.
    async fn tell_updated(&self, uri: &str) -> bool {
        match self {
            Self::Session(peer) => {
                let update = ResourceUpdatedNotificationParam::new(uri);
                peer.notify_resource_updated(update).await.is_ok()
            }
            Self::Subscription(sink) => sink.notify_resource_updated(uri).await.is_ok(),
        }
    }

    async fn tell_list_changed(&self) -> bool {
        match self {
            Self::Session(peer) => peer.notify_resource_list_changed().await.is_ok(),
            Self::Subscription(sink) => sink.notify_resource_list_changed().await.is_ok(),
        }
    }
}

impl Subscriptions {
    /// Watches a resource from now on.
    pub(in crate::mcp) async fn add(
        &self,
        server: &Arc<Server>,
        peer: &Peer<RoleServer>,
        uri: String,
        offered: Vec<&'static str>,
    ) -> Result<(), Refusal> {
        let version = version(server, &uri, &offered).await?;
        lock(&self.wanted).resources.insert(uri, version);
        self.watch(server, peer, offered);
        Ok(())
    }

    pub(in crate::mcp) fn remove(&self, uri: &str) {
        lock(&self.wanted).resources.remove(uri);
    }

    /// Watches which resources there are, once the client has asked.
    pub(in crate::mcp) async fn add_list(
        &self,
        server: &Arc<Server>,
        peer: &Peer<RoleServer>,
        offered: Vec<&'static str>,
    ) {
        let Ok(version) = list_version(server, &offered).await else {
            return;
        };
        lock(&self.wanted).list = Some(version);
        self.watch(server, peer, offered);
    }

    fn watch(&self, server: &Arc<Server>, peer: &Peer<RoleServer>, offered: Vec<&'static str>) {
        let mut watcher = lock(&self.watcher);
        if watcher.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
            let listener = Listener::Session(peer.clone());
            let watching = watch(Arc::clone(server), Arc::clone(&self.wanted), listener, offered);
            *watcher = Some(AbortOnDropHandle::new(tokio::spawn(watching)));
        }
    }

    /// Which of the resources that a subscription of the revision 2026-07-28 asks for there are. From now on it is told of
    /// every change: it begins by being told that it has begun, which is before [`Subscriptions::listen`] is called.
    pub(in crate::mcp) fn begin(
        &self,
        server: &Arc<Server>,
        requested: &SubscriptionFilter,
        offered: &[&str],
    ) -> SubscriptionFilter {
        let uris = requested.resource_subscriptions.iter().flatten();
        let list = requested.resources_list_changed == Some(true);
        // The call that this answers cannot wait in another way.
        let found = block_in_place(|| Handle::current().block_on(look(server, uris, list, offered)));
        let mut accepted = SubscriptionFilter::new();
        accepted.resources_list_changed = found.list.map(|_| true);
        let known: Vec<String> = found.resources.keys().cloned().collect();
        accepted.resource_subscriptions = Some(known).filter(|known| !known.is_empty());
        let mut begun = lock(&self.begun);
        begun.list = begun.list.or(found.list);
        for (uri, version) in found.resources {
            // Of two that begin at once both are told of what the first one has to hear.
            begun.resources.entry(uri).or_insert(version);
        }
        accepted
    }

    /// Tells a subscription what it wants to hear, until it ends.
    pub(in crate::mcp) async fn listen(
        &self,
        server: &Arc<Server>,
        sink: &SubscriptionSink,
        offered: Vec<&'static str>,
    ) {
        let uris: Vec<&String> = sink.accepted().resource_subscriptions.iter().flatten().collect();
        let list = sink.accepted().resources_list_changed == Some(true);
        let mut wanted = look(server, uris.into_iter(), list, &offered).await;
        {
            let mut begun = lock(&self.begun);
            for (uri, version) in &mut wanted.resources {
                *version = begun.resources.remove(uri).unwrap_or(*version);
            }
            if list {
                wanted.list = begun.list.take().or(wanted.list);
            }
        }
        let listener = Listener::Subscription(sink.clone());
        watch(Arc::clone(server), Arc::new(Mutex::new(wanted)), listener, offered).await;
    }
}

/// Resources as they are now, without those that there are not.
async fn look(server: &Arc<Server>, uris: impl Iterator<Item = &String>, list: bool, offered: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    for uri in uris {
        if let Ok(version) = version(server, uri, offered).await {
            wanted.resources.insert(uri.clone(), version);
        }
    }
    if list {
        wanted.list = list_version(server, offered).await.ok();
    }
    wanted
}

async fn watch(server: Arc<Server>, wanted: Arc<Mutex<Wanted>>, listener: Listener, offered: Vec<&'static str>) {
    loop {
        let begun = Instant::now();
        let uris: Vec<String> = lock(&wanted).resources.keys().cloned().collect();
        for uri in uris {
            let Ok(now) = version(&server, &uri, &offered).await else {
                continue;
            };
            let known = lock(&wanted)
                .resources
                .get_mut(&uri)
                .map(|known| std::mem::replace(known, now));
            if known.is_some_and(|known| known != now) && !listener.tell_updated(&uri).await {
                return;
            }
        }
        let known = lock(&wanted).list;
        if let Some(known) = known
            && let Ok(now) = list_version(&server, &offered).await
            && now != known
        {
            lock(&wanted).list = Some(now);
            if !listener.tell_list_changed().await {
                return;
            }
        }
        sleep(PAUSE.max(begun.elapsed() * REST)).await;
    }
}

/// What changes whenever the resource does.
async fn version(server: &Arc<Server>, uri: &str, offered: &[&str]) -> Result<u64, Refusal> {
    let address = Address::offered(uri, offered)?;
    let mut hasher = DefaultHasher::new();
    match address {
        Address::Outline { path } => {
            let (_, notebook) = server.peek(&path).await?;
            notebook.revision().hash(&mut hasher);
            kernel_version(server, &path).await?.hash(&mut hasher);
        }
        Address::Cell { path, cell } => hash_cell(&server.peek(&path).await?.1, &cell, None, &mut hasher)?,
        Address::Output { path, cell, output, .. } => {
            hash_cell(&server.peek(&path).await?.1, &cell, Some(output), &mut hasher)?;
        }
        // Its digest is what it is.
        Address::Asset { digest, .. } => digest.hash(&mut hasher),
        Address::Kernel { path } => kernel_version(server, &path).await?.hash(&mut hasher),
        Address::Run { run, .. } => {
            if let Some(log) = server.run(&run) {
                (log.news(u64::MAX).cursor, run_state(&log)).hash(&mut hasher);
            }
        }
    }
    Ok(hasher.finish())
}

fn hash_cell(
    notebook: &Notebook,
    cell: &str,
    output: Option<usize>,
    hasher: &mut DefaultHasher,
) -> Result<(), Refusal> {
    let cell = &notebook.cells()[notebook.find(cell)?];
    match output {
        Some(output) => cell.outputs().get(output).map(ToString::to_string).hash(hasher),
        None => {
            (cell.source(), cell.execution_count()).hash(hasher);
            for output in cell.outputs() {
                output.to_string().hash(hasher);
            }
        }
    }
    Ok(())
}

async fn list_version(server: &Arc<Server>, offered: &[&str]) -> Result<u64, Refusal> {
    let mut hasher = DefaultHasher::new();
    for resource in all(server, offered).await? {
        resource.uri.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Which process the kernel is, and whether this server executes there.
async fn kernel_version(server: &Server, path: &str) -> Result<String, Refusal> {
    let Some(record) = record(server, path).await? else {
        return Ok(String::new());
    };
    let kernel = record.kernel.as_ref();
    let found = kernel.and_then(|kernel| server.sessions.kernels().find(&kernel.kernel_id));
    let found = found.map(|found| (found.pid, found.epoch, found.is_alive));
    let executing = server.lane(&record.id).current().is_some_and(|log| !log.has_ended());
    Ok(format!("{found:?} {executing}"))
}

async fn record(server: &Server, path: &str) -> Result<Option<SessionRecord>, Refusal> {
    let path = server.notebook_file(path)?;
    Ok(server.sessions.store().find(&path).await?)
}

/// What there is to know of a notebook's kernel.
pub(super) async fn kernel_state(server: &Server, path: &str) -> Result<Value, Refusal> {
    let none = json!({ "path": path, "state": "none" });
    let Some(record) = record(server, path).await? else {
        return Ok(none);
    };
    let Some(kernel) = &record.kernel else {
        return Ok(none);
    };
    let found = server.sessions.kernels().find(&kernel.kernel_id);
    let Some(found) = found.filter(|found| found.is_alive) else {
        return Ok(json!({ "path": path, "state": "dead", "kernelspec": kernel.spec.name }));
    };
    let is_executing = server.sessions.try_take_turn(&record.id)?.is_err();
    Ok(json!({
        "path": path,
        "state": if is_executing { "executing" } else { "idle" },
        "kernelspec": kernel.spec.name,
        "language": kernel.spec.language,
        "pid": found.pid,
        "restarts": found.epoch,
        "since": found.started,
        "memory_bytes": found.usage.map(|usage| usage.memory_bytes),
    }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
