//! A DynamoDB of the demo's own.

use anyhow::{Context, Result};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use dynoxide::Database;
use store_dynamo::DynamoConfig;
use tokio::net::TcpListener;

/// Starts the emulator in this process and says how to reach it.
pub(crate) async fn start() -> Result<DynamoConfig> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.context("listening on the loopback interface")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let database = Database::memory().context("starting the emulator")?;
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let credentials = Credentials::new("demo", "demo", None, None, "demo");
    Ok(DynamoConfig {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        ..DynamoConfig::default()
    })
}
