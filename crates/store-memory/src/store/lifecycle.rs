//! How the store is, and closing it.

use std::time::Instant;

use async_trait::async_trait;
use store_core::{Capabilities, Health, Lifecycle, Result};

use super::MemoryStore;

#[async_trait]
impl Lifecycle for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: false,
            schema: false,
            atomic_revocation: true,
        }
    }

    async fn health(&self) -> Result<Health> {
        let started = Instant::now();
        self.step("health", |_, _| Ok(()))?;
        Ok(Health {
            server: concat!("memory ", env!("CARGO_PKG_VERSION")).to_owned(),
            latency: started.elapsed(),
        })
    }

    async fn close(&self) {
        self.shut();
    }
}
