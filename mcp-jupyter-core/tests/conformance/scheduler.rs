//! Schedulers: every case is one test per backend.

use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::scheduler::conformance::{Fixture, cases};
use mcp_jupyter_core::scheduler::journal::conformance::Fixture as JournalFixture;
use mcp_jupyter_core::scheduler::{LocalScheduler, Scheduler};

use crate::journal::{Memory, Sqlite};

/// Calls a macro with the names of all cases.
macro_rules! with_every_case {
    ($make_tests:ident) => {
        $make_tests! {
            sync_begins,
            session_unknown,
            run_unknown,
            plan_is_dry,
            plan_unknown_cell,
            run_in_order,
            run_one_at_a_time,
            run_nothing,
            run_edited,
            run_target,
            run_full,
            run_incremental,
            run_append,
            run_expensive,
            run_deletes,
            run_verified,
            run_cut_off,
            run_surprised,
            sessions_apart,
            queue_in_order,
            queue_priority,
            queue_full,
            queue_planned_anew,
            queue_status,
            cancel_waiting,
            cancel_running,
            cancel_in_time,
            cancel_between,
            cancel_ended,
            deadline_waiting,
            deadline_running,
            deadline_between,
            deadline_kept,
            dropped_waiting,
            dropped_running,
            dropped_start,
            dropped_after_end,
            report_repeated,
            report_differing,
            report_after_end,
            report_not_dispatched,
            error_stops,
            error_of_any_kind_stops,
            error_continues,
            error_blocks,
            error_blocks_each,
            error_in_appended,
            error_expected,
            error_expected_and_none,
            error_repaired,
            death_stops,
            death_restarts,
            death_restarts_so_often,
            death_and_target,
            death_and_append,
            death_and_cancel,
            death_noticed_elsewhere,
            epoch_rises,
            epoch_stays,
            epoch_rises_in_a_run,
            epoch_rises_in_a_cell,
            sync_adds_below,
            sync_adds_above,
            sync_adds_between,
            sync_removes,
            sync_edits_executed,
            sync_edits_waiting,
            sync_edits_in_flight,
            sync_removes_in_flight,
            sync_of_the_same,
            sync_again_and_again,
            runs_listed,
            forget_session,
            forget_while_running,
            forget_unknown,
            reopen_fresh,
            reopen_new_kernel,
            reopen_after_many,
            reopen_running,
            reopen_waiting,
            reopen_between,
            reopen_and_report,
            reopen_synced,
            reopen_surprised,
            reopen_twice,
            resume_in_flight,
            resume_failed,
            resume_lost,
            resume_between,
            resume_waiting,
            resume_twice,
            resume_edited,
            resume_and_cancel,
            resume_cancelled,
            resume_late,
            resume_without_repeating,
            resume_on_a_new_kernel,
            resume_unknown,
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

/// Runs one case on a runtime of its own, whose clock does not wait.
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

/// The scheduler of this process over a journal.
#[derive(Debug)]
struct Local<J>(J);

#[async_trait]
impl<J: JournalFixture> Fixture for Local<J> {
    async fn scheduler(&self) -> Arc<dyn Scheduler> {
        Arc::new(LocalScheduler::new(self.0.journal().await))
    }

    async fn reopen(&self) -> Arc<dyn Scheduler> {
        Arc::new(LocalScheduler::new(self.0.reopen().await))
    }
}

mod local_over_memory {
    use super::{Local, Memory, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Local(Memory::new()));
            })*
        };
    }
    with_every_case!(tests);
}

mod local_over_sqlite {
    use super::{Local, Sqlite, run};

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run(stringify!($name), &Local(Sqlite::new()));
            })*
        };
    }
    with_every_case!(tests);
}

/// The cases with a clock that does not stand still, for there are connections.
#[cfg(feature = "grpc")]
fn run_in_time(name: &str, fixture: &dyn Fixture) {
    let case = cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the case exists");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(case.run(fixture));
}

#[cfg(feature = "grpc")]
mod remote_over_memory {
    use super::{Memory, run_in_time};
    use crate::remote::Scheduling;

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run_in_time(stringify!($name), &Scheduling::over(Memory::new()));
            })*
        };
    }
    with_every_case!(tests);
}

#[cfg(feature = "grpc")]
mod remote_over_sqlite {
    use super::{Sqlite, run_in_time};
    use crate::remote::Scheduling;

    macro_rules! tests {
        ($($name:ident,)*) => {
            $(#[test]
            fn $name() {
                run_in_time(stringify!($name), &Scheduling::over(Sqlite::new()));
            })*
        };
    }
    with_every_case!(tests);
}
