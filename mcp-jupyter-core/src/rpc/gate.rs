//! What every call passes on its way in: who may come in, where that leads, and how long it took.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::future::BoxFuture;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::metrics::Metrics;
use super::token::Tokens;

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// A service for each namespace, behind its tokens.
#[derive(Clone, Debug)]
pub(super) struct Gate<S> {
    /// By their names; the one without a name is always there.
    spaces: Arc<HashMap<String, S>>,
    tokens: Arc<Tokens>,
    metrics: Arc<Metrics>,
}

impl<S> Gate<S> {
    pub(super) fn new(spaces: HashMap<String, S>, tokens: Tokens, metrics: Arc<Metrics>) -> Self {
        Self {
            spaces: Arc::new(spaces),
            tokens: Arc::new(tokens),
            metrics,
        }
    }

    fn space(&self, request: &Request) -> Result<&S, Status> {
        let shown = request.headers().get(http::header::AUTHORIZATION);
        let namespace = self.tokens.namespace_of(shown.map(http::HeaderValue::as_bytes));
        let namespace = namespace.map_err(Status::unauthenticated)?;
        let missing = || Status::unauthenticated("the token's namespace is not served here");
        self.spaces.get(namespace).ok_or_else(missing)
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request> for Gate<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Generated services are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (began, metrics) = (Instant::now(), Arc::clone(&self.metrics));
        let path = request.uri().path();
        let method = path.rsplit('/').next().unwrap_or_default().to_owned();
        let space = self.space(&request).cloned();
        Box::pin(async move {
            let response = match space {
                Ok(mut space) => space.call(request).await?,
                Err(status) => status.into_http(),
            };
            metrics.called(&method, code(&response), began.elapsed());
            Ok(response)
        })
    }
}

/// How a call was answered: what has failed says so in its head.
fn code(response: &Response) -> Code {
    let status = response.headers().get("grpc-status");
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}
