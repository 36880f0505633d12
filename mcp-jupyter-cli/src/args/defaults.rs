//! Values from a file, where neither the command line nor the environment has any.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, Command, Error, Parser};

/// Parses a command line whose option `--config` may name a TOML file with values for the others.
pub(crate) fn parse<C: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<C, Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = C::command();
    if let Some(file) = named_file(&command, &arguments) {
        for (key, value) in read(&file).map_err(|reason| refuse(&mut command, &file, &reason))? {
            command =
                with_default(command, &key, &value).map_err(|reason| refuse(&mut C::command(), &file, &reason))?;
        }
    }
    let mut matches = command.try_get_matches_from(arguments)?;
    C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut C::command()))
}

/// The file that is named. What is wrong with the rest of the command line is told once the file was read.
fn named_file(command: &Command, arguments: &[OsString]) -> Option<PathBuf> {
    let config = command.get_arguments().find(|arg| arg.get_id() == "config")?.clone();
    let rest = Arg::new("rest")
        .num_args(..)
        .allow_hyphen_values(true)
        .trailing_var_arg(true);
    let alone = Command::new("config").disable_help_flag(true).arg(config).arg(rest);
    // Everything before `--config` would end the search.
    let begin = arguments.iter().position(|argument| {
        let text = argument.to_string_lossy();
        text == "--config" || text.starts_with("--config=")
    });
    let program = arguments.first().into_iter();
    let shortened = program.chain(begin.map_or(&[][..], |begin| &arguments[begin..]));
    let matches = alone.try_get_matches_from(shortened).ok()?;
    matches.get_one::<PathBuf>("config").cloned()
}

fn read(file: &Path) -> Result<Vec<(String, String)>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    table
        .into_iter()
        .map(|(key, value)| Ok((key.clone(), text_of(&key, value)?)))
        .collect()
}

fn text_of(key: &str, value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        other => Err(format!(
            "{key}: expected a string, a number, true or false, not {}",
            other.type_str()
        )),
    }
}

fn with_default(command: Command, key: &str, value: &str) -> Result<Command, String> {
    let takes =
        |arg: &&Arg| arg.get_long() == Some(key) && !["config", "check-config", "help", "version"].contains(&key);
    let Some(id) = command.get_arguments().find(takes).map(|arg| arg.get_id().clone()) else {
        let known = command.get_arguments().filter_map(Arg::get_long);
        let known: Vec<&str> = known.filter(|name| !name.contains("config")).collect();
        return Err(format!(
            "there is no option {key:?}; expected one of {}",
            known.join(", ")
        ));
    };
    let value = value.to_owned();
    Ok(command.mut_arg(id, |arg| arg.required(false).default_value(value)))
}

fn refuse(command: &mut Command, file: &Path, reason: &str) -> Error {
    command.error(
        ErrorKind::InvalidValue,
        format!("{}: {}", file.display(), reason.trim_end()),
    )
}
