//! The store: settings, statements, and what runs them.

use std::fmt;
use std::sync::Arc;

use mysql_async::{Opts, Pool};
use store_core::{Error, ErrorKind, Result, Settings, Timestamp};

use crate::config::MySqlConfig;
use crate::execute::{Answer, Batch, Executor, ServerName};
use crate::mapping::Param;
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

/// Authentication state on MySQL or MariaDB. Clones share the pool.
///
/// ```no_run
/// use store_core::{NonceStore, SchemaStore, Settings};
/// use store_mysql::MySqlStore;
///
/// # async fn example() -> Result<(), store_core::Error> {
/// let store = MySqlStore::connect("mysql://app@localhost/auth", Settings::default()).await?;
/// store.bootstrap().await?;
/// store.store_nonce(&"n-0S6_WzA2Mj".parse()?, None).await?;
/// assert!(store.consume_nonce("n-0S6_WzA2Mj").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MySqlStore {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    names: TableNames,
    queries: Queries,
    executor: Executor,
}

impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore")
            .field("settings", &self.inner.settings)
            .field("tables", &self.inner.names)
            .finish_non_exhaustive()
    }
}

/// How often a row that seems to be in the way is looked at again, because another call may have
/// deleted it in between.
const LOOKS: u32 = 3;

impl MySqlStore {
    /// Opens a store from a connection URL ([`MySqlConfig::from_url`]) and makes sure that the server
    /// answers.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a wrong URL, and why the server does not answer.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self> {
        use store_core::Lifecycle as _;
        let store = Self::open(MySqlConfig::from_url(url)?, settings)?;
        store.health().await?;
        Ok(store)
    }

    /// Opens a store without asking the server yet. Its connections belong to the Tokio runtime of the
    /// first operation.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a configuration that can't work.
    pub fn open(config: MySqlConfig, settings: Settings) -> Result<Self> {
        config.validate()?;
        let connections = Connections::open(&config)?;
        Ok(Self::new(config, settings, connections))
    }

    /// A store on a pool of the application's, which stays the application's: it is neither reaped
    /// nor closed here. Of `config` only the tables and the times matter.
    ///
    /// The store leaves no session state behind but prepared statements and the variable
    /// `@store_aid`, so the pool's connections need no reset between uses. Let their sessions be
    /// `READ COMMITTED` as the store's own are; under another isolation level writers wait for each
    /// other more often.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for table names that can't work.
    pub fn from_pool(pool: Pool, config: MySqlConfig, settings: Settings) -> Result<Self> {
        config.validate()?;
        let connections = Connections::handed_in(pool, &config);
        Ok(Self::new(config, settings, connections))
    }

    fn new(config: MySqlConfig, settings: Settings, connections: Connections) -> Self {
        let server = server_name(&config);
        let executor = Executor::new(connections, config.statement_timeout, server);
        let names = config.tables;
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
        params: &[Param<'_>],
    ) -> Result<Answer> {
        let answer = self.inner.executor.run(query, params).await;
        answer.map_err(|error| at(operation, error))
    }

    /// Runs statements of an operation in one transaction.
    async fn run_together(&self, operation: &'static str, batch: Batch<'_>) -> Result<Vec<Answer>> {
        let answers = self.inner.executor.run_together(batch).await;
        answers.map_err(|error| at(operation, error))
    }

    /// Inserts a row, or takes the place of an expired one with its key as if that had been reaped,
    /// and tells whether it could.
    ///
    /// The insertion goes first, because a key that is taken is the exception. `ON DUPLICATE KEY
    /// UPDATE` would say it in one statement, but locks the gap beside the row, at which neighbours
    /// deadlock.
    async fn insert(
        &self,
        operation: &'static str,
        (insert, row): (&Query, &[Param<'_>]),
        (replace, replacement): (&Query, &[Param<'_>]),
    ) -> Result<bool> {
        for _ in 0..LOOKS {
            match self.run(operation, insert, row).await {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let replaced = self.run(operation, replace, replacement).await?;
            if replaced.matched > 0 {
                return Ok(true);
            }
            // It is live, or was deleted in between.
        }
        Ok(false)
    }
}

/// The same error, said of an operation of this backend.
fn at(operation: &'static str, error: Error) -> Error {
    error.at("mysql", operation)
}

fn server_name(config: &MySqlConfig) -> ServerName {
    let driver: &Opts = &config.driver;
    let address = driver.socket().unwrap_or_else(|| driver.ip_or_hostname());
    let namespace = config.tables.database.as_deref().or(driver.db_name());
    ServerName {
        address: address.to_owned(),
        port: driver.tcp_port(),
        namespace: namespace.unwrap_or_default().to_owned(),
    }
}
