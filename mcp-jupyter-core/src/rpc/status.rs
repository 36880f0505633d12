//! From an error of a domain to a status, and back.
//!
//! The code says what a caller can do; one table gives it for every kind of error. The details hold the error itself, so
//! that the client has exactly what the backend behind the service had said.

use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb::{RetryInfo, Status as Details};

use crate::error::ErrorKind;

use super::convert::duration;
use super::pb;

/// A message that holds an error, under the name that the protocol gives it.
pub(crate) trait Packed: Message + Default {
    /// The type's address, as `google.protobuf.Any` has it.
    const TYPE_URL: &'static str;
}

impl Packed for pb::SchedulerErrorDetail {
    const TYPE_URL: &'static str = "type.googleapis.com/mcp_jupyter.v1.SchedulerErrorDetail";
}

impl Packed for pb::AssetErrorDetail {
    const TYPE_URL: &'static str = "type.googleapis.com/mcp_jupyter.v1.AssetErrorDetail";
}

const RETRY_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The code of a kind of error.
pub(crate) fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::InvalidRequest => Code::InvalidArgument,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::TimedOut => Code::DeadlineExceeded,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::KernelStart | ErrorKind::KernelDied | ErrorKind::Io => Code::Internal,
    }
}

/// A status that holds an error, and when to try again where that is known.
pub(crate) fn status<D: Packed>(code: Code, message: &str, detail: &D, retry_after: Option<Duration>) -> Status {
    let packed = |type_url: &str, value: Vec<u8>| prost_types::Any {
        type_url: type_url.to_owned(),
        value,
    };
    let retry = retry_after.map(|wait| RetryInfo {
        retry_delay: Some(duration(wait)),
    });
    let retry = retry.map(|retry| packed(RETRY_URL, retry.encode_to_vec()));
    let details = Details {
        code: code.into(),
        message: message.to_owned(),
        details: [packed(D::TYPE_URL, detail.encode_to_vec())]
            .into_iter()
            .chain(retry)
            .collect(),
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// The error that a status holds, if there is one.
pub(crate) fn unpack<D: Packed>(status: &Status) -> Option<D> {
    let details = Details::decode(status.details()).ok()?.details;
    let packed = details.iter().find(|any| any.type_url == D::TYPE_URL)?;
    D::decode(&*packed.value).ok()
}

impl pb::FailedAction {
    /// What was attempted, where, and why it has failed: the error and its causes, in one line.
    pub(crate) fn new(backend: String, action: String, cause: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(cause.source(), |error| error.source());
        Self {
            backend,
            action,
            cause: causes.fold(cause.to_string(), |line, cause| format!("{line}: {cause}")),
        }
    }
}
