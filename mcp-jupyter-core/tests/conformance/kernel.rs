//! Kernels: every case is one test per backend.

mod local;
mod memory;
mod processes;

use processes::{run, with_every_case};
