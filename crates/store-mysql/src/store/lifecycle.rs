//! Asking the server how it is, and closing the store.

use std::time::Instant;

use async_trait::async_trait;
use store_core::{Capabilities, Health, Lifecycle, Result};

use super::{MySqlStore, at};
use crate::mapping;

#[async_trait]
impl Lifecycle for MySqlStore {
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
            Some(row) => mapping::str(row, 0).map_err(|error| at("health", error))?,
            None => "",
        };
        // Distributions append their own: `10.11.14-MariaDB-0+deb12u2`.
        let number = version.split('-').next().unwrap_or_default();
        let product = if self.inner.executor.is_mariadb() {
            "MariaDB"
        } else {
            "MySQL"
        };
        Ok(Health {
            server: format!("{product} {number}"),
            latency,
        })
    }

    async fn close(&self) {
        self.inner.executor.close().await;
    }
}
