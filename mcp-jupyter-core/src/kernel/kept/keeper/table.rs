use std::collections::HashMap;

use indexmap::IndexMap;

use super::super::home::NotedExecution;
use super::super::spool::Position;
use crate::kernel::DispatchId;

/// How many executions that have ended are remembered by their `msg_id`.
const REMEMBERED: usize = 1000;

/// Which executions were sent, and which of them have ended.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// By `msg_id`, oldest first.
    sent: IndexMap<String, Sent>,
    /// All that were ever sent for a run.
    by_dispatch: HashMap<DispatchId, (String, Position)>,
    /// How many cells were sent to the process that runs now.
    pub(super) executed: u64,
}

#[derive(Debug)]
struct Sent {
    dispatch: Option<DispatchId>,
    replied: bool,
    idle: bool,
}

impl Sent {
    fn has_ended(&self) -> bool {
        self.replied && self.idle
    }
}

impl Table {
    /// What a keeper before us has sent; whether it has ended is still to be seen.
    pub(super) fn remember(&mut self, noted: NotedExecution) {
        self.by_dispatch
            .insert(noted.dispatch.clone(), (noted.msg_id.clone(), noted.position));
        self.insert(noted.msg_id, Some(noted.dispatch));
    }

    pub(super) fn find(&self, dispatch: &DispatchId) -> Option<(String, Position)> {
        self.by_dispatch.get(dispatch).cloned()
    }

    pub(super) fn sent(&mut self, msg_id: String, dispatch: Option<DispatchId>, position: Position) {
        if let Some(dispatch) = &dispatch {
            self.by_dispatch.insert(dispatch.clone(), (msg_id.clone(), position));
            self.executed += 1;
        }
        self.insert(msg_id, dispatch);
    }

    fn insert(&mut self, msg_id: String, dispatch: Option<DispatchId>) {
        self.sent.insert(
            msg_id,
            Sent {
                dispatch,
                replied: false,
                idle: false,
            },
        );
        if self.sent.len() > 2 * REMEMBERED {
            let mut surplus = self.sent.len() - REMEMBERED;
            self.sent.retain(|_, sent| {
                let goes = surplus > 0 && sent.has_ended();
                surplus -= usize::from(goes);
                !goes
            });
        }
    }

    pub(super) fn replied(&mut self, msg_id: &str) {
        if let Some(sent) = self.sent.get_mut(msg_id) {
            sent.replied = true;
        }
    }

    pub(super) fn idle(&mut self, msg_id: &str) {
        if let Some(sent) = self.sent.get_mut(msg_id) {
            sent.idle = true;
        }
    }

    /// The process is gone, and with it all that it was executing.
    pub(super) fn died(&mut self) {
        for sent in self.sent.values_mut() {
            (sent.replied, sent.idle) = (true, true);
        }
        self.executed = 0;
    }

    /// What is being executed or waits for it, oldest first.
    pub(super) fn running(&self) -> Vec<DispatchId> {
        let running = self.sent.values().filter(|sent| !sent.has_ended());
        running.filter_map(|sent| sent.dispatch.clone()).collect()
    }

    pub(super) fn is_executing(&self) -> bool {
        self.sent.values().any(|sent| !sent.has_ended())
    }

    /// The latest requests of runs, oldest first.
    pub(super) fn requests(&self) -> Vec<(String, DispatchId)> {
        let requests = self.sent.iter();
        requests
            .filter_map(|(msg_id, sent)| Some((msg_id.clone(), sent.dispatch.clone()?)))
            .collect()
    }
}
