//! The runs that the service holds for its clients.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::held::{HandOver, Held, Holder};
use super::taken_over;
use crate::model::{CellId, RunId, SessionId};
use crate::rpc::{Limits, Metrics, ServerSettings, pb};
use crate::scheduler::convert::to_status;
use crate::scheduler::{
    Dispatch, Plan, ResumedRun, RunEnd, RunRecord, Scheduler, SchedulerError, StartRequest, StartedRun,
};

/// How long a run waits for its client to return.
const LEASE: Duration = Duration::from_secs(600);

/// When whoever found no room is to ask again.
const ROOM: Duration = Duration::from_secs(1);

/// How many runs are remembered as abandoned before they came.
const MOST_ABANDONED: usize = 4096;

/// All of them.
#[derive(Debug)]
pub(super) struct Runs {
    scheduler: Arc<dyn Scheduler>,
    limits: Limits,
    holder: Holder,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<RunId, Entry>,
    /// Of each session one is begun, taken up or given up at a time.
    turns: HashMap<SessionId, Arc<tokio::sync::Mutex<()>>>,
    /// Runs that were given up before they came, and the order in which they are forgotten.
    abandoned: HashSet<RunId>,
    order: VecDeque<RunId>,
}

#[derive(Clone, Debug)]
struct Entry {
    session: SessionId,
    /// The client that it is held for; none where nobody has come for it since a crash.
    client: Option<String>,
    plan: Plan,
    held: Held,
}

impl Runs {
    pub(super) fn new(
        scheduler: Arc<dyn Scheduler>,
        settings: &ServerSettings,
        metrics: &Arc<Metrics>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            scheduler,
            limits: settings.limits,
            holder: Holder {
                fencing_token: settings.fencing_token,
                lease: LEASE,
                metrics: Arc::clone(metrics),
                stop: stop.clone(),
            },
            table: Arc::default(),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Table) -> T) -> T {
        look(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn held(&self, run: &RunId) -> Option<Held> {
        self.with(|table| table.held.get(run).map(|entry| entry.held.clone()))
    }

    async fn turn(&self, session: &SessionId) -> OwnedMutexGuard<()> {
        let turn = self.with(|table| {
            table.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(table.turns.entry(session.clone()).or_default())
        });
        turn.lock_owned().await
    }

    /// Takes up what a crash of the service has left of the runs that the client holds, before anything that it asks of the
    /// session ends them.
    pub(super) async fn go_on_with(&self, session: &pb::SessionRef) -> Result<(), Status> {
        let is_missing = |table: &mut Table| {
            let mut runs = session.held_runs.iter();
            runs.any(|run| !table.held.contains_key(&RunId::from(run.as_str())))
        };
        if !session.observes && !self.with(is_missing) {
            return Ok(());
        }
        let id = SessionId::from(session.session_id.as_str());
        let _turn = self.turn(&id).await;
        if !session.observes && !self.with(is_missing) {
            return Ok(());
        }
        match self.scheduler.resume(&id).await {
            Ok(left) => left.into_iter().for_each(|run| {
                let client = session.held_runs.iter().any(|held| held == run.run.run_id.as_str());
                let client = client.then(|| session.client_id.clone());
                self.hold(&id, client, run.run, run.in_flight, true);
            }),
            Err(SchedulerError::NoSuchSession { .. }) => {}
            Err(error) => return Err(to_status(error)),
        }
        Ok(())
    }

    /// Refuses a client that somebody else has taken the run over from.
    pub(super) fn check_holder(&self, run: &RunId, session: &pb::SessionRef) -> Result<(), Status> {
        let is_taken = self.with(|table| {
            let Some(entry) = table.held.get_mut(run) else {
                return false;
            };
            *entry.client.get_or_insert_with(|| session.client_id.clone()) != session.client_id
        });
        if is_taken { Err(taken_over(run)) } else { Ok(()) }
    }

    fn hold(
        &self,
        session: &SessionId,
        client: Option<String>,
        run: StartedRun,
        in_flight: Option<Dispatch>,
        is_left: bool,
    ) {
        let (table, id, plan) = (Arc::clone(&self.table), run.run_id.clone(), run.plan.clone());
        let ended = {
            let (id, held) = (id.clone(), self.holder.metrics.runs.clone());
            held.inc();
            move || {
                held.dec();
                table.lock().unwrap_or_else(PoisonError::into_inner).held.remove(&id);
            }
        };
        self.with(|table| {
            let held = Held::new(run, in_flight, is_left, self.holder.clone(), ended);
            let entry = Entry {
                session: session.clone(),
                client,
                plan,
                held,
            };
            table.held.insert(id, entry);
        });
    }

    /// Starts a run, unless that was done before.
    pub(super) async fn start(
        &self,
        session: pb::SessionRef,
        request: StartRequest,
        is_repeated: bool,
    ) -> Result<Plan, Status> {
        let id = SessionId::from(session.session_id);
        let run = request.run_id.clone().unwrap_or_else(RunId::random);
        let _turn = self.turn(&id).await;
        let (plan, is_abandoned) = self.with(|table| {
            let plan = table.held.get(&run).map(|entry| entry.plan.clone());
            (plan, table.abandoned.contains(&run))
        });
        if let Some(plan) = plan {
            return Ok(plan);
        }
        if is_abandoned {
            return Err(to_status(SchedulerError::NoSuchRun { run }));
        }
        if is_repeated && let Some(record) = self.record(&id, &run).await? {
            return Ok(record.plan);
        }
        self.admit(&session.client_id).map_err(to_status)?;
        let started = self.scheduler.start(&id, request).await.map_err(to_status)?;
        let plan = started.plan.clone();
        self.hold(&id, Some(session.client_id), started, None, false);
        Ok(plan)
    }

    /// Whether there is room for another run of a client.
    fn admit(&self, client: &str) -> Result<(), SchedulerError> {
        let (all, theirs) = self.with(|table| {
            let entries = table.held.values();
            let theirs = entries.filter(|entry| entry.client.as_deref() == Some(client));
            (table.held.len(), theirs.count())
        });
        let reason = if theirs >= self.limits.runs_per_client {
            format!("this client has {theirs} runs, as many as one may have")
        } else if all >= self.limits.runs {
            format!("there are {all} runs, as many as there may be")
        } else {
            return Ok(());
        };
        Err(SchedulerError::Busy {
            scheduler: "the scheduler service".to_owned(),
            reason,
            retry_after: ROOM,
        })
    }

    /// What the journal knows of a run of a session.
    async fn record(&self, session: &SessionId, run: &RunId) -> Result<Option<RunRecord>, Status> {
        let records = self.scheduler.runs(session).await.map_err(to_status)?;
        Ok(records.into_iter().find(|record| record.run_id == *run))
    }

    /// How a run has ended that is not held any more.
    pub(super) async fn end_of(&self, run: &RunId, session: &SessionId) -> Result<RunEnd, Status> {
        let end = self.record(session, run).await?.and_then(|record| record.end);
        end.ok_or_else(|| to_status(SchedulerError::NoSuchRun { run: run.clone() }))
    }

    /// Cancels a run that nobody will follow, also one that is still to come.
    pub(super) async fn abandon(&self, session: pb::SessionRef, run: RunId) -> Result<(), Status> {
        let _turn = self.turn(&session.session_id.as_str().into()).await;
        self.check_holder(&run, &session)?;
        match self.held(&run) {
            Some(held) => held.abandon().await,
            None => self.with(|table| table.remember_abandoned(run)),
        }
        Ok(())
    }

    /// Takes up the runs of a session that nobody follows, the service's own crash included.
    pub(super) async fn resume(&self, session: pb::SessionRef) -> Result<Vec<pb::resume_response::ResumedRun>, Status> {
        let id = SessionId::from(session.session_id.as_str());
        let _turn = self.turn(&id).await;
        let left = self.scheduler.resume(&id).await.map_err(to_status)?;
        let mut resumed = Vec::new();
        for ResumedRun {
            run,
            request,
            in_flight,
        } in left
        {
            resumed.push(pb::resume_response::ResumedRun {
                run_id: run.run_id.as_str().to_owned(),
                plan: Some(run.plan.clone().into()),
                request: Some(request.into()),
                in_flight: in_flight.clone().map(|dispatch| self.fenced(dispatch)),
                received: 0,
            });
            self.hold(&id, Some(session.client_id.clone()), run, in_flight, true);
        }
        resumed.extend(self.take_over(&id, &session, &resumed).await?);
        Ok(resumed)
    }

    fn fenced(&self, dispatch: Dispatch) -> pb::Dispatch {
        pb::Dispatch {
            fencing_token: self.holder.fencing_token,
            ..dispatch.into()
        }
    }

    /// The runs of a session whose clients are gone become this client's.
    async fn take_over(
        &self,
        id: &SessionId,
        session: &pb::SessionRef,
        known: &[pb::resume_response::ResumedRun],
    ) -> Result<Vec<pb::resume_response::ResumedRun>, Status> {
        let is_known = |run: &RunId| {
            session.held_runs.iter().any(|held| held == run.as_str())
                || known.iter().any(|resumed| resumed.run_id == run.as_str())
        };
        let others: Vec<(RunId, Entry)> = self.with(|table| {
            let entries = table
                .held
                .iter()
                .filter(|(run, entry)| entry.session == *id && !is_known(run));
            entries.map(|(run, entry)| (run.clone(), entry.clone())).collect()
        });
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let mut taken = Vec::new();
        for record in self.scheduler.runs(id).await.map_err(to_status)? {
            let Some((run, entry)) = others.iter().find(|(run, _)| *run == record.run_id) else {
                continue;
            };
            let to = match &entry.client {
                Some(client) if *client != session.client_id => HandOver::ToAnother,
                _ => HandOver::ToHolder,
            };
            let Some(state) = entry.held.hand_over(to).await else {
                continue;
            };
            self.with(|table| {
                if let Some(entry) = table.held.get_mut(run) {
                    entry.client = Some(session.client_id.clone());
                }
            });
            taken.push(pb::resume_response::ResumedRun {
                run_id: run.as_str().to_owned(),
                plan: Some(left_of(&record).into()),
                request: Some(record.request.into()),
                in_flight: state.in_flight.map(|dispatch| self.fenced(dispatch)),
                received: state.received,
            });
        }
        Ok(taken)
    }
}

impl Table {
    fn remember_abandoned(&mut self, run: RunId) {
        if self.abandoned.insert(run.clone()) {
            self.order.push_back(run);
        }
        if self.order.len() > MOST_ABANDONED
            && let Some(oldest) = self.order.pop_front()
        {
            self.abandoned.remove(&oldest);
        }
    }
}

/// What of its plan a run has not executed.
fn left_of(record: &RunRecord) -> Plan {
    let is_executed = |id: &CellId| record.executions.iter().any(|(cell, ..)| cell.id == *id);
    Plan {
        cells: record
            .plan
            .cells
            .iter()
            .filter(|planned| !is_executed(&planned.cell.id))
            .cloned()
            .collect(),
        delete_after: record.plan.delete_after.clone(),
        ..Plan::default()
    }
}
