//! The store: settings, and what sends its requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_http_client::{Builder as HttpBuilder, tls};
use store_core::{CleanupKind, Error, Result, Settings, Timestamp};
use tokio::sync::Mutex;

use crate::config::DynamoConfig;
use crate::execute::{Executor, Operation, ServerName};
use crate::store::jts_pointers::Places;

mod cleanup;
pub(crate) mod clients;
pub(crate) mod deployments;
mod import;
mod jts_pointers;
mod jts_proofs;
mod jts_sessions;
mod launch_configs;
mod lifecycle;
mod login_sessions;
mod lti_sessions;
mod nonces;
mod registration_sessions;
mod schema;
mod sweep;
mod transfer;

/// Authentication state on DynamoDB. Clones share the connections.
///
/// ```no_run
/// use store_core::{NonceStore, SchemaStore, Settings};
/// use store_dynamo::DynamoStore;
///
/// # async fn example() -> Result<(), store_core::Error> {
/// let store = DynamoStore::connect("dynamodb://eu-west-1", Settings::default()).await?;
/// store.bootstrap().await?;
/// store.store_nonce(&"n-0S6_WzA2Mj".parse()?, None).await?;
/// assert!(store.consume_nonce("n-0S6_WzA2Mj").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DynamoStore {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    config: DynamoConfig,
    executor: Executor,
    /// For each kind the instant by which nothing of it that had expired was left.
    clean_at: [AtomicI64; CleanupKind::ALL.len()],
    /// Where JTS sessions are.
    places: Places,
    /// Of logins under a policy.
    turns: [Mutex<()>; TURNS],
}

/// How many logins under a policy can be tried again at once, at most.
const TURNS: usize = 64;

impl fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStore")
            .field("settings", &self.inner.settings)
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl DynamoStore {
    /// Opens a store from a URL ([`DynamoConfig::from_url`]) and makes sure that DynamoDB answers.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for a wrong URL, and why DynamoDB does not
    /// answer.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self> {
        use store_core::Lifecycle as _;
        let store = Self::open(DynamoConfig::from_url(url)?, settings).await?;
        store.health().await?;
        Ok(store)
    }

    /// Opens a store without asking DynamoDB yet: what is missing in `config` is read from the
    /// environment and the AWS profile. Open one per process and keep it, also in a function that is
    /// called again and again, so that its connections are used again.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for a configuration that can't work.
    pub async fn open(config: DynamoConfig, settings: Settings) -> Result<Self> {
        config.validate()?;
        let plain = matches!(&config.endpoint, Some(url) if url.starts_with("http://"));
        let http = if plain {
            HttpBuilder::new()
                .pool_idle_timeout(config.idle_timeout)
                .build_http()
        } else {
            HttpBuilder::new()
                .pool_idle_timeout(config.idle_timeout)
                .tls_provider(tls::Provider::Rustls(
                    tls::rustls_provider::CryptoMode::Ring,
                ))
                .build_https()
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(region) = &config.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &config.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(credentials) = &config.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let shared = loader.load().await;
        if shared.region().is_none() {
            let message =
                "no AWS region is set: name one in the URL, in AWS_REGION or in the profile";
            return Err(Error::invalid("region", message));
        }
        Self::from_client(&Client::new(&shared), config, settings)
    }

    /// A store on a client of the application's. Of `config` only what is about the table, timeouts and
    /// retries matters: the client's own retries are switched off, because they can't tell whether a
    /// conditional write that went unanswered may be sent again.
    ///
    /// # Errors
    /// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for a table name that can't work.
    pub fn from_client(client: &Client, config: DynamoConfig, settings: Settings) -> Result<Self> {
        config.validate()?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.connect_timeout)
            .operation_attempt_timeout(config.request_timeout)
            .build();
        let server = server_name(client, &config);
        let own = client.config().to_builder();
        let own = own
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // The timeout of the attempt holds until the answer is read.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let client = Client::from_conf(own);
        let executor = Executor::new(client, &config.table_name(), config.retry_budget, server);
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                config,
                executor,
                clean_at: std::array::from_fn(|_| AtomicI64::new(-1)),
                places: Places::new(),
                turns: std::array::from_fn(|_| Mutex::new(())),
            }),
        })
    }

    fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    fn now(&self) -> Timestamp {
        self.inner.settings.now()
    }

    /// Starts an operation.
    async fn begin(&self) -> Result<Operation> {
        self.inner.executor.begin().await
    }
}

/// What an operation comes to, its errors said of it.
async fn within<T>(operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    work.await.map_err(|error| at(operation, error))
}

/// The same error, said of an operation of this backend.
fn at(operation: &'static str, error: Error) -> Error {
    error.at("dynamo", operation)
}

fn server_name(client: &Client, config: &DynamoConfig) -> ServerName {
    let Some(endpoint) = &config.endpoint else {
        let region = client.config().region().map(ToString::to_string);
        return ServerName {
            address: format!("dynamodb.{}.amazonaws.com", region.unwrap_or_default()),
            port: 443,
        };
    };
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let host = rest.split('/').next().unwrap_or(rest);
    let default = if scheme == "http" { 80 } else { 443 };
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) => (address, port.parse().unwrap_or(default)),
        None => (host, default),
    };
    ServerName {
        address: address.to_owned(),
        port,
    }
}
