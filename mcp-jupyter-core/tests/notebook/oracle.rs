//! Python's nbformat, asked about a folder of notebooks at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_jupyter_core::model::Json;
use mcp_jupyter_core::session::notebook::Notebook;
use tempfile::TempDir;

/// What nbformat says of one notebook.
pub(crate) struct Verdict {
    /// What it writes; `None` where it cannot read or write the notebook.
    pub(crate) written: Option<String>,
    /// Whether the schema allows the notebook.
    pub(crate) is_valid: bool,
    /// Why not.
    pub(crate) why: String,
}

/// A Python with nbformat: that of `MCP_JUPYTER_TEST_PYTHON`, else that of the workspace's virtual environment.
///
/// Where there is none this fails in CI, and elsewhere says so and gives `None`.
pub(crate) fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python =
        std::env::var_os("MCP_JUPYTER_TEST_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    let found = Command::new(&python).args(["-c", "import nbformat"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let reason = format!(
        "{}: no Python with nbformat; set MCP_JUPYTER_TEST_PYTHON",
        python.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    println!("skipped: {reason}");
    None
}

/// Asks nbformat about each of `documents`, in one process.
pub(crate) fn ask(python: &Path, documents: &[String]) -> Vec<Verdict> {
    let folder = TempDir::new().unwrap();
    for (index, document) in documents.iter().enumerate() {
        let path = folder.path().join(format!("{index:06}.ipynb"));
        std::fs::write(&path, document).unwrap();
        if let Ok(notebook) = Notebook::parse(document.as_bytes()) {
            std::fs::write(path.with_extension("ours"), notebook.to_bytes()).unwrap();
        }
    }
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notebook/oracle.py"))
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = Json::parse(&output.stdout).unwrap();
    let said: BTreeMap<_, _> = said.as_object().unwrap().iter().collect();
    assert_eq!(said.len(), documents.len());
    said.into_iter()
        .map(|(name, said)| verdict(&folder.path().join(name), said))
        .collect()
}

fn verdict(path: &Path, said: &Json) -> Verdict {
    let why = said
        .get("error")
        .or(said.get("why"))
        .and_then(Json::as_str)
        .unwrap_or_default();
    Verdict {
        written: said
            .get("valid")
            .map(|_| std::fs::read_to_string(path.with_extension("expected")).unwrap()),
        is_valid: said.get("valid").and_then(Json::as_bool).unwrap_or(false),
        why: why.into_owned(),
    }
}
