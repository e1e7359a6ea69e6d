//! How to reach DynamoDB and what the table is: plain data, most of it from a URL.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use percent_encoding::percent_decode_str;
use store_core::{Error, Result};

/// How capacity is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Billing {
    /// By the request. The default.
    #[default]
    OnDemand,
    /// By capacity that is set aside, for the table and for its index.
    Provisioned {
        /// Of the table.
        table: Capacity,
        /// Of the expiry index.
        index: Capacity,
    },
}

/// Capacity that is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Read units.
    pub read: i64,
    /// Write units.
    pub write: i64,
}

/// Which key the table is encrypted with at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// The AWS managed key of DynamoDB in KMS.
    AwsManaged,
    /// A key of yours in KMS: its id, ARN or alias.
    Key(String),
}

/// What bootstrap asks for when it creates the table. What is `None` or empty is not sent, so that AWS's
/// own default holds. A table that exists is not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// How capacity is paid for.
    pub billing: Billing,
    /// Whether the table can be restored to any second of the last 35 days.
    pub point_in_time_recovery: Option<bool>,
    /// Whether the table is protected from being deleted.
    pub deletion_protection: Option<bool>,
    /// The key at rest. DynamoDB's own by default.
    pub encryption: Option<Encryption>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// How to reach DynamoDB, how patient to be, and what the table is.
///
/// Made from a URL, then changed as needed:
///
/// ```
/// use store_dynamo::DynamoConfig;
///
/// let mut config = DynamoConfig::from_url("dynamodb://eu-west-1?prefix=staging-")?;
/// config.options.point_in_time_recovery = Some(true);
/// assert_eq!(config.table_name(), "staging-auth_store");
/// # Ok::<(), store_core::Error>(())
/// ```
#[derive(Clone)]
pub struct DynamoConfig {
    /// The region. By default what aws-config finds in the environment.
    pub region: Option<String>,
    /// Another endpoint than the region's, such as an emulator's or an interface endpoint of a VPC.
    /// `endpoint` in a URL.
    pub endpoint: Option<String>,
    /// Where credentials come from. By default aws-config's chain: the environment, profiles, web
    /// identity, the container's or the machine's role.
    pub credentials: Option<SharedCredentialsProvider>,
    /// Put before the table's name. `prefix` in a URL; nothing by default.
    pub prefix: String,
    /// The table's name. `table` in a URL; `auth_store` by default.
    pub table: String,
    /// How long opening a connection may take. `connect_timeout` in a URL, in milliseconds; 2 s by
    /// default.
    pub connect_timeout: Duration,
    /// How long one request may take. `request_timeout` in a URL, in milliseconds; 5 s by default.
    pub request_timeout: Duration,
    /// How long requests that throttling or others' transactions turn away are sent again, and
    /// operations that others interfere with are tried again. 10 s by default.
    pub retry_budget: Duration,
    /// When an idle connection is closed. 20 s by default.
    pub idle_timeout: Duration,
    /// How many items a transaction has at most: 100 by default, as DynamoDB allows. Older emulators
    /// allow fewer: DynamoDB Local 1.12 allows 10.
    pub transaction_limit: usize,
    /// How long bootstrap waits for a table to become active. 5 min by default.
    pub bootstrap_timeout: Duration,
    /// What bootstrap asks for when it creates the table.
    pub options: TableOptions,
}

impl Default for DynamoConfig {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            credentials: None,
            prefix: String::new(),
            table: "auth_store".to_owned(),
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            retry_budget: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(20),
            transaction_limit: 100,
            bootstrap_timeout: Duration::from_secs(300),
            options: TableOptions::default(),
        }
    }
}

impl fmt::Debug for DynamoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoConfig")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("table", &self.table_name())
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("retry_budget", &self.retry_budget)
            .field("idle_timeout", &self.idle_timeout)
            .field("transaction_limit", &self.transaction_limit)
            .field("bootstrap_timeout", &self.bootstrap_timeout)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl DynamoConfig {
    /// Reads `dynamodb://REGION?endpoint=…&prefix=…&table=…&connect_timeout=…&request_timeout=…`, of
    /// which everything after the scheme may be left out. Credentials have no place in it.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) saying what is wrong.
    pub fn from_url(url: &str) -> Result<Self> {
        let Some(rest) = url.strip_prefix("dynamodb://") else {
            return Err(invalid("it must start with dynamodb://"));
        };
        let mut config = Self::default();
        let (region, query) = rest.split_once('?').unwrap_or((rest, ""));
        let region = region.strip_suffix('/').unwrap_or(region);
        if region.contains('@') {
            return Err(invalid(
                "it holds credentials; hand them in as `credentials`, or leave them to aws-config",
            ));
        }
        if !region
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            return Err(invalid("what follows the scheme must be an AWS region"));
        }
        config.region = (!region.is_empty()).then(|| region.to_owned());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| invalid(format!("`{key}` is not UTF-8")))?;
            match key {
                "endpoint" => config.endpoint = Some(value.into_owned()),
                "prefix" => config.prefix = value.into_owned(),
                "table" => config.table = value.into_owned(),
                "connect_timeout" => config.connect_timeout = millis(key, &value)?,
                "request_timeout" => config.request_timeout = millis(key, &value)?,
                _ => return Err(invalid(format!("it has no parameter `{key}`"))),
            }
        }
        config.validate()?;
        Ok(config)
    }

    /// The name of the table: prefix and name.
    #[must_use]
    pub fn table_name(&self) -> String {
        format!("{}{}", self.prefix, self.table)
    }

    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for what can't work.
    pub(crate) fn validate(&self) -> Result<()> {
        let name = self.table_name();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.len() < 3 || name.len() > 255 || !name.chars().all(allowed) {
            let name = name.escape_debug();
            let message = format!(
                "table `{name}` must be 3 to 255 ASCII letters, digits, underscores, hyphens or dots"
            );
            return Err(Error::invalid("table", message));
        }
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            let message = "endpoint must start with http:// or https://";
            return Err(Error::invalid("endpoint", message));
        }
        if !(10..=100).contains(&self.transaction_limit) {
            let message = "transaction_limit must be between 10 and 100";
            return Err(Error::invalid("transaction_limit", message));
        }
        for (field, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            if timeout.is_zero() {
                return Err(Error::invalid(field, format!("{field} must not be zero")));
            }
        }
        Ok(())
    }
}

fn millis(key: &str, value: &str) -> Result<Duration> {
    let millis = value
        .parse()
        .map_err(|_| invalid(format!("`{key}` must be a number of milliseconds")))?;
    Ok(Duration::from_millis(millis))
}

fn invalid(what: impl fmt::Display) -> Error {
    Error::invalid("url", format!("the DynamoDB URL can't be used: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let url = "dynamodb://eu-west-1?endpoint=http%3A%2F%2Flocalhost:8000&prefix=a-&table=b.c&request_timeout=250";
        let config = DynamoConfig::from_url(url).unwrap();
        assert_eq!(config.region.as_deref(), Some("eu-west-1"));
        assert_eq!(config.endpoint.as_deref(), Some("http://localhost:8000"));
        assert_eq!(config.table_name(), "a-b.c");
        assert_eq!(config.request_timeout, Duration::from_millis(250));
        assert_eq!(DynamoConfig::from_url("dynamodb://").unwrap().region, None);
    }

    #[test]
    fn wrong_urls_are_refused_without_quoting_them() {
        for bad in [
            "postgres://hunter2",
            "dynamodb://hunter2:hunter2@eu-west-1",
            "dynamodb://eu/hunter2",
            "dynamodb://eu?endpoint=hunter2",
            "dynamodb://eu?request_timeout=hunter2",
            "dynamodb://eu?request_timeout=0",
            "dynamodb://eu?user=hunter2",
        ] {
            let error = DynamoConfig::from_url(bad).unwrap_err();
            assert_eq!(error.kind(), store_core::ErrorKind::InvalidInput, "{bad}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(DynamoConfig::from_url("dynamodb://eu?table=a%20b").is_err());
        assert!(DynamoConfig::from_url("dynamodb://eu?table=ab").is_err());
    }
}
