//! Errors, one to one.

use tonic::{Code, Status};

use super::{out, text};
use crate::rpc::pb::scheduler_error_detail as detail;
use crate::rpc::pb::{Damaged, FailedAction, SchedulerErrorDetail, Unsupported};
use crate::rpc::{Malformed, all, code, duration, malformed, status, to_duration, unpack};
use crate::scheduler::SchedulerError;

/// The status that tells a client of an error.
pub(in crate::scheduler) fn to_status(error: SchedulerError) -> Status {
    let code = match &error {
        SchedulerError::QueueFull { .. } | SchedulerError::Busy { .. } => Code::ResourceExhausted,
        SchedulerError::Denied { .. } => Code::PermissionDenied,
        _ => code(error.kind()),
    };
    let retry_after = match &error {
        SchedulerError::QueueFull { retry_after, .. } | SchedulerError::Busy { retry_after, .. } => Some(*retry_after),
        _ => None,
    };
    let message = error.to_string();
    let detail = SchedulerErrorDetail {
        error: Some(to_detail(error)),
    };
    status(code, &message, &detail, retry_after)
}

/// The error that a status tells of; none where it tells of none.
pub(in crate::scheduler) fn from_status(status: &Status) -> Option<SchedulerError> {
    from_detail(unpack::<SchedulerErrorDetail>(status)?.error?).ok()
}

fn to_detail(error: SchedulerError) -> detail::Error {
    use SchedulerError as E;
    use detail::Error as D;
    match error {
        E::NoSuchSession { session } => D::NoSuchSession(detail::NoSuchSession {
            session_id: session.as_str().to_owned(),
        }),
        E::NoSuchRun { run } => D::NoSuchRun(detail::NoSuchRun {
            run_id: run.as_str().to_owned(),
        }),
        E::NoSuchCell { cell } => D::NoSuchCell(detail::NoSuchCell { cell_id: text(&cell) }),
        E::NoSuchTag { tag } => D::NoSuchTag(detail::NoSuchTag { tag }),
        E::NotAppendable { changed } => D::NotAppendable(detail::Cells { cells: out(changed) }),
        E::ConsentNeeded { cells } => D::ConsentNeeded(detail::Cells { cells: out(cells) }),
        E::InvalidReport {
            run,
            cell,
            attempt,
            reason,
        } => D::InvalidReport(detail::InvalidReport {
            run_id: run.as_str().to_owned(),
            cell_id: text(&cell),
            attempt,
            reason,
        }),
        E::QueueFull {
            session,
            waiting,
            retry_after,
        } => D::QueueFull(detail::QueueFull {
            session_id: session.as_str().to_owned(),
            waiting: waiting as u64,
            retry_after: Some(duration(retry_after)),
        }),
        E::Busy {
            scheduler,
            reason,
            retry_after,
        } => D::Busy(detail::Busy {
            backend: scheduler,
            reason,
            retry_after: Some(duration(retry_after)),
        }),
        E::CorruptJournal { journal, reason } => D::CorruptJournal(Damaged {
            backend: journal,
            what: String::new(),
            reason,
        }),
        E::Journal {
            journal,
            action,
            source,
        } => D::Journal(FailedAction::new(journal, action, &*source)),
        E::Unavailable {
            scheduler,
            action,
            source,
        } => D::Unavailable(FailedAction::new(scheduler, action, &*source)),
        E::Denied {
            scheduler,
            action,
            source,
        } => D::Denied(FailedAction::new(scheduler, action, &*source)),
        E::Unsupported { what } => D::Unsupported(Unsupported { what }),
    }
}

fn from_detail(error: detail::Error) -> Result<SchedulerError, Malformed> {
    use SchedulerError as E;
    use detail::Error as D;
    Ok(match error {
        D::NoSuchSession(of) => E::NoSuchSession {
            session: of.session_id.into(),
        },
        D::NoSuchRun(of) => E::NoSuchRun { run: of.run_id.into() },
        D::NoSuchCell(of) => E::NoSuchCell {
            cell: of.cell_id.into(),
        },
        D::NoSuchTag(of) => E::NoSuchTag { tag: of.tag },
        D::NotAppendable(of) => E::NotAppendable {
            changed: all(of.cells)?,
        },
        D::ConsentNeeded(of) => E::ConsentNeeded { cells: all(of.cells)? },
        D::InvalidReport(of) => E::InvalidReport {
            run: of.run_id.into(),
            cell: of.cell_id.into(),
            attempt: of.attempt,
            reason: of.reason,
        },
        D::QueueFull(of) => E::QueueFull {
            session: of.session_id.into(),
            waiting: usize::try_from(of.waiting).map_err(|_| malformed("number of runs"))?,
            retry_after: to_duration(of.retry_after.unwrap_or_default())?,
        },
        D::Busy(of) => E::Busy {
            scheduler: of.backend,
            reason: of.reason,
            retry_after: to_duration(of.retry_after.unwrap_or_default())?,
        },
        D::CorruptJournal(of) => E::CorruptJournal {
            journal: of.backend,
            reason: of.reason,
        },
        D::Journal(of) => E::Journal {
            journal: of.backend,
            action: of.action,
            source: of.cause.into(),
        },
        D::Unavailable(of) => E::Unavailable {
            scheduler: of.backend,
            action: of.action,
            source: of.cause.into(),
        },
        D::Denied(of) => E::Denied {
            scheduler: of.backend,
            action: of.action,
            source: of.cause.into(),
        },
        D::Unsupported(of) => E::Unsupported { what: of.what },
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::ErrorKind;
    use crate::model::CellRef;

    fn every_error() -> Vec<SchedulerError> {
        use SchedulerError as E;
        let cell = |index| CellRef { id: "c".into(), index };
        vec![
            E::NoSuchSession { session: "s".into() },
            E::NoSuchRun { run: "r".into() },
            E::NoSuchCell { cell: "c".into() },
            E::NoSuchTag { tag: "t".to_owned() },
            E::NotAppendable {
                changed: vec![cell(1), cell(2)],
            },
            E::ConsentNeeded { cells: vec![cell(3)] },
            E::InvalidReport {
                run: "r".into(),
                cell: "c".into(),
                attempt: 2,
                reason: "why".to_owned(),
            },
            E::QueueFull {
                session: "s".into(),
                waiting: 7,
                retry_after: Duration::from_millis(1500),
            },
            E::Busy {
                scheduler: "s".to_owned(),
                reason: "there are many".to_owned(),
                retry_after: Duration::from_secs(2),
            },
            E::CorruptJournal {
                journal: "j".to_owned(),
                reason: "why".to_owned(),
            },
            E::Journal {
                journal: "j".to_owned(),
                action: "write".to_owned(),
                source: "no space left".into(),
            },
            E::Unavailable {
                scheduler: "s".to_owned(),
                action: "ask".to_owned(),
                source: "connection refused".into(),
            },
            E::Denied {
                scheduler: "s".to_owned(),
                action: "ask".to_owned(),
                source: "no token".into(),
            },
            E::Unsupported { what: "all".to_owned() },
        ]
    }

    #[test]
    fn every_error_comes_back_as_it_was() {
        for error in every_error() {
            let (shown, kind) = (format!("{error:?}"), error.kind());
            let status = to_status(error);
            let back = from_status(&status).unwrap();
            assert_eq!(format!("{back:?}"), shown);
            assert_eq!(back.kind(), kind);
            assert_ne!(status.code(), Code::Unknown);
        }
    }

    #[test]
    fn a_status_says_what_can_be_done() {
        let codes: Vec<(ErrorKind, Code)> = every_error()
            .into_iter()
            .map(|error| (error.kind(), to_status(error).code()))
            .collect();
        assert!(codes.contains(&(ErrorKind::Unavailable, Code::ResourceExhausted)));
        assert!(codes.contains(&(ErrorKind::NotFound, Code::NotFound)));
        assert!(from_status(&Status::unavailable("gone")).is_none());
    }
}
