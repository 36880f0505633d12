//! Python's nbformat, asked about a folder of notebooks at once.

use std::collections::BTreeMap;
use std::path::Path;
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
