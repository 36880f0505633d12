//! The page for whoever operates a service: what it counts, whether it lives, whether it can work.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::server::Backend;

/// `/metrics`, `/healthz` and `/readyz` of a service, over HTTP.
#[derive(Clone, Debug)]
pub struct Admin {
    pub(super) metrics: Arc<Metrics>,
    pub(super) backend: Backend,
}

#[derive(Clone, Debug)]
struct Shared {
    admin: Admin,
    stop: CancellationToken,
}

impl Admin {
    /// Answers until `stop` is cancelled.
    ///
    /// # Errors
    /// Where the socket fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        let shared = Shared {
            admin: self,
            stop: stop.clone(),
        };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(shared);
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        served.await
    }
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.admin.metrics.text())
}

/// Whether calls can be answered: not while it ends, nor while what is behind it cannot be used.
async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    if shared.stop.is_cancelled() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the service is about to end\n".to_owned(),
        );
    }
    match shared.admin.backend.is_usable().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
