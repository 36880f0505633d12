//! What every kernel backend must do, as data: [`cases`] lists named cases, each of which starts kernels through a
//! [`Fixture`] and panics where the backend breaks the contract of [`Kernel`](super::Kernel).
//!
//! A backend's own tests implement [`Fixture`] and run every case as a test of its own; one that is left out is then
//! left out by name.

mod ending;
mod execution;
mod fixture;
mod life;
mod reading;
mod requests;

use std::time::Duration;

use futures_core::future::BoxFuture;

pub use fixture::{Fixture, Snippet};

/// What a case may take at most: none waits on purpose, so this ends only those that hang. It is more than a start may
/// take, whose own error says more.
const PATIENCE: Duration = Duration::from_secs(90);

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
        execution::cases(),
        reading::cases(),
        requests::cases(),
        life::cases(),
        ending::cases(),
    ]
    .concat()
}

/// Lists functions as cases.
macro_rules! list_cases {
    ($($name:ident: $description:literal,)*) => {
        pub(super) fn cases() -> Vec<crate::kernel::conformance::Case> {
            vec![$(crate::kernel::conformance::Case {
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
