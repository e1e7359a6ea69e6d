//! The servers that are measured against.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use clap::ValueEnum;

use crate::subject::Subject;
use crate::world::World;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Backend {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    Mysql,
    #[cfg(feature = "mysql")]
    Mariadb,
    /// The emulator of the crate dynoxide-rs, unless there is a --url.
    #[cfg(feature = "dynamo")]
    Dynamo,
    /// AWS's own DynamoDB Local.
    #[cfg(feature = "dynamo")]
    DynamodbLocal,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgres",
            #[cfg(feature = "mysql")]
            Self::Mysql => "mysql",
            #[cfg(feature = "mysql")]
            Self::Mariadb => "mariadb",
            #[cfg(feature = "dynamo")]
            Self::Dynamo => "dynamo",
            #[cfg(feature = "dynamo")]
            Self::DynamodbLocal => "dynamodb-local",
        }
    }

    /// The environment's variable that tells where it is; none for what is started here.
    pub(crate) fn variable(self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Some("STORE_TEST_POSTGRES_URL"),
            #[cfg(feature = "mysql")]
            Self::Mysql => Some("STORE_TEST_MYSQL_URL"),
            #[cfg(feature = "mysql")]
            Self::Mariadb => Some("STORE_TEST_MARIADB_URL"),
            #[cfg(feature = "dynamo")]
            Self::Dynamo => None,
            #[cfg(feature = "dynamo")]
            Self::DynamodbLocal => Some("STORE_TEST_DYNAMODB_ENDPOINT"),
        }
    }

    /// How many sessions of each kind are stored at first.
    pub(crate) fn default_rows(self) -> usize {
        match self {
            // An emulator takes a minute for more, and the key design makes their number irrelevant.
            #[cfg(feature = "dynamo")]
            Self::Dynamo | Self::DynamodbLocal => 10_000,
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            _ => 100_000,
        }
    }

    /// Opens it, with a place of its own on it that is empty.
    pub(crate) async fn open(self, url: &str) -> Result<Box<dyn Bench>> {
        Ok(match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Box::new(crate::postgres::Postgres::open(url).await?),
            #[cfg(feature = "mysql")]
            Self::Mysql | Self::Mariadb => Box::new(crate::mysql::MySql::open(url).await?),
            #[cfg(feature = "dynamo")]
            Self::Dynamo | Self::DynamodbLocal => Box::new(crate::dynamo::Dynamo::open(url).await?),
        })
    }
}

/// A place on a server: a schema, a database or a table that nobody else has.
#[async_trait]
pub(crate) trait Bench: Send + Sync {
    /// The server, as in `PostgreSQL 15.18`.
    fn server(&self) -> &str;

    /// Stores the world. Where a backend chooses ids itself, they are taken over into it.
    async fn load(&self, world: &mut World) -> Result<()>;

    /// The store, opened anew.
    async fn ours(&self) -> Result<Arc<dyn Subject>>;

    /// The same by hand on the bare driver.
    async fn raw(&self) -> Result<Arc<dyn Subject>>;

    /// Removes all of it.
    async fn remove(&self) -> Result<()>;
}

/// What everything of this process is named by on a server.
pub(crate) fn place() -> String {
    format!("bench_{}", std::process::id())
}

/// Whether this is the name of a place whose process is gone.
pub(crate) fn is_stale(name: &str) -> bool {
    let Some(pid) = name.strip_prefix("bench_").and_then(|pid| pid.parse().ok()) else {
        return false;
    };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err()
}
