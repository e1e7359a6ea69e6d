//! Choosing the backend by the URL's scheme.

use std::sync::Arc;

use store_core::{Error, Result, Settings, Store};

/// Opens the store that `url` names, with the default [`Settings`].
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | a new, empty one in this process's memory | `memory` |
/// | `postgres://user:password@host:5432/database` | PostgreSQL | `postgres` |
/// | `mysql://user:password@host:3306/database` | MySQL or MariaDB | `mysql` |
/// | `dynamodb://region?prefix=…&endpoint=…` | DynamoDB | `dynamo` |
///
/// Each backend's documentation lists what else its URL may say. The tables are expected to be there:
/// [`bootstrap`](store_core::SchemaStore::bootstrap) creates them.
///
/// # Errors
/// [`InvalidInput`](store_core::ErrorKind::InvalidInput) for a URL that is malformed, of no kind that is
/// known, or of a kind whose feature was not compiled in, which it names; otherwise why the server
/// does not answer. No error shows the URL, which may hold a password.
///
/// ```
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> store::Result<()> {
/// let store = store::connect("memory:").await?;
/// store.bootstrap().await?;
/// store.store_nonce(&"n-0S6_WzA2Mj".parse()?, None).await?;
/// assert!(store.consume_nonce("n-0S6_WzA2Mj").await?);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "memory"))]
/// # fn main() {}
/// ```
pub async fn connect(url: &str) -> Result<Arc<dyn Store>> {
    connect_with(url, Settings::default()).await
}

/// Opens the store that `url` names, as [`connect`] does, with these settings.
///
/// # Errors
/// Those of [`connect`].
pub async fn connect_with(url: &str, settings: Settings) -> Result<Arc<dyn Store>> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "memory" => memory(url, settings),
        "postgres" | "postgresql" => postgres(url, settings).await,
        "mysql" => mysql(url, settings).await,
        "dynamodb" => dynamo(url, settings).await,
        // A malformed URL is not shown either: what looks like its scheme may be a password.
        _ => Err(invalid(
            "the store's URL is of no kind that is known; it looks like memory:, postgres://user:password@host/database, mysql://user:password@host/database or dynamodb://region".to_owned(),
        )),
    }
}

#[cfg(feature = "memory")]
fn memory(url: &str, settings: Settings) -> Result<Arc<dyn Store>> {
    if url != "memory:" {
        let message = "the URL of a store in memory is `memory:` and nothing else, because no two of them share anything";
        return Err(invalid(message.to_owned()));
    }
    Ok(Arc::new(store_memory::MemoryStore::new(settings)))
}

#[cfg(not(feature = "memory"))]
fn memory(_: &str, _: Settings) -> Result<Arc<dyn Store>> {
    Err(not_compiled_in("memory:", "memory"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, settings: Settings) -> Result<Arc<dyn Store>> {
    let store = store_postgres::PostgresStore::connect(url, settings).await?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str, _: Settings) -> Result<Arc<dyn Store>> {
    Err(not_compiled_in("postgres://", "postgres"))
}

#[cfg(feature = "mysql")]
async fn mysql(url: &str, settings: Settings) -> Result<Arc<dyn Store>> {
    let store = store_mysql::MySqlStore::connect(url, settings).await?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "mysql"))]
async fn mysql(_: &str, _: Settings) -> Result<Arc<dyn Store>> {
    Err(not_compiled_in("mysql://", "mysql"))
}

#[cfg(feature = "dynamo")]
async fn dynamo(url: &str, settings: Settings) -> Result<Arc<dyn Store>> {
    let store = store_dynamo::DynamoStore::connect(url, settings).await?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "dynamo"))]
async fn dynamo(_: &str, _: Settings) -> Result<Arc<dyn Store>> {
    Err(not_compiled_in("dynamodb://", "dynamo"))
}

#[cfg(not(all(
    feature = "memory",
    feature = "postgres",
    feature = "mysql",
    feature = "dynamo"
)))]
fn not_compiled_in(scheme: &str, feature: &str) -> Error {
    invalid(format!(
        "this program was built without `{scheme}`: switch on the feature `{feature}` of the crate `store` (cargo add store --features {feature})"
    ))
}

fn invalid(message: String) -> Error {
    Error::invalid("url", message)
}
