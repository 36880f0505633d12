//! Journals in PostgreSQL: every case is one test, on a server of its own.

use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::model::SessionId;
use mcp_jupyter_core::scheduler::Journal;
use mcp_jupyter_core::scheduler::journal::PostgresJournal;
use mcp_jupyter_core::scheduler::journal::conformance::{Fixture, cases};

use crate::postgres_server::Postgres;

#[derive(Debug)]
struct Database(Postgres);

#[async_trait]
impl Fixture for Database {
    async fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(PostgresJournal::open(&self.0.url(), "").await.unwrap())
    }

    async fn reopen(&self) -> Arc<dyn Journal> {
        self.journal().await
    }
}

fn on_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work);
}

fn run(name: &str) {
    let Some(postgres) = Postgres::start() else { return };
    let case = cases()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the case exists");
    on_runtime(case.run(&Database(postgres)));
}

macro_rules! tests {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*
    };
}
crate::journal::with_every_case!(tests);

#[test]
fn one_has_it_at_a_time_with_a_higher_token() {
    let Some(postgres) = Postgres::start() else { return };
    let url = postgres.url();
    on_runtime(async {
        let session = SessionId::from("s");
        let first = PostgresJournal::open(&url, "").await.unwrap();
        let other = PostgresJournal::open(&url, "team-a").await.unwrap();
        assert_eq!(other.load(&session).await.unwrap(), None);
        let next = PostgresJournal::open(&url, "");
        tokio::pin!(next);
        // What the first one does is done while the next one waits.
        tokio::select! {
            biased;
            opened = &mut next => panic!("two have it: {opened:?}"),
            appended = first.append(&session, Arc::new([])) => appended.unwrap(),
        }
        let token = first.fencing_token();
        drop(first);
        let next = next.await.unwrap();
        assert!(next.fencing_token() > token);
        assert!(next.load(&session).await.unwrap().is_some());
    });
}
