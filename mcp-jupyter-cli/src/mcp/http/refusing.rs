//! What a client gets that is refused before the protocol has a say: an error of JSON-RPC in every case.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::mcp::messages::Complaint;

/// How much text of a refusal is read, in bytes.
const TEXT: usize = 64 << 10;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Of those that an implementation may give a meaning of its own.
const REFUSED: i32 = -32000;

/// An error that is no answer to a request that has been understood.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    response(
        status,
        &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": REFUSED, "message": message } }),
    )
}

/// A complaint about what was sent.
pub(super) fn complaint(status: StatusCode, complaint: &Complaint) -> Response {
    response(status, &complaint.to_json())
}

fn response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// The answer of the protocol's layer to a request with this body: what it refuses in plain text becomes an error of
/// JSON-RPC, which says what to do.
pub(super) async fn in_json(response: Response, sent: &Bytes) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().get(CONTENT_TYPE) == Some(&JSON) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, TEXT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let told = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE if text.starts_with("fail to deserialize") => {
            return complaint(StatusCode::BAD_REQUEST, &Complaint::about(sent));
        }
        StatusCode::FORBIDDEN => refusal(
            status,
            &format!("{text}; --allow-host and --allow-origin of the server allow more than this machine's own"),
        ),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if text.contains("Session") => {
            refusal(status, &format!("{text}; initialize begins one"))
        }
        _ => refusal(status, &text),
    };
    parts.headers.insert(CONTENT_TYPE, JSON);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, told.into_body())
}
