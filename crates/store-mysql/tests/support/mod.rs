//! What the tests on a real server share: where it is, and databases of their own on it.
#![allow(dead_code, unreachable_pub, reason = "each test target uses a part")]

use std::sync::Arc;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder};
use store_core::Settings;
use store_mysql::{MySqlConfig, MySqlStore};
use uuid::Uuid;

/// A server that the tests run against, and the variables that name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// As lanes of the conformance suite and tests are called.
    pub name: &'static str,
    /// A URL whose user may create databases and users.
    pub url: &'static str,
    /// The authority that signed the server's certificate, as a PEM file.
    pub ca: &'static str,
}

pub const PRODUCTS: [Product; 2] = [
    Product {
        name: "mysql",
        url: "STORE_TEST_MYSQL_URL",
        ca: "STORE_TEST_MYSQL_CA",
    },
    Product {
        name: "mariadb",
        url: "STORE_TEST_MARIADB_URL",
        ca: "STORE_TEST_MARIADB_CA",
    },
];

/// The value of a variable that `cargo xtask test` sets, or why there is none.
pub fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("{name} is not set; run `cargo xtask test`"))
}

/// A plain connection for what the store does not do.
pub async fn connect(url: &str) -> Conn {
    let config = MySqlConfig::from_url(url).expect("the URL is right");
    let opts = OptsBuilder::from_opts(config.driver).prefer_socket(false);
    Conn::new(opts).await.expect("connects")
}

/// A database of a test's own.
#[derive(Clone, Debug)]
pub struct Database {
    pub url: String,
    pub name: String,
}

impl Database {
    pub async fn create(url: &str) -> Self {
        let name = format!("t_{}", &Uuid::new_v4().simple().to_string()[..24]);
        let database = Self {
            url: url.to_owned(),
            name,
        };
        let sql = format!("CREATE DATABASE {}", database.name);
        connect(url).await.query_drop(sql).await.expect("creates");
        database
    }

    /// A plain connection to this database.
    pub async fn connect(&self) -> Conn {
        let opts = OptsBuilder::from_opts(self.opts()).prefer_socket(false);
        Conn::new(opts).await.expect("connects")
    }

    fn opts(&self) -> Opts {
        let config = MySqlConfig::from_url(&self.url).expect("the URL is right");
        let builder = OptsBuilder::from_opts(config.driver);
        builder.db_name(Some(&self.name)).into()
    }

    /// Runs statements in this database, outside of the store.
    pub async fn execute(&self, sql: &str) {
        let mut conn = self.connect().await;
        conn.query_drop(sql).await.expect("the server runs it");
        conn.disconnect().await.expect("disconnects");
    }

    /// What a statement answers.
    pub async fn query<R: FromRow + Send + 'static>(&self, sql: &str) -> Vec<R> {
        let mut conn = self.connect().await;
        let rows = conn.query(sql).await.expect("the server runs it");
        conn.disconnect().await.expect("disconnects");
        rows
    }

    pub async fn drop(&self) {
        let sql = format!("DROP DATABASE IF EXISTS {}", self.name);
        let mut conn = connect(&self.url).await;
        conn.query_drop(sql).await.expect("the server runs it");
    }

    pub fn config(&self) -> MySqlConfig {
        let mut config = MySqlConfig::from_url(&self.url).expect("the URL is right");
        config.driver = self.opts();
        config
    }

    pub fn open(&self, settings: Settings) -> Arc<MySqlStore> {
        let store = MySqlStore::open(self.config(), settings);
        Arc::new(store.expect("the configuration is right"))
    }
}
