use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mcp_jupyter_core::Error;
use mcp_jupyter_core::engine::{Engine, FinishedRun, Run, RunEvent, RunRequest, SavePolicy, Summary};
use mcp_jupyter_core::scheduler::Scheduler;
use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::{Durability, Notebook};

use crate::object_file::{one_thread, write_object};

use super::options::{Options, Ready};
use super::queue::{End, Queue, Stop};

/// The runs of this process that may go on, with the process that has begun each: a fork has none of its parent's threads.
static RUNS: Mutex<Vec<(u32, Weak<Queue>)>> = Mutex::new(Vec::new());

/// Begins a run on a thread of its own, which never enters Python.
pub(super) fn start(options: Options, scheduler: Option<Arc<dyn Scheduler>>) -> Result<Arc<Queue>, Error> {
    let queue = Arc::new(Queue::new(Stop::AtOnce));
    let work = Work(Arc::clone(&queue));
    std::thread::Builder::new()
        .name("mcp-jupyter-run".to_owned())
        .spawn(move || work.run(options, scheduler))
        .map_err(no_thread)?;
    register(&queue);
    Ok(queue)
}

/// Has a run end with this process.
pub(crate) fn register(queue: &Arc<Queue>) {
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    runs.retain(|(_, queue)| queue.strong_count() > 0);
    runs.push((std::process::id(), Arc::downgrade(queue)));
}

/// Ends all runs at once, and waits for that.
pub(crate) fn end_all(patience: Duration) {
    let runs = std::mem::take(&mut *RUNS.lock().unwrap_or_else(PoisonError::into_inner));
    let ours = runs.into_iter().filter(|(pid, _)| *pid == std::process::id());
    let queues: Vec<Arc<Queue>> = ours.filter_map(|(_, queue)| queue.upgrade()).collect();
    for queue in &queues {
        queue.leave();
    }
    let due = Instant::now() + patience;
    for queue in &queues {
        queue.events.wait_for_end(due.saturating_duration_since(Instant::now()));
    }
}

/// The work of a run. However it ends, the queue is told.
struct Work(Arc<Queue>);

/// Does the work of a run that goes on elsewhere than on a thread of its own. However it ends, the queue is told.
pub(crate) async fn work(queue: Arc<Queue>, work: impl Future<Output = Result<FinishedRun, Error>>) {
    let told = Work(queue);
    told.0.end(end_of(work.await));
}

fn end_of(done: Result<FinishedRun, Error>) -> End {
    match done {
        Ok(finished) => End::Finished(finished),
        Err(error) => End::Refused(error),
    }
}

impl Work {
    fn run(self, options: Options, scheduler: Option<Arc<dyn Scheduler>>) {
        self.0.end(end_of(self.try_run(options, scheduler)));
    }

    fn try_run(&self, options: Options, scheduler: Option<Arc<dyn Scheduler>>) -> Result<FinishedRun, Error> {
        if let Some(prepared) = options.prepared_only() {
            return hand_on(prepared?, &options);
        }
        let ready = options.ready()?;
        // One thread: each message of a kernel passes through several tasks.
        let runtime = one_thread()?;
        let finished = runtime.block_on(self.run_ready(ready, scheduler));
        runtime.shutdown_background();
        finished
    }

    async fn run_ready(&self, ready: Ready, scheduler: Option<Arc<dyn Scheduler>>) -> Result<FinishedRun, Error> {
        save_first(&ready.request).await?;
        let mut engine = Engine::new(Arc::new(ready.provisioner));
        if let Some(scheduler) = scheduler {
            engine = engine.with_scheduler(scheduler);
        }
        let run = engine.run(ready.request)?;
        Ok(follow(&self.0, run, ready.warnings).await)
    }
}

/// Tells Python of a run to its end, and of what the user should know besides right after its beginning; takes requests to
/// stop it.
pub(crate) async fn follow(queue: &Queue, mut run: Run, warnings: Vec<String>) -> FinishedRun {
    queue.has_begun(run.control());
    while let Some(event) = run.next().await {
        let is_first = matches!(event, RunEvent::RunStarted { .. });
        queue.events.push(event).await;
        for message in warnings.iter().filter(|_| is_first) {
            let message = message.clone();
            queue.events.push(RunEvent::Warning { message }).await;
        }
    }
    let mut finished = run.finish().await;
    finished.summary.warnings.splice(0..0, warnings);
    finished
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.end(End::Panicked);
    }
}

/// Where a notebook cannot be saved is better known before hours of work. Of a file the engine finds that out by itself.
async fn save_first(request: &RunRequest) -> Result<(), Error> {
    match &request.save_object {
        Some(save) if save.policy != SavePolicy::OnExit => {
            let content = request.notebook.to_bytes();
            Ok(save.object.write(content.into()).await?)
        }
        _ => Ok(()),
    }
}

/// Saves a notebook that is not to be run.
fn hand_on(notebook: Notebook, options: &Options) -> Result<FinishedRun, Error> {
    options.make_folder()?;
    if let Some(path) = options.file() {
        notebook.save(path, Durability::Power)?;
    }
    if let Some(address) = options.object() {
        write_object(address, notebook.to_bytes())?;
    }
    Ok(FinishedRun {
        notebook: Arc::new(notebook),
        summary: Summary::default(),
    })
}

fn no_thread(source: std::io::Error) -> Error {
    SessionError::Io {
        action: "start a thread for the run".to_owned(),
        source,
    }
    .into()
}
