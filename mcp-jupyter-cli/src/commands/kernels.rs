use mcp_jupyter_core::Error;
use mcp_jupyter_core::kernel::local::LocalProvisioner;
use mcp_jupyter_core::kernel::{KernelProvisioner, KernelSpec};
use mcp_jupyter_core::session::SessionRecord;
use serde_json::{Value, json};

use crate::args::{KernelsArgs, StateArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::keeping;
use crate::report;

/// Lists the kernelspecs that are found, in the order in which names are sorted.
pub(crate) async fn kernels(args: KernelsArgs) -> Result<Exit, CliError> {
    let provisioner = args.python.map_or_else(LocalProvisioner::new, |python| {
        LocalProvisioner::new().with_python(python)
    });
    let specs = provisioner.kernelspecs().await.map_err(Error::from)?;
    let running = running(&args.state).await?;
    if args.json {
        let specs: Vec<Value> = specs.iter().map(describe).collect();
        report::show_json(&json!({ "specs": specs, "running": running }));
        return Ok(Exit::Ok);
    }
    if specs.is_empty() {
        report::show_note("no kernels were found; `mcp-jupyter doctor` says what is missing");
    } else {
        report::show_table(
            &["NAME", "DISPLAY NAME", "LANGUAGE", "FOLDER"],
            &specs.iter().map(row).collect::<Vec<_>>(),
        );
    }
    if !running.is_empty() {
        report::show_data(b"\n");
        let rows: Vec<Vec<String>> = running.iter().map(running_row).collect();
        report::show_table(
            &["RUNNING", "KERNEL", "PROCESS", "MEMORY", "CPU", "STARTED", "NOTEBOOK"],
            &rows,
        );
    }
    Ok(Exit::Ok)
}

/// The kernels of sessions that live.
async fn running(state: &StateArgs) -> Result<Vec<Value>, CliError> {
    // Looking makes nothing.
    if !keeping::folder(state)?.exists() {
        return Ok(Vec::new());
    }
    let sessions = keeping::open_existing(state).await?;
    let records = sessions.store().list().await?;
    let kernels = sessions.kernels().list().map_err(Error::from)?;
    let living = kernels.into_iter().filter(|kernel| kernel.is_alive);
    Ok(living
        .map(|kernel| {
            let is_bound = |record: &&SessionRecord| {
                record
                    .kernel
                    .as_ref()
                    .is_some_and(|bound| bound.kernel_id == kernel.kernel_id)
            };
            let notebook = records.iter().find(is_bound).map(|record| record.path.clone());
            let mut described = json!(kernel);
            described["notebook"] = json!(notebook);
            described
        })
        .collect())
}

fn running_row(kernel: &Value) -> Vec<String> {
    let text = |name: &str| match &kernel[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    vec![
        text("kernel_id"),
        text("spec"),
        text("pid"),
        text("started"),
        text("notebook"),
    ]
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
