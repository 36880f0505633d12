//! Where a service listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};

use super::endpoint::{Endpoint, InvalidEndpoint};

/// Where a service is to listen: `host:port`, where port 0 stands for any free one, or `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A host and a port.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let address = match text.strip_prefix("unix://") {
            Some(path) => format!("grpc+unix://{path}"),
            None if Endpoint::is_meant_by(text) => text.to_owned(),
            None => format!("grpc://{text}"),
        };
        Ok(match address.parse()? {
            Endpoint::Tcp { authority, .. } => Self::Tcp(authority),
            Endpoint::Unix(path) => Self::Unix(path),
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => f.write_str(authority),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A service cannot listen there.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    address: String,
    #[source]
    source: io::Error,
}

impl ListenError {
    /// Whether somebody else listens there.
    pub fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

/// A socket that clients can connect to. One in the file system goes away with it.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The file of a socket, which goes away with it.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens. A socket file that nobody answers on any more is replaced; only the user can connect to the new one.
    ///
    /// # Errors
    /// Where somebody else listens there, or the system does not allow it.
    pub async fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        let bound = match address {
            ListenAddress::Tcp(authority) => bind_tcp(authority).await,
            ListenAddress::Unix(path) => bind_unix(path).await,
        };
        let socket = bound.map_err(|source| ListenError {
            address: address.to_string(),
            source,
        })?;
        Ok(Self { socket })
    }

    /// The address for clients.
    pub fn endpoint(&self, tls: bool) -> Endpoint {
        match &self.socket {
            Socket::Tcp(_, address) => Endpoint::Tcp {
                authority: address.to_string(),
                tls,
            },
            Socket::Unix(_, file) => Endpoint::Unix(file.0.clone()),
        }
    }

    /// Whether others than this machine's processes can connect.
    pub fn is_public(&self) -> bool {
        match &self.socket {
            Socket::Tcp(_, address) => !address.ip().to_canonical().is_loopback(),
            Socket::Unix(..) => false,
        }
    }
}

async fn bind_tcp(authority: &str) -> io::Result<Socket> {
    let listener = TcpListener::bind(authority).await?;
    let address = listener.local_addr()?;
    Ok(Socket::Tcp(listener, address))
}

async fn bind_unix(path: &Path) -> io::Result<Socket> {
    let path = std::path::absolute(path)?;
    if path.exists() {
        match tokio::net::UnixStream::connect(&path).await {
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another service listens there",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(&path)?,
            Err(error) => return Err(error),
        }
    }
    let listener = UnixListener::bind(&path)?;
    let file = SocketFile(path);
    only_for_us(&file.0)?;
    Ok(Socket::Unix(listener, file))
}

#[cfg(unix)]
fn only_for_us(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_answers_on_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.sock");
        let address: ListenAddress = format!("unix://{}", path.display()).parse().unwrap();
        let first = Listener::bind(&address).await.unwrap();
        let taken = Listener::bind(&address).await.unwrap_err();
        assert!(
            taken.is_taken() && taken.to_string().contains("service.sock"),
            "{taken}"
        );
        let Socket::Unix(listener, file) = first.socket else {
            unreachable!("it is a file")
        };
        // As a process leaves it that was killed.
        std::mem::forget(file);
        drop(listener);
        let second = Listener::bind(&address).await.unwrap();
        assert!(!second.is_public());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_free_port_is_found_and_told() {
        let any: ListenAddress = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&any).await.unwrap();
        assert!(!listener.is_public());
        let told = listener.endpoint(false).to_string();
        assert!(told.starts_with("grpc://127.0.0.1:") && !told.ends_with(":0"), "{told}");
        assert!("127.0.0.1".parse::<ListenAddress>().is_err());
    }
}
