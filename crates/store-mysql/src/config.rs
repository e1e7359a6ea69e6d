//! How to reach the server: plain data, most of it from a connection URL.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mysql_async::{Opts, OptsBuilder, UrlError};
use percent_encoding::percent_decode_str;
use store_core::{Error, Result, Serverless, default_max_connections};

use crate::names::TableNames;

/// How far TLS is wanted and what is verified, with the meanings of MySQL's `--ssl-mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disabled,
    /// TLS if the server offers it, without verification. MySQL's default.
    #[default]
    Preferred,
    /// TLS always, without verification.
    Required,
    /// TLS always, and the certificate must come from a trusted authority.
    VerifyCa,
    /// TLS always, and the certificate must come from a trusted authority and name the host. Use this
    /// over any network you don't own.
    VerifyIdentity,
}

/// Which certificate authorities are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SslCa {
    /// Those that the operating system trusts.
    #[default]
    System,
    /// Those in this PEM file.
    File(PathBuf),
}

/// A user name and password that a connection is opened with. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
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
/// use store_mysql::MySqlConfig;
///
/// let mut config = MySqlConfig::from_url(
///     "mysql://app:secret@db.example/auth?ssl-mode=VERIFY_IDENTITY",
/// )?;
/// config.max_connections = 20;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), store_core::Error>(())
/// ```
#[derive(Clone)]
pub struct MySqlConfig {
    /// The driver's part: host, port or socket, user, password, database and so on. Its pool and TLS
    /// options are replaced by those below.
    pub driver: Opts,
    /// How far TLS is wanted. `ssl-mode` in a URL; `PREFERRED` by default. A Unix socket needs none.
    pub ssl_mode: SslMode,
    /// Which authorities are trusted. `ssl-ca` in a URL, a PEM file or `system`.
    pub ssl_ca: SslCa,
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
    /// Where the tables are. `table_prefix` in a URL.
    pub tables: TableNames,
}

impl fmt::Debug for MySqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's own `Debug` shows the password.
        f.debug_struct("MySqlConfig")
            .field("host", &self.driver.ip_or_hostname())
            .field("port", &self.driver.tcp_port())
            .field("socket", &self.driver.socket())
            .field("user", &self.driver.user())
            .field("database", &self.driver.db_name())
            .field("ssl_mode", &self.ssl_mode)
            .field("ssl_ca", &self.ssl_ca)
            .field("max_connections", &self.max_connections)
            .field("wait_timeout", &self.wait_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

impl MySqlConfig {
    /// Reads a connection URL, `mysql://` or `mariadb://`: user, password, host, port and database, and
    /// `socket`, `ssl-mode`, `ssl-ca`, `connect_timeout`, `statement_timeout`, `max_connections`,
    /// `table_prefix` and the parameters that mysql_async knows.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) saying which parameter is wrong; never
    /// quoting the URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("mysql://")
            .or_else(|| url.strip_prefix("mariadb://"))
            .ok_or_else(|| invalid_url("it must start with mysql:// or mariadb://"))?;
        let mut config = Self::unreached();
        // A password may hold a question mark; nothing before its end is the query's.
        let host = rest.find('@').unwrap_or(0);
        let query = rest[host..].find('?').map_or(rest.len(), |at| host + at);
        let (base, query) = (&rest[..query], rest[query..].trim_start_matches('?'));
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
        let socket = config.driver.socket().map(str::to_owned);
        let for_driver = format!("mysql://{base}?{}", for_driver.join("&"));
        let driver = Opts::from_url(&for_driver).map_err(|error| url_error(&error))?;
        config.driver = match (socket, ip_literal(&driver)) {
            (Some(socket), _) => OptsBuilder::from_opts(driver).socket(Some(socket)).into(),
            // The driver would ask DNS for the brackets too.
            (None, Some(ip)) => OptsBuilder::from_opts(driver)
                .ip_or_hostname(ip.to_string())
                .resolved_ips(Some([ip]))
                .into(),
            (None, None) => driver,
        };
        Ok(config)
    }

    /// A configuration of the driver's, with the defaults of everything else: what
    /// [`from_pool`](crate::MySqlStore::from_pool) is given beside a pool.
    #[must_use]
    pub fn from_driver(driver: impl Into<Opts>) -> Self {
        Self {
            driver: driver.into(),
            ..Self::unreached()
        }
    }

    fn unreached() -> Self {
        Self {
            driver: Opts::default(),
            ssl_mode: SslMode::default(),
            ssl_ca: SslCa::default(),
            credentials: None,
            max_connections: default_max_connections(Serverless::detect()),
            wait_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(20),
            tables: TableNames::default(),
        }
    }

    /// Takes a parameter that is ours and tells whether it was.
    fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "ssl-mode" | "sslmode" => {
                self.ssl_mode = match value.to_ascii_uppercase().replace('-', "_").as_str() {
                    "DISABLED" => SslMode::Disabled,
                    "PREFERRED" => SslMode::Preferred,
                    "REQUIRED" => SslMode::Required,
                    "VERIFY_CA" => SslMode::VerifyCa,
                    "VERIFY_IDENTITY" => SslMode::VerifyIdentity,
                    _ => {
                        return Err(invalid_url(
                            "`ssl-mode` must be DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
                        ));
                    }
                }
            }
            "ssl-ca" => {
                self.ssl_ca = match value {
                    "system" => SslCa::System,
                    path => SslCa::File(path.into()),
                };
            }
            "socket" => {
                let driver = std::mem::take(&mut self.driver);
                self.driver = OptsBuilder::from_opts(driver).socket(Some(value)).into();
            }
            "table_prefix" => value.clone_into(&mut self.tables.prefix),
            "max_connections" => {
                let parsed = value.parse().ok().filter(|n| *n > 0);
                self.max_connections = parsed
                    .ok_or_else(|| invalid_url("`max_connections` must be a number from 1"))?;
            }
            "connect_timeout" => {
                let parsed = value.parse().ok().filter(|n| *n > 0);
                let seconds = parsed.ok_or_else(|| {
                    invalid_url("`connect_timeout` must be a number of seconds from 1")
                })?;
                self.connect_timeout = Duration::from_secs(seconds);
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
        if self.statement_timeout < Duration::from_millis(1) {
            let message = "statement_timeout is under 1 ms";
            return Err(Error::invalid("statement_timeout", message));
        }
        if self.max_connections == 0 {
            return Err(Error::invalid("max_connections", "max_connections is 0"));
        }
        if self.tables.database.is_none() && self.driver.db_name().is_none() {
            return Err(invalid_url(
                "it names no database, as in mysql://user@host/database",
            ));
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

/// The address that is written `[::1]` in a URL.
fn ip_literal(driver: &Opts) -> Option<IpAddr> {
    let host = driver.ip_or_hostname();
    let ip = host.strip_prefix('[')?.strip_suffix(']')?;
    ip.parse().ok()
}

/// What the driver says of a URL, without the values that it quotes.
fn url_error(error: &UrlError) -> Error {
    match error {
        UrlError::InvalidParamValue { param, .. } => {
            invalid_url(format!("`{param}` has a value that it can't have"))
        }
        UrlError::UnknownParameter { param } => {
            invalid_url(format!("there is no parameter `{param}`"))
        }
        UrlError::FeatureRequired { feature, param } => invalid_url(format!(
            "`{param}` needs the feature `{feature}` of mysql_async"
        )),
        UrlError::Parse(error) => invalid_url(error),
        _ => invalid_url("it does not parse"),
    }
}

fn invalid_url(message: impl fmt::Display) -> Error {
    Error::invalid("url", format!("the connection URL is wrong: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_enough() {
        let config = MySqlConfig::from_url(
            "mysql://u:p%40ss@a.example:3307/db?ssl-mode=VERIFY_IDENTITY&ssl-ca=%2Fetc%2Fca.pem\
             &connect_timeout=3&table_prefix=x_&max_connections=7&statement_timeout=1500",
        )
        .unwrap();
        assert_eq!(config.driver.ip_or_hostname(), "a.example");
        assert_eq!(config.driver.tcp_port(), 3307);
        assert_eq!(config.driver.pass(), Some("p@ss"));
        assert_eq!(config.driver.db_name(), Some("db"));
        assert_eq!(config.ssl_mode, SslMode::VerifyIdentity);
        assert_eq!(config.ssl_ca, SslCa::File("/etc/ca.pem".into()));
        assert_eq!(config.connect_timeout, Duration::from_secs(3));
        assert_eq!(config.statement_timeout, Duration::from_millis(1500));
        assert_eq!(config.max_connections, 7);
        assert_eq!(config.tables.prefix, "x_");
        assert!(config.validate().is_ok());
        let shown = format!("{config:?}");
        assert!(!shown.contains("p@ss") && !shown.contains("p%40ss"));
    }

    #[test]
    fn a_socket_takes_the_place_of_host_and_port() {
        let url = "mariadb://u@localhost/db?socket=%2Frun%2Fmysqld%2Fmysqld.sock";
        let config = MySqlConfig::from_url(url).unwrap();
        assert_eq!(config.driver.socket(), Some("/run/mysqld/mysqld.sock"));
        assert_eq!(config.driver.user(), Some("u"));
    }

    #[test]
    fn an_address_may_be_written_in_brackets() {
        let config = MySqlConfig::from_url("mysql://u@[::1]:3307/db").unwrap();
        assert_eq!(config.driver.ip_or_hostname(), "::1");
        assert_eq!(config.driver.tcp_port(), 3307);
    }

    #[test]
    fn a_wrong_url_is_explained_without_quoting_it() {
        for (url, said) in [
            ("postgres://u:hunter2@h/db", "must start with mysql://"),
            ("mysql://u:hunter2@h/db?ssl-mode=maybe", "ssl-mode"),
            ("mysql://u:hunter2@h/db?hunter=1", "hunter"),
            ("mysql://u:hunter2@h:port/db", "port"),
            ("mysql://u:hunter2?@h/db?ssl-mode=maybe", "ssl-mode"),
            ("mysql://u:hunter2@h/db?tcp_nodelay=hunter2", "tcp_nodelay"),
            (
                "mysql://u:hunter2@h/db?max_connections=0",
                "max_connections",
            ),
        ] {
            let error = MySqlConfig::from_url(url).unwrap_err();
            assert_eq!(error.field(), Some("url"));
            assert!(error.to_string().contains(said), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = MySqlConfig::from_url("mysql://u@h").unwrap().validate();
        assert!(error.unwrap_err().to_string().contains("no database"));
    }
}
