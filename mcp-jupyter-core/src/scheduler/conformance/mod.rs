//! What every scheduler must do, as data: [`cases`] lists named cases, each of which gets a scheduler from a [`Fixture`]
//! and panics where it breaks the contract of [`Scheduler`].
//!
//! A backend's own tests implement [`Fixture`] and run every case as a test of its own; one that is left out is then
//! left out by name. Cases that let time pass take less than a second of tokio's clock, which may be paused.

mod death;
mod ending;
mod errors;
mod queue;
mod recovery;
mod reports;
mod running;
mod scene;
mod syncing;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::future::BoxFuture;

use super::Scheduler;

/// What a case may take at most: this ends only those that hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backend under test.
#[async_trait]
pub trait Fixture: Debug + Send + Sync + 'static {
    /// A scheduler that knows no session. A case asks once.
    async fn scheduler(&self) -> Arc<dyn Scheduler>;

    /// Another scheduler that goes on after the one before was gone without any notice. The case has dropped that one.
    async fn reopen(&self) -> Arc<dyn Scheduler>;
}

/// One thing that every backend must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, unique and fit for the name of a test.
    pub name: &'static str,
    /// What the backend must do, as a sentence.
    pub description: &'static str,
    run: for<'a> fn(&'a dyn Fixture) -> BoxFuture<'a, ()>,
}

impl Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.description)
    }
}

impl Case {
    /// Runs the case.
    ///
    /// # Panics
    /// Where the backend does not do what the case is about.
    pub async fn run(&self, fixture: &dyn Fixture) {
        let done = tokio::time::timeout(PATIENCE, (self.run)(fixture)).await;
        assert!(done.is_ok(), "{} hangs ({})", self.name, self.description);
    }
}

/// All cases.
pub fn cases() -> Vec<Case> {
    [
        running::cases(),
        queue::cases(),
        ending::cases(),
        reports::cases(),
        errors::cases(),
        death::cases(),
        syncing::cases(),
        recovery::cases(),
    ]
    .concat()
}

/// Lists functions as cases.
macro_rules! list_cases {
    ($($name:ident: $description:literal,)*) => {
        pub(super) fn cases() -> Vec<crate::scheduler::conformance::Case> {
            vec![$(crate::scheduler::conformance::Case {
                name: stringify!($name),
                description: $description,
                run: |fixture| Box::pin($name(fixture)),
            }),*]
        }
    };
}
use list_cases;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::cases;

    #[test]
    fn every_name_is_unique() {
        let names: BTreeSet<&str> = cases().iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases().len());
    }
}
