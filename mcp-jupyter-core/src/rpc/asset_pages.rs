//! Assets over HTTP, for browsers and whatever else speaks no gRPC: `GET /assets/{digest}`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::token::Tokens;
use super::url_key::UrlKey;
use crate::assets::{AssetMetadata, AssetStore};
use crate::error::ErrorKind;
use crate::model::Digest;

/// The assets of a service's namespaces, to whoever shows a token or a signature.
#[derive(Clone, Debug)]
pub struct AssetPages {
    pub(super) spaces: HashMap<String, Arc<dyn AssetStore>>,
    pub(super) tokens: Tokens,
    pub(super) key: Option<UrlKey>,
    pub(super) metrics: Arc<Metrics>,
}

/// What a signed URL says after its path.
#[derive(Debug, serde::Deserialize)]
struct Signed {
    expires: Option<i64>,
    #[serde(default)]
    namespace: String,
    signature: Option<String>,
}

/// Which assets are open, and who may keep a copy.
struct Access {
    namespace: String,
    caching: String,
}

/// Why nothing is given.
struct Refusal {
    status: StatusCode,
    reason: &'static str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.reason)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let ask = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response
    }
}

/// What of an asset is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Range(Range<u64>),
    /// A range in which there is nothing.
    Nothing,
}

impl AssetPages {
    /// Answers until `stop` is cancelled.
    ///
    /// # Errors
    /// Where the socket fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        let router = Router::new()
            .route("/assets/{digest}", get(asset))
            .with_state(Arc::new(self));
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        served.await
    }

    fn access(&self, digest: &Digest, signed: &Signed, headers: &HeaderMap) -> Result<Access, Refusal> {
        if let Some(signature) = &signed.signature {
            return self.signed(digest, signed, signature);
        }
        let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        match self.tokens.namespace_of(shown) {
            Ok(namespace) => Ok(Access {
                namespace: namespace.to_owned(),
                caching: "private, max-age=31536000, immutable".to_owned(),
            }),
            Err(reason) => Err(Refusal {
                status: StatusCode::UNAUTHORIZED,
                reason,
            }),
        }
    }

    fn signed(&self, digest: &Digest, signed: &Signed, signature: &str) -> Result<Access, Refusal> {
        let refuse = |reason| {
            Err(Refusal {
                status: StatusCode::FORBIDDEN,
                reason,
            })
        };
        let expires = signed.expires.unwrap_or_default();
        let is_valid = |key: &UrlKey| key.is_valid(&signed.namespace, digest, expires, signature);
        if !self.key.as_ref().is_some_and(is_valid) {
            return refuse("the signature is not the service's");
        }
        let left = expires - Timestamp::now().as_second();
        if left <= 0 {
            return refuse("the URL has expired");
        }
        Ok(Access {
            namespace: signed.namespace.clone(),
            caching: format!("public, max-age={left}, immutable"),
        })
    }
}

async fn asset(
    State(pages): State<Arc<AssetPages>>,
    Path(digest): Path<String>,
    Query(signed): Query<Signed>,
    headers: HeaderMap,
) -> Response {
    let digest: Digest = match digest.parse() {
        Ok(digest) => digest,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let access = match pages.access(&digest, &signed, &headers) {
        Ok(access) => access,
        Err(refusal) => return refusal.into_response(),
    };
    let missing = || (StatusCode::NOT_FOUND, format!("there is no asset {digest}\n")).into_response();
    let Some(store) = pages.spaces.get(&access.namespace) else {
        return missing();
    };
    match store.head(&digest).await {
        Ok(metadata) => answer(&pages, store, &metadata, &access, &headers).await,
        Err(error) if error.kind() == ErrorKind::NotFound => missing(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &crate::assets::AssetError) -> Response {
    tracing::warn!(%error, "an asset could not be read");
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}

async fn answer(
    pages: &AssetPages,
    store: &Arc<dyn AssetStore>,
    asset: &AssetMetadata,
    access: &Access,
    headers: &HeaderMap,
) -> Response {
    let tag = format!("\"{}\"", asset.digest);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mut head = vec![
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, access.caching.clone()),
        (header::VARY, "Authorization".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        // What a notebook has displayed may be any page; it must not act for the reader of another.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox".to_owned(),
        ),
    ];
    if text(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &tag)) {
        return with_head(StatusCode::NOT_MODIFIED, head, Body::empty());
    }
    let is_same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let asked = text(header::RANGE).filter(|_| is_same);
    let (status, range) = match asked.map_or(Part::Whole, |range| part(range, asset.length)) {
        Part::Whole => (StatusCode::OK, None),
        Part::Nothing => {
            head.push((header::CONTENT_RANGE, format!("bytes */{}", asset.length)));
            return with_head(StatusCode::RANGE_NOT_SATISFIABLE, head, Body::empty());
        }
        Part::Range(range) => {
            let said = format!("bytes {}-{}/{}", range.start, range.end - 1, asset.length);
            head.push((header::CONTENT_RANGE, said));
            (StatusCode::PARTIAL_CONTENT, Some(range))
        }
    };
    let length = range.as_ref().map_or(asset.length, |range| range.end - range.start);
    head.push((header::CONTENT_LENGTH, length.to_string()));
    head.push((header::CONTENT_TYPE, asset.mime.to_string()));
    match store.get(&asset.digest, range).await {
        Ok(content) => {
            let sent = pages.metrics.bytes_out.clone();
            let content = content.inspect_ok(move |bytes| {
                sent.inc_by(bytes.len() as u64);
            });
            with_head(status, head, Body::from_stream(content))
        }
        Err(error) => unavailable(&error),
    }
}

fn with_head(status: StatusCode, head: Vec<(header::HeaderName, String)>, body: Body) -> Response {
    let mut response = (status, body).into_response();
    for (name, value) in head {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Whether a list of tags names this one; weak ones are as good, since an asset never changes.
fn names(tags: &str, tag: &str) -> bool {
    let mut tags = tags.split(',').map(|known| known.trim().trim_start_matches("W/"));
    tags.any(|known| known == tag || known == "*")
}

/// What one range of bytes asks for. What is no single range is not understood, and asks for all.
fn part(range: &str, length: u64) -> Part {
    match bounds(range, length) {
        None => Part::Whole,
        Some(range) if range.is_empty() => Part::Nothing,
        Some(range) => Part::Range(range),
    }
}

fn bounds(range: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", last) => Some(length.saturating_sub(number(last)?)..length),
        (first, "") => Some(number(first)?..length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last.saturating_add(1).min(length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (range, expected) in [
            ("bytes=0-9", Part::Range(0..10)),
            ("bytes=5-", Part::Range(5..100)),
            ("bytes=-7", Part::Range(93..100)),
            ("bytes=-700", Part::Range(0..100)),
            ("bytes=90-900", Part::Range(90..100)),
            ("bytes=100-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=9-1", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=a-b", Part::Whole),
        ] {
            assert_eq!(part(range, 100), expected, "{range}");
        }
        assert!(names("W/\"a\", \"b\"", "\"b\"") && names("*", "\"b\"") && !names("\"a\"", "\"b\""));
    }
}
