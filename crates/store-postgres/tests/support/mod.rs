//! What the tests on a real server share: where it is, and schemas of their own on it.
#![allow(dead_code, unreachable_pub, reason = "each test target uses a part")]

use std::sync::Arc;

use store_core::Settings;
use store_postgres::{PostgresConfig, PostgresStore};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// A PostgreSQL server whose user may create schemas and roles.
pub const POSTGRES_URL: &str = "STORE_TEST_POSTGRES_URL";
/// PgBouncer in transaction mode in front of the same server.
pub const PGBOUNCER_URL: &str = "STORE_TEST_PGBOUNCER_URL";
/// The authority that signed the server's certificate, as a PEM file.
pub const POSTGRES_CA: &str = "STORE_TEST_POSTGRES_CA";

/// The value of a variable that `cargo xtask test` sets, or why there is none.
pub fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("{name} is not set; run `cargo xtask test`"))
}

/// A plain connection for what the store does not do.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

/// A schema of a test's own.
pub struct Schema {
    pub url: String,
    pub name: String,
}

impl Schema {
    pub async fn create(url: &str) -> Self {
        let name = format!("t_{}", Uuid::new_v4().simple());
        let schema = Self {
            url: url.to_owned(),
            name,
        };
        schema
            .execute(&format!("CREATE SCHEMA {}", schema.name))
            .await;
        schema
    }

    /// Runs SQL as the server's user, outside of the store.
    pub async fn execute(&self, sql: &str) {
        let client = connect(&self.url).await;
        client.batch_execute(sql).await.expect("the server runs it");
    }

    pub async fn drop(&self) {
        self.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name))
            .await;
    }

    pub fn config(&self) -> PostgresConfig {
        let mut config = PostgresConfig::from_url(&self.url).expect("the URL is right");
        config.tables.schema = Some(self.name.clone());
        config
    }

    pub fn open(&self, settings: Settings) -> Arc<PostgresStore> {
        let store = PostgresStore::open(self.config(), settings);
        Arc::new(store.expect("the configuration is right"))
    }
}
