use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::exit::Exit;
use crate::report::Report;
use crate::signals::Stops;

use super::{Job, Options};

/// Notebooks to run, and how many of them at the same time.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) jobs: Vec<Job>,
    pub(crate) at_once: usize,
    pub(crate) options: Options,
}

/// Runs all notebooks, also where some fail; gives the exit code of the first failure in the order of the inputs.
pub(crate) async fn run_batch(batch: Batch, report: &Report, stops: Stops) -> Exit {
    let options = Arc::new(batch.options);
    let announce = announce(report, stops.clone());
    let runs = batch.jobs.iter().map(|job| {
        let (options, stops) = (&options, stops.clone());
        async move {
            let mut reporter = report.reporter(&job.input.name(), &job.destination);
            job.run(options, stops, &mut *reporter).await
        }
    });
    let runs = stream::iter(runs).buffered(batch.at_once).collect::<Vec<Exit>>();
    let exits = tokio::select! {
        exits = runs => exits,
        () = announce => unreachable!("it never ends"),
    };
    report.finish(&exits);
    Exit::first_failure(exits)
}

/// Shows requests to stop, for as long as it is polled.
async fn announce(report: &Report, mut stops: Stops) {
    loop {
        let stop = stops.changed().await;
        report.stopping(stop);
    }
}
