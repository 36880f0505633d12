//! The server around a service: health, reflection, who may come in, and an end that breaks nothing off.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::assets::{AssetStore, service::AssetsOverGrpc};
use crate::error::ErrorKind;
use crate::model::Digest;
use crate::scheduler::{Scheduler, service::SchedulerOverGrpc};
use futures_util::{Stream, stream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, Router};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::DESCRIPTORS;
use super::admin::Admin;
use super::asset_pages::AssetPages;
use super::endpoint::Endpoint;
use super::gate::Gate;
use super::listener::{Listener, Socket};
use super::metrics::Metrics;
use super::pb::ServiceKind;
use super::pb::asset_service_server::AssetServiceServer;
use super::pb::peer_service_server::PeerServiceServer;
use super::pb::scheduler_service_server::SchedulerServiceServer;
use super::peer::Peer;
use super::token::Tokens;
use super::url_key::UrlKey;

/// How long calls in progress may take once the service is to end.
const DRAIN: Duration = Duration::from_secs(10);
/// How often a silent connection is tried, and how long the answer may take: a client that is gone is noticed.
const PING: Duration = Duration::from_secs(5);
/// How many bytes may be on their way.
const WINDOW: u32 = 4 << 20;
/// The largest message: all runs of a session with all their cells.
pub(crate) const LARGEST_MESSAGE: usize = 256 << 20;

/// Who may come in, and how.
#[derive(Clone, Debug, Default)]
pub struct ServerSettings {
    /// The tokens that clients have to show one of; anybody who can connect may come in without any.
    pub tokens: Tokens,
    /// The certificate and its private key, both as PEM; nothing is encrypted without them.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The certificate, as PEM, of whoever signs those of clients; clients need none without it.
    pub client_authority: Option<Vec<u8>>,
    /// Listen where others can connect though nothing keeps them out.
    pub is_open_to_all: bool,
    /// What a scheduler's clients may take.
    pub limits: Limits,
    /// Higher than that of any service before this one over the same journal; it goes with every cell that is handed out.
    pub fencing_token: u64,
}

/// How many runs a scheduler service holds at a time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub runs: usize,
    /// For one client: the service stays fair where one of them begins many.
    pub runs_per_client: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            runs: 10_000,
            runs_per_client: 2_000,
        }
    }
}

/// A service and what it needs to be one.
#[derive(Debug)]
pub struct Server {
    service: Service,
    settings: ServerSettings,
    metrics: Arc<Metrics>,
}

/// One backend for each namespace, by its name; the first has none.
#[derive(Debug)]
enum Service {
    Scheduler(Vec<(String, Arc<dyn Scheduler>)>),
    Assets(Vec<(String, Arc<dyn AssetStore>)>),
}

/// What is behind a service.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    Scheduler(Arc<dyn Scheduler>),
    Assets(Arc<dyn AssetStore>),
}

impl Backend {
    /// Whether it answers. That it knows nothing of what it is asked for is an answer.
    pub(super) async fn is_usable(&self) -> Result<(), String> {
        let kind = match self {
            Self::Scheduler(scheduler) => match scheduler.runs(&"readiness".into()).await {
                Err(error) if error.kind() != ErrorKind::NotFound => error.to_string(),
                _ => return Ok(()),
            },
            Self::Assets(store) => match store.head(&Digest::of(b"")).await {
                Err(error) if error.kind() != ErrorKind::NotFound => error.to_string(),
                _ => return Ok(()),
            },
        };
        Err(kind)
    }
}

/// What keeps a service from serving.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Others could connect, and nothing would keep them out.
    #[error(
        "{address} can be reached from other machines, and {missing} missing: give both, or listen on 127.0.0.1 or a unix socket"
    )]
    Unprotected {
        /// Where it was to listen.
        address: String,
        /// What is missing.
        missing: &'static str,
    },
    /// The certificate or its key cannot be used.
    #[error("the certificate of {address} cannot be used")]
    Certificate {
        /// Where it was to serve.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The socket has failed.
    #[error("cannot serve on {address}")]
    Transport {
        /// Where it was to serve.
        address: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Server {
    /// Serves a scheduler.
    pub fn scheduler(scheduler: Arc<dyn Scheduler>, settings: ServerSettings) -> Self {
        Self {
            service: Service::Scheduler(vec![(String::new(), scheduler)]),
            settings,
            metrics: Arc::default(),
        }
    }

    /// Serves a store of assets.
    pub fn assets(store: Arc<dyn AssetStore>, settings: ServerSettings) -> Self {
        Self {
            service: Service::Assets(vec![(String::new(), store)]),
            settings,
            metrics: Arc::default(),
        }
    }

    /// Serves another scheduler to those whose token leads to this namespace; without effect on a server of assets.
    #[must_use]
    pub fn with_scheduler_for(mut self, namespace: &str, scheduler: Arc<dyn Scheduler>) -> Self {
        if let Service::Scheduler(spaces) = &mut self.service {
            spaces.push((namespace.to_owned(), scheduler));
        }
        self
    }

    /// Serves another store to those whose token leads to this namespace; without effect on a server of a scheduler.
    #[must_use]
    pub fn with_assets_for(mut self, namespace: &str, store: Arc<dyn AssetStore>) -> Self {
        if let Service::Assets(spaces) = &mut self.service {
            spaces.push((namespace.to_owned(), store));
        }
        self
    }

    /// The page for whoever operates it.
    pub fn admin(&self) -> Admin {
        Admin {
            metrics: Arc::clone(&self.metrics),
            backend: self.service.backend(),
        }
    }

    /// The assets over HTTP, with a key for signed URLs if there are any; none where it serves a scheduler.
    pub fn asset_pages(&self, key: Option<UrlKey>) -> Option<AssetPages> {
        let Service::Assets(spaces) = &self.service else {
            return None;
        };
        Some(AssetPages {
            spaces: spaces.iter().cloned().collect(),
            tokens: self.settings.tokens.clone(),
            key,
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// Whether it may serve there.
    ///
    /// # Errors
    /// [`ServeError::Unprotected`].
    pub fn check(&self, listener: &Listener) -> Result<(), ServeError> {
        let settings = &self.settings;
        let missing = match (settings.tokens.is_empty(), &settings.identity) {
            _ if settings.is_open_to_all || !listener.is_public() => return Ok(()),
            (false, Some(_)) => return Ok(()),
            (true, None) => "a token and a certificate are",
            (true, Some(_)) => "a token is",
            (false, None) => "a certificate is",
        };
        Err(ServeError::Unprotected {
            address: self.endpoint(listener).to_string(),
            missing,
        })
    }

    /// Where clients reach it.
    pub fn endpoint(&self, listener: &Listener) -> Endpoint {
        listener.endpoint(self.settings.identity.is_some())
    }

    /// Serves until `stop` is cancelled; calls in progress then end, and those who follow runs are told to come back.
    ///
    /// # Errors
    /// As [`Server::check`], and where the certificate or the socket cannot be used.
    pub async fn serve(self, listener: Listener, stop: CancellationToken) -> Result<(), ServeError> {
        self.check(&listener)?;
        let address = self.endpoint(&listener).to_string();
        self.settings.check(&address)?;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ServeError::Transport { address, source };
        let router = match self.router(&stop).await {
            Ok(router) => router,
            Err(error) => return Err(failed(error)),
        };
        let served = match listener.socket {
            Socket::Tcp(listener, _) => {
                let connections = stream::poll_fn(move |context| {
                    let accepted = std::task::ready!(listener.poll_accept(context));
                    Poll::Ready(Some(accepted.and_then(|(stream, _)| {
                        stream.set_nodelay(true)?;
                        Ok(stream)
                    })))
                });
                serve_on(router, connections, &stop).await
            }
            Socket::Unix(listener, _file) => {
                let connections = stream::poll_fn(move |context| {
                    let accepted = std::task::ready!(listener.poll_accept(context));
                    Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
                });
                serve_on(router, connections, &stop).await
            }
        };
        served.map_err(|error| failed(error.into()))
    }

    async fn router(self, stop: &CancellationToken) -> Result<Router, Box<dyn std::error::Error + Send + Sync>> {
        let mut server = tonic::transport::Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .http2_keepalive_interval(Some(PING))
            .http2_keepalive_timeout(Some(PING));
        if let Some(tls) = self.settings.tls() {
            server = server.tls_config(tls)?;
        }
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let (health, health_service) = tonic_health::server::health_reporter();
        let router = server
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            // What Python's and most other clients still ask for.
            .add_service(reflection().build_v1alpha()?)
            .add_service(PeerServiceServer::new(self.service.peer()));
        let (tokens, metrics) = (self.settings.tokens.clone(), Arc::clone(&self.metrics));
        let router = match self.service {
            Service::Scheduler(spaces) => {
                health.set_serving::<SchedulerServiceServer<SchedulerOverGrpc>>().await;
                let serve = |scheduler| {
                    let service = SchedulerOverGrpc::new(scheduler, &self.settings, &metrics, stop);
                    SchedulerServiceServer::new(service)
                        .max_decoding_message_size(LARGEST_MESSAGE)
                        .max_encoding_message_size(LARGEST_MESSAGE)
                };
                let spaces = spaces.into_iter().map(|(name, scheduler)| (name, serve(scheduler)));
                router.add_service(Gate::new(spaces.collect(), tokens, metrics))
            }
            Service::Assets(spaces) => {
                health.set_serving::<AssetServiceServer<AssetsOverGrpc>>().await;
                let serve = |store| AssetServiceServer::new(AssetsOverGrpc::new(store, &metrics));
                let spaces = spaces.into_iter().map(|(name, store)| (name, serve(store)));
                router.add_service(Gate::new(spaces.collect(), tokens, Arc::clone(&self.metrics)))
            }
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            health
                .set_not_serving::<SchedulerServiceServer<SchedulerOverGrpc>>()
                .await;
            health.set_not_serving::<AssetServiceServer<AssetsOverGrpc>>().await;
            health
                .set_service_status("", tonic_health::ServingStatus::NotServing)
                .await;
        });
        Ok(router)
    }
}

impl Service {
    fn backend(&self) -> Backend {
        match self {
            Self::Scheduler(spaces) => Backend::Scheduler(Arc::clone(&spaces[0].1)),
            Self::Assets(spaces) => Backend::Assets(Arc::clone(&spaces[0].1)),
        }
    }

    fn peer(&self) -> Peer {
        match self.backend() {
            Backend::Scheduler(scheduler) => Peer {
                kind: ServiceKind::Scheduler,
                backend: scheduler.to_string(),
            },
            Backend::Assets(store) => Peer {
                kind: ServiceKind::Assets,
                backend: store.to_string(),
            },
        }
    }
}

impl ServerSettings {
    /// How connections are encrypted; not at all if none.
    fn tls(&self) -> Option<ServerTlsConfig> {
        let (certificate, key) = self.identity.as_ref()?;
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Some(match &self.client_authority {
            Some(authority) => tls.client_ca_root(Certificate::from_pem(authority)),
            None => tls,
        })
    }

    /// Whether certificate and key can be used.
    ///
    /// # Errors
    /// [`ServeError::Certificate`] where they cannot.
    pub fn check(&self, address: &str) -> Result<(), ServeError> {
        let Some(tls) = self.tls() else { return Ok(()) };
        let used = tonic::transport::Server::builder().tls_config(tls);
        used.map(drop).map_err(|error| ServeError::Certificate {
            address: address.to_owned(),
            source: error.into(),
        })
    }
}

async fn serve_on<S>(
    router: Router,
    connections: impl Stream<Item = Result<S, std::io::Error>>,
    stop: &CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
{
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = router.serve_with_incoming_shutdown(connections, stop.cancelled()) => served,
        () = late => Ok(()),
    }
}
