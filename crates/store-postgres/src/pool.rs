//! Connections: opening them, lending them, and letting go of those that are idle or unusable.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode,
    RecyclingMethod, Runtime,
};
use futures_util::future::BoxFuture;
use store_core::{Error, ErrorKind, Result};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{CredentialsProvider, PostgresConfig, SslMode};
use crate::error;
use crate::tls;

mod shared;

pub(crate) use self::shared::Lent;
use self::shared::Sharing;

/// How many connections reads share at most; never more than half of the pool's, which leaves the
/// others to writes.
const MOST_SHARED: usize = 4;

/// How long a read waits for its answer on a shared connection before it asks again on one of its own.
pub(crate) const SHARED_PATIENCE: Duration = Duration::from_secs(1);

/// A pool, and what belongs to it.
pub(crate) struct Connections {
    pool: Pool,
    sharing: Sharing,
    /// Why credentials could not be had, on its way past the driver's error type.
    refused: Arc<Mutex<Option<Error>>>,
    /// Closes idle connections of a pool of our own.
    reaper: Option<AbortHandle>,
}

impl Connections {
    /// A pool as configured. Opens no connection yet. Must be called within a Tokio runtime.
    pub(crate) fn open(config: &PostgresConfig) -> Result<Self> {
        let mut driver = config.driver.clone();
        driver.connect_timeout(config.connect_timeout);
        driver.ssl_mode(match config.ssl_mode {
            SslMode::Disable => DriverSslMode::Disable,
            SslMode::Prefer => DriverSslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => DriverSslMode::Require,
        });
        if driver.get_application_name().is_none() {
            driver.application_name("store-postgres");
        }
        if !config.pgbouncer {
            driver.options(session_options(config));
        }
        let refused = Arc::default();
        let opener = Opener {
            tls: tls::connector(config)?,
            credentials: config.credentials.clone(),
            refused: Arc::clone(&refused),
        };
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_connect(driver, opener, recycling);
        let pool = Pool::builder(manager)
            .runtime(Runtime::Tokio1)
            .max_size(config.max_connections)
            .wait_timeout(Some(config.wait_timeout))
            // Several hosts are tried one after the other, each within the connect timeout.
            .create_timeout(Some(
                config.connect_timeout * u32::try_from(hosts(&config.driver)).unwrap_or(1),
            ))
            .queue_mode(QueueMode::Lifo)
            .pre_recycle(not_idle(config.idle_timeout))
            .build()
            .map_err(|error| Error::new(ErrorKind::Backend, error.to_string()))?;
        let reaper = Some(reap_idle(&pool, config.idle_timeout));
        Ok(Self {
            pool,
            sharing: Sharing::default(),
            refused,
            reaper,
        })
    }

    /// A pool that the application made and goes on owning.
    pub(crate) fn handed_in(pool: Pool) -> Self {
        Self {
            pool,
            sharing: Sharing::default(),
            refused: Arc::default(),
            reaper: None,
        }
    }

    /// A connection that is not known to be broken.
    pub(crate) async fn get(&self) -> Result<Object> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => {
                let refused = self.refused.lock();
                let refused = refused.unwrap_or_else(PoisonError::into_inner).take();
                refused.unwrap_or_else(|| error::connecting(&error))
            }
            other => error::pool(&other, self.pool.status().max_size),
        })
    }

    /// A connection for a read that is soon answered: shared with others, unless there would be none
    /// left for writes.
    pub(crate) async fn get_shared(&self) -> Result<Arc<Lent>> {
        let status = self.pool.status();
        let most = MOST_SHARED.min(status.max_size / 2);
        // Rather a crowded connection than waiting for another.
        let is_one_free = status.available > 0 || status.size < status.max_size;
        if let Some(shared) = self.sharing.join(if is_one_free { most } else { 0 }) {
            return Ok(shared);
        }
        let opening = match most {
            0 => None,
            _ => self.sharing.open(),
        };
        // Whoever comes while the first is being shared gets one of its own.
        if opening.is_none()
            && let Some(shared) = self.sharing.join(0)
        {
            return Ok(shared);
        }
        let object = self.get().await?;
        Ok(match opening {
            Some(opening) => opening.share(object),
            None => Lent::own(object),
        })
    }

    /// Leaves a shared connection that does not answer to what is under way on it.
    pub(crate) fn set_aside(&self, shared: &Arc<Lent>, patience: Duration) {
        self.sharing.set_aside(shared, patience);
    }

    /// Drops a connection instead of returning it, and all idle ones too if the server that they
    /// lead to has become read-only.
    pub(crate) fn evict(&self, connection: &Arc<Lent>, others_too: bool) {
        self.sharing.drop_broken(connection);
        if others_too {
            self.sharing.drop_all();
            self.pool.retain(|_, _| false);
        }
    }

    pub(crate) fn close(&self) {
        if let Some(reaper) = &self.reaper {
            reaper.abort();
            self.pool.close();
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if let Some(reaper) = &self.reaper {
            reaper.abort();
        }
    }
}

fn hosts(driver: &Config) -> usize {
    driver
        .get_hosts()
        .len()
        .max(driver.get_hostaddrs().len())
        .max(1)
}

/// Settings of each session. No statement of ours is better off with a sequential scan, but the
/// planner picks one for tables that were small when it looked and keeps to it; compiling statements
/// this short never pays.
fn session_options(config: &PostgresConfig) -> String {
    let ours = format!(
        "-c statement_timeout={} -c enable_seqscan=off -c jit=off",
        config.statement_timeout.as_millis()
    );
    match config.driver.get_options() {
        Some(theirs) => format!("{ours} {theirs}"),
        None => ours,
    }
}

/// A process that was frozen has reaped nothing, and its connections may be gone without a word.
fn not_idle(idle_timeout: Duration) -> Hook {
    Hook::sync_fn(move |_, metrics| {
        if metrics.last_used() < idle_timeout {
            Ok(())
        } else {
            Err(HookError::message("idle for too long"))
        }
    })
}

fn reap_idle(pool: &Pool, idle_timeout: Duration) -> AbortHandle {
    let pool = pool.weak();
    let task: JoinHandle<()> = tokio::spawn(async move {
        let mut tick = tokio::time::interval((idle_timeout / 4).max(Duration::from_millis(100)));
        loop {
            tick.tick().await;
            match pool.upgrade() {
                Some(pool) => pool.retain(|client, metrics| {
                    !client.is_closed() && metrics.last_used() < idle_timeout
                }),
                None => return,
            };
        }
    });
    task.abort_handle()
}

/// Opens connections.
struct Opener {
    tls: Option<MakeRustlsConnect>,
    credentials: Option<Arc<dyn CredentialsProvider>>,
    refused: Arc<Mutex<Option<Error>>>,
}

impl Connect for Opener {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let mut config = config.clone();
        Box::pin(async move {
            if let Some(provider) = &self.credentials {
                match provider.credentials().await {
                    Ok(credentials) => {
                        config.password(&credentials.password);
                        if let Some(user) = credentials.user {
                            config.user(user);
                        }
                    }
                    Err(error) => {
                        let mut refused =
                            self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                        *refused = Some(error);
                        return Err(any_driver_error());
                    }
                }
            }
            match &self.tls {
                Some(tls) => {
                    let (client, connection) = config.connect(tls.clone()).await?;
                    Ok((client, drive(connection)))
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    Ok((client, drive(connection)))
                }
            }
        })
    }
}

/// The driver's error type has no constructor; this is one way to get at a value.
fn any_driver_error() -> tokio_postgres::Error {
    let parsed = "no_such_option=1".parse::<Config>();
    parsed.expect_err("the driver refuses unknown options")
}

fn drive<F>(connection: F) -> JoinHandle<()>
where
    F: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            let reason = error::connecting(&error);
            tracing::debug!(target: "store_postgres", %reason, "connection lost");
        }
    })
}
