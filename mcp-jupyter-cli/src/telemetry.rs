//! Logs, on stderr: stdout belongs to data.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;

const VARIABLE: &str = "MCP_JUPYTER_LOG";

/// Logs what `MCP_JUPYTER_LOG` asks for, warnings unless it says otherwise.
pub(crate) fn init() {
    init_as(LogFormat::Text);
}

/// The same in a form of one's choice.
pub(crate) fn init_as(format: LogFormat) {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let targets = wanted.parse::<Targets>().ok().filter(|_| !wanted.is_empty());
    let filter = targets.unwrap_or_else(|| Targets::new().with_default(tracing::Level::WARN));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(false).compact().boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // It logs whole requests below that, and so what is typed into a cell that asks for a password.
    let quiet = Targets::new()
        .with_default(tracing::Level::TRACE)
        .with_target("rmcp", tracing::Level::INFO);
    // Only a second call in one process can fail, and then there is a subscriber.
    let _ = tracing_subscriber::registry()
        .with(layer)
        .with(filter)
        .with(quiet)
        .try_init();
}
