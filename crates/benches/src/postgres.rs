//! PostgreSQL: a schema of its own, loaded in bulk.

mod raw;

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use store_core::{LaunchConfigStore, SchemaStore, Settings};
use store_postgres::{PostgresConfig, PostgresStore, SslMode, SslRootCert};
use tokio_postgres::{Client, NoTls};

use self::raw::{Raw, jsonb, timestamp};
use crate::backend::{Bench, is_stale};
use crate::subject::{Ours, Subject};
use crate::world::{JtsDetails, JtsKey, LoginKey, LtiKey, World};

/// How many rows a statement loads.
const CHUNK: usize = 10_000;
/// How many nonces there are before any is measured: the planner must have seen some.
const NONCES: i32 = 10_000;

pub(crate) struct Postgres {
    url: String,
    schema: String,
    server: String,
    admin: Client,
}

impl Postgres {
    pub(crate) async fn open(url: &str, place: &str) -> Result<Self> {
        let admin = connect(&PostgresConfig::from_url(url)?.driver).await?;
        let version: String = admin.query_one("SHOW server_version", &[]).await?.get(0);
        let version = version.split(' ').next().unwrap_or_default();
        Ok(Self {
            url: url.to_owned(),
            server: format!("PostgreSQL {version}"),
            schema: place.to_owned(),
            admin,
        })
    }

    fn config(&self) -> Result<PostgresConfig> {
        let mut config = PostgresConfig::from_url(&self.url)?;
        // The bare driver is measured without TLS too.
        config.ssl_mode = SslMode::Disable;
        config.tables.schema = Some(self.schema.clone());
        Ok(config)
    }

    fn store(&self) -> Result<PostgresStore> {
        Ok(PostgresStore::open(self.config()?, Settings::default())?)
    }

    async fn load_lti(&self, keys: &[LtiKey], json: &str) -> Result<()> {
        let statement = self.fill(
            "INSERT INTO {sessions} (id, data, expires_at)
             SELECT id, $2, $3 FROM unnest($1::uuid[]) id",
        );
        let until = timestamp(24);
        for keys in keys.chunks(CHUNK) {
            let ids: Vec<_> = keys.iter().map(|key| key.uuid).collect();
            let data = jsonb(json);
            self.admin
                .execute(&statement, &[&ids, &data, &until])
                .await?;
        }
        Ok(())
    }

    async fn load_jts(&self, keys: &[JtsKey]) -> Result<()> {
        let statement = self.fill(
            "INSERT INTO {jts_sessions} (aid, prn, current_state_proof, state_proof_version,
               created_at, last_active, expires_at, device_fingerprint, user_agent, ip_address,
               metadata)
             SELECT aid, prn, proof, 1, $4, $4, $5, $6, $7, $8, $9
             FROM unnest($1::text[], $2::text[], $3::text[]) AS t (aid, prn, proof)",
        );
        let (now, until) = (timestamp(0), timestamp(7 * 24));
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            let aids: Vec<_> = keys.iter().map(|key| key.aid.as_str()).collect();
            let numbers = chunk * CHUNK..;
            let prns = numbers.take(keys.len()).map(|n| JtsDetails::of(n).prn);
            let prns: Vec<_> = prns.collect();
            let proofs: Vec<_> = keys.iter().map(|key| key.proof()).collect();
            let details = JtsDetails::of(0);
            let metadata = jsonb(details.metadata);
            self.admin
                .execute(
                    &statement,
                    &[
                        &aids,
                        &prns,
                        &proofs,
                        &now,
                        &until,
                        &details.device_fingerprint,
                        &details.user_agent,
                        &details.ip_address,
                        &metadata,
                    ],
                )
                .await?;
        }
        Ok(())
    }

    async fn load_logins(&self, keys: &[LoginKey], json: &str) -> Result<()> {
        let statement = self.fill(
            "INSERT INTO {login_sessions} (id, data, expires_at, version)
             SELECT id, $2, $3, 1 FROM unnest($1::text[]) id",
        );
        let until = timestamp(24);
        for keys in keys.chunks(CHUNK) {
            let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
            let data = jsonb(json);
            self.admin
                .execute(&statement, &[&ids, &data, &until])
                .await?;
        }
        Ok(())
    }

    /// Does what the server would do by itself at a moment of its choosing.
    async fn settle(&self) -> Result<()> {
        for table in [
            "clients",
            "deployments",
            "nonces",
            "sessions",
            "jts_sessions",
            "jts_retired_state_proofs",
            "login_sessions",
        ] {
            let vacuum = self.fill(&format!("VACUUM (ANALYZE) {{{table}}}"));
            self.admin.batch_execute(&vacuum).await?;
        }
        // Only some roles may.
        let _ = self.admin.batch_execute("CHECKPOINT").await;
        Ok(())
    }

    fn fill(&self, sql: &str) -> String {
        raw::fill(sql, &self.schema)
    }
}

async fn connect(config: &tokio_postgres::Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await.context("connecting")?;
    tokio::spawn(connection);
    Ok(client)
}

#[async_trait]
impl Bench for Postgres {
    fn server(&self) -> &str {
        &self.server
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn place(&self) -> &str {
        &self.schema
    }

    async fn create(&self) -> Result<()> {
        let schemas = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'bench%'";
        for row in self.admin.query(schemas, &[]).await? {
            let name: String = row.get(0);
            if is_stale(&name) {
                let drop = format!("DROP SCHEMA {name} CASCADE");
                self.admin.batch_execute(&drop).await?;
            }
        }
        let create = format!("CREATE SCHEMA {}", self.schema);
        self.admin.batch_execute(&create).await?;
        self.store()?.bootstrap().await?;
        Ok(())
    }

    async fn load(&self, world: &mut World, from: usize) -> Result<()> {
        if from == 0 {
            let store = self.store()?;
            for config in &world.launch_configs {
                store.save_launch_config(config).await?;
            }
            let nonces = self.fill(
                "INSERT INTO {nonces} (nonce, expires_at)
                 SELECT 'loaded-' || n, $1 FROM generate_series(1, $2) n",
            );
            self.admin
                .execute(&nonces, &[&timestamp(24), &NONCES])
                .await?;
        }
        self.load_lti(&world.lti[from..], &world.lti_json).await?;
        self.load_jts(&world.jts[from..]).await?;
        self.load_logins(&world.logins[from..], &world.login_json)
            .await?;
        self.settle().await
    }

    async fn load_expired(&self, count: usize) -> Result<()> {
        // Each a little sooner than the one before it, as such rows come about.
        let sessions = self.fill(
            "INSERT INTO {sessions} (id, data, expires_at)
             SELECT gen_random_uuid(), $1, $2::timestamptz - n * interval '1 ms'
             FROM generate_series(1, $3::bigint) n",
        );
        let json = World::new(1)?.lti_json;
        let count = i64::try_from(count)?;
        self.admin
            .execute(&sessions, &[&jsonb(&json), &timestamp(0), &count])
            .await?;
        self.settle().await
    }

    async fn ours(&self, ca: Option<&str>) -> Result<Arc<dyn Subject>> {
        let mut config = self.config()?;
        if let Some(ca) = ca {
            config.ssl_mode = SslMode::VerifyFull;
            config.ssl_root_cert = Some(SslRootCert::File(ca.into()));
        }
        let store = PostgresStore::open(config, Settings::default())?;
        Ok(Arc::new(Ours::new(Arc::new(store))))
    }

    async fn raw(&self) -> Result<Arc<dyn Subject>> {
        let mut config = self.config()?.driver;
        // As in the store's own sessions; without it the planner prefers scans of tables that are small.
        config.options("-c enable_seqscan=off -c jit=off");
        Ok(Arc::new(Raw::new(config, &self.schema)?))
    }

    async fn remove(&self) -> Result<()> {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema);
        Ok(self.admin.batch_execute(&drop).await?)
    }
}
