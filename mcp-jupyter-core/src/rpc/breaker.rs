//! Keeps the calls of one client from piling up on a service that does not answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many failures in a row open it.
const TRIPS_AT: u32 = 5;

/// How long it stays open before one call may try.
const OPEN: Duration = Duration::from_secs(1);

/// Closed while calls succeed. After some failures in a row it is open: calls are not even tried, but for one now and then.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a call through, or says for how long not. The first one after that time tries for all.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        self.with(|state| {
            let Some(until) = state.open_until else { return Ok(()) };
            let now = Instant::now();
            if now < until {
                return Err(until - now);
            }
            state.open_until = Some(now + OPEN);
            Ok(())
        })
    }

    pub(super) fn failed(&self) {
        self.with(|state| {
            state.failures = state.failures.saturating_add(1);
            if state.failures >= TRIPS_AT {
                state.open_until = Some(Instant::now() + OPEN.mul_f64(0.5 + fastrand::f64() / 2.0));
            }
        });
    }

    pub(super) fn succeeded(&self) {
        self.with(|state| *state = State::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_call_tries_for_all() {
        let breaker = Breaker::default();
        for _ in 0..TRIPS_AT {
            assert_eq!(breaker.admit(), Ok(()));
            breaker.failed();
        }
        let wait = breaker.admit().unwrap_err();
        assert!(wait <= OPEN, "{wait:?}");
        tokio::time::sleep(wait).await;
        assert_eq!(breaker.admit(), Ok(()));
        breaker.admit().unwrap_err();
        breaker.succeeded();
        assert_eq!(breaker.admit(), Ok(()));
        assert_eq!(breaker.admit(), Ok(()));
    }
}
