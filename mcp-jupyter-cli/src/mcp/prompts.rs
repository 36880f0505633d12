//! Prompts: what a user may start an agent with.
//!
//! Their texts name tools in backquotes; a prompt is offered where all of them are.

use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use super::answer::Refusal;

/// A prompt.
struct Template {
    name: &'static str,
    description: &'static str,
    arguments: &'static [Argument],
    /// What it says of `{argument}`s that are given; a line that names one that is not is left out.
    text: &'static str,
}

struct Argument {
    name: &'static str,
    description: &'static str,
    required: bool,
}

const PATH: Argument = Argument {
    name: "path",
    description: "The notebook",
    required: true,
};

const ALL: [Template; 4] = [
    Template {
        name: "analyse_data",
        description: "Analyse data in a notebook, step by step, with what was found written down",
        arguments: &[
            PATH,
            Argument {
                name: "data",
                description: "A file, a table or a URL with the data",
                required: false,
            },
            Argument {
                name: "variable",
                description: "A variable in the notebook's kernel that has the data",
                required: false,
            },
            Argument {
                name: "question",
                description: "What to find out",
                required: false,
            },
            Argument {
                name: "kernel",
                description: "The kernelspec to start where the notebook has no kernel",
                required: false,
            },
        ],
        text: "\
Analyse data in the notebook {path}.
The data is in {data}.
The data is in the variable {variable} of its kernel: begin with `variable_inspect`.
The question is: {question}
Where the notebook has no kernel, start it by `kernel_start` with the kernelspec {kernel}.

1. `notebook_read` shows the notebook; where there is none, `notebook_create` makes it.
2. Load the data in one cell, and look at it before you conclude anything: `variable_inspect` shows columns, types, missing \
values and the first rows without printing them, `query` answers questions in SQL where DuckDB is installed.
3. Go in small steps, one idea a cell, by `edit_and_run`. Explain each in a markdown cell before it.
4. Try out what is not to stay by `execute_code`, which leaves the notebook as it is.
5. Plot what the numbers show, and look at the image in the result before you describe it.
6. When a package is missing, ask before you install it by `package_install`.
7. End with a markdown cell that says what was found, how sure that is, and what was left out. Then `run` the notebook: \
nothing may be stale.",
    },
    Template {
        name: "debug_notebook",
        description: "Find out why a notebook fails, and mend it",
        arguments: &[
            PATH,
            Argument {
                name: "cell",
                description: "The cell that fails",
                required: false,
            },
        ],
        text: "\
The notebook {path} fails. Find out why, and mend it.
The cell that fails is {cell}.

1. `notebook_read` shows its outline with errors and what is stale; read the cell that fails, with its traceback, and the \
cells that it depends on. `plan` says which those are, and why.
2. Look at the values before you guess: `variable_list` and `variable_inspect`. Try an explanation by `execute_code`, which \
changes nothing that stays.
3. Mend the cause, not the symptom, by `notebook_edit` with the digest of the source that you have read: never by catching \
the error where it is raised.
4. `run` executes what the edit has made stale. Repeat until nothing fails.
5. Say what was wrong, what was changed, and which results are others now.",
    },
    Template {
        name: "clean_up",
        description: "Tidy a notebook without changing what it computes",
        arguments: &[PATH],
        text: "\
Tidy the notebook {path} without changing what it computes.

1. `notebook_read` shows all of it, `notebook_validate` what is wrong with the file.
2. Note the results that have to stay the same.
3. By `notebook_edit`, in batches that can be explained in a sentence each: imports into one cell at the top; cells that \
nothing uses deleted; cells that do several things split; names that say what they hold; a markdown heading and a sentence \
before each part. Keep ids, tags and metadata.
4. `plan` says what that made stale, and `run` executes it; `run` with mode full shows that the notebook works from top to \
bottom.
5. Compare the results with those noted. `notebook_history` brings back an earlier version where one is another.",
    },
    Template {
        name: "explain_plan",
        description: "Explain what a run of a notebook would execute, and why",
        arguments: &[
            PATH,
            Argument {
                name: "cell",
                description: "The cell that is wanted",
                required: false,
            },
        ],
        text: "\
Explain to me what a run of the notebook {path} would execute, and why. Execute nothing.
I want the result of the cell {cell}: name it in `cells`.

1. `plan` with \"graph\": true gives the cells to execute with a reason each, and which cell reads what from which.
2. `notebook_read` shows the sources of the cells in it.
3. Say in plain words which edit or which missing result each of them goes back to, along the chain of names; what is not \
executed, and why its result still holds; and what is slow or marked as expensive.
4. Draw the part of the graph that matters, as mermaid.",
    },
];

/// The prompts whose tools are offered.
pub(super) fn list(offered: &[&str]) -> Vec<Prompt> {
    let shown = ALL.iter().filter(|prompt| prompt.is_offered(offered));
    shown.map(Template::to_model).collect()
}

/// A prompt with its arguments filled in.
pub(super) fn get(name: &str, arguments: &JsonObject, offered: &[&str]) -> Result<GetPromptResult, Refusal> {
    let mut prompts = ALL.iter().filter(|prompt| prompt.is_offered(offered));
    let prompt = prompts.find(|prompt| prompt.name == name).ok_or_else(|| {
        let known: Vec<String> = list(offered).into_iter().map(|prompt| prompt.name).collect();
        Refusal::new(format!("there is no prompt {name:?}; there are {}", known.join(", ")))
    })?;
    let text = prompt.filled(arguments)?;
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).with_description(prompt.description))
}

impl Template {
    fn is_offered(&self, offered: &[&str]) -> bool {
        self.tools().all(|tool| offered.contains(&tool))
    }

    /// The tools that the text names.
    fn tools(&self) -> impl Iterator<Item = &'static str> {
        let quoted = self.text.split('`').skip(1).step_by(2);
        quoted.filter(|word| *word != "cells")
    }

    fn to_model(&self) -> Prompt {
        let arguments = self.arguments.iter().map(|argument| {
            PromptArgument::new(argument.name)
                .with_description(argument.description)
                .with_required(argument.required)
        });
        Prompt::new(self.name, Some(self.description), Some(arguments.collect()))
    }

    fn filled(&self, given: &JsonObject) -> Result<String, Refusal> {
        if let Some(unknown) = given
            .keys()
            .find(|name| !self.arguments.iter().any(|argument| argument.name == **name))
        {
            return Err(Refusal::new(format!("{} has no argument {unknown:?}", self.name)));
        }
        let mut values = Vec::new();
        for argument in self.arguments {
            let value = given.get(argument.name).and_then(Value::as_str).unwrap_or_default();
            if argument.required && value.is_empty() {
                return Err(Refusal::new(format!(
                    "{} needs the argument {:?}",
                    self.name, argument.name
                )));
            }
            values.push((format!("{{{}}}", argument.name), value));
        }
        let lines = self.text.lines().filter_map(|line| filled_line(line, &values));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// A line with what stands for its argument; nothing where that is not given.
fn filled_line(line: &str, values: &[(String, &str)]) -> Option<String> {
    let Some((place, value)) = values.iter().find(|(place, _)| line.contains(place.as_str())) else {
        return Some(line.to_owned());
    };
    (!value.is_empty()).then(|| line.replace(place.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mcp::tools;

    #[test]
    fn prompts_name_only_tools_that_exist() {
        let known: Vec<&str> = tools::ALL.iter().map(|entry| entry.name).collect();
        for prompt in &ALL {
            let named: Vec<&str> = prompt.tools().collect();
            assert!(!named.is_empty());
            for tool in named {
                assert!(known.contains(&tool), "{} names {tool}", prompt.name);
            }
            // A tool that is named without quotes would not be looked for.
            let plain: String = prompt.text.split('`').step_by(2).collect();
            let mut words = plain.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            assert!(!words.any(|word| word.contains('_')), "{}", prompt.name);
        }
        assert_eq!(list(&known).len(), 4);
    }

    #[test]
    fn a_prompt_is_offered_where_all_its_tools_are() {
        let named = |offered: &[&str]| list(offered).into_iter().map(|prompt| prompt.name).collect::<Vec<_>>();
        assert_eq!(named(&["plan", "notebook_read"]), ["explain_plan"]);
        assert!(named(&["plan"]).is_empty());
        assert!(get("clean_up", &JsonObject::new(), &["plan", "notebook_read"]).is_err());
    }

    #[test]
    fn arguments_are_filled_in_and_lines_without_theirs_left_out() {
        let known: Vec<&str> = tools::ALL.iter().map(|entry| entry.name).collect();
        let filled = |name: &str, arguments: Value| get(name, arguments.as_object().unwrap(), &known);
        let text =
            |result: GetPromptResult| serde_json::to_value(&result.messages[0]).unwrap()["content"]["text"].to_string();
        let told = text(filled("debug_notebook", json!({ "path": "a.ipynb" })).unwrap());
        assert!(
            told.contains("The notebook a.ipynb fails") && !told.contains("The cell that fails is"),
            "{told}"
        );
        let told = text(filled("debug_notebook", json!({ "path": "a.ipynb", "cell": "c1" })).unwrap());
        assert!(told.contains("The cell that fails is c1."), "{told}");
        assert!(!told.contains('{'), "{told}");
        for (arguments, reason) in [(json!({}), "needs"), (json!({ "path": "a", "x": "y" }), "no argument")] {
            let refused = filled("debug_notebook", arguments).unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
