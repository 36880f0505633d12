//! Who is let in, and with how much.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use tokio_util::task::TaskTracker;

use super::refusing::{complaint, in_json, refusal};
use super::token::Token;
use crate::mcp::messages::{Complaint, IdFinder, MESSAGE_LIMIT};

/// How much of a refused message is read to its end, in bytes: a client that is still sending sees no answer.
const DRAINED: usize = 1 << 30;

/// The gate of a server.
#[derive(Debug)]
pub(super) struct Gate {
    token: Option<Token>,
    /// The messages that have not been answered yet.
    pub(super) answering: TaskTracker,
}

impl Gate {
    pub(super) fn new(token: Option<Token>) -> Self {
        Self {
            token,
            answering: TaskTracker::new(),
        }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let presented = presented.and_then(|value| value.split_once(' '));
        presented.is_some_and(|(scheme, presented)| {
            scheme.eq_ignore_ascii_case("bearer") && token.is(presented.trim_start_matches(' '))
        })
    }
}

/// Lets a request pass, or says why not.
pub(super) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if !gate.admits(request.headers()) {
        drain(request.into_body().into_data_stream(), |_| ()).await;
        return unauthorized();
    }
    if request.method() != Method::POST {
        return in_json(next.run(request).await, &Bytes::new()).await;
    }
    let answering = gate.answering.token();
    let (parts, body) = request.into_parts();
    let sent = match read(body).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let request = Request::from_parts(parts, Body::from(sent.clone()));
    let response = in_json(next.run(request).await, &sent).await;
    response.map(|body| {
        let answered = body.into_data_stream().map(move |chunk| {
            let _ = &answering;
            chunk
        });
        Body::from_stream(answered)
    })
}

fn unauthorized() -> Response {
    let message = "this server needs its token: send the header `Authorization: Bearer TOKEN`; the server has printed it \
                   when it started, or was given it";
    let mut response = refusal(StatusCode::UNAUTHORIZED, message);
    let challenge = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// A whole message.
async fn read(body: Body) -> Result<Bytes, Response> {
    let mut chunks = body.into_data_stream();
    let mut sent = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("the message did not arrive whole: {error}");
            refusal(StatusCode::BAD_REQUEST, &message)
        })?;
        if sent.len() + chunk.len() > MESSAGE_LIMIT {
            let mut finder = IdFinder::default();
            finder.feed(&sent);
            finder.feed(&chunk);
            drop(sent);
            drain(chunks, |chunk| finder.feed(chunk)).await;
            let too_large = Complaint::too_large(finder.id());
            return Err(complaint(StatusCode::PAYLOAD_TOO_LARGE, &too_large));
        }
        sent.extend_from_slice(&chunk);
    }
    Ok(sent.into())
}

async fn drain(mut chunks: BodyDataStream, mut see: impl FnMut(&[u8])) {
    let mut drained = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        see(&chunk);
        drained += chunk.len();
        if drained > DRAINED {
            return;
        }
    }
}
