//! Every backend of every domain against the cases that all backends of the domain must pass.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod assets;
#[cfg(target_os = "linux")]
mod disks;
mod journal;
mod kernel;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "../support/postgres.rs"]
mod postgres_server;
#[cfg(feature = "grpc")]
mod remote;
mod scheduler;
mod session;
#[path = "../support/mod.rs"]
mod support;
mod writers;
