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

/// What the user's own file may say, and the variable that says the same.
const OF_USERS: [(&str, &str); 7] = [
    ("scheduler", "MCP_JUPYTER_SCHEDULER"),
    ("assets", "MCP_JUPYTER_ASSETS"),
    ("when-away", "MCP_JUPYTER_WHEN_AWAY"),
    ("service-token-file", "MCP_JUPYTER_SERVICE_TOKEN_FILE"),
    ("service-authority", "MCP_JUPYTER_SERVICE_AUTHORITY"),
    ("service-certificate", "MCP_JUPYTER_SERVICE_CERTIFICATE"),
    ("service-key", "MCP_JUPYTER_SERVICE_KEY"),
];

/// Parses a command line whose options for services the user's own file may have values for.
pub(crate) fn parse_for_user<C: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<C, Error> {
    let mut command = C::command();
    if let Some(file) = users_file() {
        for (key, value) in read(&file).map_err(|reason| refuse(&mut command, &file, &reason))? {
            let Some((_, variable)) = OF_USERS.iter().find(|(known, _)| *known == key) else {
                let known = OF_USERS.map(|(known, _)| known).join(", ");
                let reason = format!("there is no option {key:?}; expected one of {known}");
                return Err(refuse(&mut command, &file, &reason));
            };
            command = everywhere(command, variable, &value);
        }
    }
    let mut matches = command.try_get_matches_from(arguments)?;
    C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut C::command()))
}

/// The file that is named, which has to be there, or that at its usual place, if it is.
fn users_file() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(named) = variable("MCP_JUPYTER_CONFIG") {
        return Some(named);
    }
    let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?;
    Some(folder.join("mcp-jupyter/config.toml")).filter(|file| file.exists())
}

/// Gives a value to whatever else takes it from this variable, in all subcommands.
fn everywhere(mut command: Command, variable: &str, value: &str) -> Command {
    let takes = |arg: &&Arg| arg.get_env().is_some_and(|name| name == variable);
    let ids: Vec<_> = command
        .get_arguments()
        .filter(takes)
        .map(|arg| arg.get_id().clone())
        .collect();
    for id in ids {
        let value = value.to_owned();
        command = command.mut_arg(id, |arg| arg.required(false).default_value(value));
    }
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| everywhere(sub, variable, value));
    }
    command
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
