use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::Notebook;

use crate::error::CliError;

/// Where a notebook comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    File(PathBuf),
    Stdin,
}

impl Input {
    /// What `argument` names, taken as it is.
    pub(crate) fn new(argument: impl Into<PathBuf>) -> Self {
        match argument.into() {
            path if path.as_os_str() == "-" => Self::Stdin,
            path => Self::File(path),
        }
    }

    /// The name for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "standard input".to_owned(),
        }
    }

    /// The path that stands for it in names of outputs.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Stdin => Path::new("stdin.ipynb"),
        }
    }

    /// The folder that the notebook is in; none for standard input.
    pub(crate) fn folder(&self) -> Option<&Path> {
        let Self::File(path) = self else { return None };
        path.parent().filter(|folder| !folder.as_os_str().is_empty())
    }

    /// Reads the notebook, which may block.
    pub(crate) fn read(&self) -> Result<Notebook, CliError> {
        self.named(match self {
            Self::File(path) => Notebook::open(path),
            Self::Stdin => read_stdin().and_then(|document| Notebook::parse(&document)),
        })
    }

    /// Reads what a plan needs of the notebook.
    pub(crate) fn read_sources(&self) -> Result<Notebook, CliError> {
        self.named(match self {
            Self::File(path) => Notebook::open_sources(path),
            Self::Stdin => read_stdin().and_then(|document| Notebook::parse_sources(&document)),
        })
    }

    fn named(&self, read: Result<Notebook, SessionError>) -> Result<Notebook, CliError> {
        read.map_err(|source| CliError::Input {
            name: self.name(),
            source,
        })
    }
}

fn read_stdin() -> Result<Vec<u8>, SessionError> {
    let mut document = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut document);
    read.map_err(|source| SessionError::Io {
        action: "read standard input".to_owned(),
        source,
    })?;
    Ok(document)
}

/// The notebooks that arguments name. Globs that no shell has expanded are expanded here, sorted, without checkpoints
/// of JupyterLab; a notebook that two globs match runs once.
pub(crate) fn expand(arguments: &[PathBuf]) -> Result<Vec<Input>, CliError> {
    let mut inputs: Vec<Input> = Vec::new();
    for argument in arguments {
        match pattern(argument) {
            Some(pattern) => {
                for path in matches(pattern)? {
                    let input = Input::File(path);
                    if !inputs.contains(&input) {
                        inputs.push(input);
                    }
                }
            }
            None => inputs.push(Input::new(argument)),
        }
    }
    if inputs.iter().filter(|input| **input == Input::Stdin).count() > 1 {
        return Err(CliError::usage("standard input (`-`) can be read only once"));
    }
    Ok(inputs)
}

/// The argument as a glob, unless there is a file of that very name.
fn pattern(argument: &Path) -> Option<&str> {
    let text = argument.to_str()?;
    (text.contains(['*', '?', '[']) && !argument.exists()).then_some(text)
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, CliError> {
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        require_literal_separator: true,
        case_sensitive: true,
    };
    let paths = glob::glob_with(pattern, options)
        .map_err(|error| CliError::usage(format!("`{pattern}` is no valid glob: {}", error.msg)))?;
    let is_checkpoint = |path: &Path| {
        path.components()
            .any(|part| part.as_os_str() == OsStr::new(".ipynb_checkpoints"))
    };
    let paths: Vec<PathBuf> = paths
        .flatten()
        .filter(|path| path.is_file() && !is_checkpoint(path))
        .collect();
    if paths.is_empty() {
        return Err(CliError::usage(format!("no notebook matches `{pattern}`")));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_expanded_sorted_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b.ipynb", "a.ipynb", "note.txt", ".hidden.ipynb"] {
            std::fs::write(path(name), "").unwrap();
        }
        let inputs = expand(&[path("*.ipynb"), path("a.*")]).unwrap();
        assert_eq!(inputs, [Input::File(path("a.ipynb")), Input::File(path("b.ipynb"))]);
        let error = expand(&[path("x*.ipynb")]).unwrap_err().to_string();
        assert!(
            error.starts_with("no notebook matches `") && error.ends_with("x*.ipynb`"),
            "{error}"
        );
    }

    #[test]
    fn a_file_may_have_a_name_like_a_glob() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a[1].ipynb");
        std::fs::write(&path, "").unwrap();
        assert_eq!(expand(std::slice::from_ref(&path)).unwrap(), [Input::File(path)]);
    }

    #[test]
    fn standard_input_is_read_once() {
        assert_eq!(expand(&["-".into()]).unwrap(), [Input::Stdin]);
        assert!(expand(&["-".into(), "-".into()]).is_err());
    }
}
