//! Kernels behind a keeper, which is this crate's program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod attaching;
mod conformance;
#[path = "../../../mcp-jupyter-core/tests/conformance/kernel/processes.rs"]
mod processes;
#[path = "../../../mcp-jupyter-core/tests/support/mod.rs"]
mod support;

use mcp_jupyter_core::kernel::kept::KeeperProgram;

/// The program under test, as a keeper.
fn keeper() -> KeeperProgram {
    KeeperProgram {
        program: env!("CARGO_BIN_EXE_mcp-jupyter").into(),
        arguments: vec!["keep".into()],
    }
}
