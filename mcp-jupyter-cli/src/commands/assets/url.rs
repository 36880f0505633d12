use jiff::Timestamp;

use crate::args::UrlArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{report, services};

/// Prints a signed URL.
pub(super) fn url(args: &UrlArgs) -> Result<Exit, CliError> {
    let key = services::url_key(&args.url_key_file)?;
    let expires = Timestamp::now()
        .checked_add(args.expires)
        .map_err(|error| CliError::usage(format!("--expires: {error}")))?;
    let path = key.path(&args.namespace, &args.digest, expires);
    report::show_data(format!("{}{path}\n", args.base.trim_end_matches('/')).as_bytes());
    Ok(Exit::Ok)
}
