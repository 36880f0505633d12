use mcp_jupyter_core::model::Json;
use mcp_jupyter_core::session::parameters::{InjectOptions, Parameter, inspect as inspect_notebook};

use crate::args::InspectArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::Input;
use crate::report;

/// Lists the parameters of a notebook.
pub(crate) fn inspect(args: &InspectArgs) -> Result<Exit, CliError> {
    let notebook = Input::new(&args.notebook).read()?;
    let found = inspect_notebook(&notebook, &InjectOptions::default())?;
    if args.json {
        let parameters = found.iter().flatten().map(describe).collect();
        report::show_json(&Json::Array(parameters));
    } else {
        show(found.as_deref());
    }
    Ok(Exit::Ok)
}

fn show(found: Option<&[Parameter]>) {
    match found {
        None => report::show_note("no cell of the notebook is tagged `parameters`"),
        Some([]) => report::show_note("the cell tagged `parameters` assigns nothing that is understood"),
        Some(parameters) => {
            let rows: Vec<_> = parameters.iter().map(row).collect();
            report::show_table(&["NAME", "TYPE", "DEFAULT", "HELP"], &rows);
        }
    }
}

fn row(parameter: &Parameter) -> Vec<String> {
    let Parameter {
        name, default, help, ..
    } = parameter;
    vec![
        name.clone(),
        parameter.type_name().unwrap_or("unknown").to_owned(),
        default.clone(),
        help.clone(),
    ]
}

/// The keys and the word for no type are those of `papermill.inspect_notebook`.
fn describe(parameter: &Parameter) -> Json {
    [
        ("name", parameter.name.as_str()),
        ("inferred_type_name", parameter.type_name().unwrap_or("None")),
        ("default", parameter.default.as_str()),
        ("help", parameter.help.as_str()),
    ]
    .into_iter()
    .collect()
}
