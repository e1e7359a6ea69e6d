//! What the rest of xtask sees of servers: the kinds there are, and one that runs.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::supervisor::Supervisor;

/// Where a server comes from, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Source {
    /// A URL in the environment.
    Env,
    /// A container from docker-compose.yml.
    Containers,
    /// A private server started from installed binaries.
    Native,
}

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Containers => "containers",
            Self::Native => "native",
        }
    }
}

/// A server that answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) kind: String,
    pub(crate) source: Source,
    pub(crate) version: String,
    /// Environment variables for tests, the URL among them.
    pub(crate) variables: BTreeMap<String, String>,
}

impl Server {
    /// The server's URL, as tests get it.
    pub(crate) fn url(&self, kind: &dyn Kind) -> &str {
        self.variables
            .get(kind.url_variable())
            .map_or("", String::as_str)
    }
}

/// How a kind's service in docker-compose.yml is named.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) service: &'static str,
    pub(crate) image_variable: &'static str,
    pub(crate) port_variable: &'static str,
}

/// A kind of server. A further one is a file with an implementation of this and an entry in `KINDS`.
pub(crate) trait Kind: Debug + Sync {
    /// As in docker-compose.yml.
    fn name(&self) -> &'static str;

    /// The backend whose tests need it, as in `--backend`.
    fn backend(&self) -> &'static str {
        self.name()
    }

    /// Whether tests can't go without it. Those of others are skipped where it can't be had.
    fn required(&self) -> bool {
        true
    }

    /// The product's name, for messages.
    fn product(&self) -> &'static str;

    /// The variable that gives tests the URL.
    fn url_variable(&self) -> &'static str;

    /// Further variables that tests may get; those not set are removed from tests' environment.
    fn other_variables(&self) -> &'static [&'static str];

    fn container(&self) -> Container;

    /// The URL of a server on the loopback interface, with a user who may create databases, and the database `store`.
    fn url(&self, port: u16, password: &str) -> String;

    /// Asks the server for its version, as in `PostgreSQL 15.18`. None where only the tests know how to connect.
    fn probe(&self, url: &str) -> Result<Option<String>>;

    /// The directory of the newest installed server's binaries.
    fn installed(&self, supervisor: &Supervisor) -> Option<PathBuf>;

    /// The packages that provide it on Debian and Ubuntu.
    fn packages(&self) -> &'static [&'static str];

    /// Starts a private server and returns its variables.
    fn start(&self, supervisor: &Supervisor, binaries: &Path) -> Result<BTreeMap<String, String>>;

    /// Starts what stands in front of a server of our own, adding its variables. Says why where it can't.
    fn start_front(&self, _supervisor: &Supervisor, _server: &mut Server) -> Result<()> {
        Ok(())
    }
}

/// The URL with its password hidden.
pub(crate) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((login, hosts)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{hosts}"),
            None => format!("{login}@{hosts}"),
        },
        None => authority.to_owned(),
    };
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    let query = query.map_or(String::new(), |query| {
        let pairs: Vec<_> = query
            .split('&')
            .map(|pair| {
                if pair.starts_with("password=") {
                    "password=***"
                } else {
                    pair
                }
            })
            .collect();
        format!("?{}", pairs.join("&"))
    });
    format!("{scheme}://{authority}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_are_hidden() {
        for (url, shown) in [
            (
                "postgres://store:secret@127.0.0.1:5432/store",
                "postgres://store:***@127.0.0.1:5432/store",
            ),
            (
                "postgres://u:p@ss:word@h1,h2/db?a=b",
                "postgres://u:***@h1,h2/db?a=b",
            ),
            (
                "postgres://u@h/db?password=secret&x=y",
                "postgres://u@h/db?password=***&x=y",
            ),
            ("postgres://u:secret@h?x=y", "postgres://u:***@h?x=y"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
