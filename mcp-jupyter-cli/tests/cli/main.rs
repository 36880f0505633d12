//! The command line as a user sees it, with a real ipykernel.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says why it is skipped"
)]

mod assets;
mod client_features;
mod commands;
mod crashes;
mod data_frames;
mod failures;
mod front_end;
mod installing;
mod lab;
mod plans;
#[path = "../../../mcp-jupyter-core/tests/support/postgres.rs"]
mod postgres;
mod proposals;
mod resources;
mod runs;
mod saving;
mod selections;
mod services;
mod serving;
mod serving_http;
mod sessions;
mod signals;
mod usage;
mod watching;
mod web;
