//! SIGINT, SIGTERM and SIGHUP as requests to stop: the first lets the running cells be interrupted and saved, the second
//! ends them at once, the third ends the process.

use mcp_jupyter_core::engine::{RunControl, StopCause};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::error::CliError;
use crate::exit::Exit;

/// What has been asked of all runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Interrupt, save, end.
    Gracefully(StopCause),
    /// End now.
    AtOnce(StopCause),
}

impl Stop {
    pub(crate) fn cause(self) -> StopCause {
        match self {
            Self::Gracefully(cause) | Self::AtOnce(cause) => cause,
        }
    }

    pub(crate) fn apply(self, control: &RunControl) {
        match self {
            Self::Gracefully(cause) => control.stop(cause),
            Self::AtOnce(cause) => control.abort(cause),
        }
    }
}

/// Tells what has been asked. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stops(watch::Receiver<Option<Stop>>);

impl Stops {
    /// Listens to the process's signals from now on.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(|source| CliError::Signals { source });
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut hangup = if is_ignored(SignalKind::hangup()) {
            None
        } else {
            Some(listen(SignalKind::hangup())?)
        };
        let (stops_tx, stops) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let cause = tokio::select! {
                    _ = interrupt.recv() => StopCause::Interrupt,
                    _ = terminate.recv() => StopCause::Terminate,
                    () = received(&mut hangup) => StopCause::Terminate,
                };
                let before: Option<Stop> = *stops_tx.borrow();
                let next = match before {
                    None => Stop::Gracefully(cause),
                    Some(Stop::Gracefully(_)) => Stop::AtOnce(cause),
                    // Kernels end with this process.
                    Some(Stop::AtOnce(_)) => std::process::exit(Exit::from(cause).code().into()),
                };
                stops_tx.send_replace(Some(next));
            }
        });
        Ok(Self(stops))
    }

    /// What has been asked so far.
    pub(crate) fn now(&self) -> Option<Stop> {
        *self.0.borrow()
    }

    /// Waits until something has been asked.
    pub(crate) async fn first(&mut self) -> Stop {
        match self.now() {
            Some(stop) => stop,
            None => self.changed().await,
        }
    }

    /// Waits for a request that this has not seen yet.
    pub(crate) async fn changed(&mut self) -> Stop {
        loop {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(stop) = *self.0.borrow_and_update() {
                return stop;
            }
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether our parent had the signal ignored, as `nohup` does: to listen would undo that.
fn is_ignored(kind: SignalKind) -> bool {
    let bit = kind.as_raw_value() - 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> bit & 1 == 1)
}
