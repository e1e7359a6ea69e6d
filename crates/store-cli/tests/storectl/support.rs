//! Servers, places of a test's own on them, and `storectl` run on those.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use mysql_async::prelude::Queryable;
use serde_json::Value;
use store::dynamo::{DynamoConfig, DynamoStore};
use store::{Settings, Store};

use tokio::runtime::Runtime;
use uuid::Uuid;

/// A server to test on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Postgres,
    MySql,
    MariaDb,
    /// The emulator of the crate dynoxide-rs, in this process.
    Emulator,
    DynamoDbLocal,
}

impl Server {
    pub(crate) const ALL: [Self; 5] = [
        Self::Postgres,
        Self::MySql,
        Self::MariaDb,
        Self::Emulator,
        Self::DynamoDbLocal,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::Emulator => "emulator",
            Self::DynamoDbLocal => "dynamodb local",
        }
    }

    pub(crate) fn is_dynamo(self) -> bool {
        matches!(self, Self::Emulator | Self::DynamoDbLocal)
    }

    /// Where it is, or why it is not.
    pub(crate) fn address(self) -> Result<String, String> {
        let name = match self {
            Self::Postgres => "STORE_TEST_POSTGRES_URL",
            Self::MySql => "STORE_TEST_MYSQL_URL",
            Self::MariaDb => "STORE_TEST_MARIADB_URL",
            Self::Emulator => return Ok(format!("http://{}", emulator())),
            Self::DynamoDbLocal => "STORE_TEST_DYNAMODB_ENDPOINT",
        };
        std::env::var(name).map_err(|_| format!("{name} is not set; run `cargo xtask test`"))
    }
}

/// The emulator, started once for all tests of this process, on threads of its own.
fn emulator() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            runtime().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let database = dynoxide::Database::memory().unwrap();
                dynoxide::server::serve_on(listener, database).await;
            });
        });
        address
    })
}

pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// A place of a test's own on a server, with a user and a password of its own.
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) url: String,
    /// What no output may hold.
    pub(crate) password: String,
    pub(crate) name: String,
    admin: String,
    pub(crate) runtime: Runtime,
}

impl Place {
    /// An empty place.
    pub(crate) fn new(server: Server) -> Self {
        let id = &Uuid::new_v4().simple().to_string()[..20];
        let name = format!("t_{id}");
        let password = format!("hunter2.{id}");
        let admin = server.address().expect("the server is there");
        let host = || {
            admin
                .rsplit_once('@')
                .expect("a URL with a user")
                .1
                .to_owned()
        };
        let url = match server {
            Server::Postgres => {
                let host = host();
                let mark = if host.contains('?') { '&' } else { '?' };
                format!("postgres://{name}:{password}@{host}{mark}schema={name}")
            }
            Server::MySql | Server::MariaDb => {
                let host = host();
                let (host, _) = host.split_once('/').expect("a URL with a database");
                format!("mysql://{name}:{password}@{host}/{name}")
            }
            Server::Emulator | Server::DynamoDbLocal => {
                format!("dynamodb://eu-west-1?endpoint={admin}&prefix={name}-")
            }
        };
        let place = Self {
            server,
            url,
            password: password.clone(),
            name: name.clone(),
            admin,
            runtime: runtime(),
        };
        match server {
            Server::Postgres => place.administer(&[
                &format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"),
                &format!("GRANT {name} TO CURRENT_USER"),
                &format!("CREATE SCHEMA {name} AUTHORIZATION {name}"),
            ]),
            Server::MySql | Server::MariaDb => place.administer(&[
                &format!("CREATE DATABASE {name}"),
                &format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'"),
                &format!("GRANT ALL ON {name}.* TO '{name}'@'%'"),
            ]),
            Server::Emulator | Server::DynamoDbLocal => {}
        }
        place
    }

    /// A place with tables.
    pub(crate) fn bootstrapped(server: Server) -> Self {
        let place = Self::new(server);
        let run = place.run(&["bootstrap"]);
        assert_eq!(run.code, 0, "{run:?}");
        place
    }

    /// Runs SQL as the server's administrator.
    pub(crate) fn administer(&self, statements: &[&str]) {
        self.runtime.block_on(async {
            if self.server == Server::Postgres {
                let connected = tokio_postgres::connect(&self.admin, tokio_postgres::NoTls).await;
                let (client, connection) = connected.unwrap();
                tokio::spawn(connection);
                for sql in statements {
                    client.batch_execute(sql).await.unwrap();
                }
                return;
            }
            let mut conn = mysql_async::Conn::from_url(&self.admin).await.unwrap();
            for sql in statements {
                conn.query_drop(*sql).await.unwrap();
            }
            conn.disconnect().await.unwrap();
        });
    }

    /// The store itself, for what storectl does not do.
    pub(crate) fn store(&self, settings: Settings) -> Arc<dyn Store> {
        self.runtime.block_on(async {
            if !self.server.is_dynamo() {
                return store::connect_with(&self.url, settings).await.unwrap();
            }
            let mut config = DynamoConfig::from_url(&self.url).unwrap();
            config.credentials = Some(credentials());
            config.transaction_limit = match self.server {
                Server::DynamoDbLocal => 10,
                _ => 100,
            };
            let store: Arc<dyn Store> =
                Arc::new(DynamoStore::open(config, settings).await.unwrap());
            store
        })
    }

    /// `storectl` with these arguments, the URL in the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = storectl(arguments);
        command.env("STORE_URL", &self.url);
        command.env("AWS_SECRET_ACCESS_KEY", &self.password);
        command
    }

    /// Runs `storectl` and makes sure that it gives no password away.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let run = Run::of(&mut self.command(arguments));
        run.keeps(&self.password);
        run
    }

    /// What `storectl --json` prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let name = &self.name;
        match self.server {
            Server::Postgres => self.administer(&[
                &format!("DROP SCHEMA IF EXISTS {name} CASCADE"),
                &format!("DROP ROLE {name}"),
            ]),
            Server::MySql | Server::MariaDb => self.administer(&[
                &format!("DROP DATABASE IF EXISTS {name}"),
                &format!("DROP USER '{name}'@'%'"),
            ]),
            Server::Emulator | Server::DynamoDbLocal => self.runtime.block_on(async {
                let config = aws_sdk_dynamodb::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new("eu-west-1"))
                    .credentials_provider(credentials())
                    .endpoint_url(&self.admin)
                    .http_client(aws_smithy_http_client::Builder::new().build_http())
                    .build();
                let client = aws_sdk_dynamodb::Client::from_conf(config);
                let table = format!("{name}-auth_store");
                drop(client.delete_table().table_name(table).send().await);
            }),
        }
    }
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"))
}

/// `storectl` with these arguments, and nothing about stores in its environment.
pub(crate) fn storectl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storectl"));
    for name in [
        "STORE_URL",
        "STORE_URL_FILE",
        "STORE_FROM_URL",
        "STORE_FROM_URL_FILE",
    ] {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null());
    command
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().expect("storectl runs").into()
    }

    /// Runs `storectl` without a store.
    pub(crate) fn alone(arguments: &[&str]) -> Self {
        Self::of(&mut storectl(arguments))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Makes sure that nothing printed holds `secret`.
    pub(crate) fn keeps(&self, secret: &str) {
        assert!(
            !self.out.contains(secret) && !self.err.contains(secret),
            "{self:?}"
        );
    }

    /// Makes sure that it ended with this code and said all of this.
    #[track_caller]
    pub(crate) fn said(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        let all = format!("{}\n{}", self.out, self.err);
        for part in parts {
            assert!(all.contains(part), "`{part}` is not in {all}");
        }
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
