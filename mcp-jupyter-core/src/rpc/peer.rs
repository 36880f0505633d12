//! Whether both sides understand each other.

use std::cmp::Ordering;

use tonic::{Request, Response, Status, async_trait};

use super::pb::peer_service_server::PeerService;
use super::pb::{ServiceKind, VersionRequest, VersionResponse};

/// The protocol that this build speaks, and the oldest that it understands.
const PROTOCOL: u32 = 1;
const OLDEST: u32 = 1;

const SOFTWARE: &str = concat!("mcp-jupyter ", env!("CARGO_PKG_VERSION"));

/// What this client is.
pub(super) fn ours() -> VersionRequest {
    VersionRequest {
        protocol: PROTOCOL,
        oldest_protocol: OLDEST,
        software: SOFTWARE.to_owned(),
    }
}

/// Why a client cannot use this service, as what is said after its address.
pub(super) fn check(theirs: &VersionResponse, kind: ServiceKind) -> Result<(), String> {
    if theirs.kind() != kind {
        let (found, wanted) = (name(theirs.kind()), name(kind));
        return Err(format!("is {found}, not {wanted}: check the address"));
    }
    let software = &theirs.software;
    match agree(theirs.protocol, theirs.oldest_protocol) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(format!(
            "is too old for this program: it ({software}) speaks protocol {}, and {SOFTWARE} needs {OLDEST} at least; renew the service",
            theirs.protocol
        )),
        Ordering::Greater => Err(format!(
            "is too new for this program: it ({software}) needs protocol {} at least, and {SOFTWARE} speaks {PROTOCOL}; renew this program",
            theirs.oldest_protocol
        )),
    }
}

/// Whether a peer is too old, right, or too new.
fn agree(protocol: u32, oldest: u32) -> Ordering {
    if protocol < OLDEST {
        Ordering::Less
    } else if oldest > PROTOCOL {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

fn name(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Scheduler => "a scheduler service",
        ServiceKind::Assets => "an asset service",
        ServiceKind::Unspecified => "an unknown service",
    }
}

/// Answers clients that ask.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) kind: ServiceKind,
    pub(super) backend: String,
}

#[async_trait]
impl PeerService for Peer {
    async fn version(&self, request: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        let theirs = request.into_inner();
        if agree(theirs.protocol, theirs.oldest_protocol) != Ordering::Equal {
            // It will refuse us, and say so to its user; here it is for the log.
            tracing::warn!(
                "a client ({}) speaks protocol {}, this service {PROTOCOL}",
                theirs.software,
                theirs.protocol
            );
        }
        Ok(Response::new(VersionResponse {
            protocol: PROTOCOL,
            oldest_protocol: OLDEST,
            software: SOFTWARE.to_owned(),
            kind: self.kind.into(),
            backend: self.backend.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(protocol: u32, oldest_protocol: u32) -> VersionResponse {
        VersionResponse {
            protocol,
            oldest_protocol,
            software: "mcp-jupyter 9.9.9".to_owned(),
            kind: ServiceKind::Scheduler.into(),
            backend: String::new(),
        }
    }

    #[test]
    fn a_peer_is_used_or_refused_with_a_reason() {
        assert_eq!(check(&service(1, 1), ServiceKind::Scheduler), Ok(()));
        assert_eq!(check(&service(7, 1), ServiceKind::Scheduler), Ok(()));
        let refused = |version, kind| check(&version, kind).unwrap_err();
        let new = refused(service(7, 2), ServiceKind::Scheduler);
        assert!(new.contains("too new") && new.contains("9.9.9"), "{new}");
        let old = refused(service(0, 0), ServiceKind::Scheduler);
        assert!(old.contains("too old"), "{old}");
        let other = refused(service(1, 1), ServiceKind::Assets);
        assert!(other.contains("a scheduler service, not an asset service"), "{other}");
    }
}
