//! The schema, of which there is none.

use async_trait::async_trait;
use store_core::{BootstrapReport, Result, SchemaStatus, SchemaStore};

use super::MemoryStore;

#[async_trait]
impl SchemaStore for MemoryStore {
    async fn bootstrap(&self) -> Result<BootstrapReport> {
        self.step("bootstrap", |_, _| Ok(BootstrapReport::default()))
    }

    async fn schema_status(&self) -> Result<SchemaStatus> {
        self.step("schema_status", |_, _| Ok(SchemaStatus::default()))
    }

    fn schema_definition(&self) -> String {
        String::new()
    }
}
