use crate::args::StartArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::job::Input;
use crate::keeping;
use crate::report::{Mode, Report, show_note};
use crate::signals::Stops;

/// Binds a notebook to a kernel that lives on.
pub(crate) async fn start(args: StartArgs) -> Result<Exit, CliError> {
    let mut stops = Stops::listen()?;
    let notebook = Input::new(&args.notebook).read()?;
    let report = Report::new(
        Mode::Human {
            log_output: false,
            progress: false,
        },
        false,
    );
    let kernels = keeping::kernels(&args.kernel);
    let sessions = keeping::open(&args.state, kernels.provisioner().clone()).await?;
    let sessions = sessions.with_kernel_limit(args.idle.max_kernels);
    let sessions = keeping::scheduled(sessions, &args.state).await?;
    let record = sessions.store().open(&args.notebook).await?;
    let turn = keeping::take_turn(&sessions, &record, &report).await?;
    let mut record = sessions.store().get(&record.id).await?;
    let path = record.path.display().to_string();
    if let Some(opened) = sessions.attach(&turn, &record).await? {
        let Some(death) = opened.death() else {
            show_note(&format!("{path} has a kernel already: {}", opened.kernel));
            return Ok(Exit::Ok);
        };
        return Err(CliError::usage_with_hint(
            keeping::obituary(&record, &sessions, Some(&death)),
            format!("`mcp-jupyter sync {path}` saves what it had said and starts a new one"),
        ));
    }
    if record.kernel.is_some() {
        report.warning(&keeping::obituary(&record, &sessions, None));
        sessions.remove_kernel(&record).await?;
        record = sessions.store().get(&record.id).await?;
    }
    let launch = keeping::launch(&kernels, &args.kernel, &record.path, &notebook).await?;
    let opened = tokio::select! {
        biased;
        stop = stops.first() => return Ok(stop.cause().into()),
        opened = sessions.start(&turn, &record, launch, args.idle.limit()) => opened?,
    };
    let found = sessions
        .kernels()
        .find(mcp_jupyter_core::kernel::Kernel::id(&*opened.kernel));
    let process = found.map_or_else(String::new, |found| format!(", process {}", found.pid));
    show_note(&format!("{path} has a kernel now: {}{process}", opened.kernel));
    Ok(Exit::Ok)
}
