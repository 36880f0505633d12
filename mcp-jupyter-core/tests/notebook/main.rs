//! The notebook document: agreement with Python's nbformat, what is refused and what is tolerated, and saving.

#![expect(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod agreement;
mod generated;
mod oracle;
mod reading;
#[cfg(unix)]
mod saving;
#[path = "../support/mod.rs"]
mod support;
