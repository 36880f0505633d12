//! Waiting for a kernel's sockets without guessing.

use std::io;
use std::time::Duration;

use crate::kernel::KernelError;

use super::connection_file::{Connection, Transport};

/// How often a TCP port is tried: nothing tells when a port is bound.
const PORT_INTERVAL: Duration = Duration::from_millis(10);

/// Returns when the kernel has bound all its sockets. The caller watches the clock and the process.
pub(super) async fn wait_until_bound(connection: &Connection) -> Result<(), KernelError> {
    #[cfg(target_os = "linux")]
    if connection.transport() == Transport::Ipc {
        return wait_for_files(connection)
            .await
            .map_err(|error| KernelError::io(format!("watch {}", connection.dir().display()), error));
    }
    while !connection.is_bound().await {
        tokio::time::sleep(PORT_INTERVAL).await;
    }
    Ok(())
}

/// Looks again whenever something appears in the sockets' folder.
#[cfg(target_os = "linux")]
async fn wait_for_files(connection: &Connection) -> io::Result<()> {
    use std::os::fd::OwnedFd;

    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    use tokio::io::unix::AsyncFd;

    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    inotify.add_watch(connection.dir(), AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?;
    // SAFETY: the descriptor is owned by the registration and closed only after it.
    #[allow(unsafe_code, reason = "registering a descriptor that tokio has no type for")]
    let events = unsafe { AsyncFd::register(OwnedFd::from(inotify)) }?;
    let mut buffer = [0; 4096];
    while !connection.is_bound().await {
        let mut ready = events.readable().await?;
        while nix::unistd::read(events.get_ref(), &mut buffer).is_ok() {}
        ready.clear_ready();
    }
    Ok(())
}
