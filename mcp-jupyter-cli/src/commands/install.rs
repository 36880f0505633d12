use crate::args::InstallArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::install::prepare;
use crate::report::{show_diff, show_note};

/// Writes the server into a client's configuration.
pub(crate) fn install(args: &InstallArgs) -> Result<Exit, CliError> {
    let change = prepare(args)?;
    let path = change.path.display().to_string();
    if change.is_empty() {
        show_note(&format!("{path} has it already; nothing was written"));
        return Ok(Exit::Ok);
    }
    show_diff(&[change.diff()]);
    if args.dry_run {
        show_note("nothing was written: --dry-run");
        return Ok(Exit::Ok);
    }
    match change.write()? {
        Some(backup) => show_note(&format!("wrote {path}; what it was is in {}", backup.display())),
        None => show_note(&format!("wrote {path}, a new file")),
    }
    show_note("start the client again to have it read that");
    Ok(Exit::Ok)
}
