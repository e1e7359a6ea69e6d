//! Connections: opening them, lending them, and letting go of those that are idle or unusable.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts};
use store_core::{Error, ErrorKind, Result};
use tokio::time::timeout;
use tracing::Instrument;

use self::lease::Connection;
use self::turns::Turns;
use crate::config::{CredentialsProvider, MySqlConfig, SslMode};
use crate::error;
use crate::tls;

mod lease;
mod turns;

pub(crate) use self::lease::Lease;

/// What every session is set to. `READ COMMITTED` locks rows, not the gaps between them, without which
/// writers of neighbouring keys deadlock.
const SESSION: &str =
    "SET SESSION autocommit = 1; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// How many statements a connection keeps prepared: all of ours, and more.
pub(crate) const STATEMENTS: usize = 128;
/// How long ending a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// Set so that the driver does not ask each new connection for them, and larger than any payload.
const MAX_PACKET: usize = 64 * 1024 * 1024;
const SERVER_WAIT_TIMEOUT: usize = 28_800;

/// Where connections come from.
pub(crate) struct Connections {
    source: Source,
    limits: Limits,
    mariadb: AtomicBool,
}

struct Limits {
    turns: Arc<Turns>,
    connections: usize,
    wait: Duration,
    connect: Duration,
}

enum Source {
    /// A pool that the application made and goes on owning.
    HandedIn(Pool),
    Own(Arc<Own>),
}

/// Pools of our own.
struct Own {
    opts: Mutex<Opts>,
    ssl_mode: SslMode,
    credentials: Option<Arc<dyn CredentialsProvider>>,
    idle: Mutex<Idle>,
}

/// The pools that can be taken from. Without a provider of credentials, one for all connections; with
/// one, a pool of a single connection for each, because a pool's credentials never change.
struct Idle {
    pools: Vec<Pool>,
    /// Counts evictions, so that a pool from before the last is not put back.
    generation: u64,
}

impl Connections {
    /// A pool as configured. Opens no connection yet.
    pub(crate) fn open(config: &MySqlConfig) -> Result<Self> {
        let each = if config.credentials.is_some() {
            1
        } else {
            config.max_connections
        };
        let pool = PoolOpts::default()
            .with_constraints(PoolConstraints::new(0, each).unwrap_or_default())
            .with_inactive_connection_ttl(config.idle_timeout)
            .with_ttl_check_interval((config.idle_timeout / 4).max(Duration::from_secs(1)))
            // A round trip at every return, for session state that we never leave.
            .with_reset_connection(false);
        let mut setup = config.driver.setup().to_vec();
        setup.push(SESSION.to_owned());
        let keepalive = config.driver.tcp_keepalive();
        let opts: Opts = OptsBuilder::from_opts(config.driver.clone())
            .pool_opts(pool)
            .ssl_opts(tls::options(config)?)
            .setup(setup)
            .stmt_cache_size(STATEMENTS)
            // The server's own socket may be another server's here.
            .prefer_socket(false)
            .tcp_keepalive(keepalive.or(Some(Duration::from_secs(60))))
            // A process that was frozen has closed nothing, and its connections may be gone without a
            // word.
            .conn_ttl(Some(config.idle_timeout))
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(SERVER_WAIT_TIMEOUT))
            .client_found_rows(false)
            .into();
        let own = Own {
            opts: Mutex::new(opts),
            ssl_mode: config.ssl_mode,
            credentials: config.credentials.clone(),
            idle: Mutex::new(Idle {
                pools: Vec::new(),
                generation: 0,
            }),
        };
        Ok(Self::new(Source::Own(Arc::new(own)), config))
    }

    /// A pool that the application made and goes on owning.
    pub(crate) fn handed_in(pool: Pool, config: &MySqlConfig) -> Self {
        Self::new(Source::HandedIn(pool), config)
    }

    fn new(source: Source, config: &MySqlConfig) -> Self {
        Self {
            source,
            limits: Limits {
                turns: Turns::new(config.max_connections),
                connections: config.max_connections,
                wait: config.wait_timeout,
                connect: config.connect_timeout,
            },
            mariadb: AtomicBool::new(false),
        }
    }

    /// A connection that is not known to be broken.
    pub(crate) async fn get(&self) -> Result<Lease> {
        let turn = self.limits.turns.next(self.limits.wait).await;
        let mut turn = turn.ok_or_else(|| error::exhausted(self.limits.connections))?;
        let handed_over = turn
            .connection
            .take()
            .filter(|known| self.is_current(known));
        if let Some(connection) = handed_over {
            return Ok(Lease::new(connection, turn));
        }
        let connection = match &self.source {
            Source::HandedIn(pool) => {
                let conn = timeout(self.limits.wait, pool.get_conn()).await;
                let conn = conn.map_err(|_| error::exhausted(self.limits.connections))?;
                Connection::new(conn.map_err(|error| error::connecting(&error))?)
            }
            Source::Own(own) if own.has_idle() => {
                Arc::clone(own).get_within(self.limits.connect).await?
            }
            // A server blocks hosts that begin connections and don't end them, so that one which is
            // being opened is opened whether the caller still waits or not.
            Source::Own(own) => {
                let opening = Arc::clone(own).get_within(self.limits.connect);
                let opened = tokio::spawn(opening.in_current_span()).await;
                opened.map_err(|_| error::closed())??
            }
        };
        let mut lease = Lease::new(connection, turn);
        self.mariadb
            .store(is_mariadb(lease.server_version()), Ordering::Relaxed);
        refuse_old(lease.server_version())?;
        if lease.opts().socket().is_some() {
            lease = self.alive(lease).await?;
        }
        Ok(lease)
    }

    /// Whether a connection is not from before the last eviction.
    fn is_current(&self, connection: &Connection) -> bool {
        match (&self.source, connection.generation) {
            (Source::Own(own), Some(generation)) => own.idle().generation == generation,
            _ => false,
        }
    }

    /// The driver notices for TCP that the server has closed an idle connection, but not for a Unix
    /// socket, where asking costs next to nothing.
    async fn alive(&self, mut lease: Lease) -> Result<Lease> {
        for _ in 0..=self.limits.connections {
            lease.settled = false;
            if lease.ping().await.is_ok() {
                lease.settled = true;
                return Ok(lease);
            }
            let turn = lease.give_up();
            let connection = match &self.source {
                Source::HandedIn(pool) => {
                    let conn = pool.get_conn().await;
                    Connection::new(conn.map_err(|error| error::connecting(&error))?)
                }
                Source::Own(own) => own.get().await?,
            };
            lease = Lease::new(connection, turn);
        }
        Ok(lease)
    }

    /// Whether the server that answered last is MariaDB.
    pub(crate) fn is_mariadb(&self) -> bool {
        self.mariadb.load(Ordering::Relaxed)
    }

    /// Lets go of a connection instead of returning it, and of all idle ones too if the server that
    /// they lead to has become read-only.
    pub(crate) fn evict(&self, mut lease: Lease, others_too: bool) {
        lease.settled = false;
        drop(lease);
        if let (true, Source::Own(own)) = (others_too, &self.source) {
            own.forget_all();
            self.limits.turns.forget();
        }
    }

    pub(crate) async fn close(&self) {
        if let Source::Own(own) = &self.source {
            let pools = own.take_all();
            self.limits.turns.forget();
            for pool in pools {
                let _ = timeout(GOODBYE, pool.disconnect()).await;
            }
        }
    }
}

impl Own {
    fn opts(&self) -> Opts {
        self.opts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection can be lent without opening one, as far as can be told.
    fn has_idle(&self) -> bool {
        let idle = self.idle();
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        idle.pools.last().is_some_and(|pool| {
            let metrics = pool.metrics();
            count(&metrics.connections_in_pool) > 0
                || count(&metrics.connection_count) >= pool_size(&self.opts())
        })
    }

    async fn get_within(self: Arc<Self>, limit: Duration) -> Result<Connection> {
        timeout(limit, self.get())
            .await
            .unwrap_or_else(|_elapsed| Err(error::connect_timeout()))
    }

    async fn get(self: &Arc<Self>) -> Result<Connection> {
        match &self.credentials {
            None => self.get_shared().await,
            Some(provider) => self.get_single(provider.as_ref()).await,
        }
    }

    async fn get_shared(&self) -> Result<Connection> {
        loop {
            let (pool, generation) = {
                let mut idle = self.idle();
                if idle.pools.is_empty() {
                    idle.pools.push(Pool::new(self.opts()));
                }
                (idle.pools[0].clone(), idle.generation)
            };
            match pool.get_conn().await {
                Ok(conn) => {
                    let mut connection = Connection::new(conn);
                    connection.generation = Some(generation);
                    return Ok(connection);
                }
                Err(error) if self.falls_back(&error) => {}
                Err(error) => return Err(error::connecting(&error)),
            }
        }
    }

    async fn get_single(
        self: &Arc<Self>,
        provider: &dyn CredentialsProvider,
    ) -> Result<Connection> {
        loop {
            let (known, generation) = {
                let mut idle = self.idle();
                (idle.pools.pop(), idle.generation)
            };
            let (pool, is_new) = match known {
                Some(pool) => (pool, false),
                None => {
                    let credentials = provider.credentials().await?;
                    let opts = self.opts();
                    let user = credentials.user.or(opts.user().map(str::to_owned));
                    let opts = OptsBuilder::from_opts(opts)
                        .user(user)
                        .pass(Some(credentials.password));
                    (Pool::new(opts), true)
                }
            };
            // Its connection is gone, and its credentials may be stale.
            if !is_new && pool.metrics().connection_count.load(Ordering::Relaxed) == 0 {
                continue;
            }
            match pool.get_conn().await {
                Ok(conn) => {
                    let mut connection = Connection::new(conn);
                    connection.generation = Some(generation);
                    connection.home = Some((pool, Arc::clone(self)));
                    return Ok(connection);
                }
                Err(error) if !is_new && error::refused(&error) => {}
                Err(error) if self.falls_back(&error) => {}
                Err(error) => return Err(error::connecting(&error)),
            }
        }
    }

    /// Gives up TLS where the server has none and it was only preferred.
    fn falls_back(&self, error: &mysql_async::Error) -> bool {
        let fall_back = self.ssl_mode == SslMode::Preferred && error::no_tls(error);
        if fall_back {
            let opts = OptsBuilder::from_opts(self.opts()).ssl_opts(None);
            *self.opts.lock().unwrap_or_else(PoisonError::into_inner) = opts.into();
            self.forget_all();
        }
        fall_back
    }

    fn take_all(&self) -> Vec<Pool> {
        let mut idle = self.idle();
        idle.generation += 1;
        std::mem::take(&mut idle.pools)
    }

    /// Closes what is idle now, and what is lent when it comes back.
    fn forget_all(&self) {
        for pool in self.take_all() {
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move {
                    // What is lent comes back before the statement timeout.
                    let _ = timeout(Duration::from_secs(3600), pool.disconnect()).await;
                });
            }
        }
    }
}

fn pool_size(opts: &Opts) -> usize {
    opts.pool_opts().constraints().max()
}

/// MySQL counts 5, 8, 9; MariaDB has counted from 10 since 2012.
fn is_mariadb((major, _, _): (u16, u16, u16)) -> bool {
    major >= 10
}

/// Servers that can't keep the promises are refused.
fn refuse_old(version: (u16, u16, u16)) -> Result<()> {
    let (major, minor, patch) = version;
    let lacks = match is_mariadb(version) {
        true if version < (10, 6, 0) => "SKIP LOCKED and atomic ALTER TABLE",
        false if version < (8, 0, 17) => {
            "SKIP LOCKED, atomic ALTER TABLE or a binary collation without padding"
        }
        _ => return Ok(()),
    };
    let message = format!(
        "the server's version {major}.{minor}.{patch} lacks {lacks}; use MySQL 8.0.17, MariaDB 10.6 or newer"
    );
    Err(Error::new(ErrorKind::Backend, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_with_what_they_lack() {
        for version in [(5, 7, 44), (8, 0, 16), (10, 2, 44), (10, 5, 29)] {
            let error = refuse_old(version).unwrap_err();
            assert!(error.to_string().contains("SKIP LOCKED"), "{error}");
        }
        for version in [(8, 0, 17), (9, 7, 0), (10, 6, 0), (11, 8, 2)] {
            assert!(refuse_old(version).is_ok());
        }
    }
}
