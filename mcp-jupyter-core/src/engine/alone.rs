//! A run on a kernel of its own, which begins and ends with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::kernel::{KernelProvisioner, LaunchRequest, ShutdownMode};
use crate::scheduler::{KernelEpoch, Plan, SkipReason};

use super::FinishedRun;
use super::event::{RunEvent, RunOutcome};
use super::live_kernel::LiveKernel;
use super::outcome::{failed, sentence};
use super::run::RunLoop;

/// How long a kernel that is asked to end may take before it is told to; jupyter_client waits as long.
pub(super) const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(2500);

impl RunLoop {
    /// Runs to the end, whatever happens.
    pub(super) async fn alone(mut self, provisioner: Arc<dyn KernelProvisioner>, kernel: LaunchRequest) -> FinishedRun {
        let started = Instant::now();
        let _closer = self.log.closer();
        let outcome = self.run_alone(&*provisioner, kernel).await;
        // The kernel is gone, so what was known of it is worth nothing.
        if let Err(error) = self.scheduler.forget(&self.session).await {
            tracing::debug!(%error, session_id = %self.session, "the session was not forgotten");
        }
        self.end(outcome, started)
    }

    async fn run_alone(&mut self, provisioner: &dyn KernelProvisioner, kernel: LaunchRequest) -> RunOutcome {
        let language = kernel.spec.language.to_lowercase();
        let plan = match self.begin(&language, KernelEpoch::default()).await {
            Ok(plan) => plan,
            Err(outcome) => return outcome,
        };
        if nothing_left(&plan, self.setup.resumed.is_some()) {
            return RunOutcome::Ok;
        }
        match self.launch(provisioner, kernel).await {
            Ok(mut live) => {
                let outcome = self.drive(&mut live, &plan).await;
                self.finish(live, outcome).await
            }
            Err(outcome) => outcome,
        }
    }

    async fn launch(
        &mut self,
        provisioner: &dyn KernelProvisioner,
        kernel: LaunchRequest,
    ) -> Result<LiveKernel, RunOutcome> {
        let started = Instant::now();
        let launched = tokio::select! {
            launched = provisioner.launch(kernel) => launched,
            _ = self.limits.next_step() => return Err(self.stopped(None)),
        };
        let kernel = launched.map_err(|error| failed(error.kind(), &error))?;
        self.emit(RunEvent::KernelStarted {
            seconds: started.elapsed().as_secs_f64(),
        });
        Ok(LiveKernel::new(kernel, KernelEpoch::default()))
    }

    /// Saves the notebook while the kernel ends.
    async fn finish(&mut self, live: LiveKernel, outcome: RunOutcome) -> RunOutcome {
        self.record_widgets(&live);
        let mode = match outcome {
            RunOutcome::KernelDied { .. } | RunOutcome::Interrupted { .. } => ShutdownMode::Immediate,
            _ => ShutdownMode::Graceful(SHUTDOWN_PATIENCE),
        };
        let (saved, ended) = tokio::join!(self.save(), live.kernel.shutdown(mode));
        if let Err(error) = ended {
            self.warn(sentence(&error));
        }
        self.after_saving(saved.map(drop), outcome)
    }
}

/// Whether an earlier run has left nothing to do: then a kernel would have nothing to do either.
fn nothing_left(plan: &Plan, resumed: bool) -> bool {
    resumed
        && plan.cells.is_empty()
        && plan
            .skipped
            .iter()
            .any(|skipped| skipped.reason == SkipReason::NotTargeted)
}
