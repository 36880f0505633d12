//! The server around a service: health, reflection, who may come in, and an end that breaks nothing off.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, Router};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic::{Request, Status};

use crate::assets::{AssetStore, service::AssetsOverGrpc};
use crate::scheduler::{Scheduler, service::SchedulerOverGrpc};

use super::DESCRIPTORS;
use super::endpoint::Endpoint;
use super::listener::{Listener, Socket};
use super::pb::ServiceKind;
use super::pb::asset_service_server::AssetServiceServer;
use super::pb::peer_service_server::PeerServiceServer;
use super::pb::scheduler_service_server::SchedulerServiceServer;
use super::peer::Peer;
use super::token::Token;

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
    /// The token that clients have to show; anybody who can connect may come in without one.
    pub token: Option<Token>,
    /// The certificate and its private key, both as PEM; nothing is encrypted without them.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The certificate, as PEM, of whoever signs those of clients; clients need none without it.
    pub client_authority: Option<Vec<u8>>,
    /// Listen where others can connect though nothing keeps them out.
    pub is_open_to_all: bool,
}

/// A service and what it needs to be one.
#[derive(Debug)]
pub struct Server {
    service: Service,
    settings: ServerSettings,
}

#[derive(Debug)]
enum Service {
    Scheduler(Arc<dyn Scheduler>),
    Assets(Arc<dyn AssetStore>),
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
    /// The certificate cannot be used, or the socket has failed.
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
            service: Service::Scheduler(scheduler),
            settings,
        }
    }

    /// Serves a store of assets.
    pub fn assets(store: Arc<dyn AssetStore>, settings: ServerSettings) -> Self {
        Self {
            service: Service::Assets(store),
            settings,
        }
    }

    /// Whether it may serve there.
    ///
    /// # Errors
    /// [`ServeError::Unprotected`].
    pub fn check(&self, listener: &Listener) -> Result<(), ServeError> {
        let settings = &self.settings;
        let missing = match (&settings.token, &settings.identity) {
            _ if settings.is_open_to_all || !listener.is_public() => return Ok(()),
            (Some(_), Some(_)) => return Ok(()),
            (None, None) => "a token and a certificate are",
            (None, Some(_)) => "a token is",
            (Some(_), None) => "a certificate is",
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
        if let Some((certificate, key)) = &self.settings.identity {
            let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            if let Some(authority) = &self.settings.client_authority {
                tls = tls.client_ca_root(Certificate::from_pem(authority));
            }
            server = server.tls_config(tls)?;
        }
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let (health, health_service) = tonic_health::server::health_reporter();
        let token = self.settings.token;
        let check = move |request: Request<()>| let_in(token.as_ref(), request);
        let router = server
            .add_service(health_service)
            .add_service(reflection.build_v1()?)
            .add_service(PeerServiceServer::new(self.service.peer()));
        let router = match self.service {
            Service::Scheduler(scheduler) => {
                health.set_serving::<SchedulerServiceServer<SchedulerOverGrpc>>().await;
                let service = SchedulerServiceServer::new(SchedulerOverGrpc::new(scheduler, stop.clone()))
                    .max_decoding_message_size(LARGEST_MESSAGE)
                    .max_encoding_message_size(LARGEST_MESSAGE);
                router.add_service(tonic::service::interceptor::InterceptedService::new(service, check))
            }
            Service::Assets(store) => {
                health.set_serving::<AssetServiceServer<AssetsOverGrpc>>().await;
                let service = AssetServiceServer::new(AssetsOverGrpc::new(store));
                router.add_service(tonic::service::interceptor::InterceptedService::new(service, check))
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
    fn peer(&self) -> Peer {
        match self {
            Self::Scheduler(scheduler) => Peer {
                kind: ServiceKind::Scheduler,
                backend: scheduler.to_string(),
            },
            Self::Assets(store) => Peer {
                kind: ServiceKind::Assets,
                backend: store.to_string(),
            },
        }
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

fn let_in(token: Option<&Token>, request: Request<()>) -> Result<Request<()>, Status> {
    let Some(token) = token else { return Ok(request) };
    let shown = request.metadata().get("authorization");
    match shown {
        Some(header) if token.is_in(header.as_bytes()) => Ok(request),
        Some(_) => Err(Status::unauthenticated("the token is not the service's")),
        None => Err(Status::unauthenticated(
            "the service asks for a token, and none was given",
        )),
    }
}
