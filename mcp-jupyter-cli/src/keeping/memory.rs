use std::time::Duration;

use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::kernel::kept::KeptKernel;
use mcp_jupyter_core::kernel::{Kernel, ShutdownMode};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::report::Report;

/// How often the memory of a kernel is looked at: nothing tells when it grows.
const PERIOD: Duration = Duration::from_secs(1);

/// What a kernel's processes may use, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemoryLimits {
    /// More than this is warned of, once.
    pub(crate) soft: Option<u64>,
    /// With more than this the kernel is ended.
    pub(crate) hard: Option<u64>,
}

/// Watches the memory of a kernel while it executes.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    limits: MemoryLimits,
    interval: Interval,
    has_warned: bool,
}

impl MemoryWatch {
    pub(super) fn new(limits: MemoryLimits) -> Self {
        let mut interval = interval(PERIOD);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            limits,
            interval,
            has_warned: false,
        }
    }

    pub(super) fn has_limits(&self) -> bool {
        self.limits.soft.is_some() || self.limits.hard.is_some()
    }

    /// Waits until it is time to look.
    pub(super) async fn due(&mut self) {
        self.interval.tick().await;
    }

    /// Looks, and does what the limits say.
    pub(super) async fn look(&mut self, sessions: &KeptSessions, kernel: &KeptKernel, report: &Report) {
        let found = sessions.kernels().find(kernel.id());
        let Some(usage) = found.and_then(|found| found.usage) else {
            return;
        };
        let used = usage.memory_bytes;
        let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
        if let Some(hard) = self.limits.hard.filter(|hard| used > *hard) {
            let (used, hard) = (mebibytes(used), mebibytes(hard));
            report.warning(&format!(
                "the kernel uses {used}, and no more than {hard} are allowed: it is ended"
            ));
            // Its death is told by the run.
            let _ = kernel.shutdown(ShutdownMode::Immediate).await;
        } else if let Some(soft) = self.limits.soft.filter(|soft| used > *soft && !self.has_warned) {
            self.has_warned = true;
            report.warning(&format!(
                "the kernel uses {}, more than {}",
                mebibytes(used),
                mebibytes(soft)
            ));
        }
    }
}
