//! The notebook document: agreement with Python's nbformat, what is refused and what is tolerated, and saving.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and say why they are skipped")]

mod agreement;
mod generated;
mod oracle;
mod reading;
mod saving;
