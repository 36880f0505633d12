use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use mcp_jupyter_core::engine::RunEvent;
use mcp_jupyter_core::model::Output;

use crate::error::CliError;

use super::Reporter;

/// Files that get a copy of what cells print. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamFiles {
    stdout: Option<Arc<File>>,
    stderr: Option<Arc<File>>,
}

impl StreamFiles {
    /// Creates the files that are given, or empties them; `-` is our standard output.
    pub(crate) fn create(stdout: Option<&Path>, stderr: Option<&Path>) -> Result<Self, CliError> {
        Ok(Self {
            stdout: stdout.map(create).transpose()?,
            stderr: stderr.map(create).transpose()?,
        })
    }

    fn is_used(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// The reporter, which copies from now on where there is anything to copy to.
    pub(super) fn wrap(&self, reporter: Box<dyn Reporter>) -> Box<dyn Reporter> {
        if self.is_used() {
            Box::new(Copying {
                reporter,
                files: self.clone(),
                failed: false,
            })
        } else {
            reporter
        }
    }

    fn write(&self, output: &Output) -> std::io::Result<()> {
        let Output::Stream { name, text } = output else {
            return Ok(());
        };
        let file = if name == "stderr" { &self.stderr } else { &self.stdout };
        let Some(mut file) = file.as_deref() else { return Ok(()) };
        let mut written = Ok(());
        text.for_each_chunk(|chunk| {
            if written.is_ok() {
                written = file.write_all(chunk.as_bytes());
            }
        });
        written
    }
}

fn create(path: &Path) -> Result<Arc<File>, CliError> {
    let path = if path == Path::new("-") {
        Path::new("/dev/stdout")
    } else {
        path
    };
    let file = File::create(path).map_err(|source| CliError::Output {
        path: path.to_owned(),
        source,
    })?;
    Ok(Arc::new(file))
}

#[derive(Debug)]
struct Copying {
    reporter: Box<dyn Reporter>,
    files: StreamFiles,
    failed: bool,
}

impl Reporter for Copying {
    fn begin(&mut self, sources: Vec<String>) {
        self.reporter.begin(sources);
    }

    fn warning(&mut self, message: &str) {
        self.reporter.warning(message);
    }

    fn event(&mut self, event: &RunEvent) {
        let problem = match event {
            RunEvent::Output { output, .. } if !self.failed => {
                self.files.write(output).err().map(|error| error.to_string())
            }
            RunEvent::Lagged { missed } => Some(format!("{missed} outputs came too fast for them")),
            _ => None,
        };
        if let Some(problem) = problem {
            self.failed = true;
            self.reporter
                .warning(&format!("the files for stdout and stderr are incomplete: {problem}"));
        }
        self.reporter.event(event);
    }

    fn failed(&mut self, error: &CliError) {
        self.reporter.failed(error);
    }
}
