//! The client's side of a connection that comes back by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};

use super::away::{Pauses, WhenAway};
use super::breaker::Breaker;
use super::endpoint::Endpoint;
use super::pb::peer_service_client::PeerServiceClient;
use super::pb::{ServiceKind, VersionResponse};
use super::peer;
use super::token::Token;

/// How long one attempt of a call may take. A service that hangs is noticed sooner, by pings.
const ATTEMPT: Duration = Duration::from_secs(60);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a silent connection is tried, and how long the answer may take.
const PING: Duration = Duration::from_secs(3);
/// How many bytes may be on their way, so that large contents do not wait for each other's acknowledgement.
const WINDOW: u32 = 4 << 20;

/// How a client behaves.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// What happens while the service is away.
    pub when_away: WhenAway,
    /// What the client shows to be let in.
    pub token: Option<Token>,
    /// The certificate, as PEM, of whoever has signed the service's; the system's are trusted without one.
    pub authority: Option<Vec<u8>>,
    /// The client's own certificate and its private key, both as PEM, for services that ask for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why a call has failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The service is away, and it was not waited for any longer.
    Away(Status),
    /// The service and this client do not understand each other.
    Incompatible(String),
    /// The service does not let this client in.
    Denied(Status),
    /// The service has answered with an error.
    Answered(Status),
}

/// What one attempt of a call uses.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) channel: Channel,
    authorization: Option<tonic::metadata::AsciiMetadataValue>,
}

impl Attempt {
    /// A request with what every request has.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        request.set_timeout(ATTEMPT);
        request
    }

    /// A request that may take any time.
    pub(crate) fn stream<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

/// The way to one service.
#[derive(Debug)]
pub(crate) struct Link {
    endpoint: Endpoint,
    kind: ServiceKind,
    when_away: WhenAway,
    attempt: Attempt,
    breaker: Breaker,
    /// Whether the service at the other end is known to be one that this client understands.
    is_known: AtomicBool,
}

impl Link {
    /// Connects to a service that has to be of this kind.
    pub(crate) async fn open(
        endpoint: Endpoint,
        kind: ServiceKind,
        settings: &ClientSettings,
    ) -> Result<Self, Trouble> {
        let token = settings.token.as_ref().map(Token::header);
        let link = Self {
            kind,
            when_away: settings.when_away,
            attempt: Attempt {
                channel: channel(&endpoint, settings).map_err(Trouble::Incompatible)?,
                authorization: token.map(|header| header.parse().expect("a token is ASCII")),
            },
            endpoint,
            breaker: Breaker::default(),
            is_known: AtomicBool::new(false),
        };
        let first = Some(settings.when_away.first_patience());
        link.repeat(first, |_| async { Ok(()) }).await?;
        Ok(link)
    }

    /// Calls the service, as often as it takes: the call has to be one that can be repeated.
    pub(crate) async fn call<T, F>(&self, call: impl Fn(Attempt) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Status>>,
    {
        self.repeat(self.when_away.patience(), call).await
    }

    /// Calls the service, for so long at most.
    pub(crate) async fn call_within<T, F>(&self, limit: Duration, call: impl Fn(Attempt) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let limit = self.when_away.patience().map_or(limit, |patience| patience.min(limit));
        self.repeat(Some(limit), call).await
    }

    /// Whether what cannot be done now is to be waited for.
    pub(crate) fn waits(&self) -> bool {
        self.when_away == WhenAway::Wait
    }

    async fn repeat<T, F>(&self, patience: Option<Duration>, call: impl Fn(Attempt) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut pauses = Pauses::within(patience);
        let mut was_away = false;
        let mut last = Status::unavailable("the last calls had no answer");
        loop {
            if let Err(wait) = self.breaker.admit() {
                if pauses.pause_for(wait).await {
                    continue;
                }
                return Err(Trouble::Away(last));
            }
            let away = match self.try_once(&call).await {
                Err(Trouble::Away(status)) => status,
                done => {
                    self.breaker.succeeded();
                    if was_away && done.is_ok() {
                        tracing::warn!("{} is back", self.endpoint);
                    }
                    return done;
                }
            };
            self.is_known.store(false, Ordering::Relaxed);
            self.breaker.failed();
            if !pauses.pause().await {
                return Err(Trouble::Away(away));
            }
            if !was_away && patience.is_none() {
                tracing::warn!("{} is away ({}): waiting for it to return", self.endpoint, cause(&away));
            }
            was_away = true;
            last = away;
        }
    }

    async fn try_once<T, F>(&self, call: impl Fn(Attempt) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Status>>,
    {
        if !self.is_known.load(Ordering::Relaxed) {
            self.meet().await?;
            self.is_known.store(true, Ordering::Relaxed);
        }
        call(self.attempt.clone()).await.map_err(Trouble::of)
    }

    /// Asks the service what it is.
    async fn meet(&self) -> Result<(), Trouble> {
        let mut client = PeerServiceClient::new(self.attempt.channel.clone());
        let asked = client.version(self.attempt.request(peer::ours())).await;
        let theirs: VersionResponse = asked.map_err(|status| self.no_peer(status))?.into_inner();
        peer::check(&theirs, self.kind).map_err(|reason| Trouble::Incompatible(format!("{} {reason}", self.endpoint)))
    }

    /// What answers without knowing the question is something else.
    fn no_peer(&self, status: Status) -> Trouble {
        match Trouble::of(status) {
            Trouble::Answered(status) if status.code() == Code::Unimplemented => {
                Trouble::Incompatible(format!("{} is no service of MCP Jupyter", self.endpoint))
            }
            trouble => trouble,
        }
    }
}

impl Trouble {
    fn of(status: Status) -> Self {
        match status.code() {
            Code::Unauthenticated => Self::Denied(status),
            _ if is_away(&status) => Self::Away(status),
            _ => Self::Answered(status),
        }
    }
}

/// Whether a status says that there was no answer: it was made by the connection, or by a service that is about to end.
pub(crate) fn is_away(status: &Status) -> bool {
    use std::error::Error as _;
    let is_answer = !status.details().is_empty();
    let is_passing = matches!(
        status.code(),
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded
    );
    !is_answer && (is_passing || status.source().is_some())
}

/// What has happened, in a few words.
pub(crate) fn cause(status: &Status) -> String {
    use std::error::Error as _;

    let mut cause: &dyn std::error::Error = status;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match status.source() {
        Some(_) => cause.to_string(),
        None => status.message().to_owned(),
    }
}

fn channel(endpoint: &Endpoint, settings: &ClientSettings) -> Result<Channel, String> {
    let address = match endpoint {
        Endpoint::Tcp { authority, tls: false } => format!("http://{authority}"),
        Endpoint::Tcp { authority, tls: true } => format!("https://{authority}"),
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
    };
    let unusable = |error: tonic::transport::Error| format!("{endpoint}: {error}");
    let mut transport = tonic::transport::Endpoint::from_shared(address)
        .map_err(unusable)?
        .connect_timeout(CONNECT)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    if matches!(endpoint, Endpoint::Tcp { tls: true, .. }) {
        let tls = ClientTlsConfig::new();
        let tls = match &settings.authority {
            Some(authority) => tls.ca_certificate(Certificate::from_pem(authority)),
            None => tls.with_native_roots(),
        };
        let tls = match &settings.identity {
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
            None => tls,
        };
        transport = transport.tls_config(tls).map_err(unusable)?;
    }
    Ok(transport.connect_lazy())
}
