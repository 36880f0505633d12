//! The keeper: a process whose only child is a kernel, and which is the kernel's only client.
//!
//! It records all that the kernel says and is asked ([`Recorder`]), hands over what its clients send ([`serve`]), and
//! ends with its kernel. It interprets no outputs, so that it stays small and has nothing to fail at.

#[cfg(target_os = "linux")]
mod adopt;
mod begin;
mod memory;
mod recorder;
mod serve;
mod table;
mod tether;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{future, io};

use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use self::recorder::Recorder;
use self::tether::Tether;
use super::home::{Description, Home};
use super::packet::{Refusal, WireChannel};
use crate::kernel::local::connection_file::Folder;
use crate::kernel::local::dialogue::Letter;
use crate::kernel::local::kernel::LocalKernel;
use crate::kernel::{Kernel, KernelError, KernelState, ShutdownMode};

/// How long a kernel may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long clients may take to read the end of a kernel whose record is about to be removed.
const LAST_READING: Duration = Duration::from_secs(10);

/// How long nothing happens before what is not needed is given back.
const QUIET: Duration = Duration::from_secs(2);

/// What a keeper tells whoever has started it, in one line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Greeting {
    /// The kernel answers, and clients may come.
    Ready,
    /// Another keeper has the kernel, or is about to.
    Taken,
    /// There is no kernel.
    Failed(Refusal),
}

/// A message on its way, and where to tell that it was handed over.
type Outgoing = (Letter, oneshot::Sender<Result<(), KernelError>>);

/// What all clients of a keeper share.
#[derive(Debug)]
struct Keeper {
    home: Home,
    kernel: LocalKernel,
    recorder: Arc<Recorder>,
    description: Mutex<Description>,
    /// Messages of all clients, in the order in which they were recorded, by channel.
    outboxes: Vec<(WireChannel, mpsc::UnboundedSender<Outgoing>)>,
    clients: watch::Sender<usize>,
    ending: watch::Sender<Option<Ending>>,
    stirred: Mutex<Instant>,
    _socket_dir: Folder,
}

/// Why, and so how, a keeper ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nobody wants the kernel: nothing of it stays.
    Unwanted,
    /// The kernel has ended; what it has said can still be read.
    Dead,
    /// Nobody has used it for long.
    Idle,
    /// The system asks for it.
    Terminated,
}

/// Keeps the kernel of the folder `home` until it ends: reads an order from standard input, and tells on standard output
/// what came of it. To be called by a program of its own, on a runtime of one thread.
///
/// # Errors
/// Where the folder or the standard streams cannot be used; that a kernel does not start is told to whoever has ordered
/// it.
pub async fn keep(home: &Path) -> io::Result<()> {
    let _ = nix::unistd::setsid();
    let home = Home::create(home.to_owned())?;
    let mut tether = Tether::grasp()?;
    let order = tether.read_order().await?;
    let lock = home.lock()?;
    if lock.try_lock().is_err() {
        return begin::greet(&Greeting::Taken);
    }
    let begun = tokio::select! {
        begun = begin::begin(home.clone(), &order) => begun,
        () = tether.cut(), if order.is_new() => Err(KernelError::io("keep a kernel", io::Error::other("nobody waits for it any more"))),
    };
    match begun {
        Ok((keeper, listener)) => {
            // Whoever has ordered it may be gone. That the tether tells, and it decides only over a kernel that nobody keeps.
            if let Err(error) = begin::greet(&Greeting::Ready) {
                tracing::debug!(%error, "nobody waits for this keeper");
            }
            begin::quieten(&home)?;
            keeper.run(listener, tether).await;
            drop(lock);
            Ok(())
        }
        Err(error) => {
            if order.is_new() {
                home.remove()?;
            }
            begin::greet(&Greeting::Failed(error.into()))
        }
    }
}

impl Keeper {
    fn description(&self) -> MutexGuard<'_, Description> {
        self.description.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is written down of the kernel.
    fn describe(&self, change: impl FnOnce(&mut Description)) -> io::Result<()> {
        let mut description = self.description();
        change(&mut description);
        self.home.describe(&description)
    }

    fn is_kept(&self) -> bool {
        self.description().is_kept
    }

    /// The kernel was used.
    fn stir(&self) {
        *self.stirred.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_since(&self) -> Instant {
        *self.stirred.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves clients until there is no more kernel, or it is not wanted any more.
    async fn run(self: Arc<Self>, listener: UnixListener, mut tether: Tether) {
        let mut terminations = signal(SignalKind::terminate()).ok();
        let mut state = self.kernel.state();
        let mut clients = self.clients.subscribe();
        let mut ending = self.ending.subscribe();
        let mut given_back = None;
        let reason = loop {
            let is_dead = matches!(*state.borrow_and_update(), KernelState::Dead(_));
            let (is_kept, is_alone) = (self.is_kept(), *clients.borrow_and_update() == 0);
            if let Some(reason) = *ending.borrow_and_update() {
                break reason;
            }
            if is_dead && is_kept && is_alone {
                break Ending::Dead;
            }
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => drop(tokio::spawn(serve::serve(Arc::clone(&self), client))),
                    // There are too many files: clients come again.
                    Err(error) => tracing::warn!(%error, "a client was not served"),
                },
                // It may have become kept while this was waited for.
                () = tether.cut(), if !is_kept => if !self.is_kept() {
                    break Ending::Unwanted;
                },
                () = terminated(&mut terminations) => break Ending::Terminated,
                () = self.idled(), if !is_dead => break Ending::Idle,
                () = sleep_until(self.idle_since() + QUIET), if given_back != Some(self.idle_since()) => {
                    given_back = Some(self.idle_since());
                    memory::give_back();
                }
                _ = state.changed() => self.stir(),
                _ = clients.changed() => self.stir(),
                _ = ending.changed() => {}
            }
        };
        self.end(reason).await;
    }

    /// Returns when nobody has used the kernel for as long as that may last.
    async fn idled(&self) {
        loop {
            let Some(limit) = self.description().idle_timeout else {
                return future::pending().await;
            };
            let due = self.idle_since() + limit;
            if Instant::now() < due {
                sleep_until(due).await;
            } else if *self.clients.borrow() == 0 && !self.recorder.is_executing() {
                return;
            } else {
                self.stir();
            }
        }
    }

    async fn end(&self, reason: Ending) {
        let mode = if reason == Ending::Unwanted {
            ShutdownMode::Immediate
        } else {
            ShutdownMode::Graceful(PATIENCE)
        };
        let because = match reason {
            Ending::Idle => Some("nobody had used it for the time that its idle timeout allows"),
            Ending::Terminated => Some("its keeper was asked to end (SIGTERM)"),
            Ending::Unwanted | Ending::Dead => None,
        };
        let mut state = self.kernel.state();
        let is_news = !matches!(*state.borrow(), KernelState::Dead(_));
        if let Err(error) = self.kernel.shutdown(mode).await {
            tracing::error!(%error, "the kernel was not ended");
        }
        self.recorder.ended().await;
        let death = match &*state.borrow_and_update() {
            KernelState::Dead(death) => Some(death.clone()),
            _ => None,
        };
        let described = self.describe(|description| {
            description.death = death;
            description.ended_because = because.filter(|_| is_news).map(str::to_owned);
        });
        if let Err(error) = described {
            tracing::error!(%error, "the end of the kernel was not written down");
        }
        if reason == Ending::Unwanted {
            let mut clients = self.clients.subscribe();
            let _ = tokio::time::timeout(LAST_READING, clients.wait_for(|clients| *clients == 0)).await;
            let _ = self.home.remove();
        }
    }
}

async fn terminated(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => future::pending().await,
    }
}
