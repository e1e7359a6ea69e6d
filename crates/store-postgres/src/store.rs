//! The store: settings, statements, and what runs them.

use std::fmt;
use std::sync::Arc;

use deadpool_postgres::Pool;
use store_core::{Error, Result, Settings, Timestamp};

use crate::config::PostgresConfig;
use crate::execute::{Answer, Executor, Params, ServerName};
use crate::names::TableNames;
use crate::pool::Connections;
use crate::queries::{Queries, Query};

mod cleanup;
mod clients;
mod deployments;
mod jts_sessions;
mod launch_configs;
mod lifecycle;
mod login_sessions;
mod lti_sessions;
mod nonces;
mod registration_sessions;
mod schema;
mod transfer;

/// Authentication state on PostgreSQL. Clones share the pool.
///
/// ```no_run
/// use store_core::{NonceStore, SchemaStore, Settings};
/// use store_postgres::PostgresStore;
///
/// # async fn example() -> Result<(), store_core::Error> {
/// let store = PostgresStore::connect("postgres://app@localhost/auth", Settings::default()).await?;
/// store.bootstrap().await?;
/// store.store_nonce(&"n-0S6_WzA2Mj".parse()?, None).await?;
/// assert!(store.consume_nonce("n-0S6_WzA2Mj").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    names: TableNames,
    queries: Queries,
    executor: Executor,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("settings", &self.inner.settings)
            .field("tables", &self.inner.names)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens a store from a connection URL ([`PostgresConfig::from_url`]) and makes sure that the
    /// server answers.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for a wrong URL, and why the server does
    /// not answer.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self> {
        use store_core::Lifecycle as _;
        let store = Self::open(PostgresConfig::from_url(url)?, settings)?;
        store.health().await?;
        Ok(store)
    }

    /// Opens a store without asking the server yet.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for a configuration that can't work.
    pub fn open(config: PostgresConfig, settings: Settings) -> Result<Self> {
        config.validate()?;
        let connections = Connections::open(&config)?;
        let server = server_name(&config.driver);
        let executor = Executor::new(
            connections,
            !config.pgbouncer,
            config.statement_timeout,
            server,
        );
        Ok(Self::new(settings, config.tables, executor))
    }

    /// A store on a pool of the application's, which stays the application's: it is neither reaped
    /// nor closed here. Of `config` only the tables, the statement timeout and `pgbouncer` matter.
    ///
    /// The store prepares statements on the pool's connections, and leaves no session state behind.
    /// Give the connections `options=-c enable_seqscan=off -c jit=off` as the store's own have.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for table names that can't work.
    pub fn from_pool(pool: Pool, config: PostgresConfig, settings: Settings) -> Result<Self> {
        config.validate()?;
        let executor = Executor::new(
            Connections::handed_in(pool),
            !config.pgbouncer,
            config.statement_timeout,
            server_name(&config.driver),
        );
        Ok(Self::new(settings, config.tables, executor))
    }

    fn new(settings: Settings, names: TableNames, executor: Executor) -> Self {
        let queries = Queries::new(&names);
        Self {
            inner: Arc::new(Inner {
                settings,
                names,
                queries,
                executor,
            }),
        }
    }

    fn queries(&self) -> &Queries {
        &self.inner.queries
    }

    fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    fn now(&self) -> Timestamp {
        self.inner.settings.now()
    }

    /// Runs one statement of an operation.
    async fn run(
        &self,
        operation: &'static str,
        query: &Query,
        params: Params<'_>,
    ) -> Result<Answer> {
        let answer = self.inner.executor.run(query, params).await;
        answer.map_err(|error| at(operation, error))
    }
}

/// The same error, said of an operation of this backend.
fn at(operation: &'static str, error: Error) -> Error {
    error.at("postgres", operation)
}

fn server_name(driver: &tokio_postgres::Config) -> ServerName {
    use tokio_postgres::config::Host;
    let address = match driver.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => driver
            .get_hostaddrs()
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    ServerName {
        address,
        port: driver.get_ports().first().copied().unwrap_or(5432),
        namespace: driver.get_dbname().unwrap_or_default().to_owned(),
    }
}
