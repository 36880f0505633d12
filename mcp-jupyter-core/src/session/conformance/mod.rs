//! What every store of sessions must do, as data: [`cases`] lists named cases, each of which gets stores from a
//! [`Fixture`] and panics where the backend breaks the contract of [`SessionStore`](super::SessionStore).
//!
//! A backend's own tests implement [`Fixture`] and run every case as a test of its own; one that is left out is then
//! left out by name.

mod binding;
mod fixture;
mod identity;
mod past;
mod saving;

use std::time::Duration;

use futures_core::future::BoxFuture;

pub use fixture::Fixture;

/// What a case may take at most: none waits on purpose, so this ends only those that hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// One thing that every backend must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, unique and fit for the name of a test.
    pub name: &'static str,
    /// What the backend must do, as a sentence.
    pub description: &'static str,
    run: for<'a> fn(&'a dyn Fixture) -> BoxFuture<'a, ()>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.description)
    }
}

impl Case {
    /// Runs the case, on a runtime whose clock is not paused.
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
    [identity::cases(), binding::cases(), saving::cases(), past::cases()].concat()
}

/// Lists functions as cases.
macro_rules! list_cases {
    ($($name:ident: $description:literal,)*) => {
        pub(super) fn cases() -> Vec<crate::session::conformance::Case> {
            vec![$(crate::session::conformance::Case {
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
