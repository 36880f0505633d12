use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_jupyter_core::session::notebook::Notebook;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use super::notebook_list::find;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::caller::Caller;
use crate::mcp::server::Server;
use crate::mcp::show::text_of;
use crate::mcp::tool::{Effect, Tool};
use crate::report::terminal::first_line;

/// Lines that are shown at most.
const SHOWN: usize = 50;

/// How much of a line is shown.
const LINE: usize = 160;

pub(super) struct NotebookSearch;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// A regular expression; upper and lower case are the same
    pattern: String,
    /// A notebook or a folder [all]
    path: Option<String>,
    /// Search outputs too
    #[serde(default)]
    outputs: bool,
}

impl Tool for NotebookSearch {
    const NAME: &'static str = "notebook_search";
    const DESCRIPTION: &'static str = "Find lines in the cells of notebooks.";
    const EFFECT: Effect = Effect::Reads;
    type Arguments = Arguments;

    async fn call(server: Arc<Server>, arguments: Arguments, _caller: Caller) -> Result<Answer, Refusal> {
        let pattern = RegexBuilder::new(&arguments.pattern).case_insensitive(true).build();
        let pattern = pattern.map_err(|error| Refusal::new(format!("pattern: {error}")))?;
        let places = match &arguments.path {
            Some(named) => vec![server.roots.existing(named)?],
            None => server.roots.folders().to_vec(),
        };
        let roots = server.roots.clone();
        let found = tokio::task::spawn_blocking(move || {
            let mut found = Found::default();
            for path in notebooks(&places) {
                found.search(&path, &roots.shown(&path), &pattern, arguments.outputs);
            }
            found
        });
        let found = found
            .await
            .map_err(|error| Refusal::new(format!("the search failed: {error}")))?;
        let mut lines = found.lines;
        if found.count > SHOWN {
            lines.push(format!("[{} more lines; narrow the search]", found.count - SHOWN));
        }
        if lines.is_empty() {
            lines.push("nothing found".to_owned());
        }
        let mut page = server.page();
        page.text(&lines.join("\n"), "narrow the search");
        Ok(Answer {
            content: page.finish(),
            ..Answer::default()
        })
    }
}

fn notebooks(places: &[PathBuf]) -> Vec<PathBuf> {
    match places {
        [only] if only.is_file() => vec![only.clone()],
        folders => find(folders),
    }
}

#[derive(Default)]
struct Found {
    lines: Vec<String>,
    count: usize,
}

impl Found {
    fn search(&mut self, path: &Path, shown: &str, pattern: &Regex, with_outputs: bool) {
        // What is no notebook has no cells to find anything in.
        let Ok(notebook) = Notebook::open(path) else { return };
        for (index, cell) in notebook.cells().iter().enumerate() {
            let name = format!("{shown} #{index} {}", cell.id());
            self.take(cell.source(), pattern, &name);
            if with_outputs {
                for (number, output) in cell.outputs().iter().enumerate() {
                    self.take(
                        &text_of(output).unwrap_or_default(),
                        pattern,
                        &format!("{name} output {number}"),
                    );
                }
            }
        }
    }

    fn take(&mut self, text: &str, pattern: &Regex, name: &str) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| pattern.is_match(line)) {
            self.count += 1;
            if self.lines.len() < SHOWN {
                self.lines
                    .push(format!("{name}:{}: {}", number + 1, first_line(line, LINE)));
            }
        }
    }
}
