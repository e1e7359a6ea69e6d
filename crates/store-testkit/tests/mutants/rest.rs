//! Bugs in cleaning up and closing.

use async_trait::async_trait;
use store_core::*;

use crate::bugs::Bug;
use crate::mutant::Mutant;

#[async_trait]
impl CleanupStore for Mutant {
    async fn delete_expired(&self, kind: CleanupKind, limit: u32) -> Result<u64> {
        match self.bug {
            Bug::CleanupTakesLive => {
                self.with_clock_off_by(1_000)
                    .delete_expired(kind, limit)
                    .await
            }
            Bug::CleanupIgnoresLimit => self.inner.delete_expired(kind, u32::MAX).await,
            Bug::CleanupForgetsUsedNonces => {
                self.notes().forgotten = true;
                self.inner.delete_expired(kind, limit).await
            }
            _ => self.inner.delete_expired(kind, limit).await,
        }
    }
}

#[async_trait]
impl SchemaStore for Mutant {
    async fn bootstrap(&self) -> Result<BootstrapReport> {
        self.inner.bootstrap().await
    }

    async fn schema_status(&self) -> Result<SchemaStatus> {
        self.inner.schema_status().await
    }

    fn schema_definition(&self) -> String {
        self.inner.schema_definition()
    }
}

#[async_trait]
impl Lifecycle for Mutant {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn health(&self) -> Result<Health> {
        self.inner.health().await
    }

    async fn close(&self) {
        if !self.has(Bug::CloseDoesNothing) {
            self.inner.close().await;
        }
    }
}
