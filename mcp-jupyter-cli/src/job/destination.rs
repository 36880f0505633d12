use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use mcp_jupyter_core::model::{JsonMap, RunId};
use mcp_jupyter_core::session::parameters::{PathValues, fill_path};

use crate::error::CliError;

use super::inputs::Input;

/// Where a notebook is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    File(PathBuf),
    Stdout,
    Nowhere,
}

/// Where notebooks are to be saved, as the command line says it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    Output(&'a str),
    Inplace,
    Nowhere,
}

/// The destination of each input. Two inputs never have the same.
pub(crate) fn destinations(
    inputs: &[Input],
    wanted: Wanted<'_>,
    parameters: &JsonMap,
) -> Result<Vec<Destination>, CliError> {
    let values = path_values();
    let one = |input: &Input| match wanted {
        Wanted::Nowhere => Ok(Destination::Nowhere),
        Wanted::Inplace => inplace(input),
        Wanted::Output("-") if inputs.len() > 1 => Err(CliError::usage_with_hint(
            "only one notebook can be written to standard output",
            SEVERAL_HINT,
        )),
        Wanted::Output("-") => Ok(Destination::Stdout),
        Wanted::Output(template) => file(template, input, parameters, &values).map(Destination::File),
    };
    let destinations = inputs.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    refuse_collisions(inputs, &destinations)?;
    Ok(destinations)
}

const SEVERAL_HINT: &str = "use a folder, `-o out/`, or a template, `-o 'out/{stem}.ipynb'`";

fn inplace(input: &Input) -> Result<Destination, CliError> {
    match input {
        Input::File(path) => Ok(Destination::File(path.clone())),
        Input::Stdin => Err(CliError::usage_with_hint(
            "standard input cannot be written in place",
            "use `-o -` or `-o FILE`",
        )),
    }
}

/// A file, a file in a folder, or a template; papermill's rule for templates, with the input's names as defaults.
fn file(template: &str, input: &Input, parameters: &JsonMap, values: &PathValues) -> Result<PathBuf, CliError> {
    let path = input.path();
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let folder = input.folder().unwrap_or(Path::new(".")).display().to_string();
    let names = [
        ("name", text(path.file_name())),
        ("stem", text(path.file_stem())),
        ("dir", folder),
    ];
    let mut scope: JsonMap = names
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    scope.extend(parameters.clone());
    let filled = fill_path(template, &scope, values)?;
    let output = PathBuf::from(&filled);
    Ok(if filled.ends_with('/') || output.is_dir() {
        output.join(path.file_name().unwrap_or_default())
    } else {
        output
    })
}

/// What papermill offers in paths besides parameters, for this process.
pub(crate) fn path_values() -> PathValues {
    PathValues {
        run_uuid: RunId::random().to_string(),
        local_time: ZonedDateTime::now().datetime(),
        utc_time: TimeZone::UTC.to_datetime(Timestamp::now()),
    }
}

fn refuse_collisions(inputs: &[Input], destinations: &[Destination]) -> Result<(), CliError> {
    let mut taken: HashMap<&Path, &Input> = HashMap::new();
    for (input, destination) in inputs.iter().zip(destinations) {
        let Destination::File(path) = destination else { continue };
        if let Some(other) = taken.insert(path, input) {
            let (one, two, path) = (other.name(), input.name(), path.display());
            let message = format!("{one} and {two} would both be written to {path}");
            return Err(CliError::usage_with_hint(message, SEVERAL_HINT));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(inputs: &[&str], output: &str) -> Result<Vec<String>, String> {
        let inputs: Vec<Input> = inputs.iter().map(Input::new).collect();
        let parameters = [("year".to_owned(), 7_i64.into())].into_iter().collect();
        let destinations = destinations(&inputs, Wanted::Output(output), &parameters);
        let path = |destination| match destination {
            Destination::File(path) => path.display().to_string(),
            other => format!("{other:?}"),
        };
        destinations
            .map(|all| all.into_iter().map(path).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn templates_know_the_input_and_the_parameters() {
        assert_eq!(paths(&["d/a.ipynb"], "out.ipynb").unwrap(), ["out.ipynb"]);
        assert_eq!(
            paths(&["d/a.ipynb", "b.ipynb"], "{dir}/{stem}-{year}.ipynb").unwrap(),
            ["d/a-7.ipynb", "./b-7.ipynb"]
        );
        assert_eq!(
            paths(&["d/a.ipynb", "b.ipynb"], "out/{name}").unwrap(),
            ["out/a.ipynb", "out/b.ipynb"]
        );
        assert_eq!(
            paths(&["d/a.ipynb", "b.ipynb"], "out/").unwrap(),
            ["out/a.ipynb", "out/b.ipynb"]
        );
        assert_eq!(paths(&["-"], "{stem}.ipynb").unwrap(), ["stdin.ipynb"]);
        assert_eq!(paths(&["a.ipynb"], "-").unwrap(), ["Stdout"]);
    }

    #[test]
    fn an_existing_folder_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().to_str().unwrap();
        assert_eq!(paths(&["d/a.ipynb"], output).unwrap(), [format!("{output}/a.ipynb")]);
    }

    #[test]
    fn notebooks_never_overwrite_each_other() {
        let error = paths(&["d/a.ipynb", "e/a.ipynb"], "out/").unwrap_err();
        assert_eq!(error, "d/a.ipynb and e/a.ipynb would both be written to out/a.ipynb");
        assert!(paths(&["a.ipynb", "b.ipynb"], "out.ipynb").is_err());
        assert!(paths(&["a.ipynb", "b.ipynb"], "-").is_err());
    }

    #[test]
    fn unknown_names_in_templates_are_refused() {
        assert!(paths(&["a.ipynb"], "{month}.ipynb").unwrap_err().contains("month"));
    }
}
