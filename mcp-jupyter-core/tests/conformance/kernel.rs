//! Kernels: every case is one test per backend.

mod local;
mod memory;

use mcp_jupyter_core::kernel::conformance::{Fixture, cases};

/// Calls a macro with the names of all cases.
macro_rules! with_every_case {
    ($make_tests:ident) => {
        $make_tests! {
            execution_ok,
            execution_error,
            execution_silent,
            execution_aborted,
            execution_not_aborted,
            execution_order,
            executions_in_order,
            execution_result,
            execution_displays,
            execution_user_expressions,
            execution_empty,
            execution_buffers,
            input_answered,
            input_refused,
            slow_reader,
            slow_reader_and_shutdown,
            dropped_stream,
            two_subscribers,
            request_kernel_info,
            request_while_busy,
            request_inspect,
            request_complete,
            request_is_complete,
            request_history,
            comm_round_trip,
            comm_unknown_target,
            kernelspecs_listed,
            kernelspec_unknown,
            launch_that_dies,
            launch_that_hangs,
            launch_dropped,
            interrupt_running,
            interrupt_idle,
            restart_loses_names,
            restart_while_running,
            state_changes,
            ping_while_busy,
            shutdown_graceful,
            shutdown_graceful_while_running,
            shutdown_immediate,
            shutdown_repeated,
            shutdown_in_parallel,
            death_by_exit,
            death_by_signal,
            death_while_idle,
            death_ends_requests,
            dead_kernel_refuses,
            dropped_kernel,
        }
    };
}
use with_every_case;

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

/// Runs one case on a runtime of its own.
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
