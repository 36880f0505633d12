use std::fmt::Write as _;

use mcp_jupyter_core::assets::reading::{AssetReader, Matches, Pattern, Search};

use crate::args::SearchArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// What of the found lines is shown at most, in bytes.
const MOST_TEXT: usize = 16 << 20;

/// Prints the lines in which a pattern is found, with their numbers.
pub(super) async fn search(args: SearchArgs) -> Result<Exit, CliError> {
    let store = super::open(&args.store).await?;
    let pattern = if args.regex {
        Pattern::Regex(args.pattern)
    } else {
        Pattern::Literal(args.pattern)
    };
    let mut search = Search::new(pattern);
    search.ignore_case = args.ignore_case;
    (search.before, search.after) = (args.context, args.context);
    search.max_matches = args.max_count;
    search.from_line = args.from_line;
    search.max_bytes = MOST_TEXT;
    let matches = AssetReader::new(store).search(&args.digest, &search).await?;
    if args.store.json {
        report::show_json(&matches);
        return Ok(Exit::Ok);
    }
    report::show_data(lines(&matches).as_bytes());
    if matches.matches == 0 {
        report::show_note("it is not found");
    } else if matches.stopped.is_some()
        && let Some(notice) = matches.notice()
    {
        report::show_note(&notice);
    }
    Ok(Exit::Ok)
}

/// As grep shows them: a colon behind the number of a line that matches, a hyphen behind that of one around it.
fn lines(matches: &Matches) -> String {
    let mut shown = String::new();
    for (at, passage) in matches.passages.iter().enumerate() {
        let has_context = passage.lines.iter().any(|line| !line.is_match);
        if at > 0 && has_context {
            shown.push_str("--\n");
        }
        for line in &passage.lines {
            let mark = if line.is_match { ':' } else { '-' };
            let _ = writeln!(
                shown,
                "{}{mark}{}",
                line.number,
                line.text.trim_end_matches(['\n', '\r'])
            );
        }
    }
    shown
}
