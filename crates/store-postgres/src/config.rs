//! How to reach the server: plain data, most of it from a connection URL.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use percent_encoding::percent_decode_str;
use store_core::{Error, Result, Serverless, default_max_connections};

use crate::names::TableNames;

/// How far TLS is wanted and what is verified, with libpq's meanings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it, without verification. libpq's default.
    #[default]
    Prefer,
    /// TLS always. The certificate's chain is verified if a root certificate is given.
    Require,
    /// TLS always, and the certificate must come from a trusted authority.
    VerifyCa,
    /// TLS always, and the certificate must come from a trusted authority and name the host. Use this
    /// over any network you don't own.
    VerifyFull,
}

/// Which certificate authorities are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SslRootCert {
    /// Those that the operating system trusts.
    #[default]
    System,
    /// Those in this PEM file.
    File(PathBuf),
}

/// A user name and password that a connection is opened with. `Debug` shows neither.
#[derive(Clone)]
pub struct Credentials {
    /// The user, or `None` for the one in the URL.
    pub user: Option<String>,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Where credentials come from when they change, such as IAM tokens: asked for each new connection.
#[async_trait]
pub trait CredentialsProvider: Send + Sync {
    /// The credentials for a connection that is about to be opened.
    ///
    /// # Errors
    /// Any; the operation that needed the connection fails with it.
    async fn credentials(&self) -> Result<Credentials>;
}

/// How to reach the server, and how the pool behaves.
///
/// Made from a URL, then changed as needed:
///
/// ```
/// use store_postgres::PostgresConfig;
///
/// let mut config = PostgresConfig::from_url(
///     "postgres://app:secret@db1.example,db2.example/auth?target_session_attrs=read-write&sslmode=verify-full",
/// )?;
/// config.max_connections = 20;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), store_core::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresConfig {
    /// The driver's part: hosts, user, password, database, `target_session_attrs` and so on. Its
    /// `ssl_mode` is not looked at, the one below is.
    pub driver: tokio_postgres::Config,
    /// How far TLS is wanted. `sslmode` in a URL; `prefer` by default.
    pub ssl_mode: SslMode,
    /// Which authorities are trusted. `sslrootcert` in a URL, a PEM file or `system`.
    pub ssl_root_cert: Option<SslRootCert>,
    /// Where credentials come from if not from the URL.
    pub credentials: Option<Arc<dyn CredentialsProvider>>,
    /// How many connections are open at most. `max_connections` in a URL. By default 10, or 1 on a
    /// function platform ([`Serverless`]).
    pub max_connections: usize,
    /// How long an operation waits for a free connection. 5 s by default.
    pub wait_timeout: Duration,
    /// How long opening a connection may take. `connect_timeout` in a URL; 5 s by default.
    pub connect_timeout: Duration,
    /// How long a statement may take. `statement_timeout` in a URL, in milliseconds; 30 s by default.
    pub statement_timeout: Duration,
    /// When an idle connection is closed. 20 s by default.
    pub idle_timeout: Duration,
    /// Whether the server is reached through PgBouncer or another pooler that hands each transaction
    /// to a different server connection: nothing is prepared and no session setting is made.
    /// `pgbouncer=true` in a URL.
    pub pgbouncer: bool,
    /// Where the tables are. `schema` and `table_prefix` in a URL.
    pub tables: TableNames,
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("driver", &self.driver)
            .field("ssl_mode", &self.ssl_mode)
            .field("ssl_root_cert", &self.ssl_root_cert)
            .field("max_connections", &self.max_connections)
            .field("wait_timeout", &self.wait_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("pgbouncer", &self.pgbouncer)
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

impl PostgresConfig {
    /// Reads a connection URL, `postgres://` or `postgresql://`, as libpq writes it: several hosts,
    /// `target_session_attrs`, `sslmode`, `sslrootcert`, `connect_timeout` and so on, and besides
    /// `pgbouncer`, `schema`, `table_prefix`, `max_connections` and `statement_timeout`.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) saying which parameter is wrong; never
    /// quoting the URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(invalid_url(
                "it must start with postgres:// or postgresql://",
            ));
        }
        let mut config = Self::unreached();
        // A password may hold a question mark; nothing before its end is the query's.
        let host = url.find('@').unwrap_or(0);
        let query = url[host..].find('?').map_or(url.len(), |at| host + at);
        let (base, query) = (&url[..query], url[query..].trim_start_matches('?'));
        let mut for_driver = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| invalid_url(format!("`{key}` is not UTF-8")))?;
            if !config.set(key, &decoded)? {
                for_driver.push(pair);
            }
        }
        let for_driver = format!("{base}?{}", for_driver.join("&"));
        config.driver = for_driver.parse().map_err(|error: tokio_postgres::Error| {
            let cause = error.into_source().map(|cause| cause.to_string());
            invalid_url(cause.unwrap_or_else(|| "it does not parse".to_owned()))
        })?;
        if let Some(timeout) = config.driver.get_connect_timeout() {
            config.connect_timeout = *timeout;
        }
        if config.driver.get_hosts().is_empty() && config.driver.get_hostaddrs().is_empty() {
            return Err(invalid_url("it names no host"));
        }
        Ok(config)
    }

    /// A configuration of the driver's, with the defaults of everything else: what
    /// [`from_pool`](crate::PostgresStore::from_pool) is given beside a pool.
    #[must_use]
    pub fn from_driver(driver: tokio_postgres::Config) -> Self {
        Self {
            driver,
            ..Self::unreached()
        }
    }

    fn unreached() -> Self {
        let serverless = Serverless::detect();
        Self {
            driver: tokio_postgres::Config::new(),
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
            credentials: None,
            max_connections: default_max_connections(serverless),
            wait_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(20),
            pgbouncer: false,
            tables: TableNames::default(),
        }
    }

    /// Takes a parameter that is ours and tells whether it was.
    fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "sslmode" => {
                self.ssl_mode = match value {
                    "disable" => SslMode::Disable,
                    // libpq's `allow` tries without TLS first; nobody is served by that here.
                    "prefer" | "allow" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    _ => {
                        return Err(invalid_url(
                            "`sslmode` must be disable, prefer, require, verify-ca or verify-full",
                        ));
                    }
                }
            }
            "sslrootcert" => {
                self.ssl_root_cert = Some(match value {
                    "system" => SslRootCert::System,
                    path => SslRootCert::File(path.into()),
                });
            }
            "pgbouncer" => {
                self.pgbouncer = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(invalid_url("`pgbouncer` must be true or false")),
                }
            }
            "schema" => self.tables.schema = Some(value.to_owned()),
            "table_prefix" => value.clone_into(&mut self.tables.prefix),
            "max_connections" => {
                let parsed = value.parse().ok().filter(|n| *n > 0);
                self.max_connections = parsed
                    .ok_or_else(|| invalid_url("`max_connections` must be a number from 1"))?;
            }
            "statement_timeout" => {
                let parsed = value.parse().ok().filter(|n| *n > 0);
                let millis = parsed.ok_or_else(|| {
                    invalid_url("`statement_timeout` must be a number of milliseconds from 1")
                })?;
                self.statement_timeout = Duration::from_millis(millis);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Checks what can be checked without a server.
    pub(crate) fn validate(&self) -> Result<()> {
        self.tables.validate()?;
        let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
        if self.statement_timeout < Duration::from_millis(1) || self.statement_timeout > longest {
            let message = "statement_timeout must be from 1 ms to 2,147,483,647 ms";
            return Err(Error::invalid("statement_timeout", message));
        }
        if self.max_connections == 0 {
            return Err(Error::invalid("max_connections", "max_connections is 0"));
        }
        if let Some(platform) = Serverless::detect()
            && self.max_connections > 5
        {
            tracing::warn!(
                max_connections = self.max_connections,
                "more than 5 connections per instance on {platform} soon exhaust a server; 1 is enough"
            );
        }
        Ok(())
    }
}

fn invalid_url(message: impl fmt::Display) -> Error {
    Error::invalid("url", format!("the connection URL is wrong: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::TargetSessionAttrs;

    #[test]
    fn a_url_is_enough() {
        let config = PostgresConfig::from_url(
            "postgres://u:p%40ss@a.example:5433,b.example/db?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem\
             &target_session_attrs=read-write&connect_timeout=3&pgbouncer=true&schema=auth&table_prefix=x_\
             &max_connections=7&statement_timeout=1500",
        )
        .unwrap();
        assert_eq!(config.driver.get_hosts().len(), 2);
        assert_eq!(config.driver.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(
            config.driver.get_target_session_attrs(),
            TargetSessionAttrs::ReadWrite
        );
        assert_eq!(config.ssl_mode, SslMode::VerifyFull);
        let root = SslRootCert::File("/etc/ca.pem".into());
        assert_eq!(config.ssl_root_cert, Some(root));
        assert_eq!(config.connect_timeout, Duration::from_secs(3));
        assert_eq!(config.statement_timeout, Duration::from_millis(1500));
        assert_eq!(config.max_connections, 7);
        assert!(config.pgbouncer);
        assert_eq!(config.tables.schema.as_deref(), Some("auth"));
        assert_eq!(config.tables.prefix, "x_");
    }

    #[test]
    fn a_wrong_url_is_explained_without_quoting_it() {
        for (url, said) in [
            ("mysql://u:hunter2@h/db", "must start with postgres://"),
            ("postgres://u:hunter2@h/db?sslmode=maybe", "sslmode"),
            ("postgres://u:hunter2@h/db?hunter=1", "hunter"),
            ("postgres://u:hunter2@h:port/db", "port"),
            (
                "postgres://u:hunter2@h/db?max_connections=0",
                "max_connections",
            ),
            ("postgres:///db", "no host"),
            ("postgres://u:hunter2?@h/db?sslmode=maybe", "sslmode"),
        ] {
            let error = PostgresConfig::from_url(url).unwrap_err();
            assert_eq!(error.field(), Some("url"));
            assert!(error.to_string().contains(said), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
