//! The servers that are measured against.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use clap::ValueEnum;

use crate::subject::Subject;
use crate::world::World;

#[cfg(not(any(feature = "postgres", feature = "mysql", feature = "dynamo")))]
compile_error!(
    "there is nothing to measure without one of the features postgres, mysql and dynamo"
);

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

    /// Whether it is measured unless another is named.
    pub(crate) fn is_usual(self) -> bool {
        match self {
            #[cfg(feature = "dynamo")]
            Self::DynamodbLocal => false,
            #[allow(unreachable_patterns, reason = "without DynamoDB all are usual")]
            _ => true,
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

    /// The file of the authority that the server's certificate is from, where it speaks TLS.
    pub(crate) fn authority(self) -> Option<String> {
        let variable: Option<&str> = match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Some("STORE_TEST_POSTGRES_CA"),
            #[cfg(feature = "mysql")]
            Self::Mysql => Some("STORE_TEST_MYSQL_CA"),
            #[cfg(feature = "mysql")]
            Self::Mariadb => Some("STORE_TEST_MARIADB_CA"),
            #[cfg(feature = "dynamo")]
            Self::Dynamo | Self::DynamodbLocal => None,
        };
        std::env::var(variable?)
            .ok()
            .filter(|file| !file.is_empty())
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

    /// Opens a place on it that is there, or that is made then.
    pub(crate) async fn open(self, url: &str, place: &str) -> Result<Box<dyn Bench>> {
        Ok(match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Box::new(crate::postgres::Postgres::open(url, place).await?),
            #[cfg(feature = "mysql")]
            Self::Mysql | Self::Mariadb => Box::new(crate::mysql::MySql::open(url, place).await?),
            #[cfg(feature = "dynamo")]
            Self::Dynamo => Box::new(crate::dynamo::Dynamo::open(
                "DynamoDB by dynoxide",
                url,
                place,
            )?),
            #[cfg(feature = "dynamo")]
            Self::DynamodbLocal => {
                Box::new(crate::dynamo::Dynamo::open("DynamoDB Local", url, place)?)
            }
        })
    }

    /// How many sessions of each kind are stored at each step of growth.
    pub(crate) fn growth(self) -> &'static [usize] {
        match self {
            // All of it is in the emulator's memory.
            #[cfg(feature = "dynamo")]
            Self::Dynamo | Self::DynamodbLocal => &[1_000, 10_000, 100_000],
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            _ => &[10_000, 100_000, 1_000_000, 5_000_000],
        }
    }
}

/// A place on a server: a schema, a database or a table that nobody else has.
#[async_trait]
pub(crate) trait Bench: Send + Sync {
    /// The server, as in `PostgreSQL 15.18`.
    fn server(&self) -> &str;

    /// Where it is, for another process that opens the same place.
    fn url(&self) -> &str;

    fn place(&self) -> &str;

    /// Makes the place, and clears away those of processes that are gone.
    async fn create(&self) -> Result<()>;

    /// Stores what the world has from this number on. Where a backend chooses ids itself, they are taken over.
    async fn load(&self, world: &mut World, from: usize) -> Result<()>;

    /// Stores so many LTI sessions that have expired.
    async fn load_expired(&self, count: usize) -> Result<()>;

    /// The store, opened anew; with TLS if an authority is named.
    async fn ours(&self, ca: Option<&str>) -> Result<Arc<dyn Subject>>;

    /// The same by hand on the bare driver.
    async fn raw(&self) -> Result<Arc<dyn Subject>>;

    /// Removes all of it.
    async fn remove(&self) -> Result<()>;
}

/// What everything of this process is named by on a server.
pub(crate) fn place() -> String {
    format!("bench_{}", std::process::id())
}

/// Another such place, for growth.
pub(crate) fn second_place() -> String {
    format!("{}_b", place())
}

/// Whether this is the name of a place whose process is gone.
pub(crate) fn is_stale(name: &str) -> bool {
    let rest = name.strip_prefix("bench_");
    let pid = rest.and_then(|rest| rest.split('_').next()?.parse().ok());
    let gone = |pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err();
    pid.is_some_and(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_processes_that_are_gone_are_stale() {
        assert!(!is_stale(&place()));
        assert!(!is_stale(&second_place()));
        // Larger than any process id can be.
        assert!(is_stale("bench_2147483647") && is_stale("bench_2147483647_b"));
        assert!(is_stale("bench_2147483647_p1"));
        assert!(!is_stale("bench_mark") && !is_stale("public"));
    }
}
