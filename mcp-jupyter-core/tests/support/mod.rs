//! What the tests that need a real Python share.

use std::path::{Path, PathBuf};

/// The tests' Python: `MCP_JUPYTER_TEST_PYTHON`, else that of `.venv` at the root of the workspace.
///
/// With none, the test is to return: the reason is printed.
///
/// # Panics
/// With none while `CI` is set, where everything has to be there.
pub(crate) fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a workspace member");
    let named = std::env::var_os("MCP_JUPYTER_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| root.join(".venv/bin/python"));
    if python.is_file() {
        return Some(python);
    }
    let reason = format!(
        "no Python to test with at {}: run .ci/setup, or set MCP_JUPYTER_TEST_PYTHON",
        python.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    #[allow(clippy::print_stdout, reason = "a test that does nothing has to say why")]
    {
        println!("skipped: {reason}");
    }
    None
}
