//! Runs: what is asked for, what is reported, and what the journal knows.

use super::{out, same_variants, text};
use crate::model::CellRef;
use crate::rpc::{Malformed, all, duration, malformed, pb, required, timestamp, to_duration, to_timestamp};
use crate::scheduler::{
    Observation, OnError, OnKernelDeath, Outcome, Priority, Report, RunEnd, RunRecord, StartRequest,
};

same_variants!(OnError = pb::OnError: Stop Continue ContinueIndependent);
same_variants!(Priority = pb::Priority: Batch Interactive);

impl From<StartRequest> for pb::StartRequest {
    fn from(request: StartRequest) -> Self {
        Self {
            plan: Some(request.plan.into()),
            on_error: pb::OnError::from(request.on_error).into(),
            restarts: match request.on_kernel_death {
                OnKernelDeath::Stop => None,
                OnKernelDeath::Restart(limit) => Some(limit),
            },
            priority: pb::Priority::from(request.priority).into(),
            deadline: request.deadline.map(duration),
            verify: request.verify,
        }
    }
}

impl TryFrom<pb::StartRequest> for StartRequest {
    type Error = Malformed;

    fn try_from(request: pb::StartRequest) -> Result<Self, Malformed> {
        Ok(Self {
            run_id: None,
            on_error: request.on_error().try_into()?,
            on_kernel_death: request.restarts.map_or(OnKernelDeath::Stop, OnKernelDeath::Restart),
            priority: request.priority().try_into()?,
            deadline: request.deadline.map(to_duration).transpose()?,
            verify: request.verify,
            plan: required(request.plan, "request")?,
        })
    }
}

impl From<Outcome> for pb::Outcome {
    fn from(outcome: Outcome) -> Self {
        use pb::OutcomeStatus as Status;
        let (status, ename, evalue) = match outcome {
            Outcome::Error { ename, evalue } => (Status::Error, ename, evalue),
            Outcome::Ok => (Status::Ok, String::new(), String::new()),
            Outcome::Aborted => (Status::Aborted, String::new(), String::new()),
            Outcome::Interrupted => (Status::Interrupted, String::new(), String::new()),
            Outcome::TimedOut => (Status::TimedOut, String::new(), String::new()),
            Outcome::KernelDied => (Status::KernelDied, String::new(), String::new()),
            Outcome::Lost => (Status::Lost, String::new(), String::new()),
        };
        Self {
            status: status.into(),
            ename,
            evalue,
        }
    }
}

impl TryFrom<pb::Outcome> for Outcome {
    type Error = Malformed;

    fn try_from(outcome: pb::Outcome) -> Result<Self, Malformed> {
        use pb::OutcomeStatus as Status;
        Ok(match outcome.status() {
            Status::Ok => Self::Ok,
            Status::Error => Self::Error {
                ename: outcome.ename,
                evalue: outcome.evalue,
            },
            Status::Aborted => Self::Aborted,
            Status::Interrupted => Self::Interrupted,
            Status::TimedOut => Self::TimedOut,
            Status::KernelDied => Self::KernelDied,
            Status::Lost => Self::Lost,
            Status::Unspecified => return Err(malformed("outcome")),
        })
    }
}

impl From<Observation> for pb::Observation {
    fn from(seen: Observation) -> Self {
        Self {
            bound: seen.bound,
            mutated: seen.mutated,
            deleted: seen.deleted,
            digests: seen.digests.into_iter().collect(),
        }
    }
}

impl From<pb::Observation> for Observation {
    fn from(seen: pb::Observation) -> Self {
        Self {
            bound: seen.bound,
            mutated: seen.mutated,
            deleted: seen.deleted,
            digests: seen.digests.into_iter().collect(),
        }
    }
}

impl From<Report> for pb::Report {
    fn from(report: Report) -> Self {
        Self {
            run_id: report.run_id.as_str().to_owned(),
            cell_id: text(&report.cell),
            attempt: report.attempt,
            outcome: Some(report.outcome.into()),
            observation: report.observation.map(Into::into),
            duration: Some(duration(report.duration)),
        }
    }
}

impl TryFrom<pb::Report> for Report {
    type Error = Malformed;

    fn try_from(report: pb::Report) -> Result<Self, Malformed> {
        Ok(Self {
            run_id: report.run_id.into(),
            cell: report.cell_id.into(),
            attempt: report.attempt,
            outcome: required(report.outcome, "outcome")?,
            observation: report.observation.map(Into::into),
            duration: to_duration(report.duration.unwrap_or_default())?,
        })
    }
}

impl From<RunEnd> for pb::RunEnd {
    fn from(end: RunEnd) -> Self {
        use pb::RunEndStatus as Status;
        let (status, cell) = match end {
            RunEnd::Completed => (Status::Completed, None),
            RunEnd::Failed { cell } => (Status::Failed, Some(cell)),
            RunEnd::KernelDied { cell } => (Status::KernelDied, Some(cell)),
            RunEnd::Cancelled => (Status::Cancelled, None),
            RunEnd::DeadlineExceeded => (Status::DeadlineExceeded, None),
            RunEnd::Lost => (Status::Lost, None),
        };
        Self {
            status: status.into(),
            cell: cell.map(Into::into),
        }
    }
}

impl TryFrom<pb::RunEnd> for RunEnd {
    type Error = Malformed;

    fn try_from(end: pb::RunEnd) -> Result<Self, Malformed> {
        use pb::RunEndStatus as Status;
        Ok(match end.status() {
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed {
                cell: required(end.cell, "cell")?,
            },
            Status::KernelDied => Self::KernelDied {
                cell: required(end.cell, "cell")?,
            },
            Status::Cancelled => Self::Cancelled,
            Status::DeadlineExceeded => Self::DeadlineExceeded,
            Status::Lost => Self::Lost,
            Status::Unspecified => return Err(malformed("end of a run")),
        })
    }
}

type Execution = (CellRef, u32, Option<Outcome>);

impl From<Execution> for pb::run_record::Execution {
    fn from((cell, attempt, outcome): Execution) -> Self {
        Self {
            cell: Some(cell.into()),
            attempt,
            outcome: outcome.map(Into::into),
        }
    }
}

impl TryFrom<pb::run_record::Execution> for Execution {
    type Error = Malformed;

    fn try_from(execution: pb::run_record::Execution) -> Result<Self, Malformed> {
        let outcome = execution.outcome.map(TryInto::try_into).transpose()?;
        Ok((required(execution.cell, "cell")?, execution.attempt, outcome))
    }
}

impl From<RunRecord> for pb::RunRecord {
    fn from(record: RunRecord) -> Self {
        Self {
            run_id: record.run_id.as_str().to_owned(),
            request: Some(record.request.into()),
            plan: Some(record.plan.into()),
            executions: out(record.executions),
            end: record.end.map(Into::into),
            due: record.due.map(timestamp),
            stopping: record.stopping.map(Into::into),
        }
    }
}

impl TryFrom<pb::RunRecord> for RunRecord {
    type Error = Malformed;

    fn try_from(record: pb::RunRecord) -> Result<Self, Malformed> {
        Ok(Self {
            run_id: record.run_id.into(),
            request: required(record.request, "request")?,
            plan: required(record.plan, "plan")?,
            executions: all(record.executions)?,
            end: record.end.map(TryInto::try_into).transpose()?,
            due: record.due.map(|due| to_timestamp(Some(due))).transpose()?,
            stopping: record.stopping.map(TryInto::try_into).transpose()?,
        })
    }
}
