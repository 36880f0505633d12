//! Stores of sessions: every case is one test per backend.

use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::session::conformance::{Fixture, cases};
use mcp_jupyter_core::session::{LocalSessions, MemorySessions, SessionStore};
use tempfile::TempDir;

/// Calls a macro with the names of all cases.
macro_rules! with_every_case {
    ($make_tests:ident) => {
        $make_tests! {
            open_again,
            open_through_links,
            open_renamed,
            open_behind_link,
            open_replaced_by_link,
            open_copied,
            open_replaced,
            open_successor,
            open_nothing,
            open_away,
            find_none,
            list_by_use,
            close_twice,
            bound,
            tokens,
            tokens_at_once,
            unknown,
            saved,
            saved_by_another,
            saved_nothing,
            saved_later,
            saved_metadata,
            saved_exactly,
            saved_beside_edits,
            left_out,
            without_ids,
            broken_file,
            missing_file,
            folder_instead,
            after_rename,
            after_backup,
            unseen,
            seen,
            closed,
            at_once,
            edited,
            edited_stale,
            edited_and_undone,
            deletion_kept,
            history_listed,
            history_of_another,
            history_once,
            version_restored,
            cell_restored,
            notebook_restored,
            restored_unknown,
            snapshot_named,
            history_forgotten,
        }
    };
}

macro_rules! names {
    ($($name:ident,)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}
with_every_case!(names);

#[test]
fn no_case_is_left_out() {
    let all: Vec<&str> = cases().iter().map(|case| case.name).collect();
    assert_eq!(all, NAMES);
}

/// Runs one case on a runtime of its own, with several threads, so that what races does.
fn run(name: &str, fixture: &dyn Fixture) {
    let case = cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the case exists");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(case.run(fixture));
}

/// A store in memory.
#[derive(Debug)]
struct Memory(MemorySessions);

#[async_trait]
impl Fixture for Memory {
    async fn store(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.0.clone())
    }

    async fn again(&self) -> Arc<dyn SessionStore> {
        self.store().await
    }
}

/// A store in a folder.
#[derive(Debug)]
struct Local(TempDir);

#[async_trait]
impl Fixture for Local {
    async fn store(&self) -> Arc<dyn SessionStore> {
        Arc::new(LocalSessions::open(self.0.path().join("state")).await.unwrap())
    }

    async fn again(&self) -> Arc<dyn SessionStore> {
        self.store().await
    }
}

mod memory {
    use super::{Memory, MemorySessions, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Memory(MemorySessions::new()));
            })*
        };
    }
    with_every_case!(tests);
}

mod local {
    use super::{Local, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Local(tempfile::tempdir().unwrap()));
            })*
        };
    }
    with_every_case!(tests);
}
