//! Asking DynamoDB how it is, and closing the store.

use std::time::Instant;

use async_trait::async_trait;
use store_core::{Capabilities, ErrorKind, Health, Lifecycle, Result};

use super::{DynamoStore, at};
use crate::queries;

/// The version of the API, which is all that DynamoDB tells of itself.
const API: &str = "2012-08-10";

#[async_trait]
impl Lifecycle for DynamoStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            schema: true,
            atomic_revocation: false,
        }
    }

    async fn health(&self) -> Result<Health> {
        let operation = self.begin().await.map_err(|error| at("health", error))?;
        let started = Instant::now();
        // Needs no right that the application lacks. Without the table it is still an answer.
        match operation.get(queries::migration(0)).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::SchemaMissing => {}
            Err(error) => return Err(at("health", error)),
        }
        let server = self.inner.executor.server();
        Ok(Health {
            server: format!("DynamoDB {API} at {}:{}", server.address, server.port),
            latency: started.elapsed(),
        })
    }

    async fn close(&self) {
        self.inner.executor.close().await;
    }
}
