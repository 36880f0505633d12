//! The engine on scripted kernels, with the clock paused: nothing here takes time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod ending;
mod errors;
mod events;
mod input;
mod offloading;
mod outputs;
mod saving;
mod scene;
mod scheduling;
mod selection;
mod sessions;
mod sharing;
