//! The address of a service.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a service is reached: `grpc://host:port`, `grpcs://host:port` with TLS, or `grpc+unix:///path`.
///
/// ```
/// use mcp_jupyter_core::rpc::Endpoint;
///
/// let endpoint: Endpoint = "grpc://127.0.0.1:7411".parse()?;
/// assert_eq!(endpoint.to_string(), "grpc://127.0.0.1:7411");
/// assert!("grpc+unix:///run/user/1000/scheduler.sock".parse::<Endpoint>().is_ok());
/// assert!("grpc://127.0.0.1".parse::<Endpoint>().is_err());
/// # Ok::<(), mcp_jupyter_core::rpc::InvalidEndpoint>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host and a port.
    Tcp {
        /// The host as it was given, an IPv6 address in brackets, and its port.
        authority: String,
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// A socket in the file system of this machine.
    Unix(PathBuf),
}

/// Text that is no address of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address of a service: {reason}")]
pub struct InvalidEndpoint {
    text: String,
    reason: &'static str,
}

const SCHEMES: &str = "expected grpc://host:port, grpcs://host:port or grpc+unix:///path";

impl Endpoint {
    /// Whether the text has the form of such an address, valid or not; other forms are those of files and stores.
    pub fn is_meant_by(text: &str) -> bool {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        matches!(scheme, Some("grpc" | "grpcs" | "grpc+unix"))
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |reason| InvalidEndpoint {
            text: text.to_owned(),
            reason,
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid(SCHEMES))?;
        match scheme {
            "grpc+unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "grpc+unix" => Err(invalid("expected an absolute path after grpc+unix://")),
            "grpc" | "grpcs" => Ok(Self::Tcp {
                authority: authority(rest).map_err(invalid)?,
                tls: scheme == "grpcs",
            }),
            _ => Err(invalid(SCHEMES)),
        }
    }
}

/// A host and a port, as they were given.
fn authority(text: &str) -> Result<String, &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
    if port.parse::<u16>().is_err() {
        return Err("expected a port, and nothing after it");
    }
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    if host.contains(':') && !is_bracketed {
        return Err("an IPv6 address stands in brackets");
    }
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err("expected the name or address of a host");
    }
    Ok(text.to_owned())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { authority, tls: false } => write!(f, "grpc://{authority}"),
            Self::Tcp { authority, tls: true } => write!(f, "grpcs://{authority}"),
            Self::Unix(path) => write!(f, "grpc+unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_addresses_are_taken() {
        for good in ["grpc://localhost:1", "grpcs://[::1]:7411", "grpc+unix:///a/b c.sock"] {
            assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "localhost:1",
            "http://localhost:1",
            "grpc://",
            "grpc://:1",
            "grpc://localhost",
            "grpc://localhost:port",
            "grpc://localhost:70000",
            "grpc://localhost:1/path",
            "grpc://::1:7411",
            "grpc://user@host:1",
            "grpc+unix://relative.sock",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
