//! Asking the server how it is, and closing the store.

use std::time::Instant;

use async_trait::async_trait;
use store_core::{Capabilities, Health, Lifecycle, Result};

use super::{PostgresStore, at};
use crate::mapping;

#[async_trait]
impl Lifecycle for PostgresStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            schema: true,
            atomic_revocation: true,
        }
    }

    async fn health(&self) -> Result<Health> {
        let started = Instant::now();
        let answer = self.run("health", &self.queries().health, &[]).await?;
        let latency = started.elapsed();
        let version = match answer.rows.first() {
            Some(row) => mapping::column::<&str>(row, 0).map_err(|error| at("health", error))?,
            None => "",
        };
        // Distributions append their own: `15.18 (Debian 15.18-0+deb12u1)`.
        let version = version.split(' ').next().unwrap_or_default();
        Ok(Health {
            server: format!("PostgreSQL {version}"),
            latency,
        })
    }

    async fn close(&self) {
        self.inner.executor.close().await;
    }
}
