//! Where the tests' sessions are kept: a place of a test's own on each server that there is.
#![allow(dead_code, unreachable_pub, reason = "each test target uses a part")]

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use store::dynamo::{DynamoConfig, DynamoStore};
use store::mysql::MySqlConfig;
use store::{Settings, Store};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// What AWS's libraries are told: DynamoDB Local takes any key.
pub const AWS_ENVIRONMENT: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
];

/// A backend, on a server that `cargo xtask test` provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Memory,
    Postgres,
    MySql,
    MariaDb,
    DynamoDb,
}

impl Backend {
    pub const ALL: [Self; 5] = [
        Self::Memory,
        Self::Postgres,
        Self::MySql,
        Self::MariaDb,
        Self::DynamoDb,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::DynamoDb => "dynamo",
        }
    }

    /// Where the server is, or why there is none.
    pub fn server(self) -> Result<String, String> {
        let name = match self {
            Self::Memory => return Ok(String::new()),
            Self::Postgres => "STORE_TEST_POSTGRES_URL",
            Self::MySql => "STORE_TEST_MYSQL_URL",
            Self::MariaDb => "STORE_TEST_MARIADB_URL",
            Self::DynamoDb => "STORE_TEST_DYNAMODB_ENDPOINT",
        };
        std::env::var(name).map_err(|_| format!("{name} is not set; run `cargo xtask test`"))
    }

    /// A schema, database or table prefix that nobody else has.
    pub async fn place(self) -> Place {
        let server = self.server().expect("there is a server");
        let name = format!("t_{}", &Uuid::new_v4().simple().to_string()[..24]);
        let url = match self {
            Self::Memory => "memory:".to_owned(),
            Self::Postgres => {
                execute_on_postgres(&server, &format!("CREATE SCHEMA {name}")).await;
                let joint = if server.contains('?') { '&' } else { '?' };
                format!("{server}{joint}schema={name}")
            }
            Self::MySql | Self::MariaDb => {
                execute_on_mysql(&server, &format!("CREATE DATABASE {name}")).await;
                let (base, query) = server.split_once('?').unwrap_or((&server, ""));
                let (host, _) = base.rsplit_once('/').expect("it names a database");
                format!("{host}/{name}?{query}")
            }
            Self::DynamoDb => {
                let endpoint = utf8_percent_encode(&server, NON_ALPHANUMERIC);
                format!("dynamodb://eu-west-1?endpoint={endpoint}&prefix={name}-")
            }
        };
        Place {
            backend: self,
            server,
            name,
            url,
        }
    }
}

/// A place of a test's own.
pub struct Place {
    pub backend: Backend,
    /// What leads an application there.
    pub url: String,
    server: String,
    name: String,
}

impl Place {
    /// A store with all its tables.
    pub async fn open(&self, settings: Settings) -> Arc<dyn Store> {
        let store = match self.backend {
            Backend::DynamoDb => {
                let mut config = DynamoConfig::from_url(&self.url).expect("the URL is right");
                config.credentials = Some(credentials());
                let store = DynamoStore::open(config, settings).await;
                store.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
            _ => store::connect_with(&self.url, settings).await,
        };
        let store = store.expect("the server answers");
        store.bootstrap().await.expect("the tables are created");
        store
    }

    /// Removes all of it.
    pub async fn remove(&self) {
        let name = &self.name;
        match self.backend {
            Backend::Memory => {}
            Backend::Postgres => {
                let sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE");
                execute_on_postgres(&self.server, &sql).await;
            }
            Backend::MySql | Backend::MariaDb => {
                let sql = format!("DROP DATABASE IF EXISTS {name}");
                execute_on_mysql(&self.server, &sql).await;
            }
            Backend::DynamoDb => {
                let config = DynamoConfig::from_url(&self.url).expect("the URL is right");
                let request = client(&self.server).delete_table();
                let deleted = request.table_name(config.table_name()).send().await;
                deleted.expect("the table is deleted");
            }
        }
    }
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"))
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials())
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

async fn execute_on_postgres(url: &str, sql: &str) {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.expect("connects");
    tokio::spawn(connection);
    client.batch_execute(sql).await.expect("the server runs it");
}

async fn execute_on_mysql(url: &str, sql: &str) {
    let config = MySqlConfig::from_url(url).expect("the URL is right");
    let opts = OptsBuilder::from_opts(config.driver).prefer_socket(false);
    let mut conn = Conn::new(opts).await.expect("connects");
    conn.query_drop(sql).await.expect("the server runs it");
    conn.disconnect().await.expect("disconnects");
}
