//! What the engine has to do.

use crate::model::RunId;
use crate::rpc::{Malformed, malformed, pb, required};
use crate::scheduler::{Dispatch, Step};

impl From<Dispatch> for pb::Dispatch {
    fn from(dispatch: Dispatch) -> Self {
        Self {
            run_id: dispatch.run_id.as_str().to_owned(),
            cell: Some(dispatch.cell.into()),
            attempt: dispatch.attempt,
            reason: Some(dispatch.reason.into()),
            source: dispatch.source.as_ref().to_owned(),
            delete_before: dispatch.delete_before,
            stop_on_error: dispatch.stop_on_error,
            verify: dispatch.verify,
            // The service adds its own.
            fencing_token: 0,
            remaining: dispatch.remaining as u64,
        }
    }
}

impl TryFrom<pb::Dispatch> for Dispatch {
    type Error = Malformed;

    fn try_from(dispatch: pb::Dispatch) -> Result<Self, Malformed> {
        Ok(Self {
            run_id: dispatch.run_id.into(),
            cell: required(dispatch.cell, "cell")?,
            attempt: dispatch.attempt,
            reason: required(dispatch.reason, "reason")?,
            source: dispatch.source.into(),
            delete_before: dispatch.delete_before,
            stop_on_error: dispatch.stop_on_error,
            verify: dispatch.verify,
            remaining: usize::try_from(dispatch.remaining).map_err(|_| malformed("number of cells"))?,
        })
    }
}

impl From<Step> for pb::Step {
    fn from(step: Step) -> Self {
        use pb::step::{Interrupt, Names, RestartKernel, Step as Kind};
        let kind = match step {
            Step::Execute(dispatch) => Kind::Execute(dispatch.into()),
            Step::Interrupt(_) => Kind::Interrupt(Interrupt {}),
            Step::RestartKernel(_) => Kind::RestartKernel(RestartKernel {}),
            Step::Delete(names) => Kind::Delete(Names { names }),
            Step::Skip(skipped) => Kind::Skip(skipped.into()),
            Step::Warn(message) => Kind::Warn(message),
            Step::Finished(end) => Kind::Finished(end.into()),
        };
        Self { step: Some(kind) }
    }
}

impl pb::Step {
    /// The step, of this run.
    pub(in crate::scheduler) fn of(self, run: &RunId) -> Result<Step, Malformed> {
        use pb::step::Step as Kind;
        Ok(match self.step.ok_or(malformed("step"))? {
            Kind::Execute(dispatch) => Step::Execute(dispatch.try_into()?),
            Kind::Interrupt(_) => Step::Interrupt(run.clone()),
            Kind::RestartKernel(_) => Step::RestartKernel(run.clone()),
            Kind::Delete(names) => Step::Delete(names.names),
            Kind::Skip(skipped) => Step::Skip(skipped.try_into()?),
            Kind::Warn(message) => Step::Warn(message),
            Kind::Finished(end) => Step::Finished(end.try_into()?),
        })
    }
}
