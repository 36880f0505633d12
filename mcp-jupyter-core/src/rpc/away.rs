//! What a client does while its service is away.

use std::time::Duration;

use tokio::time::Instant;

/// What happens to a run while the service is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAway {
    /// It waits for the service to return. What the kernel executes goes on meanwhile, and is reported afterwards.
    #[default]
    Wait,
    /// It fails.
    Fail,
}

/// How long a service may take to be there when a client begins, and how long a failing client tries.
const FIRST_PATIENCE: Duration = Duration::from_secs(5);
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl WhenAway {
    /// How long a client tries that was connected before; without end if none.
    pub(super) fn patience(self) -> Option<Duration> {
        match self {
            Self::Wait => None,
            Self::Fail => Some(SHORT_PATIENCE),
        }
    }

    /// How long a client tries to connect at first: an address may be wrong.
    pub(super) fn first_patience(self) -> Duration {
        match self {
            Self::Wait => FIRST_PATIENCE,
            Self::Fail => SHORT_PATIENCE,
        }
    }
}

/// The pauses between attempts: ever longer, up to a second, and each client's its own, so that not all come back at once.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    end: Option<Instant>,
}

impl Pauses {
    /// For so long; without end if none.
    pub(crate) fn within(patience: Option<Duration>) -> Self {
        Self {
            next: FIRST_PAUSE,
            end: patience.and_then(|patience| Instant::now().checked_add(patience)),
        }
    }

    /// Lets this time pass, unless the end comes before; tells whether another attempt is to be made.
    pub(crate) async fn pause_for(&mut self, wait: Duration) -> bool {
        if self.end.is_some_and(|end| end <= Instant::now() + wait) {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    /// Lets a pause pass; tells whether another attempt is to be made.
    pub(crate) async fn pause(&mut self) -> bool {
        if self.end.is_some_and(|end| end <= Instant::now()) {
            return false;
        }
        tokio::time::sleep(self.next.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        self.next = LONGEST_PAUSE.min(self.next * 2);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end() {
        let began = Instant::now();
        let mut pauses = Pauses::within(Some(Duration::from_secs(5)));
        let mut attempts = 0;
        while pauses.pause().await {
            attempts += 1;
        }
        assert!(began.elapsed() >= Duration::from_secs(5));
        assert!(began.elapsed() < Duration::from_secs(6) + LONGEST_PAUSE);
        assert!((8..20).contains(&attempts), "{attempts}");
    }
}
