//! Journals of schedulers: every case is one test per backend.

use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::scheduler::journal::conformance::{Fixture, cases};
use mcp_jupyter_core::scheduler::{Journal, MemoryJournal, SqliteJournal};
use tempfile::TempDir;

/// Calls a macro with the names of all cases.
macro_rules! with_every_case {
    ($make_tests:ident) => {
        $make_tests! {
            unknown,
            changes_kept,
            checkpoint_replaces,
            checkpoint_without_document,
            runs_kept,
            run_found,
            unfinished_listed,
            runs_dropped,
            sessions_apart,
            forgotten,
            in_parallel,
            kept_after_crash,
        }
    };
}

macro_rules! names {
    ($($name:ident,)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}
with_every_case!(names);
#[cfg(feature = "postgres")]
pub(crate) use with_every_case;

#[test]
fn no_case_is_left_out() {
    let all: Vec<&str> = cases().iter().map(|case| case.name).collect();
    assert_eq!(all, NAMES);
}

/// Runs one case on a runtime of its own.
fn run(name: &str, fixture: &dyn Fixture) {
    let case = cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the case exists");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(case.run(fixture));
}

/// A journal in memory. It ends with its process; a crash of what uses it is the most that it can survive.
#[derive(Debug)]
pub(crate) struct Memory(Arc<MemoryJournal>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(MemoryJournal::new()))
    }
}

#[async_trait]
impl Fixture for Memory {
    async fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.0) as Arc<dyn Journal>
    }

    async fn reopen(&self) -> Arc<dyn Journal> {
        self.journal().await
    }
}

/// A journal in a file.
#[derive(Debug)]
pub(crate) struct Sqlite(TempDir);

impl Sqlite {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Fixture for Sqlite {
    async fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(SqliteJournal::open(self.0.path().join("journal.sqlite")).await.unwrap())
    }

    async fn reopen(&self) -> Arc<dyn Journal> {
        self.journal().await
    }
}

mod memory {
    use super::{Memory, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Memory::new());
            })*
        };
    }
    with_every_case!(tests);
}

mod sqlite {
    use super::{Sqlite, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Sqlite::new());
            })*
        };
    }
    with_every_case!(tests);
}
