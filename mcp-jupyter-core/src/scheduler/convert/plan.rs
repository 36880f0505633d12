//! Notebooks, and what is planned for them.

use super::{out, same_variants, text};
use crate::model::CellRef;
use crate::rpc::{Malformed, all, malformed, pb, required};
use crate::scheduler::{
    CellEffects, CodeCell, Document, Edge, KernelEpoch, Mode, Plan, PlanRequest, PlannedCell, SessionStatus,
    SkipReason, SkippedCell, StaleKind, StaleReason, Target,
};

same_variants!(Mode = pb::Mode: Smart Incremental Full Append);
same_variants!(StaleKind = pb::StaleKind: NeverRun KernelRestarted Failed Blocked Edited Moved RemovedUpstream
    Upstream Restore Clobber Mode);
same_variants!(SkipReason = pb::SkipReason: Empty Tagged NotTargeted Fresh Frozen Skipped Blocked);

impl From<Document> for pb::Document {
    fn from(document: Document) -> Self {
        Self {
            language: document.language,
            cells: out(document.cells),
        }
    }
}

impl TryFrom<pb::Document> for Document {
    type Error = Malformed;

    fn try_from(document: pb::Document) -> Result<Self, Malformed> {
        Ok(Self {
            language: document.language,
            cells: all(document.cells)?,
        })
    }
}

impl From<CodeCell> for pb::CodeCell {
    fn from(cell: CodeCell) -> Self {
        Self {
            cell: Some(cell.cell_ref().into()),
            source: cell.source.as_ref().to_owned(),
            tags: cell.tags,
        }
    }
}

impl TryFrom<pb::CodeCell> for CodeCell {
    type Error = Malformed;

    fn try_from(code: pb::CodeCell) -> Result<Self, Malformed> {
        let cell: CellRef = required(code.cell, "cell")?;
        Ok(Self {
            id: cell.id,
            index: cell.index,
            source: code.source.into(),
            tags: code.tags,
        })
    }
}

impl From<Target> for pb::Target {
    fn from(target: Target) -> Self {
        use pb::target::{CellRange, Target as Kind};
        let kind = match target {
            Target::Cell(cell) => Kind::Cell(text(&cell)),
            Target::Downstream(cell) => Kind::Downstream(text(&cell)),
            Target::Range(first, last) => Kind::Range(CellRange {
                first: text(&first),
                last: text(&last),
            }),
            Target::Tag(tag) => Kind::Tag(tag),
        };
        Self { target: Some(kind) }
    }
}

impl TryFrom<pb::Target> for Target {
    type Error = Malformed;

    fn try_from(target: pb::Target) -> Result<Self, Malformed> {
        use pb::target::Target as Kind;
        Ok(match target.target.ok_or(malformed("target"))? {
            Kind::Cell(cell) => Self::Cell(cell.into()),
            Kind::Downstream(cell) => Self::Downstream(cell.into()),
            Kind::Range(range) => Self::Range(range.first.into(), range.last.into()),
            Kind::Tag(tag) => Self::Tag(tag),
        })
    }
}

impl From<PlanRequest> for pb::PlanRequest {
    fn from(request: PlanRequest) -> Self {
        Self {
            mode: pb::Mode::from(request.mode).into(),
            targets: out(request.targets),
            excluded: request.excluded.iter().map(text).collect(),
            allow_expensive: request.allow_expensive,
        }
    }
}

impl TryFrom<pb::PlanRequest> for PlanRequest {
    type Error = Malformed;

    fn try_from(request: pb::PlanRequest) -> Result<Self, Malformed> {
        Ok(Self {
            mode: request.mode().try_into()?,
            targets: all(request.targets)?,
            excluded: request.excluded.into_iter().map(Into::into).collect(),
            allow_expensive: request.allow_expensive,
        })
    }
}

impl From<StaleReason> for pb::StaleReason {
    fn from(reason: StaleReason) -> Self {
        Self {
            kind: pb::StaleKind::from(reason.kind).into(),
            via: reason.via.as_ref().map(text),
            names: reason.names,
        }
    }
}

impl TryFrom<pb::StaleReason> for StaleReason {
    type Error = Malformed;

    fn try_from(reason: pb::StaleReason) -> Result<Self, Malformed> {
        Ok(Self {
            kind: reason.kind().try_into()?,
            via: reason.via.map(Into::into),
            names: reason.names,
        })
    }
}

impl From<PlannedCell> for pb::PlannedCell {
    fn from(planned: PlannedCell) -> Self {
        Self {
            cell: Some(planned.cell.into()),
            reason: Some(planned.reason.into()),
            delete_before: planned.delete_before,
        }
    }
}

impl TryFrom<pb::PlannedCell> for PlannedCell {
    type Error = Malformed;

    fn try_from(planned: pb::PlannedCell) -> Result<Self, Malformed> {
        Ok(Self {
            cell: required(planned.cell, "cell")?,
            reason: required(planned.reason, "reason")?,
            delete_before: planned.delete_before,
        })
    }
}

impl From<SkippedCell> for pb::SkippedCell {
    fn from(skipped: SkippedCell) -> Self {
        Self {
            cell: Some(skipped.cell.into()),
            reason: pb::SkipReason::from(skipped.reason).into(),
            via: skipped.via.as_ref().map(text),
        }
    }
}

impl TryFrom<pb::SkippedCell> for SkippedCell {
    type Error = Malformed;

    fn try_from(skipped: pb::SkippedCell) -> Result<Self, Malformed> {
        Ok(Self {
            reason: skipped.reason().try_into()?,
            cell: required(skipped.cell, "cell")?,
            via: skipped.via.map(Into::into),
        })
    }
}

impl From<Plan> for pb::Plan {
    fn from(plan: Plan) -> Self {
        Self {
            cells: out(plan.cells),
            delete_after: plan.delete_after,
            skipped: out(plan.skipped),
            needs_consent: out(plan.needs_consent),
            warnings: plan.warnings,
        }
    }
}

impl TryFrom<pb::Plan> for Plan {
    type Error = Malformed;

    fn try_from(plan: pb::Plan) -> Result<Self, Malformed> {
        Ok(Self {
            cells: all(plan.cells)?,
            delete_after: plan.delete_after,
            skipped: all(plan.skipped)?,
            needs_consent: all(plan.needs_consent)?,
            warnings: plan.warnings,
        })
    }
}

impl From<CellEffects> for pb::CellEffects {
    fn from(effects: CellEffects) -> Self {
        Self {
            reads: effects.reads,
            writes: effects.writes,
            unknown: effects.unknown,
        }
    }
}

impl From<Edge> for pb::Edge {
    fn from(edge: Edge) -> Self {
        Self {
            from: Some(edge.from.into()),
            to: Some(edge.to.into()),
            names: edge.names,
        }
    }
}

impl TryFrom<pb::Edge> for Edge {
    type Error = Malformed;

    fn try_from(edge: pb::Edge) -> Result<Self, Malformed> {
        Ok(Self {
            from: required(edge.from, "cell")?,
            to: required(edge.to, "cell")?,
            names: edge.names,
        })
    }
}

impl From<SessionStatus> for pb::SessionStatus {
    fn from(status: SessionStatus) -> Self {
        let analysed = |(cell, effects): (CellRef, CellEffects)| pb::session_status::AnalysedCell {
            cell: Some(cell.into()),
            effects: Some(effects.into()),
        };
        Self {
            epoch: status.epoch.0,
            cells: status.cells.into_iter().map(analysed).collect(),
            edges: out(status.edges),
            plan: Some(status.plan.into()),
            run_ids: status.runs.iter().map(|run| run.as_str().to_owned()).collect(),
        }
    }
}

impl TryFrom<pb::SessionStatus> for SessionStatus {
    type Error = Malformed;

    fn try_from(status: pb::SessionStatus) -> Result<Self, Malformed> {
        let analysed = |analysed: pb::session_status::AnalysedCell| {
            let effects = analysed.effects.ok_or(malformed("effects"))?;
            let effects = CellEffects {
                reads: effects.reads,
                writes: effects.writes,
                unknown: effects.unknown,
            };
            Ok((required(analysed.cell, "cell")?, effects))
        };
        Ok(Self {
            epoch: KernelEpoch(status.epoch),
            cells: status
                .cells
                .into_iter()
                .map(analysed)
                .collect::<Result<_, Malformed>>()?,
            edges: all(status.edges)?,
            plan: required(status.plan, "plan")?,
            runs: status.run_ids.into_iter().map(Into::into).collect(),
        })
    }
}
