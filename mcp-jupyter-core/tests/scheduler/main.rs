//! The scheduler's planner against notebooks whose edges and minimal re-runs were verified by execution.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod corpus;
mod incremental;
mod requests;
mod syntax;
