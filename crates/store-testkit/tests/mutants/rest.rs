//! Bugs in cleaning up, moving and closing.

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
impl TransferStore for Mutant {
    async fn export_records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<RecordPage> {
        if self.has(Bug::ExpiredIsExported) {
            let store = self.with_expired();
            return store.export_records(kind, after, limit).await;
        }
        let mut page = self.inner.export_records(kind, after, limit).await?;
        if self.has(Bug::ExportRepeatsItself) && after.is_some() {
            let last = self.inner.export_records(kind, None, 1).await?;
            page.records.pop();
            page.records.extend(last.records);
        }
        Ok(page)
    }

    async fn import_record(&self, record: &Record) -> Result<Placement> {
        let mut record = record.clone();
        match &mut record {
            Record::JtsSession(stored) if self.has(Bug::ImportForgetsRetiredProofs) => {
                stored.retired_proofs.clear();
            }
            Record::Nonce(nonce) if self.has(Bug::ImportForgetsUse) => nonce.consumed = false,
            Record::LoginSession(session) if self.has(Bug::ImportOverwrites) => {
                self.inner
                    .destroy_login_session(session.id.as_str())
                    .await?;
            }
            _ => {}
        }
        if self.has(Bug::ExpiredIsImported) {
            return self.with_expired().import_record(&record).await;
        }
        self.inner.import_record(&record).await
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
