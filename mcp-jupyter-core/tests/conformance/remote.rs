//! Services in front of the backends: each on a runtime of its own, whose end is like that of a process.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mcp_jupyter_core::assets::conformance::Fixture as AssetFixture;
use mcp_jupyter_core::assets::{AssetStore, RemoteAssets};
use mcp_jupyter_core::model::Digest;
use mcp_jupyter_core::rpc::{ClientSettings, Endpoint, ListenAddress, Listener, Server, ServerSettings};
use mcp_jupyter_core::scheduler::conformance::Fixture as SchedulerFixture;
use mcp_jupyter_core::scheduler::journal::conformance::Fixture as JournalFixture;
use mcp_jupyter_core::scheduler::{Journal, LocalScheduler, RemoteScheduler, Scheduler};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A service that serves until it is dropped.
#[derive(Debug)]
struct Service {
    endpoint: Endpoint,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    /// Serves there once it is returned.
    async fn start(address: &str, make: impl FnOnce() -> Server + Send + 'static) -> Self {
        let address: ListenAddress = address.parse().unwrap();
        let (ready, endpoint) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let serve = async move {
            let listener = Listener::bind(&address).await.unwrap();
            let server = make();
            ready.send(server.endpoint(&listener)).unwrap();
            tokio::select! {
                served = server.serve(listener, CancellationToken::new()) => served.unwrap(),
                _ = ended => {}
            }
        };
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve);
        });
        Self {
            endpoint: endpoint.await.unwrap(),
            end: Some(end),
            thread: Some(thread),
        }
    }
}

impl Drop for Service {
    /// As a process that is killed: nothing is told to anybody, and nothing is left of it.
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A service in front of a store.
#[derive(Debug)]
pub(crate) struct Assets<F> {
    behind: F,
    service: Mutex<Option<Service>>,
}

impl<F: AssetFixture> Assets<F> {
    pub(crate) fn over(behind: F) -> Self {
        Self {
            behind,
            service: Mutex::default(),
        }
    }
}

async fn reach(endpoint: Endpoint) -> Arc<dyn AssetStore> {
    let remote = RemoteAssets::connect(endpoint, &ClientSettings::default()).await;
    Arc::new(remote.unwrap())
}

#[async_trait]
impl<F: AssetFixture> AssetFixture for Assets<F> {
    async fn store(&self) -> Arc<dyn AssetStore> {
        let store = self.behind.store().await;
        let service = Service::start("127.0.0.1:0", || Server::assets(store, ServerSettings::default())).await;
        let endpoint = service.endpoint.clone();
        *self.service.lock().unwrap() = Some(service);
        reach(endpoint).await
    }

    async fn again(&self) -> Arc<dyn AssetStore> {
        let endpoint = self
            .service
            .lock()
            .unwrap()
            .as_ref()
            .map(|service| service.endpoint.clone());
        reach(endpoint.unwrap()).await
    }

    async fn plant(&self, asset: &Digest) -> bool {
        self.behind.plant(asset).await
    }

    async fn is_planted(&self) -> bool {
        self.behind.is_planted().await
    }
}

/// A service in front of a scheduler over a journal.
#[derive(Debug)]
pub(crate) struct Scheduling<F> {
    journal: F,
    folder: TempDir,
    service: Mutex<Option<Service>>,
}

impl<F: JournalFixture> Scheduling<F> {
    pub(crate) fn over(journal: F) -> Self {
        Self {
            journal,
            folder: tempfile::tempdir().unwrap(),
            service: Mutex::default(),
        }
    }

    async fn serve(&self, journal: Arc<dyn Journal>) -> Arc<dyn Scheduler> {
        drop(self.service.lock().unwrap().take());
        let address = format!("unix://{}", self.folder.path().join("service.sock").display());
        let make = || Server::scheduler(Arc::new(LocalScheduler::new(journal)), ServerSettings::default());
        let service = Service::start(&address, make).await;
        let endpoint = service.endpoint.clone();
        *self.service.lock().unwrap() = Some(service);
        let remote = RemoteScheduler::connect(endpoint, &ClientSettings::default()).await;
        Arc::new(remote.unwrap())
    }
}

#[async_trait]
impl<F: JournalFixture> SchedulerFixture for Scheduling<F> {
    async fn scheduler(&self) -> Arc<dyn Scheduler> {
        self.serve(self.journal.journal().await).await
    }

    async fn reopen(&self) -> Arc<dyn Scheduler> {
        self.serve(self.journal.reopen().await).await
    }
}
