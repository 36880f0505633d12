//! Papermill itself, to compare with.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_jupyter_core::model::Json;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parameters/ask_papermill.py");

/// A Python that has papermill.
pub(crate) struct Papermill {
    python: PathBuf,
}

impl Papermill {
    /// The Python named by `MCP_JUPYTER_TEST_PYTHON`, else that of `.venv` in the workspace.
    ///
    /// # Errors
    /// Why there is none to compare with.
    ///
    /// # Panics
    /// In continuous integration, where that must not pass unnoticed.
    pub(crate) fn find() -> Result<Self, String> {
        let found = Self::installed();
        assert!(
            found.is_ok() || std::env::var_os("CI").is_none(),
            "continuous integration compares with papermill: {}",
            found.err().unwrap_or_default()
        );
        found
    }

    fn installed() -> Result<Self, String> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
        let python = std::env::var_os("MCP_JUPYTER_TEST_PYTHON").map_or(workspace, PathBuf::from);
        let importable = Command::new(&python).args(["-c", "import papermill"]).output();
        match importable {
            Ok(output) if output.status.success() => Ok(Self { python }),
            Ok(_) => Err(format!("{} has no papermill", python.display())),
            Err(error) => Err(format!("{}: {error}", python.display())),
        }
    }

    /// Asks for calls of the functions of `ask_papermill.py`; a call that raises has its error as the answer.
    pub(crate) fn ask(&self, calls: Vec<Json>) -> Vec<Result<Json, String>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (questions, answers) = (folder.path().join("questions"), folder.path().join("answers"));
        let count = calls.len();
        std::fs::write(&questions, Json::from(calls).to_string()).expect("the questions are written");
        let output = Command::new(&self.python)
            .arg(SCRIPT)
            .args([&questions, &answers])
            .output()
            .expect("Python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answers = std::fs::read(&answers).expect("the answers are there");
        let Ok(Json::Array(answers)) = Json::parse(&answers) else {
            panic!("the answers are a list");
        };
        assert_eq!(answers.len(), count);
        answers.into_iter().map(answer).collect()
    }
}

fn answer(mut answer: Json) -> Result<Json, String> {
    let error = answer
        .get("error")
        .and_then(Json::as_str)
        .map(std::borrow::Cow::into_owned);
    match error {
        Some(error) => Err(error),
        None => Ok(answer.take("value").unwrap_or_default()),
    }
}

/// A call of one of the script's functions.
pub(crate) fn call(function: &str, arguments: impl IntoIterator<Item = Json>) -> Json {
    let mut call = vec![Json::from(function)];
    call.extend(arguments);
    Json::from(call)
}
