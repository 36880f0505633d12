use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{KernelProvisioner, KernelSpec};
use serde_json::{Value, json};

use crate::args::KernelsArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report;

/// Lists the kernelspecs that are found, in the order in which names are sorted.
pub(crate) async fn kernels(args: KernelsArgs) -> Result<Exit, CliError> {
    let provisioner = args.python.map_or_else(LocalProvisioner::new, |python| {
        LocalProvisioner::new().with_python(python)
    });
    let specs = provisioner.kernelspecs().await.map_err(Error::from)?;
    if args.json {
        report::show_json(&json!({ "specs": specs.iter().map(describe).collect::<Vec<_>>(), "running": [] }));
    } else if specs.is_empty() {
        report::show_note("no kernels were found; `mcp-jupyter doctor` says what is missing");
    } else {
        report::show_table(
            &["NAME", "DISPLAY NAME", "LANGUAGE", "FOLDER"],
            &specs.iter().map(row).collect::<Vec<_>>(),
        );
    }
    Ok(Exit::Ok)
}

fn row(spec: &KernelSpec) -> Vec<String> {
    let folder = spec.resource_dir.display().to_string();
    vec![
        spec.name.clone(),
        spec.display_name.clone(),
        spec.language.clone(),
        folder,
    ]
}

fn describe(spec: &KernelSpec) -> Value {
    json!({
        "name": spec.name,
        "display_name": spec.display_name,
        "language": spec.language,
        "resource_dir": spec.resource_dir,
        "argv": spec.argv,
    })
}
