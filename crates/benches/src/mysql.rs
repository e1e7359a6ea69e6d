//! MySQL and MariaDB: a database of its own, loaded in bulk.

mod raw;

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, SslOpts};
use store_core::{LaunchConfigStore, SchemaStore, Settings};
use store_mysql::{MySqlConfig, MySqlStore, SslCa, SslMode};

use self::raw::{Raw, hours};
use crate::backend::{Bench, is_stale};
use crate::subject::{Ours, Subject};
use crate::world::{JtsDetails, JtsKey, LoginKey, LtiKey, World};

/// How many rows a statement loads.
const CHUNK: usize = 2_000;
const CONNECTIONS: usize = 10;
/// How many nonces there are before any is measured.
const NONCES: usize = 10_000;

pub(crate) struct MySql {
    url: String,
    database: String,
    server: String,
}

impl MySql {
    pub(crate) async fn open(url: &str, place: &str) -> Result<Self> {
        let config = MySqlConfig::from_url(url)?;
        let mut conn = Conn::new(config.driver).await.context("connecting")?;
        let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
        conn.disconnect().await?;
        let version = version.context("the server tells no version")?;
        let number = version.split('-').next().unwrap_or_default();
        let product = if version.contains("MariaDB") {
            "MariaDB"
        } else {
            "MySQL"
        };
        Ok(Self {
            url: url.to_owned(),
            server: format!("{product} {number}"),
            database: place.to_owned(),
        })
    }

    fn config(&self) -> Result<MySqlConfig> {
        let mut config = MySqlConfig::from_url(&self.url)?;
        // The bare driver is measured without TLS too.
        config.ssl_mode = SslMode::Disabled;
        config.tables.database = Some(self.database.clone());
        Ok(config)
    }

    fn store(&self) -> Result<MySqlStore> {
        Ok(MySqlStore::open(self.config()?, Settings::default())?)
    }

    /// The driver as it is, but for the round trip that it spends by default on every return to the pool, and with as
    /// many connections kept open as there may be: by default others than those are closed when they return.
    fn opts(&self) -> Result<Opts> {
        let pool = PoolOpts::default()
            .with_constraints(
                PoolConstraints::new(CONNECTIONS, CONNECTIONS).context("no connections")?,
            )
            .with_reset_connection(false);
        let opts = OptsBuilder::from_opts(MySqlConfig::from_url(&self.url)?.driver)
            .db_name(Some(&self.database))
            .pool_opts(pool)
            .ssl_opts(None::<SslOpts>)
            .prefer_socket(false)
            .setup(vec![
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            ]);
        Ok(opts.into())
    }

    async fn load_lti(&self, conn: &mut Conn, keys: &[LtiKey], json: &str) -> Result<()> {
        for keys in keys.chunks(CHUNK) {
            let ids: Vec<_> = keys.iter().map(|key| key.text.as_str()).collect();
            let ids = serde_json::to_string(&ids)?;
            conn.exec_drop(
                "INSERT INTO sessions (id, data, expiresAt) SELECT j.id, ?, ?
                 FROM JSON_TABLE(?, '$[*]' COLUMNS (id varchar(64) PATH '$')) j",
                (json, hours(24), ids),
            )
            .await?;
        }
        Ok(())
    }

    async fn load_jts(&self, conn: &mut Conn, keys: &[JtsKey]) -> Result<()> {
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            let rows = keys.iter().zip(chunk * CHUNK..).map(|(key, n)| {
                let prn = JtsDetails::of(n).prn;
                serde_json::json!({"a": key.aid, "u": prn, "p": key.proof()})
            });
            let rows = serde_json::Value::Array(rows.collect()).to_string();
            let details = JtsDetails::of(0);
            conn.exec_drop(
                "INSERT INTO jts_sessions (aid, prn, current_state_proof, state_proof_version,
                   created_at, last_active, expires_at, device_fingerprint, user_agent, ip_address,
                   metadata)
                 SELECT j.a, j.u, j.p, 1, ?, ?, ?, ?, ?, ?, ?
                 FROM JSON_TABLE(?, '$[*]' COLUMNS (a varchar(64) PATH '$.a',
                   u varchar(256) PATH '$.u', p varchar(256) PATH '$.p')) j",
                (
                    hours(0),
                    hours(0),
                    hours(7 * 24),
                    details.device_fingerprint,
                    details.user_agent,
                    details.ip_address,
                    details.metadata,
                    rows,
                ),
            )
            .await?;
        }
        Ok(())
    }

    async fn load_logins(&self, conn: &mut Conn, keys: &[LoginKey], json: &str) -> Result<()> {
        for keys in keys.chunks(CHUNK) {
            let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
            let ids = serde_json::to_string(&ids)?;
            conn.exec_drop(
                "INSERT INTO login_sessions (id, data, expires_at, version) SELECT j.id, ?, ?, 1
                 FROM JSON_TABLE(?, '$[*]' COLUMNS (id varchar(255) PATH '$')) j",
                (json, hours(24), ids),
            )
            .await?;
        }
        Ok(())
    }

    /// Does what the server would do by itself at a moment of its choosing.
    async fn settle(&self, mut conn: Conn) -> Result<()> {
        let tables = "clients, deployments, nonces, sessions, jts_sessions,
                      jts_retired_state_proofs, login_sessions";
        conn.query_drop(format!("ANALYZE TABLE {tables}")).await?;
        Ok(conn.disconnect().await?)
    }

    async fn load_nonces(&self, conn: &mut Conn) -> Result<()> {
        let nonces: Vec<_> = (0..NONCES).map(|n| format!("loaded-{n}")).collect();
        conn.exec_drop(
            "INSERT INTO nonces (nonce, expiresAt) SELECT j.id, ?
             FROM JSON_TABLE(?, '$[*]' COLUMNS (id varchar(255) PATH '$')) j",
            (hours(24), serde_json::to_string(&nonces)?),
        )
        .await?;
        Ok(())
    }
}

#[async_trait]
impl Bench for MySql {
    fn server(&self) -> &str {
        &self.server
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn place(&self) -> &str {
        &self.database
    }

    async fn create(&self) -> Result<()> {
        let mut conn = Conn::new(MySqlConfig::from_url(&self.url)?.driver).await?;
        let others: Vec<String> = conn.query("SHOW DATABASES LIKE 'bench%'").await?;
        for name in others {
            if is_stale(&name) {
                conn.query_drop(format!("DROP DATABASE {name}")).await?;
            }
        }
        conn.query_drop(format!("CREATE DATABASE {}", self.database))
            .await?;
        conn.disconnect().await?;
        self.store()?.bootstrap().await?;
        Ok(())
    }

    async fn load(&self, world: &mut World, from: usize) -> Result<()> {
        let mut conn = Conn::new(self.opts()?).await?;
        if from == 0 {
            let store = self.store()?;
            for config in &world.launch_configs {
                store.save_launch_config(config).await?;
            }
            self.load_nonces(&mut conn).await?;
        }
        self.load_lti(&mut conn, &world.lti[from..], &world.lti_json)
            .await?;
        self.load_jts(&mut conn, &world.jts[from..]).await?;
        self.load_logins(&mut conn, &world.logins[from..], &world.login_json)
            .await?;
        self.settle(conn).await
    }

    async fn load_expired(&self, count: usize) -> Result<()> {
        let mut conn = Conn::new(self.opts()?).await?;
        let json = World::new(1)?.lti_json;
        for first in (0..count).step_by(CHUNK) {
            let numbers: Vec<_> = (first..count.min(first + CHUNK)).collect();
            conn.exec_drop(
                "INSERT INTO sessions (id, data, expiresAt)
                 SELECT UUID(), ?, ? - INTERVAL j.n * 1000 MICROSECOND
                 FROM JSON_TABLE(?, '$[*]' COLUMNS (n bigint PATH '$')) j",
                (&json, hours(0), serde_json::to_string(&numbers)?),
            )
            .await?;
        }
        self.settle(conn).await
    }

    async fn ours(&self, ca: Option<&str>) -> Result<Arc<dyn Subject>> {
        let mut config = self.config()?;
        if let Some(ca) = ca {
            config.ssl_mode = SslMode::VerifyIdentity;
            config.ssl_ca = SslCa::File(ca.into());
        }
        let store = MySqlStore::open(config, Settings::default())?;
        Ok(Arc::new(Ours::new(Arc::new(store))))
    }

    async fn raw(&self) -> Result<Arc<dyn Subject>> {
        Ok(Arc::new(Raw::new(Pool::new(self.opts()?))))
    }

    async fn remove(&self) -> Result<()> {
        let mut conn = Conn::new(self.opts()?).await?;
        conn.query_drop(format!("DROP DATABASE {}", self.database))
            .await?;
        Ok(conn.disconnect().await?)
    }
}
