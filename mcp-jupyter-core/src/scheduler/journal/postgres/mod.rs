mod queries;
mod schema;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

use super::{Entry, Journal, Logged};
use crate::model::{RunId, SessionId};
use crate::scheduler::{RunRecord, SchedulerError};

/// How soon a server, or a connection, that is gone without a word is noticed.
const SILENCE: Duration = Duration::from_secs(5);

/// A journal in PostgreSQL, which one process has at a time.
///
/// Whoever opens it holds a lock of the database for as long as its connection lives, and writes over that connection
/// alone. So the next one has it once PostgreSQL says that the first is gone, and what is gone cannot write any more. Each
/// has a higher fencing token than all before.
#[derive(Debug)]
pub struct PostgresJournal {
    client: Mutex<Client>,
    name: String,
    fencing_token: u64,
    gone: CancellationToken,
}

/// What went wrong with a query.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    #[error("what stands there was not written by us: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Refused(String),
}

impl PostgresJournal {
    /// Opens the journal of a namespace in the database at an address, `postgres://user@host/database`; its tables are made
    /// where there are none, in a schema of their own. Waits while another process has it.
    ///
    /// # Errors
    /// [`SchedulerError::Unavailable`] where the database does not answer, [`SchedulerError::Unsupported`] where the address
    /// is none, [`SchedulerError::CorruptJournal`] where the tables are those of a newer version.
    pub async fn open(address: &str, namespace: &str) -> Result<Self, SchedulerError> {
        let config = config(address)?;
        let schema = schema::name(namespace);
        let name = format!("{}, schema {schema}", shown(&config));
        let unavailable = |action: &str, error: tokio_postgres::Error| SchedulerError::Unavailable {
            scheduler: format!("journal {name}"),
            action: action.to_owned(),
            source: error.into(),
        };
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(|error| unavailable("connect", error))?;
        let gone = CancellationToken::new();
        let ended = gone.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::error!(%error, "the connection to PostgreSQL is gone");
            }
            ended.cancel();
        });
        let fencing_token = take(&client, &schema, &name).await.map_err(|failure| match failure {
            Failure::Database(error) => unavailable("take it", error),
            failure => explain(failure, name.clone(), "take it"),
        })?;
        Ok(Self {
            client: Mutex::new(client),
            name,
            fencing_token,
            gone,
        })
    }

    /// Higher than that of any process that had the journal before.
    pub fn fencing_token(&self) -> u64 {
        self.fencing_token
    }

    /// Cancelled once the connection is gone: then another process may have the journal.
    pub fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    fn explain(&self, action: &str) -> impl FnOnce(Failure) -> SchedulerError {
        let (name, action) = (self.name.clone(), action.to_owned());
        move |failure| explain(failure, name, &action)
    }
}

/// The database that an address names, without the password that it may have.
fn shown(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    format!(
        "postgres://{}/{}",
        hosts.join(","),
        config.get_dbname().unwrap_or_default()
    )
}

fn config(address: &str) -> Result<Config, SchedulerError> {
    let parsed = address.parse::<Config>();
    let mut config = parsed.map_err(|error| SchedulerError::Unsupported {
        what: format!("journal: expected postgres://user@host/database: {error}"),
    })?;
    config
        .application_name("mcp-scheduler-service")
        .connect_timeout(SILENCE)
        .tcp_user_timeout(SILENCE)
        .keepalives_idle(SILENCE)
        .keepalives_interval(Duration::from_secs(1))
        .keepalives_retries(3);
    Ok(config)
}

/// Makes the tables, and waits until nobody else has them; gives the fencing token.
async fn take(client: &Client, schema: &str, name: &str) -> Result<u64, Failure> {
    // So the server, too, notices soon that this process is gone without a word.
    client.batch_execute(schema::KEEPALIVES).await?;
    let lock = schema::lock(schema);
    let is_free: bool = client
        .query_one("SELECT pg_try_advisory_lock($1)", &[&lock])
        .await?
        .get(0);
    if !is_free {
        tracing::warn!("another scheduler service has journal {name}: waiting for its end");
        client.query_one("SELECT pg_advisory_lock($1)", &[&lock]).await?;
    }
    schema::prepare(client, schema).await?;
    let token: i64 = client.query_one("SELECT nextval('fencing')", &[]).await?.get(0);
    Ok(u64::try_from(token).unwrap_or_default())
}

fn explain(failure: Failure, journal: String, action: &str) -> SchedulerError {
    match failure {
        Failure::Refused(reason) => SchedulerError::CorruptJournal { journal, reason },
        Failure::Json(error) => SchedulerError::CorruptJournal {
            journal,
            reason: format!("cannot {action}: {error}"),
        },
        failure @ Failure::Database(_) => SchedulerError::Journal {
            journal,
            action: format!("cannot {action}"),
            source: failure.into(),
        },
    }
}

impl fmt::Display for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    async fn load(&self, session: &SessionId) -> Result<Option<Logged>, SchedulerError> {
        let mut client = self.client.lock().await;
        let loaded = queries::load(&mut client, session).await;
        loaded.map_err(self.explain("read a session"))
    }

    async fn append(&self, session: &SessionId, entries: Arc<[Entry]>) -> Result<(), SchedulerError> {
        let mut client = self.client.lock().await;
        let appended = queries::append(&mut client, session, &entries).await;
        appended.map_err(self.explain("write to it"))
    }

    async fn runs(&self, session: &SessionId) -> Result<Vec<RunRecord>, SchedulerError> {
        let mut client = self.client.lock().await;
        let runs = queries::runs(&mut client, session).await;
        runs.map_err(self.explain("read the runs"))
    }

    async fn run(&self, run: &RunId) -> Result<Option<(SessionId, RunRecord)>, SchedulerError> {
        let mut client = self.client.lock().await;
        let found = queries::run(&mut client, run).await;
        found.map_err(self.explain("read a run"))
    }

    async fn forget(&self, session: &SessionId) -> Result<(), SchedulerError> {
        let client = self.client.lock().await;
        let forgotten = queries::forget(&client, session).await;
        forgotten.map_err(self.explain("remove a session"))
    }
}
